//! Shared subscriptions.

mod leaving;
mod spread;

use super::*;
use mqtt_plane::{Cause, Delivery, Keep, OpenDelivery, Stage, Unfinished};

/// Workers of one binding, and what tests do with all of them.
struct Workers(Vec<World>);

/// A client, and what it has not acknowledged.
struct Taker {
    client: Client,
    open: Vec<(String, OpenDelivery)>,
    next_id: u16,
}

fn text(delivery: &Delivery) -> String {
    String::from_utf8(delivery.messages.publish(delivery.index).payload.to_vec()).unwrap()
}

impl Workers {
    fn new(count: usize) -> Self {
        Self(World::workers(count))
    }

    /// Until nobody has anything to do.
    async fn settle(&self) {
        for _ in 0..20 {
            self.0[0].kafka.run();
            for world in &self.0 {
                for payload in world.hub.cx.take_posted() {
                    engine::spi::Node::receive(&MqttKafka(Rc::clone(&world.hub)), payload);
                }
            }
            for _ in 0..5 {
                tokio::task::yield_now().await;
            }
        }
    }

    fn connect(&self, worker: usize, client_id: &str, clean_start: bool) -> Taker {
        let world = &self.0[worker];
        let Opened { session, resumed } = world.begin(client_id, clean_start, 60, None);
        let client = world.client(session);
        let left = resumed.unwrap_or_default().deliveries;
        let next_id = left.iter().map(|open| open.packet_id + 1).max().unwrap_or(1);
        let open = left.into_iter().map(|open| (String::new(), open)).collect();
        Taker { client, open, next_id }
    }

    /// What SUBACK says.
    async fn subscribe(&self, taker: &mut Taker, list: &[Subscription<'_>]) -> Vec<ReasonCode> {
        taker.client.session.subscribe(1, list);
        self.settle().await;
        taker.answers()
    }

    async fn member(&self, worker: usize, client_id: &str, filter: &str, qos: Qos) -> Taker {
        let mut taker = self.connect(worker, client_id, true);
        let reasons = self.subscribe(&mut taker, &[subscription(filter, qos)]).await;
        assert_eq!(reasons, [ReasonCode(qos as u8)]);
        taker.take(100);
        self.settle().await;
        taker
    }

    async fn publish(&self, texts: impl IntoIterator<Item = impl ToString>, qos: Qos) {
        let mut publisher = self.0[0].open("p");
        for text in texts {
            publisher.publish(&message("t", &text.to_string(), qos)).unwrap();
        }
        self.settle().await;
    }

    fn count(&self, read: impl Fn(&crate::proxy::counters::Counters) -> i64) -> i64 {
        self.0.iter().map(|world| read(&world.hub.counters)).sum()
    }

    fn groups(&self) -> i64 {
        self.count(|counters| counters.shared_groups.value())
    }

    fn subscriptions(&self) -> i64 {
        self.count(|counters| counters.subscriptions.value())
    }
}

impl Taker {
    fn answers(&mut self) -> Vec<ReasonCode> {
        let mut out = Vec::new();
        drop(self.client.poll_once(Appetite::default(), &mut out));
        match out.as_slice() {
            [Event::Subscribed { reasons, .. } | Event::Unsubscribed { reasons, .. }] => {
                reasons.to_vec()
            }
            _ => panic!("{} answers", out.len()),
        }
    }

    fn events(&mut self, mut in_flight: u16) -> Vec<Event> {
        let mut events = Vec::new();
        loop {
            let mut out = Vec::new();
            self.client.wakes();
            let appetite = Appetite { bytes: 1 << 20, in_flight };
            let poll = self.client.poll_once(appetite, &mut out);
            for event in &out {
                match event {
                    Event::Deliver(delivery) if delivery.qos > Qos::AtMostOnce => {
                        in_flight -= 1;
                        let open = OpenDelivery {
                            packet_id: self.next_id,
                            position: delivery.position,
                            qos: delivery.qos,
                            retain: delivery.retain,
                            is_received: false,
                        };
                        self.open.push((text(delivery), open));
                        self.next_id += 1;
                    }
                    Event::Redeliver { .. } => in_flight -= 1,
                    _ => {}
                }
            }
            events.append(&mut out);
            match poll {
                Poll::Ready(outcome) => outcome.unwrap(),
                Poll::Pending if self.client.wakes() > 0 => {}
                Poll::Pending => return events,
            }
        }
    }

    /// The messages that are there.
    fn take(&mut self, in_flight: u16) -> Vec<String> {
        let events = self.events(in_flight);
        let told = |event: &Event| match event {
            Event::Deliver(delivery) => Some(text(delivery)),
            Event::Redeliver { packet_id, delivery } => {
                Some(format!("again {packet_id} {}", text(delivery)))
            }
            _ => None,
        };
        events.iter().filter_map(told).collect()
    }

    fn acknowledge(&mut self, count: usize) {
        for (_, open) in self.open.drain(..count) {
            self.client.session.acknowledge(open.position, Stage::Completed);
        }
    }

    /// Takes what there is and acknowledges it.
    fn take_all(&mut self) -> Vec<String> {
        let taken = self.take(100);
        self.acknowledge(self.open.len());
        taken
    }

    fn leave(mut self, is_kept: bool) {
        let deliveries = self.open.into_iter().map(|(_, open)| open).collect();
        let unfinished = Unfinished { deliveries, received: vec![] };
        self.client
            .session
            .close(Cause::Abnormal, is_kept.then_some(Keep { expiry: 60, unfinished }));
    }
}

fn numbers(texts: &[String]) -> Vec<u32> {
    texts.iter().map(|text| text.parse().unwrap()).collect()
}

/// Runs a test with one worker, and with three.
fn on_one_and_three(test: impl AsyncFn(Workers)) {
    for count in [1, 3] {
        on_worker(test(Workers::new(count)));
    }
}

/// The worker of the client of this number.
fn on(workers: &Workers, number: usize) -> usize {
    number % workers.0.len()
}
