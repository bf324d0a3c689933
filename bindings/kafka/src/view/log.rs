//! A worker's view of a topic's log.

use std::cell::{Cell, RefCell};
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Instant;

use engine::shared::LogRead;
use kafka_plane::{Batch, Ends, Fault, Listener, Older, Read, Then, TopicLog};

use super::{CONFLICT, Question, View};
use crate::cluster::{Answer, AskOlder, Reading, Topic};

pub(super) struct LogView {
    view: Rc<View>,
    topic: Arc<Topic>,
    /// Whether the topic is read as a table, so that there is no log.
    is_refused: bool,
    seen: Cell<u64>,
    listeners: RefCell<Vec<Weak<dyn Listener>>>,
}

impl LogView {
    #[expect(clippy::expect_used, reason = "a view is only used through the Rc that holds it")]
    pub(super) fn new(view: &View, name: &str) -> Rc<Self> {
        let read = view.cluster.read(name, Reading::Log);
        let is_refused = read.is_err();
        let (Ok(topic) | Err(topic)) = read;
        topic.add_reader(view.signal());
        Rc::new(Self {
            view: view.this().expect("held while it is called"),
            seen: Cell::new(topic.advanced()),
            topic,
            is_refused,
            listeners: RefCell::default(),
        })
    }

    /// Tells the listeners if there is more to read than when they were told last.
    pub(super) fn tell(&self) {
        let advanced = self.topic.advanced();
        if self.seen.replace(advanced) == advanced {
            return;
        }
        // A listener may register another.
        let mut listeners = self.listeners.take();
        listeners.retain(|listener| {
            let alive = listener.upgrade();
            if let Some(listener) = &alive {
                listener.advanced();
            }
            alive.is_some()
        });
        self.listeners.borrow_mut().append(&mut listeners);
    }
}

impl Drop for LogView {
    fn drop(&mut self) {
        self.topic.remove_reader(self.view.signal());
    }
}

impl TopicLog for LogView {
    fn topic(&self) -> &str {
        &self.topic.name
    }

    fn listen(&self, listener: Weak<dyn Listener>) {
        self.listeners.borrow_mut().push(listener);
    }

    fn partitions(&self) -> u32 {
        if self.is_refused {
            return 0;
        }
        u32::try_from(self.topic.partitions().len()).unwrap_or(u32::MAX)
    }

    fn ends(&self, then: Then<Ends>) {
        let view = &self.view;
        view.ask(Question::Ends(then), |key| {
            if self.is_refused {
                view.lane.answers.push(Answer::Ends(key, Err(CONFLICT)));
            } else {
                view.cluster.ask_ends(&self.topic, &view.lane, key);
            }
        });
    }

    fn known_ends(&self) -> Option<Ends> {
        let partitions = self.topic.partitions();
        if self.is_refused || partitions.is_empty() {
            return None;
        }
        Some(partitions.iter().map(|partition| partition.log.end()).collect())
    }

    fn ends_at(&self, moment: Instant) -> Option<Ends> {
        let partitions = self.topic.partitions();
        if self.is_refused || partitions.is_empty() {
            return None;
        }
        let is_later = |batch: &Batch| batch.read_at().is_some_and(|read_at| read_at > moment);
        Some(partitions.iter().map(|partition| partition.log.end_before(is_later)).collect())
    }

    fn read(
        &self,
        partition: u32,
        offset: i64,
        max_bytes: usize,
        out: &mut Vec<Arc<Batch>>,
    ) -> Read {
        let partitions = self.topic.partitions();
        let Some(partition) = partitions.get(partition as usize).filter(|_| !self.is_refused)
        else {
            return Read::Next(offset);
        };
        if offset > partition.known_end() {
            // From a topic of this name that was deleted.
            return Read::Gone(partition.log.start());
        }
        match partition.log.read(offset, max_bytes, Batch::footprint, out) {
            LogRead::Next(next) => Read::Next(next),
            LogRead::Gone(start) => Read::Gone(start),
        }
    }

    fn older(&self, partition: u32, offset: i64, then: Then<Older>) {
        let view = &self.view;
        view.ask(Question::Older(then), |key| {
            let (topic, lane) = (Arc::clone(&self.topic), Arc::clone(&view.lane));
            let ask = AskOlder { topic, partition, offset, lane, key };
            if self.is_refused {
                ask.answer(Err(CONFLICT));
            } else if partition >= self.partitions() {
                ask.answer(Err(Fault::UnknownTopic));
            } else {
                view.cluster.ask_older(ask);
            }
        });
    }
}
