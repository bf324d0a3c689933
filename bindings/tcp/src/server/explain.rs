//! What becomes of a connection, for people.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};

use engine::spi::{Action, Trace, Verdict};

use super::TcpServer;
use crate::state::{self, route};

/// Tells to which exit a client's connection goes, by the function that routes them.
pub(super) fn explain(server: &TcpServer, action: &Action, trace: &mut Trace<'_>) {
    let port = match port(server, action) {
        Ok(port) => port,
        Err(why) => return trace.decline(why),
    };
    let address = match action.text("address").map(|text| text.parse::<IpAddr>()) {
        Some(Ok(address)) => address,
        Some(Err(_)) => return trace.decline("the address of the action is no IP address"),
        None => match server.host.parse::<IpAddr>() {
            Ok(host) if !host.is_unspecified() => host,
            _ => Ipv4Addr::LOCALHOST.into(),
        },
    };
    let local = SocketAddr::new(address, port);
    let conditions = server.routes.iter().map(|route| route.conditions.as_slice());
    let routes = trace.node().routes().len();
    let found = route(conditions, local, |index, verdict| {
        // The binding's own exit comes behind its routes.
        let rule = if index < routes { format!("/routes/{index}") } else { "/exit".to_owned() };
        match verdict {
            state::Verdict::Taken(Some(condition)) => {
                let rule = format!("{rule}/when/{condition}");
                trace.step(Verdict::Taken, rule, format!("connection to {local}"));
            }
            state::Verdict::Taken(None) => {
                trace.step(Verdict::Taken, rule, format!("connection to {local}"));
            }
            state::Verdict::Unmatched => {
                trace.step(Verdict::Skipped, rule, format!("no condition matches {local}"));
            }
        }
    });
    match found {
        Some(found) => trace.pass(&server.routes[found].exit.name, action.clone()),
        None => trace.decline(format!("no route takes a connection to {local}")),
    }
}

/// The port that the client connects to.
fn port(server: &TcpServer, action: &Action) -> Result<u16, String> {
    let listens = |port: u16| {
        server.ports.iter().any(|(range, _)| (range.first..=range.last).contains(&port))
    };
    let shown = server.ports.iter().map(|(range, _)| match (range.first, range.last) {
        (first, last) if first == last => first.to_string(),
        (first, last) => format!("{first}-{last}"),
    });
    let shown = shown.collect::<Vec<_>>().join(", ");
    match (action.number::<u16>("port"), server.ports.as_slice()) {
        (Some(port), _) if listens(port) => Ok(port),
        (Some(port), _) => Err(format!("it does not listen on port {port}, but on {shown}")),
        (None, [(range, _)]) if range.first == range.last => Ok(range.first),
        (None, _) => Err(format!("it listens on several ports: say which `port` of {shown}")),
    }
}
