//! Clients that a reload must not touch: what it leaves alone is checked on their sockets and on
//! the bytes that are under way while it happens.

use serde_json::Value;

use super::client::{Client, Connect, V5, V311, message};
use super::engine::Engine;
use super::setup::Setup;
use super::sockets::Sockets;
use super::traffic::Traffic;

/// Clients that publish and subscribe at QoS 1 on some topics, and, at each reload, clients of
/// whose packet the engine has the first half.
pub(crate) struct Bystanders {
    traffic: Traffic,
    /// The topic of the packets that are cut in two.
    topic: String,
    /// Receives what those publish.
    witness: Client,
    /// Those of earlier reloads, whose connections must stay.
    earlier: Vec<Client>,
}

impl Bystanders {
    /// Starts them, and returns when messages arrive.
    pub(crate) fn start(engine: &Engine, topics: &[&str]) -> Self {
        let topic = format!("{}/halved", topics[0]);
        let mut witness = Client::connect(engine.port, V5, "witness");
        witness.subscribe(&topic, 1);
        let traffic = Traffic::start(engine.port, topics);
        Self { traffic, topic, witness, earlier: Vec::new() }
    }

    /// Reloads, with packets cut in two by it; the event that says what it did. All sockets and
    /// connections must be the same after it.
    pub(crate) fn reload(&mut self, engine: &Engine, setup: &Setup) -> Value {
        self.reload_text(engine, &setup.yaml())
    }

    /// As [`Bystanders::reload`], with the text of the file.
    pub(crate) fn reload_text(&mut self, engine: &Engine, text: &str) -> Value {
        self.reload_without(engine, text, &[])
    }

    /// As [`Bystanders::reload_text`], where the reload ends listening on the ports that are `gone`.
    pub(crate) fn reload_without(&mut self, engine: &Engine, text: &str, gone: &[u16]) -> Value {
        self.during(engine, gone, || engine.reload_text(text))
    }

    /// Has something happen to the engine while packets are cut in two by it. Nothing may happen to
    /// sockets, but those of ports that are `gone`, or to connections.
    pub(crate) fn during<T>(
        &mut self,
        engine: &Engine,
        gone: &[u16],
        what: impl FnOnce() -> T,
    ) -> T {
        let halves = Halves::send(engine, &self.topic, self.earlier.len());
        let before = Sockets::of(engine.id());
        let result = what();
        before.assert_kept(&Sockets::of(engine.id()), gone);
        self.earlier.extend(halves.complete(&mut self.witness, &self.topic));
        self.traffic.flow();
        before.assert_kept(&Sockets::of(engine.id()), gone);
        result
    }

    /// Waits until some more messages have arrived.
    pub(crate) fn flow(&self) {
        self.traffic.flow();
    }

    /// Ends them: nothing may be lost or doubled, order must be kept on the topics in `ordered`,
    /// and every connection must be there.
    pub(crate) fn finish(mut self, ordered: &[&str]) {
        self.earlier.iter_mut().for_each(Client::ping);
        self.witness.ping();
        self.traffic.finish(ordered);
    }
}

/// Clients of whose packets the engine has a part.
struct Halves {
    /// A PUBLISH cut in its payload, and one, of 3.1.1, after its first byte.
    publishers: Vec<(Client, u16, Vec<u8>)>,
    /// A SUBSCRIBE.
    subscriber: (Client, Vec<u8>),
    /// A CONNECT.
    newcomer: (Client, Vec<u8>),
}

impl Halves {
    /// Returns when the engine has read the first parts. `number` tells these clients from others.
    fn send(engine: &Engine, topic: &str, number: usize) -> Self {
        let mut sent = Vec::new();
        let mut send = |client: &mut Client, mut bytes: Vec<u8>, at: usize| {
            let rest = bytes.split_off(at);
            client.send(&bytes);
            sent.push((engine.port, client.local_port()));
            rest
        };
        let mut publishers = Vec::new();
        for (version, at) in [(V5, 20), (V311, 1)] {
            let mut client =
                Client::connect(engine.port, version, &format!("half-{version}-{number}"));
            let (id, bytes) = client.encode_publish(&message(topic, "a payload cut in two", 1));
            let rest = send(&mut client, bytes, at);
            publishers.push((client, id, rest));
        }
        let mut subscriber = Client::connect(engine.port, V5, &format!("half-subscriber-{number}"));
        let bytes = subscriber.encode_subscribe(topic, 1);
        let at = bytes.len() / 2;
        let rest = send(&mut subscriber, bytes, at);
        let mut newcomer = Client::open(engine.port, V5);
        let bytes = Connect::new(V5, &format!("half-newcomer-{number}")).encode();
        let at = bytes.len() / 2;
        let connect = send(&mut newcomer, bytes, at);
        Sockets::await_read(engine.id(), &sent);
        Self { publishers, subscriber: (subscriber, rest), newcomer: (newcomer, connect) }
    }

    /// Sends the rest; each must be answered, and what is published arrives. The clients.
    fn complete(self, witness: &mut Client, topic: &str) -> Vec<Client> {
        let (mut subscriber, rest) = self.subscriber;
        subscriber.send(&rest);
        assert_eq!(subscriber.suback(), [1], "a SUBSCRIBE cut in two");
        let (mut newcomer, rest) = self.newcomer;
        newcomer.send(&rest);
        let connack = newcomer.packet("CONNACK");
        assert_eq!((connack.kind(), connack.reason()), (2, 0), "a CONNECT cut in two");
        newcomer.publish(topic, "of the newcomer", 1);
        let mut texts = vec!["of the newcomer"];
        let mut clients = Vec::new();
        for (mut client, id, rest) in self.publishers {
            client.send(&rest);
            let reason = client.puback(id);
            assert!(reason < 0x80, "a PUBLISH cut in two was refused: {reason:#04x}");
            texts.push("a payload cut in two");
            clients.push(client);
        }
        for receiver in [witness, &mut subscriber] {
            for text in &texts {
                assert_eq!(receiver.receive().text(), *text);
            }
        }
        clients.extend([subscriber, newcomer]);
        clients
    }
}
