//! What this version makes of a property: the `x-zilla` beside it in the schema.

use serde_json::Value;

/// The keyword of the schema that says it.
pub(super) const KEYWORD: &str = "x-zilla";

/// What becomes of a property that a file uses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// It does what its description says.
    Works,
    /// It is taken and does nothing; a warning says why.
    NoEffect,
    /// It is an error, which says what to do instead.
    NotSupported,
}

impl State {
    /// The state of a name in the schema.
    fn named(name: &str) -> Option<Self> {
        match name {
            "works" => Some(Self::Works),
            "no-effect" => Some(Self::NoEffect),
            "not-supported" => Some(Self::NotSupported),
            _ => None,
        }
    }
}

/// A state and what is said with it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stated<'a> {
    pub(super) state: State,
    /// Why it is so.
    pub(super) why: Option<&'a str>,
    /// What to do instead.
    pub(super) instead: Option<&'a str>,
    /// Whether it is the state of this value, not of the property whatever its value.
    pub(super) is_of_value: bool,
}

impl<'a> Stated<'a> {
    fn read(annotation: &'a Value, is_of_value: bool) -> Option<Self> {
        let text = |key: &str| annotation.get(key).and_then(Value::as_str);
        let state = State::named(text("state")?)?;
        Some(Self { state, why: text("why"), instead: text("instead"), is_of_value })
    }

    /// The state of a property, whatever its value; `None` where its schema does not say.
    pub(super) fn of(schema: &'a Value) -> Option<Self> {
        Self::read(schema.get(KEYWORD)?, false)
    }

    /// The state of a property with this value.
    pub(super) fn of_value(schema: &'a Value, value: &Value) -> Option<Self> {
        let exception = exceptions(schema).find(|(values, _)| values.contains(value));
        exception.map_or_else(|| Self::of(schema), |(_, stated)| Some(stated))
    }
}

/// The values of a property that have another state than the property.
pub(super) fn exceptions(schema: &Value) -> impl Iterator<Item = (&[Value], Stated<'_>)> {
    let all = schema.get(KEYWORD).and_then(|annotation| annotation.get("except")?.as_array());
    all.into_iter().flatten().filter_map(|exception| {
        let values = exception.get("values")?.as_array()?;
        Some((values.as_slice(), Stated::read(exception, true)?))
    })
}

/// Which names a property refers to, or the keys of a map: `bindings`, `guards` and so on.
pub(super) fn refers_to(schema: &Value) -> Option<&str> {
    schema.get(KEYWORD)?.get("refers-to")?.as_str()
}

/// Whether a property is a list of routes of which only the first that matches is taken.
pub(super) fn is_first_match(schema: &Value) -> bool {
    let annotation = schema.get(KEYWORD);
    annotation.and_then(|annotation| annotation.get("first-match")) == Some(&Value::Bool(true))
}
