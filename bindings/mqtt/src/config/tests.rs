use engine::config::{Fragment, ProcessEnvironment, Schema, Source, load};

use super::*;
use crate::state::{OverRate, Request};

/// What a binding of this body is read as, and its problems.
fn read(body: &str) -> (Option<ServerConfig>, String) {
    let mut text = "name: t\nbindings:\n  m:\n    type: mqtt\n    kind: server\n".to_owned();
    body.lines().for_each(|line| text.push_str(&format!("    {line}\n")));
    for exit in ["south", "one", "two", "s"] {
        text.push_str(&format!("  {exit}: {{type: sink}}\n"));
    }
    text.push_str("stores: {memory0: {type: memory}}\n");
    let source = Source::new("z.yaml", text);
    let sink = Fragment::binding("sink", r#"{"properties": {"type": {}}}"#);
    let schema = Schema::compose(&[Fragment::binding("mqtt", schema::MQTT), sink]);
    let mut problems = Problems::default();
    let config = load(&source, &schema, &ProcessEnvironment, &mut problems);
    let node = config.as_ref().map(|config| &config.namespaces[0].nodes[0]);
    let server = node.and_then(|node| server(node, &mut problems));
    (server, problems.render())
}

fn refused(body: &str, place: &str, message: &str) {
    let (server, problems) = read(body);
    assert!(server.is_none(), "{body}");
    assert!(problems.contains(&format!("z.yaml:{place}: error")), "{body}:\n{problems}");
    assert!(problems.contains(message), "{body}:\n{problems}");
}

#[test]
fn a_server_of_either_zilla_generation_is_read() {
    let (server, problems) = read("exit: south");
    assert_eq!(problems, "");
    let server = server.unwrap();
    assert_eq!(server.versions, Versions::ALL);
    assert_eq!(server.exits[0].name.to_string(), "t:south");
    let (server, problems) = read("options:\n  store: memory0\n  versions: [v5]\nexit: south");
    assert_eq!(problems, "");
    let server = server.unwrap();
    assert_eq!(server.versions, Versions { v311: false, v5: true });
    assert_eq!(server.exits[0].name.to_string(), "t:south");
}

#[test]
fn limits_are_read_and_have_defaults() {
    assert_eq!(read("exit: south").0.unwrap().bounds, Bounds::DEFAULT);
    assert_eq!(read("options: {limits: {}}\nexit: south").0.unwrap().bounds, Bounds::DEFAULT);
    let names = [
        ("packet-size", "3000"),
        ("client-id-length", "2"),
        ("topic-length", "3"),
        ("topic-levels", "4"),
        ("subscriptions", "5"),
        ("session-expiry", "16"),
        ("filters-per-packet", "6"),
        ("user-properties", "7"),
        ("in-flight", "8"),
        ("queued-bytes", "9000"),
        ("connections", "10"),
        ("connections-per-address", "11"),
        ("connects-per-second", "12"),
        ("handshakes", "13"),
        ("messages-per-second", "14"),
        ("bytes-per-second", "15"),
        ("over-rate", "disconnect"),
    ];
    let limits = names.map(|(name, value)| format!("{name}: {value}")).join(", ");
    let (server, problems) = read(&format!("options: {{limits: {{{limits}}}}}\nexit: south"));
    assert_eq!(problems, "");
    let expected = Bounds {
        packet_size: 3000,
        client_id_length: 2,
        topic_length: 3,
        topic_levels: 4,
        subscriptions: 5,
        session_expiry: 16,
        filters_per_packet: 6,
        user_properties: 7,
        in_flight: 8,
        queued_bytes: 9000,
        connections: 10,
        connections_per_address: 11,
        connects_per_second: 12,
        handshakes: 13,
        messages_per_second: 14,
        bytes_per_second: 15,
        over_rate: OverRate::Disconnect,
    };
    assert_eq!(server.unwrap().bounds, expected);
    for (name, _) in names {
        let body = format!("options:\n  limits:\n    {name}: -1\nexit: south");
        assert!(read(&body).0.is_none(), "{name}");
    }
}

#[test]
fn payloads_are_checked_where_the_file_says_so() {
    for (options, expected) in [("{}", false), ("pass", false), ("check", true)] {
        let options = options.replace("pass", "{payload-format: pass}");
        let options = options.replace("check", "{payload-format: check}");
        let (server, problems) = read(&format!("options: {options}\nexit: south"));
        assert_eq!(problems, "");
        assert_eq!(server.unwrap().checks_payload_format, expected, "{options}");
    }
}

#[test]
fn response_information_is_read() {
    assert_eq!(read("exit: south").0.unwrap().response_information, None);
    let (server, problems) =
        read("options: {response-information: \"r/{client-id}\"}\nexit: south");
    assert_eq!(problems, "");
    assert_eq!(server.unwrap().response_information.as_deref(), Some("r/{client-id}"));
}

#[test]
fn the_interval_of_the_servers_topics_is_read() {
    let interval = |body: &str| {
        let (server, problems) = read(&format!("{body}exit: south"));
        assert_eq!(problems, "");
        server.unwrap().system_interval
    };
    let pointer = "/allOf/0/then/properties/options/properties/sys-interval/default";
    let schema: serde_json::Value = serde_json::from_str(schema::MQTT).unwrap();
    let shown = schema.pointer(pointer).unwrap().as_u64().unwrap();
    assert_eq!(u64::from(interval("")), shown);
    assert_eq!(interval("options: {sys-interval: 0}\n"), 0);
    assert_eq!(interval("options: {sys-interval: 60}\n"), 60);
    for value in ["-1", "86401", "often", "1.5"] {
        assert!(read(&format!("options: {{sys-interval: {value}}}\nexit: south")).0.is_none());
    }
}

/// The defaults that the schema shows are those that hold.
#[test]
fn the_schema_shows_the_defaults_of_limits() {
    let schema: serde_json::Value = serde_json::from_str(schema::MQTT).unwrap();
    let limits = schema.pointer("/allOf/0/then/properties/options/properties/limits/properties");
    let limits = limits.unwrap().as_object().unwrap();
    let shown: serde_json::Map<_, _> = limits
        .iter()
        .filter_map(|(name, limit)| Some((name.clone(), limit.get("default")?.clone())))
        .collect();
    assert!(shown.len() >= 8, "{shown:?}");
    let limits = serde_json::Value::Object(shown);
    let body = format!("options: {{limits: {limits}}}\nexit: south");
    assert_eq!(read(&body).0.unwrap().bounds, Bounds::DEFAULT);
}

#[test]
fn routes_lead_to_exits_in_order_and_exit_is_last() {
    let (server, problems) = read(
        "routes:\n  - when:\n      - session: [{client-id: dev-*}]\n        publish:\n          \
         - topic: a/{id}\n            params: {id: x}\n      - subscribe: [{topic: b/+}]\n    \
         exit: one\n  - when: [{publish: [{topic: 'c/#'}]}]\n    exit: two\nexit: one",
    );
    assert_eq!(problems.matches("W0304").count(), 1, "{problems}");
    let server = server.unwrap();
    let decide = |request| server.routes.decide(request, |_, _| {}).map(|d| (d.route, d.exit));
    assert_eq!(server.exits.len(), 2);
    assert_eq!(decide(Request::Publish("a/x")), Some((0, 0)));
    assert_eq!(decide(Request::Publish("a/y")), Some((2, 0)));
    assert_eq!(decide(Request::Publish("c/1")), Some((1, 1)));
    assert_eq!(decide(Request::Subscribe("b/+")), Some((0, 0)));
    assert_eq!(decide(Request::Subscribe("#")), Some((2, 0)));
    // The second item of the first route admits every client.
    assert_eq!(decide(Request::Session("any")), Some((0, 0)));
}

#[test]
fn routes_that_mean_something_else_are_warned_of() {
    let warned = |body: &str, expected: &[&str]| {
        let (server, problems) = read(body);
        assert!(server.is_some(), "{body}:\n{problems}");
        assert_eq!(problems.matches("warning[").count(), expected.len(), "{body}:\n{problems}");
        for expected in expected {
            assert!(problems.contains(expected), "{body}:\n{problems}");
        }
    };
    let routes = |first: &str, second: &str| {
        format!("routes:\n  - when: [{first}]\n    exit: s\n  - when: [{second}]\n    exit: s")
    };
    for (first, second) in [("a/#", "a/b"), ("#", "$SYS/#"), ("a/{x}/c", "a/b/c")] {
        for direction in ["publish", "subscribe"] {
            let topic = |topic: &str| format!("{{{direction}: [{{topic: '{topic}'}}]}}");
            warned(&routes(&topic(first), &topic(second)), &["warning[W0303]: an earlier"]);
            warned(&routes(&topic(second), &topic(first)), &[]);
        }
    }
    let publish = |params: &str| format!("{{publish: [{{topic: 'a/{{x}}'{params}}}]}}");
    warned(&routes(&publish(""), &publish(", params: {x: b}")), &["W0303"]);
    warned(&routes(&publish(", params: {x: b}"), &publish("")), &[]);
    warned(&routes("{publish: [{topic: a}]}", "{subscribe: [{topic: a}]}"), &[]);
    let session = "{session: [{client-id: a-*}]}";
    let route = |when: &str| format!("routes:\n  - when: [{when}]\n    exit: s");
    warned(&route(&format!("{session}, {{publish: [{{topic: a}}]}}")), &["7:47: warning[W0304]"]);
    warned(&route("{session: [{client-id: '*'}]}, {publish: [{topic: a}]}"), &[]);
    warned(&route(&format!("{session}, {{session: [{{client-id: b}}]}}")), &[]);
    warned("options: {versions: []}\nexit: s", &["6:25: warning[W0305]"]);
}

#[test]
fn what_would_silently_check_nothing_is_refused() {
    let authorization = "authorization: {jwt0: {credentials: {connect: {username: x}}}}";
    let not_yet = "not supported yet";
    refused(&format!("options:\n  {authorization}\nexit: s"), "7:7", not_yet);
    refused("options:\n  topics: [{name: a}]\nexit: s", "7:7", not_yet);
    refused("routes:\n  - guarded: {jwt0: []}\n    exit: s", "7:9", not_yet);
    let identity = "params: {id: \"${guarded['g'].identity}\"}";
    refused(
        &format!(
            "routes:\n  - when:\n      - publish:\n          - topic: a/{{id}}\n            \
             {identity}\n    exit: s"
        ),
        "10:26",
        not_yet,
    );
}

#[test]
fn patterns_and_routes_that_mean_nothing_are_refused_at_their_place() {
    let route = |condition: &str| format!("routes:\n  - when: [{condition}]\n    exit: s");
    refused(&route("{publish: [{topic: 'a/#/b'}]}"), "7:35", "stands alone");
    refused(
        &route("{publish: [{topic: 'a/b', params: {id: x}}]}"),
        "7:42",
        "binds what `a/b` does not contain",
    );
    refused(&route("{publish: [{topc: a}]}"), "7:28", "topc");
    refused("routes:\n  - when: []", "7:9", "`exit` is missing");
    refused("options: {}", "3:3", "`exit` or `routes` is missing");
    refused("options:\n  versions: [v3]\nexit: s", "7:18", "v3.1.1");
}
