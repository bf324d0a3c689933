use std::sync::Arc;

use engine::config::{Environment, Fragment, NodeConfig, Problems, Schema, Source, load};
use engine::spi::{BindingKind, Coupling, Definition, definition_as};
use mqtt_plane::Qos;

use super::{MqttKafkaDefinition, MqttKafkaKind};

struct Empty;

impl Environment for Empty {
    fn get(&self, _: &str) -> Option<String> {
        None
    }
}

/// The binding as the engine hands it over, with what the schema says of it.
fn node(body: &str) -> (Option<NodeConfig>, Problems) {
    let mut text = String::from("name: n\nbindings:\n  map0:\n    type: mqtt-kafka\n");
    for line in body.lines() {
        text.push_str("    ");
        text.push_str(line);
        text.push('\n');
    }
    for exit in ["k", "kafka0", "kafka1", "elsewhere"] {
        text.push_str(&format!("  {exit}: {{type: sink}}\n"));
    }
    let sink = Fragment::binding("sink", r#"{"properties": {"type": {}}}"#);
    let schema = Schema::compose(&[Fragment::binding("mqtt-kafka", MqttKafkaKind.schema()), sink]);
    let mut problems = Problems::default();
    let config = load(&Source::new("zilla.yaml", text), &schema, &Empty, &mut problems);
    (config.map(|config| config.namespaces[0].nodes[0].clone()), problems)
}

fn define(body: &str) -> (Option<Arc<dyn Definition>>, String) {
    let (node, mut problems) = node(body);
    let definition = node.and_then(|node| MqttKafkaKind.define(&node, &mut problems));
    (definition, problems.render())
}

const TOPICS: &str = "options: {topics: {sessions: s, messages: m, retained: r}}";

fn with_route(route: &str) -> String {
    format!("kind: proxy\n{TOPICS}\nroutes:\n  - {route}\nexit: kafka0")
}

#[test]
fn a_whole_binding_is_defined() {
    let body = "kind: proxy
options:
  topics: {sessions: s, messages: m, retained: r}
  clients: ['place/{identity}/#']
  publish: {qosMax: at_most_once}
routes:
  - when:
      - publish: [{topic: 'site/{site}/x'}]
        subscribe: [{topic: 'site/{site}/x'}]
    with: {messages: 'site-${params.site}'}
    exit: kafka1
  - when: [{publish: [{topic: 'a/#'}]}]
    with: {messages: a}
  - exit: kafka1
exit: kafka0";
    let (definition, problems) = define(body);
    let definition = definition.expect(&problems);
    assert_eq!(definition.entry(), Some("mqtt"));
    let exits = definition.exits();
    let names: Vec<_> = exits.iter().map(|exit| exit.name.to_string()).collect();
    assert_eq!(names, ["n:kafka1", "n:kafka0"]);
    assert!(exits.iter().all(|e| e.plane == "kafka" && e.coupling == Coupling::Link));
    let definition: &MqttKafkaDefinition = definition_as(&*definition).unwrap();
    let mapping = &definition.mapping;
    assert_eq!(mapping.qos_max, Qos::AtMostOnce);
    let publish = |topic| mapping.publish(topic, |_, _| {}).map(|t| (t.topic.into_owned(), t.exit));
    assert_eq!(publish("site/1/x"), Some(("site-1".to_owned(), 0)));
    assert_eq!(publish("a/b"), Some(("a".to_owned(), 1)));
    assert_eq!(publish("else"), Some(("m".to_owned(), 0)), "a route without `when` takes all");
    assert_eq!(mapping.hash_key("place/p/x"), Some((0, "p")));
    // One warning: a wildcard cannot fill `site`.
    assert_eq!(problems.matches("warning").count(), 1, "{problems}");
    assert!(problems.contains("warning[W0223]"), "{problems}");
}

#[test]
fn the_highest_qos_is_2_unless_the_file_says_less() {
    for (options, expected) in [
        ("", Qos::ExactlyOnce),
        (", publish: {qosMax: exactly_once}", Qos::ExactlyOnce),
        (", publish: {qosMax: at_least_once}", Qos::AtLeastOnce),
        (", publish: {qosMax: at_most_once}", Qos::AtMostOnce),
    ] {
        let body = format!(
            "kind: proxy\noptions: {{topics: {{sessions: s, messages: m, retained: r}}{options}}}\n\
             exit: kafka0"
        );
        let (definition, problems) = define(&body);
        let definition = definition.expect(&problems);
        let definition: &MqttKafkaDefinition = definition_as(&*definition).unwrap();
        assert_eq!(definition.mapping.qos_max, expected);
        assert!(problems.is_empty(), "{problems}");
    }
}

#[test]
fn a_publish_behind_a_route_that_takes_all_is_warned_of() {
    for (first, second, is_warned) in [
        ("{with: {messages: a}}", "{when: [{publish: [{topic: b}]}], with: {messages: b}}", true),
        (
            "{with: {messages: a}}",
            "{when: [{subscribe: [{topic: b}]}], with: {messages: b}}",
            false,
        ),
        ("{when: [{publish: [{topic: b}]}], with: {messages: b}}", "{with: {messages: a}}", false),
    ] {
        let body =
            format!("kind: proxy\n{TOPICS}\nroutes:\n  - {first}\n  - {second}\nexit: kafka0");
        let (definition, problems) = define(&body);
        assert!(definition.is_some(), "{problems}");
        assert_eq!(problems.contains("9:9: warning[W0303]"), is_warned, "{problems}");
        assert_eq!(problems.is_empty(), !is_warned, "{problems}");
    }
}

#[test]
fn any_change_is_absorbed() {
    let one = define(&with_route("{with: {messages: a}}")).0.unwrap();
    let other = define(&with_route("{with: {messages: b}, exit: elsewhere}")).0.unwrap();
    assert!(one.absorbs(&*other));
}

#[test]
fn every_problem_is_reported_at_its_place() {
    for (body, expected) in [
        ("kind: proxy\nexit: k", &["error[E02"][..]),
        (&format!("kind: proxy\n{TOPICS}"), &["error[E02"]),
        (&format!("kind: server\n{TOPICS}\nexit: k"), &["error[E02"]),
        (
            "kind: proxy\noptions: {topics: {sessions: 'a b', messages: '', retained: r}}\nexit: k",
            &["6:51: error[E0207]"],
        ),
        (
            "kind: proxy\noptions: {topics: {sessions: 'a b', messages: .., retained: r}}\nexit: k",
            &["6:34: error[E0221]", "6:51: error[E0221]"],
        ),
        (
            "kind: proxy\noptions:\n  topics: {sessions: s, messages: m, retained: r}\n  \
             clients: ['a/#', 'b/#/{identity}']\n  server: h:1\nexit: k",
            &["8:17: error[E0223]", "8:24: error[E0222]", "9:7: warning[W0201]"],
        ),
        (
            &with_route("{guarded: {jwt0: [read]}, with: {messages: a}}"),
            &[
                "8:10: error[E0206]: `routes[0].guarded` of mqtt-kafka proxy `map0` is not supported yet",
            ],
        ),
        (
            &with_route(
                "{when: [{publish: [{topic: 'a/{x}'}]}], with: {messages: 'a-${params.y}'}}",
            ),
            &["error[E0225]: no topic of this route has `{y}`"],
        ),
        (
            &with_route(
                "{when: [{publish: [{topic: 'a/{x}'}, {topic: b}]}], \
                 with: {messages: 'a-${params.x}'}}",
            ),
            &["warning[W0222]"],
        ),
        (&with_route("{with: {messages: 'a b'}}"), &["error[E0221]"]),
        (&with_route("{with: {messages: r}}"), &["8:27: error[E0226]"]),
        (
            "kind: proxy\noptions: {topics: {sessions: a, messages: a, retained: a}}\nexit: k",
            &["6:34: error[E0226]", "6:60: error[E0226]"],
        ),
        (&with_route("{with: {messages: 'a-${params.x'}}"), &["error[E0221]"]),
        (
            &with_route("{when: [{subscribe: [{topic: 'a+'}]}], with: {messages: a}}"),
            &["error[E0222]"],
        ),
        (
            &format!("kind: proxy\n{TOPICS}\nroutes:\n  - {{with: {{messages: a}}}}"),
            &["8:9: error[E0224]"],
        ),
    ] {
        let (definition, problems) = define(body);
        for line in expected {
            assert!(problems.contains(line), "{body}\n{problems}");
        }
        assert_eq!(definition.is_none(), problems.contains("error["), "{body}\n{problems}");
    }
}
