//! What a principal may not do.

use serde_json::json;

use crate::broker::Broker;
use crate::file::File;
use crate::harness::Topics;

/// The options of a client that is `zilla`, with the only password that is right.
fn credentials(broker: &Broker, password: &str) -> String {
    format!(
        "      servers: [\"{}\"]\n      sasl:\n        mechanism: plain\n        \
         username: zilla\n        password: {password}\n",
        broker.address
    )
}

fn create_all(topics: &mut Topics) {
    let topic = |name: &str, policy: &str| json!({"name": name, "partitions": 1, "config": {"cleanup.policy": policy}});
    let list = [
        topic("sessions", "compact"),
        topic("messages", "delete"),
        topic("retained", "compact"),
        topic("site", "delete"),
    ];
    topics.ask(json!({"do": "create", "topics": list}));
}

#[test]
fn what_is_denied_is_a_problem_of_the_topics_line_and_the_command_permits_it() {
    let mut broker = Broker::with_users();
    let mut topics = broker.names();
    create_all(&mut topics);
    let mut permit = |operations: &[&str], name: &str| {
        topics.ask(json!({
            "do": "permit",
            "principal": "User:zilla",
            "operations": operations,
            "topics": [name],
        }));
    };
    permit(&["READ"], "messages");
    permit(&["WRITE"], "retained");
    permit(&["READ", "WRITE", "DESCRIBE_CONFIGS"], "site");
    let file = File::new(&credentials(&broker, "secret"));
    let found = file.assert_finds(&[
        ("E0609", "sessions: sessions"),
        ("E0609", "messages: messages"),
        ("E0609", "retained: retained"),
    ]);
    // Each with what is done with it, and no more.
    let operations: Vec<Vec<String>> = found
        .iter()
        .map(|found| {
            assert!(found.message.contains("User:zilla"), "{found:?}");
            let command = found.command();
            let words = command.split(" --operation ").skip(1);
            words.map(|rest| rest.split(' ').next().unwrap().to_owned()).collect()
        })
        .collect();
    assert_eq!(
        operations,
        [
            ["Describe", "DescribeConfigs"],
            ["Write", "DescribeConfigs"],
            ["Read", "DescribeConfigs"]
        ]
    );
    for found in found {
        broker.run(&found.command());
    }
    file.assert_is_mended();
}

#[test]
fn refused_credentials_are_a_problem_of_their_place_and_are_not_shown() {
    let broker = Broker::with_users();
    let mut file = File::new(&credentials(&broker, "${{env.PASSWORD}}"));
    file.environment.insert("PASSWORD".to_owned(), "hunter2-wrong".to_owned());
    let found = file.assert_finds(&[("E0606", "sasl:")]);
    assert!(found[0].message.contains("`zilla`"), "{found:?}");
    let output = file.zilla(&["validate", "--online"]);
    let said = String::from_utf8_lossy(&output.stdout) + String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("E0606") && !said.contains("hunter2"), "{said}");
}

#[test]
fn who_may_not_create_topics_is_told_so_with_the_command_for_one_who_may() {
    let mut broker = Broker::with_users();
    let mut topics = broker.names();
    create_all(&mut topics);
    topics.ask(json!({"do": "delete", "topics": ["site"]}));
    topics.ask(json!({
        "do": "permit",
        "principal": "User:zilla",
        "operations": ["READ", "WRITE", "DESCRIBE_CONFIGS"],
        "topics": ["sessions", "messages", "retained", "site"],
    }));
    let file = File::new(&credentials(&broker, "secret"));
    let output = file.zilla(&["topics", "--create", "--timeout", "20"]);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("error[E0609]") && said.contains("create the topic `site`"), "{said}");
    let printed = String::from_utf8(output.stdout).unwrap();
    let command = printed.lines().find(|line| line.starts_with("kafka-topics.sh ")).unwrap();
    broker.run(command);
    file.assert_is_mended();
}
