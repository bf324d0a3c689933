//! What `zilla explain` says of a client's action is what then happens to it: on an engine that runs
//! on the same file, by the packets that clients get and the records that lie in Kafka.

use std::fmt::Write as _;

use serde_json::{Value as Json, json};

use crate::harness::{
    Client, Connect, Engine, PATIENCE, Publish, Record, Setup, V5, V311, Value, Will, engine_only,
    is_embedded, kafka_only, message, on_one_and_three_workers, text, text_property, user, zilla,
};

on_one_and_three_workers!(
    what_becomes_of_a_publish,
    what_becomes_of_a_publish_at_qos_2,
    what_becomes_of_an_action_that_is_decided,
    what_becomes_of_an_action_where_properties_decide
);

/// Routes that let some in, tell sensors from the rest, and name a Kafka topic by a level.
fn setup(workers: usize) -> Setup {
    let mut setup = Setup::new(workers)
        .with_topics(&["sensors", "site-a"])
        .with_route("sensors/#", "\"@sensors\"")
        .with_route("site/{site}/#", "\"@site-${params.site}\"");
    setup.mqtt = "    routes:
      - when:
          - session:
              - client-id: gateway-*
            publish:
              - topic: sensors/#
              - topic: site/#
              - topic: a/+
          - session:
              - client-id: reader
            subscribe:
              - topic: sensors/#
              - topic: site/#
              - topic: a/+
        exit: mapping
"
    .to_owned();
    setup
}

/// An engine on that file, whose mqtt binding has routes alone.
fn engine(workers: usize) -> Engine {
    let setup = setup(workers);
    let text = setup.yaml();
    let engine = setup.start();
    let plain =
        text.replace("        exit: mapping\n    exit: mapping\n", "        exit: mapping\n");
    assert_ne!(plain, text);
    engine.reload_text(&plain);
    engine
}

/// What `zilla explain` says of an action of a client.
fn explained(engine: &Engine, version: u8, client: &str, action: &[&str]) -> Json {
    let (verb, arguments) = action.split_first().unwrap();
    let version = if version == V5 { "5" } else { "3.1.1" };
    let mut command = zilla(&["explain", "--format", "json", "-c"]);
    command.arg(&engine.file).args([verb, "--client-id", client, "--version", version]);
    command.args(engine.properties().iter().flat_map(|property| ["-P", property]));
    let output = command
        .args(arguments)
        .env("KAFKA_BOOTSTRAP_SERVER", "127.0.0.1:9092")
        .output()
        .expect("run zilla explain");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).unwrap()
}

/// What `explain` says that a client is told; `None` where nothing is denied.
fn told(explained: &Json, version: u8) -> Option<String> {
    let version = if version == V5 { "5.0" } else { "3.1.1" };
    let denied = explained.get("denied").filter(|denied| !denied.is_null())?;
    Some(text(&denied["answers"][version]).to_owned())
}

/// A value as `explain` shows it.
fn shown(value: Option<&Vec<u8>>) -> String {
    let value = value.map_or(&[][..], Vec::as_slice);
    match std::str::from_utf8(value) {
        Ok(text) if !text.contains(|c: char| c.is_control()) => text.to_owned(),
        _ => value.iter().fold("0x".to_owned(), |mut text, byte| {
            write!(text, "{byte:02x}").unwrap();
            text
        }),
    }
}

/// A record as `explain` tells of one.
fn facts(engine: &Engine, topic: &str, record: &Record) -> Json {
    let headers: Json = record
        .headers
        .iter()
        .map(|(name, value)| json!({"name": name, "value": shown(value.as_ref())}))
        .collect();
    json!({
        "kafka-topic": engine.topic(topic),
        "key": shown(record.key.as_ref()),
        "headers": headers,
        "partition": record.partition,
    })
}

/// The records of a topic with a value.
fn found(engine: &Engine, topic: &str, value: &str) -> Vec<Record> {
    let mut records = engine.records(topic, 0);
    records.retain(|record| record.value.as_deref() == Some(value.as_bytes()));
    records
}

/// Publishes that are taken: each lies where `explain` says, and nowhere else.
fn what_becomes_of_a_publish(workers: usize) {
    engine_only!();
    let engine = engine(workers);
    // Each topic has its number of partitions: that of the harness.
    let partitions = |topic: &str| if topic == "messages" && !is_embedded() { "3" } else { "2" };
    for (index, (version, topic, more)) in [
        (V5, "sensors/1/t", &[][..]),
        (V311, "sensors/1/t", &[]),
        (V5, "site/a/x", &["--user-property", "k=v", "--message-expiry", "60"]),
        (V5, "a/b", &["--content-type", "text/plain", "--retain"]),
        (V5, "a/c", &["--response-topic", "a/d", "--correlation-data", "x-1", "--qos", "0"]),
        (V311, "a/", &["--retain"]),
    ]
    .into_iter()
    .enumerate()
    {
        let value = format!("payload {index}");
        let expected = match topic.split('/').next() {
            Some("sensors") => "sensors",
            Some("site") => "site-a",
            _ => "messages",
        };
        let mut arguments = vec!["publish", "--topic", topic, "--payload", &value];
        arguments.extend(["--partitions", partitions(expected)]);
        if !more.contains(&"--qos") {
            arguments.extend(["--qos", "1"]);
        }
        arguments.extend(more);
        let said = explained(&engine, version, "gateway-7", &arguments);
        assert_eq!(told(&said, version), None, "{topic}");

        let mut client = Client::connect(engine.port, version, "gateway-7");
        let reason = client.publish_with(&published(topic, &value, &arguments));
        assert!(reason < 0x80, "{topic}: {reason:#04x}");
        // What was sent at QoS 0 before is in Kafka before this.
        client.publish("a/after", "after", 1);
        let mut facts_said = said["facts"].clone();
        let facts_said = facts_said.as_object_mut().unwrap();
        facts_said.remove("qos");
        let retained = facts_said.remove("retained-topic");
        for kafka in ["messages", "sensors", "site-a"] {
            let records = found(&engine, kafka, &value);
            assert_eq!(records.len(), usize::from(kafka == expected), "{topic} in {kafka}");
            for record in &records {
                assert_eq!(
                    Json::Object(facts_said.clone()),
                    facts(&engine, kafka, record),
                    "{topic}"
                );
            }
        }
        let kept = found(&engine, "retained", &value);
        assert_eq!(kept.len(), usize::from(arguments.contains(&"--retain")), "{topic}");
        assert_eq!(retained, kept.first().map(|_| engine.topic("retained").into()), "{topic}");
        client.disconnect(0);
    }
}

fn what_becomes_of_a_publish_at_qos_2(workers: usize) {
    engine_only!();
    let setup = Setup::new(workers).with_topics(&["sensors"]);
    let engine = setup.with_route("sensors/#", "\"@sensors\"").start();
    for version in [V311, V5] {
        let value = format!("{version} at 2");
        let arguments = ["--topic", "sensors/1", "--payload", &value, "--partitions", "2"];
        let action = [&["publish", "--qos", "2"][..], &arguments].concat();
        let said = explained(&engine, version, "gateway-7", &action);
        assert_eq!(told(&said, version), None);
        let mut facts_said = said["facts"].clone();
        assert_eq!(facts_said.as_object_mut().unwrap().remove("qos"), Some(2.into()));
        let mut client = Client::connect(engine.port, version, "gateway-7");
        assert_eq!(client.publish_with(&published("sensors/1", &value, &action)), 0);
        let records = found(&engine, "sensors", &value);
        assert_eq!(records.len(), 1, "{records:?}");
        assert_eq!(facts_said, facts(&engine, "sensors", &records[0]));
        client.disconnect(0);
    }
}

/// The publish that arguments of `explain` describe.
fn published(topic: &str, value: &str, arguments: &[&str]) -> Publish {
    let given = |name: &str| {
        let at = arguments.iter().position(|argument| *argument == name)?;
        Some(arguments[at + 1])
    };
    let mut properties = Vec::new();
    if let Some(seconds) = given("--message-expiry") {
        properties.push((0x02, Value::Four(seconds.parse().unwrap())));
    }
    if let Some(name) = given("--content-type") {
        properties.push(text_property(0x03, name));
    }
    if let Some(topic) = given("--response-topic") {
        properties.push(text_property(0x08, topic));
    }
    if let Some(data) = given("--correlation-data") {
        properties.push((0x09, Value::Bytes(data.as_bytes().to_vec())));
    }
    if let Some((name, value)) = given("--user-property").and_then(|pair| pair.split_once('=')) {
        properties.push(user(name, value));
    }
    Publish {
        retain: arguments.contains(&"--retain"),
        properties,
        ..message(topic, value, given("--qos").map_or(0, |qos| qos.parse().unwrap()))
    }
}

/// A publish that is taken.
const SENSORS: [&str; 5] = ["publish", "--topic", "sensors", "--qos", "1"];

/// What a client is told that does something which is decided by its answer.
fn what_becomes_of_an_action_that_is_decided(workers: usize) {
    engine_only!();
    let engine = engine(workers);
    let mut denied = Vec::new();
    for version in [V311, V5] {
        for (client, action) in [
            ("gateway-1", &["connect"][..]),
            ("nobody", &["connect"]),
            ("gateway-1", &["connect", "--will-topic", "sensors/gone"]),
            ("gateway-1", &["connect", "--will-topic", "elsewhere"]),
            ("gateway-1", &["connect", "--will-topic", "a/+"]),
            ("gateway-1", &["publish", "--topic", "elsewhere", "--qos", "1"]),
            ("gateway-1", &["publish", "--topic", "elsewhere", "--qos", "0"]),
            ("gateway-1", &["publish", "--topic", "a/b/c", "--qos", "1"]),
            ("gateway-1", &["publish", "--topic", "a/+", "--qos", "1"]),
            ("gateway-1", &["publish", "--topic", "a/b", "--qos", "2"]),
            ("gateway-1", &["publish", "--topic", "elsewhere", "--qos", "2"]),
            ("gateway-1", &SENSORS),
            ("reader", &["subscribe", "--filter", "sensors/#", "--qos", "0"]),
            ("reader", &["subscribe", "--filter", "sensors/#", "--qos", "1"]),
            ("reader", &["subscribe", "--filter", "sensors/#", "--qos", "2"]),
            ("reader", &["subscribe", "--filter", "site/a/+", "--qos", "1"]),
            ("reader", &["subscribe", "--filter", "elsewhere/#", "--qos", "1"]),
            ("reader", &["subscribe", "--filter", "#", "--qos", "1"]),
            ("reader", &["subscribe", "--filter", "a/#/b", "--qos", "1"]),
            ("reader", &["subscribe", "--filter", "$share/g/a/b", "--qos", "1"]),
            ("reader", &["subscribe", "--filter", "$share/g/elsewhere/#", "--qos", "1"]),
            ("reader", &["subscribe", "--filter", "$share//a/b", "--qos", "1"]),
        ] {
            let said = explained(&engine, version, client, action);
            let expected = told(&said, version);
            let payload = format!("{version} {action:?}");
            if expected.is_some() {
                denied.push(payload.clone());
            }
            let expected = expected.unwrap_or_else(|| taken(&said, version, action));
            let seen = seen(&engine, version, client, action, &payload);
            assert!(
                expected.starts_with(&seen),
                "version {version}, {client}: {action:?}: {seen}, not {expected}"
            );
        }
    }
    assert!(denied.len() > 20, "{denied:?}");
    let records = ["messages", "sensors", "site-a"].map(|topic| engine.records(topic, 0));
    let values = records.iter().flatten().map(|record| shown(record.value.as_ref()));
    let values: Vec<String> = values.collect();
    assert!(values.contains(&format!("{V5} {:?}", SENSORS)), "{values:?}");
    assert!(!values.iter().any(|value| denied.contains(value)), "{values:?}");
}

/// What the properties of a run decide: `zilla explain` is told of them as the engine is.
fn what_becomes_of_an_action_where_properties_decide(workers: usize) {
    engine_only!();
    let with = |properties: &[(&str, &str)]| {
        let with = |setup: Setup, &(name, value): &_| setup.with_property(name, value);
        properties.iter().fold(Setup::new(workers), with).start()
    };
    for (engine, actions) in [
        (
            with(&[
                ("publish.qos.max", "at_most_once"),
                ("retain.available", "false"),
                ("wildcard.subscription.available", "false"),
                ("shared.subscription.available", "false"),
            ]),
            &[
                (&["connect", "--will-topic", "a", "--will-qos", "1"][..], true),
                (&["connect", "--will-topic", "a", "--will-qos", "0"], false),
                (&["publish", "--topic", "a", "--qos", "1"], true),
                (&["publish", "--topic", "a", "--qos", "0", "--retain"], true),
                (&["publish", "--topic", "a", "--qos", "0"], false),
                (&["subscribe", "--filter", "a/#", "--qos", "0"], true),
                (&["subscribe", "--filter", "$share/g/a", "--qos", "0"], true),
                (&["subscribe", "--filter", "a", "--qos", "2"], false),
            ][..],
        ),
        (
            with(&[("kafka.publish.qos.max", "1")]),
            &[
                (&["connect", "--will-topic", "a", "--will-qos", "2"], true),
                (&["publish", "--topic", "a", "--qos", "2"], true),
                (&["publish", "--topic", "a", "--qos", "1"], false),
                (&["subscribe", "--filter", "a/#", "--qos", "2"], false),
            ],
        ),
    ] {
        for version in [V311, V5] {
            for (action, is_denied) in actions {
                let said = explained(&engine, version, "c", action);
                let told = told(&said, version);
                assert_eq!(told.is_some(), *is_denied, "{action:?}: {said:#}");
                let expected = told.unwrap_or_else(|| taken(&said, version, action));
                let seen = seen(&engine, version, "c", action, "x");
                assert!(
                    expected.starts_with(&seen),
                    "{version}: {action:?}: {seen}, not {expected}"
                );
            }
        }
    }
    let bounds = [("keep.alive.minimum", "20"), ("keep.alive.maximum", "30")];
    let engine = with(&bounds);
    for keep_alive in [5, 25, 65535] {
        let asked = keep_alive.to_string();
        let said = explained(&engine, V5, "c", &["connect", "--keep-alive", &asked]);
        let connect = Connect::new(V5, "c").with_keep_alive(keep_alive);
        let client = Client::connect_as(engine.port, &connect);
        let given = match client.announced(0x13) {
            Some(Value::Two(seconds)) => *seconds,
            _ => keep_alive,
        };
        assert_eq!(said["facts"]["keep-alive"], given, "{asked}");
    }
}

/// The answer to what is not denied.
fn taken(said: &Json, version: u8, action: &[&str]) -> String {
    match action[0] {
        "connect" => "CONNACK 0x00".to_owned(),
        "publish" if action.contains(&"0") => "no answer".to_owned(),
        "publish" => {
            let name = if action.ends_with(&["2"]) { "PUBREC" } else { "PUBACK" };
            if version == V5 { format!("{name} 0x00") } else { name.to_owned() }
        }
        _ => format!("SUBACK 0x{:02X}", said["facts"]["qos"].as_u64().unwrap()),
    }
}

/// What a client sees that does this, in the words of `explain`.
fn seen(engine: &Engine, version: u8, client_id: &str, action: &[&str], payload: &str) -> String {
    let given = |name: &str| {
        let at = action.iter().position(|argument| *argument == name)?;
        Some(action[at + 1])
    };
    let mut connect = Connect::new(version, client_id);
    if let Some(topic) = given("--will-topic") {
        let will = Will::new(topic, b"gone");
        let qos = given("--will-qos").map_or(will.qos, |qos| qos.parse().unwrap());
        connect = connect.with_will(Will { qos, ..will });
    }
    let mut client = Client::open(engine.port, version);
    client.send(&connect.encode());
    let connack = next(&mut client);
    if connack != "CONNACK 0x00" || action[0] == "connect" {
        return connack;
    }
    let qos = given("--qos").unwrap().parse().unwrap();
    if let Some(topic) = given("--topic") {
        let retain = action.contains(&"--retain");
        client.send_publish(&Publish { retain, ..message(topic, payload, qos) });
        if qos == 0 && !retain {
            // Nothing is told of it; the connection goes on.
            client.ping();
            return "no answer".to_owned();
        }
    } else {
        client.send_subscribe(given("--filter").unwrap(), qos);
    }
    next(&mut client)
}

/// The next packet, or the end.
fn next(client: &mut Client) -> String {
    let Some(packet) = client.packet_or_end(PATIENCE, "an answer or the end") else {
        return "the connection is closed".to_owned();
    };
    let name = match packet.kind() {
        2 => "CONNACK",
        4 => "PUBACK",
        5 => "PUBREC",
        9 => "SUBACK",
        14 => "DISCONNECT",
        _ => panic!("{packet:?}"),
    };
    if name.starts_with("PUB") && client.version == V311 {
        return name.to_owned();
    }
    let reason = if name == "SUBACK" { *packet.body.last().unwrap() } else { packet.reason() };
    format!("{name} 0x{reason:02X}")
}

/// A subscription is served from the topics that `explain` names, and from no other.
#[test]
fn a_subscription_reads_the_topics_that_are_named() {
    kafka_only!();
    let engine = engine(1);
    let all = [("sensors", "sensors/1"), ("site-a", "site/a/x"), ("messages", "a/b")];
    for filter in ["sensors/#", "site/a/#", "a/+", "site/+/x"] {
        let action = ["subscribe", "--filter", filter, "--qos", "1"];
        let said = explained(&engine, V5, "reader", &action);
        let named = said["facts"]["kafka-topics"].as_array().unwrap();
        let mut reader = Client::connect(engine.port, V5, "reader");
        reader.subscribe(filter, 1);
        // A record that fits the filter, in each of the topics, those that are not named first.
        let mut topics = all.map(|(topic, _)| topic);
        topics.sort_by_key(|topic| named.contains(&engine.topic(topic).into()));
        let key = match filter {
            "sensors/#" => "sensors/1",
            "a/+" => "a/b",
            _ => "site/a/x",
        };
        for topic in topics {
            engine.topics.borrow_mut().produce(
                topic,
                Some(key.as_bytes()),
                Some(topic.as_bytes()),
                &[],
            );
        }
        let mut read: Vec<String> =
            named.iter().map(|_| engine.topic(reader.receive().text())).collect();
        reader.ping();
        assert_eq!(reader.receive_within(std::time::Duration::from_millis(1)), None, "{filter}");
        read.sort();
        let mut named: Vec<&str> = named.iter().map(text).collect();
        named.sort_unstable();
        assert_eq!(read, named, "{filter}");
        reader.disconnect(0);
    }
}
