//! What goes, and what stays for ever.

use std::path::Path;
use std::time::Duration;

use kafka::embedded::Options;
use kafka_plane::{Fault, Older, TopicTable};

use crate::suite::*;
use crate::support::*;

/// A log of small segments.
fn small(dir: &Path) -> Options {
    Options { segment_bytes: 1 << 16, retention_bytes: 1 << 19, ..Options::of(dir) }
}

async fn until(mut done: impl FnMut() -> bool) {
    while !done() {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

fn size(dir: &Path, extension: &str) -> u64 {
    files(dir, extension).iter().map(|file| content(file).len() as u64).sum()
}

fn value_of(table: &std::rc::Rc<dyn TopicTable>, key: &str) -> Option<Vec<u8>> {
    table.get(key.as_bytes()).map(|batch| batch.record(0).value().unwrap().to_vec())
}

/// Appends many records without waiting for each.
async fn flood(worker: &Worker, topic: &str, keys: &[&str], rounds: u32, bytes: usize) {
    let producer = worker.exit.producer();
    let outcomes = Outcomes::new();
    let mut token = 0;
    for round in 0..rounds {
        for key in keys {
            let mut value = round.to_be_bytes().to_vec();
            value.resize(bytes, b'x');
            let record = draft(topic, key, Some(&value));
            producer.append(&[record], false, Some(outcomes.completion(token))).unwrap();
            token += 1;
        }
        if round % 8 == 0 {
            worker.until(|| outcomes.all().len() as u64 == token).await;
        }
    }
    worker.until(|| outcomes.all().len() as u64 == token).await;
    assert!(outcomes.all().iter().all(|(_, outcome)| outcome.is_ok()));
}

#[test]
fn the_oldest_records_go_when_there_is_too_much_and_no_end_moves() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let options = small(dir.path());
        let first = lease(&options);
        let worker = Worker::new(&first);
        append_all(&worker, "quiet", &["a", "b", "c"]).await;
        flood(&worker, "loud", &["k"], 3000, 1000).await;
        until(|| size(dir.path(), "log") <= options.retention_bytes).await;
        let found = stored(dir.path(), "loud");
        assert!(found.len() > 200, "what fits is kept: {}", found.len());
        assert_eq!(found.last().unwrap().value.as_ref().unwrap()[..4], 2999_u32.to_be_bytes());
        assert!(found.is_sorted_by(|one, next| one.offset + 1 == next.offset));
        assert_eq!(stored(dir.path(), "quiet"), []);
        drop(worker);
        close(first).await;
        let again = lease(&options);
        let worker = Worker::new(&again);
        for (topic, end) in [("quiet", 3), ("loud", 3000)] {
            let log = worker.exit.log(topic);
            assert_eq!(&*worker.ends(&log).await.unwrap(), [end], "{topic}");
        }
    });
}

#[test]
fn what_was_deleted_is_told_to_those_who_ask_for_it() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let options = small(dir.path());
        let first = lease(&options);
        let worker = Worker::new(&first);
        let (loud, quiet) = (worker.exit.log("loud"), worker.exit.log("quiet"));
        worker.ends(&loud).await.unwrap();
        worker.ends(&quiet).await.unwrap();
        append_all(&worker, "quiet", &["a", "b", "c"]).await;
        flood(&worker, "loud", &["k"], 3000, 1000).await;
        until(|| size(dir.path(), "log") <= options.retention_bytes).await;
        let kept = stored(dir.path(), "loud")[0].offset;
        let gone = worker.older(&loud, 0, kept - 1).await.unwrap();
        assert!(matches!(gone, Older::Gone(start) if start == kept), "{gone:?}");
        // Who comes just in time misses nothing, in the segment that is written to neither.
        for offset in [kept, 2999] {
            let Ok(Older::Next(Some(batch), next)) = worker.older(&loud, 0, offset).await else {
                panic!("{offset} is there");
            };
            assert_eq!(batch.record(batch.index_of(offset)).offset(), offset);
            assert!((offset + 1..=3000).contains(&next));
        }
        let gone = worker.older(&quiet, 0, 0).await.unwrap();
        assert!(matches!(gone, Older::Gone(3)), "{gone:?}");
        assert_eq!(worker.older(&loud, 0, 3000).await.err(), Some(Fault::Unavailable));
    });
}

#[test]
fn records_go_when_they_are_too_old() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { retention_ms: 400, ..Options::of(dir.path()) };
        let first = lease(&options);
        let worker = Worker::new(&first);
        append_all(&worker, "log", &["old"]).await;
        assert_eq!(stored(dir.path(), "log").len(), 1);
        until(|| stored(dir.path(), "log").is_empty()).await;
        append_all(&worker, "log", &["new"]).await;
        assert_eq!(stored(dir.path(), "log")[0].offset, 1);
        drop(worker);
        close(first).await;
        let again = lease(&options);
        let worker = Worker::new(&again);
        let log = worker.exit.log("log");
        assert_eq!(&*worker.ends(&log).await.unwrap(), [2]);
    });
}

#[test]
fn a_table_keeps_the_last_record_of_each_key_when_its_segments_are_gone() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let options = small(dir.path());
        let first = lease(&options);
        let worker = Worker::new(&first);
        let table = worker.exit.table("table");
        worker.sync(&table).await.unwrap();
        append_all(&worker, "table", &["early"]).await;
        worker.append(&[draft("table", "gone", Some(b"v"))]).await.unwrap();
        worker.append(&[draft("table", "gone", None)]).await.unwrap();
        flood(&worker, "table", &["a", "b", "c"], 2000, 1000).await;
        // 6 MB of which 3 KB are needed, and 0.5 MB of logs are kept.
        until(|| size(dir.path(), "log") <= options.retention_bytes).await;
        assert!(size(dir.path(), "table") < 2 << 20, "{}", size(dir.path(), "table"));
        drop((table, worker));
        close(first).await;
        let again = lease(&options);
        let worker = Worker::new(&again);
        let table = worker.exit.table("table");
        worker.sync(&table).await.unwrap();
        assert_eq!(value_of(&table, "k"), Some(b"early".to_vec()));
        assert_eq!(value_of(&table, "gone"), None);
        for key in ["a", "b", "c"] {
            assert_eq!(value_of(&table, key).unwrap()[..4], 1999_u32.to_be_bytes());
        }
        // And it goes on from there.
        worker.append(&[draft("table", "a", None)]).await.unwrap();
        worker.sync(&table).await.unwrap();
        assert_eq!(value_of(&table, "a"), None);
    });
}

#[test]
fn a_topic_that_was_only_appended_to_becomes_a_table_with_all_it_holds() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { retention_bytes: 1 << 30, ..small(dir.path()) };
        let first = lease(&options);
        let worker = Worker::new(&first);
        append_all(&worker, "later", &["first"]).await;
        flood(&worker, "other", &["k"], 200, 1000).await;
        until(|| files(dir.path(), "sum").len() >= 2).await;
        worker.append(&[draft("later", "l", Some(b"last"))]).await.unwrap();
        let table = worker.exit.table("later");
        worker.sync(&table).await.unwrap();
        assert_eq!(value_of(&table, "k"), Some(b"first".to_vec()));
        assert_eq!(value_of(&table, "l"), Some(b"last".to_vec()));
        drop((table, worker));
        close(first).await;
        let again = lease(&options);
        let worker = Worker::new(&again);
        let table = worker.exit.table("later");
        worker.sync(&table).await.unwrap();
        assert_eq!(value_of(&table, "k"), Some(b"first".to_vec()));
    });
}

#[test]
fn a_topic_is_made_when_it_is_used_and_an_illegal_name_is_refused() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let lease = lease(&Options { partitions: 4, ..Options::of(dir.path()) });
        let worker = Worker::new(&lease);
        let log = worker.exit.log("fresh");
        assert_eq!(&*worker.ends(&log).await.unwrap(), [0; 4]);
        let longest = "x".repeat(249);
        append_all(&worker, &longest, &["v"]).await;
        for name in ["", "..", "a/b", "a b", &"x".repeat(250)] {
            let refused = worker.append(&[draft(name, "k", Some(b"v"))]).await;
            assert_eq!(refused, Err(Fault::Refused("INVALID_TOPIC_EXCEPTION")), "{name}");
        }
        append_all(&worker, "fresh", &["v"]).await;
    });
}

#[test]
fn the_id_stays_and_differs_between_directories() {
    run(async {
        let dirs = [tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap()];
        let mut ids = Vec::new();
        for dir in [&dirs[0], &dirs[0], &dirs[1]] {
            let lease = lease(&Options::of(dir.path()));
            ids.push(Worker::new(&lease).exit.cluster().unwrap());
            close(lease).await;
        }
        assert!(ids[0] == ids[1] && ids[1] != ids[2], "{ids:?}");
    });
}

#[test]
fn gaps_are_left_where_they_are_asked_for() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let lease = lease(&Options { gaps: Some(1), ..Options::of(dir.path()) });
        let worker = Worker::new(&lease);
        append_all(&worker, "log", &[[0]; 50]).await;
        let found = stored(dir.path(), "log");
        assert!(found.is_sorted_by(|one, next| one.offset < next.offset));
        assert!(found[49].offset > 60, "{}", found[49].offset);
    });
}

#[test]
fn without_fsync_it_serves_all_the_same_and_says_so() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let options = Options { is_synced: false, ..Options::of(dir.path()) };
        let mut opened = None;
        let told = events(|| opened = Some(lease(&options)));
        assert!(told.iter().any(|name| name == "kafka.log.unsynced"), "{told:?}");
        let worker = Worker::new(opened.as_ref().unwrap());
        append_all(&worker, "log", &["a", "b"]).await;
        assert_eq!(values(&stored(dir.path(), "log")), [b"a", b"b"]);
    });
}
