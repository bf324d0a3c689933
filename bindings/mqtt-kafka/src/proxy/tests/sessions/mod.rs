//! Sessions that outlive their connection.

mod older;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use super::*;
use crate::proxy::kept::store::SESSIONS;
use mqtt_plane::{Cause, Keep, OpenDelivery, Stage, Unfinished};

/// A client whose session may outlive its connection, and what it has in flight.
struct Lasting {
    client: Client,
    open: Vec<OpenDelivery>,
    received: Vec<u16>,
    next_id: u16,
}

/// What a client received, in words: `again` and the packet identifier where it was sent before.
fn told(event: &Event) -> Option<String> {
    let text = |delivery: &mqtt_plane::Delivery| {
        let publish = delivery.messages.publish(delivery.index);
        format!(
            "{} {} {}{}",
            publish.topic,
            String::from_utf8(publish.payload.to_vec()).unwrap(),
            delivery.qos as u8,
            if delivery.retain { " retained" } else { "" }
        )
    };
    match event {
        Event::Deliver(delivery) => Some(text(delivery)),
        Event::Redeliver { packet_id, delivery } => {
            Some(format!("again {packet_id} {}", text(delivery)))
        }
        Event::Gone { packet_id } => Some(format!("gone {packet_id}")),
        _ => None,
    }
}

impl World {
    fn connect(&self, client_id: &str, clean_start: bool) -> (Lasting, bool) {
        let Opened { session, resumed } = self.begin(client_id, clean_start, 60, None);
        let client = self.client(session);
        let is_present = resumed.is_some();
        let Unfinished { deliveries, received } = resumed.unwrap_or_default();
        let next_id = deliveries.iter().map(|open| open.packet_id + 1).max().unwrap_or(1);
        (Lasting { client, open: deliveries, received, next_id }, is_present)
    }

    fn resume(&self, client_id: &str) -> Lasting {
        let (client, is_present) = self.connect(client_id, false);
        assert!(is_present, "session present");
        client
    }
}

impl Lasting {
    /// Takes as many messages as there are, `in_flight` of them at QoS 1 or 2.
    fn take(&mut self, in_flight: u16) -> Vec<Event> {
        let (mut events, mut room) = (Vec::new(), in_flight);
        loop {
            let mut out = Vec::new();
            self.client.wakes();
            let appetite = Appetite { bytes: 1 << 20, in_flight: room };
            let poll = self.client.poll_once(appetite, &mut out);
            for event in &out {
                if let Event::Deliver(delivery) = event
                    && delivery.qos > Qos::AtMostOnce
                {
                    room -= 1;
                    self.open.push(OpenDelivery {
                        packet_id: self.next_id,
                        position: delivery.position,
                        qos: delivery.qos,
                        retain: delivery.retain,
                        is_received: false,
                    });
                    self.next_id += 1;
                }
                room -= u16::from(matches!(event, Event::Redeliver { .. }));
            }
            events.append(&mut out);
            match poll {
                Poll::Ready(outcome) => outcome.unwrap(),
                Poll::Pending if self.client.wakes() > 0 => {}
                Poll::Pending => return events,
            }
        }
    }

    fn told(&mut self, in_flight: u16) -> Vec<String> {
        self.take(in_flight).iter().filter_map(told).collect()
    }

    /// As [`Lasting::told`], with what Kafka has to be asked for.
    fn told_in_time(&mut self, in_flight: u16) -> Vec<String> {
        let (mut all, mut idle) = (Vec::new(), 0);
        while idle < 5 {
            let taken = u16::try_from(all.len()).unwrap();
            let told = self.told(in_flight - taken);
            idle = if told.is_empty() { idle + 1 } else { 0 };
            all.extend(told);
            self.client.kafka.run();
        }
        all
    }

    fn complete(&mut self, packet_id: u16) {
        let at = self.open.iter().position(|open| open.packet_id == packet_id).unwrap();
        let open = self.open.remove(at);
        self.client.session.acknowledge(open.position, Stage::Completed);
    }

    fn complete_all(&mut self) {
        while let Some(open) = self.open.first() {
            self.complete(open.packet_id);
        }
    }

    fn leave_for(mut self, expiry: u32) {
        let unfinished = Unfinished { deliveries: self.open, received: self.received };
        self.client.session.close(Cause::Abnormal, Some(Keep { expiry, unfinished }));
    }

    fn leave(self) {
        self.leave_for(60);
    }
}

// [MQTT-3.1.2-5] [MQTT-4.4.0-1] [MQTT-4.5.0-1]
#[test]
fn a_session_goes_on_where_it_was_on_any_worker() {
    on_worker(async {
        let world = World::new();
        let other = world.beside();
        let mut publisher = world.open("p");
        let mut publish = |texts: &[&str], qos| {
            for text in texts {
                publisher.publish(&message("t", text, qos)).unwrap();
            }
            world.kafka.run();
        };
        let (mut client, is_present) = world.connect("c", false);
        assert!(!is_present);
        let id = Some(5);
        client.client.subscribe(&[Subscription { id, ..subscription("#", Qos::ExactlyOnce) }]);
        publish(&["a", "b", "c", "d"], Qos::ExactlyOnce);
        assert_eq!(client.told(3), ["t a 2", "t b 2", "t c 2"]);
        client.complete(1);
        client.open[1].is_received = true;
        client.received = vec![77];
        client.leave();
        assert_eq!(world.hub.counters.sessions_kept.value(), 1);
        assert_eq!((world.hub.len(), world.hub.counters.subscriptions.value()), (1, 0));
        publish(&["e"], Qos::AtMostOnce);
        publish(&["f"], Qos::AtLeastOnce);
        assert!(MqttKafka(Rc::clone(&other.hub)).keeps("c"));
        let mut client = other.resume("c");
        assert!(!MqttKafka(Rc::clone(&other.hub)).keeps("c"));
        assert_eq!(client.received, [77]);
        let states: Vec<_> = client.open.iter().map(|o| (o.packet_id, o.is_received)).collect();
        assert_eq!(states, [(2, false), (3, true)]);
        let events = client.take(10);
        let words: Vec<String> = events.iter().filter_map(told).collect();
        assert_eq!(words, ["again 2 t b 2", "t d 2", "t f 1"]);
        for event in &events {
            let (Event::Deliver(d) | Event::Redeliver { delivery: d, .. }) = event else {
                continue;
            };
            assert_eq!(d.subscription_ids.as_deref(), Some(&[5][..]));
        }
        publish(&["g"], Qos::AtMostOnce);
        assert_eq!(client.told(10), ["t g 0"]);
        let counters = &other.hub.counters;
        assert_eq!((counters.sessions_resumed.value(), counters.redeliveries.value()), (1, 1));
        assert_eq!(world.hub.counters.sessions_kept.value() + counters.sessions_kept.value(), 0);
    });
}

#[test]
fn what_is_open_waits_for_the_clients_receive_maximum_and_is_kept_again_unsent() {
    on_worker(async {
        let world = World::new();
        let mut publisher = world.open("p");
        let (mut client, _) = world.connect("c", false);
        client.client.subscribe(&[subscription("t", Qos::AtLeastOnce)]);
        for text in ["a", "b", "c", "d"] {
            publisher.publish(&message("t", text, Qos::AtLeastOnce)).unwrap();
        }
        world.kafka.run();
        assert_eq!(client.told(3).len(), 3);
        client.leave();
        for _ in 0..3 {
            let mut client = world.beside().resume("c");
            assert_eq!(client.told(2), ["again 1 t a 1", "again 2 t b 1"]);
            client.leave();
        }
        let mut client = world.resume("c");
        assert_eq!(client.told(2).len(), 2);
        client.complete_all();
        assert_eq!(client.told(2), ["again 3 t c 1", "t d 1"]);
    });
}

// [MQTT-3.1.2-4]
#[test]
fn clean_start_discards_what_is_kept() {
    on_worker(async {
        let world = World::new();
        let (mut client, _) = world.connect("c", false);
        client.client.subscribe(&[subscription("t", Qos::AtLeastOnce)]);
        client.leave();
        let (client, is_present) = world.connect("c", true);
        assert!(!is_present);
        assert_eq!(world.hub.counters.sessions_discarded.value(), 1);
        assert_eq!(world.hub.counters.sessions_kept.value(), 0);
        client.leave();
        assert_eq!(world.hub.counters.sessions_kept.value(), 1);
        assert!(world.resume("c").take(9).is_empty());
    });
}

// [MQTT-4.1.0-2] [MQTT-3.1.2-23]
#[test]
fn a_session_expires_when_its_client_does_not_come_back() {
    on_worker(async {
        let world = World::new();
        let seconds = |seconds| tokio::time::sleep(Duration::from_secs(seconds));
        for (client_id, expiry) in [("never", u32::MAX), ("late", 80_000), ("c", 30), ("b", 10)] {
            world.connect(client_id, false).0.leave_for(expiry);
        }
        let expired = || world.hub.counters.sessions_expired.value();
        seconds(11).await;
        assert_eq!(expired(), 1);
        assert!(!world.connect("b", false).1);
        world.resume("c").leave_for(60);
        seconds(50).await;
        assert_eq!(expired(), 1, "the time begins anew");
        seconds(120).await;
        assert_eq!(expired(), 2);
        seconds(1_000_000).await;
        assert_eq!((expired(), world.hub.counters.sessions_kept.value()), (3, 1));
        world.resume("never");
    });
}

#[test]
fn what_is_kept_is_bounded_and_ends_with_the_process() {
    on_worker(async {
        let world = World::new();
        for number in 0..SESSIONS + 2 {
            world.connect(&number.to_string(), false).0.leave();
        }
        let counters = &world.hub.counters;
        let kept = i64::try_from(SESSIONS).unwrap();
        assert_eq!((counters.sessions_kept.value(), counters.sessions_not_kept.value()), (kept, 2));
        assert!(!world.connect(&SESSIONS.to_string(), false).1);
        // One that comes back makes room for itself.
        world.resume("0").leave();
        assert_eq!(counters.sessions_not_kept.value(), 2);
        let last = world.resume("1");
        world.hub.retire(engine::spi::Retire { is_shutdown: true, deadline: None });
        last.leave();
        assert_eq!(counters.sessions_kept.value(), kept - 1);
    });
}

#[test]
fn what_the_log_no_longer_holds_is_counted_and_the_session_goes_on() {
    on_worker(async {
        let world = World::new();
        let mut publisher = world.open("p");
        let mut publish = |texts: &[&str]| {
            for text in texts {
                publisher.publish(&message("t", text, Qos::AtLeastOnce)).unwrap();
            }
            world.kafka.run();
        };
        let (mut client, _) = world.connect("c", false);
        client.client.subscribe(&[subscription("t", Qos::AtLeastOnce)]);
        publish(&["a", "b"]);
        assert_eq!(client.told(1), ["t a 1"]);
        client.leave();
        publish(&["c"]);
        world.kafka.trim("messages");
        world.kafka.delete("messages");
        publish(&["d"]);
        let mut client = world.resume("c");
        assert_eq!(client.told_in_time(9), ["gone 1", "t d 1"]);
        let counters = &world.hub.counters;
        assert_eq!(counters.redeliveries_gone.value(), 1);
        assert_eq!(counters.resumes_incomplete.value(), 1);
        publish(&["e"]);
        assert_eq!(client.told(9), ["t e 1"]);
    });
}

#[test]
fn a_log_that_was_left_still_holds_what_is_open() {
    on_worker(async {
        let world = World::with(mapping(&[("s/#", "sensors")]));
        let mut publisher = world.open("p");
        let (mut client, _) = world.connect("c", false);
        let both = [subscription("s/1", Qos::AtLeastOnce), subscription("t", Qos::AtLeastOnce)];
        client.client.subscribe(&both);
        publisher.publish(&message("s/1", "a", Qos::AtLeastOnce)).unwrap();
        world.kafka.run();
        assert_eq!(client.told(9), ["s/1 a 1"]);
        client.client.session.unsubscribe(2, &["s/1"]);
        world.kafka.run();
        client.leave();
        for _ in 0..2 {
            let mut client = world.beside().resume("c");
            assert_eq!(client.told(9), ["again 1 s/1 a 1"]);
            client.leave();
        }
    });
}

// [MQTT-3.3.1-5]
#[test]
fn retained_messages_that_were_not_sent_are_sent_later() {
    on_worker(async {
        let world = World::new();
        let mut publisher = world.open("p");
        let mut retain = |topic: &str, text: &str| {
            let publish = message(topic, text, Qos::AtLeastOnce);
            publisher.publish(&Publish { retain: true, ..publish }).unwrap();
            world.kafka.run();
        };
        let topics: Vec<String> = (100..700).map(|number| format!("r/{number}")).collect();
        topics.iter().for_each(|topic| retain(topic, "old"));
        let (mut client, _) = world.connect("c", false);
        client.client.subscribe(&[subscription("r/#", Qos::AtLeastOnce)]);
        assert_eq!(client.told(2), ["r/100 old 1 retained", "r/101 old 1 retained"]);
        client.complete(2);
        client.leave();
        // Replaced meanwhile: in flight, about to be sent, still to be looked for.
        for topic in ["r/100", "r/200", "r/600"] {
            retain(topic, "new");
        }
        let went = kafka::now();
        while kafka::now() == went {}
        let mut client = world.beside().resume("c");
        assert_eq!(client.told(2), ["gone 1", "r/102 old 1 retained", "r/103 old 1 retained"]);
        client.complete_all();
        client.leave();
        let mut client = world.beside().resume("c");
        let mut received = client.told(10_000);
        let live: Vec<String> =
            received.extract_if(.., |text| !text.ends_with("retained")).collect();
        let mut expected: BTreeSet<String> =
            topics[4..].iter().map(|topic| format!("{topic} old 1 retained")).collect();
        for topic in ["r/200", "r/600"] {
            expected.remove(&format!("{topic} old 1 retained"));
        }
        assert_eq!(received.len(), expected.len());
        assert_eq!(received.into_iter().collect::<BTreeSet<_>>(), expected);
        let live: BTreeSet<&str> = live.iter().map(String::as_str).collect();
        assert_eq!(live, BTreeSet::from(["r/100 new 1", "r/200 new 1", "r/600 new 1"]));
    });
}

#[test]
fn a_mapping_that_changed_meanwhile_is_followed() {
    on_worker(async {
        let world = World::with(mapping(&[("s/#", "old")]));
        let mut publisher = world.open("p");
        let mut publish = |topic: &str, text: &str| {
            publisher.publish(&message(topic, text, Qos::AtLeastOnce)).unwrap();
            world.kafka.run();
        };
        let (mut client, _) = world.connect("c", false);
        client.client.subscribe(&[subscription("s/1", Qos::AtLeastOnce)]);
        client.leave();
        publish("s/1", "to the old");
        world.reload(mapping(&[("s/#", "new")]), &world.kafka);
        world.kafka.run();
        world.kafka.read_at.set(Some(world.hub.cx.clock().now() + Duration::from_secs(1)));
        publish("s/1", "to the new");
        let mut client = world.resume("c");
        world.kafka.run();
        let mut received = client.told(9);
        received.sort();
        assert_eq!(received, ["s/1 to the new 1", "s/1 to the old 1"]);
        tokio::time::sleep(Duration::from_secs(2)).await;
        world.kafka.run();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let members = world.hub.members();
        let left = members.iter().flat_map(|member| {
            let state = member.state.borrow();
            state.held.values().map(|held| held.leaving.len()).collect::<Vec<_>>()
        });
        assert_eq!(left.sum::<usize>(), 0, "the old log is left");
        publish("s/1", "later");
        assert_eq!(client.told(9), ["s/1 later 1"]);
    });
}

/// A message that came while a second SUBSCRIBE was being decided is read again for that; the first
/// subscription had it, or has it still to come.
#[test]
fn a_session_that_reads_again_for_a_new_subscription_is_kept_exactly() {
    on_worker(async {
        for is_sent in [true, false] {
            let world = World::new();
            let mut publisher = world.open("p");
            let (mut client, _) = world.connect("c", false);
            client.client.subscribe(&[subscription("a", Qos::ExactlyOnce)]);
            client.client.session.subscribe(2, &[subscription("#", Qos::ExactlyOnce)]);
            // The ends are known, the retained messages are not yet.
            assert!(world.kafka.answer_one());
            publisher.publish(&message("a", "x", Qos::ExactlyOnce)).unwrap();
            world.kafka.notify();
            assert_eq!(client.told(if is_sent { 9 } else { 0 }).len(), usize::from(is_sent));
            world.kafka.run();
            assert!(!world.hub.members()[1].state.borrow().behind.is_empty(), "it reads again");
            client.complete_all();
            client.leave();
            let expected: &[&str] = if is_sent { &[] } else { &["a x 2"] };
            assert_eq!(world.beside().resume("c").told(9), expected);
        }
    });
}

/// A client that comes and goes on any worker, and what it is to receive.
struct Wanderer {
    kafka: Rc<Kafka>,
    workers: [World; 2],
    publisher: Client,
    client: Option<Lasting>,
    held: BTreeSet<&'static str>,
    published: u32,
    /// By topic.
    expected: BTreeMap<&'static str, Vec<u32>>,
    received: BTreeMap<String, Vec<u32>>,
    /// Published while SUBACK was on its way: may be received.
    uncertain: BTreeSet<u32>,
}

impl Wanderer {
    fn new(seed: u64) -> Self {
        let world = World::with(mapping(&[("b/#", "others")]));
        let kafka = Rc::clone(&world.kafka);
        for _ in 0..seed {
            kafka.random(2);
        }
        let workers = [world.beside(), world];
        let publisher = workers[0].open("p");
        let client = Some(workers[0].connect("c", false).0);
        let (expected, received) = (BTreeMap::new(), BTreeMap::new());
        let (held, uncertain) = (BTreeSet::new(), BTreeSet::new());
        Self {
            kafka,
            workers,
            publisher,
            client,
            held,
            published: 0,
            expected,
            received,
            uncertain,
        }
    }

    fn pick<T: Copy>(&self, from: &[T]) -> T {
        from[usize::try_from(self.kafka.random(from.len() as u64)).unwrap()]
    }

    /// `requested`: a filter whose SUBACK is on its way.
    fn publish(&mut self, requested: Option<&str>) {
        let topic = self.pick(&["a/1", "a/2", "b/1"]);
        self.published += 1;
        let text = self.published.to_string();
        self.publisher.publish(&message(topic, &text, Qos::ExactlyOnce)).unwrap();
        let matches = |filter: &str| mqtt_plane::filter_matches(filter, topic);
        if self.held.iter().any(|filter| matches(filter)) {
            self.expected.entry(topic).or_default().push(self.published);
        } else if requested.is_some_and(matches) {
            self.uncertain.insert(self.published);
        }
    }

    /// Subscribes, while others publish and the client takes what it has.
    fn subscribe(&mut self) {
        let filter = self.pick(&["a/1", "a/#", "#", "+/1"]);
        let Some(client) = &mut self.client else { return };
        client.client.session.subscribe(1, &[subscription(filter, Qos::ExactlyOnce)]);
        for _ in 0..self.kafka.random(8) {
            match self.kafka.random(4) {
                0 => self.publish(Some(filter)),
                1 => self.kafka.notify(),
                2 => _ = self.take(3),
                _ => _ = self.kafka.answer_one(),
            }
        }
        self.kafka.run();
        self.held.insert(filter);
    }

    /// How many messages were there.
    fn take(&mut self, most: u16) -> usize {
        let Some(client) = &mut self.client else { return 0 };
        let open = u16::try_from(client.open.len()).unwrap();
        let events = client.take(most.min(20_u16.saturating_sub(open)));
        let count = events.iter().filter_map(told).count();
        for event in events {
            assert!(!matches!(event, Event::Gone { .. }));
            let Event::Deliver(delivery) = &event else { continue };
            let publish = delivery.messages.publish(delivery.index);
            let number = str::from_utf8(publish.payload).unwrap().parse().unwrap();
            self.received.entry(publish.topic.to_owned()).or_default().push(number);
        }
        count
    }

    fn complete_one(&mut self) {
        let Some(client) = &mut self.client else { return };
        if let Some(open) = client.open.first().copied() {
            client.complete(open.packet_id);
        }
    }

    fn come_or_go(&mut self) {
        match self.client.take() {
            Some(gone) => gone.leave(),
            None => {
                let worker = usize::try_from(self.kafka.random(2)).unwrap();
                self.client = Some(self.workers[worker].resume("c"));
            }
        }
    }

    /// Memory forgets what Kafka holds still.
    fn trim(&self) {
        self.kafka.trim(self.pick(&["messages", "others"]));
    }

    fn check(mut self, seed: u64) {
        if self.client.is_none() {
            self.come_or_go();
        }
        let mut idle = 0;
        while idle < 10 {
            self.kafka.run();
            self.client.as_mut().unwrap().complete_all();
            idle = if self.take(20) == 0 { idle + 1 } else { 0 };
        }
        for (topic, numbers) in self.expected {
            let mut received = self.received.remove(topic).unwrap_or_default();
            received.retain(|number| !self.uncertain.contains(number));
            assert_eq!(received, numbers, "seed {seed}, {topic}");
        }
        let rest: Vec<u32> = self.received.into_values().flatten().collect();
        assert!(rest.iter().all(|number| self.uncertain.contains(number)), "seed {seed}: {rest:?}");
    }
}

/// Subscribes, takes some messages and completes some, goes and comes back elsewhere: what was
/// published to a topic of its subscriptions is received exactly once, in order.
#[test]
fn nothing_is_lost_or_doubled_however_often_a_client_comes_and_goes() {
    on_worker(async {
        // The first subscriptions are what is difficult, so that many short lives find more.
        for seed in 0..600 {
            let mut wanderer = Wanderer::new(seed);
            for _ in 0..50 {
                match wanderer.kafka.random(14) {
                    0..=2 => wanderer.publish(None),
                    3 => wanderer.kafka.run(),
                    4 => wanderer.subscribe(),
                    5..=7 => _ = wanderer.take(3),
                    8 | 9 => wanderer.complete_one(),
                    10 => _ = wanderer.kafka.answer_one(),
                    // Not always, so that there is something that only memory is asked for.
                    11 if seed % 3 > 0 => wanderer.trim(),
                    _ => wanderer.come_or_go(),
                }
            }
            wanderer.check(seed);
        }
    });
}
