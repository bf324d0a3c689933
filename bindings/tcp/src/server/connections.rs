//! The connections of a tcp server on one worker.

use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::{Rc, Weak};
use std::task::{Context, Poll, ready};
use std::time::{Duration, Instant};

use engine::bytes::Ended;
use engine::runtime::Placed;
use engine::spi::WorkerCx;
use engine::telemetry::Counter;
use slab::Slab;
use tokio::task::AbortHandle;

/// How long after its deadline a connection is cut off.
const FAREWELL: Duration = Duration::from_secs(1);

/// The connections that are open, one task each.
pub(super) struct Connections {
    this: Weak<Self>,
    cx: WorkerCx,
    tasks: RefCell<Slab<Option<AbortHandle>>>,
    cut_off: Cell<bool>,
    unrouted: Counter,
}

impl Connections {
    /// None yet. Those that an exit refuses are counted as `unrouted`.
    pub(super) fn new(cx: &WorkerCx, unrouted: Counter) -> Rc<Self> {
        Rc::new_cyclic(|this| Self {
            this: Weak::clone(this),
            cx: cx.clone(),
            tasks: RefCell::default(),
            cut_off: Cell::new(false),
            unrouted,
        })
    }

    pub(super) fn len(&self) -> usize {
        self.tasks.borrow().len()
    }

    /// Runs a connection until it ends.
    pub(super) fn spawn(&self, placed: Placed, served: Served) {
        let Some(this) = self.this.upgrade() else { return };
        let key = self.tasks.borrow_mut().insert(None);
        let open = Open { connections: this, key, _placed: placed };
        let handle = self.cx.spawn_unpin(Serving { served, open });
        if let Some(task) = self.tasks.borrow_mut().get_mut(key) {
            *task = Some(handle);
        }
    }

    /// Ends, a moment after `deadline`, whatever is still open then: what serves the connections may
    /// have the same deadline, and tells the peers why they end.
    pub(super) fn cut_off_at(&self, deadline: Instant) {
        if self.cut_off.replace(true) || self.len() == 0 {
            return;
        }
        let Some(this) = self.this.upgrade() else { return };
        drop(self.cx.spawn(async move {
            tokio::time::sleep_until((deadline + FAREWELL).into()).await;
            let tasks: Vec<_> =
                this.tasks.borrow().iter().filter_map(|(_, task)| task.clone()).collect();
            for task in tasks {
                task.abort();
            }
        }));
    }
}

/// A connection as its exit serves it.
type Served = Pin<Box<dyn Future<Output = Ended>>>;

/// The task of a connection. Written out: an `async` block would hold its parts twice.
struct Serving {
    served: Served,
    open: Open,
}

impl Future for Serving {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let ended = ready!(self.served.as_mut().poll(cx));
        if ended == Ended::Refused {
            self.open.connections.unrouted.increment();
        }
        Poll::Ready(())
    }
}

/// Dropped with the task, however that ends: by itself, cut off, or in a panic.
struct Open {
    connections: Rc<Connections>,
    key: usize,
    _placed: Placed,
}

impl Drop for Open {
    fn drop(&mut self) {
        self.connections.tasks.borrow_mut().try_remove(self.key);
    }
}
