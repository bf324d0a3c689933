//! Exits that were replaced: another cluster, or the same one by another way. Sessions stay, and
//! nothing that was acknowledged is lost on the way.
//!
//! On the same cluster a reader goes on in the new log at its offset; what that log does not hold
//! comes from the old one. On another cluster it reads the old log until all that was appended
//! there is delivered, and begins in the new one where that ended when the exit was replaced.
//! Publishers pause until what they published before is answered: nothing overtakes it.

use std::rc::{Rc, Weak};
use std::time::{Duration, Instant};

use kafka_plane::TopicLog;

use super::leave::AskedEnds;
use crate::proxy::deliver::reader::Reader;
use crate::proxy::hub::Hub;
use crate::proxy::upstream::{ANSWERS, Change};

/// How long it takes at most until publishers go on, and until another cluster is read: the old one
/// may not answer.
pub(in crate::proxy) const MOVE: Duration = Duration::from_secs(2);

/// How often it is looked whether that can be.
const LOOK: Duration = Duration::from_millis(2);

impl Hub {
    /// Opens anew what is open on exits that were replaced.
    pub(in crate::proxy) fn relink(self: &Rc<Self>) {
        if self.reopen() {
            self.open_fixed();
            // What was asked of the exit that is gone is asked anew.
            self.retarget(None);
            self.members().iter().for_each(|member| member.begin_again());
        }
    }

    /// Returns whether an exit was replaced.
    pub(in crate::proxy) fn reopen(self: &Rc<Self>) -> bool {
        let mapping = self.mapping();
        let mut has_changed = false;
        let mut leaving = Vec::new();
        for upstream in self.upstreams().iter() {
            let change = upstream.reopen(&mapping.retained, &self.cx);
            if change == Change::None {
                continue;
            }
            has_changed = true;
            for reader in self.readers() {
                if Rc::ptr_eq(&reader.upstream, upstream) {
                    match change {
                        Change::SameCluster => self.resume(&reader),
                        _ => leaving.push(Leaving::new(reader)),
                    }
                }
            }
            tracing::info!(
                event = "mqtt_kafka.exit.replaced",
                binding = %self.name,
                exit = %upstream.name,
                keeps_offsets = change == Change::SameCluster,
                "reading and appending go on through the new exit"
            );
        }
        // A destination names a producer.
        self.destinations.borrow_mut().clear();
        if has_changed {
            self.settle(leaving);
            for member in self.members() {
                member.wake_publisher();
                member.ask_older_anew();
                member.wake();
            }
        }
        has_changed
    }

    fn resume(&self, reader: &Rc<Reader>) {
        let (earlier, resumed) = (reader.resume(), Rc::downgrade(reader));
        self.cx.spawn(async move {
            tokio::time::sleep(ANSWERS).await;
            if let Some(reader) = resumed.upgrade() {
                reader.forget_earlier(&earlier);
            }
        });
    }

    /// Lets publishers go on when what was published through replaced exits is answered, and moves
    /// readers to another cluster when that is delivered.
    fn settle(self: &Rc<Self>, leaving: Vec<Leaving>) {
        let (weak, generation) = (Rc::downgrade(self), self.cx.generation());
        let moment = self.cx.reloaded_at();
        let deadline = self.cx.clock().now() + MOVE;
        self.moves.set(self.moves.get() + 1);
        self.cx.spawn(async move {
            let is_settled =
                |hub: &Self| hub.shared.underway.is_settled(generation, hub.cx.generation());
            wait(&weak, deadline, is_settled).await;
            let Some(hub) = weak.upgrade() else { return };
            hub.moves.set(hub.moves.get() - 1);
            hub.members().iter().for_each(|member| member.wake_publisher());
            drop(hub);
            let asked: Vec<_> =
                leaving.iter().map(|leaving| AskedEnds::new(Rc::clone(&leaving.reader))).collect();
            let is_read =
                |hub: &Self| asked.iter().all(AskedEnds::is_read) && !hub.is_anyone_behind(&asked);
            wait(&weak, deadline, is_read).await;
            let Some(hub) = weak.upgrade() else { return };
            for leaving in &leaving {
                hub.leave_cluster(leaving, moment);
            }
            if !leaving.is_empty() {
                hub.retarget(None);
            }
        });
    }

    fn leave_cluster(self: &Rc<Self>, leaving: &Leaving, moment: Instant) {
        let reader = &leaving.reader;
        if !Rc::ptr_eq(&reader.log(), &leaving.old) {
            // Moved by a later reload.
            return;
        }
        let was_placed = reader.is_placed();
        reader.begin_anew(moment);
        for member in self.members() {
            member.forget_offsets(reader);
        }
        if was_placed && !reader.is_placed() {
            self.ask(reader);
        }
    }
}

/// A reader whose exit leads to another cluster, which it does not read yet.
struct Leaving {
    reader: Rc<Reader>,
    old: Rc<dyn TopicLog>,
    /// Held so that it is known where it ended.
    _new: Rc<dyn TopicLog>,
}

impl Leaving {
    fn new(reader: Rc<Reader>) -> Self {
        let new = reader.upstream.exit().log(&reader.topic);
        Self { old: reader.log(), _new: new, reader }
    }
}

/// Waits until `is_done`, the hub is gone, or the deadline has come.
async fn wait(hub: &Weak<Hub>, deadline: Instant, is_done: impl Fn(&Hub) -> bool) {
    while let Some(hub) = hub.upgrade() {
        if is_done(&hub) || hub.cx.clock().now() >= deadline {
            return;
        }
        drop(hub);
        tokio::time::sleep(LOOK).await;
    }
}
