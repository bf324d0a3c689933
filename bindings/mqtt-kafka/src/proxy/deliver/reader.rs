//! A log as one worker reads it.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use kafka_plane::{Batch, Listener, Read, TopicLog};

use crate::proxy::hub::Hub;
use crate::proxy::upstream::Upstream;
use crate::state::Subscriptions;

/// A log that sessions of this worker subscribe to. It lives while one of them does.
pub(in crate::proxy) struct Reader {
    /// Names the log in positions of deliveries.
    pub(in crate::proxy) id: u32,
    pub(in crate::proxy) upstream: Rc<Upstream>,
    pub(in crate::proxy) topic: Rc<str>,
    pub(in crate::proxy) subscriptions: RefCell<Subscriptions>,
    log: RefCell<Rc<dyn TopicLog>>,
    /// The log of the exit before, of the same cluster.
    earlier: RefCell<Option<Earlier>>,
    /// Where the next read of each partition begins; `None` before the first start is known.
    positions: RefCell<Option<Vec<i64>>>,
    hub: Weak<Hub>,
    this: Weak<Self>,
    /// Whether the rest of a long read is scheduled.
    pub(in crate::proxy) is_scheduled: Cell<bool>,
    /// Whether a start was asked for by a reload.
    pub(in crate::proxy) is_asking: Cell<bool>,
    /// Whether a record without a topic was named already.
    pub(in crate::proxy) has_named_key: Cell<bool>,
}

impl Reader {
    pub(in crate::proxy) fn new(
        hub: &Rc<Hub>,
        id: u32,
        upstream: &Rc<Upstream>,
        topic: &str,
    ) -> Rc<Self> {
        let log = upstream.exit().log(topic);
        let reader = Rc::new_cyclic(|this| Self {
            id,
            upstream: Rc::clone(upstream),
            topic: topic.into(),
            subscriptions: RefCell::default(),
            log: RefCell::new(log),
            earlier: RefCell::default(),
            positions: RefCell::default(),
            hub: Rc::downgrade(hub),
            this: Weak::clone(this),
            is_scheduled: Cell::default(),
            is_asking: Cell::default(),
            has_named_key: Cell::default(),
        });
        reader.listen();
        reader
    }

    fn listen(&self) {
        let listener: Weak<dyn Listener> = Weak::<Self>::clone(&self.this);
        self.log().listen(listener);
    }

    pub(in crate::proxy) fn log(&self) -> Rc<dyn TopicLog> {
        Rc::clone(&self.log.borrow())
    }

    pub(in crate::proxy) fn is_placed(&self) -> bool {
        self.positions.borrow().is_some()
    }

    /// Begins to read at `starts` if it did not read yet.
    pub(in crate::proxy) fn place(&self, starts: &[i64]) {
        self.positions.borrow_mut().get_or_insert_with(|| starts.to_vec());
    }

    /// Where everything before was dispatched, by partition.
    pub(in crate::proxy) fn positions(&self) -> Vec<i64> {
        self.positions.borrow().clone().unwrap_or_default()
    }

    pub(in crate::proxy) fn position(&self, partition: u32) -> i64 {
        let positions = self.positions.borrow();
        let position = positions.as_ref().and_then(|list| list.get(partition as usize));
        // A partition that was added later is read from its beginning.
        position.copied().unwrap_or(0)
    }

    pub(in crate::proxy) fn set_position(&self, partition: u32, position: i64) {
        let mut positions = self.positions.borrow_mut();
        let list = positions.get_or_insert_default();
        let at = partition as usize;
        if list.len() <= at {
            list.resize(at + 1, 0);
        }
        list[at] = position;
    }

    /// Where the log begins as far as this process holds it, by partition.
    pub(in crate::proxy) fn begin(&self) -> Vec<i64> {
        let log = self.log();
        let mut batches = Vec::new();
        let begin = |partition| match log.read(partition, 0, 0, &mut batches) {
            Read::Gone(start) => start,
            Read::Next(_) => 0,
        };
        (0..log.partitions()).map(begin).collect()
    }

    /// Reads on in the log, from `offset` to about `max_bytes`. What the log of a new exit does not
    /// hold, since reading began there later, comes from the log before it.
    pub(in crate::proxy) fn read(
        &self,
        partition: u32,
        offset: i64,
        max_bytes: usize,
        out: &mut Vec<Arc<Batch>>,
    ) -> Read {
        let found = self.log().read(partition, offset, max_bytes, out);
        let Read::Gone(start) = found else { return found };
        let mut earlier = self.earlier.borrow_mut();
        let Some(earlier) = earlier.as_mut() else { return found };
        if start > offset {
            return match earlier.log.read(partition, offset, max_bytes, out) {
                Read::Next(next) if next > offset => {
                    earlier.reached(partition, next);
                    Read::Next(next)
                }
                _ => found,
            };
        }
        // Not a topic that was made anew: the new log has not come so far yet.
        let is_ahead = earlier.ends.get(partition as usize).is_some_and(|end| *end >= offset);
        if is_ahead { Read::Next(offset) } else { found }
    }

    /// Takes the log of the exit that the upstream leads to now, of the same cluster: reading goes
    /// on where it is.
    pub(in crate::proxy) fn resume(&self) -> Rc<dyn TopicLog> {
        let earlier = self.take_log();
        *self.earlier.borrow_mut() =
            Some(Earlier { log: Rc::clone(&earlier), ends: self.positions() });
        earlier
    }

    /// Holds the log before no longer, if it is this one.
    pub(in crate::proxy) fn forget_earlier(&self, log: &Rc<dyn TopicLog>) {
        self.earlier.borrow_mut().take_if(|earlier| Rc::ptr_eq(&earlier.log, log));
    }

    /// Takes the log of the exit that the upstream leads to now, of another cluster: reading begins
    /// where that ended at `moment`.
    pub(in crate::proxy) fn begin_anew(&self, moment: Instant) {
        self.take_log();
        *self.earlier.borrow_mut() = None;
        *self.positions.borrow_mut() = self.log().ends_at(moment).map(|ends| ends.to_vec());
    }

    /// Puts the log of the exit in the place of the one there is, which is returned.
    fn take_log(&self) -> Rc<dyn TopicLog> {
        let old = self.log.replace(self.upstream.exit().log(&self.topic));
        self.is_asking.set(false);
        self.listen();
        old
    }
}

/// A log whose exit was replaced by another of the same cluster: held for those who have not read
/// it to its end.
struct Earlier {
    log: Rc<dyn TopicLog>,
    /// How far it was read by somebody, by partition.
    ends: Vec<i64>,
}

impl Earlier {
    fn reached(&mut self, partition: u32, next: i64) {
        let at = partition as usize;
        if self.ends.len() <= at {
            self.ends.resize(at + 1, 0);
        }
        self.ends[at] = self.ends[at].max(next);
    }
}

impl Listener for Reader {
    fn advanced(&self) {
        if let (Some(hub), Some(this)) = (self.hub.upgrade(), self.this.upgrade()) {
            hub.advance(&this);
        }
    }
}
