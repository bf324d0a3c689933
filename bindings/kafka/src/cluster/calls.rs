//! What is left for a thread of a cluster, and how it sleeps until there is something.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, OnceLock};
use std::thread::Thread;
use std::time::Duration;

use engine::shared::Lock;

/// A thread that sleeps until it is called.
#[derive(Debug, Default)]
pub(crate) struct Sleeper {
    thread: OnceLock<Thread>,
    is_asleep: AtomicBool,
}

impl Sleeper {
    /// Makes the present thread the one that sleeps.
    pub(crate) fn adopt(&self) {
        // Each cluster starts each of its threads once.
        self.thread.set(std::thread::current()).ok();
    }

    /// Wakes the thread if it sleeps; costs a system call only then.
    pub(crate) fn wake(&self) {
        if self.is_asleep.swap(false, Ordering::SeqCst)
            && let Some(thread) = self.thread.get()
        {
            thread.unpark();
        }
    }

    /// Sleeps until [`Sleeper::wake`], at most for `most`; not at all where `has_work` says that
    /// something came before the thread was known to sleep.
    pub(crate) fn sleep(&self, most: Duration, has_work: impl FnOnce() -> bool) {
        self.is_asleep.store(true, Ordering::SeqCst);
        if !has_work() {
            std::thread::park_timeout(most);
        }
        self.is_asleep.store(false, Ordering::SeqCst);
    }
}

#[cfg(feature = "embedded")]
impl Sleeper {
    /// As [`Sleeper::sleep`], and woken by `other` too.
    pub(crate) fn sleep_with(&self, other: &Self, most: Duration, has_work: impl FnOnce() -> bool) {
        self.is_asleep.store(true, Ordering::SeqCst);
        other.sleep(most, has_work);
        self.is_asleep.store(false, Ordering::SeqCst);
    }
}

/// Items that other threads leave for one thread. What bounds them is that their senders have a
/// bounded number of requests outstanding.
#[derive(Debug)]
pub(crate) struct Calls<T> {
    items: Lock<Vec<T>>,
    pub(crate) sleeper: Arc<Sleeper>,
}

impl<T> Default for Calls<T> {
    fn default() -> Self {
        Self { items: Lock::new(Vec::new()), sleeper: Arc::default() }
    }
}

impl<T> Calls<T> {
    /// Leaves an item and wakes the thread.
    pub(crate) fn push(&self, item: T) {
        self.items.lock().push(item);
        self.sleeper.wake();
    }

    /// Takes what is there by exchanging it for `empty`.
    pub(crate) fn swap(&self, empty: &mut Vec<T>) {
        std::mem::swap(&mut *self.items.lock(), empty);
    }

    /// Whether nothing was left.
    pub(crate) fn is_empty(&self) -> bool {
        self.items.lock().is_empty()
    }

    /// Sleeps until something is left or [`Sleeper::wake`] is called, at most for `most`; not at
    /// all where `has_work` says that there is more to do.
    pub(crate) fn sleep_unless(&self, most: Duration, has_work: impl FnOnce() -> bool) {
        self.sleeper.sleep(most, || !self.is_empty() || has_work());
    }
}
