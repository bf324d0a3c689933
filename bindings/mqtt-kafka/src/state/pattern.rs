//! Topic patterns of routes: topic filters whose levels may be captures, `{name}`.

/// A topic pattern: literal levels, `+`, `{name}`, and `#` at the end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pattern {
    levels: Vec<Level>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
enum Level {
    Literal(Box<str>),
    Single,
    Capture(Box<str>),
    Multi,
}

/// What the captures of a pattern took from a topic: name and level.
pub type Captures<'a> = Vec<(&'a str, &'a str)>;

impl Pattern {
    /// Parses a pattern.
    ///
    /// # Errors
    /// What is wrong with it, in words.
    pub fn parse(text: &str) -> Result<Self, String> {
        if text.is_empty() {
            return Err("a topic pattern has at least one character".to_owned());
        }
        let mut levels = Vec::new();
        let mut texts = text.split('/').peekable();
        while let Some(level) = texts.next() {
            levels.push(match level {
                "#" if texts.peek().is_none() => Level::Multi,
                "+" => Level::Single,
                _ if level.contains(['#', '+']) => {
                    return Err(format!(
                        "in `{text}`, `#` stands alone as the last level and `+` alone in its level"
                    ));
                }
                _ => match level.strip_prefix('{').and_then(|rest| rest.strip_suffix('}')) {
                    Some(name) => Level::Capture(name.into()),
                    None => Level::Literal(level.into()),
                },
            });
        }
        Ok(Self { levels })
    }

    /// The names of the captures, in order.
    pub fn captures(&self) -> impl Iterator<Item = &str> {
        self.levels.iter().filter_map(|level| match level {
            Level::Capture(name) => Some(&**name),
            _ => None,
        })
    }

    /// Whether a topic name matches; `captures` takes what the captures cover.
    pub fn matches<'a>(&'a self, topic: &'a str, captures: &mut Captures<'a>) -> bool {
        captures.clear();
        let mut topics = topic.split('/');
        for level in &self.levels {
            match (level, topics.next()) {
                // `a/#` matches `a` too.
                (Level::Multi, _) => return true,
                (Level::Literal(text), Some(level)) if **text == *level => {}
                (Level::Single, Some(_)) => {}
                (Level::Capture(name), Some(level)) if !level.is_empty() => {
                    captures.push((name, level));
                }
                _ => return false,
            }
        }
        topics.next().is_none()
    }

    /// Whether some topic matches both this pattern and a topic filter. `captures` takes what the
    /// filter fixes: a capture that meets a wildcard is missing from it.
    pub fn overlaps<'a>(&'a self, filter: &'a str, captures: &mut Captures<'a>) -> bool {
        captures.clear();
        let mut filters = filter.split('/');
        let mut is_first = true;
        for level in &self.levels {
            let theirs = filters.next();
            // Wildcards of a filter's first level match no `$` topic [MQTT-4.7.2-1].
            let hidden = is_first
                && matches!(theirs, Some("+" | "#"))
                && matches!(level, Level::Literal(text) if text.starts_with('$'));
            is_first = false;
            match (level, theirs) {
                _ if hidden => return false,
                (Level::Multi, _) | (_, Some("#")) => return true,
                (Level::Literal(text), Some(level)) if level == "+" || **text == *level => {}
                (Level::Single, Some(_)) | (Level::Capture(_), Some("+")) => {}
                (Level::Capture(name), Some(level)) if !level.is_empty() => {
                    captures.push((name, level));
                }
                _ => return false,
            }
        }
        matches!(filters.next(), None | Some("#"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matches(pattern: &str, topic: &str) -> Option<Vec<(String, String)>> {
        let pattern = Pattern::parse(pattern).expect("a pattern");
        let mut captures = Vec::new();
        let owned = |(name, value): &(&str, &str)| ((*name).to_owned(), (*value).to_owned());
        pattern.matches(topic, &mut captures).then(|| captures.iter().map(owned).collect())
    }

    fn overlaps(pattern: &str, filter: &str) -> bool {
        Pattern::parse(pattern).expect("a pattern").overlaps(filter, &mut Vec::new())
    }

    #[test]
    fn topics_match_patterns() {
        assert!(matches("sensor/#", "sensor").is_some());
        assert!(matches("sensor/#", "sensor/a/b").is_some());
        assert!(matches("sensor/+", "sensor/a").is_some());
        assert!(matches("sensor/+", "sensor/a/b").is_none());
        assert!(matches("#", "$SYS/x").is_some());
        assert!(matches("/clients/#", "clients/x").is_none());
        assert_eq!(
            matches("place/{id}/x", "place/p1/x"),
            Some(vec![("id".to_owned(), "p1".to_owned())])
        );
        assert!(matches("place/{id}", "place/a/b").is_none(), "a capture is one level");
        assert!(matches("place/{id}", "place/").is_none(), "a capture is not empty");
    }

    #[test]
    fn filters_overlap_patterns_as_the_reference_lists_them() {
        let yes = [
            ("sensor/one", "sensor/+"),
            ("sensor/one", "sensor/#"),
            ("sensor/one", "+/one"),
            ("sensor/one", "+/+"),
            ("sensor/one", "#"),
            ("sensor/#", "sensor/a/b"),
            ("sensor/#", "sensor"),
            ("device/#", "+/one"),
            ("device/#", "device"),
            ("place/+/device/#", "place/1/device/2"),
            ("place/+/device/#", "place/#"),
            ("/clients/#", "/#"),
            ("sensor/{id}", "sensor/+"),
            ("$SYS/#", "$SYS/x"),
            ("#", "a"),
            ("a", "a/#"),
        ];
        for (pattern, filter) in yes {
            assert!(overlaps(pattern, filter), "{pattern} and {filter}");
        }
        let no = [
            ("sensor/one", "sensor"),
            ("sensor/one", "sensor/one/two"),
            ("device/#", "sensor/x"),
            ("device/#", "/device/x"),
            ("place/+/device/#", "place/1"),
            ("place/+/device/#", "+"),
            ("/clients/#", "clients/a"),
            ("sensor/{id}", "sensor/a/b"),
            ("$SYS/#", "#"),
            ("$SYS/#", "+/+"),
        ];
        for (pattern, filter) in no {
            assert!(!overlaps(pattern, filter), "{pattern} and {filter}");
        }
    }

    #[test]
    fn malformed_patterns_are_refused() {
        for text in ["", "a/#/b", "a+", "#a"] {
            assert!(Pattern::parse(text).is_err(), "{text}");
        }
    }
}
