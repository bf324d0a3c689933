//! Zilla's properties of MQTT servers. docs/from-zilla.md has them too.

use engine::spi::Property;
use mqtt_plane::Qos;

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
    "zilla.binding.mqtt.connect.timeout" => |offer, value| {
        offer.connect_timeout = number(value)?;
        if offer.connect_timeout == 0 { Err("it is at least 1 second") } else { Ok(()) }
    };
    "zilla.binding.mqtt.keep.alive.minimum" => |offer, value| {
        offer.keep_alive_minimum = number(value)?;
        Ok(())
    };
    "zilla.binding.mqtt.keep.alive.maximum" => |offer, value| {
        offer.keep_alive_maximum = number(value)?;
        if offer.keep_alive_maximum == 0 { Err("it is at least 1 second") } else { Ok(()) }
    };
    "zilla.binding.mqtt.publish.qos.max" => |offer, value| {
        offer.maximum_qos = match value.to_ascii_lowercase().as_str() {
            "at_most_once" => Qos::AtMostOnce,
            "at_least_once" => Qos::AtLeastOnce,
            "exactly_once" => Qos::ExactlyOnce,
            _ => return Err("it is at_most_once, at_least_once or exactly_once"),
        };
        Ok(())
    };
    "zilla.binding.mqtt.topic.alias.maximum" => |offer, value| {
        offer.topic_alias_maximum = number(value)?;
        Ok(())
    };
    "zilla.binding.mqtt.retain.available" => |offer, value| {
        offer.retain = flag(value)?;
        Ok(())
    };
    "zilla.binding.mqtt.wildcard.subscription.available" => |offer, value| {
        offer.wildcard_subscriptions = flag(value)?;
        Ok(())
    };
    "zilla.binding.mqtt.no.local" => |offer, value| {
        offer.no_local = flag(value)?;
        Ok(())
    };
    "zilla.binding.mqtt.subscription.identifiers.available" => |offer, value| {
        offer.subscription_ids = flag(value)?;
        Ok(())
    };
    "zilla.binding.mqtt.shared.subscription.available" => |offer, value| {
        offer.shared_subscriptions = flag(value)?;
        Ok(())
    };
}

/// Sets something from a value; or says what the value must be.
type Setter = fn(&mut Offer, &str) -> Result<(), &'static str>;

fn set(setter: Setter, offer: &mut Offer, value: &str) -> Result<(), &'static str> {
    setter(offer, value)
}

fn number(value: &str) -> Result<u16, &'static str> {
    value.parse().map_err(|_| "it is a number from 0 to 65535")
}

fn flag(value: &str) -> Result<bool, &'static str> {
    value.parse().map_err(|_| "it is true or false")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn set_alone(name: &str, value: &str) -> Offer {
        offer(|asked| (asked == format!("zilla.binding.mqtt.{name}")).then_some(value))
    }

    #[test]
    fn each_property_sets_what_it_names() {
        let before = Offer::DEFAULT;
        assert_eq!(offer(|_| None), before);
        for (name, value, after) in [
            ("connect.timeout", "7", Offer { connect_timeout: 7, ..before }),
            ("keep.alive.minimum", "7", Offer { keep_alive_minimum: 7, ..before }),
            ("keep.alive.maximum", "7", Offer { keep_alive_maximum: 7, ..before }),
            ("publish.qos.max", "AT_MOST_ONCE", Offer { maximum_qos: Qos::AtMostOnce, ..before }),
            ("topic.alias.maximum", "0", Offer { topic_alias_maximum: 0, ..before }),
            ("retain.available", "false", Offer { retain: false, ..before }),
            ("no.local", "false", Offer { no_local: false, ..before }),
            (
                "wildcard.subscription.available",
                "false",
                Offer { wildcard_subscriptions: false, ..before },
            ),
            (
                "shared.subscription.available",
                "false",
                Offer { shared_subscriptions: false, ..before },
            ),
            (
                "subscription.identifiers.available",
                "false",
                Offer { subscription_ids: false, ..before },
            ),
        ] {
            assert_eq!(set_alone(name, value), after, "{name}");
            assert_ne!(set_alone(name, value), before, "{name}");
        }
    }

    #[test]
    fn a_value_that_has_no_meaning_is_refused() {
        for property in PROPERTIES {
            for value in ["", "maybe", "-1", "65536", "1.5"] {
                assert!((property.check)(value).is_err(), "{} {value}", property.name);
            }
        }
        let zero = PROPERTIES.iter().filter(|property| (property.check)("0").is_ok());
        let zero: Vec<&str> = zero.map(|property| property.name).collect();
        let names = ["keep.alive.minimum", "topic.alias.maximum"];
        assert_eq!(zero, names.map(|name| format!("zilla.binding.mqtt.{name}")));
    }
}
