//! Names that refer to something declared elsewhere, in any document of the file.

use std::collections::{BTreeSet, HashMap, HashSet};

use serde_json::Value;

use crate::config::codes::Code;
use crate::config::schema::{Reference, Usage};
use crate::config::tree::Document;
use crate::config::{Problem, Problems, Span, codes, suggest};

/// A namespace and a name in it.
type Name = (String, String);

/// The sections whose things have names that others refer to, and the code of a name that is not
/// there.
const SECTIONS: [(&str, &str, &Code); 5] = [
    ("bindings", "binding", codes::E0302),
    ("guards", "guard", codes::E0305),
    ("vaults", "vault", codes::E0306),
    ("stores", "store", codes::E0307),
    ("catalogs", "catalog", codes::E0308),
];

/// So many names are compared with those that mean nothing, in all: some 100 ms. Whoever has
/// thousands of bindings and of mistakes gets the first ones explained.
const GUESSES: usize = 50_000;

/// What all documents of a file declare, and what they refer to.
#[derive(Default)]
pub(super) struct References {
    declared: HashMap<&'static str, BTreeSet<Name>>,
    all: Vec<InNamespace>,
}

struct InNamespace {
    namespace: String,
    reference: Reference,
}

impl References {
    /// Takes in one document.
    pub(super) fn add(&mut self, document: &Document, usage: Usage) {
        let namespace = document.value.get("name").and_then(Value::as_str).unwrap_or_default();
        for (section, ..) in SECTIONS {
            let things = document.value.get(section).and_then(Value::as_object);
            let names = things.into_iter().flat_map(|things| things.keys());
            let names = names.map(|name| (namespace.to_owned(), name.clone()));
            self.declared.entry(section).or_default().extend(names);
        }
        let within = |reference| InNamespace { namespace: namespace.to_owned(), reference };
        self.all.extend(usage.references.into_iter().map(within));
    }

    /// Says which names mean nothing, and which roles nobody can have.
    pub(super) fn check(&self, problems: &mut Problems) {
        let mut guesses = GUESSES;
        for one in &self.all {
            let section = SECTIONS.iter().find(|(section, ..)| *section == one.reference.what);
            let Some((section, singular, code)) = section else { continue };
            if !self.is_declared(one) {
                problems
                    .push_with(code, || self.dangling(one, section, singular, code, &mut guesses));
            }
        }
        self.check_roles(problems);
    }

    fn is_declared(&self, one: &InNamespace) -> bool {
        let names = self.declared.get(&*one.reference.what);
        names.is_some_and(|names| names.contains(&one.target()))
    }

    fn dangling(
        &self,
        one: &InNamespace,
        section: &str,
        singular: &str,
        code: &'static Code,
        guesses: &mut usize,
    ) -> Problem {
        let Reference { written, name, span, .. } = &one.reference;
        let message = format!("{singular} `{written}` does not exist");
        let problem = Problem::new(code, span.clone(), message);
        // What the environment has may be secret: nothing is guessed from it.
        let names = self.declared.get(section);
        let rest = guesses.checked_sub(names.map_or(0, BTreeSet::len)).filter(|_| written == name);
        let close = rest.and_then(|rest| {
            *guesses = rest;
            let names: Vec<String> =
                names.into_iter().flatten().map(|name| one.seen(name)).collect();
            suggest(name, names.iter().map(String::as_str)).map(str::to_owned)
        });
        match close {
            Some(close) => problem.with_help(format!("did you mean `{close}`?")),
            None if names.is_none_or(BTreeSet::is_empty) => {
                problem.with_help(format!("there is no {singular} at all"))
            }
            None => problem.with_help(format!("declare it under `{section}`")),
        }
    }

    /// A route that needs roles is taken by clients that a guard knows, and a guard knows those who
    /// were asked by a binding on the way to the route.
    fn check_roles(&self, problems: &mut Problems) {
        let guards = || self.all.iter().filter(|one| one.reference.what == "guards");
        // By guard, where it is asked, and the routes that need it.
        let mut asked: HashMap<Name, Vec<Name>> = HashMap::new();
        let mut needed: Vec<(&InNamespace, Name)> = Vec::new();
        for one in guards() {
            let Some(binding) = one.binding() else { continue };
            if one.below().starts_with("/options/authorization/") {
                asked.entry(one.target()).or_default().push(binding);
            } else if one.below().contains("/guarded/") && self.is_declared(one) {
                needed.push((one, binding));
            }
        }
        if needed.is_empty() {
            return;
        }
        let mut graph = Graph::default();
        for one in self.all.iter().filter(|one| one.reference.what == "bindings") {
            if let Some(binding) = one.binding() {
                graph.lead(binding, one.target());
            }
        }
        let mut steps = STEPS;
        let mut known: HashMap<Name, Option<HashSet<usize>>> = HashMap::new();
        for (one, binding) in needed {
            let guard = one.target();
            let reached = known.entry(guard).or_insert_with_key(|guard| {
                graph.reached(asked.get(guard).map_or(&[], Vec::as_slice), &mut steps)
            });
            let binding = graph.number(binding);
            if reached.as_ref().is_some_and(|reached| !reached.contains(&binding)) {
                problems.push_with(codes::E0309, || {
                    never_asked(&one.reference.written, one.reference.span.clone())
                });
            }
        }
    }
}

/// So many bindings are gone through to see whom the guards know, in all: some 100 ms. What nobody
/// could take then is not said of the rest, and nobody takes it all the same.
const STEPS: usize = 2_000_000;

/// Which bindings lead to which.
#[derive(Default)]
struct Graph {
    numbers: HashMap<Name, usize>,
    after: Vec<Vec<usize>>,
}

impl Graph {
    fn number(&mut self, name: Name) -> usize {
        let next = self.after.len();
        let number = *self.numbers.entry(name).or_insert(next);
        if number == next {
            self.after.push(Vec::new());
        }
        number
    }

    fn lead(&mut self, from: Name, to: Name) {
        let (from, to) = (self.number(from), self.number(to));
        self.after[from].push(to);
    }

    /// The bindings that clients of these come to. `None` where that takes too many steps.
    fn reached(&mut self, begin: &[Name], steps: &mut usize) -> Option<HashSet<usize>> {
        let mut open: Vec<usize> = begin.iter().map(|name| self.number(name.clone())).collect();
        let mut reached = HashSet::new();
        while let Some(binding) = open.pop() {
            if reached.insert(binding) {
                let after = &self.after[binding];
                *steps = steps.checked_sub(1 + after.len())?;
                open.extend(after);
            }
        }
        Some(reached)
    }
}

fn never_asked(guard: &str, span: Span) -> Problem {
    let message = format!("nobody can take this route: no client is asked who it is by `{guard}`");
    let help = format!(
        "add `authorization: {{{guard}: …}}` to the options of this binding, or of one before it"
    );
    Problem::new(codes::E0309, span, message).with_help(help)
}

impl InNamespace {
    /// What the name means.
    fn target(&self) -> Name {
        match self.reference.name.split_once(':') {
            Some((namespace, name)) => (namespace.to_owned(), name.to_owned()),
            None => (self.namespace.clone(), self.reference.name.clone()),
        }
    }

    /// How this namespace writes a name.
    fn seen(&self, (namespace, name): &Name) -> String {
        if *namespace == self.namespace { name.clone() } else { format!("{namespace}:{name}") }
    }

    /// The binding that refers.
    fn binding(&self) -> Option<Name> {
        let mut segments = self.reference.pointer.strip_prefix("/bindings/")?.split('/');
        let name = segments.next()?.replace("~1", "/").replace("~0", "~");
        Some((self.namespace.clone(), name))
    }

    /// The pointer below the binding.
    fn below(&self) -> &str {
        let below = self.reference.pointer.strip_prefix("/bindings/").unwrap_or_default();
        below.find('/').and_then(|at| below.get(at..)).unwrap_or_default()
    }
}
