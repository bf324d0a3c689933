//! kind `client`: which cluster, and as whom.

use std::rc::Rc;
use std::sync::Arc;
use std::time::Duration;

use engine::bytes::{Endpoint, EndpointPlane};
use engine::config::{ExitName, NodeConfig, Problem, Problems, Span, codes};
use engine::spi::{
    Attached, BoxFuture, CheckCx, Checkup, Definition, Exit, External, Links, Node, Plane,
    PrepareCx, Prepared, WorkerCx,
};

use crate::CLIENT_PLANE;
#[cfg(any(feature = "rdkafka", feature = "embedded"))]
use crate::back_end;
#[cfg(feature = "rdkafka")]
use crate::check;
use crate::config::{self, ClientOptions};

pub(super) fn define(node: &NodeConfig, problems: &mut Problems) -> Option<Arc<dyn Definition>> {
    let exit = config::only_exit(node, problems);
    let options = config::client_options(node, problems)?;
    if exit.is_none() && options.servers.is_empty() {
        let message = format!("`{}` names no servers", node.name);
        problems
            .push(Problem::new(codes::E0602, node.span.clone(), message).with_help(
                "add options.servers: [host:port], or exit to a tcp client with a host",
            ));
        return None;
    }
    let span = node.span.clone();
    Some(Arc::new(Client { options, exit, span }))
}

/// How long a cluster is read on for those who published to it before a reload led them elsewhere.
const LINGER: Duration = Duration::from_secs(3);

struct Client {
    options: ClientOptions,
    exit: Option<ExitName>,
    span: Span,
}

impl Client {
    /// The brokers to begin with: those that the file lists, else where the exit leads.
    fn servers(&self, cx: &PrepareCx<'_>) -> Result<Vec<String>, Problem> {
        if !self.options.servers.is_empty() {
            return Ok(self.options.servers.clone());
        }
        let endpoint = self.exit.as_ref().map(|exit| cx.exit::<Endpoint>(&exit.name));
        match endpoint.and_then(|endpoint| endpoint.address.clone()) {
            Some((host, port)) if host.contains(':') => Ok(vec![format!("[{host}]:{port}")]),
            Some((host, port)) => Ok(vec![format!("{host}:{port}")]),
            None => {
                let message = format!("`{}` names no servers, and its exit none", cx.name());
                Err(Problem::new(codes::E0602, self.span.clone(), message)
                    .with_help("add options.servers: [host:port]"))
            }
        }
    }
}

#[cfg(any(feature = "rdkafka", feature = "embedded"))]
impl Client {
    fn open(&self, cx: &PrepareCx<'_>) -> Result<crate::cluster::Lease, Problem> {
        match cx.setting(back_end::SETTING) {
            Some(text) => back_end::open(text, cx, &self.span),
            None => self.connect(cx),
        }
    }
}

#[cfg(feature = "rdkafka")]
impl Client {
    fn settings(&self, servers: Vec<String>) -> crate::librdkafka::Settings {
        use crate::librdkafka::{Batching, Sasl, Settings};

        let sasl = self.options.sasl.as_ref().and_then(|sasl| {
            let mechanism = sasl.mechanism()?;
            let (username, password) = (sasl.username.clone(), sasl.password.clone());
            Some(Sasl { mechanism, username, password })
        });
        Settings { servers, sasl, batching: Batching::default() }
    }

    fn connect(&self, cx: &PrepareCx<'_>) -> Result<crate::cluster::Lease, Problem> {
        let settings = self.settings(self.servers(cx)?);
        let bound = config::CacheOptions::default().log_bytes();
        let before = cx.previous::<crate::cluster::Lease>();
        let before = before.as_deref().map(|lease| &***lease);
        let name = cx.name().to_string();
        crate::librdkafka::open_after(cx.store(), &settings, &name, cx.metrics(), bound, before)
            .map_err(|error| Problem::new(codes::E0503, self.span.clone(), error))
    }

    async fn look(&self, cx: &CheckCx<'_>) -> Checkup {
        let places = &self.options.places;
        let (servers, each, at) = match &self.exit {
            Some(exit) if self.options.servers.is_empty() => {
                let servers = cx.addresses(&exit.name).to_vec();
                let each = servers.iter().map(|_| exit.span.clone()).collect();
                (servers, each, exit.span.clone())
            }
            _ => (self.options.servers.clone(), places.each.clone(), places.servers.clone()),
        };
        let places = check::Places { each, servers: at, sasl: places.sasl.clone() };
        check::look(cx, self.settings(servers), &places).await
    }
}

#[cfg(not(feature = "rdkafka"))]
impl Client {
    async fn look(&self, _: &CheckCx<'_>) -> Checkup {
        let message = "this program was built without the Kafka client: what Kafka has cannot be \
                       looked at";
        let problem = Problem::new(codes::E0503, self.span.clone(), message)
            .with_help("build it with the feature `kafka`, which is on by default");
        Checkup { problems: vec![problem], topics: Vec::new() }
    }

    fn connect<T>(&self, cx: &PrepareCx<'_>) -> Result<T, Problem> {
        self.servers(cx)?;
        let message = "this program was built without the Kafka client";
        let help = if cfg!(feature = "embedded") {
            "start it with --kafka embedded, or build it with the feature `kafka`"
        } else {
            "it validates only; build it with the feature `kafka`, which is on by default"
        };
        Err(Problem::new(codes::E0503, self.span.clone(), message).with_help(help))
    }
}

#[cfg(not(any(feature = "rdkafka", feature = "embedded")))]
impl Client {
    fn open(&self, cx: &PrepareCx<'_>) -> Result<(), Problem> {
        self.connect(cx)
    }
}

impl Definition for Client {
    fn entry(&self) -> Option<&'static str> {
        Some(CLIENT_PLANE)
    }

    fn exits(&self) -> Vec<Exit> {
        self.exit.iter().map(|exit| config::value_exit(exit, EndpointPlane::NAME)).collect()
    }

    fn externals(&self) -> Vec<External> {
        self.options.servers.iter().cloned().map(External::Address).collect()
    }

    fn check<'a>(&'a self, cx: &'a CheckCx<'a>) -> BoxFuture<'a, Checkup> {
        Box::pin(self.look(cx))
    }

    // Another cluster, other credentials: never absorbed. The same cluster under an equal
    // description is found again by its key, with all that it has cached.

    fn prepare<'a>(&'a self, cx: &'a PrepareCx<'a>) -> BoxFuture<'a, Result<Prepared, Problem>> {
        let opened = self.open(cx).map(|opened| -> Prepared { Arc::new(opened) });
        Box::pin(std::future::ready(opened))
    }

    fn attach(&self, _: &Prepared, _: &WorkerCx, _: &mut Links<'_>) -> Attached {
        Attached { entry: None, node: Rc::new(Idle) }
    }

    fn linger(&self) -> Duration {
        LINGER
    }

    fn release<'a>(&'a self, prepared: &'a Prepared, deadline: Duration) -> BoxFuture<'a, ()> {
        #[cfg(any(feature = "rdkafka", feature = "embedded"))]
        return Box::pin(async move {
            let lease = engine::spi::prepared_as::<crate::cluster::Lease>(prepared);
            lease.release(deadline).await;
        });
        #[cfg(not(any(feature = "rdkafka", feature = "embedded")))]
        {
            let _ = (prepared, deadline);
            Box::pin(std::future::ready(()))
        }
    }
}

/// Nothing runs on a worker for a client: its threads are the cluster's.
struct Idle;

impl Node for Idle {}
