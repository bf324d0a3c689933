//! What becomes of a publish and of a subscription, for people.

use std::fmt::Write as _;

use engine::spi::{Action, Fact, Rule, Trace, Verdict};
use kafka_plane::Draft;
use mqtt_plane::asked::{Asked, AskedFor, publish_denied, subscription_denied};
use mqtt_plane::{Publish, Qos, ReasonCode, share};
use serde_json::{Map, Value};

use crate::config::MqttKafkaDefinition;
use crate::state::{self, Mapping};
use crate::wire::{PublishHeaders, message, retained};

/// Tells what the mapping decides, by the functions that sessions call.
pub(crate) fn explain(definition: &MqttKafkaDefinition, action: &Action, trace: &mut Trace<'_>) {
    let Some(asked) = Asked::read(action) else { return };
    match &asked.request {
        // Every client that reaches the binding has its session.
        AskedFor::Connect => {}
        AskedFor::Publish(message) => {
            let client_id = &asked.identity.client_id;
            publish(definition, action, client_id, &message.publish(), trace);
        }
        AskedFor::Subscribe { filter, qos } => subscribe(definition, filter, *qos, trace),
    }
}

fn publish(
    definition: &MqttKafkaDefinition,
    action: &Action,
    client_id: &str,
    publish: &Publish<'_>,
    trace: &mut Trace<'_>,
) {
    let (mapping, qos_max_rule) = definition.in_run(|name| trace.property(name));
    let mapping = &*mapping;
    let topic = publish.topic;
    let admitted = mapping.admit_publish(publish.qos, mapping.qos_max, || {
        mapping
            .publish(topic, |route, verdict| tell(route, verdict, topic, "publish", mapping, trace))
    });
    let target = match admitted {
        Ok(target) => target,
        Err(reason) => {
            let (rule, detail) = match reason {
                ReasonCode::QOS_NOT_SUPPORTED => (qos_max_rule, "QoS above the maximum".to_owned()),
                _ => (Rule::default(), format!("no route takes publishes to `{topic}`")),
            };
            return trace.deny(rule, publish_denied(reason, &detail, publish.qos));
        }
    };
    let hash_key = mapping.hash_key(topic);
    if let Some((pattern, identity)) = hash_key {
        let why = format!("`{identity}` chooses the partition, in place of the key");
        trace.step(Verdict::Taken, format!("/options/clients/{pattern}"), why);
    }
    let headers = PublishHeaders::new(publish, Some(client_id), &target.topic);
    let record = message(publish, &target.topic, hash_key.map(|(_, key)| key), &headers);
    tell_record(&record, trace);
    trace.fact("qos", Fact::Number(publish.qos as u64));
    if publish.retain {
        let retained = retained(record, &mapping.retained);
        let what =
            if retained.value.is_none() { "retained there: cleared" } else { "retained there" };
        trace.step(Verdict::Taken, "/options/topics/retained", what);
        trace.fact("retained-topic", Fact::Text(retained.topic.to_owned()));
    }
    trace.pass(&definition.exits[target.exit].name, append(&record, action));
}

/// The record as it is written.
fn tell_record(record: &Draft<'_>, trace: &mut Trace<'_>) {
    trace.fact("kafka-topic", Fact::Text(record.topic.to_owned()));
    trace.fact("key", Fact::Text(shown(record.key.unwrap_or_default())));
    let mut headers = Vec::new();
    record.headers.for_each(&mut |name, value| {
        headers.push((name.to_owned(), value.map(shown).unwrap_or_default()));
    });
    trace.fact("headers", Fact::Pairs(headers));
}

/// What the exit is asked for.
fn append(record: &Draft<'_>, action: &Action) -> Action {
    let mut append = Action::new("append", Map::new())
        .with("topic", record.topic)
        .with("key", shown(record.key.unwrap_or_default()));
    if let Some(hash_key) = record.hash_key {
        append = append.with("hash-key", shown(hash_key));
    }
    match action.arguments().get("partitions") {
        Some(count) => append.with("partitions", count.clone()),
        None => append,
    }
}

fn subscribe(definition: &MqttKafkaDefinition, filter: &str, qos: Qos, trace: &mut Trace<'_>) {
    let (mapping, qos_max_rule) = definition.in_run(|name| trace.property(name));
    let mapping = &*mapping;
    let granted = mapping.grant(filter, qos, || {
        mapping.subscribe(filter, |route, verdict| {
            tell(route, verdict, filter, "subscribe", mapping, trace);
        })
    });
    let (granted, targets) = match granted {
        Ok(granted) => granted,
        Err(reason) => {
            let detail = match reason {
                ReasonCode::TOPIC_FILTER_INVALID => {
                    format!("`{filter}` is no filter of a shared subscription")
                }
                _ => format!("no route serves subscriptions to `{filter}`"),
            };
            return trace.deny("", subscription_denied(reason, &detail));
        }
    };
    if granted < qos {
        let why = format!("QoS {} is granted in place of {}", granted as u8, qos as u8);
        trace.step(Verdict::Taken, qos_max_rule, why);
    }
    let topics = targets.iter().map(|target| target.topic.to_string()).collect();
    let mut exits: Vec<usize> = targets.iter().map(|target| target.exit).collect();
    exits.sort_unstable();
    exits.dedup();
    trace.fact("qos", Fact::Number(granted as u64));
    trace.fact("kafka-topics", Fact::List(topics));
    // None is sent to a shared subscription (MQTT 5.0 section 4.8.2).
    let sends_retained = share(filter).is_none();
    let retained =
        exits.iter().filter(|_| sends_retained).map(|_| mapping.retained.to_string()).collect();
    trace.fact("retained-topics", Fact::List(retained));
}

/// Tells what a route says, at the pattern that decided.
fn tell(
    index: usize,
    verdict: &state::Verdict<'_>,
    what: &str,
    list: &str,
    mapping: &Mapping,
    trace: &mut Trace<'_>,
) {
    // The binding's own exit comes behind its routes.
    let routes = trace.node().routes().len();
    let rule = if index < routes { format!("/routes/{index}") } else { "/exit".to_owned() };
    let place = |pattern: usize, trace: &Trace<'_>| {
        pattern_pointer(trace.node().value.pointer(&rule), &rule, list, pattern)
    };
    match verdict {
        state::Verdict::Taken { pattern, target } => {
            let at = pattern.map_or_else(|| rule.clone(), |pattern| place(pattern, trace));
            let asked = if list == "publish" { "publish" } else { "subscription" };
            trace.step(Verdict::Taken, at, format!("{asked} to `{what}`"));
            let named = mapping.routes.get(index).is_some_and(|route| route.messages.is_some());
            let rule = if named { format!("{rule}/with/messages") } else { MESSAGES.to_owned() };
            trace.step(Verdict::Taken, rule, format!("Kafka topic {}", target.topic));
        }
        state::Verdict::Unnamed { pattern } => {
            let why = match list {
                "publish" => format!("`{what}` matches, but makes no name of a Kafka topic"),
                _ => format!("`{what}` overlaps, but leaves a parameter of the topic's name open"),
            };
            trace.step(Verdict::Skipped, place(*pattern, trace), why);
        }
        state::Verdict::Unmatched => {
            trace.step(Verdict::Skipped, rule, format!("no `{list}` topic matches `{what}`"));
        }
    }
}

/// Where the file says which topic messages lie in that no route names.
const MESSAGES: &str = "/options/topics/messages";

/// The place of the pattern of this index among all of a route: they stand in several items.
fn pattern_pointer(route: Option<&Value>, rule: &str, list: &str, pattern: usize) -> String {
    let when = route.and_then(|route| route.get("when")).and_then(Value::as_array);
    let mut left = pattern;
    for (item, condition) in when.into_iter().flatten().enumerate() {
        let count = condition.get(list).and_then(Value::as_array).map_or(0, Vec::len);
        if left < count {
            return format!("{rule}/when/{item}/{list}/{left}/topic");
        }
        left -= count;
    }
    rule.to_owned()
}

/// A value as text where it is, else as hexadecimal digits.
fn shown(value: &[u8]) -> String {
    match std::str::from_utf8(value) {
        Ok(text) if !text.contains(|c: char| c.is_control()) => text.to_owned(),
        _ => value.iter().fold("0x".to_owned(), |mut text, byte| {
            // Writing to a string does not fail.
            write!(text, "{byte:02x}").ok();
            text
        }),
    }
}
