//! The merged schema, from its parts.

use serde_json::{Map, Value, json};

use crate::config::schema::Fragment;

/// A section of the file that holds things of several types: which property of a thing names its
/// type, and where the schema of any thing of the section lies in the merged schema.
struct Section {
    name: &'static str,
    discriminator: &'static str,
    pointer: &'static str,
}

const SECTIONS: [Section; 7] = [
    Section { name: "binding", discriminator: "type", pointer: "/$defs/binding" },
    Section { name: "guard", discriminator: "type", pointer: "/$defs/guard" },
    Section { name: "vault", discriminator: "type", pointer: "/$defs/vault" },
    Section { name: "store", discriminator: "type", pointer: "/$defs/store" },
    Section { name: "catalog", discriminator: "type", pointer: "/$defs/catalog" },
    Section { name: "exporter", discriminator: "type", pointer: "/$defs/exporter" },
    Section { name: "model", discriminator: "model", pointer: "/$defs/model/anyOf/1" },
];

/// Whether a definition, or what lies within it, is what all things of a section share.
pub(super) fn is_section(definition: &str) -> bool {
    let name = definition.split('/').next().unwrap_or_default();
    SECTIONS.iter().any(|section| section.name == name)
}

/// The name of a part among the definitions.
pub(super) fn definition(section: &str, name: &str) -> String {
    format!("{section}-{name}")
}

/// The base with one branch for each part: `if` the type is the part's, `then` the part holds.
/// Errors are then reported where they are, as under `oneOf` they would not be.
pub(super) fn merge(base: &str, fragments: &[Fragment]) -> Result<Value, String> {
    let parse = |name: &str, text: &str| {
        serde_json::from_str::<Value>(text).map_err(|error| format!("{name}: {error}"))
    };
    let mut merged = parse("engine", base)?;
    let mut parts = Map::new();
    for Section { name: section, discriminator, pointer } in SECTIONS {
        let Some(all) = merged.pointer_mut(pointer).and_then(Value::as_object_mut) else {
            return Err(format!("engine: no {pointer}"));
        };
        let mut names = Vec::new();
        let mut branches = Vec::new();
        for Fragment { name, text, .. } in fragments.iter().filter(|one| one.section == section) {
            let mut part = parse(name, text)?;
            // It is a part now, not a document of its own.
            if let Some(part) = part.as_object_mut() {
                part.shift_remove("$schema");
            }
            let definition = definition(section, name);
            rebase(&mut part, &format!("#/$defs/{definition}"));
            names.push(Value::from(*name));
            branches.push(json!({
                "if": {
                    "type": "object",
                    "required": [discriminator],
                    "properties": { discriminator: { "const": name } },
                },
                "then": { "$ref": format!("#/$defs/{definition}") },
            }));
            parts.insert(definition, part);
        }
        let choice = all.get_mut("properties").and_then(|all| all.get_mut(discriminator));
        let Some(choice) = choice.and_then(Value::as_object_mut) else {
            return Err(format!("engine: no {discriminator} at {pointer}"));
        };
        choice.insert("enum".to_owned(), Value::Array(names));
        // A list without an entry is no schema.
        if !branches.is_empty() {
            all.insert("allOf".to_owned(), Value::Array(branches));
        }
    }
    if let Some(definitions) = merged.pointer_mut("/$defs").and_then(Value::as_object_mut) {
        definitions.append(&mut parts);
    }
    say_defaults(&mut merged);
    Ok(merged)
}

/// References within a part hold in the merged schema too, and a condition on a property does not
/// hold where the property is missing: otherwise each branch would add its errors to the one that
/// says so. A reference to the base or to another part is written as the path of its file.
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
                    Value::String(target) if key == "$ref" => *target = rebased(target, root),
                    value => rebase(value, root),
                }
            }
        }
        Value::Array(list) => list.iter_mut().for_each(|value| rebase(value, root)),
        _ => {}
    }
}

fn rebased(target: &str, root: &str) -> String {
    let (file, pointer) = target.split_once('#').unwrap_or((target, ""));
    let file = file.trim_start_matches("../").trim_end_matches(".json");
    match file.split_once('/') {
        Some((section, name)) => format!("#/$defs/{}{pointer}", definition(section, name)),
        None if file.is_empty() => format!("{root}{pointer}"),
        None => format!("#{pointer}"),
    }
}

/// Editors show descriptions: they end with the default and an example.
fn say_defaults(schema: &mut Value) {
    match schema {
        Value::Object(map) => {
            map.values_mut().for_each(say_defaults);
            let shown = |value: &Value| {
                value.as_str().map_or_else(|| value.to_string(), |text| format!("{text:?}"))
            };
            let default = map.get("default").map(|value| format!(" Default: {}.", shown(value)));
            let examples = map.get("examples").and_then(Value::as_array);
            let example = examples.and_then(|all| all.first());
            let example = example.map(|value| format!(" Example: {}.", shown(value)));
            if let Some(Value::String(text)) = map.get_mut("description") {
                text.extend(default.into_iter().chain(example));
            }
        }
        Value::Array(list) => list.iter_mut().for_each(say_defaults),
        _ => {}
    }
}
