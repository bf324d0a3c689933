use std::collections::BTreeMap;
use std::time::Duration;

use engine::config::{NodeName, ProcessEnvironment, RecordingEnvironment, Source};
use rdkafka_describe::Permitted;

use super::*;
use crate::librdkafka::Settings;

const FILE: &str = "sessions\nmessages\nretained\n";

fn need(source: &Source, name: &str, keeps: Option<Keeps>) -> TopicNeed {
    let at = source.text().find(name).unwrap();
    TopicNeed {
        name: name.to_owned(),
        is_template: false,
        span: source.span(at, at + name.len()),
        exit: NodeName::new("n", "kafka"),
        keeps,
        is_read: keeps.is_some(),
        is_written: keeps.is_some(),
        least_record_bytes: 8192,
        record_overhead: 4096,
        most_partitions: if keeps == Some(Keeps::All) { 4 } else { u32::MAX },
    }
}

fn present(partitions: usize, policy: &str, bytes: u32) -> Found {
    let permitted = Permitted { read: true, write: true, describe_configs: true };
    let topic = Topic {
        has_leader: vec![true; partitions],
        replicas: vec![(3, 3); partitions],
        permitted: Some(permitted),
    };
    let config = TopicConfig {
        max_message_bytes: Some(bytes),
        min_insync_replicas: Some(2),
        cleanup_policy: Some(policy.to_owned()),
        is_denied: false,
    };
    Found::Present(topic, Some(config))
}

/// The problems of `messages`, which is a log, and `retained`, which is a table, each with its
/// place; without the text of the problem up to its help.
fn judged(messages: Found, retained: Found) -> Vec<String> {
    judged_of(3, messages, retained)
}

/// The same of a cluster of so many brokers.
fn judged_of(brokers: usize, messages: Found, retained: Found) -> Vec<String> {
    let source = Source::new("f", FILE);
    let needs = [
        need(&source, "messages", Some(Keeps::All)),
        need(&source, "retained", Some(Keeps::LastOfKey)),
    ];
    let (name, addresses) = (NodeName::new("n", "kafka"), BTreeMap::new());
    let environment = RecordingEnvironment::new(&ProcessEnvironment);
    let bounds = (Purpose::Problems, Duration::ZERO);
    let cx = CheckCx::new(&name, bounds, &needs, &addresses, &environment, &source);
    let settings = Settings::plaintext(vec!["k:1".to_owned()]);
    let judge = Judge {
        cx: &cx,
        commands: Commands::new(&settings, &engine::spi::shell_word),
        principal: settings.principal(),
        wanted: merge(&needs),
    };
    let mut checkup = Checkup::default();
    let topics = Topics { found: vec![messages, retained], brokers };
    judge.judge(&topics, &mut checkup);
    let line = |problem: &Problem| {
        let help = problem.help().unwrap_or_default();
        format!("{} {}: {help}", problem.span().line(), problem.code())
    };
    checkup.problems.iter().map(line).collect()
}

const GOOD: (usize, &str, u32) = (4, "delete", 1_000_000);

fn log() -> Found {
    present(GOOD.0, GOOD.1, GOOD.2)
}

fn table() -> Found {
    present(9, "compact,delete", 1_000_000)
}

#[test]
fn what_is_as_it_must_be_has_no_problem() {
    assert_eq!(judged(log(), table()), [""; 0]);
}

#[test]
fn more_partitions_than_can_be_told_apart_are_a_problem_of_a_log() {
    let problems = judged(present(5, "delete", 1_000_000), table());
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("2 E0610: "), "{problems:?}");
}

#[test]
fn a_partition_without_a_leader_is_a_problem() {
    let Found::Present(mut topic, config) = log() else { unreachable!() };
    topic.has_leader[1] = false;
    let problems = judged(Found::Present(topic, config), table());
    assert_eq!(problems, ["2 E0610: see to the brokers that hold them"]);
}

#[test]
fn a_topic_with_one_replica_has_a_warning_where_there_are_more_brokers() {
    let with = |brokers, replicas: &[(usize, usize)]| {
        let Found::Present(mut topic, Some(mut config)) = log() else { unreachable!() };
        topic.replicas = replicas.to_vec();
        config.min_insync_replicas = Some(1);
        judged_of(brokers, Found::Present(topic, Some(config)), table())
    };
    let problems = with(2, &[(2, 2), (1, 1)]);
    assert_eq!(problems.len(), 1, "{problems:?}");
    assert!(problems[0].starts_with("2 W0604: give it more"), "{problems:?}");
    assert_eq!(with(1, &[(1, 1)]), [""; 0]);
    assert_eq!(with(3, &[(2, 1)]), [""; 0], "the other is away");
}

#[test]
fn a_topic_with_fewer_replicas_than_a_write_needs_is_a_problem() {
    let with = |replicas: &[(usize, usize)]| {
        let Found::Present(mut topic, config) = log() else { unreachable!() };
        topic.replicas = replicas.to_vec();
        judged(Found::Present(topic, config), table())
    };
    assert_eq!(with(&[(3, 3), (3, 2)]), [""; 0]);
    assert_eq!(with(&[(3, 2), (3, 1)]), ["2 E0614: see to the brokers that hold the others"]);
    let lower = "kafka-configs.sh --bootstrap-server k:1 --alter --entity-type topics --entity-name \
                 messages --add-config min.insync.replicas=1";
    let expected = format!("2 E0614: give it more replicas, or ask for fewer: {lower}");
    let problems = with(&[(1, 1), (3, 1)]);
    assert_eq!(problems[0], expected);
    assert!(problems[1].starts_with("2 W0604: ") && problems.len() == 2, "{problems:?}");
}

#[test]
fn the_smallest_limit_is_a_problem_of_its_topic_and_one_that_is_too_small_an_error() {
    let set = "kafka-configs.sh --bootstrap-server k:1 --alter --entity-type topics --entity-name \
               retained --add-config max.message.bytes";
    assert_eq!(
        judged(log(), present(1, "compact", 500_000)),
        [format!("3 W0603: let it take as much: {set}=1000000")]
    );
    assert_eq!(
        judged(log(), present(1, "compact", 8703)),
        [
            format!("3 E0611: let it take more: {set}=1048588"),
            format!("3 W0603: let it take as much: {set}=1000000"),
        ]
    );
    assert_eq!(judged(present(1, "delete", 8704), present(1, "compact", 8704)), [""; 0]);
    // Larger records than the client library takes are of no use.
    assert_eq!(judged(present(1, "delete", u32::MAX), present(1, "compact", MESSAGE_MAX)), [""; 0]);
}

#[test]
fn what_a_broker_does_not_tell_is_no_problem() {
    let topic = Topic { has_leader: vec![true], replicas: vec![(2, 1)], permitted: None };
    let untold = Found::Present(topic, Some(TopicConfig::default()));
    assert_eq!(judged(untold.clone(), untold), [""; 0]);
}

#[test]
fn a_topic_that_is_named_twice_has_its_problem_once_at_who_knows_what_it_is() {
    let source = Source::new("f", FILE);
    let bootstrap =
        TopicNeed { name: "retained".to_owned(), is_read: true, ..need(&source, "sessions", None) };
    let merged = merge(&[bootstrap.clone(), need(&source, "retained", Some(Keeps::LastOfKey))]);
    assert_eq!(merged.len(), 1);
    assert_eq!(merged[0].need.span.line(), 3);
    assert_eq!(merged[0].others, [bootstrap.span]);
    assert!(merged[0].is_compacted());
}
