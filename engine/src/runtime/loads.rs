//! How many connections each worker has.

use std::sync::atomic::{AtomicUsize, Ordering};

/// Connections by worker, for placing the next one.
#[derive(Debug)]
pub struct Loads(Box<[AtomicUsize]>);

impl Loads {
    /// No connections on `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| AtomicUsize::new(0)).collect())
    }

    /// Chooses the worker for a connection that `acceptor` accepted, and counts it there: the
    /// least loaded, the acceptor itself where it is as good.
    #[must_use]
    pub fn place(&self, acceptor: usize) -> usize {
        let load = |worker: usize| self.0[worker].load(Ordering::Relaxed);
        let mut best = acceptor;
        for worker in 0..self.0.len() {
            if load(worker) < load(best) {
                best = worker;
            }
        }
        self.0[best].fetch_add(1, Ordering::Relaxed);
        best
    }

    /// A connection of `worker` ended.
    pub fn leave(&self, worker: usize) {
        self.0[worker].fetch_sub(1, Ordering::Relaxed);
    }

    /// Connections of all workers.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.iter().map(|load| load.load(Ordering::Relaxed)).sum()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_spread_evenly_whoever_accepts_them() {
        let loads = Loads::new(3);
        for _ in 0..9 {
            let _ = loads.place(1);
        }
        assert_eq!(loads.0.iter().map(|l| l.load(Ordering::Relaxed)).collect::<Vec<_>>(), [3; 3]);
        loads.leave(2);
        assert_eq!(loads.place(1), 2);
        assert_eq!(loads.total(), 9);
    }
}
