//! The process is killed, the power fails, the disk gives back something else.

use std::collections::BTreeMap;
use std::io::{BufRead, BufReader, Read as _, Write as _};
use std::path::Path;
use std::time::Duration;

use kafka::embedded::Options;

use crate::suite::*;
use crate::support::*;

/// How often a process is killed.
const ROUNDS: u64 = 20;

/// In a process of its own: appends to a log and a table, and says what was acknowledged, until it
/// is killed.
#[test]
#[ignore = "run by the test that kills it"]
fn appends_until_it_is_killed() {
    let Some(dir) = given() else { return };
    run(async {
        let lease = lease(&Options { partitions: 3, gaps: Some(5), ..Options::of(&dir) });
        let worker = Worker::new(&lease);
        let table = worker.exit.table("table");
        worker.sync(&table).await.unwrap();
        let producer = worker.exit.producer();
        let outcomes = Outcomes::new();
        // An append to both that was cut off, and so not acknowledged, may lie in one of them.
        let first = next_token(&dir);
        let mut said = 0;
        for token in first.. {
            let value = token.to_be_bytes();
            let key = format!("{}", token % 5);
            let records = [draft("table", &key, Some(&value)), draft("log", &key, Some(&value))];
            producer.append(&records, false, Some(outcomes.completion(token))).unwrap();
            if token % 50 == 0 {
                worker.until(|| outcomes.all().len() > said).await;
                let all = outcomes.all();
                let mut text = String::new();
                for (token, outcome) in &all[said..] {
                    outcome.unwrap();
                    text.push_str(&format!("acked {token}\n"));
                }
                said = all.len();
                std::io::stdout().write_all(text.as_bytes()).unwrap();
            }
        }
    });
}

/// The token after the last one that is stored.
fn next_token(dir: &Path) -> u64 {
    let records = ["log", "table"].map(|topic| stored(dir, topic)).into_iter().flatten();
    let token = |record: Owned| u64::from_be_bytes(record.value.unwrap().try_into().unwrap());
    records.map(token).max().map_or(0, |last| last + 1)
}

/// What a process that has ended said on its standard error.
fn said_last(child: std::process::Child) -> String {
    let output = child.wait_with_output().unwrap();
    format!("{} {}", output.status, String::from_utf8_lossy(&output.stderr))
}

#[test]
fn nothing_that_was_acknowledged_is_lost_when_the_process_is_killed() {
    let dir = tempfile::tempdir().unwrap();
    let mut acked = Vec::new();
    for round in 0..ROUNDS {
        let mut child = process("crash::appends_until_it_is_killed", dir.path());
        let mut lines = BufReader::new(child.stdout.take().unwrap()).lines();
        // Once it is at work, at moments that differ.
        let mut least = 50 + round * 37;
        while least > 0 {
            let Some(line) = lines.next() else { panic!("it ended: {}", said_last(child)) };
            let line = line.unwrap();
            if let Some(token) = line.strip_prefix("acked ") {
                acked.push(token.parse::<u64>().unwrap());
                least -= 1;
            }
        }
        child.kill().unwrap();
        // What it said before it was killed was acknowledged, too.
        let rest = lines.map_while(Result::ok);
        acked.extend(rest.filter_map(|line| line.strip_prefix("acked ")?.parse::<u64>().ok()));
        child.wait().unwrap();
        check(dir.path(), &acked);
    }
    run(async {
        let lease = lease(&Options::of(dir.path()));
        let worker = Worker::new(&lease);
        let table = worker.exit.table("table");
        worker.sync(&table).await.unwrap();
        for key in 0..5 {
            let last = acked.iter().filter(|token| *token % 5 == key).max().unwrap();
            let batch = table.get(key.to_string().as_bytes()).unwrap();
            let value = u64::from_be_bytes(batch.record(0).value().unwrap().try_into().unwrap());
            assert!(value >= *last, "{value} of key {key} is older than {last}");
        }
    });
}

/// All that was acknowledged is there once, in order, at offsets that grow.
fn check(dir: &Path, acked: &[u64]) {
    for topic in ["log", "table"] {
        let mut found: BTreeMap<Vec<u8>, Vec<(i64, u64)>> = BTreeMap::new();
        for record in stored(dir, topic) {
            let token = u64::from_be_bytes(record.value.unwrap().try_into().unwrap());
            found.entry(record.key.unwrap()).or_default().push((record.offset, token));
        }
        let mut there = BTreeMap::new();
        for (key, records) in &found {
            let is_sorted = records.is_sorted_by(|one, next| one.0 < next.0 && one.1 < next.1);
            assert!(is_sorted, "{topic} {key:?}: {records:?}");
            records.iter().for_each(|(_, token)| *there.entry(*token).or_insert(0) += 1);
        }
        let lost: Vec<_> = acked.iter().filter(|token| there.get(token) != Some(&1)).collect();
        assert!(lost.is_empty(), "acknowledged and lost or doubled in {topic}: {lost:?}");
    }
}

/// A log with some acknowledged records, the same with one more, and where that one lies.
struct Image {
    dir: tempfile::TempDir,
    file: String,
    content: Vec<u8>,
    /// Where the last commit begins.
    last: usize,
}

const KEPT: [&str; 3] = ["one", "two", "three"];

async fn image() -> Image {
    let dir = tempfile::tempdir().unwrap();
    let lease = lease(&Options::of(dir.path()));
    let worker = Worker::new(&lease);
    append_all(&worker, "log", &KEPT).await;
    let file = files(dir.path(), "log").pop().unwrap();
    let last = content(&file).len();
    append_all(&worker, "log", &["the last one"]).await;
    let crashed = crashed(dir.path());
    let content = content(&file);
    assert!(content.len() > last + 50);
    let file = file.file_name().unwrap().to_str().unwrap().to_owned();
    Image { dir: crashed, file, content, last }
}

/// What the last chunk ends in is not seen where it is 0.
fn is_whole(image: &Image, cut: usize) -> bool {
    image.content[cut..].iter().all(|byte| *byte == 0)
}

/// Opens a damaged log: what was acknowledged before the last commit is there, what is appended now
/// too, and at an offset that nobody has seen.
async fn check_damaged(image: &Image, bytes: &[u8], what: &str) {
    std::fs::write(image.dir.path().join(&image.file), bytes).unwrap();
    let options = Options::of(image.dir.path());
    let mut opened = None;
    let told = events(|| opened = Some(lease(&options)));
    let found = stored(image.dir.path(), "log");
    assert_eq!(values(&found), KEPT.map(str::as_bytes), "{what}");
    let is_told = told.iter().any(|name| name == "kafka.log.tail.cut");
    // A file that ends between two chunks ends like any other.
    assert_eq!(is_told, bytes.len() > image.last && bytes[image.last..].iter().any(|b| *b != 0));
    let lease = opened.unwrap();
    let worker = Worker::new(&lease);
    append_all(&worker, "log", &["new"]).await;
    let found = stored(image.dir.path(), "log");
    assert_eq!(found.len(), 4, "{what}");
    // The lost one had offset 3.
    assert!(found[3].offset > 3, "{what}: offset {} is used again", found[3].offset);
    drop(worker);
    close(lease).await;
}

#[test]
fn a_log_whose_last_commit_is_cut_anywhere_holds_all_before_it() {
    run(async {
        let image = image().await;
        for cut in image.last..image.content.len() {
            assert!(!is_whole(&image, cut));
            check_damaged(&image, &image.content[..cut], &format!("cut at {cut}")).await;
            if cut % 8 == 0 {
                let mut torn = image.content[..cut].to_vec();
                torn.resize(1 << 14, 0);
                check_damaged(&image, &torn, &format!("zeros from {cut} on")).await;
            }
        }
    });
}

#[test]
fn a_log_with_a_flipped_bit_in_its_last_commit_holds_all_before_it() {
    run(async {
        let image = image().await;
        for at in image.last..image.content.len() {
            let mut flipped = image.content.clone();
            flipped[at] ^= 1 << (at % 8);
            check_damaged(&image, &flipped, &format!("flipped at {at}")).await;
        }
    });
}

#[test]
fn damage_within_a_log_costs_what_is_damaged_and_nothing_behind_it() {
    run(async {
        let image = image().await;
        let mut damaged = image.content.clone();
        let at = damaged.windows(3).position(|bytes| bytes == b"two").unwrap();
        damaged[at] ^= 0xff;
        std::fs::write(image.dir.path().join(&image.file), &damaged).unwrap();
        let mut opened = None;
        let told = events(|| opened = Some(lease(&Options::of(image.dir.path()))));
        assert!(told.iter().any(|name| name == "kafka.log.damaged"), "{told:?}");
        let found = stored(image.dir.path(), "log");
        assert_eq!(values(&found), [&b"one"[..], b"three", b"the last one"]);
    });
}

#[test]
fn an_orderly_end_leaves_no_gap_and_a_crash_uses_no_offset_again() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::of(dir.path());
        for round in 0..3 {
            let lease = lease(&options);
            let worker = Worker::new(&lease);
            let log = worker.exit.log("log");
            assert_eq!(&*worker.ends(&log).await.unwrap(), [round]);
            append_all(&worker, "log", &["v"]).await;
            drop((log, worker));
            close(lease).await;
        }
        let first = lease(&options);
        let worker = Worker::new(&first);
        append_all(&worker, "log", &["v"]).await;
        let crashed = crashed(dir.path());
        let second = lease(&Options::of(crashed.path()));
        let worker = Worker::new(&second);
        let log = worker.exit.log("log");
        assert!(worker.ends(&log).await.unwrap()[0] > 3);
    });
}

/// In a process of its own: says what comes of opening a log that is in use.
#[test]
#[ignore = "run by the test that uses the log"]
fn opens_a_log_that_is_in_use() {
    let Some(dir) = given() else { return };
    let error = try_lease(&Options::of(dir)).unwrap_err();
    println!("refused: {error}");
}

#[test]
fn a_second_process_is_refused_and_told_who_holds_the_log() {
    let dir = tempfile::tempdir().unwrap();
    let _lease = lease(&Options::of(dir.path()));
    let mut child = process("crash::opens_a_log_that_is_in_use", dir.path());
    let mut said = String::new();
    child.stdout.take().unwrap().read_to_string(&mut said).unwrap();
    assert!(child.wait().unwrap().success(), "{said}");
    let pid = format!("in use by another process (pid {})", std::process::id());
    assert!(said.contains("refused") && said.contains(&pid), "{said}");
}

#[test]
fn a_log_that_is_being_closed_is_waited_for() {
    run(async {
        let dir = tempfile::tempdir().unwrap();
        let options = Options::of(dir.path());
        for _ in 0..5 {
            let lease = lease(&options);
            let worker = Worker::new(&lease);
            append_all(&worker, "log", &["v"]).await;
            // Its threads end by themselves, a little later.
            drop((worker, lease));
        }
        tokio::time::sleep(Duration::from_millis(1)).await;
        assert_eq!(stored(dir.path(), "log").len(), 5);
    });
}
