//! Options and routes of a tcp binding, read from the file.

use std::net::IpAddr;

use engine::config::{ExitName, NodeConfig, Problem, Problems, Span, codes};
use serde_json::Value;

use crate::state::{Condition, Network, PortRange};

/// Ports as the file has them, each with its place.
pub(crate) type Ports = Vec<(PortRange, Span)>;

/// Reads a port, a range, or a list of both. The schema has checked the types.
pub(crate) fn ports(node: &NodeConfig, pointer: &str, problems: &mut Problems) -> Ports {
    let mut ports = Vec::new();
    match node.value.pointer(pointer) {
        Some(Value::Array(list)) => {
            for (index, value) in list.iter().enumerate() {
                add_ports(
                    value,
                    &node.span_of(&format!("{pointer}/{index}")),
                    &mut ports,
                    problems,
                );
            }
        }
        Some(value) => add_ports(value, &node.span_of(pointer), &mut ports, problems),
        None => {}
    }
    ports
}

fn add_ports(value: &Value, span: &Span, ports: &mut Ports, problems: &mut Problems) {
    let text = value.as_str().map_or_else(|| value.to_string(), str::to_owned);
    let (first, last) = text.split_once('-').unwrap_or((&text, &text));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if first <= last => {
            ports.push((PortRange { first, last }, span.clone()));
        }
        (Ok::<u16, _>(_), Ok::<u16, _>(_)) => {
            let message = format!("the port range {text} ends before it begins");
            problems.push(
                Problem::new(codes::E0207, span.clone(), message)
                    .with_help(format!("did you mean {last}-{first}?")),
            );
        }
        _ => {
            let message = format!("{text} is not a port: ports go from 0 to 65535");
            problems.push(Problem::new(codes::E0207, span.clone(), message));
        }
    }
}

/// A route: its conditions and where it leads.
#[derive(Clone, Debug)]
pub(crate) struct RouteTarget {
    pub(crate) conditions: Vec<Condition>,
    pub(crate) exit: ExitName,
}

/// The routes of a server, `exit` last.
pub(crate) fn routes(node: &NodeConfig, problems: &mut Problems) -> Vec<RouteTarget> {
    let mut targets = Vec::new();
    for route in node.routes() {
        let pointer = &route.pointer;
        if route.value.get("guarded").is_some() {
            let span = node.key_span_of(&format!("{pointer}/guarded"));
            let message = "guards are not supported by this version";
            problems.push(Problem::new(codes::E0206, span, message).with_help("remove `guarded`"));
        }
        let when = route.value.get("when").and_then(Value::as_array).map_or(0, Vec::len);
        let conditions = (0..when)
            .map(|index| condition(node, &format!("{pointer}/when/{index}"), problems))
            .collect();
        match route.exit {
            Some(exit) => targets.push(RouteTarget { conditions, exit }),
            None => {
                let message = "this route has no `exit`, so it leads nowhere";
                problems.push(Problem::new(codes::E0203, node.span_of(pointer), message));
            }
        }
    }
    if let Some(exit) = node.exit() {
        targets.push(RouteTarget { conditions: Vec::new(), exit });
    } else if targets.is_empty() && node.routes().is_empty() {
        let message = format!("`{}` has neither `exit` nor `routes`", node.name);
        problems.push(
            Problem::new(codes::E0203, node.span.clone(), message)
                .with_help("add `exit: NAME` with the binding that takes the connections"),
        );
    }
    targets
}

fn condition(node: &NodeConfig, pointer: &str, problems: &mut Problems) -> Condition {
    let at = |name: &str| format!("{pointer}/{name}");
    if node.value.pointer(&at("authority")).is_some() {
        let message = "`authority` is not supported by this version";
        problems.push(
            Problem::new(codes::E0206, node.key_span_of(&at("authority")), message)
                .with_help("route by `cidr` or `port`"),
        );
    }
    let network = node.value.pointer(&at("cidr")).and_then(Value::as_str).and_then(|text| {
        let network = network(text);
        if network.is_none() {
            let message = format!("{text} is not a network such as 10.0.0.0/8 or fd00::/8");
            problems.push(Problem::new(codes::E0207, node.span_of(&at("cidr")), message));
        }
        network
    });
    let ports = node
        .value
        .pointer(&at("port"))
        .map(|_| ports(node, &at("port"), problems).into_iter().map(|(range, _)| range).collect());
    Condition { ports, network }
}

fn network(text: &str) -> Option<Network> {
    let (address, prefix) = text.split_once('/')?;
    let address: IpAddr = address.parse().ok()?;
    let prefix: u8 = prefix.parse().ok()?;
    let limit = if address.is_ipv4() { 32 } else { 128 };
    (prefix <= limit).then_some(Network { address, prefix })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn networks_are_read_with_their_bounds() {
        assert!(network("10.0.0.0/8").is_some());
        assert!(network("::1/128").is_some());
        for text in ["10.0.0.0/33", "10.0.0/8", "::/129", "10.0.0.0", "x/1"] {
            assert!(network(text).is_none(), "{text}");
        }
    }
}
