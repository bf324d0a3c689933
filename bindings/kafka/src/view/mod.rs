//! A cluster as one worker sees it: what `cache_client` offers.

mod caller;
mod log;
mod producer;
mod table;

use std::cell::RefCell;
use std::collections::HashMap;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::task::Waker;

use engine::shared::Signal;
use engine::spi::{SignalGuard, WorkerCx};
use kafka_plane::{
    Completion, Ends, Fault, KafkaExit, Limits, Older, Producer, Then, TopicLog, TopicTable,
};
use slab::Slab;

use crate::cluster::{Answer, Cluster, Lane, Topic};
use caller::Caller;
use log::LogView;
use producer::ProducerView;
use table::TableView;

/// The plane's exit on one worker, for a cluster.
#[must_use]
pub fn exit(cluster: &Arc<Cluster>, cx: &WorkerCx) -> Rc<dyn KafkaExit> {
    View::new(cluster, cx)
}

/// A question that is not answered yet.
enum Question {
    Ends(Then<Ends>),
    Sync(Then<()>),
    Older(Then<Older>),
}

/// What all views of a worker share.
struct View {
    cluster: Arc<Cluster>,
    lane: Arc<Lane>,
    caller: Caller,
    /// Keeps the worker callable.
    _guard: SignalGuard,
    questions: RefCell<Slab<Question>>,
    completions: RefCell<Slab<Completion>>,
    /// Who waits for room.
    wakers: RefCell<Vec<Waker>>,
    /// Logs that somebody holds, by topic.
    logs: RefCell<HashMap<Arc<str>, Weak<LogView>>>,
    /// Topics that were appended to, by name.
    topics: RefCell<HashMap<Arc<str>, Arc<Topic>>>,
    /// The memory for the next batch of answers.
    spare: RefCell<Vec<Answer>>,
    this: Weak<Self>,
}

impl View {
    fn new(cluster: &Arc<Cluster>, cx: &WorkerCx) -> Rc<Self> {
        let view = Rc::new_cyclic(|this: &Weak<Self>| {
            let called = Weak::clone(this);
            let guard = cx.signal(Rc::new(move || {
                if let Some(view) = called.upgrade() {
                    view.called();
                }
            }));
            let lane = Lane::new(guard.signal());
            let producer = Arc::clone(cluster);
            let caller = Caller::new(cx, move || producer.call_producer());
            Self {
                cluster: Arc::clone(cluster),
                lane,
                caller,
                _guard: guard,
                questions: RefCell::default(),
                completions: RefCell::default(),
                wakers: RefCell::default(),
                logs: RefCell::default(),
                topics: RefCell::default(),
                spare: RefCell::default(),
                this: Weak::clone(this),
            }
        });
        cluster.add_lane(&view.lane);
        view
    }

    fn signal(&self) -> &Arc<Signal> {
        self.lane.signal()
    }

    fn this(&self) -> Option<Rc<Self>> {
        self.this.upgrade()
    }

    /// Answers came, or topics advanced, or both.
    fn called(&self) {
        let mut answers = self.spare.take();
        self.lane.answers.swap(&mut answers);
        for answer in answers.drain(..) {
            self.pass_on(answer);
        }
        self.spare.replace(answers);
        // Listeners may take and drop logs.
        let logs: Vec<_> = self.logs.borrow().values().filter_map(Weak::upgrade).collect();
        for log in logs {
            log.tell();
        }
    }

    fn pass_on(&self, answer: Answer) {
        match answer {
            Answer::Ends(key, ends) => {
                let question = self.questions.borrow_mut().try_remove(key);
                if let Some(Question::Ends(then)) = question {
                    then(ends.map(Rc::from));
                }
            }
            Answer::Synced(key, result) => {
                let question = self.questions.borrow_mut().try_remove(key);
                if let Some(Question::Sync(then)) = question {
                    then(result);
                }
            }
            Answer::Older(key, found) => {
                let question = self.questions.borrow_mut().try_remove(key);
                if let Some(Question::Older(then)) = question {
                    then(found);
                }
            }
            Answer::Appended(key, outcome) => {
                let completion = self.completions.borrow_mut().try_remove(key as usize);
                if let Some(completion) = completion {
                    completion.owner.appended(completion.token, outcome);
                }
            }
            Answer::Room => self.wakers.take().into_iter().for_each(Waker::wake),
        }
    }

    fn ask(&self, question: Question, ask: impl FnOnce(usize)) {
        let key = self.questions.borrow_mut().insert(question);
        ask(key);
    }

    /// The topic that is appended to.
    fn topic(&self, name: &str) -> Arc<Topic> {
        if let Some(topic) = self.topics.borrow().get(name) {
            return Arc::clone(topic);
        }
        let topic = self.cluster.topic(name);
        self.topics.borrow_mut().insert(Arc::clone(&topic.name), Arc::clone(&topic));
        topic
    }
}

impl Drop for View {
    fn drop(&mut self) {
        self.cluster.remove_lane(&self.lane);
    }
}

impl KafkaExit for View {
    fn log(&self, topic: &str) -> Rc<dyn TopicLog> {
        if let Some(log) = self.logs.borrow().get(topic).and_then(Weak::upgrade) {
            return log;
        }
        let log = LogView::new(self, topic);
        let mut logs = self.logs.borrow_mut();
        logs.retain(|_, log| log.strong_count() > 0);
        logs.insert(topic.into(), Rc::downgrade(&log));
        log
    }

    fn table(&self, topic: &str) -> Rc<dyn TopicTable> {
        Rc::new(TableView::new(self, topic))
    }

    fn expect_table(&self, topic: &str) {
        self.cluster.expect_state(topic);
    }

    fn producer(&self) -> Rc<dyn Producer> {
        Rc::new(ProducerView::new(self))
    }

    fn limits(&self) -> Limits {
        self.cluster.limits()
    }

    fn fault(&self) -> Option<Fault> {
        (!self.cluster.has_answered()).then_some(Fault::Unavailable)
    }

    fn cluster(&self) -> Option<Arc<str>> {
        self.cluster.id()
    }
}

/// A topic that a view reads: refused where it is read as something else already.
const CONFLICT: Fault = Fault::Refused("the topic is read as a log and as a table");
