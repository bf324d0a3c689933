//! The binding against a real Kafka.

#[path = "../suite/mod.rs"]
mod suite;
mod support;

use std::cell::Cell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use kafka_plane::{Draft, Fault, Listener, Read};
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer as _};
use suite::*;
use support::*;

run_scenarios! { Kafka }

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
        let ends = ends_when_served(&worker, &log).await;
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
