//! The JSON Schema of a configuration, composed from what the binary contains.
//!
//! Two keywords of our own say what Zilla has and this version has not. `x-not-supported` beside
//! `enum` lists values, beside `additionalProperties` it lists properties, and as `true` it says
//! that the whole value is meant. `x-not-supported-kinds` lists kinds by binding type.

mod bounds;
mod explain;
#[cfg(test)]
mod tests;
mod union;
mod words;

use jsonschema::Validator;
use serde_json::{Map, Value, json};

use crate::config::tree::Document;
use crate::config::{Problem, Problems, codes};

/// A part of the schema that a binding type brings.
#[derive(Clone, Copy, Debug)]
pub struct Fragment {
    name: &'static str,
    text: &'static str,
}

impl Fragment {
    /// The schema of the bindings of a type, as JSON text.
    #[must_use]
    pub const fn binding(name: &'static str, text: &'static str) -> Self {
        Self { name, text }
    }
}

/// The schema of a whole configuration.
#[derive(Debug)]
pub struct Schema {
    merged: Value,
    /// Or why there is none: a fault of the program.
    validator: Result<Box<Validator>, String>,
}

/// Where the schema of all bindings lies in the merged schema.
const BINDING: &str = "/$defs/binding";

impl Schema {
    /// Composes the schema and compiles it. A part that is not a schema is reported by
    /// [`load`](crate::config::load).
    #[must_use]
    pub fn compose(fragments: &[Fragment]) -> Self {
        Self::compose_on(schema::ENGINE, fragments)
    }

    fn compose_on(base: &str, fragments: &[Fragment]) -> Self {
        match merge(base, fragments) {
            Ok(merged) => {
                let options = jsonschema::options().with_draft(jsonschema::Draft::Draft202012);
                let validator = options.build(&merged);
                let validator = validator.map(Box::new).map_err(|error| error.to_string());
                Self { merged, validator }
            }
            Err(error) => Self { merged: Value::Bool(false), validator: Err(error) },
        }
    }

    /// The composed schema.
    #[must_use]
    pub fn merged(&self) -> Value {
        self.merged.clone()
    }

    /// Checks one document and reports all that is wrong with it.
    pub(super) fn validate(&self, document: &Document, problems: &mut Problems) {
        match &self.validator {
            Ok(validator) => {
                let explainer = explain::Explainer { schema: &self.merged, document };
                for error in validator.iter_errors(&document.value) {
                    explainer.explain(&error, problems);
                }
            }
            Err(error) => {
                let place = words::place(document, "");
                let message = format!("this program's own schema is broken: {error}");
                problems.push(Problem::new(codes::E0200, place.key.clone(), message));
            }
        }
    }
}

/// The base with one branch for each fragment: `if` the type is the fragment's, `then` the
/// fragment holds. Errors are then reported where they are, as under `oneOf` they would not be.
fn merge(base: &str, fragments: &[Fragment]) -> Result<Value, String> {
    let parse = |name: &str, text: &str| {
        serde_json::from_str::<Value>(text).map_err(|error| format!("{name}: {error}"))
    };
    let mut merged = parse("engine", base)?;
    let mut branches = Vec::with_capacity(fragments.len());
    let mut parts = Map::new();
    for Fragment { name, text } in fragments {
        let mut part = parse(name, text)?;
        // It is a part now, not a document of its own.
        if let Some(part) = part.as_object_mut() {
            part.shift_remove("$schema");
        }
        let definition = definition(name);
        rebase(&mut part, &format!("#/$defs/{definition}"));
        branches.push(json!({
            "if": {
                "type": "object",
                "required": ["type"],
                "properties": { "type": { "const": name } },
            },
            "then": { "$ref": format!("#/$defs/{definition}") },
        }));
        parts.insert(definition, part);
    }
    let names = fragments.iter().map(|fragment| Value::from(fragment.name)).collect();
    let set = |merged: &mut Value, pointer: &str, value: Value| {
        let target = merged.pointer_mut(pointer).ok_or_else(|| format!("engine: no {pointer}"))?;
        *target = value;
        Ok::<(), String>(())
    };
    set(&mut merged, &format!("{BINDING}/properties/type/enum"), Value::Array(names))?;
    set(&mut merged, &format!("{BINDING}/allOf"), Value::Array(branches))?;
    if let Some(definitions) = merged.pointer_mut("/$defs").and_then(Value::as_object_mut) {
        definitions.append(&mut parts);
    }
    Ok(merged)
}

/// The name of a binding type's fragment among the definitions.
fn definition(type_name: &str) -> String {
    format!("binding-{type_name}")
}

/// References within a fragment hold in the merged schema too, and a condition on a property does
/// not hold where the property is missing: otherwise each branch would add its errors to the one
/// that says so.
fn rebase(value: &mut Value, root: &str) {
    match value {
        Value::Object(map) => {
            if let Some(Value::Object(condition)) = map.get_mut("if")
                && let Some(Value::Object(properties)) = condition.get("properties")
            {
                let names = properties.keys().cloned().map(Value::String).collect();
                condition.entry("required").or_insert(Value::Array(names));
            }
            for (key, value) in map {
                match value {
                    Value::String(target) if key == "$ref" => {
                        if let Some(rest) = target.strip_prefix('#') {
                            *target = format!("{root}{rest}");
                        }
                    }
                    value => rebase(value, root),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| rebase(value, root)),
        _ => {}
    }
}
