//! What memory no longer holds, asked of Kafka by one session.

use std::cell::RefCell;
use std::rc::{Rc, Weak};
use std::time::Duration;

use kafka_plane::Older;

use super::reader::Reader;
use crate::proxy::member::Member;

/// How long a session waits before it asks again where Kafka did not answer.
const RETRY: Duration = Duration::from_millis(500);

/// A question for records of one partition, with the answer once that has come. Who drops it has
/// asked no more: the answer then comes for nobody.
pub(in crate::proxy) struct Question {
    reader: Rc<Reader>,
    partition: u32,
    offset: i64,
    member: Weak<Member>,
    answer: RefCell<Option<Older>>,
}

impl Question {
    /// Asks for what lies from `offset` on; the session is woken when it is there.
    pub(in crate::proxy) fn ask(
        member: &Member,
        reader: &Rc<Reader>,
        partition: u32,
        offset: i64,
    ) -> Rc<Self> {
        member.hub.counters.older_asked.increment();
        let question = Rc::new(Self {
            reader: Rc::clone(reader),
            partition,
            offset,
            member: Weak::clone(&member.this),
            answer: RefCell::default(),
        });
        question.put();
        question
    }

    fn put(self: &Rc<Self>) {
        let question = Rc::downgrade(self);
        let then = Box::new(move |found| {
            let Some(question) = question.upgrade() else { return };
            match found {
                Ok(older) => question.take(older),
                // The cluster says why, as an event.
                Err(_) => question.put_later(),
            }
        });
        self.reader.log().older(self.partition, self.offset, then);
    }

    fn put_later(self: &Rc<Self>) {
        let Some(member) = self.member.upgrade() else { return };
        let question = Rc::downgrade(self);
        member.hub.cx.spawn(async move {
            tokio::time::sleep(RETRY).await;
            if let Some(question) = question.upgrade() {
                question.put();
            }
        });
    }

    fn take(&self, older: Older) {
        *self.answer.borrow_mut() = Some(older);
        if let Some(member) = self.member.upgrade() {
            member.wake();
        }
    }

    /// Whether the answer has not come.
    pub(in crate::proxy) fn is_open(&self) -> bool {
        self.answer.borrow().is_none()
    }

    /// Whether it is about this place: asked from there on, or answered beyond it.
    pub(in crate::proxy) fn is_about(
        &self,
        reader: &Rc<Reader>,
        partition: u32,
        offset: i64,
    ) -> bool {
        let is_within = match &*self.answer.borrow() {
            Some(Older::Next(_, next)) => (self.offset..*next).contains(&offset),
            Some(Older::Gone(_)) | None => self.offset == offset,
        };
        is_within && self.partition == partition && Rc::ptr_eq(&self.reader, reader)
    }

    /// The answer, if it has come.
    pub(in crate::proxy) fn answer(&self) -> Option<Older> {
        self.answer.borrow().clone()
    }
}

impl Member {
    /// Forgets what was asked of an exit that was replaced: it is asked anew.
    pub(in crate::proxy) fn ask_older_anew(&self) {
        let mut state = self.state.borrow_mut();
        for behind in &mut state.behind {
            behind.question.take_if(|question| question.is_open());
        }
        if let Some(lasting) = &mut state.lasting {
            lasting.question.take_if(|question| question.is_open());
        }
    }
}
