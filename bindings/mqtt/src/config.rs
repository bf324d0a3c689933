//! Options and routes of an mqtt binding, read from the file.

use std::cell::Cell;

use engine::config::{ExitName, NodeConfig, Problem, Problems, codes};
use serde_json::{Map, Value};

use crate::state::{ClientPattern, Condition, Route, Routes, TopicPattern, Versions};

/// What the file says of a server.
#[derive(Clone, Debug)]
pub(crate) struct ServerConfig {
    pub(crate) versions: Versions,
    pub(crate) routes: Routes,
    /// The exits that the routes name, by their index.
    pub(crate) exits: Vec<ExitName>,
}

/// Reads a server, already checked against the schema. `None` where a problem is an error.
pub(crate) fn server(node: &NodeConfig, problems: &mut Problems) -> Option<ServerConfig> {
    let mut found = Problems::default();
    if node.value.pointer("/options/store").is_some() {
        let message = "`store` has no effect: a client id is owned within this process";
        found.push(Problem::new(codes::W0201, node.key_span_of("/options/store"), message));
    }
    for (pointer, what) in [
        ("/options/authorization", "authorization of clients is"),
        ("/options/topics", "validation of message content is"),
    ] {
        if node.value.pointer(pointer).is_some() {
            found.push(unsupported(node, pointer, what));
        }
    }
    let (routes, exits) = routes(node, &mut found);
    let is_good = !found.has_errors();
    found.iter().cloned().for_each(|problem| problems.push(problem));
    is_good.then(|| ServerConfig { versions: versions(node), routes, exits })
}

fn unsupported(node: &NodeConfig, pointer: &str, what: &str) -> Problem {
    let message = format!("{what} not supported by this version yet");
    let key = pointer.rsplit('/').next().unwrap_or_default();
    Problem::new(codes::E0206, node.key_span_of(pointer), message)
        .with_help(format!("remove `{key}`; nothing would be checked"))
}

fn versions(node: &NodeConfig) -> Versions {
    let Some(listed) = node.value.pointer("/options/versions").and_then(Value::as_array) else {
        return Versions::ALL;
    };
    let has = |version: &str| listed.iter().any(|listed| listed == version);
    Versions { v311: has("v3.1.1"), v5: has("v5") }
}

fn routes(node: &NodeConfig, problems: &mut Problems) -> (Routes, Vec<ExitName>) {
    let mut exits: Vec<ExitName> = Vec::new();
    let mut index_of = |exit: ExitName| {
        exits.iter().position(|known| known.name == exit.name).unwrap_or_else(|| {
            exits.push(exit);
            exits.len() - 1
        })
    };
    let mut routes = Vec::new();
    for route in node.routes() {
        let pointer = &route.pointer;
        if route.value.get("guarded").is_some() {
            problems.push(unsupported(node, &format!("{pointer}/guarded"), "`guarded` is"));
        }
        let when = list(route.value, "when");
        let when = (0..when.len())
            .map(|index| {
                condition(node, &when[index], &format!("{pointer}/when/{index}"), problems)
            })
            .collect();
        match route.exit {
            Some(exit) => routes.push(Route { exit: index_of(exit), when }),
            None => {
                let message = "this route has no `exit`, so it leads nowhere";
                problems.push(Problem::new(codes::E0203, node.span_of(pointer), message));
            }
        }
    }
    if let Some(exit) = node.exit() {
        routes.push(Route { exit: index_of(exit), when: Vec::new() });
    } else if node.routes().is_empty() {
        let message = format!("`{}` has neither `exit` nor `routes`", node.name);
        problems.push(
            Problem::new(codes::E0203, node.span.clone(), message)
                .with_help("add `exit: NAME` with the binding that takes the sessions"),
        );
    }
    (Routes::new(routes), exits)
}

fn list<'v>(value: &'v Value, key: &str) -> &'v [Value] {
    value.get(key).and_then(Value::as_array).map_or(&[], Vec::as_slice)
}

fn condition(
    node: &NodeConfig,
    value: &Value,
    pointer: &str,
    problems: &mut Problems,
) -> Condition {
    let session = value.get("session").is_some().then(|| {
        let client_id =
            |item: &Value| item.get("client-id").and_then(Value::as_str).unwrap_or("*").to_owned();
        list(value, "session").iter().map(|item| ClientPattern::new(&client_id(item))).collect()
    });
    let mut topics = |key: &str| {
        value.get(key).is_some().then(|| {
            let items = list(value, key).iter().enumerate();
            items
                .filter_map(|(index, item)| {
                    topic(node, item, &format!("{pointer}/{key}/{index}"), problems)
                })
                .collect()
        })
    };
    let publish = topics("publish");
    let subscribe = topics("subscribe");
    Condition { session, publish, subscribe }
}

fn topic(
    node: &NodeConfig,
    item: &Value,
    pointer: &str,
    problems: &mut Problems,
) -> Option<TopicPattern> {
    let text = item.get("topic").and_then(Value::as_str)?;
    let none = Map::new();
    let params = item.get("params").and_then(Value::as_object).unwrap_or(&none);
    for (name, value) in params {
        if value.as_str().is_some_and(|value| value.contains("${")) {
            let pointer = format!("{pointer}/params/{name}");
            problems.push(unsupported(node, &pointer, "a value that comes from a guard is"));
        }
    }
    let used = Cell::new(0);
    let pattern = TopicPattern::parse(text, |name| {
        let value = params.get(name).and_then(Value::as_str);
        used.set(used.get() + usize::from(value.is_some()));
        value
    });
    match pattern {
        Ok(_) if used.get() < params.len() => {
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
            let span = node.span_of(&format!("{pointer}/topic"));
            problems.push(Problem::new(codes::E0207, span, message));
            None
        }
    }
}

#[cfg(test)]
mod tests {
    use engine::config::{Fragment, ProcessEnvironment, Schema, Source, load};

    use super::*;
    use crate::state::Request;

    /// What a binding of this body is read as, and its problems.
    fn read(body: &str) -> (Option<ServerConfig>, String) {
        let mut text = "name: t\nbindings:\n  m:\n    type: mqtt\n    kind: server\n".to_owned();
        body.lines().for_each(|line| text.push_str(&format!("    {line}\n")));
        let source = Source::new("z.yaml", text);
        let schema = Schema::compose(&[Fragment::binding("mqtt", schema::MQTT)]);
        let mut problems = Problems::default();
        let config = load(&source, &schema, &ProcessEnvironment, &mut problems);
        let node = config.as_ref().map(|config| &config.namespaces[0].nodes[0]);
        let server = node.and_then(|node| server(node, &mut problems));
        (server, problems.render())
    }

    fn refused(body: &str, place: &str, message: &str) {
        let (server, problems) = read(body);
        assert!(server.is_none(), "{body}");
        assert!(problems.contains(&format!("z.yaml:{place}: error")), "{body}:\n{problems}");
        assert!(problems.contains(message), "{body}:\n{problems}");
    }

    #[test]
    fn a_server_of_either_zilla_generation_is_read() {
        let (server, problems) = read("exit: south");
        assert_eq!(problems, "");
        let server = server.unwrap();
        assert_eq!(server.versions, Versions::ALL);
        assert_eq!(server.exits[0].name.to_string(), "t:south");
        let (server, problems) =
            read("options:\n  store: memory0\n  versions: [v5]\nexit: other:south");
        assert!(problems.contains("z.yaml:7:7: warning[W0201]"), "{problems}");
        let server = server.unwrap();
        assert_eq!(server.versions, Versions { v311: false, v5: true });
        assert_eq!(server.exits[0].name.to_string(), "other:south");
    }

    #[test]
    fn routes_lead_to_exits_in_order_and_exit_is_last() {
        let (server, problems) = read(
            "routes:\n  - when:\n      - session: [{client-id: dev-*}]\n        publish:\n          \
             - topic: a/{id}\n            params: {id: x}\n      - subscribe: [{topic: b/+}]\n    \
             exit: one\n  - when: [{publish: [{topic: 'c/#'}]}]\n    exit: two\nexit: one",
        );
        assert_eq!(problems, "");
        let server = server.unwrap();
        let decide = |request| server.routes.decide(request).map(|d| (d.route, d.exit));
        assert_eq!(server.exits.len(), 2);
        assert_eq!(decide(Request::Publish("a/x")), Some((0, 0)));
        assert_eq!(decide(Request::Publish("a/y")), Some((2, 0)));
        assert_eq!(decide(Request::Publish("c/1")), Some((1, 1)));
        assert_eq!(decide(Request::Subscribe("b/+")), Some((0, 0)));
        assert_eq!(decide(Request::Subscribe("#")), Some((2, 0)));
        // The second item of the first route admits every client.
        assert_eq!(decide(Request::Session("any")), Some((0, 0)));
    }

    #[test]
    fn what_would_silently_check_nothing_is_refused() {
        let authorization = "authorization: {jwt0: {credentials: {connect: {username: x}}}}";
        let not_yet = "not supported by this version yet";
        refused(&format!("options:\n  {authorization}\nexit: s"), "7:7", not_yet);
        refused("options:\n  topics: [{name: a}]\nexit: s", "7:7", not_yet);
        refused("routes:\n  - guarded: {jwt0: []}\n    exit: s", "7:9", not_yet);
        let identity = "params: {id: \"${guarded['g'].identity}\"}";
        refused(
            &format!(
                "routes:\n  - when:\n      - publish:\n          - topic: a/{{id}}\n            \
                 {identity}\n    exit: s"
            ),
            "10:26",
            not_yet,
        );
    }

    #[test]
    fn patterns_and_routes_that_mean_nothing_are_refused_at_their_place() {
        let route = |condition: &str| format!("routes:\n  - when: [{condition}]\n    exit: s");
        refused(&route("{publish: [{topic: 'a/#/b'}]}"), "7:35", "stands alone");
        refused(
            &route("{publish: [{topic: 'a/b', params: {id: x}}]}"),
            "7:42",
            "binds what `a/b` does not contain",
        );
        refused(&route("{publish: [{topc: a}]}"), "7:28", "topc");
        refused("routes:\n  - when: []", "7:9", "leads nowhere");
        refused("options: {}", "3:3", "neither `exit` nor `routes`");
        refused("options:\n  versions: [v3]\nexit: s", "7:18", "v3.1.1");
    }
}
