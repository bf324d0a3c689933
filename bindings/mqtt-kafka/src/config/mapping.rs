//! Options and routes of the file as a [`Mapping`].

use engine::config::{ExitName, NodeConfig, Problem, Problems, RouteConfig, codes};
use mqtt_plane::Qos;
use serde::Deserialize;

use crate::state::{Captures, Mapping, Pattern, Route, Template, is_kafka_topic};

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Options {
    topics: Topics,
    #[serde(default)]
    clients: Vec<String>,
    #[serde(default)]
    publish: PublishOptions,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Topics {
    sessions: String,
    messages: String,
    retained: String,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct PublishOptions {
    #[serde(rename = "qosMax")]
    qos_max: Option<QosMax>,
}

#[derive(Deserialize)]
enum QosMax {
    #[serde(rename = "at_most_once")]
    Zero,
    #[serde(rename = "at_least_once")]
    One,
    #[serde(rename = "exactly_once")]
    Two,
}

#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields)]
struct With {
    messages: Option<String>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Condition {
    #[serde(default)]
    publish: Vec<TopicPattern>,
    #[serde(default)]
    subscribe: Vec<TopicPattern>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct TopicPattern {
    topic: String,
}

/// The mapping of a binding and its exits, each once, in the order of [`Route::exit`].
pub(super) fn define(
    node: &NodeConfig,
    problems: &mut Problems,
) -> Option<(Mapping, Vec<ExitName>)> {
    let options: Options = node.parse("/options", problems)?;
    let topics = &options.topics;
    for (name, topic) in [
        ("sessions", &topics.sessions),
        ("messages", &topics.messages),
        ("retained", &topics.retained),
    ] {
        check_kafka_topic(node, &format!("/options/topics/{name}"), topic, problems);
    }
    let holds_state = [("retained", &topics.retained), ("sessions", &topics.sessions)];
    for (at, (name, topic)) in holds_state.into_iter().enumerate() {
        let others = holds_state.into_iter().take(at).chain([("messages", &topics.messages)]);
        for (other, _) in others.filter(|(_, other)| *other == topic) {
            let pointer = format!("/options/topics/{name}");
            let topic = node.shown(&pointer, topic);
            let message = format!("`{topic}` cannot hold both `{other}` and `{name}`");
            let help = "each needs a Kafka topic of its own";
            let problem = Problem::new(codes::E0226, node.span_of(&pointer), message);
            problems.push(problem.with_help(help));
        }
    }
    let mut exits = Exits::default();
    let mut routes = Vec::new();
    for route in node.routes() {
        routes.extend(define_route(node, &route, &mut exits, problems));
    }
    warn_of_hidden(node, &routes, problems);
    for (route, config) in routes.iter().zip(node.routes()) {
        let topic = route.messages.as_ref().and_then(Template::fixed);
        let held = holds_state.into_iter().find(|(_, held)| Some(held.as_str()) == topic);
        if let Some((name, topic)) = held {
            let pointer = format!("{}/with/messages", config.pointer);
            let topic = node.shown(&pointer, topic);
            let message = format!("`{topic}` is the topic of `{name}`: no route may write there");
            problems.push(Problem::new(codes::E0226, node.span_of(&pointer), message));
        }
    }
    if let Some(exit) = node.exit() {
        routes.push(Route {
            is_open: true,
            publish: Vec::new(),
            subscribe: Vec::new(),
            messages: None,
            exit: exits.index(exit),
        });
    }
    let mapping = Mapping {
        sessions: topics.sessions.as_str().into(),
        messages: topics.messages.as_str().into(),
        retained: topics.retained.as_str().into(),
        routes,
        clients: define_clients(node, &options.clients, problems),
        qos_max: match options.publish.qos_max {
            Some(QosMax::Zero) => Qos::AtMostOnce,
            Some(QosMax::One) => Qos::AtLeastOnce,
            Some(QosMax::Two) | None => Qos::ExactlyOnce,
        },
    };
    Some((mapping, exits.0))
}

#[derive(Default)]
struct Exits(Vec<ExitName>);

impl Exits {
    fn index(&mut self, exit: ExitName) -> usize {
        let known = self.0.iter().position(|other| other.name == exit.name);
        known.unwrap_or_else(|| {
            self.0.push(exit);
            self.0.len() - 1
        })
    }
}

/// A publish takes the first route that matches: behind one that takes everything, `publish` has no
/// meaning. (A subscription is served from all.)
fn warn_of_hidden(node: &NodeConfig, routes: &[Route], problems: &mut Problems) {
    let Some(open) = routes.iter().position(|route| route.is_open) else { return };
    for (route, config) in routes.iter().zip(node.routes()).skip(open + 1) {
        if route.publish.is_empty() {
            continue;
        }
        let message = "this route takes no publish: a route before it takes them all";
        problems.push(
            Problem::new(codes::W0303, node.span_of(&config.pointer), message)
                .with_help("put it first")
                .with_related(node.span_of(&format!("/routes/{open}")), "taken here"),
        );
    }
}

fn check_kafka_topic(node: &NodeConfig, pointer: &str, topic: &str, problems: &mut Problems) {
    if !is_kafka_topic(topic) {
        let topic = node.shown(pointer, topic);
        let message = format!("`{topic}` is no name that Kafka permits for a topic");
        let help = "1 to 249 of the characters a-z, A-Z, 0-9, `.`, `_` and `-`";
        problems.push(Problem::new(codes::E0221, node.span_of(pointer), message).with_help(help));
    }
}

fn parse_pattern(
    node: &NodeConfig,
    pointer: &str,
    text: &str,
    problems: &mut Problems,
) -> Option<Pattern> {
    Pattern::parse(text)
        .map_err(|why| {
            // What is wrong is said with the pattern.
            let shown = node.shown(pointer, text);
            let why = if text.is_empty() { why } else { why.replace(text, &shown) };
            problems.push(Problem::new(codes::E0222, node.span_of(pointer), why));
        })
        .ok()
}

fn define_clients(node: &NodeConfig, texts: &[String], problems: &mut Problems) -> Vec<Pattern> {
    let mut patterns = Vec::new();
    for (index, text) in texts.iter().enumerate() {
        let pointer = format!("/options/clients/{index}");
        let Some(pattern) = parse_pattern(node, &pointer, text, problems) else { continue };
        if pattern.captures().any(|name| name == "identity") {
            patterns.push(pattern);
        } else {
            let text = node.shown(&pointer, text);
            let message = format!("`{text}` has no `{{identity}}`, which names the client");
            problems.push(Problem::new(codes::E0223, node.span_of(&pointer), message));
        }
    }
    patterns
}

fn define_route(
    node: &NodeConfig,
    route: &RouteConfig<'_>,
    exits: &mut Exits,
    problems: &mut Problems,
) -> Option<Route> {
    let pointer = &route.pointer;
    let Some(exit) = route.exit.clone().or_else(|| node.exit()) else {
        let message = "the route has no `exit`, and neither has the binding";
        problems.push(Problem::new(codes::E0224, node.span_of(pointer), message));
        return None;
    };
    let conditions: Vec<Condition> = match route.value.get("when") {
        Some(_) => node.parse(&format!("{pointer}/when"), problems)?,
        None => Vec::new(),
    };
    let with: With = node.parse(&format!("{pointer}/with"), problems)?;
    let template = with.messages.as_deref().map(Template::parse);
    let mut defined = Route {
        is_open: conditions.is_empty(),
        publish: Vec::new(),
        subscribe: Vec::new(),
        messages: template,
        exit: exits.index(exit),
    };
    for (at, condition) in conditions.iter().enumerate() {
        let all = [
            ("publish", &condition.publish, &mut defined.publish),
            ("subscribe", &condition.subscribe, &mut defined.subscribe),
        ];
        for (direction, texts, patterns) in all {
            for (index, text) in texts.iter().enumerate() {
                let place = format!("{pointer}/when/{at}/{direction}/{index}/topic");
                patterns.extend(parse_pattern(node, &place, &text.topic, problems));
            }
        }
    }
    if let (Some(template), Some(text)) = (&defined.messages, &with.messages) {
        let place = format!("{pointer}/with/messages");
        check_template(node, &place, template, text, &defined, problems);
    }
    Some(defined)
}

/// The template gives a legal name, from captures that the route's own patterns have.
fn check_template(
    node: &NodeConfig,
    pointer: &str,
    template: &Template,
    text: &str,
    route: &Route,
    problems: &mut Problems,
) {
    let mut parameters: Vec<&str> = template.parameters().collect();
    parameters.dedup();
    let filled: Captures<'_> = parameters.iter().map(|name| (*name, "x")).collect();
    if template.fill(&filled).is_none() {
        check_kafka_topic(node, pointer, &text.replace("${params.", "{"), problems);
        return;
    }
    let patterns = || route.publish.iter().chain(&route.subscribe);
    for name in &parameters {
        let having = patterns().filter(|p| p.captures().any(|capture| capture == *name)).count();
        let span = node.span_of(pointer);
        if having == 0 {
            let message = format!("no topic of this route has `{{{name}}}`");
            let help = format!("write `{{{name}}}` as a level of a topic in `when`");
            problems.push(Problem::new(codes::E0225, span, message).with_help(help));
        } else if having < patterns().count() {
            let message = format!("some topics of this route have no `{{{name}}}`");
            let help = "they never take the route";
            problems.push(Problem::new(codes::W0222, span, message).with_help(help));
        }
    }
    let fills_all = |pattern: &&Pattern| {
        parameters.iter().all(|name| pattern.captures().any(|capture| capture == *name))
    };
    if !parameters.is_empty() && route.subscribe.iter().any(|pattern| fills_all(&pattern)) {
        let message = "a subscription with a wildcard in place of a parameter skips this route";
        let help = "messages of this route reach only subscriptions that name the level itself";
        problems.push(Problem::new(codes::W0223, node.span_of(pointer), message).with_help(help));
    }
}
