//! MQTT packets for the tests: as little as they need, and no line of the engine's codec.

/// A property: its identifier and value.
pub(crate) type Property = (u8, Value);

/// A value of a property, by its representation on the wire.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Value {
    /// One byte.
    Byte(u8),
    /// Two bytes, the most significant first.
    Two(u16),
    /// Four bytes, the most significant first.
    Four(u32),
    /// A variable byte integer.
    Var(u32),
    /// Bytes with their length before them; text, too.
    Bytes(Vec<u8>),
    /// Two texts.
    Pair(String, String),
}

/// A string property.
pub(crate) fn text_value(text: &str) -> Value {
    Value::Bytes(text.as_bytes().to_vec())
}

/// A packet as it came: the first byte, and what follows the length.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Packet {
    pub(crate) first: u8,
    pub(crate) body: Vec<u8>,
}

impl Packet {
    /// The packet type, 1 to 15.
    pub(crate) fn kind(&self) -> u8 {
        self.first >> 4
    }

    /// The bytes on the wire.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut bytes = vec![self.first];
        put_var(&mut bytes, u32::try_from(self.body.len()).unwrap());
        bytes.extend(&self.body);
        bytes
    }

    /// The packet at the beginning of `bytes`, taken out of them, once it is complete.
    pub(crate) fn take(bytes: &mut Vec<u8>) -> Option<Self> {
        let mut length = 0_usize;
        for at in 1..=4 {
            let byte = *bytes.get(at)?;
            length |= usize::from(byte & 0x7f) << (7 * (at - 1));
            if byte & 0x80 == 0 {
                let start = at + 1;
                if bytes.len() < start + length {
                    return None;
                }
                let packet = Self { first: bytes[0], body: bytes[start..start + length].to_vec() };
                bytes.drain(..start + length);
                return Some(packet);
            }
        }
        panic!("a length of more than four bytes: {bytes:?}");
    }

    /// The reason code of CONNACK, DISCONNECT or an acknowledgement of a PUBLISH.
    pub(crate) fn reason(&self) -> u8 {
        let at = match self.kind() {
            2 => 1,
            4..=7 => 2,
            14 => 0,
            kind => panic!("no reason code in packet type {kind}"),
        };
        self.body.get(at).copied().unwrap_or(0)
    }
}

/// A PUBLISH as a client received it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Publish {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) dup: bool,
    pub(crate) id: Option<u16>,
    pub(crate) properties: Vec<Property>,
}

impl Publish {
    /// Reads a PUBLISH packet.
    pub(crate) fn of(packet: &Packet, version: u8) -> Self {
        assert_eq!(packet.kind(), 3, "not a PUBLISH: {packet:?}");
        let mut reader = Reader(&packet.body);
        let topic = reader.text();
        let qos = packet.first >> 1 & 3;
        let id = (qos > 0).then(|| reader.two());
        let properties = if version == 5 { reader.properties() } else { Vec::new() };
        Self {
            topic,
            payload: reader.0.to_vec(),
            qos,
            retain: packet.first & 1 != 0,
            dup: packet.first & 8 != 0,
            id,
            properties,
        }
    }

    /// The payload as text.
    pub(crate) fn text(&self) -> &str {
        std::str::from_utf8(&self.payload).unwrap()
    }

    /// The Subscription Identifiers, in ascending order.
    pub(crate) fn identifiers(&self) -> Vec<u32> {
        let mut identifiers: Vec<u32> = self
            .properties
            .iter()
            .filter_map(|property| match property {
                (0x0b, Value::Var(identifier)) => Some(*identifier),
                _ => None,
            })
            .collect();
        identifiers.sort_unstable();
        identifiers
    }
}

/// What is left of a packet's body.
pub(crate) struct Reader<'a>(pub(crate) &'a [u8]);

impl Reader<'_> {
    pub(crate) fn byte(&mut self) -> u8 {
        let (first, rest) = self.0.split_first().expect("a byte more");
        self.0 = rest;
        *first
    }

    pub(crate) fn two(&mut self) -> u16 {
        u16::from(self.byte()) << 8 | u16::from(self.byte())
    }

    fn four(&mut self) -> u32 {
        u32::from(self.two()) << 16 | u32::from(self.two())
    }

    fn var(&mut self) -> u32 {
        let mut value = 0;
        for shift in [0, 7, 14, 21] {
            let byte = self.byte();
            value |= u32::from(byte & 0x7f) << shift;
            if byte & 0x80 == 0 {
                return value;
            }
        }
        panic!("a variable byte integer of more than four bytes");
    }

    fn bytes(&mut self) -> Vec<u8> {
        let length = usize::from(self.two());
        let (bytes, rest) = self.0.split_at(length);
        self.0 = rest;
        bytes.to_vec()
    }

    fn text(&mut self) -> String {
        String::from_utf8(self.bytes()).expect("text")
    }

    pub(crate) fn properties(&mut self) -> Vec<Property> {
        let length = self.var() as usize;
        let (block, rest) = self.0.split_at(length);
        self.0 = rest;
        let mut block = Reader(block);
        let mut properties = Vec::new();
        while !block.0.is_empty() {
            let identifier = block.byte();
            let value = match identifier {
                0x01 | 0x17 | 0x19 | 0x24 | 0x25 | 0x28 | 0x29 | 0x2a => Value::Byte(block.byte()),
                0x13 | 0x21 | 0x22 | 0x23 => Value::Two(block.two()),
                0x02 | 0x11 | 0x18 | 0x27 => Value::Four(block.four()),
                0x0b => Value::Var(block.var()),
                0x03 | 0x08 | 0x09 | 0x12 | 0x15 | 0x16 | 0x1a | 0x1c | 0x1f => {
                    Value::Bytes(block.bytes())
                }
                0x26 => Value::Pair(block.text(), block.text()),
                other => panic!("property {other:#04x} does not exist"),
            };
            properties.push((identifier, value));
        }
        properties
    }
}

/// Appends a variable byte integer.
pub(crate) fn put_var(bytes: &mut Vec<u8>, mut value: u32) {
    loop {
        let byte = (value & 0x7f) as u8;
        value >>= 7;
        if value == 0 {
            bytes.push(byte);
            return;
        }
        bytes.push(byte | 0x80);
    }
}

/// Appends bytes with their length before them.
pub(crate) fn put_bytes(bytes: &mut Vec<u8>, value: &[u8]) {
    bytes.extend(u16::try_from(value.len()).unwrap().to_be_bytes());
    bytes.extend(value);
}

/// Appends a property block with its length; nothing before version 5.
pub(crate) fn put_properties(bytes: &mut Vec<u8>, version: u8, properties: &[Property]) {
    if version != 5 {
        return;
    }
    let mut block = Vec::new();
    for (identifier, value) in properties {
        block.push(*identifier);
        match value {
            Value::Byte(value) => block.push(*value),
            Value::Two(value) => block.extend(value.to_be_bytes()),
            Value::Four(value) => block.extend(value.to_be_bytes()),
            Value::Var(value) => put_var(&mut block, *value),
            Value::Bytes(value) => put_bytes(&mut block, value),
            Value::Pair(name, value) => {
                put_bytes(&mut block, name.as_bytes());
                put_bytes(&mut block, value.as_bytes());
            }
        }
    }
    put_var(bytes, u32::try_from(block.len()).unwrap());
    bytes.extend(block);
}
