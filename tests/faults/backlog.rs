//! More publishes than may wait while Kafka is away.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread::JoinHandle;
use std::time::Instant;

use crate::broker::Broker;
use crate::harness::{Client, Setup, V5, V311, Value, kafka_only, message};
use crate::reader::resident;

/// Records that may be unacknowledged over all clients.
const BOUND: usize = 100_000;

/// Publishes of the 3.1.1 client: more than it may have unanswered.
const OLDER: usize = 2500;

#[test]
fn publishes_wait_within_bounds_and_then_qos_0_is_dropped_and_counted() {
    kafka_only!();
    let mut broker = Broker::start();
    let mut topics = broker.names();
    topics.create_all(&["q0", "older"]);
    let setup = Setup::new(1).with_route("q0", "\"@q0\"").with_route("older", "\"@older\"");
    let engine = setup.start_at(&broker.address, topics);
    let mut client = Client::connect(engine.port, V5, "reliable");
    let Some(&Value::Two(most)) = client.announced(0x21) else { panic!("Receive Maximum") };
    client.publish("q1", "first", 1);
    broker.kill();
    let before = resident(&engine);

    // A client that keeps to Receive Maximum is never paused: its other packets are answered.
    let ids: Vec<u16> = (0..usize::from(most))
        .map(|number| client.send_publish(&message("q1", &number.to_string(), 1)))
        .collect();
    client.ping();

    // 3.1.1 has no such bound: the client is not read beyond it, and nothing it sent is lost.
    let older = Client::connect(engine.port, V311, "older");
    let sent_by_older = Arc::new(AtomicUsize::new(0));
    let older = fill(older, &sent_by_older);

    // QoS 0, up to the bound of all clients and beyond it.
    let mut unreliable = Client::connect(engine.port, V5, "unreliable");
    let sent = BOUND + 20_000;
    for number in 0..sent {
        unreliable.send_publish(&message("q0", &format!("{number:064}"), 0));
    }
    unreliable.ping();
    let dropped = usize::try_from(engine.counter("publishes_dropped")).unwrap();
    let appended = usize::try_from(engine.counter("publishes_appended")).unwrap();
    assert!(dropped >= 20_000, "{dropped} dropped");
    assert!(appended <= BOUND + 1, "{appended} wait");
    engine.event_named("mqtt_kafka.publish.shedding");
    let grown = resident(&engine).saturating_sub(before);
    eprintln!("{appended} wait, {dropped} dropped, grown by {} MiB", grown >> 20);
    assert!(grown < 256 << 20, "grown by {grown} bytes");
    client.ping();

    let taken = sent_by_older.load(Ordering::Relaxed);
    assert!(taken < OLDER, "it is not made to wait");

    // A client that publishes at QoS 1 only now is told so, and may try again.
    let mut late = Client::connect(engine.port, V5, "late");
    assert_eq!(late.publish_with(&message("q1", "late", 1)), 0x97);

    let back = broker.when_back();
    broker.restart();
    for id in ids {
        assert_eq!(client.puback(id) & 0x80, 0);
    }
    let answered = Instant::now();
    let back = back.join().unwrap();
    eprintln!("all acknowledged {:?} after the broker listens", answered.duration_since(back));
    late.publish("q1", "late", 1);
    let mut older = older.join().expect("the client that was made to wait");
    for id in 1..=OLDER {
        assert_eq!(older.puback(u16::try_from(id).unwrap()), 0);
    }
    let of_q0 = broker.count(&engine.topic("q0"));
    assert_eq!(of_q0 + dropped, sent, "each was appended or counted");
    assert_eq!(broker.count(&engine.topic("older")), OLDER);
    // The first, those within Receive Maximum, and the late one.
    assert_eq!(broker.count(&engine.topic("messages")), usize::from(most) + 2);
}

/// Publishes at QoS 1 on a thread of its own, which the broker may make wait; the client, at the end.
fn fill(mut client: Client, sent: &Arc<AtomicUsize>) -> JoinHandle<Client> {
    let sent = Arc::clone(sent);
    std::thread::spawn(move || {
        let text = "x".repeat(16 * 1024);
        for _ in 0..OLDER {
            client.send_publish(&message("older", &text, 1));
            sent.fetch_add(1, Ordering::Relaxed);
        }
        client
    })
}
