//! The binding against a real Kafka.

mod support;

use std::cell::Cell;
use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use kafka_plane::{Draft, Fault, Listener, Read, Scan};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use support::*;

#[test]
fn what_is_appended_is_read_back_byte_for_byte_by_every_worker() {
    run(async {
        create("back", 3, &[]).await;
        let lease = lease();
        let (one, two) = (Worker::new(&lease), Worker::new(&lease));
        let (log, other) = (one.exit.log("back"), two.exit.log("back"));
        let ends = one.ends(&log).await.unwrap();
        assert_eq!((&*ends, log.partitions()), (&[0, 0, 0][..], 3));
        let headers = HeaderList(vec![
            ("zilla:filter", Some(b"a")),
            ("zilla:filter", Some(b"\xff\x00")),
            ("empty", Some(b"")),
            ("null", None),
        ]);
        let base = Draft {
            topic: "back",
            key: Some(b"foobar"),
            hash_key: None,
            value: Some(b"v\x00\xff"),
            timestamp: Some(1_700_000_000_123),
            headers: &headers,
        };
        // toPositive(murmur2("foobar")) % 3 and toPositive(murmur2("21")) % 3.
        let (at_foobar, at_21) = (1_357_151_166 % 3, 1_173_551_340 % 3);
        let empty = Draft { value: Some(b""), headers: &(), ..base };
        let null = Draft { value: None, headers: &(), ..base };
        let elsewhere = Draft { hash_key: Some(b"21"), ..base };
        one.append(&[base, empty, null, elsewhere]).await.unwrap();
        let expected = |offset, value: Option<&[u8]>, with_headers: bool| Owned {
            offset,
            timestamp: 1_700_000_000_123,
            key: Some(b"foobar".to_vec()),
            value: value.map(<[u8]>::to_vec),
            headers: if with_headers {
                vec![
                    ("zilla:filter".to_owned(), Some(b"a".to_vec())),
                    ("zilla:filter".to_owned(), Some(b"\xff\x00".to_vec())),
                    ("empty".to_owned(), Some(Vec::new())),
                    ("null".to_owned(), None),
                ]
            } else {
                Vec::new()
            },
        };
        let mut all = vec![
            (at_foobar, expected(0, base.value, true)),
            (at_foobar, expected(1, empty.value, false)),
            (at_foobar, expected(2, None, false)),
        ];
        let offset = if at_21 == at_foobar { 3 } else { 0 };
        all.push((at_21, expected(offset, base.value, true)));
        for (worker, log) in [(&one, &log), (&two, &other)] {
            for partition in BTreeSet::from([at_foobar, at_21]) {
                let wanted: Vec<_> =
                    all.iter().filter(|(at, _)| *at == partition).map(|(_, r)| r).collect();
                let found = worker.read(log, partition, 0, wanted.len()).await;
                assert_eq!(found.iter().collect::<Vec<_>>(), wanted);
            }
        }
        lease.release(Duration::from_secs(5)).await;
    });
}

#[test]
fn appends_of_a_worker_keep_their_order_and_are_all_acknowledged() {
    run(async {
        create("order", 2, &[]).await;
        let lease = lease();
        let worker = Worker::new(&lease);
        let log = worker.exit.log("order");
        worker.ends(&log).await.unwrap();
        let producer = worker.exit.producer();
        let outcomes = Outcomes::new();
        let count = 5000_u64;
        for token in 0..count {
            let value = token.to_be_bytes();
            let record = Draft { hash_key: Some(b"21"), ..draft("order", "k", Some(&value)) };
            producer.append(&[record], false, Some(outcomes.completion(token))).unwrap();
            if token % 100 == 0 {
                // Bursts of many sizes.
                tokio::time::sleep(Duration::from_micros(token % 3000)).await;
            }
        }
        worker.until(|| outcomes.all().len() as u64 == count).await;
        assert!(outcomes.all().iter().all(|(_, outcome)| outcome.is_ok()));
        let tokens: Vec<u64> = outcomes.all().iter().map(|(token, _)| *token).collect();
        assert_eq!(tokens, (0..count).collect::<Vec<_>>());
        let partition = 1_173_551_340 % 2;
        let found = worker.read(&log, partition, 0, 5000).await;
        let values: Vec<_> = found.iter().map(|record| record.value.clone().unwrap()).collect();
        let sent: Vec<_> = (0..count).map(|token| token.to_be_bytes().to_vec()).collect();
        assert_eq!(values, sent);
        // Nothing is under way, so nothing is waited for.
        tokio::time::timeout(Duration::from_secs(3), lease.release(Duration::from_secs(5)))
            .await
            .expect("the threads end at once");
    });
}

#[test]
fn the_ends_lie_behind_what_was_acknowledged_and_before_what_is_appended_then() {
    run(async {
        create("ends", 1, &[]).await;
        let lease = lease();
        let (one, two) = (Worker::new(&lease), Worker::new(&lease));
        let log = two.exit.log("ends");
        two.ends(&log).await.unwrap();
        for round in 0..100_u64 {
            // Some are acknowledged before the question, others are under way meanwhile.
            let outcomes = Outcomes::new();
            let producer = one.exit.producer();
            for token in 0..=round % 7 {
                let value = format!("{round} {token}");
                let record = draft("ends", "k", Some(value.as_bytes()));
                producer.append(&[record], false, Some(outcomes.completion(token))).unwrap();
            }
            one.until(|| !outcomes.all().is_empty()).await;
            let acknowledged = outcomes.all().len();
            let ends = two.ends(&log).await.unwrap();
            let after = format!("{round} after");
            two.append(&[draft("ends", "k", Some(after.as_bytes()))]).await.unwrap();
            let offset_of = |found: &[Owned], value: &str| {
                let is_it = |record: &&Owned| record.value.as_deref() == Some(value.as_bytes());
                found.iter().find(is_it).map(|record| record.offset)
            };
            let mut found = Vec::new();
            while offset_of(&found, &after).is_none() {
                found = two.read(&log, 0, 0, found.len() + 1).await;
            }
            for token in 0..acknowledged {
                let offset = offset_of(&found, &format!("{round} {token}")).unwrap();
                assert!(offset < ends[0], "{offset} was acknowledged, the end is {}", ends[0]);
            }
            let offset = offset_of(&found, &after).unwrap();
            assert!(offset >= ends[0], "{offset} was appended after the end {}", ends[0]);
            one.until(|| outcomes.all().len() as u64 == round % 7 + 1).await;
        }
    });
}

#[test]
fn a_table_holds_the_last_record_of_each_key_when_it_is_in_sync() {
    run(async {
        create("table", 2, &[("cleanup.policy", "compact")]).await;
        let lease = lease();
        let writer = Worker::new(&lease);
        for (key, value) in [("a", "1"), ("b", "1"), ("c", "1"), ("a", "2")] {
            writer.append(&[draft("table", key, Some(value.as_bytes()))]).await.unwrap();
        }
        writer.append(&[draft("table", "b", None)]).await.unwrap();
        writer.append(&[draft("table", "c", Some(b""))]).await.unwrap();
        // Nobody read it yet: what was written before is found from the earliest offset.
        let reader = Worker::new(&lease);
        let table = reader.exit.table("table");
        reader.sync(&table).await.unwrap();
        let value = |key: &str| {
            table.get(key.as_bytes()).map(|batch| {
                assert_eq!(batch.len(), 1);
                batch.record(0).value().unwrap().to_vec()
            })
        };
        assert_eq!(value("a"), Some(b"2".to_vec()));
        assert_eq!((value("b"), value("c")), (None, None));
        for round in 0..20_u8 {
            writer.append(&[draft("table", "d", Some(&[round]))]).await.unwrap();
            reader.sync(&table).await.unwrap();
            assert_eq!(value("d"), Some(vec![round]), "what was acknowledged before is there");
        }
        let mut keys = Vec::new();
        table.scan(b"b", &mut |key, _| {
            keys.push(key.to_vec());
            ControlFlow::Continue(Scan::Next)
        });
        assert_eq!(keys, [b"d".to_vec()]);
    });
}

#[test]
fn a_table_comes_in_sync_though_its_topic_ends_in_a_gap() {
    run(async {
        create("gap", 1, &[("cleanup.policy", "compact")]).await;
        // The marker that ends a transaction takes an offset and is never read.
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", broker())
            .set("transactional.id", "gap")
            .create()
            .unwrap();
        producer.init_transactions(Duration::from_secs(10)).unwrap();
        let write = |value: &str| {
            producer.begin_transaction().unwrap();
            producer
                .send(BaseRecord::to("gap").key("k").payload(value))
                .map_err(|(e, _)| e)
                .unwrap();
            producer.commit_transaction(Duration::from_secs(10)).unwrap();
        };
        write("1");
        let lease = lease();
        let worker = Worker::new(&lease);
        let table = worker.exit.table("gap");
        for value in ["1", "2", "3"] {
            if value != "1" {
                write(value);
            }
            worker.sync(&table).await.unwrap();
            let batch = table.get(b"k").unwrap();
            assert_eq!(batch.record(0).value(), Some(value.as_bytes()));
        }
    });
}

#[derive(Default)]
struct Told(Cell<usize>);

impl Listener for Told {
    fn advanced(&self) {
        self.0.set(self.0.get() + 1);
    }
}

#[test]
fn a_partition_that_is_added_is_noticed_and_read_from_its_beginning() {
    run(async {
        create("grows", 1, &[]).await;
        let lease = lease();
        let worker = Worker::new(&lease);
        let log = worker.exit.log("grows");
        let told = Rc::new(Told::default());
        let listener: Rc<dyn Listener> = Rc::<Told>::clone(&told);
        log.listen(Rc::downgrade(&listener) as Weak<dyn Listener>);
        worker.ends(&log).await.unwrap();
        add_partitions("grows", 2).await;
        // Written by somebody else before this process noticed.
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", broker()).create().unwrap();
        let record = BaseRecord::to("grows").key("k").payload("early").partition(1);
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(Duration::from_secs(5)).unwrap();
        worker.until(|| log.partitions() == 2).await;
        assert!(told.0.get() > 0, "a listener is told of it");
        let found = worker.read(&log, 1, 0, 1).await;
        assert_eq!(found[0].value.as_deref(), Some(&b"early"[..]));
        assert_eq!(worker.ends(&log).await.unwrap().len(), 2);
        // And appended to: 1 is where "21" belongs among two or not, by the count alone.
        for value in 0..10_u8 {
            let key = [value];
            let record = Draft { hash_key: Some(&key), ..draft("grows", "k", Some(&key)) };
            worker.append(&[record]).await.unwrap();
        }
        let ends = worker.ends(&log).await.unwrap();
        assert_eq!(ends.iter().sum::<i64>(), 11);
        assert!(ends[0] > 0 && ends[1] > 1, "both take some of ten keys: {ends:?}");
    });
}

#[test]
fn what_is_appended_since_a_known_topic_was_opened_lies_in_its_log() {
    run(async {
        create("opened", 1, &[]).await;
        let lease = lease();
        let worker = Worker::new(&lease);
        worker.append(&[draft("opened", "k", Some(b"before"))]).await.unwrap();
        let log = worker.exit.log("opened");
        worker.append(&[draft("opened", "k", Some(b"after"))]).await.unwrap();
        let found = worker.read(&log, 0, 1, 1).await;
        assert_eq!(found[0].value.as_deref(), Some(&b"after"[..]));
    });
}

#[test]
fn the_ends_of_a_moment_are_known_afterwards() {
    run(async {
        create("moments", 1, &[]).await;
        let lease = lease();
        let worker = Worker::new(&lease);
        let log = worker.exit.log("moments");
        worker.ends(&log).await.unwrap();
        let clock = engine::runtime::Clock::new();
        let mut moments = vec![clock.now()];
        for value in 0..3_u8 {
            worker.append(&[draft("moments", "k", Some(&[value]))]).await.unwrap();
            worker.read(&log, 0, i64::from(value), 1).await;
            moments.push(clock.now());
        }
        let ends: Vec<i64> = moments.iter().map(|at| log.ends_at(*at).unwrap()[0]).collect();
        assert_eq!(ends, [0, 1, 2, 3]);
    });
}

#[test]
fn a_topic_that_is_missing_is_refused_until_it_is_created() {
    run(async {
        let lease = lease();
        let worker = Worker::new(&lease);
        let log = worker.exit.log("late");
        assert_eq!(worker.ends(&log).await, Err(Fault::UnknownTopic));
        assert_eq!((log.partitions(), log.known_ends()), (0, None));
        let record = draft("late", "k", Some(b"v"));
        assert_eq!(worker.append(&[record]).await, Err(Fault::UnknownTopic));
        // One that nobody asked about yet waits for the cluster's word, and is refused then.
        let unheard = draft("never", "k", Some(b"v"));
        assert_eq!(worker.append(&[unheard]).await, Err(Fault::UnknownTopic));
        create("late", 1, &[]).await;
        let ends = worker.ends_when_served(&log).await;
        assert_eq!(&*ends, [0]);
        worker.append(&[record]).await.unwrap();
        assert_eq!(worker.read(&log, 0, 0, 1).await.len(), 1);
    });
}

#[test]
fn a_topic_that_is_deleted_and_made_again_is_read_from_its_beginning() {
    run(async {
        create("again", 1, &[]).await;
        let lease = lease();
        let worker = Worker::new(&lease);
        let log = worker.exit.log("again");
        worker.ends(&log).await.unwrap();
        for _ in 0..5 {
            worker.append(&[draft("again", "k", Some(b"old"))]).await.unwrap();
        }
        worker.read(&log, 0, 0, 5).await;
        delete("again").await;
        create("again", 1, &[]).await;
        let producer: BaseProducer =
            ClientConfig::new().set("bootstrap.servers", broker()).create().unwrap();
        let record = BaseRecord::to("again").key("k").payload("new");
        producer.send(record).map_err(|(error, _)| error).unwrap();
        producer.flush(Duration::from_secs(5)).unwrap();
        // A reader at 5 is told that its place is gone, and where to go on.
        let mut start = None;
        worker
            .until(|| {
                if let Read::Gone(at) = log.read(0, 5, usize::MAX, &mut Vec::new()) {
                    start = Some(at);
                }
                start.is_some()
            })
            .await;
        let found = worker.read(&log, 0, start.unwrap(), 1).await;
        assert_eq!(found[0].value.as_deref(), Some(&b"new"[..]));
    });
}

#[test]
fn the_smallest_topic_bounds_the_record_and_a_larger_one_is_refused() {
    run(async {
        create("small", 1, &[("max.message.bytes", "20000")]).await;
        let lease = lease();
        let worker = Worker::new(&lease);
        let log = worker.exit.log("small");
        worker.ends(&log).await.unwrap();
        worker.append(&[draft("small", "k", Some(b"v"))]).await.unwrap();
        while worker.exit.limits().record_bytes > 20_000 {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Kafka refuses a batch as a whole: no batch may be larger than the topic permits.
        let outcomes = Outcomes::new();
        let producer = worker.exit.producer();
        for token in 0..200 {
            let record = draft("small", "k", Some(&[b'x'; 1000]));
            producer.append(&[record], false, Some(outcomes.completion(token))).unwrap();
        }
        worker.until(|| outcomes.all().len() == 200).await;
        assert!(outcomes.all().iter().all(|(_, outcome)| outcome.is_ok()));
        let most = worker.exit.limits().record_bytes as usize;
        assert!(most > 19_000);
        let (fits, exceeds) = (vec![b'x'; most - 1], vec![b'x'; most]);
        worker.append(&[draft("small", "k", Some(&fits))]).await.unwrap();
        let refused = worker.append(&[draft("small", "k", Some(&exceeds))]).await;
        assert_eq!(refused, Err(Fault::TooLarge));
    });
}

#[test]
fn a_topic_cannot_be_a_log_and_a_table() {
    run(async {
        create("both", 1, &[]).await;
        let lease = lease();
        let worker = Worker::new(&lease);
        let log = worker.exit.log("both");
        worker.ends(&log).await.unwrap();
        let table = worker.exit.table("both");
        assert!(matches!(worker.sync(&table).await, Err(Fault::Refused(_))));
    });
}

#[test]
fn an_unreachable_cluster_neither_fails_the_start_nor_holds_it_up() {
    run(async {
        // A port that nothing listens on: bound for a moment and released.
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let lease = lease_of(&format!("127.0.0.1:{port}"));
        assert!(!lease.warm(&["t".to_owned()], Duration::from_millis(300)).await);
        let worker = Worker::new(&lease);
        let log = worker.exit.log("t");
        assert_eq!(worker.ends(&log).await, Err(Fault::Unavailable));
        lease.release(Duration::from_secs(10)).await;
    });
}

#[test]
fn a_healthy_cluster_is_warm_within_the_time_that_a_start_waits() {
    run(async {
        create("warm", 1, &[]).await;
        let lease = lease();
        assert!(lease.warm(&["warm".to_owned()], Duration::from_secs(3)).await);
    });
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

#[test]
fn appends_beyond_the_bound_wait_and_are_woken_when_there_is_room() {
    run(async {
        create("bound", 1, &[]).await;
        let lease = lease();
        let worker = Worker::new(&lease);
        worker.append(&[draft("bound", "k", Some(b"v"))]).await.unwrap();
        let woken = Arc::<Woken>::default();
        let waker = Waker::from(Arc::clone(&woken));
        let mut cx = Context::from_waker(&waker);
        let producer = worker.exit.producer();
        let value = vec![b'x'; 500_000];
        let outcomes = Outcomes::new();
        let mut appended = 0;
        while producer.poll_ready(&mut cx).is_ready() {
            let record = draft("bound", "k", Some(&value));
            producer.append(&[record], false, Some(outcomes.completion(appended))).unwrap();
            appended += 1;
            assert!(appended < 10_000, "there is no bound");
        }
        worker.until(|| woken.0.load(Ordering::Relaxed) > 0).await;
        assert_eq!(producer.poll_ready(&mut cx), Poll::Ready(Ok(())));
        worker.until(|| outcomes.all().len() as u64 == appended).await;
        assert!(outcomes.all().iter().all(|(_, outcome)| outcome.is_ok()));
    });
}
