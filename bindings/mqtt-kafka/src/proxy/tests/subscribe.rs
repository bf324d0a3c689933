use std::time::Duration;

use kafka_plane::Fault;

use super::*;
use crate::proxy::hub::AT_ONCE;

fn answers(events: &[Event]) -> Vec<(bool, u32, Vec<ReasonCode>)> {
    let answer = |event: &Event| match event {
        Event::Subscribed { ticket, reasons } => Some((true, *ticket, reasons.to_vec())),
        Event::Unsubscribed { ticket, reasons } => Some((false, *ticket, reasons.to_vec())),
        _ => None,
    };
    events.iter().filter_map(answer).collect()
}

#[test]
fn suback_waits_for_the_start_of_every_log_and_messages_come_after_it() {
    on_worker(async {
        let world = World::with(mapping(&[("r/#", "routed")]));
        let mut publisher = world.open("p");
        publisher.publish(&message("t", "before", Qos::AtLeastOnce)).unwrap();
        world.kafka.run();
        let mut client = world.open("c");
        client.session.subscribe(5, &[subscription("#", Qos::AtLeastOnce)]);
        // One of two logs.
        assert!(world.kafka.answer_one());
        assert!(client.events().unwrap().is_empty());
        while answers(&client.events().unwrap()).is_empty() {
            publisher.publish(&message("t", "meanwhile", Qos::AtLeastOnce)).unwrap();
            world.kafka.notify();
            assert!(world.kafka.answer_one(), "no answer to wait for");
        }
        for topic in ["t", "r/x"] {
            publisher.publish(&message(topic, "after", Qos::AtLeastOnce)).unwrap();
        }
        world.kafka.run();
        let mut got = client.payloads();
        got.retain(|payload| payload != "meanwhile");
        assert_eq!(got, ["after", "after"]);
    });
}

/// The log goes on between the moment at which the start of a subscription is fixed and the one
/// at which it is in force: the session reads again from the start, and has nothing twice.
#[test]
fn what_is_read_before_a_subscription_is_in_force_is_not_lost_to_it() {
    on_worker(async {
        let world = World::new();
        let mut client = world.subscriber("c", "a", Qos::AtLeastOnce);
        client.session.subscribe(5, &[subscription("#", Qos::AtLeastOnce)]);
        assert!(world.kafka.answer_one(), "the start is fixed");
        for topic in ["a", "b"] {
            client.publish(&message(topic, topic, Qos::AtMostOnce)).unwrap();
        }
        world.kafka.notify();
        assert_eq!(client.payloads(), ["a"]);
        world.kafka.run();
        client.publish(&message("a", "a2", Qos::AtMostOnce)).unwrap();
        world.kafka.run();
        let mut got = client.payloads();
        got.sort();
        assert_eq!(got, ["a2", "b"]);
    });
}

// [MQTT-3.9.3-1] [MQTT-3.8.4-5] [MQTT-3.8.4-7]
#[test]
fn each_filter_gets_its_code() {
    on_worker(async {
        let mut mapping = mapping(&[("r/#", "routed"), ("s/{site}", "site-${params.site}")]);
        mapping.routes.pop();
        mapping.routes.push(route("bad/#", "forbidden"));
        mapping.qos_max = Qos::AtLeastOnce;
        let world = World::with(mapping);
        world.kafka.faults.borrow_mut().insert("forbidden".into(), Fault::NotAuthorized);
        let mut client = world.open("c");
        let codes = client.subscribe(&[
            subscription("r/x", Qos::ExactlyOnce),
            subscription("nowhere", Qos::AtMostOnce),
            subscription("$share//r/x", Qos::AtMostOnce),
            subscription("s/+", Qos::AtMostOnce),
            subscription("s/one", Qos::AtMostOnce),
            subscription("bad/x", Qos::AtMostOnce),
        ]);
        assert_eq!(
            codes,
            [
                ReasonCode(1),
                ReasonCode::NOT_AUTHORIZED,
                ReasonCode::TOPIC_FILTER_INVALID,
                ReasonCode::NOT_AUTHORIZED,
                ReasonCode(0),
                ReasonCode::NOT_AUTHORIZED,
            ]
        );
        assert_eq!(world.hub.counters.subscriptions.value(), 2);
        assert_eq!(world.hub.counters.subscriptions_refused.value(), 4);
    });
}

// [MQTT-3.10.4-1] [MQTT-3.10.4-2] [MQTT-3.10.4-5] [MQTT-3.11.3-2]
#[test]
fn unsubscribe_ends_deliveries_for_that_filter_only() {
    on_worker(async {
        let world = World::new();
        let mut client = world.open("c");
        client.subscribe(&[
            subscription("a/#", Qos::AtLeastOnce),
            subscription("a/b", Qos::AtMostOnce),
        ]);
        for topic in ["a/b", "a/c"] {
            client.publish(&message(topic, topic, Qos::AtMostOnce)).unwrap();
        }
        world.kafka.run();
        client.session.unsubscribe(8, &["a/#", "a/+", "a/b/"]);
        let events = client.events().unwrap();
        let none = ReasonCode::NO_SUBSCRIPTION_EXISTED;
        assert_eq!(answers(&events), [(false, 8, vec![ReasonCode::SUCCESS, none, none])]);
        assert_eq!(received(&events).iter().map(|m| &*m.topic).collect::<Vec<_>>(), ["a/b"]);
        for topic in ["a/b", "a/c"] {
            client.publish(&message(topic, topic, Qos::AtMostOnce)).unwrap();
        }
        world.kafka.run();
        assert_eq!(client.payloads(), ["a/b"]);
        client.session.unsubscribe(9, &["a/b"]);
        client.publish(&message("a/b", "late", Qos::AtMostOnce)).unwrap();
        world.kafka.run();
        assert_eq!(received(&client.events().unwrap()), []);
        assert!(world.hub.readers().is_empty(), "nobody reads any more");
    });
}

// [MQTT-3.8.4-3] [MQTT-3.8.4-4]
#[test]
fn a_subscription_is_replaced_without_loss_and_kept_once() {
    on_worker(async {
        let world = World::new();
        let mut client = world.subscriber("c", "t", Qos::AtLeastOnce);
        client.publish(&message("t", "1", Qos::AtLeastOnce)).unwrap();
        client
            .session
            .subscribe(2, &[Subscription { id: Some(9), ..subscription("t", Qos::AtMostOnce) }]);
        client.publish(&message("t", "2", Qos::AtLeastOnce)).unwrap();
        world.kafka.run();
        client.publish(&message("t", "3", Qos::AtLeastOnce)).unwrap();
        world.kafka.run();
        let got = client.received();
        assert_eq!(got.iter().map(|m| &*m.payload).collect::<Vec<_>>(), ["1", "2", "3"]);
        assert_eq!((got[2].qos, got[2].ids.as_slice()), (Qos::AtMostOnce, &[9][..]));
        assert_eq!(world.hub.counters.subscriptions.value(), 1);
    });
}

#[test]
fn requests_that_wait_are_decided_together_in_order_and_bounded() {
    on_worker(async {
        let world = World::new();
        let mut client = world.open("c");
        for ticket in 1..=1_000 {
            let filter = format!("t/{}", ticket % 2);
            if ticket % 3 == 0 {
                client.session.unsubscribe(ticket, &[&filter]);
            } else {
                client.session.subscribe(ticket, &[subscription(&filter, Qos::AtMostOnce)]);
            }
        }
        let mut asked = 0;
        while world.kafka.answer_one() {
            asked += 1;
        }
        assert!(asked <= 8, "{asked}");
        let mut given = Vec::new();
        for _ in 0..1_000 {
            given.extend(answers(&client.events().unwrap()));
            tokio::task::yield_now().await;
        }
        assert!(given.iter().map(|answer| answer.1).eq(1..=1_000));
        assert!(given.iter().all(|answer| !answer.2[0].is_error()));
        let long = "x".repeat(60_000);
        for ticket in 1..=30 {
            client.session.subscribe(ticket, &[subscription(&long, Qos::AtMostOnce)]);
        }
        let refused = answers(&client.events().unwrap());
        assert!((10..=13).contains(&refused.len()), "{}", refused.len());
        assert!(refused.iter().all(|answer| answer.2 == [ReasonCode::QUOTA_EXCEEDED]));
    });
}

/// While Kafka does not answer a request waits; it is decided when Kafka does.
#[test]
fn a_subscription_waits_while_kafka_does_not_answer() {
    on_worker(async {
        for topic in ["messages", "retained"] {
            let world = World::new();
            let mut client = world.open("c");
            world.kafka.faults.borrow_mut().insert(topic.to_owned(), Fault::Unavailable);
            client.session.subscribe(5, &[subscription("t", Qos::AtLeastOnce)]);
            for _ in 0..5 {
                world.kafka.run();
                assert!(client.events().unwrap().is_empty());
                tokio::time::sleep(Duration::from_millis(300)).await;
            }
            world.kafka.faults.borrow_mut().clear();
            let mut given = Vec::new();
            for _ in 0..3 {
                tokio::time::sleep(Duration::from_millis(300)).await;
                world.kafka.run();
                given.extend(answers(&client.events().unwrap()));
            }
            assert_eq!(given, [(true, 5, vec![ReasonCode(1)])], "{topic}");
        }
    });
}

/// The client has gone meanwhile: nothing is asked any more.
#[test]
fn nothing_is_asked_again_for_a_session_that_has_ended() {
    on_worker(async {
        let world = World::new();
        let mut client = world.open("c");
        world.kafka.faults.borrow_mut().insert("messages".to_owned(), Fault::Unavailable);
        client.session.subscribe(5, &[subscription("t", Qos::AtLeastOnce)]);
        world.kafka.run();
        client.session.close(mqtt_plane::Cause::Normal, None);
        tokio::time::sleep(Duration::from_millis(300)).await;
        assert!(!world.kafka.answer_one());
    });
}

#[test]
fn a_session_is_refused_until_kafka_has_answered_once() {
    on_worker(async {
        let world = World::new();
        world.kafka.is_silent.set(true);
        let client_id: Rc<str> = "c".into();
        let begin = || SessionBegin {
            client_id: &client_id,
            version: Version::V5,
            clean_start: true,
            session_expiry: 0,
            most_subscriptions: 1,
            will: None,
        };
        let exit = MqttKafka(Rc::clone(&world.hub));
        let refused = exit.open(begin()).err().unwrap();
        assert_eq!(refused.reason, ReasonCode::SERVER_UNAVAILABLE);
        world.kafka.is_silent.set(false);
        assert!(exit.open(begin()).is_ok());
    });
}

/// What replaces a subscription is not one more [MQTT-3.8.4-3].
#[test]
fn subscriptions_beyond_those_that_a_session_may_have_are_refused() {
    on_worker(async {
        let world = World::new();
        let mut client = world.open("c");
        let filters: Vec<String> = (0..=MOST_SUBSCRIPTIONS).map(|n| format!("t/{n}")).collect();
        let (last, filters) = filters.split_last().unwrap();
        for filter in filters {
            let granted = client.subscribe(&[subscription(filter, Qos::AtMostOnce)]);
            assert_eq!(granted, [ReasonCode(0)]);
        }
        let quota = ReasonCode::QUOTA_EXCEEDED;
        let both = [subscription(last, Qos::AtMostOnce), subscription("t/0", Qos::AtLeastOnce)];
        assert_eq!(client.subscribe(&both), [quota, ReasonCode(1)]);
        client.session.unsubscribe(7, &["t/1"]);
        world.kafka.run();
        assert_eq!(client.events().unwrap().len(), 1);
        assert_eq!(client.subscribe(&both), [ReasonCode(0), ReasonCode(1)]);
        assert_eq!(client.subscribe(&[subscription("more", Qos::AtMostOnce)]), [quota]);
    });
}

/// Filters that come and go in three turns.
fn filters_of_three_turns() -> Vec<String> {
    (0..3 * AT_ONCE).map(|number| format!("f/{number}")).collect()
}

/// A client that is subscribed to so many filters, in one packet.
async fn subscribed_to_many(world: &World, filters: &[String]) -> Client {
    let mut client = world.open("c");
    let subscriptions: Vec<_> =
        filters.iter().map(|filter| subscription(filter, Qos::AtLeastOnce)).collect();
    client.session.subscribe(5, &subscriptions);
    world.kafka.run();
    for turn in 1..3 {
        assert_eq!(held(world), turn * AT_ONCE);
        assert_eq!(answers(&client.events().unwrap()), [], "not all are decided");
        next_turn(world).await;
    }
    let granted = vec![ReasonCode(1); filters.len()];
    assert_eq!(answers(&client.events().unwrap()), [(true, 5, granted)]);
    client
}

/// Waits until more filters have come or gone, for some turns.
async fn next_turn(world: &World) {
    let before = held(world);
    for _ in 0..10 {
        if held(world) == before {
            tokio::task::yield_now().await;
        }
    }
}

fn held(world: &World) -> usize {
    world.hub.counters.subscriptions.value().try_into().unwrap()
}

#[test]
fn many_filters_come_a_few_at_a_time_and_go_so_with_their_session() {
    on_worker(async {
        let world = World::new();
        let filters = filters_of_three_turns();
        let client = subscribed_to_many(&world, &filters).await;
        let mut other = world.subscriber("o", "f/#", Qos::AtMostOnce);
        drop(client);
        assert_eq!((held(&world), world.hub.len()), (2 * AT_ONCE + 1, 1));
        // To nobody else.
        let mut new = world.open("n");
        for filter in &filters {
            other.publish(&message(filter, filter, Qos::AtMostOnce)).unwrap();
        }
        world.kafka.run();
        assert_eq!(other.payloads().len(), filters.len());
        let queued = usize::try_from(world.hub.counters.deliveries_queued.value()).unwrap();
        assert_eq!(queued, filters.len());
        assert_eq!(new.payloads(), [""; 0]);
        for rest in [AT_ONCE, 0] {
            next_turn(&world).await;
            assert_eq!(held(&world), rest + 1);
        }
        assert_eq!((world.hub.len(), world.hub.members().len()), (2, 2));
    });
}

/// A reload decides a request anew that is decided in part: what it came to so far stays.
#[test]
fn a_reload_between_two_turns_of_an_unsubscribe_changes_no_answer() {
    on_worker(async {
        let world = World::new();
        let filters = filters_of_three_turns();
        let mut client = subscribed_to_many(&world, &filters).await;
        let names: Vec<&str> = filters.iter().map(String::as_str).collect();
        client.session.unsubscribe(6, &names);
        assert_eq!(held(&world), 2 * AT_ONCE);
        world.reload(mapping(&[("r/#", "routed")]), &world.kafka);
        world.kafka.run();
        assert_eq!(held(&world), AT_ONCE, "it is decided anew at once");
        next_turn(&world).await;
        let done = vec![ReasonCode::SUCCESS; filters.len()];
        assert_eq!(answers(&client.events().unwrap()), [(false, 6, done)]);
        // What comes meanwhile waits behind it.
        assert_eq!(client.subscribe(&[subscription("f/1", Qos::AtMostOnce)]), [ReasonCode(0)]);
    });
}

/// QoS 1 deliveries are not skipped as long as there is a subscription of QoS 1, and skipped after.
#[test]
fn a_session_is_reliable_while_one_of_its_subscriptions_is() {
    on_worker(async {
        let world = World::new();
        let mut client = world.open("c");
        let mut is_reliable_after = |filter: &str, qos: Option<Qos>| {
            match qos {
                Some(qos) => drop(client.subscribe(&[subscription(filter, qos)])),
                None => {
                    client.session.unsubscribe(2, &[filter]);
                    client.events().unwrap();
                }
            }
            let members = world.hub.members();
            members[0].state.borrow().is_reliable
        };
        assert!(!is_reliable_after("a", Some(Qos::AtMostOnce)));
        assert!(is_reliable_after("b", Some(Qos::AtLeastOnce)));
        assert!(is_reliable_after("c", Some(Qos::AtLeastOnce)));
        assert!(is_reliable_after("c", Some(Qos::AtMostOnce)));
        assert!(!is_reliable_after("b", None));
        assert!(is_reliable_after("a", Some(Qos::AtLeastOnce)));
        assert!(!is_reliable_after("a", Some(Qos::AtMostOnce)));
    });
}
