//! kind `server`: one task a connection, from the bytes of a client to the sessions of the exits.

mod acknowledge;
mod aliases;
mod connack;
mod connect;
mod connection;
mod counters;
mod deliver;
mod gate;
mod handover;
mod inbound;
mod linger;
mod node;
mod outbound;
mod publish;
mod rare;
mod registry;
mod retire;
mod sessions;
mod subscribe;
mod system;
mod takeover;
#[cfg(test)]
mod tests;

use std::rc::Rc;
use std::sync::{Arc, OnceLock};
use std::time::Instant;

use engine::bytes::{Accept, Bytes};
use engine::config::{NodeName, Problem};
use engine::spi::{
    Action, Attached, BoxFuture, Coupling, Definition, Entry, Exit, Link, Links, Plane, PrepareCx,
    Prepared, Trace, WorkerCx, definition_as, prepared_as,
};
use mqtt_plane::{Mqtt, MqttExit};

use crate::config::{self, ServerConfig};
use crate::explain::explain;
use crate::state::{Offer, Policy, Route, Routes};
use gate::Gate;
use node::{Server, ServerNode, Table};
use system::kept::Kept;
use takeover::Clients;

/// An mqtt server as the file describes it.
pub(crate) struct MqttServer {
    name: NodeName,
    config: ServerConfig,
}

impl MqttServer {
    pub(crate) const fn new(name: NodeName, config: ServerConfig) -> Self {
        Self { name, config }
    }

    fn table(&self, shared: &Shared, links: &Links<'_>) -> Table {
        let exits = self.config.exits.iter();
        Table::new(
            self.config.routes.clone(),
            Policy {
                versions: self.config.versions,
                offer: shared.offer,
                bounds: self.config.bounds,
                checks_payload_format: self.config.checks_payload_format,
                response_information: self.config.response_information.clone(),
                system_interval: self.config.system_interval,
            },
            exits.map(|exit| (exit.name.clone(), links.link::<Mqtt>(&exit.name))).collect(),
        )
    }
}

/// What the workers share.
pub(crate) struct Shared {
    lasting: Arc<Lasting>,
    offer: Offer,
}

/// Of that, what a reload does not change.
#[derive(Default)]
pub(crate) struct Lasting {
    clients: Clients,
    gate: Arc<Gate>,
    kept: Kept,
    /// When the server began.
    started: OnceLock<Instant>,
}

impl Definition for MqttServer {
    fn entry(&self) -> Option<&'static str> {
        Some(Bytes::NAME)
    }

    fn exits(&self) -> Vec<Exit> {
        let exits = self.config.exits.iter();
        exits
            .map(|exit| Exit {
                name: exit.name.clone(),
                plane: Mqtt::NAME,
                coupling: Coupling::Link,
                span: exit.span.clone(),
            })
            .collect()
    }

    fn absorbs(&self, old: &dyn Definition) -> bool {
        definition_as::<Self>(old).is_some()
    }

    fn explain(&self, action: &Action, trace: &mut Trace<'_>) {
        explain(&self.config, action, trace);
    }

    fn prepare<'a>(&'a self, cx: &'a PrepareCx<'a>) -> BoxFuture<'a, Result<Prepared, Problem>> {
        // Who owns a client id outlives a reload, and how many connections there are: they do too.
        let key = format!("mqtt:{}", cx.name());
        let shared = cx.store().get_or_make(&key, || Ok::<_, Problem>(Arc::<Lasting>::default()));
        let offer = config::offer(|name| cx.property(name));
        let prepared = shared.map(|lasting| -> Prepared { Arc::new(Shared { lasting, offer }) });
        Box::pin(std::future::ready(prepared))
    }

    fn attach(&self, prepared: &Prepared, cx: &WorkerCx, links: &mut Links<'_>) -> Attached {
        let shared = prepared_as::<Shared>(prepared);
        let table = self.table(&shared, links);
        let server = Rc::new(Server::new(cx, &self.name, Arc::clone(&shared.lasting), table));
        let accept: Rc<dyn Accept> = Rc::<Server>::clone(&server);
        Attached { entry: Some(Entry::new::<Bytes>(accept)), node: Rc::new(ServerNode(server)) }
    }
}

/// A server that takes everything to one exit, on a worker of its own without an engine, for tests
/// and benchmarks.
#[must_use]
pub fn detached(cx: &WorkerCx, exit: Rc<dyn MqttExit>) -> Rc<dyn Accept> {
    let routes = Routes::new(vec![Route { exit: 0, when: Vec::new() }]);
    let exits = vec![(NodeName::new("detached", "exit"), Link::to(exit))];
    let table = Table::new(routes, Policy::DEFAULT, exits);
    Rc::new(Server::new(cx, &NodeName::new("detached", "mqtt"), Arc::default(), table))
}
