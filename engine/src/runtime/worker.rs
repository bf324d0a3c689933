//! A worker: a thread with a runtime of its own, on which its instances of all nodes live.

use std::collections::{BTreeMap, HashMap, VecDeque};
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::task::LocalSet;

use crate::config::NodeName;
use crate::graph::Fate;
use crate::runtime::application::{Application, Step, Work};
use crate::runtime::status::WorkerStatus;
use crate::runtime::{Loads, Mailbox, Post};
use crate::spi::{Entry, Links, Node, Retire, WorkerCx};
use crate::telemetry::Metrics;

/// What a worker thread is started with.
pub(super) struct WorkerStart {
    pub(super) index: usize,
    pub(super) mailboxes: Vec<Arc<Mailbox>>,
    pub(super) loads: Arc<Loads>,
    pub(super) metrics: Arc<Metrics>,
}

/// Starts a worker thread. It ends at [`Post::Stop`].
pub(super) fn start(start: WorkerStart) -> std::io::Result<JoinHandle<()>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    std::thread::Builder::new().name(format!("worker-{}", start.index)).spawn(move || {
        let mailbox = Arc::clone(&start.mailboxes[start.index]);
        let cx = WorkerCx::new(start.index, start.mailboxes, start.loads, start.metrics);
        let worker = Worker {
            cx,
            nodes: BTreeMap::new(),
            entries: HashMap::new(),
            retired: Vec::new(),
            order: Vec::new(),
        };
        let run = AssertUnwindSafe(|| LocalSet::new().block_on(&runtime, worker.run(mailbox)));
        if catch_unwind(run).is_err() {
            // The engine's own code: nothing that this worker holds can be relied upon, and a
            // supervisor starts the process again.
            tracing::error!(event = "engine.worker.panicked", "the process ends");
            std::process::exit(PANICKED);
        }
    })
}

/// The exit status of a process whose worker panicked in engine code, as Rust's own is.
const PANICKED: i32 = 101;

struct Worker {
    cx: WorkerCx,
    nodes: BTreeMap<NodeName, Running>,
    entries: HashMap<NodeName, Entry>,
    /// Replaced or removed instances that still have connections.
    retired: Vec<Retired>,
    /// The names of the plan, exits first.
    order: Vec<NodeName>,
}

/// An instance that a reload replaced or removed.
struct Retired {
    node: Rc<dyn Node>,
    /// The generation of that reload.
    generation: u64,
    /// Whether connections come to it from outside, and not from another node.
    is_outermost: bool,
}

/// An instance, and what it was made from.
struct Running {
    node: Rc<dyn Node>,
    work: Work,
}

impl Worker {
    async fn run(mut self, mailbox: Arc<Mailbox>) {
        let mut posts = VecDeque::new();
        loop {
            mailbox.receive(&mut posts).await;
            for post in posts.drain(..) {
                match post {
                    // Code of bindings: a panic in it is theirs, and poisons them.
                    Post::Raised(key) => self.guarded(|worker| worker.cx.raised(key)),
                    Post::Node(name, payload) => self.guarded(|worker| {
                        if let Some(running) = worker.nodes.get(&name) {
                            Rc::clone(&running.node).receive(payload);
                        }
                    }),
                    Post::Apply(application, done) => {
                        self.apply(&application);
                        done.send(self.status()).ok();
                    }
                    Post::Status(reply) => {
                        reply.send(self.status()).ok();
                    }
                    Post::Retire(retire) => {
                        for running in self.nodes.values() {
                            running.node.retire(retire);
                        }
                    }
                    Post::Poisoned => self.renew(),
                    Post::Stop => return,
                }
            }
        }
    }

    fn guarded(&mut self, call: impl FnOnce(&mut Self)) {
        if catch_unwind(AssertUnwindSafe(|| call(self))).is_err() {
            self.cx.poison();
        }
    }

    /// Replaces every instance after a panic: it released what was borrowed, but what it left half
    /// done may hold no more. The connections of this worker end; the other workers go on.
    fn renew(&mut self) {
        if !self.cx.is_poisoned() {
            return;
        }
        let retire = Retire { is_shutdown: false, deadline: Some(self.cx.clock().now()) };
        let connections: usize =
            self.nodes.values().map(|running| running.node.connections()).sum();
        tracing::error!(
            event = "worker.poisoned",
            worker = self.cx.index(),
            connections,
            "a binding panicked (see above): its worker starts its bindings anew",
        );
        for name in self.order.clone() {
            if let Some(work) = self.nodes.get(&name).map(|running| running.work.clone()) {
                self.attach(&name, &work, retire);
            }
        }
        self.cx.clear_poison();
    }

    /// Applies a plan between two polls. Cannot fail.
    fn apply(&mut self, application: &Application) {
        self.cx.set_generation(application.generation, application.begun_at);
        for step in &application.steps {
            match (step.fate, &step.work) {
                (Fate::Start | Fate::Replace, Some(work)) => {
                    self.attach(&step.name, work, application.replaced);
                }
                (Fate::Update, Some(work)) => self.update(step, work),
                (Fate::Relink, _) => {
                    if let Some(running) = self.nodes.get(&step.name) {
                        running.node.relinked(application.generation);
                    }
                }
                (Fate::Retire, _) => {
                    self.entries.remove(&step.name);
                    if let Some(running) = self.nodes.remove(&step.name) {
                        self.retire(running, application.removed);
                    }
                }
                // Keep: nothing. The others come with their work.
                _ => {}
            }
        }
        self.order = application
            .steps
            .iter()
            .filter(|step| step.fate != Fate::Retire)
            .map(|step| step.name.clone())
            .collect();
        self.forget_ended();
    }

    fn update(&mut self, step: &Step, work: &Work) {
        let Some(running) = self.nodes.get_mut(&step.name) else { return };
        running.work = work.clone();
        let mut links = Links::new(&self.entries);
        running.node.update(&work.definition, &work.prepared, &self.cx, &mut links);
    }

    fn attach(&mut self, name: &NodeName, work: &Work, replaced: Retire) {
        let mut links = Links::new(&self.entries);
        let attached = work.definition.attach(&work.prepared, &self.cx, &mut links);
        if let Some(entry) = attached.entry {
            match self.entries.get_mut(name) {
                Some(present) => present.replace_with(entry),
                None => {
                    self.entries.insert(name.clone(), entry);
                }
            }
        }
        let running = Running { node: attached.node, work: work.clone() };
        if let Some(old) = self.nodes.insert(name.clone(), running) {
            self.retire(old, replaced);
        }
    }

    fn retire(&mut self, running: Running, retire: Retire) {
        running.node.retire(retire);
        self.retired.push(Retired {
            node: running.node,
            generation: self.cx.generation(),
            is_outermost: running.work.definition.entry().is_none(),
        });
    }

    fn forget_ended(&mut self) {
        self.retired.retain(|retired| retired.node.connections() > 0);
    }

    /// The connections of retired instances, by the generation that retired them. One connection
    /// passes several nodes: those that come from outside are counted where they come in, if more
    /// are not found anywhere else.
    fn draining(&self) -> BTreeMap<u64, usize> {
        let mut all: BTreeMap<u64, (usize, usize)> = BTreeMap::new();
        for retired in &self.retired {
            let (outermost, most) = all.entry(retired.generation).or_default();
            let connections = retired.node.connections();
            *most = (*most).max(connections);
            *outermost += if retired.is_outermost { connections } else { 0 };
        }
        all.into_iter().map(|(at, (outermost, most))| (at, outermost.max(most))).collect()
    }

    fn status(&mut self) -> WorkerStatus {
        self.forget_ended();
        WorkerStatus {
            connections: self
                .nodes
                .iter()
                .map(|(name, running)| (name.clone(), running.node.connections()))
                .collect(),
            retired: self.draining(),
        }
    }
}
