//! `zilla explain`: what would be decided, and by which rules of the file.

use std::fs;
use std::path::Path;

use serde_json::{Value, json};

use crate::program::{CHAIN, Said, assert_is_file, directory, zilla};

/// Routes on every level.
pub(crate) const ROUTED: &str = "\
name: edge
bindings:
  north:
    type: tcp
    kind: server
    options: {host: 127.0.0.1, port: [7183, 7184]}
    routes:
      - when: [{port: 7184}]
        exit: sensors_only
    exit: mqtt
  sensors_only:
    type: mqtt
    kind: server
    options: {versions: [v5]}
    routes:
      - when:
          - session: [{client-id: dev-*}]
            publish: [{topic: 'alarms/#'}]
          - publish: [{topic: 'sensors/{id}/#'}]
            subscribe: [{topic: 'commands/+'}]
        exit: mapping
  mqtt:
    type: mqtt
    kind: server
    exit: mapping
  mapping:
    type: mqtt-kafka
    kind: proxy
    options:
      topics: {sessions: mqtt-sessions, messages: mqtt-messages, retained: mqtt-retained}
      clients: ['sensors/{identity}/#']
      publish: {qosMax: at_most_once}
    routes:
      - when: [{publish: [{topic: 'alarms/#'}], subscribe: [{topic: 'alarms/#'}]}]
        with: {messages: alarms}
      - when:
          - publish: [{topic: x}]
          - publish: [{topic: y}, {topic: 'site/{site}/#'}]
            subscribe: [{topic: 'site/{site}/#'}]
        with: {messages: 'site-${params.site}'}
    exit: log
  log:
    type: kafka
    kind: cache_client
    exit: log_server
  log_server:
    type: kafka
    kind: cache_server
    exit: kafka
  kafka:
    type: kafka
    kind: client
    options: {servers: ['kafka.example:9092']}
";

fn write(directory: &Path, text: &str) {
    fs::write(directory.join("zilla.yaml"), text).unwrap();
}

fn explain(directory: &Path, arguments: &[&str]) -> Said {
    let command = ["explain", "--format", "json"];
    zilla(directory, &[&command, arguments].concat())
}

fn document(directory: &Path, arguments: &[&str]) -> Value {
    let said = explain(directory, arguments);
    assert_eq!((said.status, said.stderr.as_str()), (0, ""), "{arguments:?}");
    serde_json::from_str(&said.stdout).unwrap()
}

/// `edge:mapping taken routes[0] 44:17`, of each step.
fn steps(document: &Value) -> Vec<String> {
    let mut steps = Vec::new();
    for binding in document["bindings"].as_array().unwrap() {
        let name = binding["name"].as_str().unwrap();
        for step in binding["steps"].as_array().unwrap() {
            let text = |key: &str| step[key].as_str().unwrap();
            let place = format!("{}:{}", step["line"], step["column"]);
            steps.push(format!("{name} {} {} {place}", text("verdict"), text("rule")));
        }
    }
    steps
}

#[test]
fn a_publish_names_its_record_and_every_rule_on_its_way() {
    let directory = directory();
    let path = directory.path();
    write(path, CHAIN);
    let arguments = ["publish", "--topic", "a/b", "--qos", "1", "--retain", "--client-id", "c1"];
    let properties = ["--user-property", "k=v", "--message-expiry", "60"];
    let document = document(path, &[&arguments[..], &properties].concat());
    assert_eq!(
        steps(&document),
        [
            "edge:north taken exit 9:11",
            "edge:mqtt taken exit 13:11",
            "edge:mqtt taken exit 13:11",
            "edge:mapping taken exit 22:11",
            "edge:mapping taken options.topics.messages 20:19",
            "edge:mapping taken options.topics.retained 21:19",
            "edge:log taken  23:3",
        ]
    );
    let header = |name: &str, value: &str| json!({ "name": name, "value": value });
    assert_eq!(
        document["facts"],
        json!({
            "kafka-topic": "mqtt-messages",
            "key": "a/b",
            "headers": [
                header("zilla:filter", "a"),
                header("zilla:filter", "b"),
                header("zilla:local", "c1"),
                header("zilla:expiry", "0x0000003c"),
                header("k", "v"),
                header("zilla:qos", "1"),
            ],
            "qos": 1,
            "retained-topic": "mqtt-retained",
        })
    );
    assert_eq!(document["denied"], Value::Null);
}

#[test]
fn the_partition_is_that_of_kafkas_own_clients() {
    let directory = directory();
    write(directory.path(), CHAIN);
    // From UtilsTest of Apache Kafka's clients; toPositive drops the sign bit.
    for (topic, hash) in [("21", -973_932_308_i32), ("abc", 479_470_107)] {
        let arguments = ["publish", "--topic", topic, "--partitions", "7"];
        let partition = (hash & 0x7fff_ffff) % 7;
        assert_eq!(document(directory.path(), &arguments)["facts"]["partition"], partition);
    }
}

#[test]
fn routes_that_are_skipped_say_why_and_those_behind_the_first_are_not_asked() {
    let directory = directory();
    let path = directory.path();
    write(path, ROUTED);
    let publish = |topic: &str| {
        let arguments = ["publish", "--topic", topic, "--client-id", "c1", "--port", "7183"];
        document(path, &arguments)
    };
    let document = publish("site/a/x");
    let mapping = |document: &Value| -> Vec<String> {
        let steps = steps(document).into_iter();
        steps.filter_map(|step| step.strip_prefix("edge:mapping ").map(str::to_owned)).collect()
    };
    assert_eq!(
        mapping(&document),
        [
            "skipped routes[0] 34:9",
            "taken routes[1].when[1].publish[1].topic 38:43",
            "taken routes[1].with.messages 40:26",
        ]
    );
    assert_eq!(document["facts"]["kafka-topic"], "site-a");
    let document = publish("site/a b/x");
    assert_eq!(
        mapping(&document)[1..],
        [
            "skipped routes[1].when[1].publish[1].topic 38:43",
            "taken exit 41:11",
            "taken options.topics.messages 30:51",
        ]
    );
    let why = &document["bindings"][2]["steps"][1]["why"];
    assert_eq!(why, "`site/a b/x` matches, but makes no name of a Kafka topic");
    assert_eq!(mapping(&publish("alarms/1"))[0], "taken routes[0].when[0].publish[0].topic 34:35");
    // What chooses the partition is the client's level of the topic.
    let place = "taken options.clients[0] 31:17".to_owned();
    assert!(mapping(&publish("sensors/7/t")).contains(&place));
}

#[test]
fn a_subscription_takes_all_routes_that_it_overlaps() {
    let directory = directory();
    write(directory.path(), ROUTED);
    let subscribe = |filter: &str| {
        let arguments = ["subscribe", "--filter", filter, "--qos", "1", "--port", "7183"];
        document(directory.path(), &arguments)
    };
    let facts = |filter: &str| subscribe(filter)["facts"].clone();
    assert_eq!(
        facts("#"),
        json!({
            "qos": 0,
            "kafka-topics": ["alarms", "mqtt-messages"],
            "retained-topics": ["mqtt-retained"],
        })
    );
    assert_eq!(
        facts("$share/g/alarms/#"),
        json!({"qos": 0, "kafka-topics": ["alarms", "mqtt-messages"], "retained-topics": []})
    );
    assert_eq!(facts("site/a/#")["kafka-topics"], json!(["site-a", "mqtt-messages"]));
}

#[test]
fn a_denial_has_its_reason_code_for_both_versions() {
    let directory = directory();
    let path = directory.path();
    write(path, ROUTED);
    let sensors = |arguments: &[&str]| {
        document(path, &[arguments, &["--port", "7184", "--client-id", "c1"]].concat())
    };
    for (arguments, code, v5, v311) in [
        (&["publish", "--topic", "x"][..], 0x87, "no answer", "no answer"),
        (&["publish", "--topic", "x", "--qos", "1"], 0x9B, "DISCONNECT 0x9B", "the connection"),
        (&["publish", "--topic", "a/+"], 0x90, "DISCONNECT 0x90", "the connection"),
        (&["subscribe", "--filter", "commands/#"], 0x87, "SUBACK 0x87", "SUBACK 0x80"),
        (&["subscribe", "--filter", "$share/g/commands/#"], 0x87, "SUBACK 0x87", "SUBACK 0x80"),
        (&["subscribe", "--filter", "$share/g"], 0x8F, "SUBACK 0x8F", "SUBACK 0x80"),
        (&["subscribe", "--filter", "a#"], 0x8F, "SUBACK 0x8F", "SUBACK 0x80"),
        (&["connect", "--version", "3.1.1"], 0x84, "CONNACK 0x84", "CONNACK 0x01"),
        (&["connect", "--will-topic", "x"], 0x87, "CONNACK 0x87", "CONNACK 0x05"),
        (&["connect", "--will-topic", "x", "--will-qos", "1"], 0x9B, "CONNACK 0x9B", "the conn"),
    ] {
        let document = sensors(arguments);
        let denied = &document["denied"];
        assert_eq!(denied["code"], code, "{arguments:?} {denied}");
        let told = |version: &str| denied["answers"][version].as_str().unwrap();
        assert!(told("5.0").starts_with(v5), "{arguments:?} {denied}");
        assert!(told("3.1.1").starts_with(v311), "{arguments:?} {denied}");
    }
    let document = sensors(&["connect", "--version", "3.1.1"]);
    assert!(steps(&document).contains(&"edge:sensors_only denied options.versions 14:25".into()));
}

#[test]
fn text_reads_from_the_client_to_kafka() {
    let directory = directory();
    write(directory.path(), ROUTED);
    let arguments = ["explain", "publish", "--topic", "site/a/x", "--client-id", "dev-1"];
    let said = zilla(directory.path(), &[&arguments[..], &["--port", "7183"]].concat());
    assert_eq!((said.status, said.stderr.as_str()), (0, ""));
    assert_is_file(&said.stdout, "tests/command_line/explain/publish.txt");
    let arguments = ["explain", "-c", "zilla.yaml", "subscribe", "--filter", "commands/#"];
    let said = zilla(directory.path(), &[&arguments[..], &["--port", "7184"]].concat());
    assert_is_file(&said.stdout, "tests/command_line/explain/subscribe.txt");
}

#[test]
fn what_cannot_be_asked_says_why() {
    let directory = directory();
    let path = directory.path();
    write(path, ROUTED);
    fs::write(path.join("bad.yaml"), "name: 1\n").unwrap();
    fs::write(path.join("none.yaml"), "name: edge\nbindings: {}\n").unwrap();
    for (arguments, status, why) in [
        (&["explain"][..], 2, "Usage"),
        (&["explain", "publish"], 2, "--topic"),
        (&["explain", "publish", "--topic", "a", "--qos", "3"], 2, "possible values: 0, 1, 2"),
        (&["explain", "publish", "--topik", "a"], 2, "--topic"),
        (&["explain", "connect"], 1, "say which `port` of 7183, 7184"),
        (&["explain", "connect", "--port", "1"], 1, "it does not listen on port 1"),
        (&["explain", "connect", "-c", "bad.yaml"], 1, "bad.yaml:1:"),
        (&["explain", "connect", "-c", "absent.yaml"], 1, "absent.yaml"),
        (&["explain", "connect", "-c", "none.yaml"], 1, "none listens for clients"),
    ] {
        let said = zilla(path, arguments);
        assert_eq!((said.status, said.stdout.as_str()), (status, ""), "{arguments:?}");
        assert!(said.stderr.contains(why), "{arguments:?}: {}", said.stderr);
    }
}

#[test]
fn no_value_of_the_environment_is_shown() {
    let directory = directory();
    let text = CHAIN.replace("messages: mqtt-messages", "messages: ${{env.PASSWORD}}");
    write(directory.path(), &text);
    for format in ["text", "json"] {
        let arguments = ["explain", "--format", format, "publish", "--topic", "a"];
        let said = zilla(directory.path(), &arguments);
        assert_eq!(said.status, 0, "{}", said.stderr);
        assert!(!said.stdout.contains("hunter2"), "{}", said.stdout);
        assert!(said.stdout.contains("${{env.PASSWORD}}"), "{}", said.stdout);
    }
}

/// The first rule about an action on `text` that is none of a route: the verdict, the rule with its
/// binding, whether it is a default, and what stands at its place.
fn first_bound(text: &str, arguments: &[&str]) -> String {
    let directory = directory();
    write(directory.path(), text);
    let document = document(directory.path(), arguments);
    let bindings = document["bindings"].as_array().unwrap().iter();
    let steps = bindings.flat_map(|binding| binding["steps"].as_array().unwrap());
    let is_of_routes = |step: &&Value| {
        let rule = step["rule"].as_str().unwrap();
        rule.starts_with("routes") || rule == "exit"
    };
    let mut steps = steps.filter(|step| !is_of_routes(step));
    let step = steps.next().unwrap();
    let at = |key: &str| usize::try_from(step[key].as_u64().unwrap()).unwrap() - 1;
    let there: String = text.lines().nth(at("line")).unwrap().chars().skip(at("column")).collect();
    let word = |key: &str| step[key].as_str().unwrap();
    let default = if step["default"] == true { " by default" } else { "" };
    format!("{} {} {}{default}: {there}", word("verdict"), word("binding"), word("rule"))
}

/// A bound that denies or changes something has its own place, also where an exit of the binding
/// that decides has it; what the file leaves to a default has the place of the binding.
#[test]
fn what_denies_is_named_with_the_option_that_says_so() {
    let long = "x/".repeat(10);
    let options = |options: &str| {
        let of_mqtt = "\n  mqtt:\n    type: mqtt\n    kind: server\n";
        assert!(ROUTED.contains(of_mqtt));
        ROUTED.replace(of_mqtt, &format!("{of_mqtt}    options:\n      {options}\n"))
    };
    let limit = |limit: &str| {
        let text = options(&format!("limits: {{{limit}}}"));
        text.replace("at_most_once", "exactly_once")
    };
    let publish = ["publish", "--port", "7183", "--topic"];
    let subscribe = ["subscribe", "--port", "7183", "--filter"];
    let connect = ["connect", "--port", "7183"];
    let (topic, user) = (long.as_str(), ["--user-property", "a=b", "--user-property", "c=d"]);
    let (many, large) = ("x/".repeat(200), "x".repeat(2000));
    for (text, action, rest, expected) in [
        (
            ROUTED.to_owned(),
            &publish[..],
            &["a", "--qos", "1"][..],
            "denied edge:mapping options.publish.qosMax: at_most_once}",
        ),
        (
            ROUTED.to_owned(),
            &connect,
            &["--will-topic", "a", "--will-qos", "2"],
            "denied edge:mapping options.publish.qosMax: at_most_once}",
        ),
        (
            ROUTED.to_owned(),
            &subscribe,
            &["a", "--qos", "1"],
            "taken edge:mapping options.publish.qosMax: at_most_once}",
        ),
        (
            ROUTED.to_owned(),
            &connect,
            &[],
            "taken edge:mapping options.publish.qosMax: at_most_once}",
        ),
        (
            options("versions: [v3.1.1]"),
            &connect,
            &[],
            "denied edge:mqtt options.versions: [v3.1.1]",
        ),
        (
            limit("client-id-length: 2"),
            &connect,
            &["--client-id", "abc"],
            "denied edge:mqtt options.limits.client-id-length: 2}",
        ),
        (
            limit("topic-length: 19"),
            &publish,
            &[topic],
            "denied edge:mqtt options.limits.topic-length: 19}",
        ),
        (
            limit("topic-levels: 9"),
            &subscribe,
            &[topic],
            "denied edge:mqtt options.limits.topic-levels: 9}",
        ),
        (
            limit("topic-levels: 9"),
            &connect,
            &["--will-topic", topic],
            "denied edge:mqtt options.limits.topic-levels: 9}",
        ),
        (
            limit("user-properties: 1"),
            &publish,
            &["a", user[0], user[1], user[2], user[3]],
            "denied edge:mqtt options.limits.user-properties: 1}",
        ),
        (
            limit("packet-size: 1024"),
            &publish,
            &[topic, "--payload", &large],
            "denied edge:mqtt options.limits.packet-size: 1024}",
        ),
        (
            limit("packet-size: 1024"),
            &subscribe,
            &[&large],
            "denied edge:mqtt options.limits.packet-size: 1024}",
        ),
        (
            limit("packet-size: 1024"),
            &connect,
            &["--client-id", &large],
            "denied edge:mqtt options.limits.packet-size: 1024}",
        ),
        (
            limit("session-expiry: 60"),
            &connect,
            &["--session-expiry", "61"],
            "taken edge:mqtt options.limits.session-expiry: 60}",
        ),
        (limit("in-flight: 7"), &connect, &[], "taken edge:mqtt options.limits.in-flight: 7}"),
        (
            limit(""),
            &publish,
            &[&many],
            "denied edge:mqtt options.limits.topic-levels by default: mqtt:",
        ),
        (
            limit(""),
            &publish,
            &["$SYS/x"],
            "denied edge:mqtt options.sys-interval by default: mqtt:",
        ),
        (
            options("sys-interval: 5"),
            &subscribe,
            &["$share/g/$SYS/#"],
            "denied edge:mqtt options.sys-interval: 5",
        ),
        (
            options("sys-interval: 5"),
            &subscribe,
            &["$SYS/#", "--qos", "0"],
            "taken edge:mqtt options.sys-interval: 5",
        ),
    ] {
        let arguments = [action, rest].concat();
        assert_eq!(first_bound(&text, &arguments), expected, "{arguments:?}");
    }
}

/// A property of the run decides as in the engine that is started with it, and is named as the rule;
/// of what has no effect a warning says so, as at the start.
#[test]
fn a_property_is_the_rule_where_it_decides() {
    let directory = directory();
    let path = directory.path();
    write(path, CHAIN);
    let qos = "zilla.binding.mqtt.publish.qos.max";
    let of_mapping = "zilla.binding.mqtt.kafka.publish.qos.max";
    for (property, value, action, verdict, binding) in [
        (qos, "at_most_once", &["publish", "--topic", "a", "--qos", "1"][..], "denied", "mqtt"),
        (qos, "at_least_once", &["subscribe", "--filter", "a", "--qos", "2"], "taken", "mqtt"),
        (of_mapping, "0", &["publish", "--topic", "a", "--qos", "1"], "denied", "mapping"),
        (
            "zilla.binding.mqtt.retain.available",
            "false",
            &["publish", "--topic", "a", "--retain"],
            "denied",
            "mqtt",
        ),
        (
            "zilla.binding.mqtt.shared.subscription.available",
            "false",
            &["subscribe", "--filter", "$share/g/a"],
            "denied",
            "mqtt",
        ),
        (
            "zilla.binding.mqtt.keep.alive.maximum",
            "7",
            &["connect", "--keep-alive", "8"],
            "taken",
            "mqtt",
        ),
    ] {
        let given = format!("{property}={value}");
        let document = document(path, &[action, &["-P", &given]].concat());
        let line = CHAIN.lines().position(|line| line == format!("  {binding}:")).unwrap() + 1;
        let step = format!("edge:mqtt {verdict} {property} {line}:3");
        let steps = steps(&document);
        assert!(steps.contains(&step), "{given}: {steps:#?}");
        assert_eq!(document["denied"].is_object(), verdict == "denied", "{given}");
    }
    fs::rename(path.join("zilla.yaml"), path.join("other.yaml")).unwrap();
    let properties = format!("zilla.engine.config.uri=other.yaml\n{qos}=at_most_once\n");
    fs::write(path.join("zilla.properties"), properties).unwrap();
    let action = ["publish", "--topic", "a", "--qos", "1"];
    let given = ["-p", "zilla.properties", "-P", "zilla.unknown=1"];
    let said = explain(path, &[&given[..], &action].concat());
    assert_eq!(said.stderr, "zilla: the property zilla.unknown has no effect here\n");
    let found: Value = serde_json::from_str(&said.stdout).unwrap();
    assert_eq!(found["denied"]["code"], 0x9b);
    let wrong = explain(path, &[&action[..], &["-P", &format!("{qos}=1")]].concat());
    let told = format!(
        "zilla: the property {qos} cannot be `1`: it is at_most_once, at_least_once or exactly_once\n"
    );
    assert_eq!((wrong.status, wrong.stderr), (2, told));
}
