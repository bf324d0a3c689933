//! The `$SYS` subscriptions of clients that are away.

use std::collections::HashMap;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use engine::shared::Lock;

use super::session::Held;

/// How many clients' are kept: few watch the server, and fewer from sessions that outlive their
/// connection.
const CLIENTS: usize = 1000;

/// The `$SYS` subscriptions of clients that are away. Shared by workers and by generations.
#[derive(Default)]
pub(in crate::server) struct Kept {
    clients: Lock<HashMap<Box<str>, Left>>,
    /// How many they are, so that a CONNECT takes no lock while there are none.
    count: AtomicUsize,
}

struct Left {
    /// When the session expires; `None`: it does not.
    until: Option<Instant>,
    subscriptions: Vec<Held>,
}

impl Left {
    fn is_there(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl Kept {
    /// Keeps what a client has subscribed to for `expiry` seconds, [`u32::MAX`] for good. `false`
    /// where there are too many already.
    pub(super) fn keep(
        &self,
        client_id: &str,
        subscriptions: Vec<Held>,
        expiry: u32,
        now: Instant,
    ) -> bool {
        let mut clients = self.clients.lock();
        if clients.len() >= CLIENTS {
            clients.retain(|_, left| left.is_there(now));
        }
        let is_room = clients.len() < CLIENTS;
        if is_room {
            let lasts = Duration::from_secs(expiry.into());
            let until = if expiry == u32::MAX { None } else { now.checked_add(lasts) };
            clients.insert(client_id.into(), Left { until, subscriptions });
        }
        self.count.store(clients.len(), Ordering::Relaxed);
        is_room
    }

    /// Whether a client has left any that are not expired.
    pub(super) fn has(&self, client_id: &str, now: Instant) -> bool {
        self.count.load(Ordering::Relaxed) > 0
            && self.clients.lock().get(client_id).is_some_and(|left| left.is_there(now))
    }

    /// What a client has left; it is not kept any more.
    pub(super) fn take(&self, client_id: &str, now: Instant) -> Option<Vec<Held>> {
        if self.count.load(Ordering::Relaxed) == 0 {
            return None;
        }
        let mut clients = self.clients.lock();
        let left = clients.remove(client_id);
        self.count.store(clients.len(), Ordering::Relaxed);
        left.filter(|left| left.is_there(now)).map(|left| left.subscriptions)
    }
}

#[cfg(test)]
mod tests {
    use engine::spi::WorkerCx;

    use super::*;

    #[test]
    fn what_a_client_left_is_there_once_and_until_it_expires() {
        let now = WorkerCx::detached().clock().now();
        let kept = Kept::default();
        assert!(!kept.has("c", now));
        assert!(kept.keep("c", Vec::new(), 10, now) && kept.keep("d", Vec::new(), u32::MAX, now));
        let later = |seconds| now + Duration::from_secs(seconds);
        assert!(kept.has("c", later(9)) && !kept.has("c", later(10)) && !kept.has("e", now));
        assert!(kept.has("d", later(1 << 33)));
        assert!(kept.take("c", later(9)).is_some() && kept.take("c", later(9)).is_none());
        assert!(kept.keep("c", Vec::new(), 10, now) && kept.take("c", later(10)).is_none());
        assert!(kept.take("d", now).is_some() && !kept.has("d", now));
    }

    #[test]
    fn no_more_are_kept_than_there_is_room_for_and_the_expired_make_room() {
        let now = WorkerCx::detached().clock().now();
        let kept = Kept::default();
        for client in 0..CLIENTS {
            assert!(kept.keep(&client.to_string(), Vec::new(), 1, now));
        }
        assert!(!kept.keep("late", Vec::new(), 1, now) && !kept.has("late", now));
        let later = now + Duration::from_secs(1);
        assert!(kept.keep("late", Vec::new(), 1, later) && kept.has("late", later));
    }
}
