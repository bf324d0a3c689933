//! Client libraries of others, each in each version that it speaks, all through the same: every QoS,
//! retained messages, a will, properties, a session that is resumed, connections that are cut in the
//! middle, and payloads of 10 MB, taken and refused.

use std::collections::BTreeSet;

use serde_json::{Value, json};

use crate::harness::{
    Client, Engine, Library, Publish, Script, Setup, V5, V311, engine, engine_only, message, text,
    user,
};
use crate::proxy::Proxy;

macro_rules! clients {
    ($($name:ident: $library:expr, $version:expr;)*) => {
        $(mod $name {
            use super::*;

            #[test]
            fn does_everything() {
                super::does_everything($library, $version);
            }

            #[test]
            fn is_refused_what_is_too_large() {
                super::is_refused_what_is_too_large($library, $version);
            }
        })*
    };
}

clients! {
    paho_v311: Library::Paho, V311;
    paho_v5: Library::Paho, V5;
    aiomqtt_v311: Library::Aiomqtt, V311;
    aiomqtt_v5: Library::Aiomqtt, V5;
    gmqtt_v311: Library::Gmqtt, V311;
    gmqtt_v5: Library::Gmqtt, V5;
    mqttjs_v311: Library::MqttJs, V311;
    mqttjs_v5: Library::MqttJs, V5;
    rumqttc_v311: Library::Rumqttc, V311;
    rumqttc_v5: Library::Rumqttc, V5;
    paho_c_v311: Library::PahoC, V311;
    paho_c_v5: Library::PahoC, V5;
    paho_java_v311: Library::PahoJava, V311;
    paho_java_v5: Library::PahoJava, V5;
}

/// The client under test, and its surroundings.
struct Case {
    engine: Engine,
    /// The size of a payload that is large, bytes.
    large: usize,
    library: Library,
    version: u8,
}

fn does_everything(library: Library, version: u8) {
    let mut setup = Setup::new(1);
    if library == Library::PahoJava {
        // It sends again what was not acknowledged, with the topic aliases of its last connection,
        // for which the engine must end the new one [MQTT-3.3.2-7].
        setup = setup.with_property("topic.alias.maximum", "0");
    }
    let (engine, large) = setup.start_large();
    let case = Case { engine, large, library, version };
    case.messages_of_every_qos();
    case.retained();
    case.will();
    if version == V5 {
        case.properties();
    }
    case.resumes();
    for qos in [1, 2] {
        case.is_cut_off(qos);
    }
    case.large();
}

/// What lasts beyond its connection, in CONNECT.
fn lasting() -> Value {
    json!({"clean": false, "properties": {"session_expiry": 600}})
}

fn merged(mut one: Value, other: Value) -> Value {
    one.as_object_mut().unwrap().extend(other.as_object().unwrap().clone());
    one
}

impl Case {
    fn connect(&self, client_id: &str, more: Value) -> Script {
        Script::connect_with(self.library, self.engine.port, self.version, client_id, more)
    }

    fn watcher(&self, filter: &str) -> Client {
        let mut watcher = Client::connect(self.engine.port, V5, "watcher");
        watcher.subscribe(filter, 2);
        watcher
    }

    /// [MQTT-4.3.1-1] [MQTT-4.3.2-1] [MQTT-4.3.3-1] [MQTT-3.8.4-6] [MQTT-3.10.4-1]
    fn messages_of_every_qos(&self) {
        let mut watcher = self.watcher("m/#");
        let mut subject = self.connect("subject", json!({}));
        subject.command(&json!({"do": "subscribe", "filters": [
            {"filter": "m/+/0", "qos": 0}, {"filter": "m/+/1", "qos": 1}, {"filter": "m/+/2", "qos": 2},
        ]}));
        assert_eq!(subject.event("suback")["codes"], json!([0, 1, 2]));
        let payload = b"\x00\xff not text";
        for qos in 0..=2 {
            let topic = format!("m/own/{qos}");
            subject.publish(&topic, payload, qos);
            let watched = watcher.receive();
            assert_eq!((&*watched.topic, watched.qos), (&*topic, qos));
            assert_eq!((&*watched.payload, watched.retain), (&payload[..], false));
            let own = subject.message();
            assert_eq!((&*own.topic, own.qos), (&*topic, u64::from(qos)));
            assert_eq!((&*own.payload, own.retain), (&payload[..], false));
        }
        for qos in 0..=2 {
            watcher.publish(&format!("m/raw/{qos}"), "raw", qos);
            watcher.receive();
            let received = subject.message();
            assert_eq!((received.qos, &*received.payload), (u64::from(qos), &b"raw"[..]));
        }
        subject.command(&json!({"do": "unsubscribe", "filters": ["m/+/0"]}));
        subject.event("unsuback");
        watcher.publish("m/raw/0", "not wanted", 1);
        watcher.publish("m/raw/1", "wanted", 1);
        assert_eq!(subject.message().payload, b"wanted");
        subject.publish("m/own/1", b"", 1);
        assert_eq!(subject.message().payload, b"");
        self.leave(&mut subject);
    }

    fn leave(&self, subject: &mut Script) {
        subject.command(&json!({"do": "disconnect"}));
        subject.event("closed");
    }

    /// [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-8] [MQTT-3.3.1-9]
    fn retained(&self) {
        let mut subject = self.connect("subject", json!({}));
        subject.publish_with("r/own", b"kept", 1, true, &json!({}));
        let mut late = self.watcher("r/#");
        let kept = late.receive();
        assert_eq!((kept.text(), kept.retain), ("kept", true));
        subject.subscribe("r/#", 1);
        let own = subject.message();
        assert_eq!((&*own.payload, own.retain, own.qos), (&b"kept"[..], true, 1));
        subject.publish_with("r/own", b"", 1, true, &json!({}));
        let live = subject.message();
        assert_eq!((&*live.payload, live.retain), (&b""[..], false));
        late.receive();
        let mut later = self.watcher("r/#");
        later.publish("r/mark", "mark", 1);
        assert_eq!(later.receive().text(), "mark", "nothing is kept any more");
        self.leave(&mut subject);
    }

    /// [MQTT-3.1.2-8] [MQTT-3.1.2-10]
    fn will(&self) {
        let mut watcher = self.watcher("w/#");
        let will = |text: &[u8]| {
            let properties =
                if self.version == V5 { json!({"content_type": "last"}) } else { json!({}) };
            let payload = crate::harness::hex(text);
            json!({"will": {"topic": "w/subject", "payload": payload, "qos": 1,
                "properties": properties}})
        };
        let mut leaves = self.connect("leaves", will(b"not this"));
        self.leave(&mut leaves);
        let mut dies = self.connect("dies", will(b"this"));
        dies.kill();
        let last = watcher.receive();
        assert_eq!((&*last.topic, last.text(), last.qos), ("w/subject", "this", 1));
        assert_eq!(last.properties.iter().any(|(id, _)| *id == 0x03), self.version == V5);
    }

    /// [MQTT-3.3.2-4] [MQTT-3.3.2-6] [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-17]
    /// [MQTT-3.3.2-18] [MQTT-3.3.2-20] [MQTT-3.3.4-3]
    fn properties(&self) {
        let mut watcher = self.watcher("p/#");
        let mut subject = self.connect("subject", json!({}));
        subject.command(&json!({
            "do": "subscribe", "filters": [{"filter": "p/#", "qos": 1}], "identifier": 7,
        }));
        assert_eq!(subject.event("suback")["codes"], json!([1]));
        let sent = json!({
            "payload_format": 1,
            "message_expiry": 1000,
            "content_type": "text/plain",
            "response_topic": "answer/here",
            "correlation_data": "00ff",
            "user": [["a", "1"], ["b", "2"]],
        });
        subject.publish_with("p/own", "é".as_bytes(), 1, false, &sent);
        let mut received = subject.message().properties;
        let left = received["message_expiry"].as_u64().expect("seconds");
        assert!((900..=1000).contains(&left), "{left}");
        received["message_expiry"] = json!(1000);
        let mut expected = sent;
        expected["identifiers"] = json!([7]);
        assert_eq!(received, expected);
        let watched = watcher.receive();
        assert!(watched.properties.contains(&user("b", "2")), "{watched:?}");
        self.leave(&mut subject);
    }

    /// [MQTT-3.1.2-4] [MQTT-3.1.2-5] [MQTT-3.2.2-3] [MQTT-4.5.0-1]
    fn resumes(&self) {
        let mut publisher = Client::connect(self.engine.port, V5, "publisher");
        let mut subject = self.connect("resumes", lasting());
        subject.subscribe("s/#", 2);
        self.leave(&mut subject);
        for number in 0..10_u8 {
            publisher.publish("s/x", &number.to_string(), 1 + number % 2);
        }
        let connack = subject.connect_again(self.engine.port, self.version, "resumes", lasting());
        assert_eq!(connack["code"], 0, "{connack}");
        if !connack["session_present"].is_null() {
            assert_eq!(connack["session_present"], true);
        }
        // Some show a message of QoS 2 when it came, others when it is complete.
        let mut received = [Vec::new(), Vec::new(), Vec::new()];
        for _ in 0..10 {
            let message = subject.message();
            received[usize::try_from(message.qos).unwrap()].push(message.text());
        }
        assert_eq!(
            received,
            [vec![], vec!["0", "2", "4", "6", "8"], vec!["1", "3", "5", "7", "9"]]
        );
        self.leave(&mut subject);
    }

    /// The connection is reset while messages are under way in both directions, and the library
    /// connects again by itself [MQTT-4.4.0-1] [MQTT-4.3.3-10].
    fn is_cut_off(&self, qos: u8) {
        const COUNT: usize = 400;
        let proxy = Proxy::start(self.engine.port);
        let mut watcher = self.watcher("c/out");
        let mut publisher = Client::connect(self.engine.port, V5, "publisher");
        let client_id = format!("cut-{qos}");
        let mut subject = Script::connect_with(
            self.library,
            proxy.port,
            self.version,
            &client_id,
            merged(lasting(), json!({"reconnect": true})),
        );
        subject.subscribe("c/in", 1);
        subject.command(&json!({
            "do": "publish_many", "topic": "c/out", "qos": qos, "count": COUNT,
        }));
        let mut out = Vec::new();
        let mut take = |count: usize| {
            while out.iter().collect::<BTreeSet<_>>().len() < count {
                out.push(watcher.receive().text().parse::<usize>().unwrap());
            }
            out.len()
        };
        take(COUNT / 4);
        for number in 0..20 {
            publisher.publish("c/in", &number.to_string(), 1);
        }
        proxy.reset();
        while subject.event_of(&["closed", "connack"])["event"] != "connack" {}
        let taken = take(COUNT);
        if qos == 2 {
            assert_eq!(taken, COUNT, "each once, whatever was sent again: {out:?}");
        }
        assert_eq!(subject.event("published_all")["count"], COUNT);
        let mut all = BTreeSet::new();
        while all.len() < 20 {
            all.insert(subject.message().text());
        }
        self.leave(&mut subject);
    }

    fn large(&self) {
        let mut watcher = self.watcher("l/#");
        let mut subject = self.connect("subject", json!({}));
        subject.subscribe("l/#", 1);
        let size = self.large;
        subject.command(&json!({"do": "publish", "topic": "l/own", "size": size, "qos": 1}));
        let published = subject.event("published");
        assert!(published["code"].as_u64().is_some_and(|code| code < 0x80), "{published}");
        let own = subject.event("message");
        assert_eq!((&own["size"], &own["is_pattern"]), (&json!(size), &json!(true)));
        let watched = watcher.receive();
        assert!(watched.payload == pattern(size), "{} bytes", watched.payload.len());
        // And the other way.
        watcher.publish_with(&Publish { payload: pattern(size), ..message("l/raw", "", 1) });
        let received = subject.event("message");
        assert_eq!((&received["size"], &received["is_pattern"]), (&json!(size), &json!(true)));
        self.leave(&mut subject);
    }
}

/// What drivers publish where they are told a size.
fn pattern(size: usize) -> Vec<u8> {
    (0..251).cycle().take(size).collect()
}

/// [MQTT-3.2.2-15]: 5.0 clients are told how large a packet may be. Those that do not look, and all
/// of 3.1.1, lose their connection, and those of 5.0 learn why. They come again and are served.
fn is_refused_what_is_too_large(library: Library, version: u8) {
    engine_only!();
    let engine = engine(1);
    let mut subject = Script::connect(library, engine.port, version, "subject");
    subject.command(&json!({"do": "publish", "topic": "l/own", "size": 10_000_000, "qos": 1}));
    let told = subject.event_of(&["closed", "refused", "published"]);
    let refuses_itself = told["event"] != "closed";
    if refuses_itself {
        assert_eq!(version, V5, "who was not told sends it: {told}");
        assert!(told["event"] == "refused" || told["code"] == 0x95, "{told}");
    } else {
        // 3.1.1 has no word for it.
        assert!(version == V311 || told["code"].is_null() || told["code"] == 0x95, "{told}");
        let end = engine.event("the end of the session", |event| {
            event["event"] == "mqtt.session.ended" && event["client_id"] == "subject"
        });
        assert!(text(&end["reason"]).contains("0x95"), "{end}");
    }
    let mut subject = Script::connect(library, engine.port, version, "subject");
    subject.subscribe("l/#", 1);
    subject.publish("l/own", b"small", 1);
    assert_eq!(subject.message().payload, b"small");
    assert_eq!(engine.records("messages", 1).len(), 1, "nothing of it was kept");
}
