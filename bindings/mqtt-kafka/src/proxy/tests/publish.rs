use super::*;
use crate::proxy::publish::PATIENCE;
use crate::state::RECEIVE_MAXIMUM;
use kafka_plane::Fault;

fn published(client: &mut Client) -> Vec<(u32, ReasonCode)> {
    let events = client.events().unwrap();
    let answer = |event: &Event| match event {
        Event::Published { ticket, reason } => Some((*ticket, *reason)),
        _ => None,
    };
    events.iter().filter_map(answer).collect()
}

fn ready(client: &mut Client) -> bool {
    let waker = client.waker();
    client.session.poll_ready(&mut Context::from_waker(&waker)).is_ready()
}

// [MQTT-3.3.1-5] [MQTT-3.3.1-6] [MQTT-3.3.1-7] [MQTT-3.3.1-8]
#[test]
fn a_retained_publish_is_two_records_and_an_empty_one_clears() {
    on_worker(async {
        let world = World::with(mapping(&[("r/#", "routed")]));
        let mut client = world.open("c");
        let retained =
            |payload| Publish { retain: true, ..message("r/x", payload, Qos::AtLeastOnce) };
        client.publish(&retained("v")).unwrap();
        client.publish(&message("r/x", "plain", Qos::AtLeastOnce)).unwrap();
        client.publish(&retained("")).unwrap();
        assert_eq!(
            *world.kafka.appended.borrow(),
            ["retained r/x", "routed r/x", "routed r/x", "retained r/x", "routed r/x"]
        );
        let (kept, sent) = (world.kafka.stored("retained"), world.kafka.stored("routed"));
        assert_eq!(kept[0], sent[0], "key, value, headers and timestamp are the same");
        assert_eq!(kept[1].value, None, "a tombstone");
        assert_eq!(sent[2].value.as_deref(), Some(&b""[..]), "the message itself is empty");
        assert_eq!(kept[1].headers, sent[2].headers);
        let names: Vec<_> = sent[0].headers.iter().map(|(name, _)| name.as_str()).collect();
        assert_eq!(names, ["zilla:filter", "zilla:filter", "zilla:local", "zilla:qos"]);
    });
}

/// Who does what the headers say must reach the client that waits for the answer.
#[test]
fn reply_to_is_where_the_response_topic_is_routed() {
    on_worker(async {
        let mut mapping = mapping(&[("ask/#", "questions"), ("answers/#", "answers")]);
        mapping.routes.pop();
        let world = World::with(mapping);
        let mut client = world.open("c");
        for response_topic in ["answers/c", "ask/c", "nowhere"] {
            let properties = PublishProperties {
                response_topic: Some(response_topic),
                ..PublishProperties::default()
            };
            let request = Publish { properties, ..message("ask", "x", Qos::AtMostOnce) };
            client.publish(&request).unwrap();
        }
        let stored = world.kafka.stored("questions");
        let reply_to = stored.iter().map(|record| {
            let header = record.headers.iter().find(|(name, _)| name == "zilla:reply-to");
            String::from_utf8(header.unwrap().1.clone()).unwrap()
        });
        let reply_to: Vec<String> = reply_to.collect();
        assert_eq!(reply_to, ["answers", "questions", "questions"]);
    });
}

#[test]
fn a_publish_with_a_ticket_is_answered_when_kafka_has_it() {
    on_worker(async {
        let world = World::with(mapping(&[("big/#", "big"), ("denied/#", "denied")]));
        world.kafka.faults.borrow_mut().insert("big".into(), Fault::TooLarge);
        world.kafka.faults.borrow_mut().insert("denied".into(), Fault::NotAuthorized);
        let mut client = world.open("c");
        for (ticket, topic) in [(1, "t"), (2, "big/x"), (3, "denied/x")] {
            client.session.publish(ticket, &message(topic, "x", Qos::AtLeastOnce)).unwrap();
        }
        client.session.publish(0, &message("t", "x", Qos::AtMostOnce)).unwrap();
        assert!(published(&mut client).is_empty());
        world.kafka.run();
        assert_eq!(
            published(&mut client),
            [
                (1, ReasonCode::SUCCESS),
                (2, ReasonCode::QUOTA_EXCEEDED),
                (3, ReasonCode::NOT_AUTHORIZED)
            ]
        );
        assert_eq!(world.hub.counters.publishes_failed.value(), 2);
    });
}

#[test]
fn what_cannot_be_published_is_refused_at_once() {
    on_worker(async {
        let mut mapping = mapping(&[("r/#", "routed")]);
        mapping.routes.pop();
        mapping.qos_max = Qos::AtLeastOnce;
        let world = World::with(mapping);
        let mut client = world.open("c");
        let refused = client.publish(&message("elsewhere", "x", Qos::AtLeastOnce));
        assert_eq!(refused, Err(ReasonCode::NOT_AUTHORIZED));
        let refused = client.publish(&message("r/x", "x", Qos::ExactlyOnce));
        assert_eq!(refused, Err(ReasonCode::QOS_NOT_SUPPORTED));
        assert_eq!(world.hub.counters.publishes_refused.value(), 2);
        assert!(world.kafka.appended.borrow().is_empty());
    });
}

#[test]
fn a_clients_topics_share_the_partition_of_its_identity() {
    on_worker(async {
        let mut mapping = mapping(&[]);
        mapping.clients = vec![Pattern::parse("place/{identity}/#").unwrap()];
        let world = World::with(mapping);
        let mut client = world.open("c");
        for topic in ["place/one/a", "place/one/b/c", "place/one"] {
            client.publish(&message(topic, "x", Qos::AtMostOnce)).unwrap();
        }
        let stored = world.kafka.stored("messages");
        assert!(stored.iter().all(|record| record.partition == stored[0].partition));
        assert_eq!(stored[1].key, "place/one/b/c");
    });
}

#[test]
fn unanswered_publishes_are_bounded() {
    on_worker(async {
        let world = World::new();
        let mut client = world.open("c");
        for ticket in 1..=u32::from(RECEIVE_MAXIMUM) {
            assert!(ready(&mut client));
            client.session.publish(ticket, &message("t", "x", Qos::AtLeastOnce)).unwrap();
        }
        assert!(!ready(&mut client));
        assert!(published(&mut client).is_empty());
        world.kafka.run();
        assert!(client.wakes() > 0, "there are answers to read");
        assert!(!ready(&mut client));
        assert_eq!(published(&mut client).len(), usize::from(RECEIVE_MAXIMUM));
        assert!(ready(&mut client));
    });
}

#[test]
fn a_route_leads_to_another_cluster_with_its_retained_messages() {
    on_worker(async {
        let (one, two) = (Kafka::new("one"), Kafka::new("two"));
        let mut mapping = mapping(&[("far/#", "messages")]);
        mapping.routes[0].exit = 1;
        let exit = |name, kafka: &Rc<Kafka>| (NodeName::new("n", name), Link::to(kafka.exit()));
        let exits = vec![exit("near", &one), exit("far", &two)];
        let name = NodeName::new("n", "map0");
        let hub = Hub::new(&name, &WorkerCx::detached(), Arc::new(mapping), exits, Arc::default());
        let world = World { kafka: Rc::clone(&one), hub };
        let mut client = world.open("c");
        for topic in ["far/x", "x"] {
            let publish = message(topic, topic, Qos::AtMostOnce);
            client.publish(&Publish { retain: true, ..publish }).unwrap();
        }
        assert_eq!(*one.appended.borrow(), ["retained x", "messages x"]);
        assert_eq!(*two.appended.borrow(), ["retained far/x", "messages far/x"]);
        let run = || {
            for kafka in [&one, &two, &one, &two] {
                kafka.run();
            }
        };
        run();
        client.session.subscribe(1, &[subscription("#", Qos::AtMostOnce)]);
        run();
        let mut retained = client.payloads();
        retained.sort();
        assert_eq!(retained, ["far/x", "x"]);
        client.publish(&message("far/y", "live", Qos::AtMostOnce)).unwrap();
        run();
        assert_eq!(client.payloads(), ["live"]);
    });
}

#[test]
fn while_kafka_takes_no_more_publishers_pause_and_then_qos_0_is_dropped() {
    on_worker(async {
        let world = World::new();
        let (mut casual, mut reliable) = (world.open("casual"), world.open("reliable"));
        casual.publish(&message("t", "1", Qos::AtMostOnce)).unwrap();
        reliable.publish(&message("t", "2", Qos::AtLeastOnce)).unwrap();
        world.kafka.set_room(0);
        assert!(!ready(&mut casual) && !ready(&mut reliable));
        casual.wakes();
        tokio::time::sleep(PATIENCE * 2).await;
        if casual.wakes() == 0 {
            panic!("the paused publisher was not woken");
        }
        tokio::time::sleep(PATIENCE).await;
        // The worker's clock is not the runtime's, which is paused: let it pass too.
        while !ready(&mut casual) {
            std::hint::spin_loop();
        }
        assert!(!ready(&mut reliable));
        casual.publish(&message("t", "3", Qos::AtMostOnce)).unwrap();
        assert_eq!(world.hub.counters.publishes_dropped.value(), 1);
        let refused = casual.publish(&message("t", "4", Qos::AtLeastOnce));
        assert_eq!(refused, Err(ReasonCode::QUOTA_EXCEEDED));
        reliable.wakes();
        world.kafka.set_room(10);
        assert!(reliable.wakes() > 0 && ready(&mut reliable) && ready(&mut casual));
        casual.publish(&message("t", "5", Qos::AtMostOnce)).unwrap();
        let kept: Vec<_> =
            world.kafka.stored("messages").into_iter().filter_map(|r| r.value).collect();
        assert_eq!(kept, [b"1", b"2", b"5"]);
    });
}
