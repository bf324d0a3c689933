//! From bytes to a scenario's packets, and whether a packet is the one that is expected.

use std::collections::BTreeMap;

use crate::harness::{Packet as Frame, Property, Publish, Reader, V5, V311};
use crate::notation::{Word, binary, text};
use crate::properties::{self, number, shown, shown_bytes};
use crate::scenario::{PACKETS, Packet};

/// A packet that a server sent.
#[derive(Debug)]
pub(crate) struct Seen {
    pub(crate) name: &'static str,
    /// Reason codes; one, but in SUBACK and UNSUBACK.
    codes: Vec<u8>,
    id: Option<u16>,
    /// The flags of a PUBLISH, Session Present.
    flags: Vec<(&'static str, u8)>,
    topic: Option<String>,
    payload: Vec<u8>,
    properties: Vec<Property>,
}

impl Seen {
    /// Reads a packet. Ends with a panic where it is malformed.
    pub(crate) fn of(frame: &Frame, version: u8) -> Self {
        let mut seen = Self {
            name: PACKETS[usize::from(frame.kind())],
            codes: Vec::new(),
            id: None,
            flags: Vec::new(),
            topic: None,
            payload: Vec::new(),
            properties: Vec::new(),
        };
        let flags = frame.first & 0x0f;
        match seen.name {
            "PUBLISH" => return seen.publish(Publish::of(frame, version)),
            "PUBREL" => assert_eq!(flags, 2, "reserved flags of PUBREL"),
            name => assert_eq!(flags, 0, "reserved flags of {name}"),
        }
        let mut reader = Reader(&frame.body);
        let has_properties = version == V5;
        match seen.name {
            "CONNACK" => {
                seen.flags.push(("session-present", reader.byte()));
                seen.codes.push(reader.byte());
                if has_properties {
                    seen.properties = reader.properties();
                }
            }
            "PUBACK" | "PUBREC" | "PUBREL" | "PUBCOMP" => {
                seen.id = Some(reader.two());
                seen.code_and_properties(&mut reader, version);
            }
            "SUBACK" | "UNSUBACK" => {
                seen.id = Some(reader.two());
                if has_properties {
                    seen.properties = reader.properties();
                }
                seen.codes = std::mem::take(&mut reader.0).to_vec();
            }
            "PINGRESP" => {}
            "DISCONNECT" | "AUTH" if has_properties => {
                seen.code_and_properties(&mut reader, version);
            }
            name => panic!("{name} is not a server's to send"),
        }
        assert!(reader.0.is_empty(), "{} goes on behind its end", seen.name);
        seen
    }

    fn publish(mut self, publish: Publish) -> Self {
        self.flags = vec![
            ("qos", publish.qos),
            ("retain", u8::from(publish.retain)),
            ("dup", u8::from(publish.dup)),
        ];
        self.id = publish.id;
        self.topic = Some(publish.topic);
        self.payload = publish.payload;
        self.properties = publish.properties;
        self
    }

    fn code_and_properties(&mut self, reader: &mut Reader<'_>, version: u8) {
        let has_code = version == V5 && !reader.0.is_empty();
        self.codes.push(if has_code { reader.byte() } else { 0 });
        if !reader.0.is_empty() {
            self.properties = reader.properties();
        }
    }

    /// As a scenario writes it.
    pub(crate) fn shown(&self) -> String {
        let mut line = self.name.to_owned();
        let mut word = |word: String| line = format!("{line} {word}");
        self.id.iter().for_each(|id| word(format!("id={id}")));
        self.codes.iter().for_each(|code| word(format!("0x{code:02x}")));
        self.topic
            .iter()
            .for_each(|topic| word(format!("topic={}", shown_bytes(topic.as_bytes()))));
        self.flags.iter().for_each(|(name, value)| word(format!("{name}={value}")));
        if self.topic.is_some() {
            word(format!("payload={}", shown_bytes(&self.payload)));
        }
        self.properties.iter().for_each(|property| word(shown(property)));
        line
    }

    /// Whether this is `expected`, and if not why. Names the packet identifiers that it binds.
    pub(crate) fn check(
        &self,
        expected: &Packet,
        version: u8,
        own: &str,
        ids: &mut BTreeMap<String, u16>,
    ) -> Result<(), String> {
        if self.name != expected.name {
            return Err(format!("it is a {}", self.name));
        }
        self.check_codes(expected, version)?;
        let mut properties = self.properties.iter().collect::<Vec<_>>();
        for (name, value) in fields(&expected.words) {
            if name == "id" {
                self.check_id(value, ids)?;
            } else if name == "topic" {
                let wanted = text(value, own)?;
                require(self.topic.as_ref() == Some(&wanted), "another topic")?;
            } else if name == "payload" {
                let is_wanted = value == "*" || self.payload == binary(value, own)?;
                require(is_wanted, "another payload")?;
            } else if properties::is_known(name) {
                let at = properties.iter().position(|property| is(property, name, value, own));
                let at = at.ok_or_else(|| format!("it has no {name}={value}"))?;
                properties.remove(at);
            } else {
                let has = self.flags.iter().any(|(other, _)| *other == name);
                require(has, &format!("a {} has no {name}", self.name))?;
            }
        }
        self.check_flags(expected)?;
        for word in &expected.words {
            if let Word::Absent(name) = word {
                let is_there = |property: &&Property| properties::name(property.0) == name;
                require(!self.properties.iter().any(|property| is_there(&property)), "it has one")?;
            }
        }
        // Of what a server adds as it likes, only what the scenario names counts.
        properties.retain(|property| !self.is_optional(property));
        require(properties.is_empty(), "it has more properties")
    }

    fn is_optional(&self, property: &Property) -> bool {
        let of_publish = self.name == "PUBLISH";
        self.name == "CONNACK" || !of_publish && matches!(property.0, 0x1f | 0x26)
    }

    /// A packet without a code in the scenario is a success. 3.1.1 has codes in CONNACK and SUBACK
    /// only.
    fn check_codes(&self, expected: &Packet, version: u8) -> Result<(), String> {
        let codes: Vec<u8> = expected.words.iter().filter_map(code).collect();
        let has_codes = version == V5 || matches!(self.name, "CONNACK" | "SUBACK");
        if !has_codes {
            return Ok(());
        }
        let is_success = self.codes.iter().all(|code| *code < 0x80);
        require(if codes.is_empty() { is_success } else { codes == self.codes }, "another code")
    }

    /// Flags that the scenario does not name are 0, but Session Present and the QoS.
    fn check_flags(&self, expected: &Packet) -> Result<(), String> {
        for (name, value) in &self.flags {
            let wanted = fields(&expected.words).find(|(other, _)| other == name);
            let is_wanted = match wanted {
                Some((_, wanted)) => wanted.parse() == Ok(*value),
                None => *value == 0 || *name == "session-present",
            };
            require(is_wanted, &format!("{name} is {value}"))?;
        }
        Ok(())
    }

    /// `7`: this identifier. `p`: whatever it is, called `p` from now on; the same, where it has
    /// that name already. `q!p`: as `q`, and another one than `p`.
    fn check_id(&self, wanted: &str, ids: &mut BTreeMap<String, u16>) -> Result<(), String> {
        let id = self.id.filter(|id| *id != 0).ok_or("it has no packet identifier")?;
        if let Ok(number) = wanted.parse::<u16>() {
            return require(id == number, "another packet identifier");
        }
        let mut names = wanted.split('!');
        let name = names.next().unwrap_or_default();
        if names.any(|other| ids.get(other) == Some(&id)) {
            return Err("a packet identifier that is in use".to_owned());
        }
        let bound = *ids.entry(name.to_owned()).or_insert(id);
        require(bound == id, "another packet identifier")
    }
}

fn require(is_so: bool, otherwise: &str) -> Result<(), String> {
    if is_so { Ok(()) } else { Err(otherwise.to_owned()) }
}

fn fields(words: &[Word]) -> impl Iterator<Item = (&str, &str)> {
    words.iter().filter_map(|word| match word {
        Word::Field(name, value) => Some((&**name, &**value)),
        Word::Code(_) | Word::Absent(_) => None,
    })
}

fn code(word: &Word) -> Option<u8> {
    match word {
        Word::Code(code) => Some(*code),
        Word::Field(..) | Word::Absent(_) => None,
    }
}

/// Whether a property has this name and value: `*` is any value, `58..60` any of these numbers.
fn is(property: &Property, name: &str, value: &str, own: &str) -> bool {
    if properties::name(property.0) != name {
        return false;
    }
    if value == "*" {
        return true;
    }
    if let Some((from, to)) = value.split_once("..")
        && let (Ok(from), Ok(to)) = (from.parse::<u32>(), to.parse::<u32>())
    {
        return number(&property.1).is_some_and(|number| (from..=to).contains(&number));
    }
    properties::read(name, value, own).is_ok_and(|wanted| wanted == *property)
}

#[test]
fn a_packet_is_compared_with_all_that_the_scenario_says() {
    let puback = Frame { first: 0x40, body: vec![0, 7, 0x97, 4, 0x1f, 0, 1, b'r'] };
    let seen = Seen::of(&puback, V5);
    assert_eq!(seen.shown(), "PUBACK id=7 0x97 reason-string=r");
    let check = |line: &str| {
        let words = crate::notation::split(line).unwrap();
        let words = crate::notation::words(&words[1..]).unwrap();
        let expected = Packet { name: "PUBACK".to_owned(), words };
        seen.check(&expected, V5, "", &mut BTreeMap::from([("other".to_owned(), 7)]))
    };
    for right in ["id=7 0x97", "id=p 0x97 reason-string=r", "id=other 0x97"] {
        assert_eq!(check(&format!("PUBACK {right}")), Ok(()));
    }
    for wrong in [
        "id=7",
        "id=8 0x97",
        "id=p!other 0x97",
        "id=7 0x97 !reason-string",
        "id=7 0x97 reason-string=s",
    ] {
        assert!(check(&format!("PUBACK {wrong}")).is_err(), "{wrong}");
    }
    // 3.1.1 has neither codes nor properties there.
    let bare = Seen::of(&Frame { first: 0x40, body: vec![0, 7] }, V311);
    let expected = Packet { name: "PUBACK".to_owned(), words: vec![Word::Code(0x97)] };
    assert_eq!(bare.check(&expected, V311, "", &mut BTreeMap::new()), Ok(()));
}
