//! What a document makes use of: properties with their states, and names that it refers to.

use std::collections::BTreeSet;

use serde_json::{Map, Value};

use crate::config::node::Origin;
use crate::config::schema::applies::applies;
use crate::config::schema::explain::Explainer;
use crate::config::schema::keywords::{Keywords, Lookup};
use crate::config::schema::state::{State, Stated};
use crate::config::schema::words;
use crate::config::tree::push_segment;
use crate::config::{Problem, Problems, Span, codes};

/// What a document uses.
#[derive(Debug, Default)]
pub(in crate::config) struct Usage {
    /// Names of things that are declared elsewhere.
    pub(in crate::config) references: Vec<Reference>,
    /// The JSON pointers of properties without effect: what is done must not depend on them.
    pub(in crate::config) ignored: Vec<String>,
    /// The JSON pointers of lists of routes of which only the first that matches is taken.
    pub(in crate::config) first_match: BTreeSet<String>,
    /// The JSON pointers, in the merged schema, of the properties that occur; of a load, none.
    pub(in crate::config) properties: BTreeSet<String>,
}

/// A name that refers to something declared elsewhere.
#[derive(Debug)]
pub(in crate::config) struct Reference {
    /// What it must be: `bindings`, `guards` and so on.
    pub(in crate::config) what: String,
    /// The name, with or without a namespace.
    pub(in crate::config) name: String,
    /// The name as the file writes it, for messages.
    pub(in crate::config) written: String,
    /// The JSON pointer of the value, or of the entry of the map whose key the name is.
    pub(in crate::config) pointer: String,
    pub(in crate::config) span: Span,
}

/// Properties that say what an object is. Where the value of one is not supported, the rest of the
/// object has no state of its own.
const DISCRIMINATORS: [&str; 3] = ["type", "kind", "model"];

/// Where the walk is.
#[derive(Clone, Copy)]
struct At<'s, 'a> {
    schema: &'s Value,
    /// The JSON pointer of `schema` in the merged schema, where the walk lists properties.
    location: &'a str,
    value: &'a Value,
    pointer: &'a str,
    /// Whether something around has been reported that speaks for all within.
    is_muted: bool,
}

/// Walks a document and its schema together. Says what is not supported and what has no effect.
/// Whoever `lists_properties` gets to know which occur, for twice the time.
pub(super) fn usage(
    explainer: &Explainer<'_>,
    lists_properties: bool,
    problems: &mut Problems,
) -> Usage {
    let (schema, value) = (explainer.schema, &explainer.document.value);
    let lookup = Lookup::new(schema);
    let mut walk = Walk { explainer, lookup, lists_properties, problems, usage: Usage::default() };
    walk.value(At { schema, location: "", value, pointer: "", is_muted: false });
    walk.usage
}

struct Walk<'a, 'p> {
    explainer: &'a Explainer<'a>,
    lookup: Lookup<'a>,
    lists_properties: bool,
    problems: &'p mut Problems,
    usage: Usage,
}

impl<'s> Walk<'s, '_> {
    /// The location of a part of a schema.
    fn location(&self, of: At<'_, '_>, part: std::fmt::Arguments<'_>) -> String {
        if self.lists_properties { format!("{}/{part}", of.location) } else { String::new() }
    }

    /// The location of a schema among those that a keyword has by name.
    fn named(&self, of: At<'_, '_>, keyword: &str, name: &str) -> String {
        let mut location = self.location(of, format_args!("{keyword}"));
        if self.lists_properties {
            push_segment(&mut location, name);
        }
        location
    }

    /// All that a schema says of a value. Returns whether a discriminator of the value is not
    /// supported.
    fn value(&mut self, at: At<'s, '_>) -> bool {
        let keywords = self.lookup.of(at.schema);
        let mut is_muted = at.is_muted;
        if let Some((target, location)) = keywords.referred {
            is_muted |= self.value(At { schema: target, location, is_muted, ..at });
        }
        if let Some(what) = keywords.refers_to {
            self.refer(what, at);
        }
        match at.value {
            Value::Object(values) => {
                is_muted |= self.object(&keywords, values, At { is_muted, ..at });
            }
            Value::Array(items) => self.list(&keywords, items, At { is_muted, ..at }),
            _ => {}
        }
        let root = self.explainer.schema;
        for branch in &keywords.branches {
            if branch.keyword == "allOf" || applies(root, branch.schema, at.value) {
                let part = format_args!("{}/{}", branch.keyword, branch.index);
                let location = &self.location(at, part);
                is_muted |= self.value(At { schema: branch.schema, location, is_muted, ..at });
            }
        }
        if let Some(condition) = keywords.condition {
            let is_met = applies(root, condition.wanted, at.value);
            let (keyword, schema) =
                if is_met { ("then", condition.then) } else { ("else", condition.otherwise) };
            if let Some(schema) = schema {
                let location = &self.location(at, format_args!("{keyword}"));
                is_muted |= self.value(At { schema, location, is_muted, ..at });
            }
        }
        is_muted
    }

    fn object(
        &mut self,
        keywords: &Keywords<'s>,
        values: &Map<String, Value>,
        at: At<'s, '_>,
    ) -> bool {
        let Keywords { properties: known, by_form, additional, .. } = *keywords;
        // Most branches of the schema of a thing say nothing of its properties.
        if known.is_none() && by_form.is_none() && additional.is_none() {
            return at.is_muted;
        }
        let is_discriminator = |name: &str| DISCRIMINATORS.contains(&name);
        let first = values.iter().filter(|(name, _)| is_discriminator(name));
        let rest = values.iter().filter(|(name, _)| !is_discriminator(name));
        let mut is_muted = at.is_muted;
        for (name, value) in first.chain(rest) {
            let mut pointer = String::with_capacity(at.pointer.len() + 1 + name.len());
            pointer.push_str(at.pointer);
            push_segment(&mut pointer, name);
            if let Some(schema) = known.and_then(|known| known.get(name)) {
                let location = self.named(at, "properties", name);
                let inner = At { schema, location: &location, value, pointer: &pointer, is_muted };
                let is_off = self.property(name, inner);
                is_muted |= is_off && is_discriminator(name);
            } else if let Some((form, schema)) = by_form {
                let location = self.named(at, "patternProperties", form);
                self.value(At { schema, location: &location, value, pointer: &pointer, is_muted });
            } else if let Some(schema) = additional {
                let location = self.location(at, format_args!("additionalProperties"));
                self.value(At { schema, location: &location, value, pointer: &pointer, is_muted });
            }
        }
        is_muted
    }

    /// A property that the schema names. Returns whether it is not supported or has no effect.
    fn property(&mut self, name: &str, at: At<'s, '_>) -> bool {
        if self.lists_properties && at.schema.is_object() {
            self.usage.properties.insert(at.location.to_owned());
        }
        let keywords = self.lookup.of(at.schema);
        if keywords.is_first_match {
            self.usage.first_match.insert(at.pointer.to_owned());
        }
        let stated = keywords.stated_of(at.value).filter(|_| !at.is_muted);
        let is_off = stated.is_some_and(|stated| stated.state != State::Works);
        // A value that is none of those there are is an error already.
        let is_wrong = keywords.options.is_some_and(|options| !options.contains(at.value));
        let is_said = stated.filter(|stated| stated.state != State::NoEffect || !is_wrong);
        if let Some(stated) = is_said {
            self.report(stated, at.pointer);
        }
        let always = keywords.stated.map(|stated| stated.state);
        let is_ignored = stated.is_some_and(|stated| stated.state == State::NoEffect)
            || always == Some(State::NoEffect);
        if is_ignored && !DISCRIMINATORS.contains(&name) {
            self.usage.ignored.push(at.pointer.to_owned());
        }
        self.value(At { is_muted: at.is_muted || is_off, ..at });
        is_off
    }

    fn report(&mut self, stated: Stated<'_>, pointer: &str) {
        match stated.state {
            State::Works => {}
            State::NoEffect => {
                self.problems.push_with(codes::W0201, || self.explainer.no_effect(stated, pointer))
            }
            State::NotSupported => self
                .problems
                .push_with(codes::E0206, || self.explainer.not_supported(stated, pointer)),
        }
    }

    fn list(&mut self, keywords: &Keywords<'s>, items: &[Value], at: At<'s, '_>) {
        let Keywords { first_items: first, items: rest, .. } = *keywords;
        if first.is_none() && rest.is_none() {
            return;
        }
        for (index, value) in items.iter().enumerate() {
            let pointer = format!("{}/{index}", at.pointer);
            let own = first.and_then(|first| first.get(index));
            let (schema, location) = match own {
                Some(schema) => (schema, self.location(at, format_args!("prefixItems/{index}"))),
                None => match rest {
                    Some(schema) => (schema, self.location(at, format_args!("items"))),
                    None => continue,
                },
            };
            self.value(At { schema, location: &location, value, pointer: &pointer, ..at });
        }
    }

    fn refer(&mut self, what: &str, at: At<'s, '_>) {
        match at.value {
            // An empty name is an error already.
            Value::String(name) if !name.is_empty() => {
                let place = self.explainer.document.places.get(at.pointer);
                if place.is_some_and(|place| place.origin == Origin::Unresolved) {
                    return;
                }
                let span = self.explainer.value(at.pointer);
                let written = match place {
                    Some(place) if place.origin == Origin::File => name.clone(),
                    _ => span.text().to_owned(),
                };
                self.push(what, name, written, at.pointer.to_owned(), span);
            }
            Value::Object(map) => {
                for name in map.keys() {
                    let mut pointer = at.pointer.to_owned();
                    push_segment(&mut pointer, name);
                    let span = self.explainer.key(&pointer);
                    self.push(what, name, name.clone(), pointer, span);
                }
            }
            _ => {}
        }
    }

    fn push(&mut self, what: &str, name: &str, written: String, pointer: String, span: Span) {
        let (what, name) = (what.to_owned(), name.to_owned());
        self.usage.references.push(Reference { what, name, written, pointer, span });
    }
}

impl Explainer<'_> {
    /// The problem of a property, or of its value, that has no effect.
    fn no_effect(&self, stated: Stated<'_>, pointer: &str) -> Problem {
        let (subject, place) = self.stated(stated, pointer);
        let why = stated.why.map(|why| format!(": {why}")).unwrap_or_default();
        let problem = Problem::new(codes::W0201, place, format!("{subject} has no effect{why}"));
        match stated.instead {
            Some(instead) => problem.with_help(instead),
            None => problem,
        }
    }

    /// The problem of a property, or of its value, that is not supported.
    fn not_supported(&self, stated: Stated<'_>, pointer: &str) -> Problem {
        let (subject, place) = self.stated(stated, pointer);
        let why = stated.why.map_or_else(|| " yet".to_owned(), |why| format!(": {why}"));
        let message = format!("{subject} is not supported{why}");
        let problem = Problem::new(codes::E0206, place, message);
        problem.with_help(stated.instead.unwrap_or("remove it"))
    }

    /// What a state is said of, and where.
    fn stated(&self, stated: Stated<'_>, pointer: &str) -> (String, Span) {
        let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
        // A type that is not listed is not part of what its thing is called.
        let is_listed = !(stated.is_of_value && name == "type");
        if DISCRIMINATORS.contains(&name) && is_listed {
            return (self.subject(parent), self.value(pointer));
        }
        let subject = self.subject(pointer);
        if stated.is_of_value {
            let value = self.document.value.pointer(pointer).unwrap_or(&Value::Null);
            let shown = words::shown(self.document, pointer, value);
            return (format!("{shown} as {subject}"), self.value(pointer));
        }
        (subject, self.key(pointer))
    }
}
