//! Wills: when they are published, and when not.

use std::time::{Duration, Instant};

use serde_json::json;

use crate::harness::{
    Client, Connect, Engine, LIBRARIES, PATIENCE, Publish, Script, Setup, V5, V311, Value, Will,
    engine, engine_only, free_port, hex, message, mosquitto_sub, on_one_and_three_workers,
    text_property, user,
};

on_one_and_three_workers!(
    a_killed_client_leaves_its_will,
    a_normal_disconnect_discards_the_will,
    a_takeover_publishes_the_will_of_the_old_connection,
    a_delayed_will_comes_when_its_delay_or_its_session_is_over,
    a_client_that_comes_back_in_time_leaves_no_will,
    a_new_session_ends_the_delay,
    delayed_wills_come_when_their_binding_is_removed,
    delayed_wills_are_published_before_the_engine_ends,
    a_will_goes_where_its_topic_leads,
);

/// [MQTT-3.1.2-8] [MQTT-3.1.2-14]
fn a_killed_client_leaves_its_will(workers: usize) {
    let engine = engine(workers);
    let mut watcher = Client::connect(engine.port, V5, "watcher");
    watcher.subscribe("will/#", 1);
    for version in ["mqttv311", "mqttv5"] {
        let will = ["--will-topic", "will/mosquitto", "--will-payload", "gone", "--will-qos", "1"];
        let mut victim =
            mosquitto_sub(engine.port, version, &[&["-t", "x"][..], &will[..]].concat());
        victim.kill();
        let publish = watcher.receive();
        assert_eq!(publish, Publish { id: publish.id, ..message("will/mosquitto", "gone", 1) });
    }
    for library in LIBRARIES {
        for version in [V311, V5] {
            let will = json!({"topic": "will/library", "payload": hex(b"lost"), "qos": 0});
            let more = json!({"will": will});
            let mut victim = Script::connect_with(library, engine.port, version, "victim", more);
            victim.kill();
            assert_eq!(watcher.receive(), message("will/library", "lost", 0));
        }
    }
}

/// [MQTT-3.1.2-10] [MQTT-3.14.4-3]
fn a_normal_disconnect_discards_the_will(workers: usize) {
    let engine = engine(workers);
    let mut watcher = Client::connect(engine.port, V5, "watcher");
    watcher.subscribe("will", 1);
    for version in [V311, V5] {
        let connect = Connect::new(version, "victim").with_will(Will::new("will", b"never"));
        Client::connect_as(engine.port, &connect).disconnect(0);
    }
    watcher.publish("will", "mark", 1);
    assert_eq!(watcher.receive().text(), "mark");

    // DISCONNECT with Will Message.
    let connect = Connect::new(V5, "victim").with_will(Will::new("will", b"asked for"));
    Client::connect_as(engine.port, &connect).disconnect(0x04);
    assert_eq!(watcher.receive().text(), "asked for");
}

/// [MQTT-3.1.2-22] [MQTT-3.1.2-8]
#[test]
fn an_expired_keep_alive_publishes_the_will() {
    let engine = engine(1);
    let mut watcher = Client::connect(engine.port, V5, "watcher");
    watcher.subscribe("will", 1);
    for version in [V311, V5] {
        let connect = Connect::new(version, "victim")
            .with_keep_alive(1)
            .with_will(Will::new("will", b"silent"));
        let began = Instant::now();
        let mut victim = Client::connect_as(engine.port, &connect);
        assert_eq!(watcher.receive().text(), "silent");
        assert!(began.elapsed().as_millis() >= 1400, "{:?}", began.elapsed());
        victim.end();
    }
}

/// [MQTT-3.1.4-3]
fn a_takeover_publishes_the_will_of_the_old_connection(workers: usize) {
    let engine = engine(workers);
    let mut watcher = Client::connect(engine.port, V5, "watcher");
    watcher.subscribe("will", 1);
    let connect = Connect::new(V5, "victim").with_will(Will::new("will", b"taken over"));
    let mut old = Client::connect_as(engine.port, &connect);
    let new = Client::connect_as(engine.port, &connect);
    old.refused(0x8e);
    assert_eq!(watcher.receive().text(), "taken over");
    new.disconnect(0);
    watcher.publish("will", "mark", 1);
    assert_eq!(watcher.receive().text(), "mark");
}

/// A malformed packet ends the connection abnormally.
#[test]
fn a_protocol_error_publishes_the_will() {
    let engine = engine(1);
    let mut watcher = Client::connect(engine.port, V5, "watcher");
    watcher.subscribe("will", 1);
    for version in [V311, V5] {
        let connect = Connect::new(version, "victim").with_will(Will::new("will", b"malformed"));
        let mut victim = Client::connect_as(engine.port, &connect);
        // QoS 3 [MQTT-3.3.1-4].
        victim.send(&[0x36, 4, 0, 1, b't', 0]);
        victim.refused(0x81);
        assert_eq!(watcher.receive().text(), "malformed");
    }
}

/// The will's properties are delivered, and it may be retained [MQTT-3.1.2-15].
#[test]
fn a_will_keeps_its_properties_and_retain() {
    let engine = engine(1);
    let mut watcher = Client::connect(engine.port, V5, "watcher");
    watcher.subscribe("will/x", 1);
    let properties = vec![
        (0x01, Value::Byte(1)),
        text_property(0x03, "text/plain"),
        text_property(0x08, "answer"),
        (0x09, Value::Bytes(vec![0, 1])),
        user("a", "1"),
        user("a", "2"),
    ];
    let will = Will { retain: true, properties, ..Will::new("will/x", b"w") };
    let connect = Connect::new(V5, "victim").with_will(will.clone());
    drop(Client::connect_as(engine.port, &connect));
    let mut publish = watcher.receive();
    publish.properties.sort_by_key(|(identifier, _)| *identifier);
    let expected = Publish { properties: will.properties, ..message("will/x", "w", 1) };
    assert_eq!(publish, Publish { id: publish.id, ..expected });
    let mut late = Client::connect(engine.port, V311, "late");
    late.subscribe("will/x", 1);
    let publish = late.receive();
    assert_eq!((publish.text(), publish.retain), ("w", true));
}

/// A will's record has no `zilla:local`, and lies on retained too if it is retained.
#[test]
fn the_record_of_a_will_names_no_publisher() {
    engine_only!();
    let engine = engine(1);
    let will = Will { retain: true, ..Will::new("will/x", b"w") };
    let connect = Connect::new(V5, "victim").with_will(will);
    drop(Client::connect_as(engine.port, &connect));
    let expected: Vec<_> = [("zilla:filter", "will"), ("zilla:filter", "x"), ("zilla:qos", "1")]
        .into_iter()
        .map(|(name, value)| (name.to_owned(), Some(value.as_bytes().to_vec())))
        .collect();
    for topic in ["messages", "retained"] {
        let records = engine.records(topic, 1);
        assert_eq!(records.len(), 1);
        assert_eq!(records[0].key.as_deref(), Some(&b"will/x"[..]));
        assert_eq!(records[0].value.as_deref(), Some(&b"w"[..]));
        assert_eq!(records[0].headers, expected);
    }
}

/// A CONNECT whose session is kept for `expiry` seconds, with a will that says its client's name.
fn delayed(client_id: &str, delay: u32, expiry: u32) -> Connect {
    let properties = vec![(0x18, Value::Four(delay))];
    let will = Will { properties, ..Will::new("will", client_id.as_bytes()) };
    Connect { clean: false, ..Connect::new(V5, client_id) }
        .with_property(0x11, Value::Four(expiry))
        .with_will(will)
}

/// A connection that is lost, with a will that waits.
fn lose(engine: &Engine, client_id: &str, delay: u32, expiry: u32) {
    drop(Client::connect_as(engine.port, &delayed(client_id, delay, expiry)));
}

fn watcher(engine: &Engine) -> Client {
    let mut watcher = Client::connect(engine.port, V5, "watcher");
    watcher.subscribe("will", 1);
    watcher
}

/// Waits until a counter has this value.
fn counts(engine: &Engine, name: &str, value: i64) {
    let began = Instant::now();
    while engine.counter(name) != value {
        assert!(began.elapsed() < PATIENCE, "{name} is {}, not {value}", engine.counter(name));
    }
}

const LONG: u32 = 600;

/// DISCONNECT with a reason and a Session Expiry Interval, seconds.
fn disconnect(engine: &Engine, connect: &Connect, reason: u8, expiry: u8) {
    let mut client = Client::connect_as(engine.port, connect);
    client.send(&[0xe0, 7, reason, 5, 0x11, 0, 0, 0, expiry]);
    client.end();
}

/// Sections 3.1.2.5 and 3.1.3.2.2. [MQTT-3.1.2-8]
fn a_delayed_will_comes_when_its_delay_or_its_session_is_over(workers: usize) {
    // mosquitto 2.0 has a delay without a session, too.
    engine_only!();
    let engine = engine(workers);
    let mut watcher = watcher(&engine);
    let mut comes = |client_id: &str, seconds: u64, leave: &dyn Fn(&str)| {
        let began = Instant::now();
        leave(client_id);
        assert_eq!(watcher.receive().text(), client_id);
        let (took, least) = (began.elapsed(), Duration::from_secs(seconds));
        assert!(took >= least && (seconds > 0 || took < PATIENCE), "{client_id}: {took:?}");
    };
    comes("delay", 1, &|id| lose(&engine, id, 1, LONG));
    comes("expiry", 1, &|id| lose(&engine, id, LONG, 1));
    comes("asked-for", 1, &|id| disconnect(&engine, &delayed(id, 1, LONG), 4, 60));
    // A session that ends with its connection.
    comes("no-session", 0, &|id| lose(&engine, id, LONG, 0));
    comes("ended", 0, &|id| disconnect(&engine, &delayed(id, LONG, LONG), 4, 0));
    // [MQTT-3.14.4-3]
    disconnect(&engine, &delayed("taken back", 0, LONG), 0, 60);
    disconnect(&engine, &delayed("taken back", 1, LONG), 0, 60);
    comes("last", 1, &|id| lose(&engine, id, 1, LONG));
    for library in LIBRARIES {
        let will = json!({"topic": "will", "payload": hex(b"library"), "qos": 1,
                          "properties": {"will_delay": 1}});
        let more = json!({"will": will, "clean": true, "properties": {"session_expiry": LONG}});
        comes("library", 1, &|_| {
            Script::connect_with(library, engine.port, V5, "victim", more.clone()).kill();
        });
    }
}

/// [MQTT-3.1.3-9]
fn a_client_that_comes_back_in_time_leaves_no_will(workers: usize) {
    let engine = engine(workers);
    let mut watcher = watcher(&engine);
    let with_will = delayed("back", 2, LONG);
    lose(&engine, "back", 2, LONG);
    let back = Client::connect_as(engine.port, &with_will);
    // A takeover goes on with the session, too.
    let mut old = Client::connect_as(engine.port, &delayed("taken", 2, LONG));
    let new = Client::connect_as(engine.port, &delayed("taken", 2, LONG));
    old.refused(0x8e);
    // One that is lost later has its will later.
    lose(&engine, "lost", 3, LONG);
    assert_eq!(watcher.receive().text(), "lost");
    // What they leave themselves counts anew.
    drop(back);
    assert_eq!(watcher.receive().text(), "back");
    drop(new);
    assert_eq!(watcher.receive().text(), "taken");
}

/// A Clean Start ends the session that is kept, and a takeover with one the session that there is.
/// [MQTT-3.1.2-8] [MQTT-3.1.2-4]
fn a_new_session_ends_the_delay(workers: usize) {
    // Not in mosquitto 2.0.
    engine_only!();
    let engine = engine(workers);
    let mut watcher = watcher(&engine);
    lose(&engine, "anew", LONG, LONG);
    let anew = Connect { clean: true, ..delayed("anew", LONG, LONG) };
    let mut old = Client::connect_as(engine.port, &anew);
    assert_eq!(watcher.receive().text(), "anew");
    let new = Client::connect_as(engine.port, &anew);
    old.refused(0x8e);
    assert_eq!(watcher.receive().text(), "anew");
    new.disconnect(0);
    watcher.publish("will", "mark", 1);
    assert_eq!(watcher.receive().text(), "mark");
    // Without a delay it does not matter that the session goes on.
    let mut old = Client::connect_as(engine.port, &delayed("now", 0, LONG));
    Client::connect_as(engine.port, &delayed("now", 0, LONG)).disconnect(0);
    old.refused(0x8e);
    assert_eq!(watcher.receive().text(), "now");
}

/// The sessions of a binding that a reload removes end.
fn delayed_wills_come_when_their_binding_is_removed(workers: usize) {
    engine_only!();
    let second = free_port();
    let one = Setup { arguments: vec!["--drain", "1"], ..Setup::new(workers) };
    let before = one
        .clone()
        .with_mapping("other", "x/#", "\"@messages\"")
        .with_second_server(second, "other");
    let engine = before.start();
    let mut watcher = watcher(&engine);
    let ids: Vec<String> = (0..6).map(|number| format!("away-{number}")).collect();
    for client_id in &ids {
        drop(Client::connect_as(second, &delayed(client_id, LONG, LONG)));
    }
    let there = Client::connect_as(second, &delayed("there", LONG, LONG));
    lose(&engine, "elsewhere", LONG, LONG);
    counts(&engine, "wills_delayed", 7);
    engine.reload(&one.with_second_server(second, "mapping"));
    let mut received: Vec<String> = (0..7).map(|_| watcher.receive().text().to_owned()).collect();
    received.sort();
    let mut expected = ids;
    expected.push("there".to_owned());
    assert_eq!(received, expected);
    drop(there);
    counts(&engine, "wills_delayed", 1);
    // The sessions of the other binding go on.
    drop(Client::connect_as(engine.port, &delayed("elsewhere", LONG, LONG)));
    counts(&engine, "wills_discarded", 1);
}

/// Sessions end with the process.
fn delayed_wills_are_published_before_the_engine_ends(workers: usize) {
    engine_only!();
    let mut engine = engine(workers);
    for number in 0..6 {
        lose(&engine, &format!("away-{number}"), LONG, LONG);
    }
    counts(&engine, "wills_delayed", 6);
    let mut there = Client::connect_as(engine.port, &delayed("there", LONG, LONG));
    engine.signal("TERM");
    there.refused(0x8b);
    assert_eq!(engine.end().0.code(), Some(0));
    let mut published: Vec<String> = engine
        .records("messages", 7)
        .into_iter()
        .map(|record| String::from_utf8(record.value.unwrap()).unwrap())
        .collect();
    published.sort();
    assert_eq!(published.len(), 7, "{published:?}");
    assert_eq!((&*published[0], &*published[6]), ("away-0", "there"));
}

/// The exit that takes the will's topic has it, whatever the session is on, and a reload between
/// its client's end and its publication counts.
fn a_will_goes_where_its_topic_leads(workers: usize) {
    engine_only!();
    let mqtt = "    routes:\n      - exit: other\n        when:\n          - publish:\n              - topic: will\n";
    let setup =
        Setup { mqtt: mqtt.to_owned(), ..Setup::new(workers) }.with_topics(&["wills", "later"]);
    let with = |topic: &str| setup.clone().with_mapping("other", "will", topic);
    let engine = with("\"@wills\"").start();
    lose(&engine, "routed", 1, LONG);
    assert_eq!(engine.records("wills", 1).len(), 1);
    lose(&engine, "back", 2, LONG);
    let back = Client::connect_as(engine.port, &delayed("back", LONG, LONG));
    counts(&engine, "wills_discarded", 1);
    lose(&engine, "moved", 3, LONG);
    counts(&engine, "wills_delayed", 1);
    engine.reload(&with("\"@later\""));
    let records = engine.records("later", 1);
    assert_eq!(records[0].value.as_deref(), Some(&b"moved"[..]));
    assert_eq!(engine.records("wills", 0).len(), 1, "the one that came back has left none");
    back.disconnect(0);
}

/// The message expiry of a will counts from its publication.
#[test]
fn a_delayed_will_keeps_what_it_says() {
    let engine = engine(1);
    let mut watcher = watcher(&engine);
    let connect = delayed("all", 1, LONG);
    let mut will = connect.will.clone().unwrap();
    will.qos = 2;
    will.retain = true;
    will.properties.extend([
        (0x02, Value::Four(100)),
        text_property(0x03, "text/plain"),
        user("a", "1"),
    ]);
    drop(Client::connect_as(engine.port, &connect.with_will(will)));
    let publish = watcher.receive();
    assert_eq!((publish.text(), publish.qos), ("all", 1));
    for expected in [text_property(0x03, "text/plain"), user("a", "1")] {
        assert!(publish.properties.contains(&expected), "{publish:?}");
    }
    let expiry = publish.properties.iter().find(|(identifier, _)| *identifier == 0x02);
    assert!(matches!(expiry, Some((_, Value::Four(90..=100)))), "{publish:?}");
    let mut late = Client::connect(engine.port, V5, "late");
    late.subscribe("will", 2);
    let publish = late.receive();
    assert_eq!((publish.text(), publish.qos, publish.retain), ("all", 2, true));
}
