//! Logs, their files, and other processes that use them.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use engine::shared::{Lock, Store};
use engine::telemetry::Metrics;
use kafka::cluster::Lease;
use kafka::embedded::{Options, open, read};
use tracing::field::{Field, Visit};

use crate::suite::{Owned, Worker, draft};

/// Opens a log.
pub(crate) fn lease(options: &Options) -> Lease {
    try_lease(options).unwrap()
}

pub(crate) fn try_lease(options: &Options) -> Result<Lease, String> {
    open(&Store::default(), options, "t:kafka0", &Arc::<Metrics>::default(), 1 << 20)
}

/// Ends the use of a log and waits until it is closed.
pub(crate) async fn close(lease: Lease) {
    lease.release(Duration::from_secs(5)).await;
}

/// What the segments of a directory hold of a topic.
pub(crate) fn stored(dir: &Path, topic: &str) -> Vec<Owned> {
    let mut all = Vec::new();
    read(dir, &mut |found| {
        if found.topic == topic {
            all.extend((0..found.batch.len()).map(|index| Owned::of(&found.batch, index)));
        }
    })
    .unwrap();
    all
}

/// The values of records.
pub(crate) fn values(records: &[Owned]) -> Vec<&[u8]> {
    records.iter().filter_map(|record| record.value.as_deref()).collect()
}

/// Appends values to a topic, one after the other.
pub(crate) async fn append_all<V: AsRef<[u8]>>(worker: &Worker, topic: &str, values: &[V]) {
    for value in values {
        worker.append(&[draft(topic, "k", Some(value.as_ref()))]).await.unwrap();
    }
}

/// The files of a directory with this extension, by name.
pub(crate) fn files(dir: &Path, extension: &str) -> Vec<PathBuf> {
    let mut files: Vec<_> = std::fs::read_dir(dir).unwrap().map(|e| e.unwrap().path()).collect();
    files.retain(|file| file.extension().is_some_and(|found| found == extension));
    files.sort();
    files
}

/// A copy of a directory as it is now: what a crash at this moment leaves. In memory where there is
/// a place for that, since it is opened many times.
pub(crate) fn crashed(dir: &Path) -> tempfile::TempDir {
    let copy = tempfile::tempdir_in("/dev/shm").or_else(|_| tempfile::tempdir()).unwrap();
    for entry in std::fs::read_dir(dir).unwrap() {
        let entry = entry.unwrap();
        match std::fs::copy(entry.path(), copy.path().join(entry.file_name())) {
            // Deleted since it was listed, as retention and compaction do.
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => {}
            copied => drop(copied.unwrap()),
        }
    }
    copy
}

/// What of a file is not only allocated.
pub(crate) fn content(file: &Path) -> Vec<u8> {
    let mut bytes = std::fs::read(file).unwrap();
    let length = bytes.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    bytes.truncate(length);
    bytes
}

/// Runs a test of this binary, by name, in another process, on a directory.
pub(crate) fn process(test: &str, dir: &Path) -> Child {
    Command::new(std::env::current_exe().unwrap())
        .args(["--exact", test, "--ignored", "--nocapture", "--test-threads=1"])
        .env(DIR, dir)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap()
}

/// The directory that [`process`] was given; `None` where this is not such a process.
pub(crate) fn given() -> Option<PathBuf> {
    std::env::var_os(DIR).map(PathBuf::from)
}

const DIR: &str = "ZILLA_TEST_LOG";

/// The names of the events that `during` leaves on this thread.
pub(crate) fn events(during: impl FnOnce()) -> Vec<String> {
    let names = Names::default();
    tracing::subscriber::with_default(names.clone(), during);
    names.0.lock().clone()
}

#[derive(Clone, Default)]
struct Names(Arc<Lock<Vec<String>>>);

impl Visit for Names {
    fn record_str(&mut self, field: &Field, value: &str) {
        if field.name() == "event" {
            self.0.lock().push(value.to_owned());
        }
    }

    fn record_debug(&mut self, _: &Field, _: &dyn std::fmt::Debug) {}
}

impl tracing::Subscriber for Names {
    fn enabled(&self, _: &tracing::Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, _: &tracing::span::Attributes<'_>) -> tracing::span::Id {
        tracing::span::Id::from_u64(1)
    }

    fn record(&self, _: &tracing::span::Id, _: &tracing::span::Record<'_>) {}

    fn record_follows_from(&self, _: &tracing::span::Id, _: &tracing::span::Id) {}

    fn event(&self, event: &tracing::Event<'_>) {
        event.record(&mut self.clone());
    }

    fn enter(&self, _: &tracing::span::Id) {}

    fn exit(&self, _: &tracing::span::Id) {}
}
