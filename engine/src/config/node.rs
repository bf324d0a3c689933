//! A configuration after parsing, expansion and the check against the schema.

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;

use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::config::tree::{push_segment, shortened};
use crate::config::{Problem, Problems, Span, codes};

/// A configuration.
#[derive(Clone, Debug, Default)]
pub struct Config {
    /// One for each document of the file, in order.
    pub namespaces: Vec<Namespace>,
}

/// One document of a file.
#[derive(Clone, Debug)]
pub struct Namespace {
    /// Its `name`.
    pub name: Arc<str>,
    /// Its bindings, as the file has them.
    pub nodes: Vec<NodeConfig>,
}

/// A binding's name with its namespace; written `namespace:name`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeName {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name within it.
    pub name: Arc<str>,
}

impl NodeName {
    /// A name.
    #[must_use]
    pub fn new(namespace: &str, name: &str) -> Self {
        Self { namespace: namespace.into(), name: name.into() }
    }
}

impl fmt::Display for NodeName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.namespace.is_empty() {
            // The file does not say, which is an error of its own.
            return f.write_str(&self.name);
        }
        write!(f, "{}:{}", self.namespace, self.name)
    }
}

/// The name of an exit, and where the file has it.
#[derive(Clone, Debug)]
pub struct ExitName {
    /// The binding it leads to.
    pub name: NodeName,
    /// Where the file names it.
    pub span: Span,
}

/// Where a value lies, the key it belongs to, and what it was made from.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) key: Span,
    pub(super) value: Span,
    pub(super) origin: Origin,
}

/// What a value was made from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Origin {
    /// The file alone.
    File,
    /// An expression has put something into it that may be secret: no message shows it.
    Environment,
    /// It could not be made, which has been reported; nothing more is said about it.
    Unresolved,
}

/// The places of the values of a document, by JSON pointer.
pub(super) type Places = HashMap<String, Place>;

/// One binding.
#[derive(Clone, Debug)]
pub struct NodeConfig {
    /// The namespace.
    pub namespace: Arc<str>,
    /// The name.
    pub name: Arc<str>,
    /// `type`.
    pub type_name: String,
    /// `kind`; empty where the type has only one and the file does not name it.
    pub kind: String,
    /// Where the file names it.
    pub span: Span,
    /// Everything below its name, expanded.
    pub value: Value,
    /// Whether it is what the schema wants of it. Otherwise that has been reported, and nothing
    /// further can be said.
    pub is_sound: bool,
    pub(super) places: Arc<Places>,
    /// The JSON pointer of the binding in its document.
    pub(super) pointer: String,
}

/// One route of a binding.
#[derive(Clone, Debug)]
pub struct RouteConfig<'a> {
    /// The JSON pointer below the binding: `/routes/0`.
    pub pointer: String,
    /// Where it leads; `None`: the file does not say.
    pub exit: Option<ExitName>,
    /// The whole route.
    pub value: &'a Value,
}

impl NodeConfig {
    /// Its name with its namespace.
    #[must_use]
    pub fn node_name(&self) -> NodeName {
        NodeName { namespace: Arc::clone(&self.namespace), name: Arc::clone(&self.name) }
    }

    /// The place of the value at a JSON pointer below the binding (`/options/port`), or of the
    /// nearest value around it that the file has.
    #[must_use]
    pub fn span_of(&self, pointer: &str) -> Span {
        self.place(pointer).map_or_else(|| self.span.clone(), |place| place.value.clone())
    }

    /// The place of the key of the value at a JSON pointer, as [`NodeConfig::span_of`].
    #[must_use]
    pub fn key_span_of(&self, pointer: &str) -> Span {
        self.place(pointer).map_or_else(|| self.span.clone(), |place| place.key.clone())
    }

    /// A text that is part of the value at a JSON pointer, for messages: as it is, or as the file
    /// writes the value where that comes from the environment, since it may be secret.
    #[must_use]
    pub fn shown(&self, pointer: &str, text: &str) -> String {
        if self.is_from_file(pointer) {
            return shortened(text);
        }
        let span = self.span_of(pointer);
        shortened(span.text().lines().next().unwrap_or_default())
    }

    fn place(&self, pointer: &str) -> Option<&Place> {
        let mut pointer = pointer;
        while !pointer.is_empty() {
            if let Some(place) = self.places.get(&format!("{}{pointer}", self.pointer)) {
                return Some(place);
            }
            pointer = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
        }
        None
    }

    /// A text that is equal exactly where the binding asks for the same: type, kind, options,
    /// routes and exits, map order and spelling aside.
    #[must_use]
    pub fn canonical(&self) -> String {
        let mut text = String::new();
        write_canonical(&self.value, &mut text);
        text
    }

    /// The binding that `name`, as this binding's file has it, means.
    #[must_use]
    pub fn resolve(&self, name: &str) -> NodeName {
        match name.split_once(':') {
            Some((namespace, name)) => NodeName::new(namespace, name),
            None => NodeName { namespace: Arc::clone(&self.namespace), name: name.into() },
        }
    }

    /// `exit`.
    #[must_use]
    pub fn exit(&self) -> Option<ExitName> {
        self.exit_at(&self.value, "")
    }

    fn exit_at(&self, value: &Value, pointer: &str) -> Option<ExitName> {
        let name = value.get("exit")?.as_str()?;
        Some(ExitName { name: self.resolve(name), span: self.span_of(&format!("{pointer}/exit")) })
    }

    /// `routes`, in order.
    #[must_use]
    pub fn routes(&self) -> Vec<RouteConfig<'_>> {
        let routes = self.value.get("routes").and_then(Value::as_array);
        let each = |(index, value)| {
            let pointer = format!("/routes/{index}");
            RouteConfig { exit: self.exit_at(value, &pointer), pointer, value }
        };
        routes.into_iter().flatten().enumerate().map(each).collect()
    }

    /// The value at a JSON pointer below the binding as a `T`; an absent value as an empty map.
    /// A mismatch that the schema let pass is a problem at the nearest place.
    pub fn parse<T: DeserializeOwned>(&self, pointer: &str, problems: &mut Problems) -> Option<T> {
        let empty = Value::Object(serde_json::Map::new());
        let value = self.value.pointer(pointer).unwrap_or(&empty);
        match T::deserialize(value) {
            Ok(parsed) => Some(parsed),
            Err(error) => {
                let message = if self.is_from_file(pointer) {
                    error.to_string()
                } else {
                    "a value here does not have the form that is expected; it comes from the \
                     environment and is not shown"
                        .to_owned()
                };
                problems.push(Problem::new(codes::E0209, self.span_of(pointer), message));
                None
            }
        }
    }

    /// Whether no value at or below a JSON pointer came from the environment.
    fn is_from_file(&self, pointer: &str) -> bool {
        let mut at = format!("{}{pointer}", self.pointer);
        self.all_from_file(self.value.pointer(pointer).unwrap_or(&Value::Null), &mut at)
    }

    fn all_from_file(&self, value: &Value, pointer: &mut String) -> bool {
        if self.places.get(pointer).is_some_and(|place| place.origin == Origin::Environment) {
            return false;
        }
        let length = pointer.len();
        let mut is_below = |name: &str, value: &Value| {
            push_segment(pointer, name);
            let is_from_file = self.all_from_file(value, pointer);
            pointer.truncate(length);
            is_from_file
        };
        match value {
            Value::Object(map) => map.iter().all(|(name, value)| is_below(name, value)),
            Value::Array(list) => {
                let mut items = list.iter().enumerate();
                items.all(|(index, value)| is_below(&index.to_string(), value))
            }
            _ => true,
        }
    }
}

fn write_canonical(value: &Value, text: &mut String) {
    match value {
        Value::Object(map) => {
            let mut keys: Vec<&String> = map.keys().collect();
            keys.sort_unstable();
            text.push('{');
            for key in keys {
                text.push_str(&Value::String(key.clone()).to_string());
                text.push(':');
                write_canonical(&map[key], text);
                text.push(',');
            }
            text.push('}');
        }
        Value::Array(list) => {
            text.push('[');
            for item in list {
                write_canonical(item, text);
                text.push(',');
            }
            text.push(']');
        }
        scalar => text.push_str(&scalar.to_string()),
    }
}
