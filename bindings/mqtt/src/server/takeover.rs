//! One connection a client id within the process: the newer takes over, whatever worker has the
//! older [MQTT-3.1.4-3].

use std::any::Any;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use engine::shared::Directory;
use mqtt_plane::{Closed, ReasonCode};

use super::node::Server;
use super::registry::{Order, Registration};

/// How long a newer connection waits for the session of the older to end. Only what waits for Kafka,
/// or a worker that is stalled, takes that long.
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

    /// Gives a client id back, to `still` where the session of that connection has not ended.
    /// Where a newer connection owns it, it stays with that one, which is returned.
    pub(super) fn release(
        &self,
        client_id: &str,
        owner: Owner,
        still: Option<Owner>,
    ) -> Option<Owner> {
        let was_owner = match still {
            Some(still) => self.0.pass(client_id, &owner, still),
            None => self.0.release(client_id, &owner),
        };
        if was_owner { None } else { self.0.owner(client_id) }
    }
}

/// What one worker's server tells another's.
enum Letter {
    /// The connection `token` has lost its client id to `by`, which begins with a clean session or
    /// not.
    TakeOver { token: u64, by: Owner, is_clean: bool },
    /// The session of `from`, which the connection `token` waits for, has ended; `still` is one
    /// before that has not.
    Released { token: u64, from: Owner, still: Option<Owner> },
}

/// The session of the older connection has not ended in time.
const HELD: Closed = Closed {
    reason: ReasonCode::SERVER_UNAVAILABLE,
    detail: "an earlier connection of this client has not ended yet, since it waits for the answer \
             to its QoS 2 publishes: connect again later, or with Clean Start",
};

impl Server {
    /// Makes a connection the owner of a client id, and waits until the session of the connection
    /// that owned it has ended.
    ///
    /// # Errors
    /// It does not end. Two sessions of one client would each have half of its state.
    pub(super) async fn claim(
        &self,
        client_id: &str,
        is_clean: bool,
        me: &Registration,
    ) -> Result<(), Closed> {
        let client_id: Arc<str> = client_id.into();
        me.is_clean.set(is_clean);
        let previous = self.lasting.clients.0.claim(Arc::clone(&client_id), me.owner());
        me.claimed(client_id);
        let Some(previous) = previous else { return Ok(()) };
        me.waits_for.set(Some(previous));
        let released = poll_fn(|cx| {
            me.park(cx.waker());
            // This connection may itself be taken over while it waits.
            if me.waits_for.get().is_none() || me.ordered().is_some() {
                Poll::Ready(())
            } else {
                Poll::Pending
            }
        });
        let is_told = self.tell_taken_over(previous, me.owner(), is_clean);
        if !is_told || tokio::time::timeout(PATIENCE, released).await.is_err() {
            self.counters.takeovers_refused.increment();
            return Err(HELD);
        }
        Ok(())
    }

    fn tell_taken_over(&self, previous: Owner, by: Owner, is_clean: bool) -> bool {
        self.tell(previous.worker, Letter::TakeOver { token: previous.token, by, is_clean })
    }

    pub(super) fn tell_released(&self, waiter: Owner, from: Owner, still: Option<Owner>) {
        // A waiter that is not told waits no longer than its patience.
        self.tell(waiter.worker, Letter::Released { token: waiter.token, from, still });
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
            Letter::TakeOver { token, by, is_clean } => match self.registry.get(token) {
                Some(handle) => {
                    handle.await_end(by);
                    if is_clean {
                        // [MQTT-3.1.2-4]
                        handle.is_discarded.set(true);
                    }
                    handle.order(Order::TakenOver);
                    // It may be ending already.
                    handle.wake();
                }
                // It has ended meanwhile.
                None => self.tell_released(by, Owner { worker: self.cx.index(), token }, None),
            },
            Letter::Released { token, from, still } => {
                let Some(handle) = self.registry.get(token) else { return };
                if handle.waits_for.get() != Some(from) {
                    return;
                }
                handle.waits_for.set(still);
                let me = Owner { worker: self.cx.index(), token };
                let is_clean = handle.is_clean.get();
                if still.is_none_or(|still| !self.tell_taken_over(still, me, is_clean)) {
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
