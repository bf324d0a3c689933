use super::*;

fn retained<'a>(topic: &'a str, payload: &'a str) -> Publish<'a> {
    Publish { retain: true, ..message(topic, payload, Qos::AtLeastOnce) }
}

/// A world in which these messages are retained.
fn world(messages: &[(&str, &str)]) -> World {
    let world = World::new();
    let mut publisher = world.open("p");
    for (topic, payload) in messages {
        publisher.publish(&retained(topic, payload)).unwrap();
    }
    world.kafka.run();
    world
}

fn pairs(messages: &[Received]) -> Vec<(&str, &str, bool)> {
    messages.iter().map(|m| (&*m.topic, &*m.payload, m.retain)).collect()
}

#[test]
fn nothing_is_kept_for_a_replay_where_nothing_is_retained_that_the_filter_matches() {
    on_worker(async {
        let topics: Vec<String> = (0..100).map(|i| format!("a/{i:03}")).collect();
        let messages: Vec<(&str, &str)> = topics.iter().map(|topic| (&**topic, "1")).collect();
        let world = world(&messages);
        for (filter, replays) in [("a/050", 1), ("a/05", 0), ("a", 0), ("b/+", 0), ("+/050", 1)] {
            let mut client = world.open("c");
            client.subscribe(&[subscription(filter, Qos::AtMostOnce)]);
            let members = world.hub.members();
            assert_eq!(members[0].state.borrow().replays.len(), replays, "{filter}");
            assert_eq!(client.received().len(), replays, "{filter}");
        }
    });
}

// [MQTT-3.3.1-6] [MQTT-3.3.1-9] [MQTT-3.3.1-10] [MQTT-3.3.1-11]
#[test]
fn retained_messages_are_replayed_as_retain_handling_says() {
    on_worker(async {
        let world = world(&[("a/b", "1"), ("a", "2"), ("a/c", "3"), ("x", "4"), ("a/c", "")]);
        let mut client = world.open("c");
        let mut subscribe = |handling| {
            client.subscribe(&[Subscription {
                retain_handling: handling,
                id: Some(7),
                ..subscription("a/#", Qos::AtMostOnce)
            }]);
            client.received()
        };
        let got = subscribe(RetainHandling::SendIfNew);
        assert_eq!(pairs(&got), [("a", "2", true), ("a/b", "1", true)]);
        assert!(got.iter().all(|m| m.ids == [7] && m.qos == Qos::AtMostOnce));
        assert!(subscribe(RetainHandling::SendIfNew).is_empty());
        assert!(subscribe(RetainHandling::DoNotSend).is_empty());
        assert_eq!(subscribe(RetainHandling::Send).len(), 2);
        let mut new = world.open("new");
        new.subscribe(&[Subscription {
            retain_handling: RetainHandling::DoNotSend,
            ..subscription("#", Qos::AtMostOnce)
        }]);
        assert!(new.received().is_empty());
    });
}

// [MQTT-3.3.1-12] [MQTT-3.3.1-13]
#[test]
fn live_messages_have_the_retain_flag_as_published_where_that_is_asked_for() {
    on_worker(async {
        let world = World::new();
        let mut plain = world.open("plain");
        plain.subscribe(&[subscription("#", Qos::AtMostOnce)]);
        let mut keeps = world.open("keeps");
        keeps.subscribe(&[Subscription {
            retain_as_published: true,
            ..subscription("#", Qos::AtMostOnce)
        }]);
        keeps.publish(&retained("a", "1")).unwrap();
        keeps.publish(&message("a", "2", Qos::AtLeastOnce)).unwrap();
        keeps.publish(&retained("a", "")).unwrap();
        world.kafka.run();
        let flags = [("a", "1", true), ("a", "2", false), ("a", "", true)];
        assert_eq!(pairs(&keeps.received()), flags);
        assert!(plain.received().iter().all(|message| !message.retain));
    });
}

#[test]
fn many_retained_messages_come_in_steps_and_each_once() {
    on_worker(async {
        let world = World::new();
        let mut publisher = world.open("p");
        for i in 0..2_000 {
            publisher.publish(&retained(&format!("t/{i:04}/x"), "v")).unwrap();
        }
        world.kafka.run();
        let mut client = world.subscriber("c", "t/+/x", Qos::AtLeastOnce);
        let mut out = Vec::new();
        let poll = client.poll_once(Appetite { bytes: 10, in_flight: 9 }, &mut out);
        assert!(poll.is_ready());
        assert_eq!(received(&out).len(), 9);
        let mut got = received(&out);
        got.extend(client.received());
        let topics: std::collections::BTreeSet<_> = got.iter().map(|m| m.topic.clone()).collect();
        assert_eq!((got.len(), topics.len()), (2_000, 2_000));
    });
}

#[test]
fn a_long_search_lets_others_have_their_turn() {
    on_worker(async {
        let world = World::new();
        let mut publisher = world.open("p");
        for i in 0..3_000 {
            publisher.publish(&retained(&format!("{i:04}/y"), "v")).unwrap();
        }
        publisher.publish(&retained("last/x", "v")).unwrap();
        world.kafka.run();
        let mut client = world.subscriber("c", "+/x", Qos::AtLeastOnce);
        let (mut out, mut polls) = (Vec::new(), 0);
        while out.is_empty() {
            client.wakes();
            let poll = client.poll_once(Appetite { bytes: 10, in_flight: 9 }, &mut out);
            assert!(poll.is_ready() || client.wakes() == 1, "nobody would poll again");
            polls += 1;
        }
        assert!(polls > 1);
    });
}

/// While a replay is under way, live messages of topics that are still to come settle them: an
/// older retained message goes first, one of the same publish is left out.
#[test]
fn a_live_message_and_the_retained_one_of_its_topic_keep_their_order() {
    on_worker(async {
        let world = world(&[("a", "a-old"), ("b", "b-old"), ("c", "c-old")]);
        // Another millisecond, by which the two publishes are told apart.
        let before = kafka::now();
        while kafka::now() == before {}
        let mut client = world.subscriber("c", "#", Qos::AtLeastOnce);
        client.publish(&message("b", "b-plain", Qos::AtLeastOnce)).unwrap();
        client.publish(&retained("c", "c-new")).unwrap();
        world.kafka.run();
        let got = client.received();
        let of = |topic: &str| {
            let mine: Vec<_> = got.iter().filter(|m| m.topic == topic).cloned().collect();
            mine.into_iter().map(|m| (m.payload, m.retain)).collect::<Vec<_>>()
        };
        assert_eq!(of("a"), [("a-old".to_owned(), true)]);
        assert_eq!(of("b"), [("b-old".to_owned(), true), ("b-plain".to_owned(), false)]);
        assert_eq!(of("c"), [("c-new".to_owned(), false)]);
    });
}

/// Kafka may have the message of a retained publish before its retained record: whoever subscribes
/// between the two gets it all the same.
#[test]
fn a_retained_publish_that_is_half_there_is_waited_for() {
    on_worker(async {
        let world = world(&[("a", "old")]);
        let mut publisher = world.open("p");
        world.kafka.holds.set(true);
        publisher.publish(&retained("a", "new")).unwrap();
        world.kafka.release_of("messages");
        let mut client = world.open("c");
        client.session.subscribe(1, &[subscription("a", Qos::AtLeastOnce)]);
        world.kafka.run();
        assert!(client.events().unwrap().is_empty(), "no SUBACK yet");
        world.kafka.release();
        let mut events = Vec::new();
        while events.len() < 2 {
            world.kafka.run();
            tokio::task::yield_now().await;
            events.extend(client.events().unwrap());
        }
        assert_eq!(pairs(&received(&events)), [("a", "new", true)]);
    });
}

#[test]
fn no_suback_succeeds_while_the_retained_topic_cannot_be_read() {
    on_worker(async {
        let world = world(&[]);
        let fault = kafka_plane::Fault::UnknownTopic;
        world.kafka.faults.borrow_mut().insert("retained".into(), fault);
        let mut client = world.open("c");
        let code = client.subscribe(&[subscription("a", Qos::AtMostOnce)]);
        assert_eq!(code, [ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR]);
        let code = client.subscribe(&[Subscription {
            retain_handling: RetainHandling::DoNotSend,
            ..subscription("a", Qos::AtMostOnce)
        }]);
        assert_eq!(code, [ReasonCode(0)]);
    });
}

#[test]
fn unsubscribing_ends_a_replay() {
    on_worker(async {
        let world = world(&[("a", "1"), ("b", "2")]);
        let mut client = world.open("c");
        client.subscribe(&[subscription("#", Qos::AtMostOnce)]);
        client.session.unsubscribe(2, &["#"]);
        assert!(client.received().is_empty());
    });
}
