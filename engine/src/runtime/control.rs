//! The control thread: signals, the file watch, reloads, questions from outside.

use std::collections::{BTreeMap, HashMap};
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
use crate::runtime::receipt::{self, Drains};
use crate::runtime::status::{NodeStatus, Status, Tally};
use crate::runtime::worker::{self, WorkerStart};
use crate::runtime::{Clock, ListenerPool, Loads, Mailbox, Post, Receipt, Refusal};
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
    pub(super) generation: u64,
    pub(super) receipt: Receipt,
    pub(super) refusal: Option<Refusal>,
    pub(super) drains: Drains,
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
    /// It is time to look at connections that are to end.
    Look,
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
        generation: 0,
        receipt: Receipt::default(),
        refusal: None,
        drains: Drains::default(),
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

    let mut looks = tokio::time::interval(receipt::LOOK);
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
            _ = looks.tick(), if !control.drains.is_empty() => Wake::Look,
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
                reply.send(Answer::Status(Box::new(control.status().await))).ok();
            }
            Wake::Ask(Question::Plan { name, text }, reply) => {
                reply.send(control.forecast(&Source::new(name, text)).await).ok();
            }
            Wake::Ask(Question::Stop, reply) => {
                reply.send(Answer::Stopping).ok();
                break;
            }
            Wake::Look => {
                let left = control.tally().await.retired;
                control.drains.note(&left);
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
            self.refuse(problems, "nothing has changed; mend the file");
        }
    }

    fn keep(&mut self, why: &str) {
        self.file = why.to_owned();
        self.refuse(format!("the file is {why}"), "what was in force stays in force");
    }

    fn refuse(&mut self, problems: String, what_now: &str) {
        tracing::error!(
            event = "config.reload.refused",
            generation = self.generation,
            problems = %problems,
            "{what_now}",
        );
        self.refusal = Some(Refusal { at_unix_ms: self.clock.unix_millis(), problems });
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
        self.refusal = None;
        let warnings = shown(problems);
        if !warnings.is_empty() {
            tracing::warn!(event = "config.warnings", problems = %warnings);
        }
        let micros = (self.clock.now() - began).as_micros();
        let draining = |tally: &Tally| tally.retired.values().sum::<usize>();
        self.receipt = Receipt {
            at_unix_ms: self.clock.unix_millis(),
            generation: self.generation,
            hash: format!("{hash:016x}"),
            unchanged,
            fates: self.in_file_order(&applied.fates),
            kept: self.loads.total().saturating_sub(draining(&applied.tally)),
            draining: applied.tally.retired.get(&self.generation).copied().unwrap_or_default(),
            closed: 0,
            duration_us: u64::try_from(micros).unwrap_or(u64::MAX),
        };
        self.drains.begin(self.generation, self.receipt.draining);
        self.tell();
        Ok(())
    }

    fn tell(&self) {
        let receipt = &self.receipt;
        tracing::info!(
            event = "config.reload.applied",
            generation = receipt.generation,
            hash = %receipt.hash,
            unchanged = receipt.unchanged,
            nodes = %receipt.fates_text(),
            connections_kept = receipt.kept,
            connections_draining = receipt.draining,
            duration_us = receipt.duration_us,
        );
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
        let mut forecast = Forecast::new(&self.plan, &plan, self.options.drain);
        let mut connections = self.tally().await.connections;
        for node in &mut forecast.nodes {
            node.connections = Some(connections.remove(&node.name).unwrap_or_default());
        }
        Answer::Plan(forecast)
    }

    /// The fates of the file's bindings in its order, then of those that it no longer has.
    fn in_file_order(&self, fates: &[(NodeName, Fate)]) -> Vec<(String, Fate)> {
        let fate = |name: &NodeName| fates.iter().find(|(other, _)| other == name);
        let gone = fates.iter().filter(|(_, fate)| *fate == Fate::Retire);
        let all = self.plan.file_order.iter().filter_map(fate).chain(gone);
        all.map(|(name, fate)| (name.to_string(), *fate)).collect()
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

    /// The connections that there are.
    async fn tally(&self) -> Tally {
        let mut tally = Tally::default();
        for mailbox in &self.mailboxes {
            let (reply, answer) = tokio::sync::oneshot::channel();
            mailbox.post_always(Post::Status(reply));
            if let Ok(status) = answer.await {
                tally.add(status);
            }
        }
        tally
    }

    async fn status(&self) -> Status {
        let Tally { connections, retired } = self.tally().await;
        let draining = retired.get(&self.generation).copied().unwrap_or_default();
        let closed = self.receipt.draining.saturating_sub(draining);
        let reload = Receipt { draining, closed, ..self.receipt.clone() };
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
                    fate: reload.fate(name).map_or("", Fate::name).to_owned(),
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
            reload,
            refused: self.refusal.clone(),
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
