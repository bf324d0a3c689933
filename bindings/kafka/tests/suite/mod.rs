//! What is asked of every back end: the same tests run on a real Kafka and on the embedded log.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

pub(crate) mod scenarios;

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::rc::Rc;
use std::time::Duration;

use engine::spi::WorkerCx;
use kafka::cluster::Lease;
use kafka_plane::{
    Appended, Batch, Completion, Draft, DraftHeaders, Ends, Fault, KafkaExit, Older, Read, TopicLog,
};

/// How long anything may take before a test fails.
const PATIENCE: Duration = Duration::from_secs(90);

/// A back end under test.
pub(crate) trait BackEnd {
    /// A cluster that serves a new topic with so many partitions, compacted or not.
    async fn serve(&self, topic: &str, partitions: u32, is_compacted: bool) -> Served;
}

/// A cluster in use, and the directory that it lies in where it is ours.
pub(crate) struct Served {
    pub(crate) lease: Lease,
    _dir: Option<tempfile::TempDir>,
}

impl Served {
    pub(crate) fn new(lease: Lease, dir: Option<tempfile::TempDir>) -> Self {
        Self { lease, _dir: dir }
    }
}

/// Runs each scenario as a test of its own, on the back end that `$back_end` makes.
macro_rules! run_scenarios {
    ($back_end:expr; $($scenario:ident)*) => {
        $(
            #[test]
            fn $scenario() {
                suite::run(suite::scenarios::$scenario(&$back_end));
            }
        )*
    };
    ($back_end:expr) => {
        run_scenarios! { $back_end;
            what_is_appended_is_read_back_byte_for_byte_by_every_worker
            appends_of_a_worker_keep_their_order_and_are_all_acknowledged
            the_ends_lie_behind_what_was_acknowledged_and_before_what_is_appended_then
            a_table_holds_the_last_record_of_each_key_when_it_is_in_sync
            what_is_appended_since_a_known_topic_was_opened_lies_in_its_log
            the_ends_of_a_moment_are_known_afterwards
            a_record_that_is_too_large_is_refused_and_one_that_is_not_is_taken
            a_topic_cannot_be_a_log_and_a_table
            a_healthy_cluster_is_warm_within_the_time_that_a_start_waits
            what_memory_no_longer_holds_is_read_again_by_many
            appends_beyond_the_bound_wait_and_are_woken_when_there_is_room
        }
    };
}
pub(crate) use run_scenarios;

/// Runs a test; fails it when it takes too long.
pub(crate) fn run(test: impl Future<Output = ()>) {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, async {
        tokio::time::timeout(PATIENCE, test).await.expect("it took too long");
    });
}

/// A worker without an engine.
pub(crate) struct Worker {
    pub(crate) cx: WorkerCx,
    pub(crate) exit: Rc<dyn KafkaExit>,
}

impl Worker {
    pub(crate) fn new(lease: &Lease) -> Self {
        let cx = WorkerCx::detached();
        let exit = kafka::exit(lease, &cx);
        Self { cx, exit }
    }

    /// Serves the worker until `done`.
    pub(crate) async fn until(&self, mut done: impl FnMut() -> bool) {
        while !done() {
            self.cx.serve_raised().await;
        }
    }

    pub(crate) async fn ends(&self, log: &Rc<dyn TopicLog>) -> Result<Ends, Fault> {
        let answer = Rc::new(RefCell::new(None));
        let kept = Rc::clone(&answer);
        log.ends(Box::new(move |ends| *kept.borrow_mut() = Some(ends)));
        assert!(answer.borrow().is_none(), "never from within the call");
        self.until(|| answer.borrow().is_some()).await;
        answer.take().unwrap()
    }

    pub(crate) async fn sync(&self, table: &Rc<dyn kafka_plane::TopicTable>) -> Result<(), Fault> {
        let answer = Rc::new(Cell::new(None));
        let kept = Rc::clone(&answer);
        table.sync(Box::new(move |result| kept.set(Some(result))));
        self.until(|| answer.get().is_some()).await;
        answer.get().unwrap()
    }

    /// Appends and waits for the outcome.
    pub(crate) async fn append(&self, records: &[Draft<'_>]) -> Result<(), Fault> {
        let outcomes = Outcomes::new();
        self.exit.producer().append(records, false, Some(outcomes.completion(0)))?;
        self.until(|| outcomes.all().len() == 1).await;
        outcomes.all()[0].1
    }

    pub(crate) async fn older(
        &self,
        log: &Rc<dyn TopicLog>,
        partition: u32,
        offset: i64,
    ) -> Result<Older, Fault> {
        let answer = Rc::new(RefCell::new(None));
        let kept = Rc::clone(&answer);
        let then = Box::new(move |found| *kept.borrow_mut() = Some(found));
        log.older(partition, offset, then);
        assert!(answer.borrow().is_none(), "never from within the call");
        self.until(|| answer.borrow().is_some()).await;
        answer.take().unwrap()
    }

    /// Reads a partition from `offset` until it holds `count` records.
    pub(crate) async fn read(
        &self,
        log: &Rc<dyn TopicLog>,
        partition: u32,
        offset: i64,
        count: usize,
    ) -> Vec<Owned> {
        let mut records = Vec::new();
        let mut next = offset;
        self.until(|| {
            let mut batches = Vec::new();
            match log.read(partition, next, usize::MAX, &mut batches) {
                Read::Next(at) => next = at,
                Read::Gone(start) => panic!("{next} is gone, the log begins at {start}"),
            }
            for batch in &batches {
                records.extend((batch.index_of(offset)..batch.len()).map(|i| Owned::of(batch, i)));
            }
            records.len() >= count
        })
        .await;
        records
    }
}

/// The outcomes of appends, in the order in which they were told.
#[derive(Default)]
pub(crate) struct Outcomes(RefCell<Vec<(u64, Result<(), Fault>)>>);

impl Outcomes {
    pub(crate) fn new() -> Rc<Self> {
        Rc::default()
    }

    pub(crate) fn completion(self: &Rc<Self>, token: u64) -> Completion {
        let owner: Rc<dyn Appended> = Rc::<Self>::clone(self);
        Completion { owner, token }
    }

    pub(crate) fn all(&self) -> Vec<(u64, Result<(), Fault>)> {
        self.0.borrow().clone()
    }
}

impl Appended for Outcomes {
    fn appended(&self, token: u64, outcome: Result<(), Fault>) {
        self.0.borrow_mut().push((token, outcome));
    }
}

/// A record with all that it holds.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Owned {
    pub(crate) offset: i64,
    pub(crate) timestamp: i64,
    pub(crate) key: Option<Vec<u8>>,
    pub(crate) value: Option<Vec<u8>>,
    pub(crate) headers: Vec<(String, Option<Vec<u8>>)>,
}

impl Owned {
    pub(crate) fn of(batch: &Batch, index: u32) -> Self {
        let record = batch.record(index);
        let text = |name: &[u8]| String::from_utf8(name.to_vec()).unwrap();
        Self {
            offset: record.offset(),
            timestamp: record.timestamp(),
            key: record.key().map(<[u8]>::to_vec),
            value: record.value().map(<[u8]>::to_vec),
            headers: record
                .headers()
                .map(|(name, value)| (text(name), value.map(<[u8]>::to_vec)))
                .collect(),
        }
    }
}

/// Headers of a draft.
pub(crate) struct HeaderList(pub(crate) Vec<(&'static str, Option<&'static [u8]>)>);

impl DraftHeaders for HeaderList {
    fn count(&self) -> usize {
        self.0.len()
    }
    fn for_each<'s>(&'s self, visit: &mut dyn FnMut(&'s str, Option<&'s [u8]>)) {
        self.0.iter().for_each(|(name, value)| visit(name, *value));
    }
}

/// A draft without headers.
pub(crate) fn draft<'a>(topic: &'a str, key: &'a str, value: Option<&'a [u8]>) -> Draft<'a> {
    Draft { topic, key: Some(key.as_bytes()), hash_key: None, value, timestamp: None, headers: &() }
}
