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
        let key = match &self.content {
            Content::Map(entries) => entries.first().map(|(key, _)| key.span.clone()),
            Content::Scalar(_) | Content::List(_) => None,
        };
        let key = key.unwrap_or_else(|| self.span.clone());
        let mut walk =
            Walk { pointer: String::new(), places: HashMap::new(), rest: POINTERS, problems };
        let value = walk.value(self, key);
        Document { value, places: walk.places }
    }
}

/// The pointers to all values of a document have at most so many bytes together: a name that is as
/// long as the file is part of that of everything within. What has none has the place of what is
/// around it.
const POINTERS: usize = 256 << 20;

struct Walk<'p> {
    /// The pointer of the value that the walk is at.
    pointer: String,
    places: Places,
    /// How many bytes of pointers are left.
    rest: usize,
    problems: &'p mut Problems,
}

impl Walk<'_> {
    fn value(&mut self, tree: Tree, key: Span) -> Value {
        let Tree { span, content } = tree;
        let mut origin = Origin::File;
        let length = self.pointer.len();
        let value = match content {
            Content::Scalar(scalar) => {
                origin = scalar.origin;
                scalar.resolve().unwrap_or_else(|message| {
                    self.problems.push(Problem::new(codes::E0106, span.clone(), message));
                    origin = Origin::Unresolved;
                    Value::Null
                })
            }
            Content::List(items) => {
                let mut list = Vec::with_capacity(items.len());
                for (index, item) in items.into_iter().enumerate() {
                    self.pointer.push('/');
                    self.pointer.push_str(&index.to_string());
                    let span = item.span.clone();
                    list.push(self.value(item, span));
                    self.pointer.truncate(length);
                }
                Value::Array(list)
            }
            Content::Map(entries) => {
                let mut map = Map::with_capacity(entries.len());
                for (key, value) in entries {
                    push_segment(&mut self.pointer, &key.text);
                    let value = self.value(value, key.span);
                    self.pointer.truncate(length);
                    map.insert(key.text, value);
                }
                Value::Object(map)
            }
        };
        self.keep(Place { key, value: span, origin });
        value
    }

    /// Remembers the place of the value that the walk is at.
    fn keep(&mut self, place: Place) {
        match self.rest.checked_sub(self.pointer.len()) {
            Some(rest) => {
                self.rest = rest;
                self.places.insert(self.pointer.clone(), place);
            }
            None => self.problems.push_with(codes::E0107, || {
                Problem::new(codes::E0107, place.key, "the names around this value are too long")
                    .with_help("shorten them")
            }),
        }
    }
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
