//! Why something is refused, and by which rule.

use mqtt_plane::{Closed, ReasonCode};

/// Who says that something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Rule {
    /// MQTT, or this server for all its clients.
    Protocol,
    /// An option of the binding, by its JSON pointer, or the default of it.
    Option(&'static str),
    /// The Maximum QoS, of the exits and of a property.
    MaximumQos,
    /// A property of the run, by its name.
    Property(&'static str),
}

/// Why something is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Refusal {
    /// The code to tell the client.
    pub reason: ReasonCode,
    /// What is wrong, for the log and the Reason String.
    pub detail: &'static str,
    /// The rule that says so.
    pub rule: Rule,
}

impl Refusal {
    /// A refusal that no option changes.
    #[must_use]
    pub const fn new(reason: ReasonCode, detail: &'static str) -> Self {
        Self { reason, detail, rule: Rule::Protocol }
    }

    /// The same by another rule.
    #[must_use]
    pub const fn by(self, rule: Rule) -> Self {
        Self { rule, ..self }
    }
}

impl From<Refusal> for Closed {
    fn from(Refusal { reason, detail, .. }: Refusal) -> Self {
        Self { reason, detail }
    }
}
