//! Wills: when they are published, when not, and what becomes of one that Kafka does not take.

use std::time::Duration;

use engine::spi::Retire;
use kafka_plane::Fault;
use mqtt_plane::{Cause, Keep, Unfinished};

use super::*;
use crate::proxy::kept::store::SESSIONS;
use crate::proxy::kept::wills::{ATTEMPTS, BYTES, RETRY};

/// A will at QoS 1 with a delay, seconds.
fn will(payload: &str, delay: u32) -> Will {
    Will {
        topic: "will/t".into(),
        payload: payload.as_bytes().into(),
        qos: Qos::AtLeastOnce,
        retain: false,
        delay,
        payload_format: None,
        message_expiry: Some(30),
        content_type: None,
        response_topic: None,
        correlation_data: None,
        user: vec![("k".to_owned(), "v".to_owned())],
    }
}

impl World {
    /// A connection of the client `c`, and whether it went on with a session.
    fn victim(&self, clean_start: bool, will: Option<Will>) -> (Box<dyn Session>, bool) {
        let Opened { session, resumed } = self.begin("c", clean_start, 60, will);
        (session, resumed.is_some())
    }

    /// The client `c` is lost, with a will; its session is kept for `expiry` seconds.
    fn lose(&self, will: Will, expiry: u32) {
        self.victim(true, Some(will)).0.close(Cause::Abnormal, Some(kept_for(expiry)));
    }

    /// The payloads of all wills that lie in Kafka.
    fn published(&self) -> Vec<String> {
        self.kafka.run();
        let records = self.kafka.stored("messages");
        records.into_iter().map(|r| String::from_utf8(r.value.unwrap()).unwrap()).collect()
    }

    /// Wills delayed, published, discarded and failed.
    fn counts(&self) -> [i64; 4] {
        self.kafka.run();
        let counters = &self.hub.counters;
        let counted = [
            &counters.wills_delayed,
            &counters.wills_published,
            &counters.wills_discarded,
            &counters.wills_failed,
        ];
        counted.map(|counter| counter.value())
    }
}

fn kept_for(expiry: u32) -> Keep {
    Keep { expiry, unfinished: Unfinished::default() }
}

async fn pass(seconds: u64) {
    tokio::time::sleep(Duration::from_secs(seconds)).await;
}

// [MQTT-3.1.2-7] [MQTT-3.1.2-8] [MQTT-3.1.2-10]
#[test]
fn a_will_is_published_unless_the_session_closes_normally() {
    on_worker(async {
        let world = World::new();
        let mut watcher = world.subscriber("w", "will/#", Qos::AtLeastOnce);
        for cause in [Cause::Normal, Cause::Secondary] {
            world.open_with("c", Some(will("never", 0))).session.close(cause, None);
            // One with a delay is not kept either.
            world.victim(true, Some(will("never", 5))).0.close(cause, Some(kept_for(60)));
        }
        pass(100).await;
        assert!(world.kafka.appended.borrow().is_empty());
        assert_eq!(world.counts(), [0, 0, 4, 0]);
        world.open_with("c", Some(will("gone", 0))).session.close(Cause::Abnormal, None);
        let retained = Will { retain: true, ..will("dropped", 60) };
        drop(world.open_with("c", Some(retained)));
        world.kafka.run();
        let got = watcher.received();
        assert_eq!(
            got.iter().map(|m| (&*m.payload, m.qos)).collect::<Vec<_>>(),
            [("gone", Qos::AtLeastOnce), ("dropped", Qos::AtLeastOnce)]
        );
        let record = &world.kafka.stored("retained")[0];
        let names: Vec<_> = record.headers.iter().map(|(name, _)| name.as_str()).collect();
        let expected = ["zilla:filter", "zilla:filter", "zilla:expiry", "k", "zilla:qos"];
        assert_eq!(names, expected);
        assert_eq!(world.counts(), [0, 2, 4, 0]);
        assert_eq!(world.hub.len(), 1);
    });
}

/// Section 3.1.3.2.2: when the delay has passed, or the session ends, whichever is first.
// [MQTT-3.1.2-8]
#[test]
fn a_will_waits_for_its_delay_or_for_the_end_of_its_session() {
    on_worker(async {
        let world = World::new();
        for (delay, expiry, seconds) in [(5, 60, 5), (60, 5, 5), (7, u32::MAX, 7), (9, 9, 9)] {
            let before = world.published().len();
            world.lose(will("gone", delay), expiry);
            pass(seconds - 1).await;
            assert_eq!(world.published().len(), before, "{delay} {expiry}");
            assert_eq!(world.hub.counters.wills_delayed.value(), 1);
            pass(2).await;
            assert_eq!(world.published().len(), before + 1, "{delay} {expiry}");
            assert_eq!(world.hub.counters.wills_delayed.value(), 0);
            // The session that is left does without.
            let is_kept = expiry > delay;
            assert_eq!(world.victim(false, None).1, is_kept, "{delay} {expiry}");
        }
        pass(100).await;
        assert_eq!(world.counts(), [0, 4, 0, 0]);
        // Its expiry counts from its publication.
        let stored = &world.kafka.stored("messages")[0];
        let expiry = stored.headers.iter().find(|(name, _)| name == "zilla:expiry");
        assert_eq!(expiry.unwrap().1, 30_u32.to_be_bytes());
    });
}

// [MQTT-3.1.2-8]
#[test]
fn a_will_without_delay_does_not_wait_though_its_session_is_kept() {
    on_worker(async {
        let world = World::new();
        world.lose(will("gone", 0), 60);
        assert_eq!(world.published(), ["gone"]);
        assert!(world.victim(false, None).1);
    });
}

// [MQTT-3.1.3-9]
#[test]
fn a_client_that_comes_back_in_time_anywhere_leaves_no_will() {
    on_worker(async {
        let world = World::new();
        let other = world.beside();
        for back in [&world, &other] {
            world.lose(will("never", 5), 60);
            pass(4).await;
            let (mut session, is_present) = back.victim(false, Some(will("of its own", 5)));
            assert!(is_present);
            pass(10).await;
            assert_eq!(world.published().len(), 0);
            // What it leaves itself is taken back.
            session.close(Cause::Normal, Some(kept_for(60)));
            pass(10).await;
        }
        assert_eq!(world.published().len(), 0);
        let discarded = [&world, &other].map(|world| world.hub.counters.wills_discarded.value());
        assert_eq!(discarded.iter().sum::<i64>(), 4);
        assert_eq!(world.counts()[0] + other.counts()[0], 0);
    });
}

/// A new session ends the one that was kept, and the delay with it.
// [MQTT-3.1.2-8] [MQTT-3.1.2-4]
#[test]
fn a_client_that_begins_anew_leaves_the_will_of_before_at_once() {
    on_worker(async {
        let world = World::new();
        world.lose(will("gone", 50), 60);
        assert!(!world.beside().victim(true, None).1);
        assert_eq!(world.published(), ["gone"]);
        pass(100).await;
        assert_eq!(world.published(), ["gone"]);
    });
}

/// The timer may be late: what counts is the moment.
#[test]
fn a_client_that_comes_back_just_after_the_delay_leaves_its_will() {
    on_worker(async {
        let world = World::new();
        let kept = &world.hub.shared.kept;
        let now = world.hub.cx.clock().now();
        world.lose(will("gone", 50), 60);
        let mut left = kept.take("c").unwrap();
        left.will.as_mut().unwrap().at = now;
        kept.insert("c", left, 0).unwrap();
        assert!(world.victim(false, None).1, "the session goes on");
        assert_eq!(world.published(), ["gone"]);

        world.lose(will("ended", 50), 60);
        let mut left = kept.take("c").unwrap();
        left.expires = Some(now);
        kept.insert("c", left, 0).unwrap();
        assert!(!world.victim(false, None).1);
        assert_eq!(world.published(), ["gone", "ended"]);
    });
}

#[test]
fn a_will_whose_session_is_not_kept_for_want_of_room_is_due_at_once() {
    on_worker(async {
        let world = World::new();
        for number in 0..SESSIONS {
            let mut client = world.open(&format!("other-{number}"));
            client.session.close(Cause::Normal, Some(kept_for(60)));
        }
        world.lose(will("gone", 50), 60);
        assert_eq!(world.published(), ["gone"]);
        assert_eq!(world.counts(), [0, 1, 0, 0]);
    });
}

#[test]
fn wills_count_among_what_is_kept() {
    on_worker(async {
        let world = World::new();
        let large = Will { payload: vec![0; 200 << 20].into(), ..will("", 50) };
        world.lose(large, 60);
        assert_eq!(world.counts()[0], 1);
        let mut another = world.open_with("d", Some(will(&" ".repeat(100 << 20), 50))).session;
        another.close(Cause::Abnormal, Some(kept_for(60)));
        assert_eq!(world.hub.counters.sessions_not_kept.value(), 1);
        assert_eq!(world.counts(), [1, 1, 0, 0]);
    });
}

/// A binding that ends, with the process or before, ends its sessions: each worker publishes the
/// wills that it was to see to, once.
// [MQTT-3.1.2-8]
#[test]
fn the_wills_that_wait_are_published_when_the_binding_ends() {
    on_worker(async {
        for is_shutdown in [true, false] {
            let world = World::new();
            let retire = Retire { is_shutdown, deadline: None };
            world.lose(will("waits", 50), u32::MAX);
            // One that takes the place of this one: sessions go on.
            let next = world.beside();
            world.hub.retire(retire);
            assert_eq!(world.published().len(), 0);
            let (lost, is_present) = next.victim(false, Some(will("lost", 50)));
            assert!(is_present);
            drop(lost);
            next.lose(will("waits", 50), 60);
            next.hub.retire(retire);
            next.hub.retire(retire);
            assert_eq!(next.published(), ["lost", "waits"]);
            // Sessions of clients that are still there end with their connection.
            pass(100).await;
            assert_eq!(next.published().len(), 2);
        }
    });
}

#[test]
fn a_will_follows_its_topic_to_another_kafka() {
    on_worker(async {
        let world = World::new();
        world.lose(will("gone", 5), 60);
        let new = Kafka::new("two");
        world.reload(mapping(&[("will/#", "elsewhere")]), &new);
        new.run();
        pass(6).await;
        new.run();
        assert_eq!(world.published().len(), 0);
        assert_eq!(new.stored("elsewhere").len(), 1);
    });
}

#[test]
fn a_will_that_kafka_does_not_take_is_tried_again() {
    on_worker(async {
        let world = World::new();
        let fault = |fault| match fault {
            Some(fault) => world.kafka.faults.borrow_mut().insert("messages".into(), fault),
            None => world.kafka.faults.borrow_mut().remove("messages"),
        };
        fault(Some(Fault::UnknownTopic));
        world.lose(will("later", 0), 60);
        for _ in 0..5 {
            world.kafka.run();
            tokio::time::sleep(RETRY + Duration::from_millis(2)).await;
        }
        assert_eq!(world.counts(), [0; 4]);
        assert!((5..=6).contains(&world.hub.counters.wills_retried.value()));
        fault(None);
        tokio::time::sleep(RETRY * 2).await;
        assert_eq!(world.published(), ["later"]);
        assert_eq!(world.counts(), [0, 1, 0, 0]);

        // For a while.
        fault(Some(Fault::Unavailable));
        world.lose(will("never", 0), 60);
        for _ in 0..ATTEMPTS + 2 {
            world.kafka.run();
            tokio::time::sleep(RETRY + Duration::from_millis(2)).await;
        }
        assert_eq!(world.counts(), [0, 1, 0, 1]);

        // What would never be taken is not tried again.
        fault(Some(Fault::TooLarge));
        world.lose(will("never", 0), 60);
        assert_eq!(world.counts(), [0, 1, 0, 2]);

        // No more than there is room for.
        fault(Some(Fault::Unavailable));
        world.lose(will(&" ".repeat(BYTES / 2), 0), 60);
        world.lose(will("small", 0), 60);
        world.lose(will(&" ".repeat(BYTES / 2), 0), 60);
        assert_eq!(world.counts(), [0, 1, 0, 3]);
        fault(None);
        tokio::time::sleep(RETRY * 2).await;
        assert_eq!(world.counts(), [0, 3, 0, 3]);

        // And not beyond the end, where it is tried once more.
        fault(Some(Fault::Unavailable));
        world.lose(will("last", 0), 60);
        world.kafka.run();
        world.hub.retire(Retire { is_shutdown: true, deadline: None });
        assert_eq!(world.counts(), [0, 3, 0, 4]);
    });
}
