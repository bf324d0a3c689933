//! Which branches of the schema a value is in: as much of JSON Schema as conditions use.

use serde_json::{Map, Value};

/// The schema that a `$ref` beside `schema` leads to, and where it lies in `root`.
pub(super) fn referred<'a>(root: &'a Value, schema: &'a Value) -> Option<(&'a Value, &'a str)> {
    let pointer = schema.get("$ref")?.as_str()?.strip_prefix('#')?;
    // `Value::pointer` makes two strings of each segment, and this is asked for every value.
    let is_plain = !pointer.contains('~');
    let target = match pointer.strip_prefix('/').filter(|_| is_plain) {
        Some(path) => path.split('/').try_fold(root, |value, segment| match value {
            Value::Array(list) => list.get(segment.parse::<usize>().ok()?),
            value => value.get(segment),
        })?,
        None => root.pointer(pointer)?,
    };
    Some((target, pointer))
}

/// Whether a value has the shape that a schema asks for: its type, its constants and the
/// properties that it must have. Bounds and patterns are not looked at, so that a value that is
/// wrong in these is still known for what it was meant to be.
pub(super) fn applies(root: &Value, schema: &Value, value: &Value) -> bool {
    let Value::Object(keywords) = schema else { return schema != &Value::Bool(false) };
    if let Some((target, _)) = referred(root, schema)
        && !applies(root, target, value)
    {
        return false;
    }
    keywords.iter().all(|(keyword, wanted)| match (keyword.as_str(), wanted) {
        ("const", wanted) => value == wanted,
        ("enum", Value::Array(options)) => options.contains(value),
        ("type", Value::String(name)) => has_type(value, name),
        ("type", Value::Array(names)) => {
            names.iter().filter_map(Value::as_str).any(|name| has_type(value, name))
        }
        ("required", Value::Array(names)) => names
            .iter()
            .filter_map(Value::as_str)
            .all(|name| value.as_object().is_none_or(|properties| properties.contains_key(name))),
        ("properties", Value::Object(schemas)) => {
            value.as_object().is_none_or(|properties| all_apply(root, schemas, properties))
        }
        ("not", schema) => !applies(root, schema, value),
        ("allOf", Value::Array(all)) => all.iter().all(|schema| applies(root, schema, value)),
        ("anyOf" | "oneOf", Value::Array(any)) => {
            any.iter().any(|schema| applies(root, schema, value))
        }
        _ => true,
    })
}

fn all_apply(root: &Value, schemas: &Map<String, Value>, properties: &Map<String, Value>) -> bool {
    properties
        .iter()
        .all(|(name, value)| schemas.get(name).is_none_or(|schema| applies(root, schema, value)))
}

fn has_type(value: &Value, name: &str) -> bool {
    match name {
        "string" => value.is_string(),
        "integer" => value.as_f64().is_some_and(|number| number.fract() == 0.0),
        "number" => value.is_number(),
        "boolean" => value.is_boolean(),
        "array" => value.is_array(),
        "object" => value.is_object(),
        "null" => value.is_null(),
        _ => true,
    }
}
