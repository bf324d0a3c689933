//! Options and routes of an mqtt binding, read from the file.

mod limits;
mod properties;
#[cfg(test)]
mod tests;
mod unreachable;

use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Arc;

use engine::config::{ExitName, NodeConfig, Problem, Problems, codes};
use serde::Deserialize;

pub use properties::PROPERTIES;
pub(crate) use properties::offer;

use limits::LimitsOptions;

use crate::state::{
    Bounds, ClientPattern, Condition, Route, Routes, SYSTEM_INTERVAL, TopicPattern, Versions,
};

/// What the file says of a server.
#[derive(Clone, Debug)]
pub(crate) struct ServerConfig {
    pub(crate) versions: Versions,
    pub(crate) bounds: Bounds,
    pub(crate) checks_payload_format: bool,
    pub(crate) response_information: Option<Arc<str>>,
    /// Seconds; 0: the server has no `$SYS` topics.
    pub(crate) system_interval: u32,
    pub(crate) routes: Routes,
    /// The exits that the routes name, by their index.
    pub(crate) exits: Vec<ExitName>,
}

// The structs refuse what they do not know, so that nothing of a file is passed over in silence, and
// have defaults by field: one for the whole struct would read each field, and the compiler could not
// tell that nothing else does.

/// `options` of a server.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    #[expect(dead_code, reason = "what the only type of store does, the registry does anyway")]
    store: Option<String>,
    versions: Option<Vec<Version>>,
    limits: Option<LimitsOptions>,
    #[serde(rename = "payload-format")]
    payload_format: Option<PayloadFormat>,
    #[serde(rename = "response-information")]
    response_information: Option<String>,
    #[serde(rename = "sys-interval")]
    sys_interval: Option<u32>,
}

#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
enum Version {
    #[serde(rename = "v3.1.1")]
    V311,
    #[serde(rename = "v5")]
    V5,
}

/// What becomes of the Payload Format Indicator.
#[derive(Clone, Copy, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "kebab-case")]
enum PayloadFormat {
    Pass,
    Check,
}

/// One item of a route's `when`.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct ConditionOptions {
    session: Option<Vec<SessionOptions>>,
    publish: Option<Vec<TopicOptions>>,
    subscribe: Option<Vec<TopicOptions>>,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct SessionOptions {
    #[serde(rename = "client-id")]
    client_id: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicOptions {
    topic: String,
    #[serde(default)]
    params: BTreeMap<String, String>,
}

/// Reads a server, already checked against the schema. `None` where a problem is an error.
pub(crate) fn server(node: &NodeConfig, problems: &mut Problems) -> Option<ServerConfig> {
    let mut found = Problems::default();
    let options: Option<Options> = node.parse("/options", &mut found);
    let (routes, exits) = routes(node, &mut found);
    let is_good = !found.has_errors();
    found.iter().cloned().for_each(|problem| problems.push(problem));
    let options = options.filter(|_| is_good)?;
    if options.versions.as_ref().is_some_and(Vec::is_empty) {
        let message = "no version is accepted: every client is refused";
        let span = node.span_of("/options/versions");
        problems.push(
            Problem::new(codes::W0305, span, message)
                .with_help("leave `versions` out to accept all of them"),
        );
    }
    let bounds = options.limits.as_ref().map_or(Bounds::DEFAULT, LimitsOptions::bounds);
    let checks_payload_format = options.payload_format == Some(PayloadFormat::Check);
    Some(ServerConfig {
        versions: versions(&options),
        bounds,
        checks_payload_format,
        response_information: options.response_information.map(Arc::from),
        system_interval: options.sys_interval.unwrap_or(SYSTEM_INTERVAL),
        routes,
        exits,
    })
}

fn versions(options: &Options) -> Versions {
    let Some(listed) = &options.versions else { return Versions::ALL };
    Versions { v311: listed.contains(&Version::V311), v5: listed.contains(&Version::V5) }
}

/// The routes in order, `exit` last. The schema has seen to it that each leads somewhere.
fn routes(node: &NodeConfig, problems: &mut Problems) -> (Routes, Vec<ExitName>) {
    let mut exits: Vec<ExitName> = Vec::new();
    let mut index_of = |exit: ExitName| {
        exits.iter().position(|known| known.name == exit.name).unwrap_or_else(|| {
            exits.push(exit);
            exits.len() - 1
        })
    };
    let mut routes = Vec::new();
    let mut earlier = unreachable::Earlier::default();
    for route in node.routes() {
        let pointer = format!("{}/when", route.pointer);
        let when: Option<Vec<ConditionOptions>> = match route.value.get("when") {
            Some(_) => node.parse(&pointer, problems),
            None => Some(Vec::new()),
        };
        let Some((exit, when)) = route.exit.zip(when) else { continue };
        unreachable::check_sessions(node, &pointer, &when, problems);
        earlier.check_route(node, &pointer, &when, problems);
        let when = when.iter().enumerate();
        let when = when
            .map(|(index, when)| condition(node, when, &format!("{pointer}/{index}"), problems))
            .collect();
        routes.push(Route { exit: index_of(exit), when });
    }
    if let Some(exit) = node.exit() {
        routes.push(Route { exit: index_of(exit), when: Vec::new() });
    }
    (Routes::new(routes), exits)
}

fn condition(
    node: &NodeConfig,
    when: &ConditionOptions,
    pointer: &str,
    problems: &mut Problems,
) -> Condition {
    let client =
        |session: &SessionOptions| ClientPattern::new(session.client_id.as_deref().unwrap_or("*"));
    let session = when.session.as_ref().map(|all| all.iter().map(client).collect());
    let mut topics = |key: &str, all: &Option<Vec<TopicOptions>>| {
        let pattern =
            |(index, item)| topic(node, item, &format!("{pointer}/{key}/{index}"), problems);
        all.as_ref().map(|all| all.iter().enumerate().filter_map(pattern).collect())
    };
    let publish = topics("publish", &when.publish);
    let subscribe = topics("subscribe", &when.subscribe);
    Condition { session, publish, subscribe }
}

fn topic(
    node: &NodeConfig,
    item: &TopicOptions,
    pointer: &str,
    problems: &mut Problems,
) -> Option<TopicPattern> {
    let TopicOptions { topic: text, params } = item;
    for (name, value) in params {
        if value.contains("${") {
            let span = node.key_span_of(&format!("{pointer}/params/{name}"));
            let message = "a value that comes from a guard is not supported yet";
            problems
                .push(Problem::new(codes::E0206, span, message).with_help(format!(
                    "write a value, or leave `{name}` out: any level is taken"
                )));
        }
    }
    let used = Cell::new(0);
    let pattern = TopicPattern::parse(text, |name| {
        let value = params.get(name).map(String::as_str);
        used.set(used.get() + usize::from(value.is_some()));
        value
    });
    match pattern {
        Ok(_) if used.get() < params.len() => {
            let text = node.shown(&format!("{pointer}/topic"), text);
            let message = format!("`params` binds what `{text}` does not contain");
            let span = node.key_span_of(&format!("{pointer}/params"));
            problems.push(
                Problem::new(codes::E0207, span, message)
                    .with_help("write each of its names as a level `{name}` of the topic, once"),
            );
            None
        }
        Ok(pattern) => Some(pattern),
        Err(message) => {
            let pointer = format!("{pointer}/topic");
            // What is wrong is said with the pattern.
            let message = match text.as_str() {
                "" => message,
                text => message.replace(text, &node.shown(&pointer, text)),
            };
            problems.push(Problem::new(codes::E0207, node.span_of(&pointer), message));
            None
        }
    }
}
