//! Leaving the logs that a reload took from subscriptions: not before what was published under the
//! old mapping has arrived.
//!
//! Workers apply a reload one after another, publishes are on their way to Kafka, and Kafka may take
//! its time. So each publish that somebody waits for is counted, over all workers, under the
//! generation of the configuration by which its topic was chosen. A log is left when none of the
//! generations before the reload has any open, and all that the topic held then was read.

use std::cell::Cell;
use std::rc::{Rc, Weak};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use kafka_plane::Ends;

use crate::proxy::deliver::reader::Reader;
use crate::proxy::hub::Hub;
use crate::proxy::member::Member;

/// How long a log is still read for a subscription at least: workers that have not applied the
/// reload yet do so within it.
pub(in crate::proxy) const LINGER: Duration = Duration::from_millis(500);

/// How often it is looked whether a log can be left.
const LOOK: Duration = Duration::from_millis(25);

/// How long a log is read at most for what was published under the old mapping: an outage of
/// Kafka that lasts longer is one that clients see as such.
const PATIENCE: Duration = Duration::from_secs(60);

/// Generations that are told apart. More reloads than these within one linger count as one.
const GENERATIONS: usize = 64;

/// Publishes that are on their way to Kafka and that somebody waits for, by the generation of the
/// configuration that chose their Kafka topic. Shared by the workers of a binding.
#[derive(Debug)]
pub(crate) struct Underway([AtomicUsize; GENERATIONS]);

impl Default for Underway {
    fn default() -> Self {
        Self(std::array::from_fn(|_| AtomicUsize::new(0)))
    }
}

/// Where a generation is counted.
fn slot(generation: u64) -> usize {
    usize::try_from(generation % GENERATIONS as u64).unwrap_or_default()
}

impl Underway {
    pub(in crate::proxy) fn enter(&self, generation: u64) {
        self.0[slot(generation)].fetch_add(1, Ordering::AcqRel);
    }

    pub(in crate::proxy) fn leave(&self, generation: u64) {
        self.0[slot(generation)].fetch_sub(1, Ordering::AcqRel);
    }

    /// Whether nothing is open of generations before `since`, where `now` is the present one.
    pub(in crate::proxy) fn is_settled(&self, since: u64, now: u64) -> bool {
        let is_newer = |at: usize| {
            now - since >= GENERATIONS as u64 || (since..=now).any(|newer| slot(newer) == at)
        };
        (0..GENERATIONS).all(|at| is_newer(at) || self.0[at].load(Ordering::Acquire) == 0)
    }
}

impl Hub {
    /// Leaves, when that loses nothing, the logs that the reload `number`, or one before, took from
    /// subscriptions.
    pub(in crate::proxy) fn leave_later(self: &Rc<Self>, number: u64) {
        let (hub, generation) = (Rc::downgrade(self), self.cx.generation());
        let clock_start = self.cx.clock().now();
        self.cx.spawn(async move {
            tokio::time::sleep(LINGER).await;
            let is_late = |hub: &Self| {
                hub.cx.clock().now().saturating_duration_since(clock_start) >= PATIENCE
            };
            // Everything published before is in Kafka, or was refused.
            while let Some(hub) = hub.upgrade() {
                let is_settled = hub.shared.underway.is_settled(generation, hub.cx.generation());
                if is_settled || is_late(&hub) {
                    break;
                }
                drop(hub);
                tokio::time::sleep(LOOK).await;
            }
            let asked = ask_ends(&hub, number);
            // And everything that is in Kafka was read, also by sessions that read by themselves.
            while let Some(hub) = hub.upgrade() {
                if asked.iter().all(AskedEnds::is_read) && !hub.is_anyone_behind(&asked) {
                    break;
                }
                if is_late(&hub) {
                    break;
                }
                drop(hub);
                tokio::time::sleep(LOOK).await;
            }
            if let Some(hub) = hub.upgrade() {
                hub.members().iter().for_each(|member| member.drop_leaving(number));
            }
        });
    }

    pub(in crate::proxy) fn is_anyone_behind(&self, asked: &[AskedEnds]) -> bool {
        let members = self.members();
        asked.iter().any(|asked| members.iter().any(|member| member.is_behind(&asked.reader)))
    }
}

/// A log that is being left, and where it ended when all that it was waited for was in it.
pub(in crate::proxy) struct AskedEnds {
    reader: Rc<Reader>,
    /// `None`: not answered. A log that cannot be asked is not waited for.
    ends: Rc<Cell<Option<Ends>>>,
}

impl AskedEnds {
    pub(in crate::proxy) fn new(reader: Rc<Reader>) -> Self {
        let ends: Rc<Cell<Option<Ends>>> = Rc::default();
        let answer = Rc::clone(&ends);
        let log = reader.log();
        log.ends(Box::new(move |found| {
            answer.set(Some(found.unwrap_or_else(|_| Ends::from([]))));
        }));
        Self { reader, ends }
    }

    pub(in crate::proxy) fn is_read(&self) -> bool {
        let ends = self.ends.take();
        let is_read = ends.as_ref().is_some_and(|ends| {
            (0..).zip(ends.iter()).all(|(partition, end)| self.reader.position(partition) >= *end)
        });
        self.ends.set(ends);
        is_read
    }
}

fn ask_ends(hub: &Weak<Hub>, number: u64) -> Vec<AskedEnds> {
    let Some(hub) = hub.upgrade() else { return Vec::new() };
    let mut readers: Vec<Rc<Reader>> = Vec::new();
    for member in hub.members() {
        member.leaving(number, &mut readers);
    }
    readers.into_iter().map(AskedEnds::new).collect()
}

impl Member {
    /// The logs that the reload `number`, or one before, took from this session's subscriptions.
    fn leaving(&self, number: u64, readers: &mut Vec<Rc<Reader>>) {
        for held in self.state.borrow().held.values() {
            for (target, since) in held.leaving.iter() {
                let is_known = readers.iter().any(|reader| Rc::ptr_eq(reader, &target.reader));
                if *since <= number && !is_known {
                    readers.push(Rc::clone(&target.reader));
                }
            }
        }
    }

    fn is_behind(&self, reader: &Rc<Reader>) -> bool {
        self.state.borrow().behind.iter().any(|behind| Rc::ptr_eq(&behind.reader, reader))
    }

    /// Leaves the logs that the reload `number`, or one before, took from subscriptions.
    fn drop_leaving(&self, number: u64) {
        let state = &mut *self.state.borrow_mut();
        for (filter, held) in state.held.iter_mut() {
            held.leaving.retain(|(target, since)| {
                let stays = *since > number;
                if !stays {
                    target.reader.subscriptions.borrow_mut().remove(filter, self.key);
                    if let Some(lasting) = &mut state.lasting {
                        lasting.leave(&target.reader);
                    }
                }
                stays
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_was_begun_before_a_reload_is_waited_for() {
        let underway = Underway::default();
        assert!(underway.is_settled(5, 5));
        underway.enter(4);
        assert!(!underway.is_settled(5, 5) && !underway.is_settled(5, 9));
        assert!(underway.is_settled(4, 9));
        underway.enter(7);
        underway.leave(4);
        assert!(underway.is_settled(5, 7));
        assert!(!underway.is_settled(8, 8));
        assert!(underway.is_settled(8, 8 + GENERATIONS as u64), "too many to tell apart");
    }
}
