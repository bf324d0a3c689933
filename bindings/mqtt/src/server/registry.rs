//! The connections of a server on one worker, and what each can be told.

use std::cell::{Cell, RefCell};
use std::collections::BTreeMap;
use std::rc::Rc;
use std::sync::Arc;
use std::task::Waker;

use engine::bytes::Acceptor;

use super::node::Server;
use super::takeover::Owner;

/// What a connection is told to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Order {
    /// Finish what is in flight, then end: the process ends.
    Drain,
    /// End now: the process ends.
    Shutdown,
    /// End now: the binding is gone, or the one that the client came by.
    Remove,
    /// End now: the client was silent for too long.
    KeepAlive,
    /// End now: the client has connected again.
    TakenOver,
}

/// A connection, as the server sees it.
#[derive(Debug)]
pub(super) struct Handle {
    pub(super) token: u64,
    /// What the connection came by.
    pub(super) acceptor: Acceptor,
    order: Cell<Option<Order>>,
    waker: RefCell<Option<Waker>>,
    /// The connection that this one took its client id from, until its session has ended.
    pub(super) waits_for: Cell<Option<Owner>>,
    /// Whether this connection begins with a clean session, so that nothing of an earlier one is
    /// needed.
    pub(super) is_clean: Cell<bool>,
    /// Whether a newer connection of the client does: nothing of this one is kept.
    pub(super) is_discarded: Cell<bool>,
    /// The tick at which the client was heard last.
    pub(super) heard: Cell<u32>,
    /// Ticks of silence after which the connection ends; 0: never.
    pub(super) patience: Cell<u32>,
    /// Whether the connection does not read at present, so that it cannot hear.
    pub(super) is_deaf: Cell<bool>,
    /// Whether the connection waits for a tick, since it sends too fast.
    pub(super) is_paced: Cell<bool>,
    /// Who waits for the end of this connection's session.
    waiters: RefCell<Vec<Owner>>,
    /// The client id, once it is claimed.
    claimed: RefCell<Option<Arc<str>>>,
}

impl Handle {
    /// Tells the connection; of several orders the strongest holds.
    pub(super) fn order(&self, order: Order) {
        if self.order.get() < Some(order) {
            self.order.set(Some(order));
            self.wake();
        }
    }

    /// What the connection is told to do.
    pub(super) fn ordered(&self) -> Option<Order> {
        self.order.get()
    }

    /// Registers the task that orders wake.
    pub(super) fn park(&self, waker: &Waker) {
        let mut parked = self.waker.borrow_mut();
        if !parked.as_ref().is_some_and(|parked| parked.will_wake(waker)) {
            *parked = Some(waker.clone());
        }
    }

    pub(super) fn wake(&self) {
        if let Some(waker) = &*self.waker.borrow() {
            waker.wake_by_ref();
        }
    }

    /// `owner` is told when the session of this connection has ended.
    pub(super) fn await_end(&self, owner: Owner) {
        self.waiters.borrow_mut().push(owner);
    }
}

/// The connections of a server on one worker.
#[derive(Debug)]
pub(super) struct Registry {
    handles: RefCell<BTreeMap<u64, Rc<Handle>>>,
    next_token: Cell<u64>,
}

impl Registry {
    /// An empty registry. Tokens begin at `first_token`, which no other registry shares.
    pub(super) const fn new(first_token: u64) -> Self {
        Self { handles: RefCell::new(BTreeMap::new()), next_token: Cell::new(first_token) }
    }

    pub(super) fn len(&self) -> usize {
        self.handles.borrow().len()
    }

    pub(super) fn get(&self, token: u64) -> Option<Rc<Handle>> {
        self.handles.borrow().get(&token).cloned()
    }

    /// Calls `visit` with each connection, in order of arrival. It must not add or remove any.
    pub(super) fn for_each(&self, mut visit: impl FnMut(&Handle)) {
        self.handles.borrow().values().for_each(|handle| visit(handle));
    }
}

/// A connection's place in the registry; it leaves by dropping this, whatever ends it.
pub(super) struct Registration {
    server: Rc<Server>,
    handle: Rc<Handle>,
}

impl std::ops::Deref for Registration {
    type Target = Handle;
    fn deref(&self) -> &Handle {
        &self.handle
    }
}

impl Registration {
    /// Registers a connection.
    pub(super) fn new(server: &Rc<Server>, acceptor: Acceptor) -> Self {
        let registry = &server.registry;
        let token = registry.next_token.get();
        registry.next_token.set(token.wrapping_add(1));
        let handle = Rc::new(Handle {
            token,
            acceptor,
            order: Cell::new(None),
            waker: RefCell::default(),
            waits_for: Cell::default(),
            is_clean: Cell::new(false),
            is_discarded: Cell::new(false),
            heard: Cell::new(server.tick()),
            patience: Cell::new(0),
            is_deaf: Cell::new(false),
            is_paced: Cell::new(false),
            waiters: RefCell::default(),
            claimed: RefCell::default(),
        });
        registry.handles.borrow_mut().insert(token, Rc::clone(&handle));
        server.keep_ticking();
        Self { server: Rc::clone(server), handle }
    }

    /// Who this connection is to other connections.
    pub(super) fn owner(&self) -> Owner {
        Owner { worker: self.server.cx.index(), token: self.token }
    }

    /// Remembers the client id to release.
    pub(super) fn claimed(&self, client_id: Arc<str>) {
        *self.claimed.borrow_mut() = Some(client_id);
    }

    /// Gives the client id back and tells who waits that the session has ended, or which one is
    /// still to end.
    pub(super) fn release(&self) {
        let (me, still) = (self.owner(), self.waits_for.take());
        if let Some(client_id) = self.claimed.take()
            && let Some(newer) = self.server.lasting.clients.release(&client_id, me, still)
            && still.is_some()
        {
            // Whether it waits for this connection by now or not: it is to wait for the other.
            self.server.tell_released(newer, me, still);
        }
        for waiter in self.waiters.take() {
            self.server.tell_released(waiter, me, still);
        }
    }
}

impl Drop for Registration {
    fn drop(&mut self) {
        self.release();
        self.server.registry.handles.borrow_mut().remove(&self.token);
    }
}
