//! The patterns of route conditions: topics with wildcards and captures, client ids with `*`.

/// A topic pattern of a route: literal levels, `+` or `{name}` for any level, `#` at the end for
/// any number of levels.
///
/// Unlike a topic filter it also matches topics that begin with `$`: it says what is permitted,
/// not what is wanted.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TopicPattern(Box<[Level]>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    Literal(Box<str>),
    /// `+`: any level, also an empty one.
    Any,
    /// `{name}` without a constraint: any level that is not empty.
    Filled,
    /// `#`: this level and all behind it, and the one before it alone.
    Rest,
}

impl TopicPattern {
    /// Parses a pattern; `param` gives the value that a capture is bound to, if it is.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse<'v>(
        text: &str,
        mut param: impl FnMut(&str) -> Option<&'v str>,
    ) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a topic pattern has at least one character".to_owned());
        }
        let mut levels = Vec::new();
        let mut texts = text.split('/').peekable();
        while let Some(level) = texts.next() {
            let capture = level.strip_prefix('{').and_then(|rest| rest.strip_suffix('}'));
            levels.push(match (level, capture) {
                ("#", _) if texts.peek().is_none() => Level::Rest,
                ("+", _) => Level::Any,
                _ if level.contains(['#', '+']) => {
                    return Err(format!(
                        "in `{text}`, `#` stands alone as the last level and `+` alone in its level"
                    ));
                }
                (_, Some(name)) if !name.is_empty() && !name.contains(['{', '}']) => {
                    param(name).map_or(Level::Filled, |value| Level::Literal(value.into()))
                }
                _ if level.contains(['{', '}']) => {
                    return Err(format!("in `{text}`, a capture `{{name}}` is a whole level"));
                }
                _ => Level::Literal(level.into()),
            });
        }
        Ok(Self(levels.into()))
    }

    /// Whether a topic name is permitted.
    #[must_use]
    pub fn matches(&self, topic: &str) -> bool {
        let mut topics = topic.split('/');
        for level in &self.0 {
            match (level, topics.next()) {
                (Level::Rest, _) | (Level::Any, Some(_)) => {}
                (Level::Literal(text), Some(level)) if **text == *level => {}
                (Level::Filled, Some(level)) if !level.is_empty() => {}
                _ => return false,
            }
            if *level == Level::Rest {
                return true;
            }
        }
        topics.next().is_none()
    }

    /// Whether every topic that a filter can match is permitted. Nothing is filtered when messages
    /// are delivered, so what is granted here is granted whole.
    #[must_use]
    pub fn covers(&self, filter: &str) -> bool {
        let mut filters = filter.split('/');
        for level in &self.0 {
            match (level, filters.next()) {
                (Level::Rest, _) => return true,
                (_, Some("#")) => return false,
                (Level::Any | Level::Filled, Some("+")) | (Level::Any, Some(_)) => {}
                (Level::Literal(text), Some(level)) if level != "+" && **text == *level => {}
                (Level::Filled, Some(level)) if !level.is_empty() => {}
                _ => return false,
            }
        }
        filters.next().is_none()
    }
}

/// A client id pattern of a route: `*` stands for any characters. Where it does not end with `*`,
/// a client id may go on behind it with `?` and anything.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientPattern {
    /// What stands between the `*`, at least one piece.
    pieces: Box<[Box<str>]>,
}

impl ClientPattern {
    /// The pattern of a text; every text is one.
    #[must_use]
    pub fn new(text: &str) -> Self {
        Self { pieces: text.split('*').map(Into::into).collect() }
    }

    /// Whether a client id is admitted.
    #[must_use]
    pub fn matches(&self, client_id: &str) -> bool {
        let before = client_id.match_indices('?').map(|(at, _)| client_id.get(..at));
        self.matches_whole(client_id) || before.flatten().any(|id| self.matches_whole(id))
    }

    fn matches_whole(&self, client_id: &str) -> bool {
        let Some((first, others)) = self.pieces.split_first() else { return false };
        let Some(mut rest) = client_id.strip_prefix(&**first) else { return false };
        let Some((last, middle)) = others.split_last() else { return rest.is_empty() };
        for piece in middle {
            // The leftmost place leaves the most for what follows.
            match rest.split_once(&**piece) {
                Some((_, behind)) => rest = behind,
                None => return false,
            }
        }
        rest.ends_with(&**last)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pattern(text: &str) -> TopicPattern {
        TopicPattern::parse(text, |_| None).unwrap()
    }

    #[test]
    fn topics_are_matched_level_by_level() {
        for (text, topic, expected) in [
            ("sensor/+", "sensor/one", true),
            ("sensor/+", "sensor/", true),
            ("sensor/{id}", "sensor/", false),
            ("sensor/{id}", "sensor/one", true),
            ("sensor/+", "sensor/one/two", false),
            ("sensor/#", "sensor/one/two", true),
            ("sensor/#", "sensor", true),
            ("sensor", "sensor/one", false),
            ("#", "$SYS/x", true),
            ("/+", "/a", true),
            ("+", "/a", false),
        ] {
            assert_eq!(pattern(text).matches(topic), expected, "{text} against {topic}");
        }
    }

    #[test]
    fn a_filter_is_covered_only_if_all_that_it_matches_is() {
        for (text, filter, expected) in [
            ("sensor/#", "sensor/#", true),
            ("sensor/#", "sensor/+", true),
            ("sensor/#", "sensor", true),
            ("sensor/+", "sensor/#", false),
            ("sensor/+", "sensor/+", true),
            ("sensor/+", "sensor/one", true),
            ("sensor/one", "sensor/+", false),
            ("sensor/one", "+/one", false),
            ("sensor/{id}", "sensor/+", true),
            ("sensor/#", "#", false),
            ("#", "#", true),
            ("a/b", "a", false),
            ("a", "a/b", false),
        ] {
            assert_eq!(pattern(text).covers(filter), expected, "{text} covers {filter}");
        }
    }

    #[test]
    fn a_bound_capture_matches_its_value_only() {
        let bound = TopicPattern::parse("dev/{id}/x", |name| (name == "id").then_some("7"));
        let bound = bound.unwrap();
        assert!(bound.matches("dev/7/x") && !bound.matches("dev/8/x"));
        assert!(!bound.covers("dev/+/x"));
    }

    #[test]
    fn patterns_that_mean_nothing_are_refused() {
        for text in ["", "a/#/b", "a#", "+a", "a{b}c", "{}", "{a", "a/{b}{c}"] {
            assert!(TopicPattern::parse(text, |_| None).is_err(), "{text:?}");
        }
    }

    #[test]
    fn client_ids_are_matched_with_stars_and_a_question_mark_suffix() {
        for (text, client_id, expected) in [
            ("*", "", true),
            ("*", "any", true),
            ("dev-*", "dev-1", true),
            ("dev-*", "xdev-1", false),
            ("dev-1", "dev-1", true),
            ("dev-1", "dev-12", false),
            ("dev-1", "dev-1?x=y", true),
            ("dev-1", "dev-1?", true),
            ("*-end", "a-end-end", true),
            ("a*b*c", "aXbYc", true),
            ("a*b*c", "abc", true),
            ("a*a", "a", false),
            ("d.v", "dxv", false),
        ] {
            assert_eq!(ClientPattern::new(text).matches(client_id), expected, "{text} {client_id}");
        }
    }
}
