//! Retained publishes that are on their way to Kafka.
//!
//! A retained publish is two records on two topics, and Kafka may have the message before the
//! retained one, though that was appended first: they go to two partitions, in two requests. A
//! subscription that begins between the two would get neither: its live start is behind the
//! message, and the retained topic has an older one. So a SUBSCRIBE first fixes its live start, then
//! waits until the pairs are complete that were begun before, over all workers, and only then brings
//! the retained messages up to date. Pairs of other processes are not known here: one of theirs
//! that is torn apart for longer than the two questions take is still missed.

use std::collections::BTreeSet;
use std::rc::Rc;
use std::sync::Arc;

use engine::shared::Lock;
use kafka_plane::{Appended, Completion, Fault};
use tokio::sync::Notify;

use crate::proxy::shared::Shared;

/// The pairs that are not complete, by a number that grows. Shared by the workers of a binding;
/// touched by retained publishes and by a SUBSCRIBE that asks for retained messages.
#[derive(Debug, Default)]
pub(in crate::proxy) struct Pairs {
    open: Lock<Open>,
    completed: Notify,
}

#[derive(Debug, Default)]
struct Open {
    next: u64,
    numbers: BTreeSet<u64>,
}

impl Pairs {
    fn enter(&self) -> u64 {
        let open = &mut *self.open.lock();
        open.next += 1;
        open.numbers.insert(open.next);
        open.next
    }

    fn leave(&self, number: u64) {
        self.open.lock().numbers.remove(&number);
        self.completed.notify_waiters();
    }

    /// What [`Pairs::settled`] has to wait for at present; `None`: nothing.
    pub(in crate::proxy) fn last(&self) -> Option<u64> {
        self.open.lock().numbers.last().copied()
    }

    /// Waits until all pairs up to the number `last` are complete, or have failed.
    pub(in crate::proxy) async fn settled(&self, last: u64) {
        loop {
            let completed = self.completed.notified();
            tokio::pin!(completed);
            // What completes from here on is told.
            completed.as_mut().enable();
            if self.open.lock().numbers.first().is_none_or(|first| *first > last) {
                return;
            }
            completed.await;
        }
    }
}

/// A pair that is being appended. It is complete when this is dropped: when both records are in
/// Kafka, or one of them has failed.
pub(in crate::proxy) struct Pair {
    shared: Arc<Shared>,
    number: u64,
    /// Who else waits for it.
    completion: Option<Completion>,
}

impl Pair {
    /// Counts a pair that is about to be appended: the completion to append it with.
    pub(in crate::proxy) fn begin(
        shared: &Arc<Shared>,
        completion: Option<Completion>,
    ) -> Completion {
        let number = shared.pairs.enter();
        Completion {
            owner: Rc::new(Self { shared: Arc::clone(shared), number, completion }),
            token: 0,
        }
    }
}

impl Appended for Pair {
    fn appended(&self, _token: u64, outcome: Result<(), Fault>) {
        if let Some(Completion { owner, token }) = &self.completion {
            owner.appended(*token, outcome);
        }
    }
}

impl Drop for Pair {
    fn drop(&mut self) {
        self.shared.pairs.leave(self.number);
    }
}
