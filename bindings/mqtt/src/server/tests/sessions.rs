//! Sessions that outlive their connection: what is handed over, and when.

use std::time::Duration;

use mqtt_plane::{
    Cause, Event, Keep, OpenDelivery, Position, Qos, ReasonCode, Unfinished, Version,
};

use super::script::{Asked, Bench, Client, SUCCESS, delivery, run, settle};
use crate::state::{ClientPattern, Condition, Route, TopicPattern, Versions};
use crate::wire::{Connect, Packet};

const V: [Version; 2] = [Version::V5, Version::V311];

/// A server whose exits keep sessions and answer when they are told.
fn keeping(bench: Bench) -> Bench {
    for exit in &bench.exits {
        exit.set(|script| {
            script.limits.keeps_sessions = true;
            script.answers = false;
        });
    }
    bench
}

/// A CONNECT whose session outlives its connection.
fn lasting(version: Version) -> Connect<'static> {
    let mut connect = Connect::new(version, "c");
    connect.clean_start = false;
    connect.properties.session_expiry = if version == Version::V5 { 60 } else { 0 };
    connect
}

async fn client(bench: &Bench, version: Version) -> Client {
    let mut client = bench.stream(version);
    client.connect(&lasting(version)).await;
    client.expect_connack().await;
    client
}

/// What the exit was told of the end of its session.
fn kept(bench: &Bench) -> Option<Keep> {
    let asked = bench.exit().asked();
    let at = asked.iter().position(|asked| matches!(asked, Asked::Close { .. }));
    match &asked[at.expect("the session has ended") + 1..] {
        [] => None,
        [Asked::Keep(keep)] => Some(keep.clone()),
        more => panic!("{more:?}"),
    }
}

/// PUBLISH of nothing to t at QoS 2.
fn publish(version: Version, packet_id: u8) -> Vec<u8> {
    match version {
        Version::V5 => vec![0x34, 6, 0, 1, b't', 0, packet_id, 0],
        Version::V311 => vec![0x34, 5, 0, 1, b't', 0, packet_id],
    }
}

/// [MQTT-4.1.0-1], [MQTT-3.1.2-23]
#[test]
fn what_is_not_complete_is_handed_over_with_the_session() {
    run(async {
        for version in V {
            let bench = keeping(Bench::new());
            let mut client = client(&bench, version).await;
            for (offset, qos) in (0..).zip([Qos::AtMostOnce, Qos::AtLeastOnce, Qos::ExactlyOnce]) {
                bench.exit().push(Event::Deliver(delivery("t", b"", qos, offset, None)));
            }
            bench.exit().set(|script| script.answers = true);
            client.send(&publish(version, 7)).await;
            drop(client);
            settle().await;
            let open = |packet_id, offset, qos| OpenDelivery {
                packet_id,
                position: Position { log: 0, offset },
                qos,
                retain: false,
                is_received: false,
            };
            let deliveries = vec![open(1, 1, Qos::AtLeastOnce), open(2, 2, Qos::ExactlyOnce)];
            let expiry = if version == Version::V5 { 60 } else { u32::MAX };
            let unfinished = Unfinished { deliveries, received: vec![7] };
            assert_eq!(kept(&bench), Some(Keep { expiry, unfinished }));
        }
    });
}

/// Section 3.14.2.2.2, [MQTT-3.1.2-23], [MQTT-4.1.0-2]
#[test]
fn the_expiry_of_disconnect_takes_the_place_of_that_of_connect() {
    run(async {
        let with_expiry = |seconds: u8| vec![0xE0, 7, 0, 5, 0x11, 0, 0, 0, seconds];
        for (disconnect, expected) in
            [(vec![0xE0, 0], Some(60)), (with_expiry(9), Some(9)), (with_expiry(0), None)]
        {
            let bench = keeping(Bench::new());
            let mut client = client(&bench, Version::V5).await;
            client.send(&disconnect).await;
            client.expect_close().await;
            assert_eq!(kept(&bench).map(|keep| keep.expiry), expected);
        }
        // What no exit keeps is not agreed to later.
        let bench = Bench::new();
        let mut client = client(&bench, Version::V5).await;
        client.send(&with_expiry(9)).await;
        client.expect_close().await;
        assert_eq!(kept(&bench), None);
        // Clean Session of 3.1.1.
        let bench = keeping(Bench::new());
        let mut client = bench.client(Version::V311, "c").await;
        client.send(&[0xE0, 0]).await;
        client.expect_close().await;
        assert_eq!(kept(&bench), None);
    });
}

/// [MQTT-4.3.3-10]: only with the answer it is known whether the message is new when it comes again.
#[test]
fn a_session_is_handed_over_when_its_qos_2_publishes_are_answered() {
    run(async {
        for version in V {
            let bench = keeping(Bench::new());
            let mut older = client(&bench, version).await;
            older.send(&publish(version, 7)).await;
            older.send(&publish(version, 8)).await;
            let tickets = bench.exit().tickets();
            drop(older);
            settle().await;
            let mut newer = bench.stream(version);
            newer.connect(&lasting(version)).await;
            newer.expect_silence().await;
            assert_eq!(bench.exit().asked(), []);
            let refusal = ReasonCode::QUOTA_EXCEEDED;
            bench.exit().push(Event::Published { ticket: tickets[1], reason: SUCCESS });
            settle().await;
            assert_eq!(bench.exit().asked(), []);
            bench.exit().push(Event::Published { ticket: tickets[0], reason: refusal });
            newer.expect_connack().await;
            let asked = bench.exit().asked();
            let [Asked::Close { .. }, Asked::Keep(keep), Asked::Open { .. }] = &asked[..] else {
                panic!("{asked:?}");
            };
            assert_eq!(keep.unfinished.received, [8], "only what the exit has");
        }
    });
}

#[test]
fn a_connection_whose_earlier_session_does_not_end_is_refused_and_may_come_again() {
    run(async {
        for version in V {
            let bench = keeping(Bench::new());
            let mut older = client(&bench, version).await;
            older.send(&publish(version, 7)).await;
            let tickets = bench.exit().tickets();
            let mut newer = bench.stream(version);
            newer.connect(&lasting(version)).await;
            // The older one is told all the same.
            older.expect_end(ReasonCode::SESSION_TAKEN_OVER).await;
            tokio::time::sleep(Duration::from_secs(2)).await;
            newer
                .expect_packet(|packet| match packet {
                    Packet::Connack(connack) => {
                        assert_eq!(connack.reason, ReasonCode::SERVER_UNAVAILABLE);
                    }
                    other => panic!("{other:?} instead of CONNACK"),
                })
                .await;
            assert_eq!(bench.count(|counters| &counters.takeovers_refused), 1);
            assert_eq!(bench.exit().asked(), []);
            let mut newest = bench.stream(version);
            newest.connect(&lasting(version)).await;
            newest.expect_silence().await;
            bench.exit().push(Event::Published { ticket: tickets[0], reason: SUCCESS });
            newest.expect_connack().await;
            assert_eq!(kept_by_close(&bench), [7]);
        }
    });
}

fn kept_by_close(bench: &Bench) -> Vec<u16> {
    let asked = bench.exit().asked();
    let keep = asked.iter().find_map(|asked| match asked {
        Asked::Keep(keep) => Some(keep.unfinished.received.clone()),
        _ => None,
    });
    keep.unwrap_or_else(|| panic!("{asked:?}"))
}

/// [MQTT-3.1.4-3]: a connection that is taken over while it waits leaves that to the newest.
#[test]
fn of_several_connections_that_wait_for_a_session_the_newest_has_it() {
    run(async {
        let bench = keeping(Bench::new());
        let mut older = client(&bench, Version::V5).await;
        older.send(&publish(Version::V5, 7)).await;
        let tickets = bench.exit().tickets();
        let mut waiting: Vec<Client> = Vec::new();
        for _ in 0..3 {
            let mut next = bench.stream(Version::V5);
            next.connect(&lasting(Version::V5)).await;
            settle().await;
            waiting.push(next);
        }
        let mut newest = waiting.pop().unwrap();
        for client in &mut waiting {
            client.expect_close().await;
        }
        newest.expect_silence().await;
        assert_eq!(bench.exit().asked(), []);
        bench.exit().push(Event::Published { ticket: tickets[0], reason: SUCCESS });
        newest.expect_connack().await;
        assert_eq!(kept_by_close(&bench), [7]);
        newest.send(&[0xE0, 0]).await;
        newest.expect_close().await;
        assert_eq!(bench.server.lasting.clients.owner("c"), None);
    });
}

/// [MQTT-3.1.2-4]
#[test]
fn a_clean_start_waits_for_no_answer_and_nothing_is_kept() {
    run(async {
        let bench = keeping(Bench::new());
        let mut older = client(&bench, Version::V5).await;
        older.send(&publish(Version::V5, 7)).await;
        drop(older);
        settle().await;
        assert_eq!(bench.exit().tickets().len(), 1);
        let mut newer = bench.stream(Version::V5);
        newer.connect(&Connect::new(Version::V5, "c")).await;
        newer.expect_connack().await;
        let asked = bench.exit().asked();
        assert!(matches!(asked[..], [Asked::Close { .. }, Asked::Open { .. }]), "{asked:?}");
    });
}

/// A publish that fails ends a connection of 3.1.1; what was fetched with its answer is not lost.
#[test]
fn deliveries_behind_what_ends_a_connection_are_in_flight() {
    run(async {
        let bench = keeping(Bench::new());
        let mut client = client(&bench, Version::V311).await;
        client.send(&publish(Version::V311, 7)).await;
        let ticket = bench.exit().tickets()[0];
        bench.exit().set(|script| {
            let reason = ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR;
            script.events.push_back(Event::Published { ticket, reason });
            let qos = Qos::AtLeastOnce;
            script.events.push_back(Event::Deliver(delivery("t", b"", qos, 5, None)));
        });
        settle().await;
        let unfinished = kept(&bench).expect("kept").unfinished;
        let offsets: Vec<i64> = unfinished.deliveries.iter().map(|d| d.position.offset).collect();
        assert_eq!((offsets, unfinished.received), (vec![5], vec![]));
    });
}

/// An earlier connection may have come to use any exit.
#[test]
fn a_session_goes_on_on_all_exits_that_keep_it() {
    run(async {
        let condition = |id: &str, topic: &str| Condition {
            session: Some(vec![ClientPattern::new(id)]),
            publish: Some(vec![TopicPattern::parse(topic, |_| None).unwrap()]),
            subscribe: Some(vec![TopicPattern::parse(topic, |_| None).unwrap()]),
        };
        let route = |exit, id, topic| Route { exit, when: vec![condition(id, topic)] };
        let routes = vec![route(0, "*", "a/#"), route(1, "no", "b/#"), route(2, "no", "c/#")];
        let bench = keeping(Bench::with(routes, Versions::ALL));
        let mut older = client(&bench, Version::V5).await;
        older.send(&[0x34, 8, 0, 3, b'b', b'/', b'x', 0, 7, 0]).await;
        let ticket = bench.exits[1].tickets()[0];
        bench.exits[1].push(Event::Published { ticket, reason: SUCCESS });
        older.expect(&[0x50, 2, 0, 7]).await;
        drop(older);
        settle().await;
        let received = |exit: usize| {
            bench.exits[exit].asked().into_iter().find_map(|asked| match asked {
                Asked::Keep(keep) => Some(keep.unfinished.received),
                _ => None,
            })
        };
        assert_eq!([received(0), received(1), received(2)], [Some(vec![7]), Some(vec![]), None]);
        for (exit, left) in [(0, vec![7]), (1, vec![])] {
            bench.exits[exit].set(|script| {
                script.keeps = true;
                script.resumes = Some(Unfinished { deliveries: vec![], received: left });
            });
        }
        let mut newer = bench.stream(Version::V5);
        newer.connect(&lasting(Version::V5)).await;
        newer
            .expect_packet(|packet| match packet {
                Packet::Connack(connack) => assert!(connack.session_present),
                other => panic!("{other:?} instead of CONNACK"),
            })
            .await;
        let opened = |exit: usize| matches!(bench.exits[exit].asked()[..], [Asked::Open { .. }]);
        assert_eq!([opened(0), opened(1), opened(2)], [true, true, false]);
        newer.send(&[0x62, 2, 0, 7]).await;
        newer.expect(&[0x70, 2, 0, 7]).await;
        // It had no part in the session before [MQTT-3.2.2-3].
        newer.send(&[0x32, 8, 0, 3, b'c', b'/', b'x', 0, 1, 0]).await;
        let asked = bench.exits[2].asked();
        assert!(matches!(asked[0], Asked::Open { clean_start: true, .. }), "{asked:?}");
        drop(newer);
        settle().await;
        let causes = |exit: usize| {
            bench.exits[exit].asked().into_iter().find_map(|a| match a {
                Asked::Close { cause, .. } => Some(cause),
                _ => None,
            })
        };
        assert_eq!([causes(0), causes(1)], [Some(Cause::Abnormal), Some(Cause::Abnormal)]);
    });
}
