//! A raw MQTT client on a blocking socket: exact bytes, and a socket that must stay.

use std::collections::VecDeque;
use std::io::{ErrorKind, Read, Write};
use std::net::TcpStream;
use std::time::Duration;

use super::packet::{
    Packet, Property, Publish, Reader, Value, put_bytes, put_properties, text_value,
};
use super::process::PATIENCE;

/// MQTT 3.1.1 in CONNECT.
pub(crate) const V311: u8 = 4;
/// MQTT 5.0 in CONNECT.
pub(crate) const V5: u8 = 5;

/// A CONNECT.
#[derive(Clone)]
pub(crate) struct Connect {
    pub(crate) version: u8,
    pub(crate) client_id: String,
    /// Clean Start, Clean Session in 3.1.1.
    pub(crate) clean: bool,
    /// Seconds.
    pub(crate) keep_alive: u16,
    pub(crate) properties: Vec<Property>,
    pub(crate) will: Option<Will>,
}

/// The will of a CONNECT.
#[derive(Clone)]
pub(crate) struct Will {
    pub(crate) topic: String,
    pub(crate) payload: Vec<u8>,
    pub(crate) qos: u8,
    pub(crate) retain: bool,
    pub(crate) properties: Vec<Property>,
}

impl Will {
    /// A will at QoS 1 without properties.
    pub(crate) fn new(topic: &str, payload: &[u8]) -> Self {
        Self {
            topic: topic.to_owned(),
            payload: payload.to_vec(),
            qos: 1,
            retain: false,
            properties: Vec::new(),
        }
    }
}

impl Connect {
    pub(crate) fn new(version: u8, client_id: &str) -> Self {
        Self {
            version,
            client_id: client_id.to_owned(),
            clean: true,
            keep_alive: 0,
            properties: Vec::new(),
            will: None,
        }
    }

    pub(crate) fn with_keep_alive(mut self, seconds: u16) -> Self {
        self.keep_alive = seconds;
        self
    }

    pub(crate) fn with_property(mut self, identifier: u8, value: Value) -> Self {
        self.properties.push((identifier, value));
        self
    }

    pub(crate) fn with_will(mut self, will: Will) -> Self {
        self.will = Some(will);
        self
    }

    /// The bytes on the wire.
    pub(crate) fn encode(&self) -> Vec<u8> {
        let mut flags = u8::from(self.clean) << 1;
        if let Some(will) = &self.will {
            flags |= 4 | will.qos << 3 | u8::from(will.retain) << 5;
        }
        let mut body = Vec::new();
        put_bytes(&mut body, b"MQTT");
        body.extend([self.version, flags]);
        body.extend(self.keep_alive.to_be_bytes());
        put_properties(&mut body, self.version, &self.properties);
        put_bytes(&mut body, self.client_id.as_bytes());
        if let Some(will) = &self.will {
            put_properties(&mut body, self.version, &will.properties);
            put_bytes(&mut body, will.topic.as_bytes());
            put_bytes(&mut body, &will.payload);
        }
        Packet { first: 0x10, body }.encode()
    }
}

/// A connection to the broker.
pub(crate) struct Client {
    pub(crate) version: u8,
    /// The properties of CONNACK.
    pub(crate) announced: Vec<Property>,
    stream: TcpStream,
    inbox: Vec<u8>,
    /// Publishes that came while something else was awaited.
    stashed: VecDeque<Publish>,
    next_id: u16,
}

impl Client {
    /// Connects the socket only.
    pub(crate) fn open(port: u16, version: u8) -> Self {
        let stream = TcpStream::connect(("127.0.0.1", port)).expect("connect to the broker");
        stream.set_nodelay(true).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.set_write_timeout(Some(PATIENCE)).unwrap();
        Self {
            version,
            announced: Vec::new(),
            stream,
            inbox: Vec::new(),
            stashed: VecDeque::new(),
            next_id: 1,
        }
    }

    /// Connects, with a clean session.
    pub(crate) fn connect(port: u16, version: u8, client_id: &str) -> Self {
        Self::connect_as(port, &Connect::new(version, client_id))
    }

    /// Connects with `connect`.
    pub(crate) fn connect_as(port: u16, connect: &Connect) -> Self {
        let mut client = Self::open(port, connect.version);
        client.send(&connect.encode());
        let connack = client.packet("CONNACK");
        assert_eq!((connack.kind(), connack.reason()), (2, 0), "CONNACK expected: {connack:?}");
        if connect.version == V5 {
            client.announced = Reader(&connack.body[2..]).properties();
        }
        client
    }

    /// A property of CONNACK.
    pub(crate) fn announced(&self, identifier: u8) -> Option<&Value> {
        self.announced.iter().find(|(other, _)| *other == identifier).map(|(_, value)| value)
    }

    /// The client's own port.
    pub(crate) fn local_port(&self) -> u16 {
        self.stream.local_addr().unwrap().port()
    }

    /// Writes bytes as they are.
    pub(crate) fn send(&mut self, bytes: &[u8]) {
        self.stream.write_all(bytes).expect("write to the broker");
    }

    /// As [`Client::send`]; whether the connection was still there.
    pub(crate) fn try_send(&mut self, bytes: &[u8]) -> bool {
        self.stream.write_all(bytes).is_ok()
    }

    /// Writes a packet.
    pub(crate) fn send_packet(&mut self, first: u8, body: Vec<u8>) {
        self.send(&Packet { first, body }.encode());
    }

    /// The next packet.
    pub(crate) fn packet(&mut self, awaited: &str) -> Packet {
        self.packet_or_end(PATIENCE, awaited)
            .unwrap_or_else(|| panic!("the broker closed the connection before: {awaited}"))
    }

    /// The next packet within `patience`; `None` where the broker closes the connection first.
    pub(crate) fn packet_or_end(&mut self, patience: Duration, awaited: &str) -> Option<Packet> {
        self.read_packet(patience)
            .unwrap_or_else(|error| panic!("waited {patience:?} for: {awaited} ({error})"))
    }

    /// The next packet within `patience`; `None` where none comes. The connection must stay.
    pub(crate) fn packet_within(&mut self, patience: Duration) -> Option<Packet> {
        match self.read_packet(patience) {
            Ok(Some(packet)) => Some(packet),
            Ok(None) => panic!("the broker closed the connection"),
            Err(error) if matches!(error.kind(), ErrorKind::WouldBlock | ErrorKind::TimedOut) => {
                None
            }
            Err(error) => panic!("the connection failed: {error}"),
        }
    }

    fn read_packet(&mut self, patience: Duration) -> Result<Option<Packet>, std::io::Error> {
        self.stream.set_read_timeout(Some(patience)).unwrap();
        loop {
            if let Some(packet) = Packet::take(&mut self.inbox) {
                return Ok(Some(packet));
            }
            let mut chunk = [0; 65536];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Ok(None),
                Ok(count) => self.inbox.extend(&chunk[..count]),
                Err(error) if error.kind() == ErrorKind::ConnectionReset => return Ok(None),
                Err(error) if error.kind() == ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
    }

    /// Waits until the broker closes the connection; the packets that come before, without
    /// publishes.
    pub(crate) fn end(&mut self) -> Vec<Packet> {
        let mut packets = Vec::new();
        while let Some(packet) = self.packet_or_end(PATIENCE, "the end of the connection") {
            if packet.kind() != 3 {
                packets.push(packet);
            }
        }
        packets
    }

    /// Waits for the end of the connection; before it a 5.0 client is told `reason`, a 3.1.1
    /// client nothing.
    pub(crate) fn refused(&mut self, reason: u8) {
        let packets = self.end();
        if super::is_stand_in() {
            return;
        }
        let told: Vec<_> = packets
            .iter()
            .filter(|packet| packet.kind() == 14)
            .map(|packet| format!("{:#04x}", packet.reason()))
            .collect();
        let expected: &[String] =
            if self.version == V5 { &[format!("{reason:#04x}")] } else { &[] };
        assert_eq!(told, expected, "DISCONNECT: {packets:?}");
    }

    /// The next packet that is no PUBLISH; publishes wait for [`Client::receive`].
    pub(crate) fn answer(&mut self, awaited: &str) -> Packet {
        loop {
            let packet = self.packet(awaited);
            if packet.kind() != 3 {
                return packet;
            }
            let publish = Publish::of(&packet, self.version);
            self.stashed.push_back(publish);
        }
    }

    /// A packet identifier that was not used yet, or long ago.
    pub(crate) fn fresh_id(&mut self) -> u16 {
        let id = self.next_id;
        self.next_id = id.checked_add(1).unwrap_or(1);
        id
    }

    /// Subscribes to filters, each with its options byte; the reason codes.
    pub(crate) fn subscribe_with(
        &mut self,
        filters: &[(&str, u8)],
        properties: &[Property],
    ) -> Vec<u8> {
        let id = self.fresh_id();
        let mut body = id.to_be_bytes().to_vec();
        put_properties(&mut body, self.version, properties);
        for (filter, options) in filters {
            put_bytes(&mut body, filter.as_bytes());
            body.push(*options);
        }
        self.send_packet(0x82, body);
        self.codes(9, id, "SUBACK")
    }

    /// Writes a SUBSCRIBE for one filter and waits for nothing.
    pub(crate) fn send_subscribe(&mut self, filter: &str, qos: u8) {
        let bytes = self.encode_subscribe(filter, qos);
        self.send(&bytes);
    }

    /// A SUBSCRIBE for one filter: its bytes on the wire.
    pub(crate) fn encode_subscribe(&mut self, filter: &str, qos: u8) -> Vec<u8> {
        let mut body = self.fresh_id().to_be_bytes().to_vec();
        put_properties(&mut body, self.version, &[]);
        put_bytes(&mut body, filter.as_bytes());
        body.push(qos);
        Packet { first: 0x82, body }.encode()
    }

    /// Waits for the answer to the last request, a SUBSCRIBE; the reason codes.
    pub(crate) fn suback(&mut self) -> Vec<u8> {
        self.codes(9, self.next_id - 1, "SUBACK")
    }

    /// Subscribes to one filter; must be granted as asked.
    pub(crate) fn subscribe(&mut self, filter: &str, qos: u8) {
        assert_eq!(self.subscribe_with(&[(filter, qos)], &[]), [qos], "subscribe to {filter}");
    }

    /// Unsubscribes; the reason codes, none in 3.1.1.
    pub(crate) fn unsubscribe(&mut self, filters: &[&str]) -> Vec<u8> {
        let id = self.fresh_id();
        let mut body = id.to_be_bytes().to_vec();
        put_properties(&mut body, self.version, &[]);
        for filter in filters {
            put_bytes(&mut body, filter.as_bytes());
        }
        self.send_packet(0xa2, body);
        self.codes(11, id, "UNSUBACK")
    }

    fn codes(&mut self, kind: u8, id: u16, awaited: &str) -> Vec<u8> {
        let packet = self.answer(awaited);
        assert_eq!(packet.kind(), kind, "{awaited} expected: {packet:?}");
        let mut reader = Reader(&packet.body);
        assert_eq!(reader.two(), id);
        if self.version == V5 {
            reader.properties();
        }
        reader.0.to_vec()
    }

    /// Writes a PUBLISH and waits for nothing; its packet identifier.
    pub(crate) fn send_publish(&mut self, publish: &Publish) -> u16 {
        let (id, packet) = self.encode_publish(publish);
        self.send(&packet);
        id
    }

    /// A PUBLISH's packet identifier and its bytes on the wire.
    pub(crate) fn encode_publish(&mut self, publish: &Publish) -> (u16, Vec<u8>) {
        let id = if publish.qos == 0 { 0 } else { publish.id.unwrap_or_else(|| self.fresh_id()) };
        let mut body = Vec::new();
        put_bytes(&mut body, publish.topic.as_bytes());
        if publish.qos > 0 {
            body.extend(id.to_be_bytes());
        }
        put_properties(&mut body, self.version, &publish.properties);
        body.extend(&publish.payload);
        let first = 0x30 | publish.qos << 1 | u8::from(publish.retain) | u8::from(publish.dup) << 3;
        (id, Packet { first, body }.encode())
    }

    /// Publishes; at QoS 1 and 2 waits until the flow is complete, and gives the reason code of
    /// PUBACK or PUBREC.
    pub(crate) fn publish_with(&mut self, publish: &Publish) -> u8 {
        let id = self.send_publish(publish);
        match publish.qos {
            0 => 0,
            1 => self.puback(id),
            _ => {
                let reason = self.acknowledged(5, id, "PUBREC");
                if reason < 0x80 {
                    self.release(id);
                }
                reason
            }
        }
    }

    /// Waits for the PUBACK of `id`; its reason code.
    pub(crate) fn puback(&mut self, id: u16) -> u8 {
        self.acknowledged(4, id, "PUBACK")
    }

    /// Waits for the acknowledgement of this type for `id`; its reason code.
    pub(crate) fn acknowledged(&mut self, kind: u8, id: u16, awaited: &str) -> u8 {
        let packet = self.answer(awaited);
        assert_eq!(packet.kind(), kind, "{awaited} expected: {packet:?}");
        assert_eq!(Reader(&packet.body).two(), id, "{awaited} in the order of the publishes");
        packet.reason()
    }

    /// Sends PUBREL and waits for its PUBCOMP of success.
    pub(crate) fn release(&mut self, id: u16) {
        self.send_packet(0x62, id.to_be_bytes().to_vec());
        assert_eq!(self.acknowledged(7, id, "PUBCOMP"), 0);
    }

    /// Publishes a text without properties; must be accepted.
    pub(crate) fn publish(&mut self, topic: &str, payload: &str, qos: u8) {
        let reason = self.publish_with(&message(topic, payload, qos));
        assert!(reason < 0x80, "PUBLISH to {topic} was refused: {reason:#04x}");
    }

    /// Publishes a retained text; must be accepted.
    pub(crate) fn retain(&mut self, topic: &str, payload: &str, qos: u8) {
        let publish = Publish { retain: true, ..message(topic, payload, qos) };
        let reason = self.publish_with(&publish);
        assert!(reason < 0x80, "PUBLISH to {topic} was refused: {reason:#04x}");
    }

    /// The next message, not acknowledged.
    pub(crate) fn receive_unacknowledged(&mut self) -> Publish {
        if let Some(publish) = self.stashed.pop_front() {
            return publish;
        }
        let packet = self.packet("PUBLISH");
        Publish::of(&packet, self.version)
    }

    /// The next message, acknowledged where its QoS asks for that.
    pub(crate) fn receive(&mut self) -> Publish {
        let publish = self.receive_unacknowledged();
        if let Some(id) = publish.id {
            if publish.qos == 1 {
                self.acknowledge(id);
            } else {
                self.complete(id);
            }
        }
        publish
    }

    /// The next message within `patience`, acknowledged; `None` where none comes.
    pub(crate) fn receive_within(&mut self, patience: Duration) -> Option<Publish> {
        if self.stashed.is_empty() {
            let packet = self.read_packet(patience).ok().flatten()?;
            let publish = Publish::of(&packet, self.version);
            self.stashed.push_back(publish);
        }
        Some(self.receive())
    }

    /// Sends a PUBACK.
    pub(crate) fn acknowledge(&mut self, id: u16) {
        self.send_packet(0x40, id.to_be_bytes().to_vec());
    }

    /// Sends PUBREC, waits for PUBREL and sends PUBCOMP.
    pub(crate) fn complete(&mut self, id: u16) {
        self.send_packet(0x50, id.to_be_bytes().to_vec());
        assert_eq!(self.acknowledged(6, id, "PUBREL"), 0);
        self.send_packet(0x70, id.to_be_bytes().to_vec());
    }

    /// A PINGREQ and its answer: the connection is alive, and what was sent before is read.
    pub(crate) fn ping(&mut self) {
        self.send(&[0xc0, 0]);
        let packet = self.answer("PINGRESP");
        assert_eq!(packet, Packet { first: 0xd0, body: Vec::new() });
    }

    /// Disconnects with a reason code and waits until the broker has closed the connection.
    pub(crate) fn disconnect(mut self, reason: u8) {
        match self.version {
            V5 => self.send(&[0xe0, 1, reason]),
            _ => self.send(&[0xe0, 0]),
        }
        self.end();
    }
}

/// A message without properties.
pub(crate) fn message(topic: &str, payload: &str, qos: u8) -> Publish {
    Publish {
        topic: topic.to_owned(),
        payload: payload.as_bytes().to_vec(),
        qos,
        retain: false,
        dup: false,
        id: None,
        properties: Vec::new(),
    }
}

/// A Subscription Identifier.
pub(crate) fn identifier(value: u32) -> Property {
    (0x0b, Value::Var(value))
}

/// A user property.
pub(crate) fn user(name: &str, value: &str) -> Property {
    (0x26, Value::Pair(name.to_owned(), value.to_owned()))
}

/// A property whose value is text.
pub(crate) fn text_property(identifier: u8, text: &str) -> Property {
    (identifier, text_value(text))
}
