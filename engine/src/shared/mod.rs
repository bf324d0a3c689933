//! The closed list of what threads share. Everything else that is reachable from a connection
//! lives on one thread.

#![expect(clippy::disallowed_types, reason = "the one place where locks are allowed")]

mod directory;
mod inbox;
mod log;
mod signal;
mod store;
mod table;

pub use directory::Directory;
pub use inbox::Inbox;
pub use log::{Log, LogRead};
pub use signal::Signal;
pub use store::Store;
pub use table::{Table, Visit};

use std::sync::{Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard, RwLockWriteGuard};

/// A mutex for values without invariants that span statements: a panic while it was held leaves
/// them as they are, and they are used on.
#[derive(Debug, Default)]
pub struct Lock<T>(Mutex<T>);

impl<T> Lock<T> {
    /// A lock around `value`.
    pub const fn new(value: T) -> Self {
        Self(Mutex::new(value))
    }

    /// Locks it. Hold it for a few instructions; never across an await or a call to others.
    pub fn lock(&self) -> MutexGuard<'_, T> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A read-write lock, as [`Lock`].
#[derive(Debug, Default)]
pub(crate) struct SharedLock<T>(RwLock<T>);

impl<T> SharedLock<T> {
    pub(crate) fn read(&self) -> RwLockReadGuard<'_, T> {
        self.0.read().unwrap_or_else(PoisonError::into_inner)
    }

    pub(crate) fn write(&self) -> RwLockWriteGuard<'_, T> {
        self.0.write().unwrap_or_else(PoisonError::into_inner)
    }
}
