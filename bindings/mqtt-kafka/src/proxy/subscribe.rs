//! SUBSCRIBE and UNSUBSCRIBE: what a session is served from, and from where on.
//!
//! Requests of a session are decided in order. Those that come while others are being decided
//! wait, and are then decided together, so that a client that sends a thousand of them at once
//! asks Kafka a few times. For a group of requests the live start of every log concerned is fixed
//! first; then, when the retained publishes that are on their way have arrived (`pairs`), the
//! retained tables are brought up to date; only then is SUBACK given. So a message
//! published after SUBACK is delivered, and a retained one that was published before is not
//! missed between the two topics. While Kafka does not answer, requests wait: it is asked again
//! until it does.
//!
//! Other sessions of the worker wait while a group begins and while its filters are put in force:
//! a group has a bound, and so has what is put in force in one turn.

use std::collections::VecDeque;
use std::rc::{Rc, Weak};
use std::sync::Arc;
use std::time::Duration;

use kafka_plane::{Ends, Fault, TopicLog, TopicTable};
use mqtt_plane::{Event, Qos, ReasonCode, RetainHandling, Subscription, Ticket, is_share};

use super::deliver::reader::Reader;
use super::hub::AT_ONCE;
use super::member::Member;
use super::upstream::Upstream;

/// Text of filters that may wait, bytes.
const QUEUE: usize = 1 << 20;

/// What a filter costs beside its text, bytes.
const FILTER: usize = 64;

/// Filters that a group has about at most: as many as one packet may have by default.
const GROUP: usize = 1000;

/// How many deliveries, or replays, that are looked at when a filter goes cost as much as a filter.
const LOOKS: usize = 32;

/// How long until Kafka is asked again where it did not answer.
const AGAIN: Duration = Duration::from_millis(200);

/// A request of a client.
pub(super) enum Request {
    Subscribe { ticket: Ticket, wanted: Vec<Wanted> },
    Unsubscribe { ticket: Ticket, filters: Vec<Rc<str>> },
}

/// A filter of a SUBSCRIBE.
#[derive(Clone)]
pub(super) struct Wanted {
    pub(super) filter: Rc<str>,
    pub(super) qos: Qos,
    pub(super) no_local: bool,
    pub(super) retain_as_published: bool,
    pub(super) handling: RetainHandling,
    pub(super) id: Option<u32>,
}

impl From<&Subscription<'_>> for Wanted {
    fn from(subscription: &Subscription<'_>) -> Self {
        Self {
            filter: subscription.filter.into(),
            qos: subscription.qos,
            no_local: subscription.no_local,
            retain_as_published: subscription.retain_as_published,
            handling: subscription.retain_handling,
            id: subscription.id,
        }
    }
}

impl Request {
    fn weight(&self) -> usize {
        match self {
            Self::Subscribe { wanted, .. } => wanted.iter().map(|w| w.filter.len() + FILTER).sum(),
            Self::Unsubscribe { filters, .. } => filters.iter().map(|f| f.len() + FILTER).sum(),
        }
    }

    /// The answer where nothing can be done.
    fn refuse(&self) -> Event {
        match self {
            Self::Subscribe { ticket, wanted } => Event::Subscribed {
                ticket: *ticket,
                reasons: wanted.iter().map(|_| ReasonCode::QUOTA_EXCEEDED).collect(),
            },
            Self::Unsubscribe { ticket, filters } => Event::Unsubscribed {
                ticket: *ticket,
                reasons: filters
                    .iter()
                    .map(|_| ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR)
                    .collect(),
            },
        }
    }
}

/// The requests of a session that are not answered yet.
#[derive(Default)]
pub(super) struct Requests {
    queued: Vec<Request>,
    queued_bytes: usize,
    /// Boxed, since it is there only while requests are decided.
    group: Option<Box<Group>>,
    /// Tells answers for an earlier group apart.
    number: u64,
}

/// What Kafka answered, once it has.
type Answered<T> = Option<Result<T, Fault>>;

/// A table of retained messages.
type Retained = Rc<dyn TopicTable>;

/// Requests that are being decided together.
#[derive(Default)]
pub(super) struct Group {
    /// Those that are not answered.
    requests: VecDeque<Request>,
    /// What the filters of the first of them came to that are decided.
    reasons: Vec<ReasonCode>,
    /// The logs concerned, and where each ends.
    pub(super) starts: Vec<(Rc<Reader>, Answered<Ends>)>,
    /// The shared subscriptions concerned, and whether the group of each has answered.
    pub(super) joins: Vec<(Rc<str>, bool)>,
    /// The retained tables concerned, and whether each is up to date.
    pub(super) tables: Vec<(Rc<Upstream>, Retained, Answered<()>)>,
}

/// What Kafka answered about a log or a table of a group.
enum Answer {
    Ends(usize, Result<Ends, Fault>),
    Synced(usize, Result<(), Fault>),
    Joined(Rc<str>),
}

impl Answer {
    fn fault(&self) -> Option<Fault> {
        match self {
            Self::Ends(_, ends) => ends.as_ref().err().copied(),
            Self::Synced(_, outcome) => outcome.as_ref().err().copied(),
            Self::Joined(_) => None,
        }
    }
}

impl Requests {
    /// Forgets everything: the session ends.
    pub(super) fn abandon(&mut self) {
        let number = self.number + 1;
        *self = Self { number, ..Self::default() };
    }
}

impl Member {
    /// Takes a request. What is beyond the bound of waiting requests is refused.
    pub(super) fn request(&self, request: Request) {
        let mut requests = self.requests.borrow_mut();
        let weight = request.weight();
        if requests.queued_bytes > 0 && requests.queued_bytes + weight > QUEUE {
            self.state.borrow_mut().answers.push(request.refuse());
            self.wake();
            return;
        }
        requests.queued_bytes += weight;
        requests.queued.push(request);
        drop(requests);
        self.go_on();
    }

    /// Begins to decide what waits, unless a group is being decided.
    pub(super) fn go_on(&self) {
        let mut requests = self.requests.borrow_mut();
        if requests.group.is_some() || requests.queued.is_empty() {
            return;
        }
        let mut queued = std::mem::take(&mut requests.queued);
        let mut filters = 0;
        let last = queued.iter().position(|request| {
            filters += request.len();
            // Who leaves a group and joins it again asks for another seat.
            filters >= GROUP || request.leaves_group()
        });
        if let Some(at) = last {
            requests.queued = queued.split_off(at + 1);
        }
        requests.queued_bytes = requests.queued.iter().map(Request::weight).sum();
        drop(requests);
        self.begin(queued.into(), Vec::new());
    }

    /// Decides the present group anew: the mapping or an exit has changed.
    pub(super) fn begin_again(&self) {
        let group = self.requests.borrow_mut().group.take();
        if let Some(group) = group {
            self.begin(group.requests, group.reasons);
        }
    }

    fn begin(&self, list: VecDeque<Request>, reasons: Vec<ReasonCode>) {
        let mut group = Group { reasons, ..Group::default() };
        for wanted in list.iter().filter_map(Request::wanted).flatten() {
            if is_share(&wanted.filter) {
                let is_known = group.joins.iter().any(|(known, _)| *known == wanted.filter);
                if !is_known {
                    let is_answered = self.ask_seat(&wanted.filter);
                    group.joins.push((Rc::clone(&wanted.filter), is_answered));
                }
                continue;
            }
            for reader in self.hub.readers_of(&wanted.filter) {
                if wanted.handling != RetainHandling::DoNotSend {
                    group.add_table(&reader.upstream);
                }
                if !group.starts.iter().any(|(known, _)| Rc::ptr_eq(known, &reader)) {
                    group.starts.push((reader, None));
                }
            }
        }
        group.requests = list;
        let is_decided = group.starts.is_empty() && group.is_fixed();
        let logs: Vec<_> = group.starts.iter().map(|(reader, _)| reader.log()).collect();
        let mut requests = self.requests.borrow_mut();
        requests.number += 1;
        let number = requests.number;
        requests.group = Some(Box::new(group));
        drop(requests);
        for (index, log) in logs.iter().enumerate() {
            self.ask_ends(number, index, log);
        }
        if is_decided {
            self.finish(number);
        }
    }

    fn ask_ends(&self, number: u64, index: usize, log: &Rc<dyn TopicLog>) {
        let this = Weak::clone(&self.this);
        log.ends(Box::new(move |ends| {
            if let Some(this) = this.upgrade() {
                this.take_answer(number, Answer::Ends(index, ends));
            }
        }));
    }

    fn ask_sync(&self, number: u64, index: usize, table: &Rc<dyn TopicTable>) {
        let this = Weak::clone(&self.this);
        table.sync(Box::new(move |outcome| {
            if let Some(this) = this.upgrade() {
                this.take_answer(number, Answer::Synced(index, outcome));
            }
        }));
    }

    /// Asks once more, later, what Kafka did not answer; not where the group is another by then.
    fn ask_again(&self, number: u64, answer: &Answer) {
        let asked = match *answer {
            Answer::Ends(index, _) => Err(index),
            Answer::Synced(index, _) => Ok(index),
            Answer::Joined(_) => return,
        };
        let this = Weak::clone(&self.this);
        self.hub.cx.spawn(async move {
            tokio::time::sleep(AGAIN).await;
            let Some(this) = this.upgrade() else { return };
            let requests = this.requests.borrow();
            if requests.number != number {
                return;
            }
            let Some(group) = &requests.group else { return };
            match asked {
                Err(index) => {
                    let log = group.starts[index].0.log();
                    drop(requests);
                    this.ask_ends(number, index, &log);
                }
                Ok(index) => {
                    let table = Rc::clone(&group.tables[index].1);
                    drop(requests);
                    this.ask_sync(number, index, &table);
                }
            }
        });
    }

    /// The group of a shared subscription has answered.
    pub(super) fn joined(&self, filter: &Rc<str>) {
        let number = self.requests.borrow().number;
        self.take_answer(number, Answer::Joined(Rc::clone(filter)));
    }

    /// Notes an answer for the group `number`, and does what can be done then.
    fn take_answer(&self, number: u64, answer: Answer) {
        let mut requests = self.requests.borrow_mut();
        if requests.number != number {
            return;
        }
        if answer.fault() == Some(Fault::Unavailable) {
            return self.ask_again(number, &answer);
        }
        let Some(group) = requests.group.as_mut() else { return };
        let was_fixed = group.is_fixed();
        match answer {
            Answer::Ends(index, ends) => group.starts[index].1 = Some(ends),
            Answer::Synced(index, outcome) => group.tables[index].2 = Some(outcome),
            Answer::Joined(filter) => group.joined(&filter),
        }
        if !group.is_fixed() {
            return;
        }
        let is_current = group.tables.iter().all(|(_, _, outcome)| outcome.is_some());
        drop(requests);
        if is_current {
            self.finish(number);
        } else if !was_fixed {
            self.sync_tables(number);
        }
    }

    /// The live starts of the group `number` are fixed: brings its retained tables up to date.
    fn sync_tables(&self, number: u64) {
        let Some(last) = self.hub.shared.pairs.last() else { return self.ask_syncs(number) };
        let this = Weak::clone(&self.this);
        let shared = Arc::clone(&self.hub.shared);
        self.hub.cx.spawn(async move {
            shared.pairs.settled(last).await;
            if let Some(this) = this.upgrade() {
                this.ask_syncs(number);
            }
        });
    }

    fn ask_syncs(&self, number: u64) {
        let requests = self.requests.borrow();
        let group = requests.group.as_ref().filter(|_| requests.number == number);
        let tables: Vec<_> = group.map_or_else(Vec::new, |group| {
            group.tables.iter().map(|(_, table, _)| Rc::clone(table)).collect()
        });
        drop(requests);
        for (index, table) in tables.iter().enumerate() {
            self.ask_sync(number, index, table);
        }
    }

    /// Everything is known: answers the group's requests in order, and goes on with what waits.
    fn finish(&self, number: u64) {
        let mut requests = self.requests.borrow_mut();
        if requests.number != number {
            return;
        }
        let Some(mut group) = requests.group.take() else { return };
        drop(requests);
        self.decide_some(&mut group);
        self.state.borrow_mut().settle_reliability();
        self.wake();
        if group.requests.is_empty() {
            for (reader, _) in &group.starts {
                self.hub.advance(reader);
            }
            return self.go_on();
        }
        self.requests.borrow_mut().group = Some(group);
        let this = Weak::clone(&self.this);
        self.hub.cx.spawn(async move {
            tokio::task::yield_now().await;
            if let Some(this) = this.upgrade() {
                this.finish(number);
            }
        });
    }

    /// Decides about as many filters of a group as come or go in one turn.
    fn decide_some(&self, group: &mut Group) {
        let mut done = 0;
        let mut reasons = std::mem::take(&mut group.reasons);
        while let Some(request) = group.requests.pop_front() {
            while reasons.len() < request.len() && done < AT_ONCE {
                let at = reasons.len();
                done += 1;
                reasons.push(match &request {
                    Request::Subscribe { wanted, .. } => self.hold(&wanted[at], group),
                    Request::Unsubscribe { filters, .. } => {
                        done += self.state.borrow().looks() / LOOKS;
                        self.give_up(&filters[at])
                    }
                });
            }
            if reasons.len() < request.len() {
                group.requests.push_front(request);
                group.reasons = reasons;
                return;
            }
            let reasons = std::mem::take(&mut reasons).into();
            let answer = match request {
                Request::Subscribe { ticket, .. } => Event::Subscribed { ticket, reasons },
                Request::Unsubscribe { ticket, .. } => Event::Unsubscribed { ticket, reasons },
            };
            self.state.borrow_mut().answers.push(answer);
        }
    }
}

impl Request {
    fn wanted(&self) -> Option<&[Wanted]> {
        match self {
            Self::Subscribe { wanted, .. } => Some(wanted),
            Self::Unsubscribe { .. } => None,
        }
    }

    /// How many filters it has.
    fn len(&self) -> usize {
        match self {
            Self::Subscribe { wanted, .. } => wanted.len(),
            Self::Unsubscribe { filters, .. } => filters.len(),
        }
    }

    fn leaves_group(&self) -> bool {
        matches!(self, Self::Unsubscribe { filters, .. } if filters.iter().any(|f| is_share(f)))
    }
}

impl Group {
    fn add_table(&mut self, upstream: &Rc<Upstream>) {
        if !self.tables.iter().any(|(known, _, _)| Rc::ptr_eq(known, upstream)) {
            self.tables.push((Rc::clone(upstream), upstream.retained(), None));
        }
    }

    fn is_fixed(&self) -> bool {
        self.starts.iter().all(|(_, ends)| ends.is_some())
            && self.joins.iter().all(|(_, is_answered)| *is_answered)
    }

    fn joined(&mut self, filter: &str) {
        let joins = self.joins.iter_mut().filter(|(known, _)| **known == *filter);
        joins.for_each(|(_, is_answered)| *is_answered = true);
    }
}
