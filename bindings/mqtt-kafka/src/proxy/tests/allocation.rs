use super::*;
use crate::proxy::tests::kafka::{Stored, now};
use counting_alloc::{CountingAllocator, allocations, held_bytes};

#[global_allocator]
static ALLOCATOR: CountingAllocator = CountingAllocator;

#[test]
fn a_publish_at_qos_0_allocates_nothing() {
    on_worker(async {
        let mut mapping = mapping(&[("r/{x}", "routed-${params.x}")]);
        mapping.clients = vec![Pattern::parse("r/{identity}").unwrap()];
        let world = World::with(mapping);
        world.kafka.discards.set(true);
        let mut client = world.open("c");
        let waker = client.waker();
        let mut publish = || {
            for topic in ["r/one", "r/two", "other"] {
                let mut cx = Context::from_waker(&waker);
                assert!(client.session.poll_ready(&mut cx).is_ready());
                client.session.publish(0, &message(topic, "x", Qos::AtMostOnce)).unwrap();
            }
        };
        publish();
        let before = allocations();
        for _ in 0..100 {
            publish();
        }
        assert_eq!(allocations(), before);
    });
}

#[test]
fn dispatch_allocates_by_the_batch_and_not_by_the_message() {
    on_worker(async {
        let world = World::new();
        let mut clients: Vec<Client> =
            (0..4).map(|i| world.subscriber(&i.to_string(), "t/#", Qos::AtMostOnce)).collect();
        let mut out = Vec::with_capacity(1_000);
        let mut cost = |count: usize| {
            let record = |i: usize| Stored {
                key: format!("t/{}", i % 10),
                value: Some(b"x".to_vec()),
                headers: vec![("zilla:qos".to_owned(), b"0".to_vec())],
                timestamp: now(),
                partition: 0,
            };
            let records: Vec<Stored> = (0..count).map(record).collect();
            world.kafka.append_batch("messages", 0, &records);
            let before = allocations();
            world.kafka.notify();
            for client in &mut clients {
                out.clear();
                let appetite = Appetite { bytes: 1 << 20, in_flight: 0 };
                assert!(client.poll_once(appetite, &mut out).is_ready());
                assert_eq!(out.len(), count);
            }
            out.clear();
            allocations() - before
        };
        // Once, so that memory that is used again is there.
        cost(60);
        let (few, many) = (cost(15), cost(60));
        // Lists of a run grow by doubling.
        assert!(many <= few + 4, "{few} for 15 messages, {many} for 60");
    });
}

#[test]
fn an_idle_session_with_a_subscription_keeps_little() {
    on_worker(async {
        const SESSIONS: usize = 500;
        let world = World::new();
        let open = |kind: &str| -> Vec<Client> {
            (0..SESSIONS)
                .map(|i| {
                    let (name, filter) = (format!("{kind}{i}"), format!("{kind}/{i}"));
                    let mut client = world.subscriber(&name, &filter, Qos::AtLeastOnce);
                    // Nothing is retained that it is still to be sent.
                    assert!(client.received().is_empty());
                    client
                })
                .collect()
        };
        // What they share has its size.
        drop(open("a"));
        let before = held_bytes();
        let sessions = open("b");
        let bytes = (held_bytes() - before) / i64::try_from(sessions.len()).unwrap();
        assert!(bytes <= 1_200, "{bytes} bytes a session");
    });
}

#[test]
fn each_of_many_subscriptions_keeps_little() {
    on_worker(async {
        // As many as fill the map of all filters.
        const FILTERS: usize = 14_336;
        const EACH: usize = 16;
        for kind in ["exact", "+"] {
            let world = World::new();
            let mut clients: Vec<Client> =
                (0..FILTERS / EACH).map(|i| world.open(&i.to_string())).collect();
            let before = held_bytes();
            for (at, client) in clients.iter_mut().enumerate() {
                let filters: Vec<String> =
                    (0..EACH).map(|i| format!("{at:08}/{i:08}/{kind}")).collect();
                let wanted: Vec<Subscription<'_>> =
                    filters.iter().map(|filter| subscription(filter, Qos::AtMostOnce)).collect();
                assert_eq!(client.subscribe(&wanted), [ReasonCode::SUCCESS; EACH]);
                assert!(client.received().is_empty());
            }
            let bytes = (held_bytes() - before) / i64::try_from(FILTERS).unwrap();
            assert!(bytes <= 290, "{kind}: {bytes} bytes a subscription");
        }
    });
}
