//! From a scenario's packets to bytes: every field as it is written, whether it makes sense or not.

use std::collections::BTreeMap;

use crate::harness::{Packet as Frame, Property, V5, V311, put_bytes, put_properties};
use crate::notation::{Word, binary, text};
use crate::properties;
use crate::scenario::{PACKETS, Packet};

/// What the words of a scenario's line refer to.
pub(crate) struct Names<'a> {
    /// What `@` stands for.
    pub(crate) own: &'a str,
    /// Packet identifiers by the names that the scenario gave them.
    pub(crate) ids: &'a BTreeMap<String, u16>,
    /// The connection.
    pub(crate) connection: char,
}

/// The bytes of a packet on a connection of this version.
pub(crate) fn encode(packet: &Packet, version: u8, names: &Names<'_>) -> Result<Vec<u8>, String> {
    let kind = PACKETS.iter().position(|name| *name == packet.name).ok_or("no such packet")?;
    let kind = u8::try_from(kind).map_err(|error| error.to_string())?;
    let words = Words { words: &packet.words, names };
    let mut body = Vec::new();
    let mut flags = 0;
    match &*packet.name {
        "CONNECT" => connect(&words, version, &mut body)?,
        "PUBLISH" => flags = publish(&words, version, &mut body)?,
        "PUBACK" | "PUBREC" | "PUBREL" | "PUBCOMP" => {
            if kind == 6 {
                flags = 2;
            }
            body.extend(words.id()?.to_be_bytes());
            words.code_and_properties(version, &mut body)?;
        }
        "SUBSCRIBE" | "UNSUBSCRIBE" => {
            flags = 2;
            body.extend(words.id()?.to_be_bytes());
            let options = ["filter", "qos", "no-local", "retain-as-published", "retain-handling"];
            put_properties(
                &mut body,
                version,
                &words.properties(&[&["id"], &options[..]].concat())?,
            );
            filters(&words, kind == 8, &mut body)?;
        }
        "PINGREQ" | "PINGRESP" => {}
        "DISCONNECT" | "AUTH" => words.code_and_properties(version, &mut body)?,
        other => return Err(format!("write {other} as `hex`")),
    }
    Ok(Frame { first: kind << 4 | flags, body }.encode())
}

/// The protocol level that a CONNECT names.
pub(crate) fn connect_version(packet: &Packet, version: u8) -> Result<u8, String> {
    for word in &packet.words {
        match word {
            Word::Field(name, value) if name == "version" => {
                return match &**value {
                    "5.0" => Ok(V5),
                    "3.1.1" => Ok(V311),
                    _ => Err("version=5.0 or version=3.1.1".to_owned()),
                };
            }
            _ => {}
        }
    }
    Ok(version)
}

/// The words of a packet, and what they refer to.
struct Words<'a> {
    words: &'a [Word],
    names: &'a Names<'a>,
}

impl Words<'_> {
    fn value(&self, wanted: &str) -> Option<&str> {
        self.words.iter().find_map(|word| match word {
            Word::Field(name, value) if name == wanted => Some(&**value),
            _ => None,
        })
    }

    fn number<N: TryFrom<u32>>(&self, name: &str, default: u32) -> Result<N, String> {
        number(name, self.value(name).unwrap_or(&default.to_string()))
    }

    fn text(&self, name: &str) -> Result<Option<String>, String> {
        self.value(name).map(|value| text(value, self.names.own)).transpose()
    }

    fn binary(&self, name: &str) -> Result<Option<Vec<u8>>, String> {
        self.value(name).map(|value| binary(value, self.names.own)).transpose()
    }

    /// The packet identifier: a number, or the name of one that was received.
    fn id(&self) -> Result<u16, String> {
        let id = self.value("id").ok_or("id= is missing")?;
        if let Ok(id) = id.parse() {
            return Ok(id);
        }
        self.names
            .ids
            .get(id)
            .copied()
            .ok_or_else(|| format!("no packet identifier is called {id}"))
    }

    fn code(&self) -> Option<u8> {
        self.words.iter().find_map(|word| match word {
            Word::Code(code) => Some(*code),
            _ => None,
        })
    }

    /// The properties: all fields but `others`.
    fn properties(&self, others: &[&str]) -> Result<Vec<Property>, String> {
        self.properties_where(|name| (!others.contains(&name)).then_some(name))
    }

    /// The properties among the fields: those to which `pick` gives their name.
    fn properties_where<'a>(
        &'a self,
        pick: impl Fn(&'a str) -> Option<&'a str>,
    ) -> Result<Vec<Property>, String> {
        let mut found = Vec::new();
        for word in self.words {
            if let Word::Field(name, value) = word
                && let Some(name) = pick(name)
            {
                found.push(properties::read(name, value, self.names.own)?);
            }
        }
        Ok(found)
    }

    /// A reason code and properties, as far as they are given.
    fn code_and_properties(&self, version: u8, body: &mut Vec<u8>) -> Result<(), String> {
        let properties = self.properties(&["id"])?;
        if version == V5 && (self.code().is_some() || !properties.is_empty()) {
            body.push(self.code().unwrap_or(0));
            if !properties.is_empty() {
                put_properties(body, version, &properties);
            }
        }
        Ok(())
    }
}

fn number<N: TryFrom<u32>>(name: &str, value: &str) -> Result<N, String> {
    let number = value.parse::<u32>().ok().and_then(|number| N::try_from(number).ok());
    number.ok_or_else(|| format!("{name}={value} is no number that fits"))
}

const CONNECT: [&str; 9] = [
    "version",
    "client-id",
    "clean-start",
    "keep-alive",
    "user-name",
    "password",
    "will-topic",
    "will-payload",
    "will-qos",
];

fn connect(words: &Words<'_>, version: u8, body: &mut Vec<u8>) -> Result<(), String> {
    let will_topic = words.text("will-topic")?;
    let (user_name, password) = (words.text("user-name")?, words.binary("password")?);
    let flags = words.number::<u8>("clean-start", 1)? << 1
        | u8::from(will_topic.is_some()) << 2
        | words.number::<u8>("will-qos", 0)? << 3
        | words.number::<u8>("will-retain", 0)? << 5
        | u8::from(password.is_some()) << 6
        | u8::from(user_name.is_some()) << 7;
    put_bytes(body, b"MQTT");
    body.extend([version, flags]);
    body.extend(words.number::<u16>("keep-alive", 60)?.to_be_bytes());
    // `will-delay-interval` is the one property whose own name begins like this.
    let of_will = |name| match name {
        "will-delay-interval" => Some(name),
        _ => name.strip_prefix("will-").filter(|name| properties::is_known(name)),
    };
    let is_own = |name: &str| !CONNECT.contains(&name) && name != "will-retain";
    let own = |name| (is_own(name) && of_will(name).is_none()).then_some(name);
    put_properties(body, version, &words.properties_where(own)?);
    let default = format!("{}{}", words.names.own, words.names.connection);
    put_bytes(body, words.text("client-id")?.unwrap_or(default).as_bytes());
    if let Some(topic) = will_topic {
        put_properties(body, version, &words.properties_where(of_will)?);
        put_bytes(body, topic.as_bytes());
        put_bytes(body, &words.binary("will-payload")?.unwrap_or_default());
    }
    if let Some(user_name) = user_name {
        put_bytes(body, user_name.as_bytes());
    }
    if let Some(password) = password {
        put_bytes(body, &password);
    }
    Ok(())
}

fn publish(words: &Words<'_>, version: u8, body: &mut Vec<u8>) -> Result<u8, String> {
    let qos = words.number::<u8>("qos", 0)?;
    put_bytes(body, words.text("topic")?.unwrap_or_default().as_bytes());
    if qos > 0 {
        body.extend(words.id()?.to_be_bytes());
    }
    let others = ["topic", "payload", "qos", "retain", "dup", "id"];
    put_properties(body, version, &words.properties(&others)?);
    body.extend(words.binary("payload")?.unwrap_or_default());
    Ok(words.number::<u8>("dup", 0)? << 3 | qos << 1 | words.number::<u8>("retain", 0)?)
}

/// The filters; each with the options behind it.
fn filters(words: &Words<'_>, has_options: bool, body: &mut Vec<u8>) -> Result<(), String> {
    let mut options: Option<u8> = None;
    let end = |options: Option<u8>, body: &mut Vec<u8>| {
        body.extend(options.filter(|_| has_options));
    };
    for word in words.words {
        let Word::Field(name, value) = word else { continue };
        let shift = match &**name {
            "filter" => {
                end(options.replace(0), body);
                put_bytes(body, text(value, words.names.own)?.as_bytes());
                continue;
            }
            "qos" => 0,
            "no-local" => 2,
            "retain-as-published" => 3,
            "retain-handling" => 4,
            _ => continue,
        };
        let options = options.as_mut().ok_or("options stand behind their filter=")?;
        *options |= number::<u8>(name, value)? << shift;
    }
    end(options, body);
    Ok(())
}
