//! The clock of a server's connections, and their end when the server retires.

use std::rc::Rc;
use std::time::{Duration, Instant};

use engine::spi::Retire;

use super::node::Server;
use super::registry::{Handle, Order};

/// The resolution of keep alive.
const TICK: Duration = Duration::from_millis(250);

/// Ticks of one and a half seconds.
const TICKS: u32 = 6;

/// Ticks of silence that a keep alive of `seconds` allows: one and a half times as long
/// [MQTT-3.1.2-22], and the tick that has begun when the silence does. 0 for none.
pub(super) fn patience(seconds: u16) -> u32 {
    if seconds == 0 { 0 } else { u32::from(seconds) * TICKS + 1 }
}

impl Server {
    /// Runs the clock while there are connections: one timer a worker, none a connection.
    pub(super) fn keep_ticking(self: &Rc<Self>) {
        if self.is_ticking.replace(true) {
            return;
        }
        let server = Rc::clone(self);
        self.cx.spawn(async move {
            while server.registry.len() > 0 {
                tokio::time::sleep(TICK).await;
                server.sweep();
            }
            server.is_ticking.set(false);
        });
    }

    /// A tick has passed. Time in which the process did not run does not count, so that a machine
    /// that slept does not lose its clients.
    fn sweep(&self) {
        let now = self.tick().wrapping_add(1);
        self.set_tick(now);
        self.registry.for_each(|handle| {
            if handle.is_paced.get() {
                handle.wake();
            }
            if handle.is_deaf.get() {
                handle.heard.set(now);
                return;
            }
            let patience = handle.patience.get();
            if patience != 0 && now.wrapping_sub(handle.heard.get()) >= patience {
                handle.order(Order::KeepAlive);
            }
        });
    }

    /// Takes no more connections and ends those there are: at a shutdown when what is in flight is
    /// finished, else when the deadline comes; without one they go on.
    pub(super) fn retire_all(self: &Rc<Self>, retire: Retire) {
        self.is_retired.set(true);
        if retire.is_shutdown {
            self.registry.for_each(|handle| handle.order(Order::Drain));
        }
        let Some(deadline) = retire.deadline else { return };
        let last = if retire.is_shutdown { Order::Shutdown } else { Order::Remove };
        self.order_at(deadline, last, |_| true);
    }

    /// Tells those connections that are meant, when the deadline comes.
    pub(super) fn order_at(
        self: &Rc<Self>,
        deadline: Instant,
        order: Order,
        is_meant: impl Fn(&Handle) -> bool + 'static,
    ) {
        let server = Rc::clone(self);
        self.cx.spawn(async move {
            tokio::time::sleep_until(deadline.into()).await;
            server.registry.for_each(|handle| {
                if is_meant(handle) {
                    handle.order(order);
                }
            });
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [MQTT-3.1.2-22]
    #[test]
    fn silence_is_never_cut_short_by_the_resolution_of_the_clock() {
        assert_eq!(patience(0), 0);
        for seconds in [1, 10, 11, u16::MAX] {
            let least = TICK * (patience(seconds) - 1);
            assert_eq!(least.as_millis(), u128::from(seconds) * 1500);
        }
    }
}
