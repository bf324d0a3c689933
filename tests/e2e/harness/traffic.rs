//! Publishers and a subscriber that go on while something else happens.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use super::client::{Client, V5, V311, message};
use super::process::PATIENCE;

/// QoS 1 traffic on some topics: a publisher each, and subscribers to all, every client on one
/// socket from begin to end.
pub(crate) struct Traffic {
    stop: Arc<AtomicBool>,
    received: Arc<AtomicUsize>,
    publishers: Vec<JoinHandle<usize>>,
    subscribers: Vec<JoinHandle<Vec<(String, String)>>>,
    topics: Vec<String>,
}

impl Traffic {
    /// Starts it, and returns when messages arrive.
    pub(crate) fn start(port: u16, topics: &[&str]) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let received = Arc::new(AtomicUsize::new(0));
        let subscribers = [V311, V5]
            .into_iter()
            .map(|version| {
                let mut client = Client::connect(port, version, &format!("traffic-{version}"));
                for topic in topics {
                    client.subscribe(topic, 1);
                }
                let (received, topics) = (Arc::clone(&received), topics.len());
                std::thread::spawn(move || collect(client, topics, &received))
            })
            .collect();
        let publishers = topics
            .iter()
            .map(|topic| {
                let client = Client::connect(port, V5, &format!("traffic-{topic}"));
                let (topic, stop) = ((*topic).to_owned(), Arc::clone(&stop));
                std::thread::spawn(move || publish(client, &topic, &stop))
            })
            .collect();
        let traffic = Self {
            stop,
            received,
            publishers,
            subscribers,
            topics: topics.iter().map(|topic| (*topic).to_owned()).collect(),
        };
        traffic.flow();
        traffic
    }

    /// Waits until some more messages have arrived: it goes on.
    pub(crate) fn flow(&self) {
        let target = self.received.load(Ordering::Relaxed) + 20;
        let deadline = Instant::now() + PATIENCE;
        while self.received.load(Ordering::Relaxed) < target {
            assert!(Instant::now() < deadline, "waited {PATIENCE:?} for traffic to go on");
            std::thread::yield_now();
        }
    }

    /// Ends it. Each subscriber must have received each message exactly once, and those of the
    /// topics in `ordered` in the order in which they were published.
    pub(crate) fn finish(self, ordered: &[&str]) {
        self.stop.store(true, Ordering::Relaxed);
        let counts: Vec<usize> =
            self.publishers.into_iter().map(|thread| thread.join().expect("a publisher")).collect();
        for thread in self.subscribers {
            let received = thread.join().expect("a subscriber");
            for (topic, count) in self.topics.iter().zip(&counts) {
                let mut numbers: Vec<usize> = received
                    .iter()
                    .filter(|(other, _)| other == topic)
                    .filter_map(|(_, text)| text.parse().ok())
                    .collect();
                if !ordered.contains(&&**topic) {
                    numbers.sort_unstable();
                }
                let expected: Vec<usize> = (0..*count).collect();
                if numbers != expected {
                    let at = numbers.iter().zip(&expected).position(|(a, b)| a != b);
                    let missing = || expected.iter().filter(|number| !numbers.contains(number));
                    panic!(
                        "{topic}: {} arrived, not {count}; wrong from {at:?}; missing {:?}",
                        numbers.len(),
                        missing().collect::<Vec<_>>()
                    );
                }
            }
        }
    }
}

/// Publishes of a publisher that are not acknowledged yet, at any moment: some are under way
/// whatever happens.
const WINDOW: usize = 8;

/// Publishes numbers, [`WINDOW`] at a time, until told to stop.
fn publish(mut client: Client, topic: &str, stop: &AtomicBool) -> usize {
    let mut count = 0;
    let mut under_way = VecDeque::new();
    while !stop.load(Ordering::Relaxed) {
        if under_way.len() == WINDOW {
            acknowledged(&mut client, &mut under_way);
        }
        under_way.push_back(client.send_publish(&message(topic, &count.to_string(), 1)));
        count += 1;
    }
    while !under_way.is_empty() {
        acknowledged(&mut client, &mut under_way);
    }
    client.publish(topic, &format!("{END}{count}"), 1);
    client.ping();
    count
}

/// The oldest publish must be acknowledged next.
fn acknowledged(client: &mut Client, under_way: &mut VecDeque<u16>) {
    let Some(id) = under_way.pop_front() else { return };
    let reason = client.puback(id);
    assert!(reason < 0x80, "a publish was refused: {reason:#04x}");
}

/// The last message of a topic: how many came before it.
const END: &str = "end after ";

/// Receives until each topic has ended and is complete. The end may come before what it counts,
/// since that may lie in another Kafka topic; what does not come at all is left to the caller.
fn collect(mut client: Client, topics: usize, received: &AtomicUsize) -> Vec<(String, String)> {
    let mut messages = Vec::new();
    let mut ended = 0;
    let mut expected = 0;
    while ended < topics || messages.len() < expected + topics {
        let patience = if ended < topics { PATIENCE } else { PATIENCE / 3 };
        let Some(publish) = client.receive_within(patience) else { break };
        let text = publish.text().to_owned();
        if let Some(count) = text.strip_prefix(END) {
            ended += 1;
            expected += count.parse::<usize>().unwrap();
        }
        messages.push((publish.topic, text));
        received.fetch_add(1, Ordering::Relaxed);
    }
    client.ping();
    messages
}
