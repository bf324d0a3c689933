//! The schema as editors get it: wherever a file may have an expression in place of a scalar, one is
//! right too.
//!
//! `zilla validate` looks at values after expressions are replaced, and so with the schema as it is.
//! An editor has the file as it is written: there `port: ${{env.PORT}}` is a string.

use serde_json::{Map, Value, json};

/// The definition of what may stand in place of a scalar.
const EXPRESSION: &str = "expression";

/// What a schema says of a property beside what it accepts.
const ANNOTATIONS: [&str; 6] = [
    "title",
    "description",
    "default",
    "examples",
    "deprecated",
    crate::config::schema::state::KEYWORD,
];

/// A merged schema, with expressions.
pub(super) fn with_expressions(merged: &Value) -> Value {
    let mut schema = merged.clone();
    widen(&mut schema, "");
    // After a separator at the end of the file, editors see a document that has nothing.
    if let Some(kind) = schema.get_mut("type").filter(|kind| *kind == "object") {
        *kind = json!(["object", "null"]);
    }
    if let Some(definitions) = schema.pointer_mut("/$defs").and_then(Value::as_object_mut) {
        let expression = json!({
            "description": "The value of an environment variable: ${{env.NAME}}, also within a longer text.",
            "type": "string",
            "pattern": r"\$\{\{\s*env\.[^\s{}]+\s*\}\}",
        });
        definitions.insert(EXPRESSION.to_owned(), expression);
    }
    schema
}

/// Widens what lies in a schema, and the schema itself if it is that of a scalar. `path` is where it
/// lies in the merged schema.
fn widen(schema: &mut Value, path: &str) {
    let Value::Object(keywords) = schema else { return };
    for (keyword, value) in keywords.iter_mut() {
        let within = format!("{path}/{keyword}");
        match (keyword.as_str(), value) {
            ("properties" | "patternProperties" | "$defs", Value::Object(schemas)) => {
                for (name, schema) in schemas {
                    let path = format!("{within}/{name}");
                    if !is_literal(&path) {
                        widen(schema, &path);
                    }
                }
            }
            ("anyOf" | "oneOf", Value::Array(branches)) => {
                branches
                    .iter_mut()
                    .filter(|branch| !is_scalar(branch))
                    .for_each(|branch| widen(branch, &within));
                // Once is enough, and of `oneOf` more would be wrong.
                if branches.iter().any(is_scalar) {
                    branches.push(expression());
                }
            }
            ("allOf" | "prefixItems", Value::Array(schemas)) => {
                schemas.iter_mut().for_each(|schema| widen(schema, &within));
            }
            // A condition stays: what it decides is not known before an expression is replaced.
            ("items" | "additionalProperties" | "then" | "else", schema) => widen(schema, &within),
            _ => {}
        }
    }
    if is_scalar(schema) {
        widen_scalar(schema);
    }
}

/// Whether the engine takes no expression at a place.
fn is_literal(path: &str) -> bool {
    path.ends_with("/properties/kind") || path == "/properties/telemetry/properties/metrics"
}

/// Whether a schema is that of scalars, and not of any string.
fn is_scalar(schema: &Value) -> bool {
    let names = match schema.get("type") {
        Some(Value::String(name)) => vec![name.as_str()],
        Some(Value::Array(names)) => names.iter().filter_map(Value::as_str).collect(),
        _ => Vec::new(),
    };
    let is_bound = ["enum", "const", "pattern", "format", "maxLength"]
        .iter()
        .any(|bound| schema.get(bound).is_some());
    if names.contains(&"string") {
        is_bound
    } else {
        let is_listed = schema.get("enum").is_some();
        is_listed || names.iter().any(|name| ["integer", "number", "boolean"].contains(name))
    }
}

fn widen_scalar(schema: &mut Value) {
    let Value::Object(keywords) = schema else { return };
    let is_annotation = |name: &String| ANNOTATIONS.contains(&name.as_str());
    let (mut outside, inside): (Map<String, Value>, Map<String, Value>) =
        std::mem::take(keywords).into_iter().partition(|(name, _)| is_annotation(name));
    outside.insert("anyOf".to_owned(), Value::Array(vec![Value::Object(inside), expression()]));
    *keywords = outside;
}

fn expression() -> Value {
    json!({ "$ref": format!("#/$defs/{EXPRESSION}") })
}
