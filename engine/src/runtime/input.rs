//! The configuration that an engine runs on: its first reading, and what changes of it.

use std::io;
use std::sync::Arc;

use tokio::sync::{Notify, oneshot};

use crate::config::{Change, Poller, Reader, Version, Watcher};
use crate::runtime::EngineOptions;
use crate::shared::Lock;

/// Follows a configuration; ends when dropped.
pub(super) struct Input {
    reader: Reader,
    /// The last change, and who waits for one.
    changed: Arc<(Lock<Option<Change>>, Notify)>,
    follower: Follower,
}

/// What tells changes.
enum Follower {
    None,
    Watcher { _watcher: Watcher },
    Poller(Poller),
}

impl Input {
    /// Reads a configuration for the first time. Blocks no thread that asks.
    ///
    /// # Errors
    /// As [`Reader::read`].
    pub(super) async fn read(reader: &Reader) -> io::Result<Version> {
        if let Reader::File(_) = reader {
            return reader.read();
        }
        let (reply, answer) = oneshot::channel();
        let reader = reader.clone();
        let thread = std::thread::Builder::new().name("fetch".to_owned());
        // Nobody waits where the engine has been told to end.
        thread.spawn(move || reply.send(reader.read()).ok())?;
        answer.await.unwrap_or_else(|_| Err(io::Error::other("the thread that reads it panicked")))
    }

    /// Follows a configuration from what was read of it.
    ///
    /// # Errors
    /// Where no thread can be started.
    pub(super) fn follow(
        reader: Reader,
        known: Version,
        options: &EngineOptions,
    ) -> io::Result<Self> {
        // Only the last change counts.
        let changed = Arc::new((Lock::new(None), Notify::new()));
        let change = Arc::clone(&changed);
        let tell = move |what| {
            *change.0.lock() = Some(what);
            change.1.notify_one();
        };
        let follower = match &reader {
            Reader::File(path) if options.watches => {
                let watcher = Watcher::start_after(path, &known.source, tell)?;
                Follower::Watcher { _watcher: watcher }
            }
            Reader::File(_) => Follower::None,
            Reader::Remote(remote) => {
                let interval = options.watches.then_some(options.poll_interval);
                Follower::Poller(Poller::start_after(remote.clone(), known, interval, tell)?)
            }
        };
        Ok(Self { reader, changed, follower })
    }

    /// The next change. Nothing is lost where it is dropped and called again.
    pub(super) async fn changed(&self) -> Change {
        loop {
            self.changed.1.notified().await;
            if let Some(change) = self.changed.0.lock().take() {
                return change;
            }
        }
    }

    /// Reads it anew: what it is now, or `None` where that is told as the next change.
    pub(super) fn again(&self) -> Option<Change> {
        if let Follower::Poller(poller) = &self.follower {
            poller.ask_now();
            return None;
        }
        Some(match self.reader.read() {
            Ok(version) => Change::Content(version.source),
            Err(error) => Change::Unreadable(error.to_string()),
        })
    }
}
