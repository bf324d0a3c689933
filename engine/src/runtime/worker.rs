//! A worker: a thread with a runtime of its own, on which its instances of all nodes live.

use std::collections::{HashMap, VecDeque};
use std::rc::Rc;
use std::sync::Arc;
use std::thread::JoinHandle;

use tokio::task::LocalSet;

use crate::config::NodeName;
use crate::graph::Fate;
use crate::runtime::reload::{Application, Step};
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
        let worker = Worker { cx, nodes: HashMap::new(), entries: HashMap::new(), retired: vec![] };
        LocalSet::new().block_on(&runtime, worker.run(mailbox));
    })
}

struct Worker {
    cx: WorkerCx,
    nodes: HashMap<NodeName, Rc<dyn Node>>,
    entries: HashMap<NodeName, Entry>,
    /// Replaced or removed instances that still have connections.
    retired: Vec<Rc<dyn Node>>,
}

impl Worker {
    async fn run(mut self, mailbox: Arc<Mailbox>) {
        let mut posts = VecDeque::new();
        loop {
            mailbox.receive(&mut posts).await;
            for post in posts.drain(..) {
                match post {
                    Post::Raised(key) => self.cx.raised(key),
                    Post::Node(name, payload) => {
                        if let Some(node) = self.nodes.get(&name).map(Rc::clone) {
                            node.receive(payload);
                        }
                    }
                    Post::Apply(application, done) => {
                        self.apply(&application);
                        let _ = done.send(self.status());
                    }
                    Post::Status(reply) => {
                        let _ = reply.send(self.status());
                    }
                    Post::Retire(retire) => {
                        for node in self.nodes.values() {
                            node.retire(retire);
                        }
                    }
                    Post::Stop => return,
                }
            }
        }
    }

    /// Applies a plan between two polls. Cannot fail.
    fn apply(&mut self, application: &Application) {
        self.cx.set_generation(application.generation);
        for step in &application.steps {
            match step.fate {
                Fate::Keep => {}
                Fate::Relink => {
                    if let Some(node) = self.nodes.get(&step.name) {
                        node.relinked(application.generation);
                    }
                }
                Fate::Start | Fate::Replace => self.attach(step, application),
                Fate::Update => {
                    if let (Some(node), Some(work)) = (self.nodes.get(&step.name), &step.work) {
                        let mut links = Links::new(&self.entries);
                        node.update(&work.definition, &work.prepared, &self.cx, &mut links);
                    }
                }
                Fate::Retire => {
                    self.entries.remove(&step.name);
                    if let Some(node) = self.nodes.remove(&step.name) {
                        node.retire(application.removed);
                        self.retired.push(node);
                    }
                }
            }
        }
        self.retired.retain(|node| node.connections() > 0);
    }

    fn attach(&mut self, step: &Step, application: &Application) {
        let Some(work) = &step.work else { return };
        let mut links = Links::new(&self.entries);
        let attached = work.definition.attach(&work.prepared, &self.cx, &mut links);
        if let Some(entry) = attached.entry {
            match self.entries.get_mut(&step.name) {
                Some(present) => present.replace_with(entry),
                None => {
                    self.entries.insert(step.name.clone(), entry);
                }
            }
        }
        if let Some(old) = self.nodes.insert(step.name.clone(), attached.node) {
            old.retire(application.replaced);
            self.retired.push(old);
        }
    }

    fn status(&mut self) -> WorkerStatus {
        self.retired.retain(|node| node.connections() > 0);
        WorkerStatus {
            connections: self
                .nodes
                .iter()
                .map(|(name, node)| (name.clone(), node.connections()))
                .collect(),
            retired: self.retired.iter().map(|node| node.connections()).sum(),
        }
    }
}

/// How long a removed binding lets its connections go on.
pub(super) const REMOVED: std::time::Duration = std::time::Duration::from_secs(30);

/// The retirement of replaced and of removed nodes, from `now`.
pub(super) fn retirements(now: std::time::Instant) -> (Retire, Retire) {
    let replaced = Retire { is_shutdown: false, deadline: None };
    let removed = Retire { is_shutdown: false, deadline: Some(now + REMOVED) };
    (replaced, removed)
}
