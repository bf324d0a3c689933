//! Items that other threads leave for a worker.

use std::sync::Arc;

use super::{Lock, Signal};

/// A list that other threads fill in batches and one worker empties. What bounds it is the number
/// of requests that the worker has outstanding: each is answered once.
#[derive(Debug)]
pub struct Inbox<T> {
    items: Lock<Vec<T>>,
    signal: Arc<Signal>,
}

impl<T> Inbox<T> {
    /// An inbox whose worker is called by `signal`.
    #[must_use]
    pub fn new(signal: Arc<Signal>) -> Self {
        Self { items: Lock::new(Vec::new()), signal }
    }

    /// Moves all of `batch` in and raises the signal; leaves `batch` empty, its memory kept.
    pub fn append(&self, batch: &mut Vec<T>) {
        if batch.is_empty() {
            return;
        }
        self.items.lock().append(batch);
        self.signal.raise();
    }

    /// Leaves one item and raises the signal.
    pub fn push(&self, item: T) {
        self.items.lock().push(item);
        self.signal.raise();
    }

    /// Takes what is there by exchanging it for `empty`, whose memory serves for the next.
    pub fn swap(&self, empty: &mut Vec<T>) {
        std::mem::swap(&mut *self.items.lock(), empty);
    }
}
