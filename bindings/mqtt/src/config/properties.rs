//! Zilla's properties of MQTT servers. docs/from-zilla.md has them too.

use engine::spi::Property;

use crate::state::Offer;

/// Names of properties, each with what sets it from its value.
macro_rules! properties {
    ($($name:literal => $set:expr;)*) => {
        /// The properties that a server reads.
        pub const PROPERTIES: &[Property] = &[$(Property {
            name: $name,
            check: |value| set($set, &mut { Offer::DEFAULT }, value),
        },)*];

        /// What the properties, each asked for by its name, make of the offer. Values are checked.
        pub(crate) fn offer<'a>(property: impl Fn(&str) -> Option<&'a str>) -> Offer {
            let mut offer = Offer::DEFAULT;
            $(if let Some(value) = property($name) {
                set($set, &mut offer, value).ok();
            })*
            offer
        }
    };
}

properties! {
    "zilla.binding.mqtt.topic.alias.maximum" =>
        |offer, value| number(value).map(|number| offer.topic_alias_maximum = number);
}

/// Sets something from a value; or says what the value must be.
type Setter = fn(&mut Offer, &str) -> Result<(), &'static str>;

fn set(setter: Setter, offer: &mut Offer, value: &str) -> Result<(), &'static str> {
    setter(offer, value)
}

fn number(value: &str) -> Result<u16, &'static str> {
    value.parse().map_err(|_| "it is a number from 0 to 65535")
}
