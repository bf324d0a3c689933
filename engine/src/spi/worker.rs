//! What a node may use on its worker.

use std::any::Any;
use std::cell::{Cell, RefCell};
use std::future::Future;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::Instant;

use slab::Slab;
use tokio::task::AbortHandle;

use crate::bytes::{Acceptor, BufferPool};
use crate::config::NodeName;
use crate::runtime::{Clock, Loads, Mailbox, Post};
use crate::shared::Signal;
use crate::telemetry::{Counter, Metrics};

/// One worker, as its nodes see it. Cheap to clone; stays on its thread.
#[derive(Clone)]
pub struct WorkerCx(Rc<Inner>);

struct Inner {
    index: usize,
    mailboxes: Vec<Arc<Mailbox>>,
    loads: Arc<Loads>,
    clock: Clock,
    pool: BufferPool,
    metrics: Arc<Metrics>,
    generation: Cell<u64>,
    reloaded_at: Cell<Instant>,
    signals: RefCell<Slab<Registered>>,
    is_poisoned: Cell<bool>,
    next_acceptor: Cell<u16>,
}

/// A signal, and who is called when it is raised.
type Registered = (Arc<Signal>, Rc<dyn Fn()>);

impl WorkerCx {
    pub(crate) fn new(
        index: usize,
        mailboxes: Vec<Arc<Mailbox>>,
        loads: Arc<Loads>,
        metrics: Arc<Metrics>,
    ) -> Self {
        let clock = Clock::new();
        Self(Rc::new(Inner {
            index,
            mailboxes,
            loads,
            reloaded_at: Cell::new(clock.now()),
            clock,
            pool: BufferPool::new(),
            metrics,
            generation: Cell::new(0),
            signals: RefCell::default(),
            is_poisoned: Cell::new(false),
            next_acceptor: Cell::new(0),
        }))
    }

    /// A worker of its own without a runtime behind it, for tests of one binding.
    #[must_use]
    pub fn detached() -> Self {
        Self::new(0, vec![Arc::new(Mailbox::new())], Arc::new(Loads::new(1)), Arc::default())
    }

    /// So many workers without a runtime behind them, for tests of one binding.
    #[must_use]
    pub fn detached_beside_each_other(count: usize) -> Vec<Self> {
        let mailboxes: Vec<_> = (0..count).map(|_| Arc::new(Mailbox::new())).collect();
        let loads = Arc::new(Loads::new(count));
        let worker =
            |index| Self::new(index, mailboxes.clone(), Arc::clone(&loads), Arc::default());
        (0..count).map(worker).collect()
    }

    /// Which worker this is, from 0.
    #[must_use]
    pub fn index(&self) -> usize {
        self.0.index
    }

    /// How many workers there are.
    #[must_use]
    pub fn count(&self) -> usize {
        self.0.mailboxes.len()
    }

    /// The generation of the configuration in force.
    #[must_use]
    pub fn generation(&self) -> u64 {
        self.0.generation.get()
    }

    /// When the configuration in force was about to be put in force: no worker had applied it
    /// then, and after it each did at a moment of its own.
    #[must_use]
    pub fn reloaded_at(&self) -> Instant {
        self.0.reloaded_at.get()
    }

    pub(crate) fn set_generation(&self, generation: u64, reloaded_at: Instant) {
        self.0.generation.set(generation);
        self.0.reloaded_at.set(reloaded_at);
    }

    /// The worker's clock.
    #[must_use]
    pub fn clock(&self) -> &Clock {
        &self.0.clock
    }

    /// The worker's buffers.
    #[must_use]
    pub fn pool(&self) -> &BufferPool {
        &self.0.pool
    }

    /// A name for an instance that accepts connections, which no other of this worker has.
    #[must_use]
    pub fn next_acceptor(&self) -> Acceptor {
        let next = self.0.next_acceptor.get();
        self.0.next_acceptor.set(next.wrapping_add(1));
        Acceptor(next)
    }

    /// How many connections each worker has.
    #[must_use]
    pub fn loads(&self) -> &Arc<Loads> {
        &self.0.loads
    }

    /// A counter of this worker, summed over workers when read.
    #[must_use]
    pub fn counter(&self, node: &NodeName, metric: &'static str) -> Counter {
        self.0.metrics.counter(&node.to_string(), metric)
    }

    /// The process's counters, to be read.
    #[must_use]
    pub fn metrics(&self) -> &Metrics {
        &self.0.metrics
    }

    /// Runs a future on this worker. The handle can abort it; dropping the handle lets it go on. A
    /// panic in it ends it and poisons the worker, whose instances are then started anew.
    pub fn spawn(&self, future: impl Future<Output = ()> + 'static) -> AbortHandle {
        self.spawn_unpin(Box::pin(future))
    }

    /// As [`WorkerCx::spawn`], for a future that may be moved: its task allocates nothing beside
    /// itself.
    pub fn spawn_unpin(&self, future: impl Future<Output = ()> + Unpin + 'static) -> AbortHandle {
        let guard = PanicGuard(self.clone());
        tokio::task::spawn_local(Guarded { future, guard }).abort_handle()
    }

    /// Says that something panicked on this worker.
    pub(crate) fn poison(&self) {
        if !self.0.is_poisoned.replace(true) {
            self.0.mailboxes[self.0.index].post_always(Post::Poisoned);
        }
    }

    pub(crate) fn is_poisoned(&self) -> bool {
        self.0.is_poisoned.get()
    }

    pub(crate) fn clear_poison(&self) {
        self.0.is_poisoned.set(false);
    }

    /// A signal that other threads can raise; `on_raise` is then called on this worker, once
    /// however often it was raised meanwhile. Ends when the guard is dropped.
    #[must_use]
    pub fn signal(&self, on_raise: Rc<dyn Fn()>) -> SignalGuard {
        let mut signals = self.0.signals.borrow_mut();
        let vacant = signals.vacant_entry();
        let key = vacant.key();
        let signal = Arc::new(Signal::new(key, Arc::clone(&self.0.mailboxes[self.0.index])));
        vacant.insert((Arc::clone(&signal), on_raise));
        SignalGuard { cx: self.clone(), key, signal }
    }

    /// Waits until a signal of a detached worker is raised, and calls those that are. For tests of
    /// one binding; a worker that runs does this itself.
    pub async fn serve_raised(&self) {
        let mut posts = std::collections::VecDeque::new();
        self.0.mailboxes[self.0.index].receive(&mut posts).await;
        for post in posts {
            if let Post::Raised(key) = post {
                self.raised(key);
            }
        }
    }

    /// What was posted to instances of nodes on a detached worker, without waiting. For tests of
    /// one binding.
    #[must_use]
    pub fn take_posted(&self) -> Vec<Box<dyn Any + Send>> {
        let posts = self.0.mailboxes[self.0.index].take().into_iter();
        let payload = |post| match post {
            Post::Node(_, payload) => Some(payload),
            _ => None,
        };
        posts.filter_map(payload).collect()
    }

    /// Counts a generation, as a reload does. For tests of one binding.
    pub fn begin_generation(&self) {
        self.set_generation(self.generation() + 1, self.clock().now());
    }

    pub(crate) fn raised(&self, key: usize) {
        let Some((signal, on_raise)) = self.0.signals.borrow().get(key).cloned() else { return };
        signal.clear();
        on_raise();
    }

    /// Hands `payload` to the instance of `node` on another worker ([`crate::spi::Node::receive`]).
    ///
    /// # Errors
    /// Gives the payload back where that worker's mailbox is full or closed.
    pub fn post(
        &self,
        worker: usize,
        node: &NodeName,
        payload: Box<dyn Any + Send>,
    ) -> Result<(), Box<dyn Any + Send>> {
        match self.0.mailboxes[worker].post(Post::Node(node.clone(), payload)) {
            Ok(()) => Ok(()),
            Err(Post::Node(_, payload)) => Err(payload),
            Err(_) => Err(Box::new(())),
        }
    }
}

/// A future whose panics poison the worker. An `async` block in its place would have room for the
/// future twice, as captured and as awaited, for as long as the task lives.
struct Guarded<F> {
    future: F,
    /// Behind the future, so that it sees a panic of its drop too.
    guard: PanicGuard,
}

impl<F: Future<Output = ()> + Unpin> Future for Guarded<F> {
    type Output = ();

    fn poll(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<()> {
        let _guard = self.guard.clone();
        Pin::new(&mut self.future).poll(cx)
    }
}

/// Poisons the worker where a panic is what drops it.
#[derive(Clone)]
struct PanicGuard(WorkerCx);

impl Drop for PanicGuard {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.0.poison();
        }
    }
}

/// Keeps a signal registered on its worker.
pub struct SignalGuard {
    cx: WorkerCx,
    key: usize,
    signal: Arc<Signal>,
}

impl SignalGuard {
    /// The signal, for other threads.
    #[must_use]
    pub fn signal(&self) -> Arc<Signal> {
        Arc::clone(&self.signal)
    }
}

impl Drop for SignalGuard {
    fn drop(&mut self) {
        self.cx.0.signals.borrow_mut().try_remove(self.key);
    }
}
