//! What one worker and the threads of a cluster leave for each other.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use engine::shared::{Inbox, Lock, Signal};
use kafka_plane::{Fault, Older};

use crate::state::Burst;

/// The answer to something that a worker asked for, by the worker's own key.
#[derive(Debug)]
pub(crate) enum Answer {
    /// The ends of a topic's partitions, by partition.
    Ends(usize, Result<Box<[i64]>, Fault>),
    /// A table holds what the topic held when it was asked.
    Synced(usize, Result<(), Fault>),
    /// Records that memory no longer held.
    Older(usize, Result<Older, Fault>),
    /// An append is in Kafka, or is not.
    Appended(u32, Result<(), Fault>),
    /// There is room for appends again.
    Room,
}

/// One worker's exchange with the threads of a cluster.
#[derive(Debug)]
pub(crate) struct Lane {
    /// Drafts for the producer.
    pub(crate) burst: Lock<Burst>,
    /// Answers for the worker.
    pub(crate) answers: Inbox<Answer>,
    signal: Arc<Signal>,
    wants_room: AtomicBool,
    is_gone: AtomicBool,
}

impl Lane {
    /// A lane of the worker that `signal` calls.
    pub(crate) fn new(signal: Arc<Signal>) -> Arc<Self> {
        Arc::new(Self {
            burst: Lock::default(),
            answers: Inbox::new(Arc::clone(&signal)),
            signal,
            wants_room: AtomicBool::new(false),
            is_gone: AtomicBool::new(false),
        })
    }

    /// What calls the worker.
    pub(crate) fn signal(&self) -> &Arc<Signal> {
        &self.signal
    }

    /// Says that the worker uses it no more.
    pub(crate) fn leave(&self) {
        self.is_gone.store(true, Ordering::Release);
    }

    /// Whether the worker uses it no more.
    pub(crate) fn is_gone(&self) -> bool {
        self.is_gone.load(Ordering::Acquire)
    }

    /// Says that the worker waits for room.
    pub(crate) fn ask_for_room(&self) {
        self.wants_room.store(true, Ordering::SeqCst);
    }

    /// Tells the worker that there is room, if it waits for it.
    pub(crate) fn offer_room(&self) {
        if self.wants_room.swap(false, Ordering::SeqCst) {
            self.answers.push(Answer::Room);
        }
    }
}
