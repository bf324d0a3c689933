//! The table of all properties: what each is, and what this version makes of it.

#[cfg(test)]
mod tests;

use serde_json::Value;

use crate::config::schema::applies::referred;
use crate::config::schema::compose::is_section;
use crate::config::schema::state::{KEYWORD, State, Stated};
use crate::config::tree::push_segment;

/// A property that a file may have.
#[derive(Clone, Debug)]
pub(super) struct Property<'a> {
    /// Its schema.
    pub(super) schema: &'a Value,
    /// Where its schema lies in the merged schema.
    pub(super) location: String,
    /// Where it lies in its thing: `routes[].exit`; `NAME` stands for the keys of a map.
    pub(super) path: String,
    /// The only kind of binding that has it; `None`: all kinds have it.
    pub(super) kind: Option<&'a str>,
    /// Whether its object must have it.
    pub(super) is_required: bool,
    /// What becomes of it; `None` where the schema does not say.
    pub(super) state: Option<State>,
    /// Whether its own schema says so; otherwise it shares the state of what is around it.
    #[cfg_attr(not(test), expect(dead_code, reason = "a test holds that what works says so"))]
    pub(super) has_own_state: bool,
    /// What becomes of clients when it changes while the engine runs, where it works.
    pub(super) reload: Option<&'a str>,
}

/// A thing of the file, such as a type of binding, with its properties in order.
#[derive(Clone, Debug)]
pub(super) struct Thing<'a> {
    /// `tcp binding`; the document itself has none.
    pub(super) title: Option<&'a str>,
    pub(super) schema: &'a Value,
    pub(super) properties: Vec<Property<'a>>,
}

/// The document and everything that a merged schema lists beside it.
pub(super) fn things(merged: &Value) -> Vec<Thing<'_>> {
    let definitions = merged.get("$defs").and_then(Value::as_object);
    let parts = definitions.into_iter().flatten().filter(|(_, schema)| is_part(schema));
    let parts = parts.map(|(name, schema)| {
        let mut location = "/$defs".to_owned();
        push_segment(&mut location, name);
        thing(merged, schema, location)
    });
    std::iter::once(thing(merged, merged, String::new())).chain(parts).collect()
}

/// Whether a definition is that of a thing: these have titles.
fn is_part(schema: &Value) -> bool {
    schema.get("title").is_some()
}

fn thing<'a>(merged: &'a Value, schema: &'a Value, location: String) -> Thing<'a> {
    let title = if location.is_empty() { None } else { schema.get("title") };
    // What its type says holds for all that it has.
    let state = ["type", "model"].iter().find_map(|name| {
        let property = schema.get("properties")?.get(name)?;
        property.get("const")?;
        Stated::of(property).map(|stated| stated.state)
    });
    let state = state.filter(|state| *state != State::Works);
    let mut list = List { merged, properties: Vec::new() };
    let kinds = schema.pointer("/properties/kind");
    // A thing that is another spelling has its properties there.
    let at = At { schema, location, path: "", kinds, kind: None, state, reload: None };
    list.keywords(&at);
    Thing { title: title.and_then(Value::as_str), schema, properties: list.properties }
}

#[derive(Clone)]
struct At<'a, 'p> {
    schema: &'a Value,
    location: String,
    path: &'p str,
    /// The schema of the thing's `kind`.
    kinds: Option<&'a Value>,
    kind: Option<&'a str>,
    /// The state of what is around it, where that does not work.
    state: Option<State>,
    reload: Option<&'a str>,
}

impl<'a, 'p> At<'a, 'p> {
    /// What a keyword of the schema holds.
    fn within(&self, keyword: &str, schema: &'a Value, path: &'p str) -> Self {
        Self { schema, location: format!("{}/{keyword}", self.location), path, ..self.clone() }
    }
}

struct List<'a> {
    merged: &'a Value,
    properties: Vec<Property<'a>>,
}

impl<'a> List<'a> {
    /// What a schema refers to and what it says itself.
    fn schema(&mut self, at: &At<'a, '_>) {
        if let Some((target, pointer)) = referred(self.merged, at.schema) {
            let name = pointer.strip_prefix("/$defs/").unwrap_or(pointer);
            // Things have tables of their own.
            if !is_part(target) && !is_section(name) {
                let location = pointer.to_owned();
                self.schema(&At { schema: target, location, ..at.clone() });
            }
        }
        self.keywords(at);
    }

    fn keywords(&mut self, at: &At<'a, '_>) {
        let Some(keywords) = at.schema.as_object() else { return };
        let items = format!("{}[]", at.path);
        let entries = joined(at.path, "NAME");
        for (keyword, value) in keywords {
            match (keyword.as_str(), value) {
                ("properties", Value::Object(all)) => {
                    for (name, schema) in all.iter().filter(|(_, schema)| schema.is_object()) {
                        let mut location = keyword.clone();
                        push_segment(&mut location, name);
                        self.property(name, &at.within(&location, schema, at.path), at.schema);
                    }
                }
                ("patternProperties", Value::Object(all)) => {
                    for (name, schema) in all {
                        let mut location = keyword.clone();
                        push_segment(&mut location, name);
                        self.schema(&at.within(&location, schema, &entries));
                    }
                }
                ("additionalProperties", schema) => {
                    self.schema(&at.within(keyword, schema, &entries));
                }
                ("items", schema) => self.schema(&at.within(keyword, schema, &items)),
                ("then" | "else", schema) => {
                    let wanted = at.schema.pointer("/if/properties/kind/const");
                    let kind = wanted.and_then(Value::as_str).or(at.kind);
                    let off = wanted.zip(at.kinds).and_then(|(kind, kinds)| off(kinds, kind));
                    let state = at.state.or(off);
                    self.schema(&At { kind, state, ..at.within(keyword, schema, at.path) });
                }
                ("allOf" | "anyOf" | "oneOf", Value::Array(branches)) => {
                    for (index, schema) in branches.iter().enumerate() {
                        self.schema(&at.within(&format!("{keyword}/{index}"), schema, at.path));
                    }
                }
                _ => {}
            }
        }
    }

    fn property(&mut self, name: &str, at: &At<'a, '_>, owner: &'a Value) {
        let path = joined(at.path, name);
        let own = Stated::of(at.schema).map(|stated| stated.state);
        let required = owner.get("required").and_then(Value::as_array);
        let reload = at.schema.get(KEYWORD).and_then(|annotation| annotation.get("reload"));
        let reload = reload.and_then(Value::as_str).or(at.reload);
        let state = at.state.or(own);
        self.properties.push(Property {
            schema: at.schema,
            location: at.location.clone(),
            path: path.clone(),
            kind: at.kind,
            is_required: required.is_some_and(|names| names.iter().any(|other| other == name)),
            state,
            has_own_state: own.is_some(),
            reload: reload.filter(|_| state == Some(State::Works)),
        });
        let state = state.filter(|state| *state != State::Works);
        self.schema(&At { path: &path, state, reload, ..at.clone() });
    }
}

/// The state of a kind that does not work.
fn off(kinds: &Value, kind: &Value) -> Option<State> {
    let state = Stated::of_value(kinds, kind)?.state;
    Some(state).filter(|state| *state != State::Works)
}

fn joined(path: &str, name: &str) -> String {
    if path.is_empty() { name.to_owned() } else { format!("{path}.{name}") }
}
