//! What the walk through a document asks of a schema, looked up once. Each lookup hashes a word, and
//! a file with thousands of bindings asks the same few schemas for every value of theirs.

use std::collections::HashMap;
use std::ptr;
use std::rc::Rc;

use serde_json::{Map, Value};

use crate::config::schema::applies::referred;
use crate::config::schema::state::{Stated, exceptions, is_first_match, refers_to};

/// What a schema says, by keyword.
pub(super) struct Keywords<'a> {
    /// What its `$ref` leads to, and where that lies.
    pub(super) referred: Option<(&'a Value, &'a str)>,
    pub(super) refers_to: Option<&'a str>,
    /// Those of `allOf`, `anyOf` and `oneOf`.
    pub(super) branches: Vec<Branch<'a>>,
    pub(super) condition: Option<Condition<'a>>,
    pub(super) properties: Option<&'a Map<String, Value>>,
    /// The first of `patternProperties`.
    pub(super) by_form: Option<(&'a String, &'a Value)>,
    pub(super) additional: Option<&'a Value>,
    pub(super) first_items: Option<&'a Vec<Value>>,
    pub(super) items: Option<&'a Value>,
    pub(super) options: Option<&'a Vec<Value>>,
    pub(super) is_first_match: bool,
    /// What becomes of the property, whatever its value.
    pub(super) stated: Option<Stated<'a>>,
    /// Whether values of it have a state of their own.
    has_exceptions: bool,
    schema: &'a Value,
}

pub(super) struct Branch<'a> {
    pub(super) keyword: &'static str,
    pub(super) index: usize,
    pub(super) schema: &'a Value,
}

/// `if`, `then` and `else`.
#[derive(Clone, Copy)]
pub(super) struct Condition<'a> {
    pub(super) wanted: &'a Value,
    pub(super) then: Option<&'a Value>,
    pub(super) otherwise: Option<&'a Value>,
}

impl<'a> Keywords<'a> {
    fn of(root: &'a Value, schema: &'a Value) -> Self {
        let list = |keyword| schema.get(keyword).and_then(Value::as_array);
        let branches = ["allOf", "anyOf", "oneOf"].into_iter().flat_map(|keyword| {
            let branches = list(keyword).into_iter().flatten().enumerate();
            branches.map(move |(index, schema)| Branch { keyword, index, schema })
        });
        let condition = schema.get("if").map(|wanted| Condition {
            wanted,
            then: schema.get("then"),
            otherwise: schema.get("else"),
        });
        let by_form = schema.get("patternProperties").and_then(Value::as_object);
        Self {
            referred: referred(root, schema),
            refers_to: refers_to(schema),
            branches: branches.collect(),
            condition,
            properties: schema.get("properties").and_then(Value::as_object),
            by_form: by_form.and_then(|by_form| by_form.iter().next()),
            additional: schema.get("additionalProperties"),
            first_items: list("prefixItems"),
            items: schema.get("items"),
            options: list("enum"),
            is_first_match: is_first_match(schema),
            stated: Stated::of(schema),
            has_exceptions: exceptions(schema).next().is_some(),
            schema,
        }
    }

    /// The state of a property with this value.
    pub(super) fn stated_of(&self, value: &Value) -> Option<Stated<'a>> {
        if self.has_exceptions { Stated::of_value(self.schema, value) } else { self.stated }
    }
}

/// The keywords of the schemas that were asked for, by where these lie in memory.
pub(super) struct Lookup<'a> {
    root: &'a Value,
    known: HashMap<usize, Rc<Keywords<'a>>>,
}

impl<'a> Lookup<'a> {
    pub(super) fn new(root: &'a Value) -> Self {
        Self { root, known: HashMap::new() }
    }

    /// Those of a schema within the whole.
    pub(super) fn of(&mut self, schema: &'a Value) -> Rc<Keywords<'a>> {
        let place = ptr::from_ref(schema).addr();
        let root = self.root;
        let keywords = self.known.entry(place);
        Rc::clone(keywords.or_insert_with(|| Rc::new(Keywords::of(root, schema))))
    }
}
