//! What is drawn of a plan, whatever draws it.

use std::collections::HashMap;

use crate::config::{Config, NodeConfig, NodeName};
use crate::graph::Plan;
use crate::spi::External;

/// A graph to draw.
#[derive(Debug, Default)]
pub(super) struct Diagram {
    /// The documents of the file, in order, each with its boxes.
    pub(super) namespaces: Vec<(String, Vec<usize>)>,
    /// The bindings, as the file has them.
    pub(super) boxes: Vec<Binding>,
    pub(super) edges: Vec<Edge>,
    /// What bindings read and write, each once.
    pub(super) topics: Vec<String>,
    /// The topics of bindings, both by index.
    pub(super) uses: Vec<(usize, usize)>,
}

#[derive(Debug)]
pub(super) struct Binding {
    /// With its namespace, where there are several.
    pub(super) name: String,
    /// Type and kind.
    pub(super) what: String,
    /// Addresses, guards.
    pub(super) notes: Vec<String>,
}

#[derive(Debug)]
pub(super) struct Edge {
    pub(super) from: usize,
    pub(super) to: usize,
    /// What goes this way, and by how many routes where it is not all.
    pub(super) label: String,
}

impl Diagram {
    /// `shown` is what may be shown of a value that may come from the environment.
    pub(super) fn new(config: &Config, plan: &Plan, shown: &dyn Fn(&str) -> String) -> Self {
        let mut diagram = Self::default();
        let has_several = config.namespaces.len() > 1;
        let mut indexes: HashMap<NodeName, usize> = HashMap::new();
        for namespace in &config.namespaces {
            let mut members = Vec::new();
            for node in &namespace.nodes {
                members.push(diagram.boxes.len());
                indexes.insert(node.node_name(), diagram.boxes.len());
                let name =
                    if has_several { node.node_name().to_string() } else { node.name.to_string() };
                let what = format!("{} {}", node.type_name, node.kind).trim().to_owned();
                diagram.boxes.push(Binding { name, what, notes: Vec::new() });
            }
            diagram.namespaces.push((namespace.name.to_string(), members));
        }
        for node in config.namespaces.iter().flat_map(|namespace| &namespace.nodes) {
            let name = node.node_name();
            if let (Some(from), Some(planned)) = (indexes.get(&name), plan.nodes.get(&name)) {
                for exit in &planned.exits {
                    let Some(to) = indexes.get(&exit.name) else { continue };
                    if !diagram.edges.iter().any(|edge| edge.from == *from && edge.to == *to) {
                        let label = label(node, &exit.name, exit.plane);
                        diagram.edges.push(Edge { from: *from, to: *to, label });
                    }
                }
                diagram.annotate(*from, planned.definition.externals(), guards(node), shown);
            }
        }
        diagram
    }

    fn annotate(
        &mut self,
        at: usize,
        externals: Vec<External>,
        guards: Vec<String>,
        shown: &dyn Fn(&str) -> String,
    ) {
        for external in externals {
            match external {
                External::Address(address) => {
                    if let Some(binding) = self.boxes.get_mut(at) {
                        binding.notes.push(shown(&address));
                    }
                }
                External::Topic(topic) => {
                    let topic = shown(&topic);
                    let index = self.topics.iter().position(|known| *known == topic);
                    let index = index.unwrap_or_else(|| {
                        self.topics.push(topic);
                        self.topics.len() - 1
                    });
                    if !self.uses.contains(&(at, index)) {
                        self.uses.push((at, index));
                    }
                }
            }
        }
        if let Some(binding) = self.boxes.get_mut(at) {
            binding.notes.extend(guards.into_iter().map(|guard| format!("guard {guard}")));
        }
    }

    /// The topics of a binding.
    pub(super) fn topics_of(&self, at: usize) -> impl Iterator<Item = &str> {
        let used = self.uses.iter().filter(move |(user, _)| *user == at);
        used.filter_map(|(_, topic)| self.topics.get(*topic).map(String::as_str))
    }

    /// The edges that leave a binding, in the order of the file.
    pub(super) fn edges_of(&self, at: usize) -> impl Iterator<Item = &Edge> {
        self.edges.iter().filter(move |edge| edge.from == at)
    }

    /// The bindings that nothing exits to.
    pub(super) fn roots(&self) -> impl Iterator<Item = usize> {
        (0..self.boxes.len()).filter(|at| !self.edges.iter().any(|edge| edge.to == *at))
    }
}

/// The plane, with how many of the routes lead there where there are several ways.
fn label(node: &NodeConfig, target: &NodeName, plane: &str) -> String {
    let routes = node.routes();
    let leading = routes.iter().filter_map(|route| route.exit.as_ref());
    let count = leading.filter(|exit| exit.name == *target).count();
    let is_exit = node.exit().is_some_and(|exit| exit.name == *target);
    match (count, is_exit) {
        (0, _) => plane.to_owned(),
        (1, false) => format!("{plane}, 1 route"),
        (count, false) => format!("{plane}, {count} routes"),
        (1, true) => format!("{plane}, exit and 1 route"),
        (count, true) => format!("{plane}, exit and {count} routes"),
    }
}

/// The guards that a binding names.
fn guards(node: &NodeConfig) -> Vec<String> {
    let mut names = Vec::new();
    let routes = node.routes();
    let guarded = routes.iter().filter_map(|route| route.value.get("guarded"));
    for map in node.value.pointer("/options/authorization").into_iter().chain(guarded) {
        for name in map.as_object().into_iter().flat_map(|map| map.keys()) {
            if !names.contains(name) {
                names.push(name.clone());
            }
        }
    }
    names
}
