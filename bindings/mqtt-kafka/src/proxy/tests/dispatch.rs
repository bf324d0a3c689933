use super::*;
use crate::proxy::tests::kafka::{Stored, now};
use mqtt_plane::Position;
use std::collections::{BTreeMap, BTreeSet};

fn stored(key: &str, value: &str) -> Stored {
    Stored {
        key: key.to_owned(),
        value: Some(value.into()),
        headers: vec![("zilla:qos".to_owned(), b"1".to_vec())],
        timestamp: now(),
        partition: 0,
    }
}

// [MQTT-3.3.4-2] [MQTT-3.3.4-4] [MQTT-3.8.4-8] [MQTT-3.8.3-3] [MQTT-3.3.1-12]
#[test]
fn a_message_goes_once_to_each_session_that_matches() {
    on_worker(async {
        let world = World::new();
        let mut one = world.open("one");
        one.subscribe(&[
            Subscription { id: Some(3), ..subscription("a/#", Qos::AtMostOnce) },
            Subscription { id: Some(4), ..subscription("+/b", Qos::AtLeastOnce) },
        ]);
        let mut two = world.subscriber("two", "a/b", Qos::AtMostOnce);
        let mut other = world.subscriber("other", "a/c", Qos::AtLeastOnce);
        let mut local = world.open("local");
        local
            .subscribe(&[Subscription { no_local: true, ..subscription("a/b", Qos::AtLeastOnce) }]);
        local.publish(&message("a/b", "x", Qos::AtLeastOnce)).unwrap();
        world.kafka.run();
        let expected = |qos, ids: &[u32]| Received {
            topic: "a/b".to_owned(),
            payload: "x".to_owned(),
            qos,
            retain: false,
            ids: ids.to_vec(),
        };
        assert_eq!(one.received(), [expected(Qos::AtLeastOnce, &[3, 4])]);
        assert_eq!(two.received(), [expected(Qos::AtMostOnce, &[])]);
        assert!(other.received().is_empty());
        assert!(local.received().is_empty());
        two.publish(&message("a/b", "y", Qos::AtMostOnce)).unwrap();
        world.kafka.run();
        assert_eq!(one.received()[0].qos, Qos::AtMostOnce);
        assert_eq!(local.payloads(), ["y"]);
    });
}

#[test]
fn a_batch_wakes_a_session_once_and_other_producers_keys_are_skipped() {
    on_worker(async {
        let world = World::new();
        let mut client = world.subscriber("c", "#", Qos::AtLeastOnce);
        assert!(client.events().unwrap().is_empty());
        let records: Vec<Stored> =
            (0..50).map(|i| stored(if i == 7 { "a/+" } else { "a/b" }, &i.to_string())).collect();
        world.kafka.append_batch("messages", 1, &records);
        world.kafka.append_batch("messages", 2, &records);
        world.kafka.run();
        assert_eq!(client.wakes(), 1);
        assert_eq!(client.payloads().len(), 98);
        assert_eq!(world.hub.counters.records_skipped_key.value(), 2);
    });
}

// [MQTT-3.3.2-5]
#[test]
fn an_expired_message_is_not_delivered() {
    on_worker(async {
        let world = World::new();
        let mut client = world.subscriber("c", "#", Qos::AtLeastOnce);
        let mut old = stored("a", "old");
        let expiry = ("zilla:expiry".to_owned(), vec![0, 0, 0, 5]);
        old.headers = vec![("zilla:filter".to_owned(), b"a".to_vec()), expiry];
        let fresh = Stored { value: Some("fresh".into()), ..old.clone() };
        old.timestamp -= 6_000;
        world.kafka.append_batch("messages", 0, &[old, fresh]);
        world.kafka.run();
        assert_eq!(client.payloads(), ["fresh"]);
        assert_eq!(world.hub.counters.deliveries_expired.value(), 1);
    });
}

#[test]
fn a_delivery_waits_for_the_clients_appetite() {
    on_worker(async {
        let world = World::new();
        let mut client = world.subscriber("c", "#", Qos::AtLeastOnce);
        let mut publisher = world.open("p");
        for i in 0..4 {
            publisher.publish(&message("t", &format!("{i}-0123456789"), Qos::AtLeastOnce)).unwrap();
        }
        world.kafka.run();
        let mut take = |bytes, in_flight| {
            let mut out = Vec::new();
            let poll = client.poll_once(Appetite { bytes, in_flight }, &mut out);
            assert_eq!(poll.is_ready(), !out.is_empty());
            received(&out).len()
        };
        assert_eq!(
            [take(0, 10), take(100, 0), take(1, 10), take(100, 1), take(13, 10)],
            [0, 0, 1, 1, 2]
        );
    });
}

// [MQTT-4.6.0-5] [MQTT-4.6.0-6]
#[test]
fn a_session_whose_ring_is_full_catches_up_without_loss_and_in_order() {
    on_worker(async {
        let world = World::new();
        let mut slow = world.subscriber("slow", "t/#", Qos::AtLeastOnce);
        let mut fast = world.subscriber("fast", "t/#", Qos::AtLeastOnce);
        let mut seen = Vec::new();
        let mut sent = 0;
        let mut send = |count: usize| {
            for _ in 0..count {
                let record = stored(&format!("t/{}", sent % 7), &sent.to_string());
                world.kafka.append_batch("messages", sent % 7 % 3, &[record]);
                sent += 1;
            }
            world.kafka.run();
            sent
        };
        for round in 0..6 {
            send(3_000);
            tokio::task::yield_now().await;
            assert!(!fast.received().is_empty(), "{round}");
            // A little is read now and then, so that it falls behind more than once.
            let mut out = Vec::new();
            drop(slow.poll_once(Appetite { bytes: 3_000, in_flight: 500 }, &mut out));
            seen.extend(received(&out));
        }
        assert!(world.hub.counters.sessions_behind.value() >= 1);
        seen.extend(slow.received());
        let sent = send(1);
        seen.extend(slow.received());
        let mut by_topic: BTreeMap<&str, Vec<usize>> = BTreeMap::new();
        for message in &seen {
            by_topic.entry(&message.topic).or_default().push(message.payload.parse().unwrap());
        }
        assert_eq!(seen.len(), sent);
        for (topic, list) in by_topic {
            assert!(list.is_sorted_by(|a, b| a < b), "{topic} out of order");
        }
        let behind = world.hub.counters.sessions_behind.value();
        send(10);
        assert_eq!(slow.received().len(), 10, "live again");
        assert_eq!(world.hub.counters.sessions_behind.value(), behind);
        assert_eq!(world.hub.counters.deliveries_skipped.value(), 0);
    });
}

#[test]
fn a_qos_0_session_without_room_misses_messages_and_each_is_counted() {
    on_worker(async {
        let world = World::new();
        let mut slow = world.subscriber("slow", "#", Qos::AtMostOnce);
        for i in 0..5_000 {
            world.kafka.append_batch("messages", 0, &[stored("t", &i.to_string())]);
        }
        world.kafka.run();
        while world.hub.counters.deliveries_skipped.value() == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        let got = i64::try_from(slow.received().len()).unwrap();
        assert_eq!(got + world.hub.counters.deliveries_skipped.value(), 5_000);
        assert_eq!(got, i64::try_from(crate::proxy::deliver::ring::MESSAGES).unwrap());
    });
}

#[test]
fn a_session_that_memory_has_left_behind_reads_from_kafka() {
    a_session_is_left_behind(false);
}

#[test]
fn a_session_that_kafka_has_left_behind_is_told() {
    a_session_is_left_behind(true);
}

fn a_session_is_left_behind(is_deleted: bool) {
    on_worker(async move {
        let world = World::new();
        let mut slow = world.subscriber("slow", "#", Qos::AtLeastOnce);
        for i in 0..5_000 {
            world.kafka.append_batch("messages", 0, &[stored("t", &i.to_string())]);
        }
        world.kafka.run();
        while world.hub.counters.sessions_behind.value() == 0 {
            tokio::task::yield_now().await;
        }
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        world.kafka.trim("messages");
        if is_deleted {
            world.kafka.delete("messages");
            assert!(slow.events().is_ok(), "what its ring holds");
            world.kafka.run();
            let closed = slow.events().err().expect("an end");
            assert_eq!(closed.reason, ReasonCode::QUOTA_EXCEEDED);
            assert_eq!(world.hub.counters.sessions_fallen_out.value(), 1);
            return;
        }
        let mut texts = Vec::new();
        while texts.len() < 5_000 {
            texts.extend(slow.payloads());
            assert!(world.kafka.answer_one() || texts.len() == 5_000);
        }
        let all: Vec<String> = (0..5_000).map(|i| i.to_string()).collect();
        assert_eq!(texts, all);
        assert_eq!(world.hub.counters.sessions_fallen_out.value(), 0);
    });
}

#[test]
fn a_worker_that_memory_has_left_behind_leaves_it_to_sessions_that_must_miss_nothing() {
    on_worker(async {
        let world = World::new();
        let mut reliable = world.subscriber("reliable", "#", Qos::AtLeastOnce);
        let mut casual = world.subscriber("casual", "#", Qos::AtMostOnce);
        for i in 0..10 {
            world.kafka.append_batch("messages", 0, &[stored("t", &i.to_string())]);
        }
        world.kafka.trim("messages");
        world.kafka.notify();
        world.kafka.append_batch("messages", 0, &[stored("t", "next")]);
        tokio::task::yield_now().await;
        world.kafka.run();
        tokio::task::yield_now().await;
        let mut texts = Vec::new();
        for _ in 0..12 {
            texts.extend(reliable.payloads());
            world.kafka.run();
        }
        let numbers = (0..10).map(|i| i.to_string());
        assert_eq!(texts, numbers.chain(["next".to_owned()]).collect::<Vec<_>>());
        assert_eq!(casual.payloads(), ["next"]);
        assert_eq!(world.hub.counters.logs_fallen_out.value(), 1);
    });
}

/// Random publishes, polls and other sessions' comings and goings: a QoS 1 subscriber receives
/// everything that was published after its SUBACK, once, each topic in order.
#[test]
fn nothing_is_lost_or_doubled_whatever_the_schedule() {
    on_worker(async {
        let world = World::with(mapping(&[("r/#", "routed")]));
        let mut publisher = world.open("p");
        let mut steady = world.subscriber("steady", "#", Qos::AtLeastOnce);
        let mut other = Vec::new();
        let mut seen = Vec::new();
        let mut places: BTreeSet<(u32, i64)> = BTreeSet::new();
        let mut take = |client: &mut Client, bytes: usize| {
            let mut out = Vec::new();
            let appetite = Appetite { bytes, in_flight: 50 };
            assert!(!matches!(client.poll_once(appetite, &mut out), Poll::Ready(Err(_))));
            for event in &out {
                if let Event::Deliver(delivery) = event {
                    let Position { log, offset } = delivery.position;
                    assert!(places.insert((log, offset)), "doubled");
                }
            }
            seen.extend(received(&out));
        };
        let random = |below| world.kafka.random(below);
        let topics = ["a", "a/b", "r/x", "r/y/z"];
        for i in 0..4_000 {
            match random(8) {
                0..=3 => {
                    let topic = topics[usize::try_from(random(4)).unwrap()];
                    publisher.publish(&message(topic, &i.to_string(), Qos::AtLeastOnce)).unwrap();
                }
                4 => take(&mut steady, if i % 500 < 350 { 8 } else { 1_000 }),
                5 if random(2) == 0 => world.kafka.run(),
                6 if random(4) == 0 => {
                    let filter = ["a/+", "r/#", "#"][usize::try_from(random(3)).unwrap()];
                    steady.session.subscribe(0, &[subscription(filter, Qos::AtLeastOnce)]);
                    let mut extra = world.open("extra");
                    extra.session.subscribe(9, &[subscription("#", Qos::AtLeastOnce)]);
                    other.push(extra);
                }
                6 => drop(other.pop()),
                7 if random(20) == 0 => world.kafka.trim(["messages", "routed"][i % 2]),
                _ => {
                    if random(2) == 0 {
                        world.kafka.answer_one();
                    } else {
                        world.kafka.notify();
                    }
                    tokio::task::yield_now().await;
                }
            }
        }
        world.kafka.run();
        for _ in 0..10_000 {
            take(&mut steady, 1_000);
            world.kafka.run();
        }
        let published: Vec<Stored> =
            ["messages", "routed"].iter().flat_map(|topic| world.kafka.stored(topic)).collect();
        assert!(published.len() > 1_000);
        assert!(world.hub.counters.sessions_behind.value() > 5);
        for topic in topics {
            let sent: Vec<_> = published.iter().filter(|r| r.key == topic).collect();
            let sent: Vec<_> = sent.iter().map(|r| r.value.clone().unwrap()).collect();
            let got: Vec<_> = seen.iter().filter(|m| m.topic == topic).collect();
            let got: Vec<_> = got.iter().map(|m| m.payload.clone().into_bytes()).collect();
            assert_eq!(got, sent, "{topic}");
        }
    });
}
