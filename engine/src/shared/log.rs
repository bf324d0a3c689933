//! An append-only log in memory: one writer, many readers, bounded.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI64, AtomicUsize, Ordering};
use std::sync::{Arc, OnceLock};

use super::SharedLock;

/// Slots a segment has. A segment is also closed when it holds its share of the bound.
const SLOTS: usize = 64;

/// A log of items `T` at growing positions, which may have gaps. One thread writes; any thread
/// reads. A reader keeps a position, never a pointer into the log, so that what it has not read can
/// be dropped: the log is bounded whatever its readers do.
#[derive(Debug)]
pub struct Log<T> {
    segments: SharedLock<VecDeque<Arc<Segment<T>>>>,
    start: AtomicI64,
    end: AtomicI64,
    bytes: AtomicUsize,
    bound: AtomicUsize,
}

#[derive(Debug)]
struct Segment<T> {
    base: i64,
    slots: Box<[OnceLock<Slot<T>>]>,
    bytes: AtomicUsize,
}

#[derive(Debug)]
struct Slot<T> {
    next: i64,
    item: Arc<T>,
}

/// What a reader found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LogRead {
    /// Items were appended to the caller's list, or there is nothing new; go on at this position.
    Next(i64),
    /// The log begins here now; what was asked for is gone.
    Gone(i64),
}

impl<T> Log<T> {
    /// An empty log that begins and ends at `start` and holds at most about `bound` bytes.
    #[must_use]
    pub fn new(start: i64, bound: usize) -> Self {
        Self {
            segments: SharedLock::default(),
            start: AtomicI64::new(start),
            end: AtomicI64::new(start),
            bytes: AtomicUsize::new(0),
            bound: AtomicUsize::new(bound),
        }
    }

    /// Where the log begins: the position of the oldest item it holds.
    #[must_use]
    pub fn start(&self) -> i64 {
        self.start.load(Ordering::Acquire)
    }

    /// Where the log ends: the position at which the next item is expected at the earliest.
    #[must_use]
    pub fn end(&self) -> i64 {
        self.end.load(Ordering::Acquire)
    }

    /// Where the log ended before the items at its end for which `is_later` holds, which is asked
    /// from the last item backwards until it does not. Where it holds for all that is there: where
    /// the log begins.
    pub fn end_before(&self, is_later: impl Fn(&T) -> bool) -> i64 {
        let mut end = self.end();
        for segment in self.segments.read().iter().rev() {
            let filled = segment.slots.iter().map_while(OnceLock::get).count();
            for at in (0..filled).rev() {
                if !segment.slots[at].get().is_some_and(|slot| is_later(&slot.item)) {
                    return end;
                }
                let before = at.checked_sub(1).and_then(|at| segment.slots[at].get());
                end = end.min(before.map_or(segment.base, |before| before.next));
            }
        }
        end
    }

    /// Bytes held.
    #[must_use]
    pub fn bytes(&self) -> usize {
        self.bytes.load(Ordering::Relaxed)
    }

    /// Changes the bound, bytes; it holds from the next append on.
    pub fn set_bound(&self, bound: usize) {
        self.bound.store(bound, Ordering::Relaxed);
    }

    /// Appends an item of `footprint` bytes that begins at `first` and after which reading goes on
    /// at `next`. Only one thread calls this.
    pub fn append(&self, first: i64, next: i64, footprint: usize, item: Arc<T>) {
        let share = self.bound.load(Ordering::Relaxed) / 8;
        let slot = Slot { next, item };
        let slot = match self.segments.read().back() {
            Some(head) if head.bytes.load(Ordering::Relaxed) < share => head.push(slot, footprint),
            _ => Err(slot),
        };
        if let Err(slot) = slot {
            let head = Segment::new(first);
            // An empty segment has room for one.
            head.push(slot, footprint).ok();
            self.segments.write().push_back(Arc::new(head));
        }
        self.bytes.fetch_add(footprint, Ordering::Relaxed);
        self.end.store(next, Ordering::Release);
        self.trim();
    }

    /// Moves the end beyond positions that hold no item (markers, compaction).
    pub fn advance(&self, end: i64) {
        self.end.fetch_max(end, Ordering::AcqRel);
    }

    fn trim(&self) {
        while self.bytes() > self.bound.load(Ordering::Relaxed) {
            let mut segments = self.segments.write();
            if segments.len() < 2 {
                return;
            }
            let Some(oldest) = segments.pop_front() else { return };
            let start = segments.front().map_or(self.end(), |segment| segment.base);
            self.start.store(start, Ordering::Release);
            self.bytes.fetch_sub(oldest.bytes.load(Ordering::Relaxed), Ordering::Relaxed);
        }
    }

    /// Appends items from the one that holds or follows `position` on to `out`, until `weigh` of
    /// them passes `max_bytes`; at least one if there is any.
    pub fn read(
        &self,
        position: i64,
        max_bytes: usize,
        weigh: impl Fn(&T) -> usize,
        out: &mut Vec<Arc<T>>,
    ) -> LogRead {
        let end = self.end();
        if position >= end {
            return LogRead::Next(position);
        }
        let segments = self.segments.read();
        let start = self.start();
        if position < start {
            return LogRead::Gone(start);
        }
        let first = segments.partition_point(|s| s.base <= position).saturating_sub(1);
        let mut bytes = 0;
        let mut next = position;
        for segment in segments.range(first..) {
            for slot in segment.slots.iter().map_while(OnceLock::get) {
                if slot.next <= position {
                    continue;
                }
                if bytes > max_bytes {
                    return LogRead::Next(next);
                }
                bytes += weigh(&slot.item);
                next = slot.next;
                out.push(Arc::clone(&slot.item));
            }
        }
        LogRead::Next(next.max(end))
    }
}

impl<T> Segment<T> {
    fn new(base: i64) -> Self {
        Self {
            base,
            slots: (0..SLOTS).map(|_| OnceLock::new()).collect(),
            bytes: AtomicUsize::new(0),
        }
    }

    fn push(&self, slot: Slot<T>, footprint: usize) -> Result<(), Slot<T>> {
        // The writer is alone, so the first empty slot stays empty until it is set here.
        let Some(vacant) = self.slots.iter().find(|slot| slot.get().is_none()) else {
            return Err(slot);
        };
        self.bytes.fetch_add(footprint, Ordering::Relaxed);
        vacant.set(slot)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(log: &Log<i64>, position: i64) -> (LogRead, Vec<i64>) {
        let mut out = Vec::new();
        let read = log.read(position, usize::MAX, |_| 1, &mut out);
        (read, out.iter().map(|item| **item).collect())
    }

    #[test]
    fn readers_go_on_where_they_were_across_gaps_and_segments() {
        let log = Log::new(10, usize::MAX);
        assert_eq!(read(&log, 10), (LogRead::Next(10), vec![]));
        for i in 0..200 {
            log.append(10 + i * 3, 12 + i * 3, 1, Arc::new(i));
        }
        let (next, items) = read(&log, 10);
        assert_eq!((next, items.len()), (LogRead::Next(12 + 199 * 3), 200));
        // A position in a gap reads what follows it; one within an item reads that item.
        assert_eq!(read(&log, 12).1[0], 1);
        assert_eq!(read(&log, 14).1[0], 1);
        log.advance(1000);
        assert_eq!(read(&log, 700), (LogRead::Next(1000), vec![]));
    }

    #[test]
    fn the_end_before_a_moment_is_found_from_the_end() {
        let log = Log::new(5, usize::MAX);
        assert_eq!(log.end_before(|_| true), 5);
        for i in 0..200 {
            log.append(10 + i * 3, 12 + i * 3, 1, Arc::new(i));
        }
        log.advance(1000);
        assert_eq!(log.end_before(|_| false), 1000);
        for first in [199, 150, 64, 63, 1] {
            // Between two items lies a gap, and reading from either side of it is the same.
            let end = log.end_before(|item| *item >= first);
            assert_eq!(read(&log, end).1[0], first);
        }
        assert_eq!(read(&log, log.end_before(|_| true)).1[0], 0);
    }

    #[test]
    fn a_read_stops_at_its_budget_and_goes_on_without_loss() {
        let log = Log::new(0, usize::MAX);
        for i in 0..100 {
            log.append(i, i + 1, 1, Arc::new(i));
        }
        let mut seen = Vec::new();
        let mut position = 0;
        while position < 100 {
            let mut out = Vec::new();
            match log.read(position, 9, |_| 1, &mut out) {
                LogRead::Next(next) => position = next,
                LogRead::Gone(_) => unreachable!("nothing was dropped"),
            }
            seen.extend(out.iter().map(|item| **item));
        }
        assert_eq!(seen, (0..100).collect::<Vec<_>>());
    }

    #[test]
    fn the_bound_holds_and_a_reader_that_fell_out_is_told_where_the_log_begins() {
        let log = Log::new(0, 1000);
        for i in 0..10_000 {
            log.append(i, i + 1, 10, Arc::new(i));
            assert!(log.bytes() <= 1010);
        }
        let LogRead::Gone(start) = read(&log, 0).0 else { unreachable!("it was dropped") };
        assert_eq!(read(&log, start).1[0], start);
        assert_eq!(read(&log, start).0, LogRead::Next(10_000));
    }
}
