//! The JSON Schema of a configuration, composed from what the binary contains.
//!
//! Beside each property stands `x-zilla`: what this version makes of it ([`State`]). It is the one
//! table of that: [`load`](crate::config::load) reports by it, the documentation is written from
//! it, and editors get it with the schema. `schema/README.md` describes its form.

mod applies;
mod bounds;
mod compose;
mod documentation;
mod editor;
mod explain;
mod keywords;
mod state;
mod table;
#[cfg(test)]
mod tests;
mod union;
mod usage;
mod words;

use std::collections::BTreeSet;

use jsonschema::Validator;
use serde_json::Value;

use crate::config::tree::{self, Document};
use crate::config::{Problem, Problems, Source, codes};

pub use state::State;
pub(super) use usage::{Reference, Usage};

/// A part of the schema: that of one type of binding, guard, vault and so on.
#[derive(Clone, Copy, Debug)]
pub struct Fragment {
    section: &'static str,
    name: &'static str,
    text: &'static str,
}

impl Fragment {
    /// The schema of the bindings of a type, as JSON text.
    #[must_use]
    pub const fn binding(name: &'static str, text: &'static str) -> Self {
        Self { section: "binding", name, text }
    }
}

/// The schema of a whole configuration.
#[derive(Debug)]
pub struct Schema {
    merged: Value,
    /// Or why there is none: a fault of the program.
    validator: Result<Box<Validator>, String>,
}

impl Schema {
    /// Composes the schema of all that a file may have and compiles it; `bindings` stand for those
    /// of the same types. A part that is not a schema is reported by
    /// [`load`](crate::config::load).
    #[must_use]
    pub fn compose(bindings: &[Fragment]) -> Self {
        let is_given = |part: &schema::Part| {
            bindings.iter().any(|one| one.section == part.section && one.name == part.name)
        };
        let fragment = |part: &schema::Part| {
            let schema::Part { section, name, text } = *part;
            Fragment { section, name, text }
        };
        let rest = schema::PARTS.iter().filter(|part| !is_given(part)).map(fragment);
        let fragments: Vec<Fragment> = bindings.iter().copied().chain(rest).collect();
        Self::compose_on(schema::ENGINE, &fragments)
    }

    /// Compiles a schema that is whole, of a file that is no configuration.
    #[must_use]
    pub fn whole(merged: Value) -> Self {
        let options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012);
        let validator = options.build(&merged);
        let validator = validator.map(Box::new).map_err(|error| error.to_string());
        Self { merged, validator }
    }

    fn compose_on(base: &str, fragments: &[Fragment]) -> Self {
        match compose::merge(base, fragments) {
            Ok(merged) => Self::whole(merged),
            Err(error) => Self { merged: Value::Bool(false), validator: Err(error) },
        }
    }

    /// The composed schema, of files whose expressions are replaced.
    #[must_use]
    pub fn merged(&self) -> Value {
        self.merged.clone()
    }

    /// The composed schema for editors, which see the file as it is written: wherever an expression
    /// may stand in place of a scalar, it is right.
    #[must_use]
    pub fn for_editors(&self) -> Value {
        editor::with_expressions(&self.merged)
    }

    /// The page that describes every property: what it does, its default, its state, and what a
    /// reload with another value does to clients. As Markdown.
    #[must_use]
    pub fn documentation(&self) -> String {
        documentation::documentation(&self.merged)
    }

    /// The properties that a file uses, as JSON pointers into the merged schema. Of a text that is
    /// not YAML, none.
    #[must_use]
    pub fn properties_of(&self, source: &Source) -> BTreeSet<String> {
        let mut problems = Problems::default();
        let trees = tree::parse(source, &mut problems).unwrap_or_default();
        let documents = trees.into_iter().map(|tree| tree.into_document(&mut Problems::default()));
        documents
            .flat_map(|document| self.validated(&document, true, &mut problems).properties)
            .collect()
    }

    /// The properties that a file may have, as JSON pointers into the merged schema, each with its
    /// name for people and its state.
    #[must_use]
    pub fn properties(&self) -> Vec<(String, String, Option<State>)> {
        let named = |thing: &table::Thing<'_>| {
            let title = thing.title.unwrap_or("document").to_owned();
            let property = |property: &table::Property<'_>| {
                let name = format!("{title}: {}", property.path);
                (property.location.clone(), name, property.state)
            };
            thing.properties.iter().map(property).collect::<Vec<_>>()
        };
        table::things(&self.merged).iter().flat_map(named).collect()
    }

    /// Checks one document and reports all that is wrong with it, not supported or without effect.
    pub(super) fn validate(&self, document: &Document, problems: &mut Problems) -> Usage {
        self.validated(document, false, problems)
    }

    fn validated(
        &self,
        document: &Document,
        lists_properties: bool,
        problems: &mut Problems,
    ) -> Usage {
        match &self.validator {
            Ok(validator) => {
                let explainer = explain::Explainer { schema: &self.merged, document };
                for error in validator.iter_errors(&document.value) {
                    explainer.explain(&error, problems);
                }
                usage::usage(&explainer, lists_properties, problems)
            }
            Err(error) => {
                let place = words::place(document, "");
                let message = format!("this program's own schema is broken: {error}");
                problems.push(Problem::new(codes::E0200, place.key.clone(), message));
                Usage::default()
            }
        }
    }
}
