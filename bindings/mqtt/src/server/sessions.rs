//! The sessions of one client: one on each exit that it has come to use.

use std::rc::Rc;

use engine::config::NodeName;
use mqtt_plane::{
    Cause, Closed, Keep, Opened, ReasonCode, Session, SessionBegin, Unfinished, Version, Will,
};

use super::node::Table;
use crate::state::{NO_ROUTE, Request};

/// The sessions of one client. A slot stays what it is for the life of the connection.
pub(super) struct Sessions {
    pub(super) client_id: Rc<str>,
    version: Version,
    clean_start: bool,
    session_expiry: u32,
    slots: Vec<Slot>,
    /// What an earlier connection left, by slot, until it is taken.
    resumed: Option<Box<Resumed>>,
    memo: Memo,
    /// The topic that [`Memo::Topic`] is about.
    topic: String,
}

/// What an earlier connection left unfinished, by slot.
pub(super) type Resumed = Vec<(usize, Unfinished)>;

struct Slot {
    exit: NodeName,
    session: Box<dyn Session>,
}

/// The last decision on a publish: most clients publish to one topic for a while.
#[derive(Clone, Copy)]
enum Memo {
    None,
    /// All topics go to this slot.
    All(usize),
    /// The topic goes to this slot, or nowhere.
    Topic(Option<usize>),
}

impl Sessions {
    pub(super) const fn new(
        client_id: Rc<str>,
        version: Version,
        clean_start: bool,
        session_expiry: u32,
    ) -> Self {
        Self {
            client_id,
            version,
            clean_start,
            session_expiry,
            slots: Vec::new(),
            resumed: None,
            memo: Memo::None,
            topic: String::new(),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.slots.len()
    }

    pub(super) fn session(&mut self, slot: usize) -> &mut dyn Session {
        &mut *self.slots[slot].session
    }

    /// The routes have changed: decisions are made anew.
    pub(super) fn forget_decisions(&mut self) {
        self.memo = Memo::None;
    }

    /// The slot of an exit of `table`, opened at first use.
    pub(super) fn open(
        &mut self,
        table: &Table,
        exit: usize,
        will: Option<Will>,
    ) -> Result<usize, Closed> {
        let (name, link) = &table.exits[exit];
        if let Some(slot) = self.slots.iter().position(|slot| slot.exit == *name) {
            return Ok(slot);
        }
        // What the server keeps itself goes on with a session, and without one ends.
        let is_system = table.system == Some(exit);
        let clean_start = self.clean_start || is_system && self.resumed.is_none();
        let Opened { session, resumed } = link.get().open(SessionBegin {
            client_id: &self.client_id,
            version: self.version,
            clean_start,
            session_expiry: self.session_expiry,
            most_subscriptions: table.policy.bounds.subscriptions,
            will,
        })?;
        // Most clients use one exit.
        self.slots.reserve_exact(1);
        self.slots.push(Slot { exit: name.clone(), session });
        let slot = self.slots.len() - 1;
        if let Some(left) = resumed {
            self.resumed.get_or_insert_default().push((slot, left));
        }
        Ok(slot)
    }

    /// The client is told whether an earlier session goes on: an exit that it comes to use later
    /// has no part in that.
    pub(super) fn begun(&mut self) {
        self.clean_start = true;
    }

    /// Whether a session of an earlier connection goes on.
    pub(super) fn is_resumed(&self) -> bool {
        self.resumed.is_some()
    }

    /// What the earlier connection left unfinished, by slot.
    pub(super) fn take_resumed(&mut self) -> Resumed {
        self.resumed.take().map(|resumed| *resumed).unwrap_or_default()
    }

    /// The slot that takes publishes to a topic; `None` where no route does.
    pub(super) fn publish_slot(
        &mut self,
        table: &Table,
        topic: &str,
    ) -> Result<Option<usize>, Closed> {
        match self.memo {
            Memo::All(slot) => return Ok(Some(slot)),
            Memo::Topic(slot) if self.topic == topic => return Ok(slot),
            _ => {}
        }
        if let Some(decision) = table.only() {
            let slot = self.open(table, decision.exit, None)?;
            self.memo = Memo::All(slot);
            return Ok(Some(slot));
        }
        let slot = match table.decide(Request::Publish(topic)) {
            Some(decision) => Some(self.open(table, decision.exit, None)?),
            None => None,
        };
        self.topic.clear();
        self.topic.push_str(topic);
        self.memo = Memo::Topic(slot);
        Ok(slot)
    }

    /// The slot that takes subscriptions to a filter.
    pub(super) fn subscribe_slot(
        &mut self,
        table: &Table,
        filter: &str,
    ) -> Result<usize, ReasonCode> {
        let exit = table.subscribe_exit(filter).ok_or(NO_ROUTE.reason)?;
        self.open(table, exit, None).map_err(|closed| closed.reason)
    }

    /// Ends all sessions with their connection, except for what `keep` says of each slot.
    pub(super) fn close(&mut self, cause: Cause, mut keep: impl FnMut(usize) -> Option<Keep>) {
        for (at, mut slot) in self.slots.drain(..).enumerate() {
            slot.session.close(cause, keep(at));
        }
    }
}
