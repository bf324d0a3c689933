//! A plan: what a configuration asks to run.

use std::collections::{BTreeMap, BTreeSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use crate::config::{Config, NodeConfig, NodeName, Problem, Problems, Span, codes};
use crate::graph::check;
use crate::spi::{Catalog, Coupling, Definition, Exit};

/// What a configuration asks to run: every node defined, every edge checked.
#[derive(Default)]
pub struct Plan {
    pub(crate) nodes: BTreeMap<NodeName, PlanNode>,
    /// All names, exits before those who exit to them.
    pub(crate) order: Vec<NodeName>,
    /// All names, as the file has them.
    pub(crate) file_order: Vec<NodeName>,
}

/// A node of a [`Plan`].
pub struct PlanNode {
    /// The `type` of the YAML.
    pub type_name: String,
    /// The `kind` of the YAML.
    pub kind: String,
    /// Where the file names it.
    pub span: Span,
    /// The definition.
    pub definition: Arc<dyn Definition>,
    /// Its edges.
    pub exits: Vec<Exit>,
    /// Equal exactly where a node need not be touched: a hash of its type, kind, options and
    /// routes after expansion, and of the identities of what it holds by value.
    pub identity: u64,
}

impl Plan {
    /// The nodes by name.
    pub fn nodes(&self) -> impl Iterator<Item = (&NodeName, &PlanNode)> {
        self.nodes.iter()
    }

    /// How many nodes there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.nodes.len()
    }

    /// Whether there is no node.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.nodes.is_empty()
    }

    /// The hash of all identities: equal plans run alike.
    #[must_use]
    pub fn hash(&self) -> u64 {
        let mut hasher = DefaultHasher::new();
        for (name, node) in &self.nodes {
            (name, node.identity).hash(&mut hasher);
        }
        hasher.finish()
    }
}

/// Turns a configuration into a plan: defines every binding that is sound, then checks names,
/// planes, cycles and resources. Pure. `None` where a problem is an error, of those that are there
/// already too.
#[must_use]
pub fn build(config: &Config, catalog: &Catalog, problems: &mut Problems) -> Option<Plan> {
    let mut plan = Plan::default();
    let nodes = || config.namespaces.iter().flat_map(|namespace| &namespace.nodes);
    for node in nodes().filter(|node| node.is_sound) {
        let Some(kind) = catalog.binding(&node.type_name) else {
            let message = format!("binding type `{}` is not in this program", node.type_name);
            problems.push(Problem::new(codes::E0301, node.span_of("/type"), message));
            continue;
        };
        // What is wrong elsewhere is no matter of this one.
        let mut found = Problems::default();
        let definition = kind.define(node, &mut found);
        problems.append(found);
        let Some(definition) = definition else { continue };
        let mut hasher = DefaultHasher::new();
        node.canonical().hash(&mut hasher);
        let name = node.node_name();
        // A name that is taken has its own problem.
        if plan.nodes.contains_key(&name) {
            continue;
        }
        plan.file_order.push(name.clone());
        plan.nodes.insert(
            name,
            PlanNode {
                type_name: node.type_name.clone(),
                kind: node.kind.clone(),
                span: node.span.clone(),
                exits: definition.exits(),
                definition,
                identity: hasher.finish(),
            },
        );
    }
    let declared: BTreeSet<NodeName> = nodes().map(NodeConfig::node_name).collect();
    check::names_and_planes(&plan, &declared, problems);
    check::resources(&plan, problems);
    plan.order = check::order(&plan, problems);
    if problems.has_errors() {
        return None;
    }
    settle_identities(&mut plan);
    Some(plan)
}

/// A node that holds another by value changes when that one does.
fn settle_identities(plan: &mut Plan) {
    for name in &plan.order {
        let Some(node) = plan.nodes.get(name) else { continue };
        let mut hasher = DefaultHasher::new();
        node.identity.hash(&mut hasher);
        for exit in node.exits.iter().filter(|exit| exit.coupling == Coupling::Value) {
            plan.nodes.get(&exit.name).map(|target| target.identity).hash(&mut hasher);
        }
        let identity = hasher.finish();
        if let Some(node) = plan.nodes.get_mut(name) {
            node.identity = identity;
        }
    }
}
