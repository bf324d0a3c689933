//! Files that are no configuration, checked against a schema of their own.

use serde_json::Value;

use crate::config::node::{Place, Places};
use crate::config::tree;
use crate::config::{Problem, Problems, Schema, Source, Span, codes};

/// A document of such a file.
#[derive(Debug)]
pub struct Plain {
    /// What it says.
    pub value: Value,
    places: Places,
    source: Source,
}

/// Parses a file and checks each of its documents. Expressions are texts here. `None` where a
/// problem is an error.
#[must_use]
pub fn load_plain(source: &Source, schema: &Schema, problems: &mut Problems) -> Option<Vec<Plain>> {
    let mut found = Problems::default();
    let documents = read(source, schema, &mut found).filter(|_| !found.has_errors());
    problems.append(found);
    documents
}

fn read(source: &Source, schema: &Schema, problems: &mut Problems) -> Option<Vec<Plain>> {
    let mut trees = tree::parse(source, problems)?;
    // A separator without a document after it is no document.
    trees.retain(|tree| !tree.is_null());
    if trees.is_empty() {
        problems.push(Problem::new(codes::E0102, source.span(0, 0), "the file says nothing"));
        return None;
    }
    let check = |tree: tree::Tree| {
        let document = tree.into_document(problems);
        schema.validate(&document, problems);
        Plain { value: document.value, places: document.places, source: source.clone() }
    };
    Some(trees.into_iter().map(check).collect())
}

impl Plain {
    /// The place of the value at a JSON pointer, or of the nearest value around it.
    #[must_use]
    pub fn span_of(&self, pointer: &str) -> Span {
        self.place(pointer).map_or_else(|| self.source.span(0, 0), |place| place.value.clone())
    }

    /// The place of the key of the value at a JSON pointer, as [`Plain::span_of`].
    #[must_use]
    pub fn key_span_of(&self, pointer: &str) -> Span {
        self.place(pointer).map_or_else(|| self.source.span(0, 0), |place| place.key.clone())
    }

    fn place(&self, pointer: &str) -> Option<&Place> {
        let mut pointer = pointer;
        loop {
            if let Some(place) = self.places.get(pointer) {
                return Some(place);
            }
            pointer = pointer.rsplit_once('/')?.0;
        }
    }
}
