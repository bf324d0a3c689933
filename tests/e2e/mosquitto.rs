//! mosquitto's own client programs: what `clients.rs` has for libraries.

use std::process::{Command, Stdio};

use crate::harness::{
    Client, Setup, V5, engine, engine_only, hex, mosquitto_message, mosquitto_pub, mosquitto_sub,
    mosquitto_sub_again, text, user,
};

/// The names that `-V` has for both versions.
const VERSIONS: [&str; 2] = ["mqttv311", "mqttv5"];

/// [MQTT-3.3.1-5] [MQTT-3.3.1-6]
#[test]
fn retained_messages_are_set_shown_and_cleared() {
    let engine = engine(1);
    for version in VERSIONS {
        mosquitto_pub(engine.port, version, &["-r", "-q", "1", "-t", "r/x", "-m", "kept"]);
        let subscriber = mosquitto_sub(engine.port, version, &["-q", "1", "-t", "r/#"]);
        assert_eq!(mosquitto_message(&subscriber), format!("r/x 1 1 {}", hex(b"kept")));
        mosquitto_pub(engine.port, version, &["-r", "-n", "-q", "1", "-t", "r/x"]);
        assert_eq!(mosquitto_message(&subscriber), "r/x 1 0 ");
        let later = mosquitto_sub(engine.port, version, &["-q", "1", "-t", "r/#"]);
        mosquitto_pub(engine.port, version, &["-q", "1", "-t", "r/y", "-m", "mark"]);
        assert_eq!(mosquitto_message(&later), format!("r/y 1 0 {}", hex(b"mark")));
    }
}

/// [MQTT-3.1.2-8]
#[test]
fn a_program_that_is_killed_leaves_its_will() {
    let engine = engine(1);
    let mut watcher = Client::connect(engine.port, V5, "watcher");
    watcher.subscribe("w", 1);
    for version in VERSIONS {
        let will = ["--will-topic", "w", "--will-payload", version, "--will-qos", "1"];
        let mut dies = mosquitto_sub(engine.port, version, &[&["-t", "x"][..], &will].concat());
        dies.kill();
        assert_eq!(watcher.receive().text(), version);
    }
}

/// [MQTT-3.3.2-15] [MQTT-3.3.2-16] [MQTT-3.3.2-18] [MQTT-3.3.2-20]
#[test]
fn properties_pass_in_both_directions() {
    let engine = engine(1);
    let mut watcher = Client::connect(engine.port, V5, "watcher");
    watcher.subscribe("p", 1);
    let format = "MESSAGE %t %A %C %D %F %P %R";
    let subscriber = mosquitto_sub(engine.port, "mqttv5", &["-q", "1", "-t", "p", "-F", format]);
    mosquitto_pub(
        engine.port,
        "mqttv5",
        &[
            &["-q", "1", "-t", "p", "-m", "x"][..],
            &["-D", "publish", "content-type", "text/plain"],
            &["-D", "publish", "response-topic", "answer"],
            &["-D", "publish", "correlation-data", "abc"],
            &["-D", "publish", "payload-format-indicator", "1"],
            &["-D", "publish", "user-property", "a", "1"],
        ]
        .concat(),
    );
    let received = watcher.receive();
    let mut ids: Vec<u8> = received.properties.iter().map(|(id, _)| *id).collect();
    ids.sort_unstable();
    assert_eq!(ids, [0x01, 0x03, 0x08, 0x09, 0x26]);
    assert!(received.properties.contains(&user("a", "1")), "{received:?}");
    assert_eq!(mosquitto_message(&subscriber), "p  text/plain abc 1 a:1 answer");
}

/// [MQTT-3.1.2-5] [MQTT-4.5.0-1]: `-c` keeps the session.
#[test]
fn a_program_that_comes_back_gets_what_it_missed() {
    let engine = engine(1);
    let mut publisher = Client::connect(engine.port, V5, "publisher");
    for version in VERSIONS {
        let mut keeps = vec!["-c", "-i", version, "-q", "2", "-t", "s"];
        if version == "mqttv5" {
            keeps.extend(["-x", "600"]);
        }
        let first = mosquitto_sub(engine.port, version, &keeps);
        drop(first);
        for number in 0..10 {
            publisher.publish("s", &number.to_string(), 1 + number % 2);
        }
        let second = mosquitto_sub_again(engine.port, version, &keeps);
        // Those of QoS 2 are shown when they are complete.
        let mut received: Vec<String> = (0..10).map(|_| mosquitto_message(&second)).collect();
        received.sort_by_key(|message| message.starts_with("s 2"));
        let line = |number: usize| {
            format!("s {} 0 {}", 1 + number % 2, hex(number.to_string().as_bytes()))
        };
        let expected: Vec<_> = (0..10).step_by(2).chain((1..10).step_by(2)).map(line).collect();
        assert_eq!(received, expected, "{version}");
    }
}

/// A file of 10 MB, where Kafka takes that, or as much as the log in the engine's process takes.
#[test]
fn a_large_file_arrives_as_it_was() {
    let (engine, size) = Setup::new(1).start_large();
    let payload: Vec<u8> = (0..251).cycle().take(size).collect();
    let directory = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = directory.path().join("large");
    std::fs::write(&file, &payload).unwrap();
    let mut watcher = Client::connect(engine.port, V5, "watcher");
    watcher.subscribe("l", 1);
    for version in VERSIONS {
        let subscriber =
            mosquitto_sub(engine.port, version, &["-q", "1", "-t", "l", "-F", "MESSAGE %l"]);
        for qos in ["0", "1", "2"] {
            let arguments = ["-q", qos, "-t", "l", "-f", file.to_str().unwrap()];
            mosquitto_pub(engine.port, version, &arguments);
            assert!(watcher.receive().payload == payload, "{version} at QoS {qos}");
            assert_eq!(mosquitto_message(&subscriber), size.to_string());
        }
    }
}

/// [MQTT-3.2.2-15]: a file that is larger than what Kafka takes is refused, and the program says so.
#[test]
fn a_file_that_is_too_large_is_refused() {
    engine_only!();
    let engine = engine(1);
    let directory = tempfile::TempDir::new_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let file = directory.path().join("large");
    std::fs::write(&file, vec![b'x'; 10_000_000]).unwrap();
    for version in VERSIONS {
        let output = Command::new("mosquitto_pub")
            .args(["-h", "127.0.0.1", "-p", &engine.port.to_string(), "-V", version])
            .args(["-i", version, "-q", "1", "-t", "l", "-f", file.to_str().unwrap()])
            .stdin(Stdio::null())
            .output()
            .expect("run mosquitto_pub");
        // Who was told how large a packet may be does not send it, and ends without a word.
        if version == "mqttv311" {
            assert!(!output.status.success(), "{output:?}");
            let end = engine.event("the end of the session", |event| {
                event["event"] == "mqtt.session.ended" && event["client_id"] == version
            });
            assert!(text(&end["reason"]).contains("0x95"), "{end}");
        }
    }
    assert!(engine.records("messages", 0).is_empty());
    Client::connect(engine.port, V5, "later").ping();
}
