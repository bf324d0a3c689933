//! Routes that are written so that nothing can take them, or anybody.

use std::collections::BTreeMap;

use engine::config::{NodeConfig, Problem, Problems, Span, codes};

use crate::config::{ConditionOptions, SessionOptions, TopicOptions};
use crate::state::TopicPattern;

/// The patterns of the routes so far that are open to every client, with their places, by
/// direction: `publish`, `subscribe`.
pub(super) struct Earlier {
    patterns: BTreeMap<&'static str, Vec<(TopicPattern, Span)>>,
    /// How many more pairs are compared.
    rest: usize,
}

/// So many pairs of patterns are compared, some 50 ms: those of the first thousands of routes.
const PAIRS: usize = 4_000_000;

impl Default for Earlier {
    fn default() -> Self {
        Self { patterns: BTreeMap::new(), rest: PAIRS }
    }
}

impl Earlier {
    /// Says which topics of a route an earlier route takes whole, then counts the route among the
    /// earlier ones.
    pub(super) fn check_route(
        &mut self,
        node: &NodeConfig,
        pointer: &str,
        when: &[ConditionOptions],
        problems: &mut Problems,
    ) {
        let mut own = Vec::new();
        for (index, condition) in when.iter().enumerate() {
            let all = [("publish", &condition.publish), ("subscribe", &condition.subscribe)];
            for (direction, topics) in all {
                for (at, item) in topics.iter().flatten().enumerate() {
                    let span = node.span_of(&format!("{pointer}/{index}/{direction}/{at}/topic"));
                    self.check_topic(direction, item, &span, problems);
                    let param = |name: &str| item.params.get(name).map(String::as_str);
                    if let Ok(pattern) = TopicPattern::parse(&item.topic, param) {
                        own.push((direction, pattern, span));
                    }
                }
            }
        }
        for (direction, pattern, span) in own {
            self.patterns.entry(direction).or_default().push((pattern, span));
        }
    }

    fn check_topic(
        &mut self,
        direction: &str,
        item: &TopicOptions,
        span: &Span,
        problems: &mut Problems,
    ) {
        let earlier = self.patterns.get(direction).map_or(&[][..], Vec::as_slice);
        let Some(rest) = self.rest.checked_sub(earlier.len()) else { return };
        self.rest = rest;
        let filter = as_filter(item);
        let mut earlier = earlier.iter();
        if let Some((_, first)) = earlier.find(|(pattern, _)| pattern.covers(&filter)) {
            let message = "an earlier route takes all of this: this one is never asked for it";
            problems.push(
                Problem::new(codes::W0303, span.clone(), message)
                    .with_help("put the narrower route first")
                    .with_related(first.clone(), "taken here"),
            );
        }
    }
}

/// The topics that an item means, as a filter: a level without a value may be any.
fn as_filter(item: &TopicOptions) -> String {
    let level = |level: &str| {
        let name = level.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
        let value = name.map(|name| item.params.get(name).map_or("+", String::as_str));
        value.unwrap_or(level).to_owned()
    };
    item.topic.split('/').map(level).collect::<Vec<_>>().join("/")
}

/// A condition without `session` admits every client, also beside one that names some.
pub(super) fn check_sessions(
    node: &NodeConfig,
    pointer: &str,
    when: &[ConditionOptions],
    problems: &mut Problems,
) {
    let is_any = |session: &SessionOptions| session.client_id.as_deref().is_none_or(|id| id == "*");
    let mut sessions = when.iter().filter_map(|condition| condition.session.as_ref());
    let narrow = sessions.find(|all| !all.is_empty() && !all.iter().any(is_any)).is_some();
    let open = when.iter().position(|condition| condition.session.is_none());
    if let Some(open) = open.filter(|_| narrow) {
        let span = node.span_of(&format!("{pointer}/{open}"));
        let message = "this condition has no `session`, so that the route admits every client";
        problems.push(
            Problem::new(codes::W0304, span, message)
                .with_help("join it with the condition that names the clients"),
        );
    }
}
