//! One connection a client id within the process: the newer takes over, whatever worker has the
//! older [MQTT-3.1.4-3].

use std::any::Any;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use engine::shared::Directory;

use super::node::Server;
use super::registry::{Order, Registration};

/// How long a newer connection waits for the session of the older to end. Only a worker that is
/// stalled takes that long.
const PATIENCE: Duration = Duration::from_secs(2);

/// A connection, as other workers name it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Owner {
    pub(super) worker: usize,
    pub(super) token: u64,
}

/// Which connection owns each client id. Shared by workers and by generations.
#[derive(Debug, Default)]
pub(super) struct Clients(Directory<Arc<str>, Owner>);

impl Clients {
    pub(super) fn owner(&self, client_id: &str) -> Option<Owner> {
        self.0.owner(client_id)
    }

    pub(super) fn release(&self, client_id: &str, owner: &Owner) {
        // Where a newer connection owns it, it stays with that one.
        self.0.release(client_id, owner);
    }
}

/// What one worker's server tells another's.
enum Letter {
    /// The connection `token` has lost its client id to `by`.
    TakeOver { token: u64, by: Owner },
    /// The session that the connection `token` waits for has ended.
    Released { token: u64 },
}

impl Server {
    /// Makes a connection the owner of a client id, and waits until the session of the connection
    /// that owned it has ended.
    pub(super) async fn claim(&self, client_id: &str, me: &Registration) {
        let client_id: Arc<str> = client_id.into();
        let previous = self.lasting.clients.0.claim(Arc::clone(&client_id), me.owner());
        me.claimed(client_id);
        let Some(previous) = previous else { return };
        let released = poll_fn(|cx| {
            me.park(cx.waker());
            // This connection may itself be taken over while it waits.
            if me.is_released.get() || me.ordered().is_some() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let is_told = self.tell_taken_over(previous, me.owner());
        if !is_told || tokio::time::timeout(PATIENCE, released).await.is_err() {
            self.counters.takeovers_not_awaited.increment();
        }
    }

    fn tell_taken_over(&self, previous: Owner, by: Owner) -> bool {
        self.tell(previous.worker, Letter::TakeOver { token: previous.token, by })
    }

    pub(super) fn tell_released(&self, waiter: Owner) {
        // A waiter that is not told waits no longer than its patience.
        self.tell(waiter.worker, Letter::Released { token: waiter.token });
    }

    fn tell(&self, worker: usize, letter: Letter) -> bool {
        if worker == self.cx.index() {
            self.read_letter(&letter);
            return true;
        }
        self.cx.post(worker, &self.name, Box::new(letter)).is_ok()
    }

    /// Takes what another worker's server posted.
    pub(super) fn receive_letter(&self, payload: &(dyn Any + Send)) {
        if let Some(letter) = payload.downcast_ref() {
            self.read_letter(letter);
        }
    }

    fn read_letter(&self, letter: &Letter) {
        match *letter {
            Letter::TakeOver { token, by } => match self.registry.get(token) {
                Some(handle) => {
                    handle.await_end(by);
                    handle.order(Order::TakenOver);
                }
                // It has ended meanwhile.
                None => self.tell_released(by),
            },
            Letter::Released { token } => {
                if let Some(handle) = self.registry.get(token) {
                    handle.is_released.set(true);
                    handle.wake();
                }
            }
        }
    }
}

#[cfg(test)]
impl Clients {
    pub(super) fn set_owner(&self, client_id: &str, owner: Owner) {
        self.0.claim(client_id.into(), owner);
    }
}
