//! The scenarios. Offsets may have gaps on either back end, so none of them counts on one.

use std::collections::BTreeSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll, Wake, Waker};
use std::time::Duration;

use kafka_plane::{Draft, Fault, Read, Scan};

use super::*;

pub(crate) async fn what_is_appended_is_read_back_byte_for_byte_by_every_worker(
    back_end: &impl BackEnd,
) {
    let served = back_end.serve("back", 3, false).await;
    let lease = &served.lease;
    let (one, two) = (Worker::new(lease), Worker::new(lease));
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
    let expected = |value: Option<&[u8]>, with_headers: bool| Owned {
        offset: 0,
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
    let all = [
        (at_foobar, expected(base.value, true)),
        (at_foobar, expected(empty.value, false)),
        (at_foobar, expected(None, false)),
        (at_21, expected(base.value, true)),
    ];
    for (worker, log) in [(&one, &log), (&two, &other)] {
        for partition in BTreeSet::from([at_foobar, at_21]) {
            let wanted: Vec<_> =
                all.iter().filter(|(at, _)| *at == partition).map(|(_, r)| r).collect();
            let mut found = worker.read(log, partition, 0, wanted.len()).await;
            assert!(found.is_sorted_by(|one, next| one.offset < next.offset));
            found.iter_mut().for_each(|record| record.offset = 0);
            assert_eq!(found.iter().collect::<Vec<_>>(), wanted);
        }
    }
    lease.release(Duration::from_secs(5)).await;
}

pub(crate) async fn appends_of_a_worker_keep_their_order_and_are_all_acknowledged(
    back_end: &impl BackEnd,
) {
    let served = back_end.serve("order", 2, false).await;
    let lease = &served.lease;
    let worker = Worker::new(lease);
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
}

pub(crate) async fn the_ends_lie_behind_what_was_acknowledged_and_before_what_is_appended_then(
    back_end: &impl BackEnd,
) {
    let served = back_end.serve("ends", 1, false).await;
    let lease = &served.lease;
    let (one, two) = (Worker::new(lease), Worker::new(lease));
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
}

pub(crate) async fn a_table_holds_the_last_record_of_each_key_when_it_is_in_sync(
    back_end: &impl BackEnd,
) {
    let served = back_end.serve("table", 2, true).await;
    let lease = &served.lease;
    let writer = Worker::new(lease);
    for (key, value) in [("a", "1"), ("b", "1"), ("c", "1"), ("a", "2")] {
        writer.append(&[draft("table", key, Some(value.as_bytes()))]).await.unwrap();
    }
    writer.append(&[draft("table", "b", None)]).await.unwrap();
    writer.append(&[draft("table", "c", Some(b""))]).await.unwrap();
    // Nobody read it yet: what was written before is found from the earliest offset.
    let reader = Worker::new(lease);
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
}

pub(crate) async fn what_is_appended_since_a_known_topic_was_opened_lies_in_its_log(
    back_end: &impl BackEnd,
) {
    let served = back_end.serve("opened", 1, false).await;
    let lease = &served.lease;
    let worker = Worker::new(lease);
    worker.append(&[draft("opened", "k", Some(b"before"))]).await.unwrap();
    let log = worker.exit.log("opened");
    worker.append(&[draft("opened", "k", Some(b"after"))]).await.unwrap();
    worker.until(|| log.partitions() > 0).await;
    let start = match log.read(0, 0, usize::MAX, &mut Vec::new()) {
        Read::Gone(start) => start,
        Read::Next(_) => 0,
    };
    let found = worker.read(&log, 0, start, 1).await;
    assert_eq!(found.last().unwrap().value.as_deref(), Some(&b"after"[..]));
}

pub(crate) async fn the_ends_of_a_moment_are_known_afterwards(back_end: &impl BackEnd) {
    let served = back_end.serve("moments", 1, false).await;
    let lease = &served.lease;
    let worker = Worker::new(lease);
    let log = worker.exit.log("moments");
    worker.ends(&log).await.unwrap();
    let clock = engine::runtime::Clock::new();
    let mut moments = vec![clock.now()];
    for value in 0..3_u8 {
        worker.append(&[draft("moments", "k", Some(&[value]))]).await.unwrap();
        worker.read(&log, 0, 0, usize::from(value) + 1).await;
        moments.push(clock.now());
    }
    let found = worker.read(&log, 0, 0, 3).await;
    let before = moments.iter().map(|at| {
        let end = log.ends_at(*at).unwrap()[0];
        found.iter().filter(|record| record.offset < end).count()
    });
    assert_eq!(before.collect::<Vec<_>>(), [0, 1, 2, 3]);
}

pub(crate) async fn a_topic_cannot_be_a_log_and_a_table(back_end: &impl BackEnd) {
    let served = back_end.serve("both", 1, false).await;
    let lease = &served.lease;
    let worker = Worker::new(lease);
    let log = worker.exit.log("both");
    worker.ends(&log).await.unwrap();
    let table = worker.exit.table("both");
    assert!(matches!(worker.sync(&table).await, Err(Fault::Refused(_))));
}

pub(crate) async fn a_healthy_cluster_is_warm_within_the_time_that_a_start_waits(
    back_end: &impl BackEnd,
) {
    let served = back_end.serve("warm", 1, false).await;
    let lease = &served.lease;
    assert!(lease.warm(&["warm".to_owned()], Duration::from_secs(3)).await);
}

#[derive(Default)]
struct Woken(AtomicUsize);

impl Wake for Woken {
    fn wake(self: Arc<Self>) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }
}

pub(crate) async fn appends_beyond_the_bound_wait_and_are_woken_when_there_is_room(
    back_end: &impl BackEnd,
) {
    let served = back_end.serve("bound", 1, false).await;
    let lease = &served.lease;
    let worker = Worker::new(lease);
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
}

pub(crate) async fn a_record_that_is_too_large_is_refused_and_one_that_is_not_is_taken(
    back_end: &impl BackEnd,
) {
    let served = back_end.serve("large", 1, false).await;
    let worker = Worker::new(&served.lease);
    let log = worker.exit.log("large");
    worker.ends(&log).await.unwrap();
    assert!(served.lease.warm(&["large".to_owned()], Duration::from_secs(3)).await);
    let most = worker.exit.limits().record_bytes as usize;
    assert!(most > 100_000);
    let (fits, exceeds) = (vec![b'x'; most - 1], vec![b'x'; most]);
    worker.append(&[draft("large", "k", Some(&fits))]).await.unwrap();
    let refused = worker.append(&[draft("large", "k", Some(&exceeds))]).await;
    assert_eq!(refused, Err(Fault::TooLarge));
    let found = worker.read(&log, 0, 0, 1).await;
    assert_eq!(found[0].value.as_deref(), Some(&fits[..]));
}

/// Where the log in memory begins; `None` where it holds what was read first.
fn begin(log: &Rc<dyn TopicLog>, partition: u32) -> Option<i64> {
    match log.read(partition, 0, 0, &mut Vec::new()) {
        Read::Gone(start) => Some(start),
        Read::Next(_) => None,
    }
}

/// The log in memory holds 1 MiB of each partition.
pub(crate) async fn what_memory_no_longer_holds_is_read_again_by_many(back_end: &impl BackEnd) {
    let served = back_end.serve("older", 2, false).await;
    let lease = &served.lease;
    let worker = Worker::new(lease);
    let log = worker.exit.log("older");
    worker.ends(&log).await.unwrap();
    let headers = HeaderList(vec![("h", Some(b"1")), ("null", None)]);
    let mut sent = [Vec::new(), Vec::new()];
    // murmur2("21") and murmur2("foobar") by turns, over two partitions.
    for round in 0..60_u32 {
        let values: Vec<Vec<u8>> =
            (0..50).map(|number| format!("{round} {number:01000}").into_bytes()).collect();
        let places = [(&b"21"[..], 1_173_551_340_usize % 2), (b"foobar", 1_357_151_166 % 2)];
        let drafts: Vec<Draft<'_>> = (0..)
            .zip(&values)
            .map(|(at, value)| {
                let (hash_key, partition) = places[(at + round as usize) % 2];
                sent[partition].push(value.clone());
                let hash_key = Some(hash_key);
                Draft { hash_key, headers: &headers, ..draft("older", "k", Some(value)) }
            })
            .collect();
        worker.append(&drafts).await.unwrap();
    }
    let ends = worker.ends(&log).await.unwrap();
    for (partition, sent) in (0_u32..).zip(&sent) {
        if sent.is_empty() {
            continue;
        }
        worker
            .until(|| log.known_ends().unwrap()[partition as usize] >= ends[partition as usize])
            .await;
        let start = begin(&log, partition).expect("memory holds less than that");
        let read = async |worker: &Worker, from: i64| {
            let log = worker.exit.log("older");
            let (mut records, mut next) = (Vec::new(), from);
            while next < start {
                match worker.older(&log, partition, next).await.unwrap() {
                    Older::Next(batch, after) => {
                        assert!(after > next);
                        for batch in batch.iter() {
                            assert!(batch.footprint() < 2 << 20);
                            let range = batch.index_of(next)..batch.len();
                            records.extend(range.map(|index| Owned::of(batch, index)));
                        }
                        next = after;
                    }
                    Older::Gone(low) => panic!("{next} is gone, it begins at {low}"),
                }
            }
            (records, next)
        };
        let (mut records, next) = read(&worker, 0).await;
        let (middle, second) = (records.len() / 2, Worker::new(lease));
        let (from_middle, again) =
            tokio::join!(read(&worker, records[middle].offset), read(&second, 0));
        assert!(from_middle.0 == records[middle..], "from the middle");
        assert!(again.0 == records, "another worker, at the same time");
        records.extend(worker.read(&log, partition, next, 1).await);
        records.retain(|record| record.offset < ends[partition as usize]);
        assert!(records.is_sorted_by(|one, next| one.offset < next.offset));
        assert_eq!(records[0].headers.len(), 2);
        let values: Vec<_> = records.iter().map(|record| record.value.clone().unwrap()).collect();
        assert!(values == *sent, "{} of {}", values.len(), sent.len());
    }
    assert!(matches!(worker.older(&log, 9, 0).await, Err(Fault::UnknownTopic)));
    lease.release(Duration::from_secs(5)).await;
}
