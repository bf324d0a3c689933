//! Who publishes and subscribes while something fails, and the checker of what came of it.

use std::collections::{HashMap, HashSet, VecDeque};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use crate::harness::{Client, Engine, PATIENCE, Publish, Reader, Record, V5, V311, message};

/// How long a client waits for a packet before it looks whether it is to end.
const LOOK: Duration = Duration::from_millis(20);

/// How many clients, and how fast.
#[derive(Clone, Copy)]
pub(crate) struct Load {
    /// Publishers, each with a topic of its own; every other one speaks 3.1.1.
    pub(crate) publishers: usize,
    /// Publishes that one has unacknowledged at most.
    pub(crate) window: usize,
    /// Between two publishes of one.
    pub(crate) pause: Duration,
}

impl Default for Load {
    fn default() -> Self {
        Self { publishers: 6, window: 20, pause: Duration::from_millis(1) }
    }
}

#[derive(Default)]
struct Shared {
    stop: AtomicBool,
    acknowledged: AtomicUsize,
    delivered: AtomicUsize,
    /// Deliveries that each subscriber is to wait for; 0 until that is known.
    expected: AtomicUsize,
}

/// QoS 1 publishers, and a subscriber of each version to all their topics, every client on one
/// connection from begin to end.
pub(crate) struct Checker {
    shared: Arc<Shared>,
    publishers: Vec<JoinHandle<Published>>,
    subscribers: Vec<JoinHandle<Vec<(String, usize)>>>,
}

/// What one publisher did: the message with number `n` was sent once, as the `n`th.
pub(crate) struct Published {
    pub(crate) topic: String,
    /// The reason code by number; `None`: not answered.
    pub(crate) answers: Vec<Option<u8>>,
}

/// What was checked.
pub(crate) struct Verdict {
    /// Publishes that were refused.
    pub(crate) refused: usize,
}

impl Checker {
    /// Starts the clients, and returns when messages arrive.
    pub(crate) fn start(port: u16, load: Load) -> Self {
        let shared = Arc::new(Shared::default());
        let subscribers = [V311, V5]
            .into_iter()
            .map(|version| {
                let mut client = Client::connect(port, version, &format!("checker-sub-{version}"));
                client.subscribe("checked/#", 1);
                let shared = Arc::clone(&shared);
                std::thread::spawn(move || subscribe(client, &shared))
            })
            .collect();
        let publishers = (0..load.publishers)
            .map(|number| {
                let version = if number % 2 == 0 { V5 } else { V311 };
                let client = Client::connect(port, version, &format!("checker-pub-{number}"));
                let (topic, shared) = (format!("checked/{number}"), Arc::clone(&shared));
                std::thread::spawn(move || publish(client, topic, load, &shared))
            })
            .collect();
        let checker = Self { shared, publishers, subscribers };
        checker.flow();
        checker
    }

    /// Publishes that were acknowledged so far.
    pub(crate) fn acknowledged(&self) -> usize {
        self.shared.acknowledged.load(Ordering::Acquire)
    }

    /// Waits until further messages are acknowledged and delivered; the moment of the first
    /// acknowledgement.
    pub(crate) fn flow(&self) -> Instant {
        let acknowledged = self.acknowledged();
        let delivered = self.shared.delivered.load(Ordering::Acquire);
        let deadline = Instant::now() + 3 * PATIENCE;
        let mut first = None;
        loop {
            let now = Instant::now();
            if first.is_none() && self.acknowledged() > acknowledged {
                first = Some(now);
            }
            if let Some(first) = first
                && self.acknowledged() >= acknowledged + 40
                && self.shared.delivered.load(Ordering::Acquire) >= delivered + 80
            {
                return first;
            }
            let (now_acknowledged, now_delivered) =
                (self.acknowledged(), self.shared.delivered.load(Ordering::Acquire));
            assert!(
                now < deadline,
                "messages do not flow: acknowledged {acknowledged} then {now_acknowledged}, \
                 delivered {delivered} then {now_delivered}"
            );
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    /// Asserts that for as long nothing is acknowledged, after what was on its way before.
    pub(crate) fn nothing_is_acknowledged_for(&self, time: Duration) {
        std::thread::sleep(Duration::from_millis(200));
        let before = self.acknowledged();
        std::thread::sleep(time);
        assert_eq!(self.acknowledged(), before, "acknowledged without Kafka");
    }

    /// Ends the traffic and decides: of what was acknowledged everything reached each subscriber
    /// and lies in Kafka, each message once since it was sent once, in the order of its publisher.
    pub(crate) fn finish(self, engine: &Engine) -> Verdict {
        self.decide(engine, true)
    }

    /// As [`Checker::finish`], in whatever order.
    pub(crate) fn finish_unordered(self, engine: &Engine) -> Verdict {
        self.decide(engine, false)
    }

    fn decide(self, engine: &Engine, is_ordered: bool) -> Verdict {
        self.shared.stop.store(true, Ordering::Release);
        let published: Vec<Published> =
            self.publishers.into_iter().map(|thread| thread.join().expect("a publisher")).collect();
        let all = || published.iter().flat_map(|publisher| &publisher.answers);
        let acknowledged = all().filter(|answer| answer.is_some_and(|code| code < 0x80)).count();
        let unanswered = all().filter(|answer| answer.is_none()).count();
        assert_eq!(unanswered, 0, "publishes that were never answered");
        self.shared.expected.store(acknowledged, Ordering::Release);
        let received: Vec<_> = self
            .subscribers
            .into_iter()
            .map(|thread| thread.join().expect("a subscriber"))
            .collect();
        let stored = stored(engine, acknowledged);
        for (who, messages) in
            received.iter().map(|list| ("a subscriber", list)).chain([("Kafka", &stored)])
        {
            check(who, &published, messages, is_ordered);
        }
        let (published, delivered) = (all().count(), received.iter().map(Vec::len).sum::<usize>());
        let refused = published - acknowledged;
        eprintln!("{published} published, {acknowledged} acknowledged, {delivered} delivered");
        Verdict { refused }
    }
}

/// The checked messages that lie in Kafka, once there are `at_least` so many records: topic and
/// number.
pub(crate) fn stored(engine: &Engine, at_least: usize) -> Vec<(String, usize)> {
    let records = engine.records("messages", at_least);
    let number = |record: Record| {
        let topic = String::from_utf8(record.key?).ok()?;
        let number = std::str::from_utf8(&record.value?).ok()?.parse().ok()?;
        topic.starts_with("checked/").then_some((topic, number))
    };
    records.into_iter().filter_map(number).collect()
}

/// Whether `messages` has everything that was acknowledged, nothing twice, and in order where that
/// is asked for.
pub(crate) fn check(
    who: &str,
    published: &[Published],
    messages: &[(String, usize)],
    is_ordered: bool,
) {
    let mut by_topic: HashMap<&str, Vec<usize>> = HashMap::new();
    for (topic, number) in messages {
        by_topic.entry(topic).or_default().push(*number);
    }
    for Published { topic, answers } in published {
        let mut numbers = by_topic.remove(topic.as_str()).unwrap_or_default();
        if !is_ordered {
            numbers.sort_unstable();
        }
        let present: HashSet<usize> = numbers.iter().copied().collect();
        let lost: Vec<usize> = (0..answers.len())
            .filter(|number| answers[*number].is_some_and(|code| code < 0x80))
            .filter(|number| !present.contains(number))
            .collect();
        assert!(lost.is_empty(), "{who} lost {} of {topic}: {lost:?}", lost.len());
        let out_of_order = numbers.windows(2).find(|pair| pair[0] >= pair[1]);
        assert_eq!(out_of_order, None, "{who}: {topic} is out of order, or has something twice");
        assert!(numbers.last().is_none_or(|last| *last < answers.len()), "{who}: {topic}");
    }
    assert!(by_topic.is_empty(), "{who} has topics that nobody published: {by_topic:?}");
}

fn publish(mut client: Client, topic: String, load: Load, shared: &Shared) -> Published {
    let mut answers: Vec<Option<u8>> = Vec::new();
    let mut waiting: VecDeque<(u16, usize)> = VecDeque::new();
    let mut next_id = 1_u16;
    let mut deadline = None;
    loop {
        let stops = shared.stop.load(Ordering::Acquire);
        if stops && waiting.is_empty() {
            client.ping();
            return Published { topic, answers };
        }
        if stops {
            let deadline = deadline.get_or_insert_with(|| Instant::now() + PATIENCE);
            assert!(Instant::now() < *deadline, "{topic}: no answer to {waiting:?}");
        } else if waiting.len() < load.window {
            let number = answers.len();
            answers.push(None);
            let publish = message(&topic, &number.to_string(), 1);
            waiting.push_back((
                client.send_publish(&Publish { id: Some(next_id), ..publish }),
                number,
            ));
            next_id = next_id.checked_add(1).unwrap_or(1);
            std::thread::sleep(load.pause);
        }
        // With room, only what is there already.
        let has_room = !stops && waiting.len() < load.window;
        let patience = if has_room { Duration::from_micros(1) } else { LOOK };
        while let Some(packet) = client.packet_within(patience) {
            assert_eq!(packet.kind(), 4, "{topic}: PUBACK expected: {packet:?}");
            let (id, number) = waiting.pop_front().expect("an answer to a publish");
            assert_eq!(Reader(&packet.body).two(), id, "answers in order [MQTT-4.6.0-2]");
            answers[number] = Some(packet.reason());
            if packet.reason() < 0x80 {
                shared.acknowledged.fetch_add(1, Ordering::AcqRel);
            }
            if waiting.len() < load.window {
                break;
            }
        }
    }
}

fn subscribe(mut client: Client, shared: &Shared) -> Vec<(String, usize)> {
    let mut messages = Vec::new();
    let mut last = Instant::now();
    loop {
        if let Some(packet) = client.packet_within(LOOK) {
            let publish = Publish::of(&packet, client.version);
            assert!(!publish.dup, "nothing is sent twice within a connection");
            client.acknowledge(publish.id.expect("QoS 1"));
            let number = publish.text().parse().expect("a number");
            messages.push((publish.topic, number));
            shared.delivered.fetch_add(1, Ordering::AcqRel);
            last = Instant::now();
        }
        let expected = shared.expected.load(Ordering::Acquire);
        let is_complete = expected > 0 && messages.len() >= expected;
        // What does not come is for the checker to say.
        if is_complete || expected > 0 && last.elapsed() > PATIENCE / 3 {
            client.ping();
            return messages;
        }
    }
}
