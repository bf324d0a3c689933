//! Topic names and topic filters (MQTT 5.0 section 4.7).

/// Why a topic name is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TopicError {
    /// No character at all [MQTT-4.7.3-1].
    Empty,
    /// U+0000 in it [MQTT-4.7.3-2].
    Null,
    /// `+` or `#` in a topic name [MQTT-3.3.2-2], [MQTT-4.7.0-1].
    Wildcard,
}

/// Why a topic filter is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum FilterError {
    /// No character at all [MQTT-4.7.3-1].
    Empty,
    /// U+0000 in it [MQTT-4.7.3-2].
    Null,
    /// `#` that is not the last level, or not alone in its level [MQTT-4.7.1-1].
    MultiLevel,
    /// `+` that is not alone in its level [MQTT-4.7.1-2].
    SingleLevel,
}

/// Checks a topic name. Its length (65,535 bytes at most, [MQTT-4.7.3-3]) is the codec's matter.
///
/// # Errors
/// The rule that the name breaks.
pub fn check_topic(topic: &str) -> Result<(), TopicError> {
    if topic.is_empty() {
        return Err(TopicError::Empty);
    }
    // Without an early exit, so that it is vectorised: it runs for each message.
    let is_valid = |valid, byte| valid & !matches!(byte, 0 | b'+' | b'#');
    if topic.bytes().fold(true, is_valid) {
        return Ok(());
    }
    Err(if topic.contains('\0') { TopicError::Null } else { TopicError::Wildcard })
}

/// Checks a topic filter's syntax. `$share/…` is not interpreted here: [`share`] does that.
///
/// # Errors
/// The rule that the filter breaks.
pub fn check_filter(filter: &str) -> Result<(), FilterError> {
    if filter.is_empty() {
        return Err(FilterError::Empty);
    }
    let mut levels = filter.split('/').peekable();
    while let Some(level) = levels.next() {
        if level.contains('\0') {
            return Err(FilterError::Null);
        }
        if level.contains('#') && (level != "#" || levels.peek().is_some()) {
            return Err(FilterError::MultiLevel);
        }
        if level.contains('+') && level != "+" {
            return Err(FilterError::SingleLevel);
        }
    }
    Ok(())
}

/// What the filters of shared subscriptions begin with.
const SHARE: &str = "$share/";

/// Whether a filter asks for a shared subscription, valid or not (section 4.8.2). 3.1.1 does not
/// know them; what it says of topics that begin with `$` leaves them to the server.
#[must_use]
pub fn is_share(filter: &str) -> bool {
    filter.starts_with(SHARE)
}

/// The ShareName and the topic filter of a shared subscription, `$share/name/filter`
/// [MQTT-4.8.2-1], [MQTT-4.8.2-2]. `None`: not a shared subscription, or not a valid one.
#[must_use]
pub fn share(filter: &str) -> Option<(&str, &str)> {
    let (name, filter) = filter.strip_prefix(SHARE)?.split_once('/')?;
    let valid = !name.is_empty() && !name.contains(['+', '#']) && !filter.is_empty();
    valid.then_some((name, filter))
}

/// The topic filter that a subscription is about: that of a shared one without its ShareName.
#[must_use]
pub fn plain(filter: &str) -> &str {
    share(filter).map_or(filter, |(_, plain)| plain)
}

/// The levels of a topic name or filter; empty levels are levels.
pub fn levels(topic: &str) -> std::str::Split<'_, char> {
    topic.split('/')
}

/// Whether a topic filter matches a topic name: `#` matches its parent level too
/// (section 4.7.1.2), and a wildcard in the first level matches no `$` topic [MQTT-4.7.2-1]. Levels
/// are compared byte by byte, without normalisation [MQTT-4.7.3-4].
#[must_use]
pub fn filter_matches(filter: &str, topic: &str) -> bool {
    let mut filters = filter.split('/');
    let mut topics = topic.split('/');
    let mut first = true;
    loop {
        match (filters.next(), topics.next()) {
            (Some("#"), level) => return !(first && level.is_some_and(|l| l.starts_with('$'))),
            (Some("+"), Some(level)) => {
                if first && level.starts_with('$') {
                    return false;
                }
            }
            (Some(filter), Some(level)) if filter == level => {}
            (None, None) => return true,
            _ => return false,
        }
        first = false;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn filters_match_as_section_4_7_says() {
        for (filter, topic, expected) in [
            ("sport/tennis/player1/#", "sport/tennis/player1", true),
            ("sport/tennis/player1/#", "sport/tennis/player1/score/wimbledon", true),
            ("sport/#", "sport", true),
            ("#", "a/b", true),
            ("+", "finance", true),
            ("+/+", "/finance", true),
            ("/+", "/finance", true),
            ("+", "/finance", false),
            ("sport/+", "sport", false),
            ("sport/+", "sport/", true),
            ("sport/tennis/+", "sport/tennis/player1/ranking", false),
            ("#", "$SYS/x", false),
            ("+/monitor/Clients", "$SYS/monitor/Clients", false),
            ("$SYS/#", "$SYS/x", true),
            ("a/b", "a/b/", false),
            ("a//b", "a//b", true),
        ] {
            assert_eq!(filter_matches(filter, topic), expected, "{filter} against {topic}");
        }
    }

    // [MQTT-4.8.2-1], [MQTT-4.8.2-2]
    #[test]
    fn a_shared_subscription_has_a_name_and_a_filter() {
        for (filter, expected) in [
            ("$share/g/f", Some(("g", "f"))),
            ("$share/g//f", Some(("g", "/f"))),
            ("$share/g/#", Some(("g", "#"))),
            ("$share/g/$share/h/f", Some(("g", "$share/h/f"))),
            ("$share/g/", None),
            ("$share/g", None),
            ("$share//f", None),
            ("$share/a+/f", None),
            ("$share/#/f", None),
            ("share/g/f", None),
            ("$SHARE/g/f", None),
        ] {
            assert_eq!(share(filter), expected, "{filter}");
            assert_eq!(plain(filter), expected.map_or(filter, |(_, plain)| plain), "{filter}");
        }
    }

    #[test]
    fn malformed_filters_and_topics_are_refused() {
        for filter in ["", "a#", "#/a", "a/#/b", "a+", "+a/b", "a/b+", "a\0b"] {
            assert!(check_filter(filter).is_err(), "{filter:?}");
        }
        for filter in ["#", "+", "/", "a/+/b/#", "+/+", "$share/g/a/#", "//"] {
            assert_eq!(check_filter(filter), Ok(()), "{filter:?}");
        }
        for topic in ["", "a/+", "#", "a\0"] {
            assert!(check_topic(topic).is_err(), "{topic:?}");
        }
    }
}
