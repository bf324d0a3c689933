//! Counters: a cell a worker, summed when read.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use crate::shared::Lock;

type Cells = BTreeMap<(String, &'static str), Vec<Arc<AtomicI64>>>;

/// The process's counters.
#[derive(Debug, Default)]
pub struct Metrics {
    cells: Lock<Cells>,
}

impl Metrics {
    /// A new cell of a counter. Each thread that counts takes its own.
    #[must_use]
    pub fn counter(&self, node: &str, metric: &'static str) -> Counter {
        let cell = Arc::new(AtomicI64::new(0));
        let mut cells = self.cells.lock();
        cells.entry((node.to_owned(), metric)).or_default().push(Arc::clone(&cell));
        Counter(cell)
    }

    /// All counters by binding and name, summed over cells. Cells whose owner is gone are folded
    /// into one, so that reloads do not let the list grow.
    #[must_use]
    pub fn read(&self) -> Vec<(String, &'static str, i64)> {
        let mut cells = self.cells.lock();
        let mut sums = Vec::with_capacity(cells.len());
        for ((node, metric), list) in cells.iter_mut() {
            let (gone, alive): (Vec<_>, Vec<_>) =
                list.drain(..).partition(|cell| Arc::strong_count(cell) == 1);
            let folded = gone.iter().map(|cell| cell.load(Ordering::Relaxed)).sum();
            *list = alive;
            list.push(Arc::new(AtomicI64::new(folded)));
            let sum = list.iter().map(|cell| cell.load(Ordering::Relaxed)).sum();
            sums.push((node.clone(), *metric, sum));
        }
        sums
    }
}

/// One thread's cell of a counter. Only that thread changes it.
#[derive(Clone, Debug)]
pub struct Counter(Arc<AtomicI64>);

impl Counter {
    /// Adds `n`. A plain load and store: there is one writer.
    pub fn add(&self, n: i64) {
        self.0.store(self.0.load(Ordering::Relaxed) + n, Ordering::Relaxed);
    }

    /// Adds one.
    pub fn increment(&self) {
        self.add(1);
    }

    /// Subtracts one.
    pub fn decrement(&self) {
        self.add(-1);
    }

    /// This cell's value.
    #[must_use]
    pub fn value(&self) -> i64 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_counter_is_summed_over_its_cells_and_survives_their_owners() {
        let metrics = Metrics::default();
        let one = metrics.counter("a", "x");
        let two = metrics.counter("a", "x");
        one.add(3);
        two.increment();
        drop(one);
        for _ in 0..2 {
            assert_eq!(metrics.read(), [("a".to_owned(), "x", 4)]);
        }
        two.decrement();
        assert_eq!(metrics.read(), [("a".to_owned(), "x", 3)]);
    }
}
