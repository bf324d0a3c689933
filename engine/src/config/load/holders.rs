//! Credentials that a guard of type `inline` holds, put where a binding asks for them.
//!
//! Such a guard checks nobody: it is a place for what the engine itself says when it connects. A
//! binding asks for that with a credential that is exactly `{identity}` or `{credentials}`.

use std::collections::HashMap;

use serde_json::{Map, Value};

use crate::config::node::Origin;
use crate::config::tree::{Document, push_segment};
use crate::config::{Problem, Problems, codes};

/// The guards of all documents that hold something, by namespace and name.
type Holders = HashMap<(String, String), Map<String, Value>>;

/// What a binding writes, and the option of the guard that it stands for.
const PLACEHOLDERS: [(&str, &str); 2] =
    [("{identity}", "identity"), ("{credentials}", "credentials")];

/// Fills in what the bindings of all documents ask for.
pub(super) fn fill(documents: &mut [Document], problems: &mut Problems) {
    let mut holders = Holders::new();
    for document in &*documents {
        let namespace = name_of(document);
        let guards = document.value.get("guards").and_then(Value::as_object);
        for (name, guard) in guards.into_iter().flatten() {
            if guard.get("type").and_then(Value::as_str) == Some("inline") {
                let options = guard.get("options").and_then(Value::as_object);
                let options = options.cloned().unwrap_or_default();
                holders.insert((namespace.clone(), name.clone()), options);
            }
        }
    }
    if holders.is_empty() {
        return;
    }
    for document in documents {
        for asked in asked_of(document, &holders) {
            fill_one(document, asked, problems);
        }
    }
}

fn name_of(document: &Document) -> String {
    document.value.get("name").and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// A credential that a binding asks a guard for.
struct Asked {
    /// The JSON pointer of the credential.
    pointer: String,
    guard: String,
    option: &'static str,
    /// What the guard holds; `None`: nothing.
    held: Option<String>,
}

fn asked_of(document: &Document, holders: &Holders) -> Vec<Asked> {
    let mut asked = Vec::new();
    let namespace = name_of(document);
    let bindings = document.value.get("bindings").and_then(Value::as_object);
    for (binding, value) in bindings.into_iter().flatten() {
        let guards = value.pointer("/options/authorization").and_then(Value::as_object);
        for (guard, value) in guards.into_iter().flatten() {
            let (of, name) = guard.split_once(':').unwrap_or((&namespace, guard));
            let holder = holders.get(&(of.to_owned(), name.to_owned()));
            let fields = value.get("credentials").and_then(Value::as_object);
            let (Some(holder), Some(fields)) = (holder, fields) else { continue };
            for (field, text) in fields {
                let stands_for = PLACEHOLDERS.iter().find(|(placeholder, _)| text == placeholder);
                let Some((_, option)) = stands_for else { continue };
                let mut pointer = String::new();
                for segment in ["bindings", binding, "options", "authorization", guard] {
                    push_segment(&mut pointer, segment);
                }
                push_segment(&mut pointer, "credentials");
                push_segment(&mut pointer, field);
                let held = holder.get(*option).and_then(Value::as_str).map(str::to_owned);
                asked.push(Asked { pointer, guard: guard.clone(), option, held });
            }
        }
    }
    asked
}

fn fill_one(document: &mut Document, asked: Asked, problems: &mut Problems) {
    let Some(place) = document.places.get_mut(&asked.pointer) else { return };
    let Some(held) = asked.held else {
        let Asked { guard, option, .. } = asked;
        let message = format!("guard `{guard}` holds no `{option}`");
        problems.push(
            Problem::new(codes::E0203, place.value.clone(), message)
                .with_help(format!("add `{option}` to the options of the guard")),
        );
        place.origin = Origin::Unresolved;
        return;
    };
    // No message shows it: the file has it elsewhere, if at all.
    place.origin = Origin::Environment;
    if let Some(value) = document.value.pointer_mut(&asked.pointer) {
        *value = Value::String(held);
    }
}
