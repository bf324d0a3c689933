//! Routes that keep nobody out, and routes that nothing takes.

use serde_json::Value;

use crate::config::{NodeConfig, Problem, Problems, RouteConfig, codes};

/// Says where the routes of a binding cannot mean what they say. `is_first_match`: whether what one
/// route takes is not offered to the next.
pub(super) fn check(node: &NodeConfig, is_first_match: bool, problems: &mut Problems) {
    let routes = node.routes();
    open_to_all(node, &routes, problems);
    if is_first_match {
        never_taken(node, &routes, problems);
    }
}

fn has(route: &RouteConfig<'_>, property: &str) -> bool {
    route.value.get(property).is_some_and(|value| match value {
        Value::Array(list) => !list.is_empty(),
        Value::Object(map) => !map.is_empty(),
        _ => false,
    })
}

/// Whether a route takes everything from anybody.
fn is_open(route: &RouteConfig<'_>) -> bool {
    !has(route, "when") && !has(route, "guarded")
}

/// A client that a guard refuses is not refused: it goes on to the next route.
fn open_to_all(node: &NodeConfig, routes: &[RouteConfig<'_>], problems: &mut Problems) {
    let Some(first) = routes.iter().position(|route| has(route, "guarded")) else { return };
    let open = routes.iter().skip(first).find(|route| is_open(route));
    let span = match (open, node.exit()) {
        (Some(route), _) => node.span_of(&route.pointer),
        (None, Some(_)) => node.key_span_of("/exit"),
        (None, None) => return,
    };
    let message = "a client without the roles takes this one: the guarded route keeps nobody out";
    let guarded = node.key_span_of(&format!("{}/guarded", routes[first].pointer));
    problems.push(
        Problem::new(codes::W0301, span, message)
            .with_help("remove it, or give it a `when` that leaves out what is guarded")
            .with_related(guarded, "the guarded route"),
    );
}

/// What stands behind a route that takes everything.
fn never_taken(node: &NodeConfig, routes: &[RouteConfig<'_>], problems: &mut Problems) {
    let Some(open) = routes.iter().position(is_open) else { return };
    let (span, what) = match (routes.get(open + 1), node.exit()) {
        (Some(route), _) => (node.span_of(&route.pointer), "this route"),
        (None, Some(_)) => (node.key_span_of("/exit"), "this `exit`"),
        (None, None) => return,
    };
    let message = format!("{what} is never taken: a route before it takes everything");
    problems.push(
        Problem::new(codes::W0302, span, message)
            .with_help("move it to the front, or give the other a `when`")
            .with_related(node.span_of(&routes[open].pointer), "the route that takes everything"),
    );
}
