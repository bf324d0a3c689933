use super::*;
use crate::proxy::reload::apply::RETRY;
use crate::proxy::reload::leave::LINGER;

/// Publishes numbered messages, some before and some after each step.
struct Stream {
    client: Client,
    sent: u32,
}

impl Stream {
    fn new(world: &World) -> Self {
        Self { client: world.open("p"), sent: 0 }
    }

    fn send(&mut self) {
        for _ in 0..3 {
            let payload = self.sent.to_string();
            self.client.publish(&message("r/x", &payload, Qos::AtLeastOnce)).unwrap();
            self.sent += 1;
        }
    }

    fn expected(&self) -> Vec<String> {
        (0..self.sent).map(|i| i.to_string()).collect()
    }
}

fn sorted(mut payloads: Vec<String>) -> Vec<String> {
    payloads.sort_by_key(|payload| payload.parse::<u32>().unwrap());
    payloads
}

#[test]
fn a_new_route_moves_subscriptions_and_loses_nothing_on_the_way() {
    on_worker(async {
        let world = World::new();
        let mut subscriber = world.subscriber("s", "r/#", Qos::AtLeastOnce);
        let mut stream = Stream::new(&world);
        stream.send();
        world.kafka.run();
        // On its way while the mapping changes, and again after it has changed back.
        for routes in [&[("r/#", "routed")][..], &[], &[("r/+", "routed"), ("#", "other")]] {
            stream.send();
            world.reload(mapping(routes), &world.kafka);
            stream.send();
            world.kafka.run();
            stream.send();
            tokio::time::sleep(LINGER * 2).await;
            world.kafka.run();
            stream.send();
            world.kafka.run();
        }
        assert_eq!(sorted(subscriber.payloads()), stream.expected());
        assert!(!world.kafka.stored("routed").is_empty());
        let topics: Vec<_> = world.hub.readers().iter().map(|r| r.topic.to_string()).collect();
        assert_eq!(topics.len(), 3, "{topics:?}");
    });
}

/// Until logs that are not wanted any more are left.
async fn linger(world: &World) {
    for _ in 0..3 {
        tokio::time::sleep(LINGER).await;
        world.kafka.run();
    }
    tokio::time::sleep(LINGER).await;
}

#[test]
fn what_kafka_takes_long_to_accept_arrives_after_its_log_was_taken_from_a_subscription() {
    on_worker(async {
        let world = World::with(mapping(&[("r/#", "routed")]));
        let mut subscriber = world.subscriber("s", "r/#", Qos::AtLeastOnce);
        let mut publisher = world.open("p");
        world.kafka.holds.set(true);
        publisher.publish(&message("r/x", "slow", Qos::AtLeastOnce)).unwrap();
        world.hub.cx.begin_generation();
        world.reload(mapping(&[]), &world.kafka);
        // Kafka answers everything else meanwhile.
        for _ in 0..4 {
            tokio::time::sleep(LINGER).await;
            world.kafka.run();
        }
        world.kafka.release();
        world.kafka.run();
        assert_eq!(subscriber.payloads(), ["slow"]);
        linger(&world).await;
        let topics: Vec<_> = world.hub.readers().iter().map(|r| r.topic.to_string()).collect();
        assert_eq!(topics, ["messages"]);
    });
}

#[test]
fn a_log_that_is_no_longer_wanted_is_left() {
    on_worker(async {
        let world = World::with(mapping(&[("r/#", "routed")]));
        let mut subscriber = world.subscriber("s", "r/#", Qos::AtLeastOnce);
        let topics = || -> Vec<String> {
            world.hub.readers().iter().map(|reader| reader.topic.to_string()).collect()
        };
        assert_eq!(topics(), ["routed", "messages"]);
        world.reload(mapping(&[]), &world.kafka);
        linger(&world).await;
        assert_eq!(topics(), ["messages"]);
        let mut none = mapping(&[]);
        none.routes.clear();
        world.reload(none, &world.kafka);
        linger(&world).await;
        assert!(topics().is_empty());
        assert_eq!(world.hub.counters.subscriptions_unrouted.value(), 1);
        // The subscription is still held: a later reload serves it again.
        world.reload(mapping(&[]), &world.kafka);
        world.kafka.run();
        world.open("p").publish(&message("r/x", "again", Qos::AtLeastOnce)).unwrap();
        world.kafka.run();
        assert_eq!(subscriber.payloads(), ["again"]);
    });
}

#[test]
fn a_topic_that_cannot_be_read_is_tried_again() {
    on_worker(async {
        let world = World::new();
        let mut subscriber = world.subscriber("s", "r/#", Qos::AtLeastOnce);
        world.kafka.faults.borrow_mut().insert("late".into(), kafka_plane::Fault::UnknownTopic);
        world.reload(mapping(&[("r/#", "late")]), &world.kafka);
        world.kafka.run();
        world.kafka.faults.borrow_mut().clear();
        tokio::time::sleep(RETRY * 2).await;
        world.kafka.run();
        world.open("p").publish(&message("r/x", "there", Qos::AtLeastOnce)).unwrap();
        world.kafka.run();
        assert_eq!(subscriber.payloads(), ["there"]);
    });
}

#[test]
fn another_retained_topic_holds_from_the_next_request_on_and_a_lower_qos_for_newcomers() {
    on_worker(async {
        let world = World::new();
        let mut client = world.open("c");
        let new = Mapping {
            retained: "retained-2".into(),
            messages: "messages-2".into(),
            qos_max: Qos::AtMostOnce,
            ..mapping(&[])
        };
        world.reload(new, &world.kafka);
        world.kafka.run();
        client.publish(&Publish { retain: true, ..message("t", "x", Qos::AtMostOnce) }).unwrap();
        assert_eq!(*world.kafka.appended.borrow(), ["retained-2 t", "messages-2 t"]);
        world.kafka.run();
        assert_eq!(client.subscribe(&[subscription("t", Qos::AtLeastOnce)]), [ReasonCode(0)]);
        assert!(client.received()[0].retain);
        assert_eq!(client.publish(&message("t", "x", Qos::AtLeastOnce)), Ok(()));
        let newcomer = world.open("n").publish(&message("t", "x", Qos::AtLeastOnce));
        assert_eq!(newcomer, Err(ReasonCode::QOS_NOT_SUPPORTED));
        assert_eq!(MqttKafka(Rc::clone(&world.hub)).limits().maximum_qos, Qos::AtMostOnce);
    });
}

#[test]
fn a_subscribe_that_is_being_decided_is_decided_by_the_new_mapping() {
    on_worker(async {
        let world = World::new();
        let mut client = world.open("c");
        client.session.subscribe(4, &[subscription("r/x", Qos::AtLeastOnce)]);
        world.reload(mapping(&[("r/#", "routed")]), &world.kafka);
        world.kafka.run();
        client.publish(&message("r/x", "x", Qos::AtLeastOnce)).unwrap();
        world.kafka.run();
        let events = client.events().unwrap();
        let subacks = events.iter().filter(|e| matches!(e, Event::Subscribed { ticket: 4, .. }));
        assert_eq!(subacks.count(), 1);
        assert_eq!(received(&events).len(), 1);
    });
}

#[test]
fn a_replaced_exit_on_the_same_cluster_goes_on_where_it_was() {
    on_worker(async {
        let world = World::new();
        let mut subscriber = world.subscriber("s", "r/#", Qos::AtLeastOnce);
        let mut stream = Stream::new(&world);
        for _ in 0..3 {
            stream.send();
            // Another exit object, the same cluster and records.
            world.reload(mapping(&[]), &world.kafka);
            stream.send();
            world.kafka.run();
        }
        assert_eq!(sorted(subscriber.payloads()), stream.expected());
    });
}

#[test]
fn what_the_log_of_a_new_exit_does_not_hold_comes_from_the_one_before() {
    on_worker(async {
        let world = World::new();
        let mut subscriber = world.subscriber("s", "r/#", Qos::AtLeastOnce);
        let mut stream = Stream::new(&world);
        stream.send();
        world.kafka.run();
        // In the log, and not read by this worker.
        stream.send();
        let new = Kafka::new("one");
        new.begin_like(&world.kafka, "messages", true);
        world.reload(mapping(&[]), &new);
        stream.send();
        new.run();
        assert_eq!(subscriber.payloads(), stream.expected());
    });
}

#[test]
fn a_new_exit_whose_log_has_not_come_so_far_yet_delivers_nothing_twice() {
    on_worker(async {
        let world = World::new();
        let mut subscriber = world.subscriber("s", "r/#", Qos::AtLeastOnce);
        let mut stream = Stream::new(&world);
        stream.send();
        world.kafka.run();
        assert_eq!(subscriber.payloads(), stream.expected());
        let new = Kafka::new("one");
        new.begin_like(&world.kafka, "messages", false);
        world.reload(mapping(&[]), &new);
        new.run();
        new.catch_up(&world.kafka, "messages");
        new.run();
        assert!(subscriber.payloads().is_empty());
        stream.send();
        new.run();
        assert_eq!(subscriber.payloads(), stream.expected()[3..]);
        assert_eq!(world.hub.counters.logs_fallen_out.value(), 0);
    });
}

#[test]
fn what_another_worker_published_by_a_reload_before_this_one_applied_it_is_delivered() {
    on_worker(async {
        let world = World::new();
        let mut subscriber = world.subscriber("s", "r/#", Qos::AtLeastOnce);
        let other = world.kafka.exit().log("routed");
        let mut publisher = world.open("p");
        world.reload(mapping(&[("x/#", "routed")]), &world.kafka);
        world.kafka.run();
        assert!(other.known_ends().is_some());
        let stored = |value: &str| kafka::Stored {
            key: "r/x".to_owned(),
            value: Some(value.as_bytes().to_vec()),
            headers: vec![],
            timestamp: 0,
            partition: 0,
        };
        // Read by the process before the reload, and after it.
        world.kafka.append_batch("routed", 0, &[stored("before")]);
        world.kafka.read_at.set(Some(world.hub.cx.clock().now()));
        world.kafka.append_batch("routed", 0, &[stored("after")]);
        world.kafka.run();
        world.reload(mapping(&[("r/#", "routed")]), &world.kafka);
        publisher.publish(&message("r/x", "last", Qos::AtLeastOnce)).unwrap();
        world.kafka.run();
        assert_eq!(subscriber.payloads(), ["after", "last"]);
    });
}

#[test]
fn a_route_that_is_gone_before_its_topic_was_known_loses_nothing() {
    on_worker(async {
        let world = World::new();
        let mut subscriber = world.subscriber("s", "r/#", Qos::AtLeastOnce);
        let mut stream = Stream::new(&world);
        stream.send();
        world.kafka.run();
        // What Kafka says of the topic comes after the route was taken back, and after it was
        // given once more.
        for routes in [&[("r/#", "slow")][..], &[]] {
            world.reload(mapping(routes), &world.kafka);
            stream.send();
        }
        world.kafka.run();
        linger(&world).await;
        for routes in [&[("r/#", "other")][..], &[], &[("r/#", "other")]] {
            world.reload(mapping(routes), &world.kafka);
            stream.send();
        }
        world.kafka.run();
        linger(&world).await;
        assert_eq!(sorted(subscriber.payloads()), stream.expected());
        let topics: Vec<_> = world.hub.readers().iter().map(|r| r.topic.to_string()).collect();
        assert_eq!(topics, ["messages", "other"]);
    });
}

#[test]
fn another_cluster_is_read_from_its_end() {
    on_worker(async {
        let world = World::new();
        let mut subscriber = world.subscriber("s", "r/#", Qos::AtLeastOnce);
        let mut publisher = world.open("p");
        for _ in 0..50 {
            publisher.publish(&message("r/x", "here", Qos::AtLeastOnce)).unwrap();
        }
        world.kafka.run();
        assert_eq!(subscriber.payloads().len(), 50);
        let other = Kafka::new("two");
        let before = kafka::Stored {
            key: "r/x".to_owned(),
            value: Some(b"before".to_vec()),
            headers: vec![],
            timestamp: 0,
            partition: 0,
        };
        other.append_batch("messages", 0, std::slice::from_ref(&before));
        let known = other.exit().log("messages");
        other.run();
        assert!(known.known_ends().is_some());
        // On its way while the exit is replaced: it arrives, and publishers wait for it.
        publisher.publish(&message("r/x", "last here", Qos::AtLeastOnce)).unwrap();
        world.reload(mapping(&[]), &other);
        let mut cx = Context::from_waker(Waker::noop());
        assert!(publisher.session.poll_ready(&mut cx).is_pending());
        for _ in 0..4 {
            tokio::time::sleep(LINGER).await;
            world.kafka.run();
            other.run();
        }
        assert_eq!(subscriber.payloads(), ["last here"]);
        assert!(publisher.session.poll_ready(&mut cx).is_ready());
        publisher.publish(&message("r/x", "there", Qos::AtLeastOnce)).unwrap();
        other.run();
        assert_eq!(subscriber.payloads(), ["there"]);
    });
}

#[test]
fn a_topic_that_was_made_anew_is_read_from_its_beginning() {
    on_worker(async {
        let world = World::new();
        for _ in 0..20 {
            world.open("p").publish(&message("t", "old", Qos::AtMostOnce)).unwrap();
        }
        let mut subscriber = world.subscriber("s", "#", Qos::AtLeastOnce);
        world.kafka.make_anew("messages");
        for i in 0..3 {
            world.open("p").publish(&message("t", &i.to_string(), Qos::AtMostOnce)).unwrap();
        }
        world.kafka.run();
        for _ in 0..10 {
            tokio::task::yield_now().await;
        }
        assert_eq!(subscriber.payloads(), ["0", "1", "2"]);
    });
}

#[test]
fn publishes_that_a_replaced_exit_has_are_answered() {
    on_worker(async {
        let world = World::new();
        let mut client = world.open("c");
        client.publish(&message("t", "x", Qos::AtLeastOnce)).unwrap();
        world.reload(mapping(&[]), &world.kafka);
        tokio::time::sleep(LINGER).await;
        world.kafka.run();
        let events = client.events().unwrap();
        assert!(matches!(
            events.as_slice(),
            [Event::Published { ticket: 1, reason: ReasonCode::SUCCESS }]
        ));
    });
}

#[test]
fn at_its_deadline_a_retired_binding_ends_its_sessions() {
    on_worker(async {
        let world = World::new();
        let mut client = world.open("c");
        let deadline = Some(tokio::time::Instant::now().into_std() + LINGER);
        world.hub.retire(engine::spi::Retire { is_shutdown: true, deadline });
        assert!(client.events().is_ok());
        tokio::time::sleep(LINGER * 2).await;
        let closed = client.events().err().expect("an end");
        assert_eq!(closed.reason, ReasonCode::SERVER_SHUTTING_DOWN);
    });
}
