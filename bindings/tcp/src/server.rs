//! kind `server`: listens, and passes connections on.

mod connections;
mod explain;
mod node;

use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::sync::Arc;

use engine::bytes::Bytes;
use engine::config::{NodeConfig, NodeName, Problem, Problems, Span, codes};
use engine::runtime::Listeners;
use engine::spi::{
    Action, Attached, BoxFuture, CheckCx, Checkup, Coupling, Definition, Exit, External, Links,
    Plane, PrepareCx, Prepared, Resource, Trace, WorkerCx, definition_as, prepared_as,
};

use crate::config::{self, Ports, RouteTarget};
use crate::state::PortRange;
use node::TcpServerNode;

pub(super) fn define(node: &NodeConfig, problems: &mut Problems) -> Option<Arc<dyn Definition>> {
    let (options, ports) = config::options(node, problems)?;
    let routes = config::routes(node, &ports, problems);
    let host = options.host?;
    if problems.has_errors() {
        return None;
    }
    Some(Arc::new(TcpServer {
        name: node.node_name(),
        host,
        host_span: node.span_of("/options/host"),
        ports,
        routes,
    }))
}

/// A tcp server as the file describes it.
struct TcpServer {
    name: NodeName,
    host: String,
    host_span: Span,
    ports: Ports,
    routes: Vec<RouteTarget>,
}

/// The sockets that it listens on.
struct Sockets(Vec<Arc<Listeners>>);

/// Ports that were asked for. A file may ask for all of them thousands of times.
#[derive(Default)]
struct Taken {
    /// For each that is taken, one above it below which none is free.
    above: HashMap<u32, u32>,
}

impl Taken {
    fn take(&mut self, port: u16) {
        self.above.insert(u32::from(port), u32::from(port) + 1);
    }

    /// The first from `port` on that is free; 65,536 where none is.
    fn next_free(&mut self, port: u32) -> u32 {
        let mut free = port;
        while let Some(above) = self.above.get(&free) {
            free = *above;
        }
        // Whoever asks again from anywhere on the way is there at once.
        let mut at = port;
        while let Some(above) = self.above.get_mut(&at) {
            at = std::mem::replace(above, free);
        }
        free
    }
}

impl TcpServer {
    /// Each port that is asked for, once, with its place.
    fn ports(&self) -> Vec<(u16, Span)> {
        let mut ports: Vec<(u16, Span)> = Vec::new();
        let mut taken = Taken::default();
        for (range, span) in &self.ports {
            let mut from = u32::from(range.first);
            while let Ok(port) = u16::try_from(taken.next_free(from))
                && port <= range.last
            {
                ports.push((port, span.clone()));
                // The system chooses another one each time.
                if port != 0 {
                    taken.take(port);
                }
                from = u32::from(port) + 1;
            }
        }
        ports
    }

    async fn hosts(&self) -> Result<Vec<IpAddr>, Problem> {
        if let Ok(address) = self.host.parse() {
            return Ok(vec![address]);
        }
        let resolved = tokio::net::lookup_host((self.host.as_str(), 0)).await;
        let hosts: Vec<IpAddr> =
            resolved.map(|all| all.map(|a| a.ip()).collect()).map_err(|error| {
                let message = format!("the host name {} cannot be resolved: {error}", self.host);
                Problem::new(codes::E0504, self.host_span.clone(), message)
                    .with_help("use an address of this machine, or 0.0.0.0 for all")
            })?;
        let mut distinct = Vec::with_capacity(hosts.len());
        for host in hosts {
            if !distinct.contains(&host) {
                distinct.push(host);
            }
        }
        Ok(distinct)
    }

    async fn listen(&self, cx: &PrepareCx<'_>) -> Result<Prepared, Problem> {
        let mut sockets = Vec::new();
        for host in self.hosts().await? {
            for (index, (port, span)) in self.ports().into_iter().enumerate() {
                let address = SocketAddr::new(host, port);
                let listeners = cx.listeners().acquire(cx.name(), index, address);
                sockets.push(listeners.map_err(|error| {
                    let problem = Problem::new(
                        codes::E0503,
                        span,
                        format!("cannot listen on {address}: {error}"),
                    );
                    match error.kind() {
                        std::io::ErrorKind::AddrInUse => problem.with_help(
                            "another program listens there; end it, or choose another port",
                        ),
                        std::io::ErrorKind::PermissionDenied => problem
                            .with_help("ports below 1024 need a privilege; choose a higher one"),
                        _ => problem,
                    }
                })?);
            }
        }
        Ok(Arc::new(Sockets(sockets)))
    }
}

impl Definition for TcpServer {
    fn entry(&self) -> Option<&'static str> {
        None
    }

    fn exits(&self) -> Vec<Exit> {
        self.routes
            .iter()
            .map(|route| Exit {
                name: route.exit.name.clone(),
                plane: Bytes::NAME,
                coupling: Coupling::Link,
                span: route.exit.span.clone(),
            })
            .collect()
    }

    fn resources(&self) -> Vec<Resource> {
        // A name is resolved when the binding prepares; then a conflict shows as an address in use.
        let Ok(host) = self.host.parse::<IpAddr>() else { return Vec::new() };
        let listener = |(port, span)| Resource::Listener(SocketAddr::new(host, port), span);
        self.ports().into_iter().map(listener).collect()
    }

    fn externals(&self) -> Vec<External> {
        let host =
            if self.host.contains(':') { format!("[{}]", self.host) } else { self.host.clone() };
        let listens = |PortRange { first, last }: PortRange| {
            let ports = if first == last { first.to_string() } else { format!("{first}-{last}") };
            External::Address(format!("{host}:{ports}"))
        };
        self.ports.iter().map(|(range, _)| listens(*range)).collect()
    }

    fn explain(&self, action: &Action, trace: &mut Trace<'_>) {
        explain::explain(self, action, trace);
    }

    fn absorbs(&self, old: &dyn Definition) -> bool {
        definition_as::<Self>(old).is_some()
    }

    /// The host is resolved. Whether a port is free is not asked: the engine itself may have it.
    fn check<'a>(&'a self, _: &'a CheckCx<'a>) -> BoxFuture<'a, Checkup> {
        Box::pin(async move {
            let problems = self.hosts().await.err().into_iter().collect();
            Checkup { problems, topics: Vec::new() }
        })
    }

    fn prepare<'a>(&'a self, cx: &'a PrepareCx<'a>) -> BoxFuture<'a, Result<Prepared, Problem>> {
        Box::pin(self.listen(cx))
    }

    fn attach(&self, prepared: &Prepared, cx: &WorkerCx, links: &mut Links<'_>) -> Attached {
        let node = TcpServerNode::new(&self.name, cx);
        node.take(self, &prepared_as(prepared), links);
        Attached { entry: None, node }
    }

    fn serves(&self, prepared: &Prepared) -> Vec<String> {
        let sockets = prepared_as::<Sockets>(prepared);
        sockets.0.iter().map(|listeners| format!("tcp://{}", listeners.address())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_port_that_is_asked_for_again_is_not_free() {
        let mut taken = Taken::default();
        for port in [5, 6, 9, 7] {
            assert_eq!(taken.next_free(port), port);
            taken.take(u16::try_from(port).unwrap());
        }
        assert_eq!(
            [4, 5, 6, 7, 8, 9, 10].map(|port| taken.next_free(port)),
            [4, 8, 8, 8, 8, 10, 10]
        );
        taken.take(8);
        assert_eq!([5, 8].map(|port| taken.next_free(port)), [10, 10]);
        taken.take(u16::MAX);
        assert_eq!(taken.next_free(65_535), 65_536);
    }
}
