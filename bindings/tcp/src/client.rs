//! kind `client`: where another system is. Only configuration, since a client library makes its own
//! connections.

use std::sync::Arc;

use engine::bytes::{Endpoint, EndpointPlane};
use engine::config::{NodeConfig, Problem, Problems};
use engine::spi::{
    Attached, BoxFuture, Definition, Exit, External, Links, Node, Plane, PrepareCx, Prepared,
    WorkerCx,
};

use crate::config;

pub(super) fn define(node: &NodeConfig, problems: &mut Problems) -> Option<Arc<dyn Definition>> {
    let (options, ports) = config::options(node, problems)?;
    let address = match (options.host, ports.first()) {
        // `*`: whatever the binding that exits to this one asks for.
        (Some(host), Some((range, _))) if host != "*" => Some((host, range.first)),
        _ => None,
    };
    Some(Arc::new(TcpClient { endpoint: Arc::new(Endpoint { address }) }))
}

struct TcpClient {
    endpoint: Arc<Endpoint>,
}

impl Definition for TcpClient {
    fn entry(&self) -> Option<&'static str> {
        Some(EndpointPlane::NAME)
    }

    fn exits(&self) -> Vec<Exit> {
        Vec::new()
    }

    fn externals(&self) -> Vec<External> {
        let address = self.endpoint.address.iter();
        let written = |(host, port): &(String, u16)| match host.contains(':') {
            true => format!("[{host}]:{port}"),
            false => format!("{host}:{port}"),
        };
        address.map(written).map(External::Address).collect()
    }

    fn absorbs(&self, old: &dyn Definition) -> bool {
        // The binding that uses the endpoint holds it by value and decides for itself.
        engine::spi::definition_as::<Self>(old).is_some()
    }

    fn prepare<'a>(&'a self, _: &'a PrepareCx<'a>) -> BoxFuture<'a, Result<Prepared, Problem>> {
        let endpoint: Prepared = Arc::<Endpoint>::clone(&self.endpoint);
        Box::pin(std::future::ready(Ok(endpoint)))
    }

    fn attach(&self, _: &Prepared, _: &WorkerCx, _: &mut Links<'_>) -> Attached {
        Attached { entry: None, node: std::rc::Rc::new(Idle) }
    }
}

/// Nothing runs on a worker for an endpoint.
struct Idle;

impl Node for Idle {}
