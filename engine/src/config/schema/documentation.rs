//! The page that describes every property, from the schema.

use std::fmt::Write as _;

use serde_json::Value;

use crate::config::schema::state::{State, Stated, exceptions};
use crate::config::schema::table::{Property, Thing, things};
use crate::config::schema::words;

const HEAD: &str = "\
# Every property of zilla.yaml

This page is written from the schema that `zilla schema` prints and `zilla validate` reads.

Each property is in one of three states. **works**: it does what is written here. **no effect**: it \
is taken, does nothing, and a warning says why. **not supported**: it is an error, which says what \
to do instead. *A change* says what a reload with another value does: *keeps clients*, every \
connection stays, and so it is with what has no effect; *drains clients*, those there are end by themselves or within 30 s, and new ones \
find the new value.

`NAME` stands for a name that the file gives, `[]` for each item of a list.
";

/// What is accepted is written out if it is no longer than this, bytes.
const LONGEST: usize = 200;

/// The page, as Markdown.
pub(super) fn documentation(merged: &Value) -> String {
    let mut page = HEAD.to_owned();
    for thing in things(merged) {
        write_thing(merged, &thing, &mut page);
    }
    page
}

// Writing to a string does not fail.
fn write_thing(merged: &Value, thing: &Thing<'_>, page: &mut String) {
    let text = thing.schema.get("description").and_then(Value::as_str).unwrap_or_default();
    writeln!(page, "\n## {}\n\n{text}\n", thing.title.unwrap_or("document")).ok();
    let own = thing.schema.pointer("/properties/type").and_then(Stated::of);
    let is_off = own.is_some_and(|stated| stated.state != State::Works);
    if let Some(stated) = own.filter(|_| is_off) {
        writeln!(page, "The type as a whole: {}.\n", state_words(stated)).ok();
    }
    if is_off {
        writeln!(page, "| Property | What it does |\n|---|---|").ok();
    } else {
        writeln!(page, "| Property | What it does | State | A change |\n|---|---|---|---|").ok();
    }
    for property in &thing.properties {
        let name = match property.kind {
            Some(kind) => format!("`{}` ({kind})", property.path),
            None => format!("`{}`", property.path),
        };
        let description = cell(&description(merged, property));
        if is_off {
            writeln!(page, "| {name} | {description} |").ok();
        } else {
            let (state, reload) = (cell(&state(property)), property.reload.unwrap_or_default());
            writeln!(page, "| {name} | {description} | {state} | {reload} |").ok();
        }
    }
}

fn description(merged: &Value, property: &Property<'_>) -> String {
    let text = property.schema.get("description").and_then(Value::as_str).unwrap_or_default();
    let required = if property.is_required { " Required." } else { "" };
    let accepted = words::accepts(merged, property.schema);
    // What an object holds is in rows of its own, and nobody reads a long list in a cell.
    let is_plain = ["an object", "a list of: an object", "any value"].contains(&&*accepted);
    let is_worth_saying = !is_plain && property.schema.get("const").is_none();
    let accepted = match (is_worth_saying, accepted.len() < LONGEST) {
        (true, true) => format!(" ({accepted})"),
        (true, false) => " (the schema lists them)".to_owned(),
        (false, _) => String::new(),
    };
    format!("{text}{required}{accepted}")
}

fn state(property: &Property<'_>) -> String {
    let own = Stated::of(property.schema);
    let mut words = match (own, property.state) {
        (Some(stated), _) => state_words(stated),
        (None, Some(State::NoEffect)) => "no effect, as what is around it".to_owned(),
        (None, _) => "not supported, as what is around it".to_owned(),
    };
    for (values, stated) in exceptions(property.schema) {
        let values: Vec<String> = values.iter().map(words::literal).collect();
        write!(words, "; {}: {}", values.join(", "), state_words(stated)).ok();
    }
    words
}

fn state_words(stated: Stated<'_>) -> String {
    let name = match stated.state {
        State::Works => "works",
        State::NoEffect => "no effect",
        State::NotSupported => "not supported",
    };
    let details: Vec<&str> = stated.why.into_iter().chain(stated.instead).collect();
    if details.is_empty() { name.to_owned() } else { format!("{name}: {}", details.join("; ")) }
}

/// A text as a cell of a table.
fn cell(text: &str) -> String {
    text.replace('|', "\\|").replace('\n', " ")
}
