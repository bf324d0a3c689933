//! Explaining decisions: what a binding would do with something that a client does, and by which
//! rules of the file.
//!
//! The engine passes an [`Action`] from binding to binding, as connections pass, and knows nothing
//! of what it says: its verb and arguments are words that bindings share, described by
//! [`crate::spi::Catalog::actions`]. A definition calls the functions that decide on its data path
//! and tells a [`Trace`] what they say.

use std::any::Any;

use serde_json::{Map, Value};

use crate::config::{NodeConfig, NodeName};
use crate::spi::PropertyValues;

/// Something that a client, or a binding on its behalf, does: a verb and its arguments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Action {
    verb: String,
    arguments: Map<String, Value>,
}

impl Action {
    /// An action with arguments.
    #[must_use]
    pub fn new(verb: impl Into<String>, arguments: Map<String, Value>) -> Self {
        Self { verb: verb.into(), arguments }
    }

    /// The same with one argument more, or another value of it.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.arguments.insert(name.to_owned(), value.into());
        self
    }

    /// The verb.
    #[must_use]
    pub fn verb(&self) -> &str {
        &self.verb
    }

    /// All arguments.
    #[must_use]
    pub fn arguments(&self) -> &Map<String, Value> {
        &self.arguments
    }

    /// An argument that is a text, or a number as text.
    #[must_use]
    pub fn text(&self, name: &str) -> Option<String> {
        match self.arguments.get(name)? {
            Value::String(text) => Some(text.clone()),
            Value::Number(number) => Some(number.to_string()),
            _ => None,
        }
    }

    /// An argument that is a number and fits.
    #[must_use]
    pub fn number<N: TryFrom<u64>>(&self, name: &str) -> Option<N> {
        self.arguments.get(name)?.as_u64()?.try_into().ok()
    }

    /// An argument that is true or false.
    #[must_use]
    pub fn flag(&self, name: &str) -> Option<bool> {
        self.arguments.get(name)?.as_bool()
    }

    /// An argument that is a list of texts.
    #[must_use]
    pub fn list(&self, name: &str) -> Vec<&str> {
        let list = self.arguments.get(name).and_then(Value::as_array);
        list.into_iter().flatten().filter_map(Value::as_str).collect()
    }
}

/// What a rule said.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It applies.
    Taken,
    /// It does not.
    Skipped,
    /// It refuses.
    Denied,
}

impl Verdict {
    /// The verdict in a word.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Taken => "taken",
            Self::Skipped => "skipped",
            Self::Denied => "denied",
        }
    }
}

/// Which rule: an option, a route or an exit of a binding, or a property of the run.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rule {
    /// The binding, where it is not the one that decides: its exits bound what it may grant.
    pub of: Option<NodeName>,
    /// A JSON pointer below the binding. What the file does not have there holds by default;
    /// empty: nothing of the file says so, as with what the protocol forbids.
    pub pointer: String,
    /// The name of the property that says so, in place of the file.
    pub property: Option<&'static str>,
}

impl Rule {
    /// A property of the run.
    #[must_use]
    pub fn property(name: &'static str) -> Self {
        Self { property: Some(name), ..Self::default() }
    }
}

impl From<String> for Rule {
    fn from(pointer: String) -> Self {
        Self { pointer, ..Self::default() }
    }
}

impl From<&str> for Rule {
    fn from(pointer: &str) -> Self {
        pointer.to_owned().into()
    }
}

/// A rule that took part in a decision.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Step {
    /// What it said.
    pub verdict: Verdict,
    /// The rule.
    pub rule: Rule,
    /// Why, in words.
    pub why: String,
}

/// Something that was decided.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Fact {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
    /// Texts, in order.
    List(Vec<String>),
    /// Names and values, in order; a name may come again.
    Pairs(Vec<(String, String)>),
}

/// A refusal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Denial {
    /// The code, as the protocol numbers it.
    pub code: u8,
    /// The name that the protocol gives to the code.
    pub name: &'static str,
    /// Why.
    pub detail: String,
    /// What clients are told, by their protocol version.
    pub answers: Vec<(&'static str, String)>,
}

/// What one binding decided.
#[derive(Debug, Default)]
pub struct Explained {
    /// The rules that took part, in the order in which they were asked.
    pub steps: Vec<Step>,
    /// What was decided, by the names that [`crate::spi::Catalog::actions`] describes.
    pub facts: Vec<(&'static str, Fact)>,
    /// Why it was refused, if it was.
    pub denial: Option<Denial>,
    /// The exits that are taken, each with what is asked of it.
    pub passed: Vec<(NodeName, Action)>,
    /// Why a binding that nothing exits to does not serve it, if it does not.
    pub declined: Option<String>,
}

/// Where a definition tells what it decides.
pub struct Trace<'a> {
    node: &'a NodeConfig,
    properties: &'a PropertyValues,
    bounds: &'a dyn Fn(&NodeName) -> Option<Box<dyn Any>>,
    explained: Explained,
}

impl<'a> Trace<'a> {
    /// A trace of the binding `node` in a run with these properties; `bounds` asks a definition for its
    /// [`crate::spi::Definition::bounds`].
    #[must_use]
    pub fn new(
        node: &'a NodeConfig,
        properties: &'a PropertyValues,
        bounds: &'a dyn Fn(&NodeName) -> Option<Box<dyn Any>>,
    ) -> Self {
        Self { node, properties, bounds, explained: Explained::default() }
    }

    /// The binding as the file has it.
    #[must_use]
    pub fn node(&self) -> &'a NodeConfig {
        self.node
    }

    /// The value of a [`crate::spi::Property`], checked, where it was given.
    #[must_use]
    pub fn property(&self, name: &str) -> Option<&'a str> {
        self.properties.get(name).map(String::as_str)
    }

    /// The bounds that the file and properties put on an exit, as the plane's own type.
    #[must_use]
    pub fn bounds<T: 'static>(&self, exit: &NodeName) -> Option<T> {
        (self.bounds)(exit)?.downcast().ok().map(|bounds| *bounds)
    }

    /// A rule took part: mostly one of the binding itself, by its JSON pointer.
    pub fn step(&mut self, verdict: Verdict, rule: impl Into<Rule>, why: impl Into<String>) {
        let step = Step { verdict, rule: rule.into(), why: why.into() };
        self.explained.steps.push(step);
    }

    /// Something was decided.
    pub fn fact(&mut self, name: &'static str, fact: Fact) {
        self.explained.facts.push((name, fact));
    }

    /// The action goes on to an exit, or another for its sake.
    pub fn pass(&mut self, exit: &NodeName, action: Action) {
        self.explained.passed.push((exit.clone(), action));
    }

    /// The action is refused by this rule.
    pub fn deny(&mut self, rule: impl Into<Rule>, denial: Denial) {
        self.step(Verdict::Denied, rule, denial.detail.clone());
        self.explained.denial = Some(denial);
    }

    /// The binding, to which nothing exits, does not serve the client.
    pub fn decline(&mut self, why: impl Into<String>) {
        self.explained.declined = Some(why.into());
    }

    /// What was told.
    #[must_use]
    pub fn into_explained(self) -> Explained {
        self.explained
    }
}
