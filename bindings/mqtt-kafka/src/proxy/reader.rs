//! A log as one worker reads it.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};

use kafka_plane::{Listener, Read, TopicLog};

use super::hub::Hub;
use super::upstream::{Change, Upstream};
use crate::state::Subscriptions;

/// A log that sessions of this worker subscribe to. It lives while one of them does.
pub(super) struct Reader {
    /// Names the log in positions of deliveries.
    pub(super) id: u32,
    pub(super) upstream: Rc<Upstream>,
    pub(super) topic: Rc<str>,
    pub(super) subscriptions: RefCell<Subscriptions>,
    log: RefCell<Rc<dyn TopicLog>>,
    /// Where the next read of each partition begins; `None` before the first start is known.
    positions: RefCell<Option<Vec<i64>>>,
    hub: Weak<Hub>,
    this: Weak<Self>,
    /// Whether the rest of a long read is scheduled.
    pub(super) is_scheduled: Cell<bool>,
    /// Whether a start was asked for by a reload.
    pub(super) is_asking: Cell<bool>,
    /// Whether a record without a topic was named already.
    pub(super) has_named_key: Cell<bool>,
}

impl Reader {
    pub(super) fn new(hub: &Rc<Hub>, id: u32, upstream: &Rc<Upstream>, topic: &str) -> Rc<Self> {
        let log = upstream.exit().log(topic);
        let reader = Rc::new_cyclic(|this| Self {
            id,
            upstream: Rc::clone(upstream),
            topic: topic.into(),
            subscriptions: RefCell::default(),
            log: RefCell::new(log),
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

    pub(super) fn log(&self) -> Rc<dyn TopicLog> {
        Rc::clone(&self.log.borrow())
    }

    pub(super) fn is_placed(&self) -> bool {
        self.positions.borrow().is_some()
    }

    /// Begins to read at `starts` if it did not read yet.
    pub(super) fn place(&self, starts: &[i64]) {
        self.positions.borrow_mut().get_or_insert_with(|| starts.to_vec());
    }

    /// Where everything before was dispatched, by partition.
    pub(super) fn positions(&self) -> Vec<i64> {
        self.positions.borrow().clone().unwrap_or_default()
    }

    pub(super) fn position(&self, partition: u32) -> i64 {
        let positions = self.positions.borrow();
        let position = positions.as_ref().and_then(|list| list.get(partition as usize));
        // A partition that was added later is read from its beginning.
        position.copied().unwrap_or(0)
    }

    pub(super) fn set_position(&self, partition: u32, position: i64) {
        let mut positions = self.positions.borrow_mut();
        let list = positions.get_or_insert_default();
        let at = partition as usize;
        if list.len() <= at {
            list.resize(at + 1, 0);
        }
        list[at] = position;
    }

    /// Where the log begins as far as this process holds it, by partition.
    pub(super) fn begin(&self) -> Vec<i64> {
        let log = self.log();
        let mut batches = Vec::new();
        let begin = |partition| match log.read(partition, 0, 0, &mut batches) {
            Read::Gone(start) => start,
            Read::Next(_) => 0,
        };
        (0..log.partitions()).map(begin).collect()
    }

    /// Takes the log of the exit that the upstream leads to now.
    pub(super) fn reopen(&self, change: Change) {
        *self.log.borrow_mut() = self.upstream.exit().log(&self.topic);
        self.is_asking.set(false);
        self.listen();
        if change == Change::OtherCluster {
            let moment = self.hub.upgrade().map(|hub| hub.cx.reloaded_at());
            let ends = moment.and_then(|moment| self.log().ends_at(moment));
            *self.positions.borrow_mut() = ends.map(|ends| ends.to_vec());
        }
    }
}

impl Listener for Reader {
    fn advanced(&self) {
        if let (Some(hub), Some(this)) = (self.hub.upgrade(), self.this.upgrade()) {
            hub.advance(&this);
        }
    }
}
