//! What is declared and comes to nothing: metrics that no name matches, guards that take nobody.

use std::collections::HashMap;

use jsonschema::PatternOptions;
use serde_json::{Value, json};

use crate::config::node::{Origin, Place};
use crate::config::tree::{Document, push_segment, shortened};
use crate::config::{Problem, Problems, codes};

/// A longer pattern is not looked at, bytes: names of metrics have some 30.
const LONGEST_PATTERN: usize = 256;

/// So many declared metrics are listed: all that there are, and more only by mistake.
const MOST_LISTED: usize = 40;

/// So many patterns are looked at, and so many are compared with a name of a metric: a file needs a
/// dozen, of some forty names.
const MOST_PATTERNS: usize = 256;
const MOST_COMPARED: usize = 20_000;

/// A pattern that needs more steps on a name matches it not. Those that anybody needs take some ten.
const MOST_STEPS: usize = 1000;

/// Says which metrics of bindings and which guards of a document come to nothing.
pub(super) fn check(document: &Document, problems: &mut Problems) {
    metrics(document, problems);
    guards(document, problems);
}

/// The things of a section, each with its pointer.
fn things<'a>(document: &'a Document, section: &str) -> impl Iterator<Item = (String, &'a Value)> {
    let things = document.value.get(section).and_then(Value::as_object);
    let section = format!("/{section}");
    things.into_iter().flatten().map(move |(name, value)| {
        let mut pointer = section.clone();
        push_segment(&mut pointer, name);
        (pointer, value)
    })
}

/// What the file has at a pointer, unless that could not be made, which has been said.
fn place<'a>(document: &'a Document, pointer: &str) -> Option<&'a Place> {
    document.places.get(pointer).filter(|place| place.origin != Origin::Unresolved)
}

/// A text as a message shows it: what comes from the environment as the file writes it.
fn written(place: &Place, text: &str) -> String {
    match place.origin {
        Origin::File => shortened(text),
        _ => shortened(place.value.text().lines().next().unwrap_or_default()),
    }
}

/// A binding counts those of the declared metrics that its patterns match.
fn metrics(document: &Document, problems: &mut Problems) {
    let list =
        |value: &Value| value.pointer("/telemetry/metrics").and_then(Value::as_array).cloned();
    let declared = list(&document.value).unwrap_or_default();
    let declared: Vec<&str> =
        declared.iter().map(|name| name.as_str().unwrap_or_default()).collect();
    let mut known: HashMap<String, Matches> = HashMap::new();
    for (binding, value) in things(document, "bindings") {
        for (index, pattern) in list(value).into_iter().flatten().enumerate() {
            let pointer = format!("{binding}/telemetry/metrics/{index}");
            let Some(pattern) = pattern.as_str().filter(|text| text.len() <= LONGEST_PATTERN)
            else {
                continue;
            };
            let Some(place) = place(document, &pointer) else { continue };
            let is_known = known.contains_key(pattern);
            if !is_known
                && (known.len() >= MOST_PATTERNS || known.len() * declared.len() > MOST_COMPARED)
            {
                continue;
            }
            let matches = known.entry(pattern.to_owned());
            let matches = *matches.or_insert_with(|| matches_of(pattern, &declared));
            let shown = written(place, pattern);
            let problem = match matches {
                Matches::Some => continue,
                Matches::None => {
                    let message = format!("no metric that is declared matches `{shown}`");
                    let help = if declared.is_empty() {
                        "declare the metrics of the file under `telemetry.metrics`".to_owned()
                    } else {
                        let names: Vec<String> = declared
                            .iter()
                            .enumerate()
                            .filter_map(|(index, name)| {
                                let pointer = format!("/telemetry/metrics/{index}");
                                Some(written(document.places.get(&pointer)?, name))
                            })
                            .take(MOST_LISTED)
                            .collect();
                        format!("declared under `telemetry.metrics`: {}", names.join(", "))
                    };
                    Problem::new(codes::W0306, place.value.clone(), message).with_help(help)
                }
                Matches::Never => {
                    let message = format!("`{shown}` is not a regular expression");
                    Problem::new(codes::E0207, place.value.clone(), message)
                        .with_help("it is one for names of metrics: stream.*")
                }
            };
            problems.push(problem);
        }
    }
}

/// Which names a pattern matches.
#[derive(Clone, Copy)]
enum Matches {
    Some,
    None,
    /// It is not a pattern.
    Never,
}

/// Patterns match whole names; they are those of JSON Schema, which Java's differ from in nothing
/// that a name of a metric needs.
fn matches_of(pattern: &str, names: &[&str]) -> Matches {
    let options = jsonschema::options()
        .with_pattern_options(PatternOptions::fancy_regex().backtrack_limit(MOST_STEPS));
    let Ok(validator) = options.build(&json!({ "pattern": format!("^(?:{pattern})$") })) else {
        return Matches::Never;
    };
    let is_any = names.iter().any(|name| validator.is_valid(&Value::from(*name)));
    if is_any { Matches::Some } else { Matches::None }
}

/// A token names who made it and whom it is for; without something to compare these with, none is
/// taken.
fn guards(document: &Document, problems: &mut Problems) {
    for (pointer, guard) in things(document, "guards") {
        let options = guard.get("options");
        let is_jwt = guard.get("type").and_then(Value::as_str) == Some("jwt");
        let Some(options) = options.and_then(Value::as_object).filter(|_| is_jwt) else { continue };
        let missing: Vec<String> = ["issuer", "audience"]
            .into_iter()
            .filter(|name| !options.contains_key(*name))
            .map(|name| format!("`{name}`"))
            .collect();
        let Some(place) = place(document, &format!("{pointer}/options")) else { continue };
        if !missing.is_empty() {
            let message =
                format!("no client gets past this guard: it has no {}", missing.join(" and no "));
            problems.push(
                Problem::new(codes::W0307, place.key.clone(), message)
                    .with_help("write what the claims `iss` and `aud` of a token must say"),
            );
        }
    }
}
