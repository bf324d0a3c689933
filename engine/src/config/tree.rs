//! YAML as a tree that remembers positions.
//!
//! The dialect is YAML 1.2's core schema, narrowed: see [`scalar`]. A merge key (`<<`) is a key
//! like any other, as in YAML 1.2.

mod compose;
mod scalar;
mod syntax;
#[cfg(test)]
mod tests;

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::config::node::{Origin, Place, Places};
use crate::config::{Problem, Problems, Source, Span, codes};

pub(super) use scalar::Tag;
pub(super) use syntax::shortened;

/// Values nest at most so deep, levels. Everything that walks a tree may recurse.
pub(super) const DEPTH: usize = 64;

/// One document of a file.
#[derive(Clone, Debug)]
pub(super) struct Tree {
    /// Where the value lies; for an alias, where the alias is.
    pub(super) span: Span,
    pub(super) content: Content,
}

#[derive(Clone, Debug)]
pub(super) enum Content {
    Scalar(Scalar),
    List(Vec<Tree>),
    /// In the order of the file, each key once.
    Map(Vec<(Key, Tree)>),
}

/// The key of an entry of a map.
#[derive(Clone, Debug)]
pub(super) struct Key {
    pub(super) text: String,
    pub(super) span: Span,
}

/// A scalar whose type is not settled yet: expressions come first.
#[derive(Clone, Debug)]
pub(super) struct Scalar {
    pub(super) text: String,
    /// Whether it is written without quotes and not as a block: only then its text decides its
    /// type.
    pub(super) is_plain: bool,
    pub(super) tag: Option<Tag>,
    pub(super) origin: Origin,
}

/// A document as JSON, with the places of its values.
#[derive(Debug)]
pub(super) struct Document {
    pub(super) value: Value,
    pub(super) places: Places,
}

/// Parses a file into its documents. `None` where the text is not YAML; the problem says where.
/// Problems that leave the structure readable (a key given twice, an unknown tag) are reported too,
/// and the rest of the tree is returned.
pub(super) fn parse(source: &Source, problems: &mut Problems) -> Option<Vec<Tree>> {
    syntax::check_characters(source, problems)?;
    compose::compose(source, problems)
}

impl Tree {
    /// Whether it is a null: `null`, `~`, or nothing.
    pub(super) fn is_null(&self) -> bool {
        match &self.content {
            Content::Scalar(scalar) => matches!(scalar.resolve(), Ok(Value::Null)),
            Content::List(_) | Content::Map(_) => false,
        }
    }

    /// The tree as JSON. A scalar that does not fit its tag is a problem, and a null.
    pub(super) fn into_document(self, problems: &mut Problems) -> Document {
        let mut places = HashMap::new();
        let key = match &self.content {
            Content::Map(entries) => entries.first().map(|(key, _)| key.span.clone()),
            Content::Scalar(_) | Content::List(_) => None,
        };
        let key = key.unwrap_or_else(|| self.span.clone());
        let value = into_value(self, key, &mut String::new(), &mut places, problems);
        Document { value, places }
    }
}

fn into_value(
    tree: Tree,
    key: Span,
    pointer: &mut String,
    places: &mut Places,
    problems: &mut Problems,
) -> Value {
    let Tree { span, content } = tree;
    let mut origin = Origin::File;
    let value = match content {
        Content::Scalar(scalar) => {
            origin = scalar.origin;
            scalar.resolve().unwrap_or_else(|message| {
                problems.push(Problem::new(codes::E0106, span.clone(), message));
                origin = Origin::Unresolved;
                Value::Null
            })
        }
        Content::List(items) => {
            let length = pointer.len();
            let mut list = Vec::with_capacity(items.len());
            for (index, item) in items.into_iter().enumerate() {
                pointer.push('/');
                pointer.push_str(&index.to_string());
                let span = item.span.clone();
                list.push(into_value(item, span, pointer, places, problems));
                pointer.truncate(length);
            }
            Value::Array(list)
        }
        Content::Map(entries) => {
            let length = pointer.len();
            let mut map = Map::with_capacity(entries.len());
            for (key, value) in entries {
                push_segment(pointer, &key.text);
                let value = into_value(value, key.span, pointer, places, problems);
                pointer.truncate(length);
                map.insert(key.text, value);
            }
            Value::Object(map)
        }
    };
    places.insert(pointer.clone(), Place { key, value: span, origin });
    value
}

/// Appends a property's name to a JSON pointer.
pub(super) fn push_segment(pointer: &mut String, name: &str) {
    pointer.push('/');
    if !name.contains(['~', '/']) {
        pointer.push_str(name);
        return;
    }
    for c in name.chars() {
        match c {
            '~' => pointer.push_str("~0"),
            '/' => pointer.push_str("~1"),
            c => pointer.push(c),
        }
    }
}
