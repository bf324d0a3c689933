//! Options and routes of a tcp binding, read from the file.

use std::net::IpAddr;

use engine::config::{ExitName, NodeConfig, Problem, Problems, Span, codes};
use serde::Deserialize;

use crate::state::{Condition, Network, PortRange};

/// `options`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Options {
    pub(crate) host: Option<String>,
    port: Option<PortOption>,
}

/// One item of a route's `when`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionOptions {
    port: Option<PortOption>,
    cidr: Option<String>,
}

/// A port, a range, or a list of both.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum PortOption {
    One(PortText),
    Several(Vec<PortText>),
}

#[derive(Debug, Deserialize)]
#[serde(untagged)]
enum PortText {
    Number(u64),
    Text(String),
}

/// Ports as the file has them, each with its place.
pub(crate) type Ports = Vec<(PortRange, Span)>;

/// Reads `options`: the host and the ports.
pub(crate) fn options(node: &NodeConfig, problems: &mut Problems) -> Option<(Options, Ports)> {
    let options: Options = node.parse("/options", problems)?;
    let ports = match &options.port {
        Some(port) => ports(node, "/options/port", port, problems),
        None => Ports::new(),
    };
    Some((options, ports))
}

fn ports(node: &NodeConfig, pointer: &str, port: &PortOption, problems: &mut Problems) -> Ports {
    let mut ports = Ports::new();
    match port {
        PortOption::One(text) => add_ports(text, node.span_of(pointer), &mut ports, problems),
        PortOption::Several(list) => {
            for (index, text) in list.iter().enumerate() {
                let span = node.span_of(&format!("{pointer}/{index}"));
                add_ports(text, span, &mut ports, problems);
            }
        }
    }
    ports
}

fn add_ports(port: &PortText, span: Span, ports: &mut Ports, problems: &mut Problems) {
    let text = match port {
        PortText::Number(number) => number.to_string(),
        PortText::Text(text) => text.clone(),
    };
    let (first, last) = text.split_once('-').unwrap_or((&text, &text));
    match (first.parse(), last.parse()) {
        (Ok(first), Ok(last)) if first <= last => {
            ports.push((PortRange { first, last }, span));
        }
        (Ok::<u16, _>(_), Ok::<u16, _>(_)) => {
            let message = format!("the port range {text} ends before it begins");
            problems.push(
                Problem::new(codes::E0207, span, message)
                    .with_help(format!("did you mean {last}-{first}?")),
            );
        }
        _ => {
            let message = format!("{text} is not a port: ports go from 0 to 65535");
            problems.push(Problem::new(codes::E0207, span, message));
        }
    }
}

/// A route: its conditions and where it leads.
#[derive(Clone, Debug)]
pub(crate) struct RouteTarget {
    pub(crate) conditions: Vec<Condition>,
    pub(crate) exit: ExitName,
}

/// The routes of a server, `exit` last. The schema has seen to it that there is one, and that each
/// leads somewhere.
/// `listened`: the ports of the server.
pub(crate) fn routes(
    node: &NodeConfig,
    listened: &Ports,
    problems: &mut Problems,
) -> Vec<RouteTarget> {
    let mut targets = Vec::new();
    for route in node.routes() {
        let pointer = format!("{}/when", route.pointer);
        let when: Option<Vec<ConditionOptions>> = match route.value.get("when") {
            Some(_) => node.parse(&pointer, problems),
            None => Some(Vec::new()),
        };
        let Some((exit, when)) = route.exit.zip(when) else { continue };
        let conditions = when.iter().enumerate();
        let conditions: Vec<Condition> = conditions
            .map(|(index, when)| condition(node, &format!("{pointer}/{index}"), when, problems))
            .collect();
        for (index, condition) in conditions.iter().enumerate() {
            if !can_match(condition, listened) {
                let span = node.span_of(&format!("{pointer}/{index}/port"));
                let message = "this condition never matches: nobody listens on such a port";
                let problem = Problem::new(codes::W0303, span, message);
                problems.push(problem.with_help("add the port to `options.port`"));
            }
        }
        targets.push(RouteTarget { conditions, exit });
    }
    targets.extend(node.exit().map(|exit| RouteTarget { conditions: Vec::new(), exit }));
    targets
}

/// Whether a connection can arrive at one of the ports of a condition; at a port that the system
/// chooses, any can.
fn can_match(condition: &Condition, listened: &Ports) -> bool {
    let Some(wanted) = &condition.ports else { return true };
    let overlap =
        |one: &PortRange, other: &PortRange| one.first <= other.last && other.first <= one.last;
    let is_listened = |range: &PortRange| listened.iter().any(|(other, _)| overlap(range, other));
    wanted.iter().any(is_listened) || listened.iter().any(|(range, _)| range.first == 0)
}

fn condition(
    node: &NodeConfig,
    pointer: &str,
    when: &ConditionOptions,
    problems: &mut Problems,
) -> Condition {
    let at = |name: &str| format!("{pointer}/{name}");
    let network = when.cidr.as_deref().and_then(|text| {
        let network = network(text);
        if network.is_none() {
            let text = node.shown(&at("cidr"), text);
            let message = format!("{text} is not a network such as 10.0.0.0/8 or fd00::/8");
            problems.push(Problem::new(codes::E0207, node.span_of(&at("cidr")), message));
        }
        network
    });
    let ports = when.port.as_ref().map(|port| ports(node, &at("port"), port, problems));
    let ports = ports.map(|ports| ports.into_iter().map(|(range, _)| range).collect());
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
