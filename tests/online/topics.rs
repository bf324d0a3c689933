//! Topics that are missing, of the wrong kind, too small.

use serde_json::json;

use crate::broker::Broker;
use crate::file::File;
use crate::harness::{Topics, free_port};

/// A broker with the settings that one has by default: it would make a topic for whoever asks.
fn generous() -> Broker {
    let mut broker = Broker::new(free_port(), "auto.create.topics.enable=true".to_owned());
    broker.restart();
    broker
}

/// Creates topics, each a name and a configuration.
fn create(topics: &mut Topics, list: &[(&str, serde_json::Value)]) {
    let list: Vec<_> = list
        .iter()
        .map(|(name, config)| json!({"name": name, "partitions": 2, "config": config}))
        .collect();
    topics.ask(json!({"do": "create", "topics": list}));
}

#[test]
fn a_missing_topic_is_a_problem_of_its_line_and_the_command_makes_it() {
    let mut broker = generous();
    let mut topics = broker.names();
    let file = File::plain(&broker);
    let missing = [
        ("E0607", "sessions: sessions"),
        ("E0607", "messages: messages"),
        ("E0607", "retained: retained"),
        ("E0607", "messages: site"),
    ];
    let found = file.assert_finds(&missing);
    assert_eq!(topics.all(), [""; 0], "nothing is made");
    let groups =
        broker.run(&format!("kafka-consumer-groups --bootstrap-server {} --list", broker.address));
    assert_eq!(groups.trim(), "", "and no group joined");
    for found in found {
        broker.run(&found.command());
    }
    file.assert_is_mended();
    // Offline, nothing of this is looked at.
    let output = file.zilla(&["validate"]);
    assert!(output.status.success() && output.stdout.is_empty());
}

#[test]
fn a_topic_of_the_wrong_policy_is_a_problem_and_the_command_mends_it() {
    let mut broker = Broker::start();
    let mut topics = broker.names();
    let compact = json!({"cleanup.policy": "compact"});
    create(
        &mut topics,
        &[
            ("sessions", compact.clone()),
            ("messages", compact),
            ("retained", json!({})),
            ("site", json!({})),
        ],
    );
    let file = File::plain(&broker);
    let found =
        file.assert_finds(&[("W0602", "messages: messages"), ("E0608", "retained: retained")]);
    for found in found {
        broker.run(&found.command());
    }
    file.assert_is_mended();
}

#[test]
fn a_topic_that_takes_small_records_is_a_problem_and_the_command_mends_it() {
    let mut broker = Broker::start();
    let mut topics = broker.names();
    let compact = json!({"cleanup.policy": "compact"});
    create(
        &mut topics,
        &[
            ("sessions", compact),
            ("messages", json!({"max.message.bytes": "5000"})),
            ("retained", json!({"cleanup.policy": "compact", "max.message.bytes": "500000"})),
            ("site", json!({})),
        ],
    );
    let file = File::plain(&broker);
    let found = file.assert_finds(&[
        ("E0611", "messages: messages"),
        ("W0603", "messages: messages"),
        ("W0603", "retained: retained"),
    ]);
    // What is left for packets: without what a record and a batch have beyond them.
    assert!(found[2].message.contains("send 495392 bytes"), "{found:?}");
    for found in found {
        broker.run(&found.command());
    }
    file.assert_is_mended();
}

#[test]
fn the_topics_of_a_file_are_printed_as_commands_or_made() {
    let mut broker = generous();
    let mut topics = broker.names();
    create(&mut topics, &[("messages", json!({"max.message.bytes": "900000"}))]);
    let file = File::plain(&broker);
    let print = |arguments: &[&str]| {
        let output = file.zilla(&[&["topics", "--timeout", "20"], arguments].concat());
        let stdout = String::from_utf8(output.stdout).unwrap();
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        stdout
    };
    let compact = " --config cleanup.policy=compact";
    let make = |name: &str, policy: &str| {
        format!(
            "kafka-topics.sh --bootstrap-server {} --create --topic {name} --partitions 3{policy}",
            broker.address
        )
    };
    let there = "# messages: 2 partitions, 1 replica, cleanup.policy=delete, max.message.bytes=900000 \
                 (./zilla.yaml:20)";
    let expected = [
        "# sessions: missing (./zilla.yaml:19)".to_owned(),
        make("sessions", compact),
        there.to_owned(),
        "# retained: missing (./zilla.yaml:21)".to_owned(),
        make("retained", compact),
        "# site: missing (./zilla.yaml:29)".to_owned(),
        make("site", ""),
    ];
    let printed = print(&["--partitions", "3"]);
    assert_eq!(printed.lines().collect::<Vec<_>>(), expected);
    assert_eq!(topics.all(), ["messages"], "nothing is made");
    let made = print(&["--create", "--partitions", "3"]);
    assert_eq!(
        made.lines().collect::<Vec<_>>(),
        [
            "# sessions: made just now (./zilla.yaml:19)",
            there,
            "# retained: made just now (./zilla.yaml:21)",
            "# site: made just now (./zilla.yaml:29)",
        ]
    );
    let again = print(&["--create"]);
    assert!(
        again.contains("# retained: 3 partitions, 1 replica, cleanup.policy=compact,"),
        "{again}"
    );
    assert!(!again.contains("kafka-topics"), "{again}");
    // The topic of small records is as its owner wanted it.
    file.assert_finds(&[("W0603", "messages: messages")]);
}

#[test]
fn a_topic_whose_writes_need_more_replicas_than_there_are_is_a_problem() {
    let mut broker = Broker::start();
    let mut topics = broker.names();
    let compact = json!({"cleanup.policy": "compact"});
    let two = json!({"min.insync.replicas": "2"});
    // Sessions are not written yet.
    let sessions = json!({"cleanup.policy": "compact", "min.insync.replicas": "2"});
    let list =
        [("sessions", sessions), ("messages", two), ("retained", compact), ("site", json!({}))];
    create(&mut topics, &list);
    let file = File::plain(&broker);
    let found = file.assert_finds(&[("E0614", "messages: messages")]);
    assert!(found[0].message.contains("partition 0, 1 of 1 are in sync"), "{found:?}");
    let (_, command) = found[0].help.split_once("fewer: ").unwrap();
    broker.run(command);
    file.assert_is_mended();
}

#[test]
fn topics_that_clients_name_are_said_not_to_be_checked() {
    let mut broker = Broker::start();
    let mut topics = broker.names();
    let compact = json!({"cleanup.policy": "compact"});
    let list = [("sessions", compact.clone()), ("messages", json!({})), ("retained", compact)];
    create(&mut topics, &list);
    let mut file = File::plain(&broker);
    file.replace("topic: site/#", "topic: site/{site}/#");
    file.replace("messages: site\n", "messages: \"site-${params.site}\"\n");
    file.assert_finds(&[("W0223", "messages: \"site-${params.site}\"")]);
    let output = file.zilla(&["validate", "--online", "--timeout", "20"]);
    let said = String::from_utf8(output.stderr).unwrap();
    let expected = "zilla: not checked: ./zilla.yaml:29: the topics `site-${params.site}`: \
                    completed by what clients send: each topic that comes of it must be made\n";
    assert_eq!(said, expected);
}
