//! An exit of the binding, and what is open on it.

use std::cell::RefCell;
use std::rc::Rc;

use std::time::Duration;

use engine::config::NodeName;
use engine::spi::{Link, WorkerCx};
use kafka_plane::{Kafka, KafkaExit, Producer, TopicLog, TopicTable};

/// How long an exit that was replaced or removed is held: what was appended through it is answered
/// through it.
pub(super) const ANSWERS: Duration = Duration::from_secs(60);

/// Holds what is no longer in use until its answers have come.
pub(super) fn hold<T: 'static>(cx: &WorkerCx, old: T) {
    cx.spawn(async move {
        tokio::time::sleep(ANSWERS).await;
        drop(old);
    });
}

/// An exit. It stays the same object while the file names it, whatever it leads to.
pub(super) struct Upstream {
    pub(super) name: NodeName,
    /// Names its retained table in positions of deliveries.
    pub(super) retained_id: u32,
    link: RefCell<Link<Kafka>>,
    open: RefCell<Open>,
    /// Logs that the configuration names outright: read whether anybody subscribes or not.
    fixed: RefCell<Vec<Rc<dyn TopicLog>>>,
}

#[derive(Clone)]
struct Open {
    exit: Rc<dyn KafkaExit>,
    producer: Rc<dyn Producer>,
    retained: Rc<dyn TopicTable>,
    retained_topic: Rc<str>,
}

impl Open {
    fn new(exit: Rc<dyn KafkaExit>, retained: &str) -> Self {
        let (producer, table) = (exit.producer(), exit.table(retained));
        Self { exit, producer, retained: table, retained_topic: retained.into() }
    }
}

/// What became of an exit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Change {
    /// It leads where it led.
    None,
    /// It leads to another exit of the same cluster: offsets hold.
    SameCluster,
    /// It leads elsewhere.
    OtherCluster,
}

impl Upstream {
    pub(super) fn new(name: NodeName, retained_id: u32, link: Link<Kafka>, retained: &str) -> Self {
        let open = RefCell::new(Open::new(link.get(), retained));
        Self { name, retained_id, link: RefCell::new(link), open, fixed: RefCell::default() }
    }

    pub(super) fn set_link(&self, link: Link<Kafka>) {
        *self.link.borrow_mut() = link;
    }

    pub(super) fn exit(&self) -> Rc<dyn KafkaExit> {
        Rc::clone(&self.open.borrow().exit)
    }

    pub(super) fn producer(&self) -> Rc<dyn Producer> {
        Rc::clone(&self.open.borrow().producer)
    }

    pub(super) fn retained(&self) -> Rc<dyn TopicTable> {
        Rc::clone(&self.open.borrow().retained)
    }

    /// Opens what the link leads to now, where that or the retained topic has changed.
    pub(super) fn reopen(&self, retained: &str, cx: &WorkerCx) -> Change {
        let exit = self.link.borrow().get();
        let old = self.open.borrow().clone();
        if Rc::ptr_eq(&exit, &old.exit) {
            if *old.retained_topic != *retained {
                *self.open.borrow_mut() = Open::new(exit, retained);
            }
            return Change::None;
        }
        let is_same = exit.cluster().is_some_and(|id| Some(id) == old.exit.cluster());
        *self.open.borrow_mut() = Open::new(exit, retained);
        hold(cx, old);
        if is_same { Change::SameCluster } else { Change::OtherCluster }
    }

    /// Begins to read these topics, if that was not so, so that a subscription to them starts at
    /// a known end; gives up those that are no longer named.
    pub(super) fn open_fixed<'a>(&self, topics: impl Iterator<Item = &'a str>) {
        let exit = self.exit();
        let logs = topics.map(|topic| exit.log(topic)).collect();
        *self.fixed.borrow_mut() = logs;
    }
}
