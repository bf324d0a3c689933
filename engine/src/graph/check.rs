//! Checks of a plan as a graph.

use std::collections::{BTreeSet, HashMap};

use crate::config::{NodeName, Problem, Problems, codes, suggest};
use crate::graph::Plan;
use crate::spi::Resource;

/// Every edge leads to a binding that offers the plane that the edge wants.
pub(super) fn names_and_planes(plan: &Plan, problems: &mut Problems) {
    for (name, node) in &plan.nodes {
        let mut reported = BTreeSet::new();
        for exit in &node.exits {
            if !reported.insert((&exit.name, exit.span.line(), exit.span.column())) {
                continue;
            }
            let Some(target) = plan.nodes.get(&exit.name) else {
                let message = format!("binding `{}` does not exist", exit.name);
                let names: Vec<String> = plan.nodes.keys().map(ToString::to_string).collect();
                let mut problem = Problem::new(codes::E0302, exit.span.clone(), message);
                if let Some(close) =
                    suggest(&exit.name.to_string(), names.iter().map(String::as_str))
                {
                    problem = problem.with_help(format!("did you mean `{close}`?"));
                }
                problems.push(problem);
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
                let message = format!("`{name}` listens on {address}, and `{other}` does already");
                problems.push(
                    Problem::new(codes::E0501, span, message)
                        .with_related(place, "first asked for here".to_owned()),
                );
            }
        }
    }
}

/// The names, exits before those who exit to them; `None` with a problem where there is a cycle.
pub(super) fn order(plan: &Plan, problems: &mut Problems) -> Option<Vec<NodeName>> {
    let mut done = BTreeSet::new();
    let mut order = Vec::with_capacity(plan.nodes.len());
    let mut path = Vec::new();
    for name in &plan.file_order {
        visit(plan, name, &mut path, &mut done, &mut order, problems)?;
    }
    Some(order)
}

fn visit<'p>(
    plan: &'p Plan,
    name: &'p NodeName,
    path: &mut Vec<&'p NodeName>,
    done: &mut BTreeSet<&'p NodeName>,
    order: &mut Vec<NodeName>,
    problems: &mut Problems,
) -> Option<()> {
    if done.contains(name) {
        return Some(());
    }
    let node = plan.nodes.get(name)?;
    path.push(name);
    for exit in &node.exits {
        if let Some(at) = path.iter().position(|earlier| **earlier == exit.name) {
            let cycle: Vec<String> = path[at..].iter().map(|name| format!("`{name}`")).collect();
            let message = format!(
                "bindings exit in a circle: {} → `{name}`",
                cycle.join(" → "),
                name = exit.name
            );
            problems.push(Problem::new(codes::E0303, exit.span.clone(), message));
            return None;
        }
        // A name that does not exist has its own problem.
        if plan.nodes.contains_key(&exit.name) {
            visit(plan, &exit.name, path, done, order, problems)?;
        }
    }
    path.pop();
    done.insert(name);
    order.push(name.clone());
    Some(())
}
