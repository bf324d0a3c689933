//! What a server decides by, beside the routes and the limits of its exits.

use mqtt_plane::Version;

/// The protocol versions that a binding accepts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Versions {
    /// MQTT 3.1.1.
    pub v311: bool,
    /// MQTT 5.0.
    pub v5: bool,
}

impl Versions {
    /// Both.
    pub const ALL: Self = Self { v311: true, v5: true };

    pub(super) const fn accepts(self, version: Version) -> bool {
        match version {
            Version::V311 => self.v311,
            Version::V5 => self.v5,
        }
    }
}

/// What a server offers, of what MQTT leaves to the server. Zilla's properties set it, for a whole
/// run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Offer {
    /// Topic Alias Maximum: aliases that a client may set; 0: none.
    pub topic_alias_maximum: u16,
}

impl Offer {
    /// What is offered where nothing else is said. Zilla offers no aliases; here a few dozen cost
    /// nothing to those who use none, and those who do hold no more than as many topics.
    pub const DEFAULT: Self = Self { topic_alias_maximum: 32 };
}

/// What a server decides by.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Policy {
    /// The protocol versions that are accepted.
    pub versions: Versions,
    /// What is offered.
    pub offer: Offer,
}

impl Policy {
    /// What holds where nothing is said.
    pub const DEFAULT: Self = Self { versions: Versions::ALL, offer: Offer::DEFAULT };
}
