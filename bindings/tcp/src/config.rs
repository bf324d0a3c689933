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
    let listened = Listened::new(listened);
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
            if !listened.can_match(condition) {
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

/// The ports of a server.
struct Listened {
    /// In order, none touching another.
    ranges: Vec<PortRange>,
    /// Whether the system chooses one, which may be any.
    is_any: bool,
}

impl Listened {
    fn new(ports: &Ports) -> Self {
        let mut all: Vec<PortRange> = ports.iter().map(|(range, _)| *range).collect();
        all.sort_unstable_by_key(|range| range.first);
        let mut ranges: Vec<PortRange> = Vec::new();
        for range in all {
            match ranges.last_mut() {
                Some(last) if range.first <= last.last => last.last = last.last.max(range.last),
                _ => ranges.push(range),
            }
        }
        let is_any = ranges.first().is_some_and(|range| range.first == 0);
        Self { ranges, is_any }
    }

    /// Whether a connection can arrive at one of the ports of a condition.
    fn can_match(&self, condition: &Condition) -> bool {
        let is_listened = |wanted: &PortRange| {
            let next = self.ranges.partition_point(|range| range.last < wanted.first);
            self.ranges.get(next).is_some_and(|range| range.first <= wanted.last)
        };
        let wanted = condition.ports.as_ref();
        self.is_any || wanted.is_none_or(|wanted| wanted.iter().any(is_listened))
    }
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

    #[test]
    fn a_condition_matches_where_its_ports_and_those_of_the_server_overlap() {
        let source = engine::config::Source::new("f.yaml", "");
        let range = |(first, last): (u16, u16)| PortRange { first, last };
        let listened = |ranges: &[(u16, u16)]| {
            let ports = ranges.iter().map(|both| (range(*both), source.span(0, 0))).collect();
            Listened::new(&ports)
        };
        let matches = |listened: &Listened, ports: &[(u16, u16)]| {
            let ports = Some(ports.iter().copied().map(range).collect());
            listened.can_match(&Condition { ports, network: None })
        };
        let some = listened(&[(8880, 8883), (1883, 1883), (8882, 8890), (9000, 9000)]);
        for (ports, expected) in [
            (&[(1883, 1883)][..], true),
            (&[(1884, 8879)], false),
            (&[(1884, 8880)], true),
            (&[(8885, 8885)], true),
            (&[(8891, 8999)], false),
            (&[(9001, 65535)], false),
            (&[(1, 2), (8900, 9000)], true),
            (&[(1, 65535)], true),
        ] {
            assert_eq!(matches(&some, ports), expected, "{ports:?}");
        }
        assert!(some.can_match(&Condition { ports: None, network: None }));
        assert!(matches(&listened(&[(0, 0)]), &[(7, 7)]), "the system chooses");
        assert!(!matches(&listened(&[]), &[(7, 7)]));
    }
}
