//! The three lifetimes of a binding.

use std::any::Any;
use std::future::Future;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::time::{Duration, Instant};

use crate::config::{NodeConfig, NodeName, Problem, Problems, Span};
use crate::spi::{
    Action, CheckCx, Checkup, Entry, Links, PrepareCx, PropertyValues, TopicNeed, Trace, WorkerCx,
};

/// A boxed future of the control thread.
pub type BoxFuture<'a, T> = Pin<Box<dyn Future<Output = T> + 'a>>;

/// One `type` of the YAML. A `static` in the binding's crate, listed in the catalog.
pub trait BindingKind: Sync {
    /// The word of the YAML.
    fn name(&self) -> &'static str;

    /// The JSON Schema fragment of bindings of this type.
    fn schema(&self) -> &'static str;

    /// Turns a binding of the file, already checked against the schema, into a definition. Pure:
    /// no I/O, no spawn, no clock. Reports every problem that it finds; `None` where one of them
    /// is an error.
    fn define(&self, node: &NodeConfig, problems: &mut Problems) -> Option<Arc<dyn Definition>>;
}

/// How an edge of the graph is held.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Coupling {
    /// By a [`crate::spi::Link`] on each worker: the target can be replaced beneath it.
    Link,
    /// By the value that the target prepared. A change of the target is a change of this binding.
    Value,
}

/// An edge of the graph, as a definition wants it.
#[derive(Clone, Debug)]
pub struct Exit {
    /// The binding it leads to.
    pub name: NodeName,
    /// The plane that the binding must offer.
    pub plane: &'static str,
    /// How it is held.
    pub coupling: Coupling,
    /// Where the file names it.
    pub span: Span,
}

/// What only one binding of a plan can have.
#[derive(Clone, Debug)]
pub enum Resource {
    /// A listening socket.
    Listener(SocketAddr, Span),
}

/// Something outside of the graph that a binding uses, for people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum External {
    /// Where it listens or connects to.
    Address(String),
    /// What it reads and writes there.
    Topic(String),
}

/// What a definition prepared: shared by workers, dropped with the last generation that uses it.
pub type Prepared = Arc<dyn Any + Send + Sync>;

/// One binding of a file: validated, immutable.
pub trait Definition: Any + Send + Sync {
    /// The plane that this binding offers; `None` where no binding can exit to it.
    fn entry(&self) -> Option<&'static str>;

    /// The edges that leave this binding, each target once or more.
    fn exits(&self) -> Vec<Exit>;

    /// What it needs for itself alone.
    fn resources(&self) -> Vec<Resource> {
        Vec::new()
    }

    /// What it uses outside of the graph, for people. What comes from the environment is not left
    /// out here.
    fn externals(&self) -> Vec<External> {
        Vec::new()
    }

    /// The topics that it needs of what it exits to.
    fn topics(&self) -> Vec<TopicNeed> {
        Vec::new()
    }

    /// Looks whether what `prepare` and the workers would need outside of this process is there,
    /// within the time that `cx` gives. Leaves no trace: it listens nowhere, and makes nothing but
    /// the topics that it is asked to make. Runs on a thread of its own runtime, beside the checks
    /// of other bindings: it must not block.
    fn check<'a>(&'a self, cx: &'a CheckCx<'a>) -> BoxFuture<'a, Checkup> {
        let _ = cx;
        Box::pin(std::future::ready(Checkup::default()))
    }

    /// Tells `trace` what it would decide about an action, by the functions that decide on its data
    /// path. Pure. Says nothing of actions that it does not know.
    fn explain(&self, action: &Action, trace: &mut Trace<'_>) {
        let _ = (action, trace);
    }

    /// The bounds that the file and the properties of a run put on what it offers, as the type that
    /// its plane has for them: for what exits to it to explain its own decisions.
    fn bounds(&self, properties: &PropertyValues) -> Option<Box<dyn Any>> {
        let _ = properties;
        None
    }

    /// Whether the running instances of `old` can take this definition without disturbing their
    /// connections. Pure; asked while plans are compared. `old` has the same name and `type`.
    fn absorbs(&self, old: &dyn Definition) -> bool {
        let _ = old;
        false
    }

    /// Opens what the binding needs: sockets, files, clients. May do I/O and may fail; runs on the
    /// control thread before anything is changed, exits first. What it returns is dropped if any
    /// other binding fails to prepare.
    ///
    /// # Errors
    /// A problem at the place of the file that asks for what cannot be had.
    fn prepare<'a>(&'a self, cx: &'a PrepareCx<'a>) -> BoxFuture<'a, Result<Prepared, Problem>>;

    /// Puts the definition to work on a worker. Cannot fail: everything that can was done in
    /// `prepare`.
    fn attach(&self, prepared: &Prepared, cx: &WorkerCx, links: &mut Links<'_>) -> Attached;

    /// The addresses that it serves, for people, as URLs.
    fn serves(&self, prepared: &Prepared) -> Vec<String> {
        let _ = prepared;
        Vec::new()
    }

    /// How long what was prepared goes on after a reload has replaced or removed this binding, so
    /// that who used it can read to the end what came of that. It is held for as long.
    fn linger(&self) -> Duration {
        Duration::ZERO
    }

    /// Ends what `prepare` began, when no worker uses it any more: flushes, closes. Bounded by
    /// `deadline`.
    fn release<'a>(&'a self, prepared: &'a Prepared, deadline: Duration) -> BoxFuture<'a, ()> {
        let _ = (prepared, deadline);
        Box::pin(std::future::ready(()))
    }
}

/// A definition as the concrete type that its author wrote.
#[must_use]
pub fn definition_as<T: Definition>(definition: &dyn Definition) -> Option<&T> {
    let any: &dyn Any = definition;
    any.downcast_ref()
}

/// What was prepared, as the concrete type that its author made.
///
/// # Panics
/// Never for a value that the same definition prepared: the engine hands it back unchanged.
#[must_use]
#[expect(clippy::expect_used, reason = "a definition is only ever given what it prepared itself")]
pub fn prepared_as<T: Send + Sync + 'static>(prepared: &Prepared) -> Arc<T> {
    Arc::clone(prepared).downcast().expect("prepared by this definition")
}

/// A definition at work on one worker, as `attach` returns it.
pub struct Attached {
    /// What it offers to bindings that exit to it.
    pub entry: Option<Entry>,
    /// The instance.
    pub node: Rc<dyn Node>,
}

/// Why an instance retires, and by when it must have ended.
#[derive(Clone, Copy, Debug)]
pub struct Retire {
    /// Whether the whole process ends.
    pub is_shutdown: bool,
    /// When connections are cut off. `None`: they go on until they end by themselves.
    pub deadline: Option<Instant>,
}

/// An instance of a definition on one worker. All calls come on that worker, between polls.
pub trait Node {
    /// Takes a definition that [`Definition::absorbs`] the present one. Its connections stay.
    fn update(
        &self,
        definition: &Arc<dyn Definition>,
        prepared: &Prepared,
        cx: &WorkerCx,
        links: &mut Links<'_>,
    ) {
        let _ = (definition, prepared, cx, links);
    }

    /// A binding that this one exits to was replaced; its links lead to the new one already.
    fn relinked(&self, generation: u64) {
        let _ = generation;
    }

    /// Takes no more connections, and ends those it has as `retire` says.
    fn retire(&self, retire: Retire) {
        let _ = retire;
    }

    /// Takes what another worker's instance posted to it ([`WorkerCx::post`]).
    fn receive(&self, payload: Box<dyn Any + Send>) {
        let _ = payload;
    }

    /// Connections or sessions that it has open.
    fn connections(&self) -> usize {
        0
    }
}
