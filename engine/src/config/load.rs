//! From a file's text to a configuration.

mod holders;
mod idle;
mod names;
mod routes;
mod sound;
#[cfg(test)]
mod tests;

use std::collections::HashMap;
use std::sync::Arc;

use serde_json::Value;

use crate::config::expr::Expander;
use crate::config::load::names::References;
use crate::config::load::sound::Errors;
use crate::config::tree::{self, Document, push_segment};
use crate::config::{
    Config, Environment, Namespace, NodeConfig, NodeName, Problem, Problems, Schema, Source, Span,
    codes,
};

/// Parses, expands and checks a file. All problems are reported; `None` where one is an error.
///
/// A text that is not YAML has one problem, the first. Otherwise expressions, the schema and the
/// names are checked in all documents, so that one look at the file mends all.
#[must_use]
pub fn load(
    source: &Source,
    schema: &Schema,
    environment: &dyn Environment,
    problems: &mut Problems,
) -> Option<Config> {
    // The caller may have problems already, of another file.
    let mut found = Problems::default();
    let config = load_sound(source, schema, environment, &mut found);
    let config = config.filter(|_| !found.has_errors());
    problems.append(found);
    config
}

/// The same, and where something is an error, what can be checked further all the same: see
/// [`NodeConfig::is_sound`]. `None` where nothing can.
#[must_use]
pub fn load_sound(
    source: &Source,
    schema: &Schema,
    environment: &dyn Environment,
    problems: &mut Problems,
) -> Option<Config> {
    let mut found = Problems::default();
    let config = read(source, schema, environment, &mut found);
    problems.append(found);
    config
}

fn read(
    source: &Source,
    schema: &Schema,
    environment: &dyn Environment,
    problems: &mut Problems,
) -> Option<Config> {
    let mut trees = tree::parse(source, problems)?;
    // A separator without a document after it is no document.
    trees.retain(|tree| !tree.is_null());
    if trees.is_empty() {
        problems.push(
            Problem::new(codes::E0102, source.span(0, 0), "the file says nothing")
                .with_help("it needs at least `name: …`"),
        );
        return None;
    }
    let mut config = Config::default();
    let mut names = Names::default();
    let mut references = References::default();
    let mut documents = Vec::with_capacity(trees.len());
    let mut first_matches = Vec::with_capacity(trees.len());
    let mut expander = Expander::new(environment);
    for mut tree in trees {
        expander.expand(&mut tree, problems);
        let mut document = tree.into_document(problems);
        let mut usage = schema.validate(&document, problems);
        idle::check(&document, problems);
        for pointer in &usage.ignored {
            remove(&mut document.value, pointer);
        }
        first_matches.push(std::mem::take(&mut usage.first_match));
        references.add(&document, usage);
        documents.push(document);
    }
    // A guard may lie in a document behind that of the binding.
    holders::fill(&mut documents, problems);
    let mut errors = Errors::default();
    for (document, first_match) in documents.into_iter().zip(first_matches) {
        errors.update(problems);
        let namespace = namespace(document, &errors, &mut names, problems);
        for node in &namespace.nodes {
            let routes = format!("{}/routes", node.pointer);
            routes::check(node, first_match.contains(&routes), problems);
        }
        config.namespaces.push(namespace);
    }
    references.check(problems);
    Some(config)
}

/// Takes a property out of a document. What has no effect is not there for a binding to read, and
/// a change of it changes nothing.
fn remove(value: &mut Value, pointer: &str) {
    let (parent, name) = pointer.rsplit_once('/').unwrap_or_default();
    let name = name.replace("~1", "/").replace("~0", "~");
    if let Some(Value::Object(map)) = value.pointer_mut(parent) {
        map.shift_remove(&name);
    }
}

/// What has a name, and where.
#[derive(Default)]
struct Names {
    namespaces: HashMap<String, Span>,
    bindings: HashMap<NodeName, Span>,
}

/// A document as a namespace. Names that are taken are problems.
fn namespace(
    document: Document,
    errors: &Errors,
    names: &mut Names,
    problems: &mut Problems,
) -> Namespace {
    let Document { mut value, places } = document;
    let unsound = errors.bindings(&places);
    let places = Arc::new(places);
    // One without a name has its problem, and what is in it can be checked.
    let name: Arc<str> = value.get("name").and_then(Value::as_str).unwrap_or_default().into();
    let span = places.get("/name").map(|place| place.value.clone()).filter(|_| !name.is_empty());
    match (span, names.namespaces.get(&*name)) {
        (Some(span), Some(first)) => {
            let message = format!("two documents have the name `{name}`");
            problems.push(
                Problem::new(codes::E0304, span, message)
                    .with_help("give one of them another name, or make them one document")
                    .with_related(first.clone(), "the first is here"),
            );
        }
        (Some(span), None) => {
            names.namespaces.insert(name.to_string(), span);
        }
        (None, _) => {}
    }
    let mut nodes = Vec::new();
    if let Some(Value::Object(bindings)) = value.get_mut("bindings").map(Value::take) {
        for (binding, value) in bindings {
            let mut pointer = "/bindings".to_owned();
            push_segment(&mut pointer, &binding);
            let Some(span) = places.get(&pointer).map(|place| place.key.clone()) else { continue };
            let text = |property: &str| value.get(property).and_then(Value::as_str);
            let type_name = text("type").unwrap_or_default().to_owned();
            let kind = text("kind").unwrap_or_default().to_owned();
            let node = NodeConfig {
                namespace: Arc::clone(&name),
                name: binding.into(),
                type_name,
                kind,
                span: span.clone(),
                value,
                is_sound: !unsound.contains(&pointer),
                places: Arc::clone(&places),
                pointer,
            };
            let node_name = node.node_name();
            if let Some(first) = names.bindings.get(&node_name).filter(|_| !name.is_empty()) {
                let message = format!("two bindings have the name `{node_name}`");
                problems.push(
                    Problem::new(codes::E0304, span, message)
                        .with_related(first.clone(), "the first is here"),
                );
            } else {
                names.bindings.insert(node_name, span);
            }
            nodes.push(node);
        }
    }
    Namespace { name, nodes }
}
