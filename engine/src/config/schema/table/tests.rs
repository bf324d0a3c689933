use std::collections::BTreeSet;

use super::*;
use crate::config::Schema;
use crate::config::schema::state::exceptions;

fn merged() -> Value {
    Schema::compose(&[]).merged()
}

/// Calls `check` for every property, with a name for it.
fn each(mut check: impl FnMut(&Thing<'_>, &Property<'_>) -> Result<(), &'static str>) {
    let merged = merged();
    let mut wrong = BTreeSet::new();
    let mut count = 0;
    for thing in things(&merged) {
        for property in &thing.properties {
            count += 1;
            if let Err(what) = check(&thing, property) {
                let title = thing.title.unwrap_or("document");
                wrong.insert(format!("{title}: {} {what}", property.path));
            }
        }
    }
    assert!(count > 300, "{count}");
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn every_property_is_described_with_its_default_and_an_example() {
    each(|_, property| {
        let get = |keyword: &str| property.schema.get(keyword);
        let text = get("description").and_then(Value::as_str).ok_or("has no description")?;
        if !text.ends_with('.') {
            return Err("has a description without a full stop");
        }
        let is_object = get("type").is_some_and(|name| name == "object");
        if property.is_required || is_object || get("const").is_some() {
            return Ok(());
        }
        let has_default = text.contains("Default: ");
        let says_otherwise = ["Required", "Excludes", "Without it"];
        let is_alternative = says_otherwise.iter().any(|words| text.contains(words));
        // Of conditions, absence means that nothing is asked.
        let is_condition = property.path.contains("when[]") || property.path == "exit";
        if !(has_default || is_alternative || is_condition) {
            return Err("is optional, and its description has no default");
        }
        Ok(())
    });
    each(|_, property| {
        let get = |keyword: &str| property.schema.get(keyword);
        let is_text = get("type").is_some_and(|name| name == "string" || name == "integer");
        let shows = get("examples").is_some() || get("default").is_some();
        if is_text && !shows { Err("has neither an example nor a default") } else { Ok(()) }
    });
}

#[test]
fn every_property_is_in_exactly_one_state() {
    each(|_, property| {
        let around = property.state.is_some() && !property.has_own_state;
        match property.state {
            None => Err("has no state"),
            Some(State::Works) if around => Err("has no state of its own"),
            _ => Ok(()),
        }
    });
}

#[test]
fn every_property_that_works_says_what_a_change_does_to_clients() {
    each(|_, property| match (property.state, property.reload) {
        (Some(State::Works), Some("keeps clients" | "drains clients")) => Ok(()),
        (Some(State::Works), _) => Err("does not say what a reload does"),
        _ => Ok(()),
    });
}

#[test]
fn what_has_no_effect_says_why_and_what_is_not_supported_says_what_to_do() {
    fn check(stated: Stated<'_>) -> Result<(), &'static str> {
        match stated.state {
            State::NoEffect if stated.why.is_none() => Err("does not say why"),
            State::NotSupported => match stated.instead {
                None => Err("does not say what to do"),
                // Then nobody is to wait for it.
                Some("remove it" | "leave it out") if stated.why.is_none() => {
                    Err("does not say what to do instead, nor why there is nothing")
                }
                Some(_) => Ok(()),
            },
            _ => Ok(()),
        }
    }
    each(|_, property| {
        for (_, stated) in exceptions(property.schema) {
            check(stated)?;
        }
        Stated::of(property.schema).map_or(Ok(()), check)
    });
}

/// The engine reads these itself; the rest is read by the structs of the bindings, which refuse
/// what they do not know.
#[test]
fn what_works_of_every_binding_is_what_the_engine_hands_over() {
    each(|thing, property| {
        let is_binding = thing.title.is_some_and(|title| title.ends_with(" binding"));
        if !is_binding || property.state != Some(State::Works) {
            return Ok(());
        }
        let (first, rest) = property.path.split_once('.').unwrap_or((&property.path, ""));
        let known: &[&str] = match first {
            "type" | "kind" | "exit" | "routes" | "options" => return Ok(()),
            "routes[]" => &["when", "with", "exit"],
            _ => &[],
        };
        let name = rest.split(['.', '[']).next().unwrap_or_default();
        if known.contains(&name) { Ok(()) } else { Err("is not handed to any binding") }
    });
}

#[test]
fn annotations_have_no_other_words() {
    fn walk(schema: &Value, wrong: &mut Vec<String>) {
        match schema {
            Value::Object(map) => {
                if let Some(annotation) = map.get(KEYWORD) {
                    let known =
                        ["state", "why", "instead", "reload", "except", "refers-to", "first-match"];
                    let words = annotation.as_object().unwrap().keys();
                    wrong.extend(words.filter(|word| !known.contains(&word.as_str())).cloned());
                }
                map.values().for_each(|value| walk(value, wrong));
            }
            Value::Array(list) => list.iter().for_each(|value| walk(value, wrong)),
            _ => {}
        }
    }
    let mut wrong = Vec::new();
    walk(&merged(), &mut wrong);
    assert!(wrong.is_empty(), "{wrong:?}");
}
