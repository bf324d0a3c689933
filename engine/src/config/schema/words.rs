//! What a document and a schema are called in messages.

use serde_json::Value;

use crate::config::node::{Origin, Place};
use crate::config::problem::is_secret;
use crate::config::schema::compose::definition;
use crate::config::tree::{Document, shortened};

/// The place of the value at a JSON pointer, or of the nearest value around it.
pub(super) fn place<'a>(document: &'a Document, pointer: &str) -> &'a Place {
    let mut pointer = pointer;
    loop {
        if let Some(place) = document.places.get(pointer) {
            return place;
        }
        // The root always has a place.
        pointer = pointer.rsplit_once('/').map_or("", |(parent, _)| parent);
    }
}

/// The segments of a JSON pointer.
pub(super) fn segments(pointer: &str) -> Vec<String> {
    let unescaped = |segment: &str| segment.replace("~1", "/").replace("~0", "~");
    pointer.split('/').skip(1).map(unescaped).collect()
}

/// What the things of a section are called, and how deep below the document they lie.
const THINGS: [(&[&str], &str); 6] = [
    (&["bindings"], "binding"),
    (&["guards"], "guard"),
    (&["vaults"], "vault"),
    (&["stores"], "store"),
    (&["catalogs"], "catalog"),
    (&["telemetry", "exporters"], "exporter"),
];

/// The section that a pointer's segments lead into, and how many of them lead to the thing itself.
fn section(segments: &[String]) -> Option<(&'static str, usize)> {
    let is_in = |path: &[&str]| {
        segments.len() > path.len() && path.iter().zip(segments).all(|(one, other)| one == other)
    };
    let found = THINGS.into_iter().find(|(path, _)| is_in(path));
    found.map(|(path, name)| (name, path.len() + 1))
}

/// `pump server `p``, as far as the thing says what it is; `None` outside of things.
fn thing(schema: &Value, document: &Document, segments: &[String]) -> Option<String> {
    let (section, depth) = section(segments)?;
    let mut value = &document.value;
    for segment in &segments[..depth] {
        value = value.get(segment)?;
    }
    let name = shortened(&segments[depth - 1]);
    let is_one_of = |options: Option<&Value>, value: &str| {
        let options = options.and_then(Value::as_array);
        options.is_some_and(|options| options.iter().any(|option| option == value))
    };
    let types = schema.pointer(&format!("/$defs/{section}/properties/type/enum"));
    let type_name = value.get("type").and_then(Value::as_str);
    let Some(type_name) = type_name.filter(|type_name| is_one_of(types, type_name)) else {
        return Some(format!("{section} `{name}`"));
    };
    let kinds = format!("/$defs/{}/properties/kind/enum", definition(section, type_name));
    let kind = value.get("kind").and_then(Value::as_str);
    Some(match kind.filter(|kind| is_one_of(schema.pointer(&kinds), kind)) {
        Some(kind) => format!("{type_name} {kind} `{name}`"),
        None => format!("{type_name} {section} `{name}`"),
    })
}

/// The part of the schema that describes the thing at a JSON pointer.
pub(super) fn definition_of<'a>(
    schema: &'a Value,
    document: &Document,
    pointer: &str,
) -> Option<&'a Value> {
    let segments = segments(pointer);
    let (section, _) = section(&segments).filter(|(_, depth)| *depth == segments.len())?;
    let type_name = document.value.pointer(pointer)?.get("type")?.as_str()?;
    schema.get("$defs")?.get(definition(section, type_name))
}

/// The path of a value below its thing, or below the document: `routes[0].exit`.
fn path(document: &Document, segments: &[String]) -> String {
    let begin = section(segments).map_or(0, |(_, depth)| depth);
    let mut value = Some(&document.value);
    let mut path = String::new();
    for (index, segment) in segments.iter().enumerate() {
        let is_item = value.is_some_and(Value::is_array);
        value = value.and_then(|value| match value {
            Value::Array(list) => list.get(segment.parse::<usize>().ok()?),
            value => value.get(segment),
        });
        if index < begin {
            continue;
        }
        if is_item {
            path.push_str(&format!("[{segment}]"));
        } else {
            if !path.is_empty() {
                path.push('.');
            }
            path.push_str(&shortened(segment));
        }
    }
    path
}

/// A value, as the subject of a sentence: `` `options.port` of pump server `p` ``.
pub(super) fn subject(schema: &Value, document: &Document, pointer: &str) -> String {
    let segments = segments(pointer);
    let path = path(document, &segments);
    match (thing(schema, document, &segments), path.is_empty()) {
        (Some(thing), true) => thing,
        (Some(thing), false) => format!("`{path}` of {thing}"),
        (None, true) => "the document".to_owned(),
        (None, false) => format!("`{path}`"),
    }
}

/// A value, as the place of a property: `` on pump server `p` ``.
pub(super) fn owner(schema: &Value, document: &Document, pointer: &str) -> String {
    let segments = segments(pointer);
    let path = path(document, &segments);
    match (thing(schema, document, &segments), path.is_empty()) {
        (Some(thing), true) => format!("on {thing}"),
        (Some(thing), false) => format!("in `{path}` of {thing}"),
        (None, true) => "at the top level".to_owned(),
        (None, false) => format!("in `{path}`"),
    }
}

/// What the file has at a place, for a message. What came from the environment is shown as the
/// file writes it.
pub(super) fn shown(document: &Document, pointer: &str, value: &Value) -> String {
    let place = place(document, pointer);
    if place.origin != Origin::File && document.places.contains_key(pointer) {
        let written = place.value.text().lines().next().unwrap_or_default();
        return format!("`{}`", shortened(written));
    }
    let is_hidden = is_secret(pointer.rsplit('/').next().unwrap_or_default());
    match value {
        Value::String(_) | Value::Number(_) | Value::Bool(_) if is_hidden => "`***`".to_owned(),
        Value::Null => "nothing".to_owned(),
        Value::Array(_) => "a list".to_owned(),
        Value::Object(_) => "an object".to_owned(),
        Value::String(text) if text.is_empty() => "the empty string".to_owned(),
        Value::String(text) => format!("`{}`", shortened(text)),
        scalar => format!("`{scalar}`"),
    }
}

/// The same with its type, where the type is what matters.
pub(super) fn shown_with_type(document: &Document, pointer: &str, value: &Value) -> String {
    let shown = shown(document, pointer, value);
    match value {
        Value::Bool(_) => format!("the boolean {shown}"),
        Value::Number(_) => format!("the number {shown}"),
        Value::String(text) if !text.is_empty() => format!("the string {shown}"),
        _ => shown,
    }
}

/// A type of JSON Schema, with its article.
pub(super) fn type_name(name: &str) -> &str {
    match name {
        "string" => "a string",
        "integer" => "an integer",
        "number" => "a number",
        "boolean" => "`true` or `false`",
        "array" => "a list",
        "object" => "an object",
        "null" => "nothing",
        other => other,
    }
}

/// `` `a`, `b` or `c` ``.
pub(super) fn alternatives(options: &[String]) -> String {
    match options {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} or {last}", first.join(", ")),
    }
}

/// A value of an `enum` or a `const`.
pub(super) fn literal(value: &Value) -> String {
    value.as_str().map_or_else(|| format!("`{value}`"), |text| format!("`{text}`"))
}

/// What a schema accepts, in few words.
pub(super) fn accepts(root: &Value, schema: &Value) -> String {
    if let Some(target) = schema.get("$ref").and_then(Value::as_str) {
        let target = target.strip_prefix('#').and_then(|pointer| root.pointer(pointer));
        return target.map_or_else(String::new, |target| accepts(root, target));
    }
    if let Some(value) = schema.get("const") {
        return literal(value);
    }
    if let Some(options) = schema.get("enum").and_then(Value::as_array) {
        return alternatives(&options.iter().map(literal).collect::<Vec<_>>());
    }
    if let Some(branches) = schema.get("anyOf").or(schema.get("oneOf")).and_then(Value::as_array) {
        return any_of(root, branches);
    }
    let name = schema.get("type").and_then(Value::as_str).unwrap_or("any value");
    let bound = |keyword: &str| schema.get(keyword).map(ToString::to_string);
    let detail = match (name, bound("minimum"), bound("maximum")) {
        ("string", ..) => {
            let pattern = schema.get("pattern").and_then(Value::as_str);
            pattern.map(|pattern| format!(" that matches {pattern}"))
        }
        (_, Some(least), Some(most)) => Some(format!(" from {least} to {most}")),
        (_, Some(least), None) => Some(format!(" of at least {least}")),
        (_, None, Some(most)) => Some(format!(" of at most {most}")),
        _ => None,
    };
    let items = schema.get("items").filter(|_| name == "array");
    let items = items.map(|items| format!(" of: {}", accepts(root, items)));
    let name = type_name(name);
    format!("{name}{}{}", detail.unwrap_or_default(), items.unwrap_or_default())
}

/// What a union accepts.
pub(super) fn any_of(root: &Value, branches: &[Value]) -> String {
    let words: Vec<String> = branches.iter().map(|branch| accepts(root, branch)).collect();
    let lists = |word: &String| word.starts_with("a list of: ");
    let scalars: Vec<String> = words.iter().filter(|word| !lists(word)).cloned().collect();
    let list_of_scalars = format!("a list of: {}", alternatives(&scalars));
    let replaced = |word: String| {
        if word == list_of_scalars { "a list of these".to_owned() } else { word }
    };
    alternatives(&words.into_iter().map(replaced).collect::<Vec<_>>())
}

/// The types of the branches of a union.
pub(super) fn types(root: &Value, branches: &[Value]) -> String {
    let mut names = Vec::new();
    for branch in branches {
        let name = match branch.get("type").and_then(Value::as_str) {
            Some(name) => type_name(name).to_owned(),
            None => accepts(root, branch),
        };
        if !names.contains(&name) {
            names.push(name);
        }
    }
    alternatives(&names)
}
