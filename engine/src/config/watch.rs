//! What changes on disk.
//!
//! A file is watched through its directory: editors and deployment tools put another file in its
//! place, and a watch on the file itself would go with the old one. Where symbolic links lead to
//! the file, each directory on the way is watched too; a Kubernetes volume changes by swapping the
//! link `..data`.

mod target;
#[cfg(test)]
mod tests;

use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::thread::JoinHandle;
use std::time::Duration;

use crate::config::Source;
use crate::config::watch::target::{Notice, Targets};
use crate::runtime::Clock;

/// What became of the watched file.
#[derive(Debug)]
pub enum Change {
    /// It has this text now.
    Content(Source),
    /// It is gone.
    Missing,
    /// It is empty.
    Empty,
    /// It cannot be read, and why.
    Unreadable(String),
}

/// So long must a file rest after a write before it is read: the writer may not be done.
const QUIET: Duration = Duration::from_millis(50);

/// The same after the writer has closed it, or has put it in place: only so that several such
/// changes are read once.
const QUIET_CLOSED: Duration = Duration::from_millis(5);

/// A file that never rests is read all the same, so long after the first write.
const QUIET_MOST: Duration = Duration::from_millis(300);

/// A file that is gone or empty may be about to be written: only what lasts is reported.
const ABSENCE: Duration = Duration::from_millis(300);

/// The file is read so often in any case, since notices get lost (network file systems, a
/// directory that was replaced).
const POLL: Duration = Duration::from_secs(2);

/// The same where the system gives no notices.
const POLL_ALONE: Duration = Duration::from_millis(400);

/// A watch on a file; ends when dropped.
#[derive(Debug)]
pub struct Watcher {
    is_stopped: Arc<AtomicBool>,
    notices: SyncSender<Notice>,
    thread: Option<JoinHandle<()>>,
}

impl Watcher {
    /// Watches `path` and calls `on_change`, on a thread of its own, when its content has changed
    /// from what it is now. That the file is missing, empty or unreadable is told once, when it has
    /// lasted for a moment.
    ///
    /// # Errors
    /// Where no thread can be started. A system that gives no notices is no error: the file is then
    /// read several times a second.
    pub fn start(path: &Path, on_change: impl FnMut(Change) + Send + 'static) -> io::Result<Self> {
        let known = State::read(path);
        Self::start_from(path, known, on_change)
    }

    /// The same, for changes from `known`: a text that was read from the file before.
    ///
    /// # Errors
    /// As [`Watcher::start`].
    pub fn start_after(
        path: &Path,
        known: &Source,
        on_change: impl FnMut(Change) + Send + 'static,
    ) -> io::Result<Self> {
        Self::start_from(path, State::of(known.clone()), on_change)
    }

    fn start_from(
        path: &Path,
        known: State,
        on_change: impl FnMut(Change) + Send + 'static,
    ) -> io::Result<Self> {
        // Those beyond are not needed: the file is read after the last one that is taken out.
        let (notices, inbox) = sync_channel(64);
        let is_stopped = Arc::new(AtomicBool::new(false));
        let targets = Targets::new(path, notices.clone());
        let mut watch = Watch {
            path: path.to_owned(),
            known: known.identity(),
            targets,
            inbox,
            is_stopped: Arc::clone(&is_stopped),
            clock: Clock::new(),
            on_change,
        };
        let thread = std::thread::Builder::new().name("watch".to_owned());
        let thread = thread.spawn(move || watch.run())?;
        Ok(Self { is_stopped, notices, thread: Some(thread) })
    }
}

impl Drop for Watcher {
    fn drop(&mut self) {
        self.is_stopped.store(true, Ordering::Release);
        // A full queue wakes the thread as well.
        self.notices.try_send(Notice::Touched).ok();
        if let Some(thread) = self.thread.take() {
            // If it panicked, it has ended.
            thread.join().ok();
        }
    }
}

/// The thread's.
struct Watch<F> {
    path: PathBuf,
    /// What was told last.
    known: Identity,
    targets: Targets,
    inbox: Receiver<Notice>,
    is_stopped: Arc<AtomicBool>,
    clock: Clock,
    on_change: F,
}

impl<F: FnMut(Change)> Watch<F> {
    fn run(&mut self) {
        // Between the reading of what is known and the first watch, the file may have changed.
        self.check();
        let mut is_polling = false;
        while !self.is_stopped.load(Ordering::Acquire) {
            let poll = if self.targets.are_watched() { POLL } else { POLL_ALONE };
            if !std::mem::replace(&mut is_polling, poll == POLL_ALONE) && is_polling {
                tracing::warn!(
                    event = "config.watch.polling",
                    file = %self.path.display(),
                    "the system gives no notice of its changes: it is read several times a second",
                );
            }
            match self.inbox.recv_timeout(poll) {
                Ok(notice) => {
                    self.settle(notice);
                    self.check();
                }
                Err(RecvTimeoutError::Timeout) => self.check(),
                // Not while `targets` holds a sender.
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Waits until the file rests.
    fn settle(&mut self, first: Notice) {
        let deadline = self.clock.now() + QUIET_MOST;
        let mut notice = first;
        while !self.is_stopped.load(Ordering::Acquire) {
            let left = deadline.saturating_duration_since(self.clock.now());
            let quiet = match notice {
                Notice::Closed => QUIET_CLOSED,
                Notice::Touched => QUIET,
            };
            match self.inbox.recv_timeout(quiet.min(left)) {
                Ok(next) if !left.is_zero() => notice = next,
                _ => return,
            }
        }
    }

    /// Reads the file and tells what is new.
    fn check(&mut self) {
        self.targets.renew();
        let mut state = State::read(&self.path);
        if state.is_absence() && state.identity() != self.known {
            let deadline = self.clock.now() + ABSENCE;
            while state.is_absence() && !self.is_stopped.load(Ordering::Acquire) {
                let left = deadline.saturating_duration_since(self.clock.now());
                if left.is_zero() {
                    break;
                }
                // Whatever wakes it: the file is looked at again.
                if self.inbox.recv_timeout(left.min(QUIET)).is_ok() {
                    self.settle(Notice::Closed);
                }
                self.targets.renew();
                state = State::read(&self.path);
            }
        }
        let identity = state.identity();
        if identity != self.known && !self.is_stopped.load(Ordering::Acquire) {
            self.known = identity;
            (self.on_change)(state.0);
        }
    }
}

/// What a file is at one moment.
struct State(Change);

/// Equal exactly where there is nothing new to tell.
#[derive(Debug, PartialEq, Eq)]
enum Identity {
    Content(u64),
    Missing,
    Empty,
    Unreadable(String),
}

impl State {
    fn read(path: &Path) -> Self {
        match Source::read(path) {
            Ok(source) => Self::of(source),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Self(Change::Missing),
            Err(error) => Self(Change::Unreadable(error.to_string())),
        }
    }

    fn of(source: Source) -> Self {
        let is_empty = source.text().trim().is_empty();
        Self(if is_empty { Change::Empty } else { Change::Content(source) })
    }

    fn is_absence(&self) -> bool {
        !matches!(self.0, Change::Content(_))
    }

    fn identity(&self) -> Identity {
        match &self.0 {
            Change::Content(source) => {
                let mut hasher = DefaultHasher::new();
                source.text().hash(&mut hasher);
                Identity::Content(hasher.finish())
            }
            Change::Missing => Identity::Missing,
            Change::Empty => Identity::Empty,
            Change::Unreadable(error) => Identity::Unreadable(error.clone()),
        }
    }
}
