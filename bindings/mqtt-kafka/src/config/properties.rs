//! Zilla's property of mqtt-kafka bindings. docs/from-zilla.md has it too.

use engine::spi::Property;
use mqtt_plane::Qos;

pub(super) const QOS_MAX: &str = "zilla.binding.mqtt.kafka.publish.qos.max";

/// The property that a binding reads.
pub const PROPERTIES: &[Property] =
    &[Property { name: QOS_MAX, check: |value| qos(value).map(|_| ()) }];

fn qos(value: &str) -> Result<Qos, &'static str> {
    match value {
        "0" => Ok(Qos::AtMostOnce),
        "1" => Ok(Qos::AtLeastOnce),
        "2" => Ok(Qos::ExactlyOnce),
        _ => Err("it is 0, 1 or 2"),
    }
}

/// The highest QoS that the property permits, where it is given. Its value is checked.
pub(super) fn qos_max<'a>(property: impl Fn(&str) -> Option<&'a str>) -> Option<Qos> {
    property(QOS_MAX).and_then(|value| qos(value).ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_property_is_a_number_and_bounds_nothing_where_it_is_not_given() {
        let given = |value| qos_max(|name| (name == QOS_MAX).then_some(value));
        assert_eq!(qos_max(|_| None), None);
        assert_eq!(given("1"), Some(Qos::AtLeastOnce));
        let check = PROPERTIES[0].check;
        assert_eq!(["0", "1", "2"].map(check), [Ok(()); 3]);
        for wrong in ["3", "at_most_once", ""] {
            assert_eq!(check(wrong), Err("it is 0, 1 or 2"), "{wrong}");
        }
    }
}
