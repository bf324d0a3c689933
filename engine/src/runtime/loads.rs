//! How many connections each worker has.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

/// Connections by worker, for placing the next one.
#[derive(Debug)]
pub struct Loads(Box<[AtomicUsize]>);

/// A connection's place on a worker: it counts there until this is dropped.
#[derive(Debug)]
pub struct Placed {
    loads: Arc<Loads>,
    worker: usize,
}

impl Loads {
    /// No connections on `workers` workers.
    #[must_use]
    pub fn new(workers: usize) -> Self {
        Self((0..workers).map(|_| AtomicUsize::new(0)).collect())
    }

    /// Chooses the worker for a connection that `acceptor` accepted: the least loaded, the acceptor
    /// itself where it is as good.
    #[must_use]
    pub fn place(self: &Arc<Self>, acceptor: usize) -> Placed {
        let load = |worker: usize| self.0[worker].load(Ordering::Relaxed);
        let mut best = acceptor;
        for worker in 0..self.0.len() {
            if load(worker) < load(best) {
                best = worker;
            }
        }
        self.place_on(best)
    }

    /// A place on `worker`, whatever its load.
    #[must_use]
    pub fn place_on(self: &Arc<Self>, worker: usize) -> Placed {
        self.0[worker].fetch_add(1, Ordering::Relaxed);
        Placed { loads: Arc::clone(self), worker }
    }

    /// Connections of all workers.
    #[must_use]
    pub fn total(&self) -> usize {
        self.0.iter().map(|load| load.load(Ordering::Relaxed)).sum()
    }
}

impl Placed {
    /// The worker.
    #[must_use]
    pub fn worker(&self) -> usize {
        self.worker
    }
}

impl Drop for Placed {
    fn drop(&mut self) {
        self.loads.0[self.worker].fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn connections_spread_evenly_whoever_accepts_them() {
        let loads = Arc::new(Loads::new(3));
        let mut placed: Vec<Placed> = (0..9).map(|_| loads.place(1)).collect();
        let counts = |loads: &Loads| -> Vec<_> {
            loads.0.iter().map(|load| load.load(Ordering::Relaxed)).collect()
        };
        assert_eq!(counts(&loads), [3; 3]);
        let at = placed.iter().position(|place| place.worker() == 2).unwrap();
        placed.remove(at);
        assert_eq!(loads.place(1).worker(), 2);
        assert_eq!(loads.total(), 8);
        drop(placed);
        assert_eq!(loads.total(), 0);
    }
}
