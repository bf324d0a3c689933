//! The names of the properties (MQTT 5.0 section 2.2.2.2).

use crate::harness::{Property, Value};
use crate::notation::{binary, text};

/// How a property lies on the wire.
#[derive(Clone, Copy)]
enum Form {
    Byte,
    Two,
    Four,
    Var,
    Text,
    Binary,
    Pair,
}

const PROPERTIES: [(u8, &str, Form); 27] = [
    (0x01, "payload-format-indicator", Form::Byte),
    (0x02, "message-expiry-interval", Form::Four),
    (0x03, "content-type", Form::Text),
    (0x08, "response-topic", Form::Text),
    (0x09, "correlation-data", Form::Binary),
    (0x0b, "subscription-identifier", Form::Var),
    (0x11, "session-expiry-interval", Form::Four),
    (0x12, "assigned-client-identifier", Form::Text),
    (0x13, "server-keep-alive", Form::Two),
    (0x15, "authentication-method", Form::Text),
    (0x16, "authentication-data", Form::Binary),
    (0x17, "request-problem-information", Form::Byte),
    (0x18, "will-delay-interval", Form::Four),
    (0x19, "request-response-information", Form::Byte),
    (0x1a, "response-information", Form::Text),
    (0x1c, "server-reference", Form::Text),
    (0x1f, "reason-string", Form::Text),
    (0x21, "receive-maximum", Form::Two),
    (0x22, "topic-alias-maximum", Form::Two),
    (0x23, "topic-alias", Form::Two),
    (0x24, "maximum-qos", Form::Byte),
    (0x25, "retain-available", Form::Byte),
    (0x26, "user-property", Form::Pair),
    (0x27, "maximum-packet-size", Form::Four),
    (0x28, "wildcard-subscription-available", Form::Byte),
    (0x29, "subscription-identifier-available", Form::Byte),
    (0x2a, "shared-subscription-available", Form::Byte),
];

/// The name of the property `identifier`.
pub(crate) fn name(identifier: u8) -> &'static str {
    let found = PROPERTIES.iter().find(|(other, ..)| *other == identifier);
    found.map_or("unknown property", |(_, name, _)| name)
}

/// Whether there is a property of this name.
pub(crate) fn is_known(name: &str) -> bool {
    PROPERTIES.iter().any(|(_, other, _)| *other == name)
}

/// Reads a property: its name, and the value as it stands in a scenario.
pub(crate) fn read(name: &str, value: &str, own: &str) -> Result<Property, String> {
    let number = || {
        let number = value.parse::<u32>();
        number.map_err(|_| format!("{name} is a number, not {value}"))
    };
    let wide = |_| format!("{value} is too large for {name}");
    let found = PROPERTIES.iter().find(|(_, other, _)| *other == name);
    let &(identifier, _, form) = found.ok_or_else(|| format!("no field is called {name}"))?;
    let value = match form {
        Form::Byte => Value::Byte(number()?.try_into().map_err(wide)?),
        Form::Two => Value::Two(number()?.try_into().map_err(wide)?),
        Form::Four => Value::Four(number()?),
        Form::Var => Value::Var(number()?),
        Form::Text => Value::Bytes(text(value, own)?.into_bytes()),
        Form::Binary => Value::Bytes(binary(value, own)?),
        Form::Pair => {
            let (name, value) = value.split_once(':').ok_or("user-property=NAME:VALUE")?;
            Value::Pair(text(name, own)?, text(value, own)?)
        }
    };
    Ok((identifier, value))
}

/// A property's number, where it is one.
pub(crate) fn number(value: &Value) -> Option<u32> {
    match value {
        Value::Byte(value) => Some(u32::from(*value)),
        Value::Two(value) => Some(u32::from(*value)),
        Value::Four(value) | Value::Var(value) => Some(*value),
        Value::Bytes(_) | Value::Pair(..) => None,
    }
}

/// A property as a scenario writes it.
pub(crate) fn shown((identifier, value): &Property) -> String {
    let value = match value {
        Value::Pair(name, value) => format!("{name}:{value}"),
        Value::Bytes(bytes) => shown_bytes(bytes),
        number => self::number(number).map_or_else(String::new, |number| number.to_string()),
    };
    format!("{}={value}", name(*identifier))
}

/// Bytes as a scenario writes them: as text where they are some.
pub(crate) fn shown_bytes(bytes: &[u8]) -> String {
    let text = std::str::from_utf8(bytes).ok();
    match text.filter(|text| text.chars().all(|character| !character.is_control())) {
        Some(text) if text.len() > 80 => format!("({} bytes)", text.len()),
        Some(text) => text.to_owned(),
        None => format!("0x{}", crate::harness::hex(bytes)),
    }
}
