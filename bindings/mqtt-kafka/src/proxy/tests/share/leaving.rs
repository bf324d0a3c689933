//! What becomes of a group and of its messages when members leave, come back or are moved.

use std::time::Duration;

use super::*;
use mqtt_plane::Position;

#[test]
fn what_a_leaving_member_has_not_acknowledged_goes_to_another_in_order() {
    on_one_and_three(async |workers| {
        for is_kept in [false, true] {
            let mut first = workers.member(0, "1", "$share/g/t", Qos::AtLeastOnce).await;
            let mut second =
                workers.member(on(&workers, 1), "2", "$share/g/t", Qos::AtLeastOnce).await;
            workers.publish(0..8, Qos::AtLeastOnce).await;
            assert_eq!(numbers(&first.take(3)), [0, 2, 4]);
            first.acknowledge(1);
            assert_eq!(numbers(&second.take_all()), [1, 3, 5, 7]);
            first.leave(is_kept);
            workers.settle().await;
            assert_eq!(numbers(&second.take_all()), [2, 4, 6]);
            workers.publish(8..10, Qos::AtLeastOnce).await;
            assert_eq!(numbers(&second.take_all()), [8, 9]);
            if is_kept {
                let mut first = workers.connect(on(&workers, 2), "1", false);
                assert!(first.open.is_empty());
                first.take(100);
                workers.settle().await;
                workers.publish(10..14, Qos::AtLeastOnce).await;
                let mut both = [numbers(&first.take_all()), numbers(&second.take_all())];
                both.sort_unstable();
                assert_eq!(both, [[10, 12], [11, 13]]);
                first.leave(false);
            }
            second.leave(false);
            workers.settle().await;
            assert_eq!(workers.groups(), 0);
        }
        assert_eq!(workers.count(|counters| counters.shared_redelivered.value()), 6);
    });
}

// [MQTT-4.8.2-4] [MQTT-4.8.2-5]
#[test]
fn qos_2_in_flight_stays_with_its_client() {
    on_one_and_three(async |workers| {
        for comes_back in [true, false] {
            let mut first = workers.connect(0, "1", true);
            let asked =
                Subscription { id: Some(9), ..subscription("$share/g/t", Qos::ExactlyOnce) };
            workers.subscribe(&mut first, &[asked]).await;
            first.take(100);
            workers.settle().await;
            let mut second =
                workers.member(on(&workers, 1), "2", "$share/g/t", Qos::ExactlyOnce).await;
            workers.publish(0..8, Qos::ExactlyOnce).await;
            assert_eq!(numbers(&first.take(2)), [0, 2]);
            assert_eq!(numbers(&second.take_all()), [1, 3, 5, 7]);
            first.open[0].1.is_received = true;
            let position = first.open[0].1.position;
            first.client.session.acknowledge(position, Stage::Received);
            first.leave(true);
            workers.settle().await;
            assert_eq!(numbers(&second.take_all()), [4, 6], "those that were not sent");
            let mut first = workers.connect(on(&workers, 2), "1", !comes_back);
            workers.settle().await;
            if comes_back {
                let states: Vec<_> =
                    first.open.iter().map(|(_, o)| (o.packet_id, o.is_received)).collect();
                assert_eq!(states, [(1, true), (2, false)]);
                let events = first.events(100);
                let [Event::Redeliver { packet_id: 2, delivery }] = &events[..] else {
                    panic!("{} events", events.len())
                };
                assert_eq!(text(delivery), "2");
                assert_eq!(delivery.subscription_ids.as_deref(), Some(&[9][..]));
                first.acknowledge(2);
            } else {
                assert_eq!(first.take(100), [""; 0]);
            }
            assert_eq!(second.take_all(), [""; 0]);
            first.leave(false);
            second.leave(false);
            workers.settle().await;
            assert_eq!((workers.groups(), workers.subscriptions()), (0, 0));
        }
    });
}

#[test]
fn unsubscribing_gives_back_what_was_not_sent_and_completes_the_rest() {
    on_one_and_three(async |workers| {
        let mut first = workers.member(0, "1", "$share/g/t", Qos::AtLeastOnce).await;
        let mut second = workers.member(on(&workers, 1), "2", "$share/g/t", Qos::AtLeastOnce).await;
        workers.publish(0..8, Qos::AtLeastOnce).await;
        assert_eq!(numbers(&first.take(2)), [0, 2]);
        first.client.session.unsubscribe(2, &["$share/g/t", "t", "$share/g/u"]);
        workers.settle().await;
        let none = ReasonCode::NO_SUBSCRIPTION_EXISTED;
        assert_eq!(first.answers(), [ReasonCode::SUCCESS, none, none]);
        assert_eq!(first.take(100), [""; 0]);
        assert_eq!(numbers(&second.take_all()), [1, 3, 5, 7, 4, 6]);
        first.acknowledge(1);
        workers.settle().await;
        first.leave(true);
        workers.settle().await;
        assert_eq!(numbers(&second.take_all()), [2], "it was sent, and its client is gone");
        second.leave(false);
        workers.settle().await;
        assert_eq!((workers.groups(), workers.subscriptions()), (0, 0));
    });
}

#[test]
fn while_all_are_away_what_is_reliable_is_kept() {
    on_one_and_three(async |workers| {
        for (qos, expected) in [(Qos::AtLeastOnce, vec![1, 3]), (Qos::AtMostOnce, vec![3])] {
            let member = workers.member(0, "1", "$share/g/t", qos).await;
            member.leave(true);
            workers.settle().await;
            assert_eq!(workers.groups(), 1);
            workers.publish([0], Qos::AtMostOnce).await;
            workers.publish([1], Qos::AtLeastOnce).await;
            let mut member = workers.connect(on(&workers, 1), "1", false);
            member.take(100);
            workers.settle().await;
            workers.publish([3], Qos::AtLeastOnce).await;
            assert_eq!(numbers(&member.take_all()), expected);
            member.leave(false);
            workers.settle().await;
            assert_eq!((workers.groups(), workers.subscriptions()), (0, 0));
        }
    });
}

#[test]
fn more_than_memory_holds_waits_in_the_log() {
    on_one_and_three(async |workers| {
        let member = workers.member(0, "1", "$share/g/t", Qos::AtLeastOnce).await;
        member.leave(true);
        workers.settle().await;
        for round in 0..10 {
            workers.publish(round * 50..(round + 1) * 50, Qos::AtLeastOnce).await;
        }
        let mut member = workers.connect(on(&workers, 1), "1", false);
        let mut taken = Vec::new();
        while taken.len() < 500 {
            taken.extend(numbers(&member.take_all()));
            workers.settle().await;
        }
        taken.sort_unstable();
        assert_eq!(taken, (0..500).collect::<Vec<_>>());
    });
}

#[test]
fn a_group_ends_when_the_last_session_expires_or_is_discarded() {
    on_one_and_three(async |workers| {
        workers.member(0, "1", "$share/g/t", Qos::AtLeastOnce).await.leave(true);
        workers.member(0, "2", "$share/g/t", Qos::AtLeastOnce).await.leave(true);
        workers.settle().await;
        assert_eq!(workers.groups(), 1);
        drop(workers.connect(on(&workers, 1), "1", true));
        workers.settle().await;
        assert_eq!(workers.groups(), 1);
        tokio::time::sleep(Duration::from_secs(300)).await;
        workers.settle().await;
        assert_eq!(workers.groups(), 0);
    });
}

/// The letters of the worker that had the session and those of the one that has it cross.
#[test]
fn a_session_that_moves_loses_and_doubles_nothing() {
    on_one_and_three(async |workers| {
        let mut member = workers.member(0, "1", "$share/g/t", Qos::ExactlyOnce).await;
        let mut seen = Vec::new();
        for round in 0..12_u32 {
            member.take(2);
            workers.settle().await;
            let first = round * 6;
            workers.publish(first..first + 3, Qos::AtLeastOnce).await;
            workers.publish(first + 3..first + 6, Qos::ExactlyOnce).await;
            // One is acknowledged, one is sent, the others are not.
            let taken = member.take(2);
            seen.extend(taken.iter().filter(|text| !text.starts_with("again")).cloned());
            member.acknowledge(member.open.len().min(1));
            let qos_1: Vec<_> =
                member.open.iter().filter(|(_, o)| o.qos == Qos::AtLeastOnce).collect();
            seen.retain(|text| !qos_1.iter().any(|(open, _)| open == text));
            // No letter is read before the next connection asks.
            member.leave(true);
            member = workers.connect(on(&workers, round as usize + 1), "1", false);
        }
        for _ in 0..30 {
            let taken = member.take_all();
            seen.extend(taken.iter().filter(|text| !text.starts_with("again")).cloned());
            workers.settle().await;
        }
        let mut seen = numbers(&seen);
        seen.sort_unstable();
        assert_eq!(seen, (0..72).collect::<Vec<_>>());
    });
}

#[test]
fn a_reload_moves_a_group_to_other_topics() {
    on_one_and_three(async |workers| {
        let mut member = workers.member(0, "1", "$share/g/t", Qos::AtLeastOnce).await;
        workers.publish([0], Qos::AtLeastOnce).await;
        for world in &workers.0 {
            world.reload(mapping(&[("t", "other")]), &world.kafka);
        }
        workers.settle().await;
        workers.publish([1], Qos::AtLeastOnce).await;
        tokio::time::sleep(Duration::from_secs(2)).await;
        workers.publish([2], Qos::AtLeastOnce).await;
        assert_eq!(numbers(&member.take_all()), [0, 1, 2]);
        assert_eq!(workers.groups(), 1);
    });
}

#[test]
fn a_worker_that_is_renewed_has_its_groups_again() {
    on_worker(async {
        let mut workers = Workers::new(3);
        let mut members = Vec::new();
        for number in 0..3 {
            members.push(
                workers.member(number, &number.to_string(), "$share/g/t", Qos::AtLeastOnce).await,
            );
        }
        let home =
            workers.0.iter().position(|w| w.hub.counters.shared_groups.value() == 1).unwrap();
        let old = Rc::clone(&workers.0[home].hub);
        members.remove(home).leave(false);
        // On the clock of the test, which stands: another would be ahead of it on a busy machine.
        let deadline = Some(tokio::time::Instant::now().into_std());
        old.retire(engine::spi::Retire { is_shutdown: false, deadline });
        tokio::time::sleep(Duration::from_millis(10)).await;
        assert_eq!(old.counters.shared_groups.value(), 0);
        let exits = vec![(NodeName::new("n", EXIT), Link::to(workers.0[home].kafka.exit()))];
        let shared = Arc::clone(&old.shared);
        workers.0[home].hub = Hub::new(&old.name, &old.cx, old.mapping(), exits, shared);
        workers.settle().await;
        for member in &mut members {
            member.take(100);
        }
        workers.settle().await;
        workers.publish(0..10, Qos::AtLeastOnce).await;
        let both = [members[0].take_all().len(), members[1].take_all().len()];
        assert_eq!(both, [5, 5]);
    });
}

#[test]
fn the_end_of_the_binding_ends_groups_whose_members_are_away() {
    on_one_and_three(async |workers| {
        workers.member(0, "1", "$share/g/t", Qos::AtLeastOnce).await.leave(true);
        let here = workers.member(0, "2", "$share/h/t", Qos::AtLeastOnce).await;
        for world in &workers.0 {
            world.hub.retire(engine::spi::Retire { is_shutdown: false, deadline: None });
        }
        workers.settle().await;
        assert_eq!(workers.groups(), 1);
        here.leave(true);
        workers.settle().await;
        assert_eq!(workers.groups(), 0);
    });
}

#[test]
fn positions_of_other_deliveries_are_not_taken_for_these() {
    let unknown = Position { log: u32::MAX, offset: i64::MAX };
    assert!(!crate::proxy::share::is_shared(unknown));
}

#[test]
fn what_memory_no_longer_holds_comes_to_a_group_from_kafka() {
    on_one_and_three(async |workers| {
        let first = workers.member(0, "1", "$share/g/t", Qos::AtLeastOnce).await;
        first.leave(true);
        workers.settle().await;
        // More than the group's ring holds, so that it has to read the log.
        workers.publish(0..200, Qos::AtLeastOnce).await;
        workers.0[0].kafka.trim("messages");
        let mut first = workers.connect(on(&workers, 1), "1", false);
        let mut taken = Vec::new();
        for _ in 0..100 {
            workers.settle().await;
            taken.extend(numbers(&first.take_all()));
        }
        assert_eq!(taken, (0..200).collect::<Vec<_>>());
        assert!(workers.count(|counters| counters.older_asked.value()) > 0);
        assert_eq!(workers.count(|counters| counters.sessions_fallen_out.value()), 0);
    });
}
