//! The control thread: signals, the file watch, reloads, questions from outside.

use std::collections::{BTreeMap, HashMap};
use std::fmt::Write as _;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

use crate::config::{
    Change, Location, NodeName, Problems, ProcessEnvironment, Reader, RecordingEnvironment, Schema,
    Secret, Source, load_sound,
};
use crate::graph::{Fate, Forecast, Plan, build};
use crate::runtime::admin::{Admin, Answer, Question};
use crate::runtime::input::Input;
use crate::runtime::reload::Applied;
use crate::runtime::status::{NodeStatus, Status};
use crate::runtime::worker::{self, WorkerStart};
use crate::runtime::{Clock, ListenerPool, Loads, Mailbox, Post};
use crate::shared::Store;
use crate::spi::{Catalog, Prepared, Retire};
use crate::telemetry::Metrics;

/// How long connections may take to end when the process does.
const DRAIN: Duration = Duration::from_secs(10);

/// How long what was prepared may take to flush when the process ends.
const FLUSH: Duration = Duration::from_secs(10);

/// How long connections of a removed binding may go on, unless the command line says otherwise.
pub const REMOVED: Duration = Duration::from_secs(30);

/// What an engine is started with.
#[derive(Clone, Debug)]
pub struct EngineOptions {
    /// Where the configuration is.
    pub config: Location,
    /// The credentials for its address, where it has one and they are not in it.
    pub authorization: Option<Secret>,
    /// What lies between two questions for changes of an address.
    pub poll_interval: Duration,
    /// Worker threads; `None`: one a core, but one where there are two cores or fewer, since the
    /// clients of other systems run threads of their own.
    pub workers: Option<usize>,
    /// Whether a change of it is put in force; where not, SIGHUP reads it.
    pub watches: bool,
    /// How long connections of a removed binding may go on.
    pub drain: Duration,
    /// What was chosen for the catalog's settings, by name.
    pub settings: BTreeMap<&'static str, String>,
    /// The values of the catalog's properties that were given, by name.
    pub properties: BTreeMap<&'static str, String>,
}

/// Why an engine did not start.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The configuration has errors.
    #[error("{0}")]
    Config(String),
    /// The system refused something.
    #[error("cannot {what}: {error}")]
    System {
        /// What was tried.
        what: String,
        /// What the system said.
        error: std::io::Error,
    },
}

fn system(what: impl Into<String>) -> impl FnOnce(std::io::Error) -> StartError {
    |error| StartError::System { what: what.into(), error }
}

/// What the start of an engine has come to.
#[derive(Clone, Copy)]
pub enum Milestone<'a> {
    /// The configuration was read. It is not in force yet.
    Read(&'a Source),
    /// The engine serves.
    Serves(&'a Engine),
}

/// A running engine.
pub struct Engine {
    /// The addresses served, with the binding that serves each.
    pub addresses: Vec<(String, NodeName)>,
}

pub(super) struct Control {
    pub(super) options: EngineOptions,
    pub(super) catalog: Catalog,
    pub(super) schema: Schema,
    pub(super) plan: Plan,
    pub(super) prepared: HashMap<NodeName, Prepared>,
    pub(super) fates: HashMap<NodeName, Fate>,
    pub(super) generation: u64,
    pub(super) file: String,
    pub(super) clock: Clock,
    pub(super) listeners: ListenerPool,
    pub(super) store: Store,
    pub(super) mailboxes: Vec<Arc<Mailbox>>,
    pub(super) loads: Arc<Loads>,
    pub(super) metrics: Arc<Metrics>,
}

enum Wake {
    Changed(Change),
    Ask(Question, tokio::sync::oneshot::Sender<Answer>),
    Terminate,
}

/// Runs an engine until it is told to end. `on_milestone` is called once with each.
///
/// # Errors
/// Where the first configuration cannot be put in force.
pub fn run(
    options: EngineOptions,
    catalog: Catalog,
    on_milestone: impl FnMut(Milestone<'_>),
) -> Result<(), StartError> {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .map_err(system("start the control runtime"))?;
    tokio::task::LocalSet::new().block_on(&runtime, supervise(options, catalog, on_milestone))
}

async fn supervise(
    options: EngineOptions,
    catalog: Catalog,
    mut on_milestone: impl FnMut(Milestone<'_>),
) -> Result<(), StartError> {
    // Before anything else, so that a signal during the start ends it in order.
    let mut terminate = signal(SignalKind::terminate()).map_err(system("watch SIGTERM"))?;
    let mut interrupt = signal(SignalKind::interrupt()).map_err(system("watch SIGINT"))?;
    let mut hangup = signal(SignalKind::hangup()).map_err(system("watch SIGHUP"))?;
    // Scripts that were made for Zilla send it, and it ends who does not handle it.
    let mut diagnose = signal(SignalKind::user_defined2()).map_err(system("watch SIGUSR2"))?;

    let name = options.config.to_string();
    let unread = |error| StartError::System { what: format!("read {name}"), error };
    let reader = Reader::new(&options.config, catalog.origins, options.authorization.as_ref());
    let reader = reader.map_err(|error| unread(std::io::Error::other(error)))?;
    let read = tokio::select! {
        read = Input::read(&reader) => read.map_err(unread)?,
        _ = terminate.recv() => return Ok(()),
        _ = interrupt.recv() => return Ok(()),
    };
    on_milestone(Milestone::Read(&read.source));
    let workers = options.workers.unwrap_or_else(default_workers).max(1);
    let mailboxes: Vec<_> = (0..workers).map(|_| Arc::new(Mailbox::new())).collect();
    let loads = Arc::new(Loads::new(workers));
    let metrics = Arc::new(Metrics::default());
    let mut threads = Vec::with_capacity(workers);
    for index in 0..workers {
        let start = WorkerStart {
            index,
            mailboxes: mailboxes.clone(),
            loads: Arc::clone(&loads),
            metrics: Arc::clone(&metrics),
        };
        threads.push(worker::start(start).map_err(system("start a worker thread"))?);
    }
    let mut control = Control {
        schema: Schema::compose(&catalog.fragments()),
        catalog,
        plan: Plan::default(),
        prepared: HashMap::new(),
        fates: HashMap::new(),
        generation: 0,
        file: "in force".to_owned(),
        clock: Clock::new(),
        listeners: ListenerPool::new(workers),
        store: Store::default(),
        mailboxes,
        loads,
        metrics,
        options,
    };
    control.reload(&read.source).await.map_err(StartError::Config)?;

    let (wakes, mut inbox) = mpsc::channel(64);
    let input = Input::follow(reader, read, &control.options);
    let input = input.map_err(system(format!("watch {name}")))?;
    let _admin = Admin::start(&control.options.config, move |question, reply| {
        // A full queue refuses: who asked sees the connection end.
        wakes.try_send(Wake::Ask(question, reply)).ok();
    })
    .map_err(system("open the status socket"))?;
    tracing::info!(event = "engine.started");
    on_milestone(Milestone::Serves(&Engine { addresses: control.addresses() }));

    loop {
        let wake = tokio::select! {
            Some(wake) = inbox.recv() => wake,
            change = input.changed() => Wake::Changed(change),
            _ = hangup.recv() => match input.again() {
                Some(change) => Wake::Changed(change),
                None => continue,
            },
            _ = diagnose.recv() => {
                tracing::warn!(
                    event = "engine.signal.ignored",
                    signal = "SIGUSR2",
                    "it has no effect; `zilla status` shows the engine's state",
                );
                continue;
            }
            _ = terminate.recv() => Wake::Terminate,
            _ = interrupt.recv() => Wake::Terminate,
        };
        match wake {
            Wake::Changed(Change::Content(source)) => control.reload_and_report(&source).await,
            Wake::Changed(Change::Missing) => control.keep("missing"),
            Wake::Changed(Change::Empty) => control.keep("empty"),
            Wake::Changed(Change::Unreadable(error)) => {
                control.keep(&format!("unreadable: {error}"));
            }
            Wake::Ask(Question::Status, reply) => {
                reply.send(Answer::Status(control.status().await)).ok();
            }
            Wake::Ask(Question::Plan { name, text }, reply) => {
                reply.send(control.forecast(&Source::new(name, text)).await).ok();
            }
            Wake::Ask(Question::Stop, reply) => {
                reply.send(Answer::Stopping).ok();
                break;
            }
            Wake::Terminate => break,
        }
    }
    control.shut_down().await;
    for thread in threads {
        if thread.join().is_err() {
            tracing::error!(event = "engine.worker.panicked");
        }
    }
    tracing::info!(event = "engine.stopped");
    Ok(())
}

fn default_workers() -> usize {
    match std::thread::available_parallelism().map_or(1, usize::from) {
        0..=2 => 1,
        cores => cores,
    }
}

impl Control {
    async fn reload_and_report(&mut self, source: &Source) {
        if let Err(problems) = self.reload(source).await {
            "not in force: it has errors".clone_into(&mut self.file);
            tracing::error!(
                event = "config.reload.refused",
                generation = self.generation,
                problems = %problems,
                "nothing has changed; mend the file",
            );
        }
    }

    fn keep(&mut self, why: &str) {
        self.file = why.to_owned();
        tracing::error!(
            event = "config.reload.refused",
            generation = self.generation,
            problems = %format_args!("the file is {why}"),
            "what was in force stays in force",
        );
    }

    /// Plans, prepares and commits. On failure nothing has changed, and the problems are returned
    /// as text.
    async fn reload(&mut self, source: &Source) -> Result<(), String> {
        let began = self.clock.now();
        // Neither the log nor a terminal gets to see a value of the environment.
        let environment = RecordingEnvironment::new(&ProcessEnvironment);
        let shown = |problems| environment.redacted(source, problems).render();
        let mut problems = Problems::default();
        let plan = load_sound(source, &self.schema, &environment, &mut problems)
            .and_then(|config| build(&config, &self.catalog, &mut problems));
        let Some(plan) = plan else { return Err(shown(problems)) };
        let hash = plan.hash();
        let unchanged = self.generation > 0 && hash == self.plan.hash();
        let applied = match self.apply(plan).await {
            Ok(applied) => applied,
            Err(more) => {
                for problem in more {
                    problems.push(problem);
                }
                return Err(shown(problems));
            }
        };
        "in force".clone_into(&mut self.file);
        let warnings = shown(problems);
        if !warnings.is_empty() {
            tracing::warn!(event = "config.warnings", problems = %warnings);
        }
        let micros = (self.clock.now() - began).as_micros();
        tracing::info!(
            event = "config.reload.applied",
            generation = self.generation,
            hash = %format_args!("{hash:016x}"),
            unchanged,
            nodes = %self.describe(&applied),
            connections_kept = self.loads.total().saturating_sub(applied.draining),
            connections_draining = applied.draining,
            duration_us = u64::try_from(micros).unwrap_or(u64::MAX),
        );
        self.fates = applied.fates.into_iter().collect();
        Ok(())
    }

    /// What a configuration would do, with the connections that there are now.
    async fn forecast(&self, source: &Source) -> Answer {
        let environment = RecordingEnvironment::new(&ProcessEnvironment);
        let mut problems = Problems::default();
        let plan = load_sound(source, &self.schema, &environment, &mut problems)
            .and_then(|config| build(&config, &self.catalog, &mut problems));
        let Some(plan) = plan else {
            return Answer::Refused(environment.redacted(source, problems).render());
        };
        let mut forecast = Forecast::new(&self.plan, &plan);
        let mut connections = self.connections().await;
        for node in &mut forecast.nodes {
            node.connections = Some(connections.remove(&node.name).unwrap_or_default());
        }
        Answer::Plan(forecast)
    }

    fn describe(&self, applied: &Applied) -> String {
        let fate = |name: &NodeName| applied.fates.iter().find(|(other, _)| other == name);
        let mut text = String::new();
        let gone = applied.fates.iter().filter(|(_, fate)| *fate == Fate::Retire);
        let all = self.plan.file_order.iter().filter_map(fate).chain(gone);
        for (name, fate) in all {
            let separator = if text.is_empty() { "" } else { " " };
            // Writing to a string does not fail.
            write!(text, "{separator}{name}={}", fate.name()).ok();
        }
        text
    }

    fn addresses(&self) -> Vec<(String, NodeName)> {
        let mut addresses = Vec::new();
        for name in &self.plan.file_order {
            let (Some(node), Some(prepared)) = (self.plan.nodes.get(name), self.prepared.get(name))
            else {
                continue;
            };
            for address in node.definition.serves(prepared) {
                addresses.push((address, name.clone()));
            }
        }
        addresses
    }

    /// The connections of each node, by its name with its namespace.
    async fn connections(&self) -> HashMap<String, usize> {
        let mut connections: HashMap<String, usize> = HashMap::new();
        for mailbox in &self.mailboxes {
            let (reply, answer) = tokio::sync::oneshot::channel();
            mailbox.post_always(Post::Status(reply));
            let Ok(status) = answer.await else { continue };
            for (name, count) in status.connections {
                *connections.entry(name.to_string()).or_insert(0) += count;
            }
        }
        connections
    }

    async fn status(&self) -> Status {
        let connections = self.connections().await;
        let bindings = self
            .plan
            .file_order
            .iter()
            .filter_map(|name| {
                let node = self.plan.nodes.get(name)?;
                Some(NodeStatus {
                    name: name.to_string(),
                    type_name: node.type_name.clone(),
                    kind: node.kind.clone(),
                    fate: self.fates.get(name).map_or("", |fate| fate.name()).to_owned(),
                    connections: connections.get(&name.to_string()).copied().unwrap_or_default(),
                })
            })
            .collect();
        Status {
            version: env!("CARGO_PKG_VERSION").to_owned(),
            config: self.options.config.to_string(),
            generation: self.generation,
            hash: format!("{:016x}", self.plan.hash()),
            file: self.file.clone(),
            workers: self.mailboxes.len(),
            bindings,
            counters: self
                .metrics
                .read()
                .into_iter()
                .filter(|(_, _, value)| *value != 0)
                .map(|(node, metric, value)| (node, metric.to_owned(), value))
                .collect(),
        }
    }

    /// Stops accepting, lets connections end, flushes what was prepared, stops the workers.
    async fn shut_down(&mut self) {
        tracing::info!(event = "engine.stopping", connections = self.loads.total());
        let deadline = self.clock.now() + DRAIN;
        let retire = Retire { is_shutdown: true, deadline: Some(deadline) };
        for mailbox in &self.mailboxes {
            mailbox.post_always(Post::Retire(retire));
        }
        // An answer from each worker says that it has retired its nodes; after that the number of
        // connections only falls.
        drop(self.status().await);
        while self.loads.total() > 0 && self.clock.now() < deadline {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        if self.loads.total() > 0 {
            tracing::warn!(event = "engine.connections.cut", connections = self.loads.total());
        }
        for name in self.plan.order.iter().rev() {
            if let (Some(node), Some(prepared)) =
                (self.plan.nodes.get(name), self.prepared.get(name))
            {
                node.definition.release(prepared, FLUSH).await;
            }
        }
        for mailbox in &self.mailboxes {
            mailbox.post_always(Post::Stop);
        }
    }
}
