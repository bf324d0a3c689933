//! An action on its way through a plan: what each binding decides.

use std::any::Any;
use std::collections::HashMap;

use crate::config::{Config, NodeConfig, NodeName, Span};
use crate::graph::Plan;
use crate::spi::{Action, Denial, Explained, Fact, PropertyValues, Rule, Step, Trace, Verdict};

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
    pub asked: Vec<Asked<'c>>,
}

/// A rule that a binding asked.
#[derive(Debug)]
pub struct Asked<'c> {
    /// What it said.
    pub verdict: Verdict,
    /// Why, in words.
    pub why: String,
    /// The binding that has the rule: mostly the one that asked.
    pub node: &'c NodeConfig,
    /// The rule, a JSON pointer below that binding; empty: nothing of the file says so.
    pub pointer: String,
    /// The property of the run that is the rule, in place of one of the file.
    pub property: Option<&'static str>,
}

impl Asked<'_> {
    /// The rule as the file writes its path, `routes[0].when[1]`, or the name of the property; empty
    /// where neither is meant.
    #[must_use]
    pub fn rule(&self) -> String {
        if let Some(property) = self.property {
            return property.to_owned();
        }
        let mut rule = String::new();
        for segment in self.pointer.split('/').skip(1) {
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

    /// Whether the file leaves the rule to its default.
    #[must_use]
    pub fn is_default(&self) -> bool {
        self.node.value.pointer(&self.pointer).is_none()
    }

    /// Where the file has the rule; the place of the binding where it does not.
    #[must_use]
    pub fn span(&self) -> Span {
        self.node.span_of(if self.is_default() { "" } else { &self.pointer })
    }
}

/// Lets an action begin where clients come in, and follows it, in a run with these properties.
///
/// # Errors
/// No binding takes it, or several do; in words, with why each of the others does not.
pub fn explain<'c>(
    plan: &Plan,
    config: &'c Config,
    properties: &PropertyValues,
    action: &Action,
) -> Result<Explanation<'c>, String> {
    let nodes = config.namespaces.iter().flat_map(|namespace| &namespace.nodes);
    let nodes = nodes.map(|node| (node.node_name(), node)).collect();
    let walk = Walk { plan, properties, nodes };
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
    properties: &'p PropertyValues,
    nodes: HashMap<NodeName, &'c NodeConfig>,
}

impl<'c> Walk<'_, 'c> {
    fn ask(&self, name: &NodeName, action: &Action) -> Option<(&'c NodeConfig, Explained)> {
        let node = *self.nodes.get(name)?;
        let bounds = |exit: &NodeName| -> Option<Box<dyn Any>> {
            self.plan.nodes.get(exit)?.definition.bounds(self.properties)
        };
        let mut trace = Trace::new(node, self.properties, &bounds);
        self.plan.nodes.get(name)?.definition.explain(action, &mut trace);
        Some((node, trace.into_explained()))
    }

    fn asked(&self, node: &'c NodeConfig, step: Step) -> Asked<'c> {
        let Step { verdict, rule: Rule { of, pointer, property }, why } = step;
        let other = of.and_then(|name| self.nodes.get(&name).copied());
        Asked { verdict, why, node: other.unwrap_or(node), pointer, property }
    }

    /// The graph has no cycles, so that this comes to an end.
    fn follow(
        &self,
        node: &'c NodeConfig,
        explained: Explained,
        explanation: &mut Explanation<'c>,
    ) {
        if !explained.steps.is_empty() {
            let asked = explained.steps.into_iter().map(|step| self.asked(node, step)).collect();
            explanation.visits.push(Visit { node, asked });
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
