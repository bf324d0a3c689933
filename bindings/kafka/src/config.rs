//! Bindings of the file.

use std::collections::BTreeMap;

use engine::config::{ExitName, NodeConfig, Problem, Problems, Span, codes};
use engine::spi::{Coupling, Exit, TopicNeed};
use serde::Deserialize;

/// `options` of the cache kinds.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct CacheOptions {
    #[serde(default)]
    pub(crate) bootstrap: Vec<String>,
    #[serde(default)]
    topics: Vec<TopicOptions>,
    #[serde(default)]
    cache: CacheBounds,
}

/// `options.cache`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct CacheBounds {
    bytes: Option<u64>,
}

/// One of `options.topics`.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicOptions {
    name: String,
}

/// What bounds the log of a partition where the file does not say, bytes.
const LOG_BYTES: usize = 64 * 1024 * 1024;

impl CacheOptions {
    /// The bound of each partition's log, bytes.
    pub(crate) fn log_bytes(&self) -> usize {
        self.cache.bytes.map_or(LOG_BYTES, |bytes| usize::try_from(bytes).unwrap_or(usize::MAX))
    }
}

/// Reads `options` of a cache kind.
pub(crate) fn cache_options(node: &NodeConfig, problems: &mut Problems) -> Option<CacheOptions> {
    let options: CacheOptions = node.parse("/options", problems)?;
    let at = |index: usize| node.span_of(&format!("/options/topics/{index}/name"));
    for (index, topic) in options.topics.iter().enumerate() {
        let first = options.topics.iter().position(|other| other.name == topic.name);
        if let Some(first) = first.filter(|first| *first < index) {
            let shown = node.shown(&format!("/options/topics/{index}/name"), &topic.name);
            let message = format!("the topic `{shown}` is listed twice");
            problems.push(
                Problem::new(codes::E0605, at(index), message)
                    .with_help("make them one entry")
                    .with_related(at(first), "the first is here"),
            );
        }
    }
    Some(options)
}

/// `options` of kind `client`.
#[derive(Debug)]
pub(crate) struct ClientOptions {
    /// `host:port` each.
    pub(crate) servers: Vec<String>,
    /// Where the file names them.
    #[cfg_attr(not(feature = "rdkafka"), expect(dead_code, reason = "for what is outside"))]
    pub(crate) places: ClientPlaces,
    #[cfg_attr(not(feature = "rdkafka"), expect(dead_code, reason = "validated only"))]
    pub(crate) sasl: Option<Credentials>,
}

/// Where the file has what a client connects with.
#[derive(Debug)]
#[cfg_attr(not(feature = "rdkafka"), expect(dead_code, reason = "for what is outside"))]
pub(crate) struct ClientPlaces {
    /// Each of the servers.
    pub(crate) each: Vec<Span>,
    /// All of them.
    pub(crate) servers: Span,
    /// The credentials.
    pub(crate) sasl: Span,
}

/// A SASL mechanism with its credentials.
#[derive(Clone, Deserialize, PartialEq, Eq)]
#[serde(deny_unknown_fields)]
pub(crate) struct Credentials {
    mechanism: String,
    #[serde(default)]
    pub(crate) username: String,
    #[serde(default)]
    pub(crate) password: String,
}

impl std::fmt::Debug for Credentials {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{} as {}", self.mechanism, self.username)
    }
}

impl Credentials {
    /// The mechanism as librdkafka spells it, where it has it.
    #[cfg(feature = "rdkafka")]
    pub(crate) fn mechanism(&self) -> Option<&'static str> {
        match self.mechanism.as_str() {
            "plain" => Some("PLAIN"),
            "scram-sha-256" => Some("SCRAM-SHA-256"),
            "scram-sha-512" => Some("SCRAM-SHA-512"),
            _ => None,
        }
    }
}

/// Reads `options` of kind `client`.
pub(crate) fn client_options(node: &NodeConfig, problems: &mut Problems) -> Option<ClientOptions> {
    #[derive(Default, Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Raw {
        #[serde(default)]
        servers: Vec<String>,
        sasl: Option<Credentials>,
        #[serde(default)]
        authorization: BTreeMap<String, Authorization>,
    }
    #[derive(Deserialize)]
    #[serde(deny_unknown_fields)]
    struct Authorization {
        credentials: Credentials,
    }
    let raw: Raw = node.parse("/options", problems)?;
    for (index, server) in raw.servers.iter().enumerate() {
        if !is_address(server) {
            let pointer = format!("/options/servers/{index}");
            let shown = node.shown(&pointer, server);
            let message = format!("`{shown}` is not an address: host:port");
            problems.push(Problem::new(codes::E0602, node.span_of(&pointer), message));
        }
    }
    let guarded = raw.authorization.into_iter().next();
    let (sasl, pointer) = match (raw.sasl, guarded) {
        (Some(sasl), _) => (Some(sasl), "/options/sasl".to_owned()),
        (None, Some((guard, authorization))) => {
            let guard = guard.replace('~', "~0").replace('/', "~1");
            let pointer = format!("/options/authorization/{guard}/credentials");
            (Some(authorization.credentials), pointer)
        }
        (None, None) => (None, String::new()),
    };
    if let Some(sasl) = &sasl {
        check_credentials(node, &pointer, sasl, problems);
    }
    let each = 0..raw.servers.len();
    let places = ClientPlaces {
        each: each.map(|index| node.span_of(&format!("/options/servers/{index}"))).collect(),
        servers: match raw.servers.len() {
            1 => node.span_of("/options/servers/0"),
            _ => node.key_span_of("/options/servers"),
        },
        sasl: node.key_span_of(&pointer),
    };
    Some(ClientOptions { servers: raw.servers, places, sasl })
}

fn check_credentials(
    node: &NodeConfig,
    pointer: &str,
    sasl: &Credentials,
    problems: &mut Problems,
) {
    let fields = [("username", &sasl.username), ("password", &sasl.password)];
    for (field, text) in fields {
        let span = node.span_of(&format!("{pointer}/{field}"));
        if text == "{identity}" || text == "{credentials}" {
            let message = "credentials that a guard takes from clients are not supported yet";
            problems
                .push(Problem::new(codes::E0603, span, message).with_help(
                    "write them here, from the environment: ${{env.NAME}}; or use a guard of type `inline`",
                ));
        } else if text.is_empty() {
            let message = format!("`{field}` is missing");
            problems.push(Problem::new(codes::E0603, span, message));
        }
    }
}

/// Whether a text is `host:port`, the host a name, an IPv4 address or an IPv6 one in brackets.
fn is_address(text: &str) -> bool {
    let Some((host, port)) = text.rsplit_once(':') else { return false };
    let bare = host.strip_prefix('[').and_then(|host| host.strip_suffix(']'));
    let is_host = match bare {
        Some(bare) => bare.parse::<std::net::Ipv6Addr>().is_ok(),
        None => {
            !host.is_empty()
                && host.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_'))
        }
    };
    is_host && port.parse::<u16>().is_ok_and(|port| port > 0)
}

/// The topics of `options.bootstrap`, which `exit` is asked for: looked for, and what they must be
/// is said by who uses them.
pub(crate) fn bootstrap_topics(
    node: &NodeConfig,
    options: &CacheOptions,
    exit: &ExitName,
) -> Vec<TopicNeed> {
    let need = |(index, name): (usize, &String)| TopicNeed {
        name: name.clone(),
        is_template: false,
        span: node.span_of(&format!("/options/bootstrap/{index}")),
        exit: exit.name.clone(),
        keeps: None,
        is_read: false,
        is_written: false,
        least_record_bytes: 0,
        record_overhead: 0,
        most_partitions: u32::MAX,
    };
    options.bootstrap.iter().enumerate().map(need).collect()
}

/// The one binding that a binding exits to, by `exit` or by routes that all lead there.
pub(crate) fn only_exit(node: &NodeConfig, problems: &mut Problems) -> Option<ExitName> {
    let mut exit = node.exit();
    for route in node.routes() {
        match (&exit, route.exit) {
            (None, found) => exit = found,
            (Some(first), Some(other)) if first.name != other.name => {
                let message = "a second exit is not supported yet: all topics go one way";
                problems.push(Problem::new(codes::E0604, other.span, message));
            }
            (Some(_), _) => {}
        }
    }
    exit
}

/// The edge that an exit makes. Held by value: what is behind it is configuration of one client
/// library, not a stream.
pub(crate) fn value_exit(exit: &ExitName, plane: &'static str) -> Exit {
    Exit { name: exit.name.clone(), plane, coupling: Coupling::Value, span: exit.span.clone() }
}

/// The only exit, or a problem where there is none.
pub(crate) fn required_exit(node: &NodeConfig, problems: &mut Problems) -> Option<ExitName> {
    let exit = only_exit(node, problems);
    if exit.is_none() {
        let message = format!("`{}` leads nowhere: it has no exit", node.name);
        problems.push(Problem::new(codes::E0203, node.span.clone(), message));
    }
    exit
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_a_host_and_a_port() {
        for good in ["k1.example:9092", "127.0.0.1:1", "[::1]:65535", "kafka_1:9092"] {
            assert!(is_address(good), "{good}");
        }
        for bad in ["k1", "k1:", ":9092", "k1:0", "k1:65536", "::1:9092", "[x]:1", "a b:1", ""] {
            assert!(!is_address(bad), "{bad}");
        }
    }

    #[test]
    fn credentials_are_not_shown() {
        let sasl = Credentials {
            mechanism: "plain".to_owned(),
            username: "u".to_owned(),
            password: "secret".to_owned(),
        };
        assert_eq!(format!("{sasl:?}"), "plain as u");
    }
}
