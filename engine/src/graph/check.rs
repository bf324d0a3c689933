//! Checks of a plan as a graph.

use std::collections::{BTreeSet, HashMap, HashSet};

use crate::config::{NodeName, Problem, Problems, codes, suggest};
use crate::graph::Plan;
use crate::spi::{Exit, Resource};

/// Every edge leads to a binding that offers the plane that the edge wants. Of those that are
/// `declared` and not in the plan nothing is known.
pub(super) fn names_and_planes(
    plan: &Plan,
    declared: &BTreeSet<NodeName>,
    problems: &mut Problems,
) {
    for (name, node) in &plan.nodes {
        let mut reported = BTreeSet::new();
        for exit in &node.exits {
            if !reported.insert((&exit.name, exit.span.start())) {
                continue;
            }
            let Some(target) = plan.nodes.get(&exit.name) else {
                if !declared.contains(&exit.name) && !is_said(exit, problems) {
                    problems.push_with(codes::E0302, || dangling(plan, exit));
                }
                continue;
            };
            let offered = target.definition.entry();
            if offered != Some(exit.plane) {
                let offers = offered.map_or_else(
                    || "takes no streams".to_owned(),
                    |plane| format!("offers {plane}"),
                );
                let message = format!("`{name}` wants {}, `{}` {offers}", exit.plane, exit.name);
                problems.push(
                    Problem::new(codes::E0401, exit.span.clone(), message)
                        .with_help(hint(exit.plane, offered))
                        .with_related(target.span.clone(), "the binding it leads to".to_owned()),
                );
            }
        }
    }
}

fn dangling(plan: &Plan, exit: &Exit) -> Problem {
    let message = format!("binding `{}` does not exist", exit.name);
    let names: Vec<String> = plan.nodes.keys().map(ToString::to_string).collect();
    let problem = Problem::new(codes::E0302, exit.span.clone(), message);
    match suggest(&exit.name.to_string(), names.iter().map(String::as_str)) {
        Some(close) => problem.with_help(format!("did you mean `{close}`?")),
        None => problem,
    }
}

/// Whether it has been reported that an exit's name means nothing.
fn is_said(exit: &Exit, problems: &Problems) -> bool {
    if problems.has_more_of(codes::E0302) {
        // It was one of those that were only counted, if it was not kept.
        return true;
    }
    problems.iter().any(|problem| *problem.code() == *codes::E0302 && *problem.span() == exit.span)
}

fn hint(wanted: &str, offered: Option<&str>) -> String {
    match offered {
        Some(offered) => format!("exit to a binding that offers {wanted}, not {offered}"),
        None => format!("exit to a binding that offers {wanted}"),
    }
}

/// No two bindings want one listening address.
pub(super) fn resources(plan: &Plan, problems: &mut Problems) {
    let mut listeners = HashMap::new();
    for name in &plan.file_order {
        let Some(node) = plan.nodes.get(name) else { continue };
        for Resource::Listener(address, span) in node.definition.resources() {
            if address.port() == 0 {
                continue;
            }
            if let Some((other, place)) = listeners.insert(address, (name, span.clone())) {
                problems.push_with(codes::E0501, || {
                    let message =
                        format!("`{name}` listens on {address}, and `{other}` does already");
                    Problem::new(codes::E0501, span, message)
                        .with_related(place, "first asked for here".to_owned())
                });
            }
        }
    }
}

/// The names, exits before those who exit to them. Each circle of exits is a problem, and then there
/// is no such order.
pub(super) fn order(plan: &Plan, problems: &mut Problems) -> Vec<NodeName> {
    let mut walk = Walk {
        plan,
        path: Vec::new(),
        on_path: HashMap::new(),
        done: HashSet::new(),
        order: Vec::new(),
    };
    for name in &plan.file_order {
        walk.from(name, problems);
    }
    walk.order
}

/// So many bindings of a circle are named.
const SHOWN: usize = 16;

struct Walk<'p> {
    plan: &'p Plan,
    /// The bindings from which the walk came here, each with its edges that are to be followed.
    path: Vec<(&'p NodeName, std::slice::Iter<'p, Exit>)>,
    /// Where on the path they are.
    on_path: HashMap<&'p NodeName, usize>,
    done: HashSet<&'p NodeName>,
    order: Vec<NodeName>,
}

impl<'p> Walk<'p> {
    fn from(&mut self, name: &'p NodeName, problems: &mut Problems) {
        self.enter(name);
        while let Some((name, exits)) = self.path.last_mut() {
            let name = *name;
            match exits.next() {
                Some(exit) => match self.on_path.get(&exit.name) {
                    Some(at) => problems.push_with(codes::E0303, || self.circle(*at, exit)),
                    None => self.enter(&exit.name),
                },
                None => {
                    self.path.pop();
                    self.on_path.remove(name);
                    self.done.insert(name);
                    self.order.push(name.clone());
                }
            }
        }
    }

    /// Goes on at a binding, unless it has been there. A name that does not exist has its own problem.
    fn enter(&mut self, name: &'p NodeName) {
        if !self.done.contains(name)
            && let Some(node) = self.plan.nodes.get(name)
        {
            self.on_path.insert(name, self.path.len());
            self.path.push((name, node.exits.iter()));
        }
    }

    /// The problem of an edge that leads back to a place on the path.
    fn circle(&self, at: usize, exit: &Exit) -> Problem {
        let names: Vec<String> =
            self.path[at..].iter().map(|(name, _)| format!("`{name}`")).take(SHOWN).collect();
        let more = (self.path.len() - at).saturating_sub(SHOWN);
        let more = if more > 0 { format!(" → … ({more} more)") } else { String::new() };
        let names = names.join(" → ");
        let message = format!("bindings exit in a circle: {names}{more} → `{}`", exit.name);
        Problem::new(codes::E0303, exit.span.clone(), message)
    }
}
