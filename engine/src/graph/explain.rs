//! An action on its way through a plan: what each binding decides.

use std::any::Any;
use std::collections::HashMap;

use crate::config::{Config, NodeConfig, NodeName};
use crate::graph::Plan;
use crate::spi::{Action, Denial, Explained, Fact, Step, Trace};

/// What is decided about an action.
#[derive(Debug, Default)]
pub struct Explanation<'c> {
    /// The bindings that it comes to, in order.
    pub visits: Vec<Visit<'c>>,
    /// What they decide, by name.
    pub facts: Vec<(&'static str, Fact)>,
    /// Why it is refused, if it is.
    pub denial: Option<Denial>,
}

/// A binding that took part.
#[derive(Debug)]
pub struct Visit<'c> {
    /// The binding.
    pub node: &'c NodeConfig,
    /// The rules that it asked, in order.
    pub steps: Vec<Step>,
}

impl Visit<'_> {
    /// The rule of a step as the file writes its path: `routes[0].when[1]`; empty where the file
    /// has no such rule.
    #[must_use]
    pub fn rule(step: &Step) -> String {
        let mut rule = String::new();
        for segment in step.pointer.split('/').skip(1) {
            if segment.bytes().all(|byte| byte.is_ascii_digit()) {
                rule.push_str(&format!("[{segment}]"));
            } else {
                if !rule.is_empty() {
                    rule.push('.');
                }
                rule.push_str(segment);
            }
        }
        rule
    }
}

/// Lets an action begin where clients come in, and follows it.
///
/// # Errors
/// No binding takes it, or several do; in words, with why each of the others does not.
pub fn explain<'c>(
    plan: &Plan,
    config: &'c Config,
    action: &Action,
) -> Result<Explanation<'c>, String> {
    let nodes = config.namespaces.iter().flat_map(|namespace| &namespace.nodes);
    let walk = Walk { plan, nodes: nodes.map(|node| (node.node_name(), node)).collect() };
    let mut taking = Vec::new();
    let mut declined = Vec::new();
    for name in &plan.file_order {
        let is_root = plan.nodes.get(name).is_some_and(|node| node.definition.entry().is_none());
        let Some((node, explained)) = walk.ask(name, action).filter(|_| is_root) else { continue };
        match explained.declined {
            Some(why) => declined.push(format!("{name}: {why}")),
            None if explained.steps.is_empty() && explained.passed.is_empty() => {}
            None => taking.push((name, node, explained)),
        }
    }
    if taking.len() > 1 {
        let names: Vec<String> = taking.iter().map(|(name, ..)| name.to_string()).collect();
        return Err(format!("several bindings take it: {}; say more", names.join(", ")));
    }
    let Some((_, node, explained)) = taking.pop() else {
        if declined.is_empty() {
            return Err("no binding takes it: none listens for clients".to_owned());
        }
        return Err(declined.join("; "));
    };
    let mut explanation = Explanation::default();
    walk.follow(node, explained, &mut explanation);
    Ok(explanation)
}

struct Walk<'p, 'c> {
    plan: &'p Plan,
    nodes: HashMap<NodeName, &'c NodeConfig>,
}

impl<'c> Walk<'_, 'c> {
    fn ask(&self, name: &NodeName, action: &Action) -> Option<(&'c NodeConfig, Explained)> {
        let node = *self.nodes.get(name)?;
        let bounds = |exit: &NodeName| -> Option<Box<dyn Any>> {
            self.plan.nodes.get(exit)?.definition.bounds()
        };
        let mut trace = Trace::new(node, &bounds);
        self.plan.nodes.get(name)?.definition.explain(action, &mut trace);
        Some((node, trace.into_explained()))
    }

    /// The graph has no cycles, so that this comes to an end.
    fn follow(
        &self,
        node: &'c NodeConfig,
        explained: Explained,
        explanation: &mut Explanation<'c>,
    ) {
        if !explained.steps.is_empty() {
            explanation.visits.push(Visit { node, steps: explained.steps });
        }
        explanation.facts.extend(explained.facts);
        if explained.denial.is_some() {
            explanation.denial = explained.denial;
        }
        for (exit, action) in explained.passed {
            if let Some((node, explained)) = self.ask(&exit, &action) {
                self.follow(node, explained, explanation);
            }
        }
    }
}
