//! The thread that waits for the disk: one fsync for all that was written meanwhile, then the
//! answers. A disk that stalls so holds up those who were promised durability, and nobody else.
//!
//! The system tells an error of an fsync once and forgets what it could not write. So only this
//! thread syncs the segment that is appended to, and after an error nothing of what was written
//! since the last good sync is acknowledged, whatever a later fsync says.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use engine::shared::Lock;
use engine::telemetry::Counter;
use kafka_plane::Fault;

use super::Log;
use crate::cluster::{Answer, Calls, Cluster, Lane};

/// How long the threads sleep while they wait for each other.
const IDLE: Duration = Duration::from_secs(1);

/// A place in the log: the number of a segment, and bytes of it.
pub(super) type Position = (u64, u64);

/// What is to be durable, and who is told then.
#[derive(Debug)]
pub(super) struct Request {
    /// Requests are numbered from 1.
    pub(super) ticket: u64,
    /// How often the writer had given up what was not durable.
    pub(super) epoch: u64,
    pub(super) file: Arc<File>,
    pub(super) upto: Position,
    pub(super) answers: Vec<(Arc<Lane>, Vec<Answer>)>,
    /// Records that wait, and their bytes.
    pub(super) weight: (usize, usize),
}

/// What the writer and this thread share.
#[derive(Debug, Default)]
pub(super) struct Syncs {
    pub(super) requests: Calls<Request>,
    /// The last request of which all is durable.
    done: AtomicU64,
    epoch: AtomicU64,
    durable: Lock<Position>,
    failure: Lock<Option<io::Error>>,
    has_failed: AtomicBool,
    is_awaited: AtomicBool,
    /// Whether the writer has ended.
    is_ended: AtomicBool,
    /// Whether this thread has.
    is_dead: AtomicBool,
}

impl Syncs {
    /// The last request of which all is durable.
    pub(super) fn done(&self) -> u64 {
        self.done.load(Ordering::Acquire)
    }

    /// Up to where all is durable.
    pub(super) fn durable(&self) -> Position {
        *self.durable.lock()
    }

    /// Says that all is durable up to a position.
    pub(super) fn set_durable(&self, position: Position) {
        *self.durable.lock() = position;
    }

    /// How often the writer has given up what was not durable.
    pub(super) fn epoch(&self) -> u64 {
        self.epoch.load(Ordering::Acquire)
    }

    /// The error after which nothing is durable any more, until [`Syncs::begin_epoch`].
    pub(super) fn failure(&self) -> Option<io::Error> {
        let is_new = self.has_failed.load(Ordering::Acquire);
        is_new.then(|| self.failure.lock().take()).flatten()
    }

    /// Says that the writer gives up what is not durable, and then does so by `give_up`. What it
    /// writes from then on can become durable.
    pub(super) fn begin_epoch(&self, give_up: impl FnOnce()) {
        self.epoch.fetch_add(1, Ordering::AcqRel);
        give_up();
        self.has_failed.store(false, Ordering::Release);
    }

    /// Waits until a request is durable; false where it will not be.
    pub(super) fn wait(&self, ticket: u64, cluster: &Cluster) -> bool {
        let is_over = || {
            self.done() >= ticket
                || self.has_failed.load(Ordering::Acquire)
                || self.is_dead.load(Ordering::Acquire)
        };
        self.is_awaited.store(true, Ordering::SeqCst);
        while !is_over() {
            cluster.produce.sleep(IDLE, is_over);
        }
        self.is_awaited.store(false, Ordering::SeqCst);
        self.done() >= ticket
    }

    /// Says that the writer has ended.
    pub(super) fn end(&self) {
        self.is_ended.store(true, Ordering::Release);
        self.requests.sleeper.wake();
    }
}

/// The thread's state.
pub(super) struct Syncer {
    log: Arc<Log>,
    counter: Counter,
}

impl Drop for Syncer {
    fn drop(&mut self) {
        self.log.syncs.is_dead.store(true, Ordering::Release);
        self.log.cluster.produce.wake();
    }
}

impl Syncer {
    pub(super) fn new(log: &Arc<Log>) -> Self {
        Self { log: Arc::clone(log), counter: log.cluster.counter("log_syncs") }
    }

    pub(super) fn run(self) {
        let syncs = Arc::clone(&self.log.syncs);
        syncs.requests.sleeper.adopt();
        let mut requests = Vec::new();
        loop {
            let is_ended = syncs.is_ended.load(Ordering::Acquire);
            syncs.requests.swap(&mut requests);
            if !requests.is_empty() {
                let is_durable = self.sync(&requests);
                self.answer(&mut requests, is_durable);
            } else if is_ended {
                return;
            }
            syncs.requests.sleep_unless(IDLE, || syncs.is_ended.load(Ordering::Acquire));
        }
    }

    /// Makes requests durable; for each whether it is.
    fn sync(&self, requests: &[Request]) -> bool {
        let syncs = &*self.log.syncs;
        let Some(last) = requests.last() else { return true };
        if syncs.has_failed.load(Ordering::Acquire) || last.epoch != syncs.epoch() {
            return false;
        }
        // The writer goes on in another file only when all of one is durable.
        let synced = last.file.sync_data();
        self.counter.increment();
        match synced {
            Ok(()) => {
                syncs.set_durable(last.upto);
                syncs.done.store(last.ticket, Ordering::Release);
                true
            }
            Err(error) => {
                *syncs.failure.lock() = Some(error);
                syncs.has_failed.store(true, Ordering::Release);
                false
            }
        }
    }

    /// Answers all that waited: one call a worker.
    fn answer(&self, requests: &mut Vec<Request>, is_durable: bool) {
        if !is_durable || self.log.syncs.is_awaited.load(Ordering::SeqCst) {
            self.log.cluster.produce.wake();
        }
        let epoch = self.log.syncs.epoch();
        let mut all: BTreeMap<*const Lane, (Arc<Lane>, Vec<Answer>)> = BTreeMap::new();
        for request in requests.drain(..) {
            // One of an earlier epoch was given up, though it came with later ones.
            let is_lost = !is_durable || request.epoch != epoch;
            for (lane, mut answers) in request.answers {
                if is_lost {
                    answers.iter_mut().for_each(refuse);
                }
                let list = all.entry(Arc::as_ptr(&lane)).or_insert_with(|| (lane, Vec::new()));
                list.1.append(&mut answers);
            }
            self.log.cluster.settled(request.weight.0, request.weight.1);
        }
        for (lane, mut answers) in all.into_values() {
            lane.answers.append(&mut answers);
        }
        self.log.cluster.offer_room();
    }
}

fn refuse(answer: &mut Answer) {
    if let Answer::Appended(_, outcome) = answer {
        *outcome = Err(Fault::Unavailable);
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use engine::shared::Store;
    use engine::spi::WorkerCx;
    use engine::telemetry::Metrics;

    use super::super::home::Home;
    use super::super::{Options, RECORD_BYTES};
    use super::*;
    use crate::cluster::Opening;

    /// What became of the appends of each request, in order.
    fn outcomes(lane: &Lane) -> Vec<(u32, Result<(), Fault>)> {
        let mut answers = Vec::new();
        lane.answers.swap(&mut answers);
        let outcome = |answer| match answer {
            Answer::Appended(key, outcome) => Some((key, outcome)),
            _ => None,
        };
        answers.into_iter().filter_map(outcome).collect()
    }

    #[test]
    fn after_a_failed_sync_nothing_is_acknowledged_until_the_writer_gave_it_up() {
        let dir = tempfile::tempdir().unwrap();
        let opening = Opening {
            store: &Store::default(),
            key: "t".to_owned(),
            name: "t",
            metrics: &Arc::<Metrics>::default(),
            log_bytes: 1 << 20,
            record_bytes: RECORD_BYTES,
        };
        let cluster = Arc::clone(&opening.open(|_| Ok(())).unwrap());
        let log = Arc::new(Log {
            cluster: Arc::clone(&cluster),
            options: Options::of(dir.path()),
            keep: Calls::default(),
            syncs: Arc::default(),
            _home: Home::open(dir.path()).unwrap(),
        });
        let (syncer, syncs) = (Syncer::new(&log), Arc::clone(&log.syncs));
        let cx = WorkerCx::detached();
        let guard = cx.signal(Rc::new(|| {}));
        let lane = Lane::new(guard.signal());
        let sound = Arc::new(File::create(dir.path().join("sound")).unwrap());
        // One that cannot be synced.
        let broken = Arc::new(File::open("/dev/null").unwrap());
        let give = |ticket: u64, epoch: u64, file: &Arc<File>| {
            cluster.reserve(1, 1);
            let key = u32::try_from(ticket).unwrap();
            let answers = vec![(Arc::clone(&lane), vec![Answer::Appended(key, Ok(()))])];
            let (file, upto) = (Arc::clone(file), (1, ticket));
            Request { ticket, epoch, file, upto, answers, weight: (1, 1) }
        };
        let serve = |mut requests: Vec<Request>| {
            let is_durable = syncer.sync(&requests);
            syncer.answer(&mut requests, is_durable);
            outcomes(&lane)
        };
        let lost = Err(Fault::Unavailable);
        assert_eq!(serve(vec![give(1, 0, &sound), give(2, 0, &sound)]), [(1, Ok(())), (2, Ok(()))]);
        assert_eq!((syncs.done(), syncs.durable()), (2, (1, 2)));
        assert_eq!(serve(vec![give(3, 0, &broken)]), [(3, lost)]);
        assert_eq!(serve(vec![give(4, 0, &sound)]), [(4, lost)], "the error was told once");
        assert!(syncs.failure().is_some());
        assert_eq!(serve(vec![give(5, 0, &sound)]), [(5, lost)], "not given up yet");
        syncs.begin_epoch(|| {});
        assert_eq!((syncs.done(), syncs.durable(), syncs.epoch()), (2, (1, 2), 1));
        assert_eq!(serve(vec![give(6, 0, &sound)]), [(6, lost)], "written before");
        let mixed = vec![give(7, 0, &sound), give(8, 1, &sound)];
        assert_eq!(serve(mixed), [(7, lost), (8, Ok(()))]);
        assert_eq!((syncs.done(), syncs.durable()), (8, (1, 8)));
        assert!(syncs.failure().is_none());
        assert_eq!(cluster.unacked_records.load(Ordering::Acquire), 0);
    }
}
