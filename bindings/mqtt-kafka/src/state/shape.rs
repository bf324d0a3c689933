//! The shape of a filter: which of its levels are wildcards.

/// Levels of a filter whose shape is told; one with more has none.
const LEVELS: usize = 64;

/// Which levels of a filter are wildcards. A topic and a shape make the one filter of that shape
/// which matches the topic, so that finding it takes one look into a map, however many filters
/// there are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Shape {
    /// A bit for each level that is `+`, the first level's lowest.
    singles: u64,
    /// How many levels there are before `#`, or in all.
    levels: usize,
    /// Whether `#` follows them.
    is_open: bool,
}

impl Shape {
    /// The shape of a filter; `None` where it has too many levels, or no wildcard.
    pub(super) fn of(filter: &str) -> Option<Self> {
        let mut shape = Self { singles: 0, levels: 0, is_open: false };
        for level in filter.split('/') {
            if level == "#" {
                shape.is_open = true;
                break;
            }
            if shape.levels == LEVELS {
                return None;
            }
            shape.singles |= u64::from(level == "+") << shape.levels;
            shape.levels += 1;
        }
        (shape.singles != 0 || shape.is_open).then_some(shape)
    }

    /// Writes the filter of this shape that matches `topic` to `filter`; returns whether there is
    /// one. `#` matches its parent level; wildcards in the first level match no `$` topic
    /// [MQTT-4.7.2-1].
    pub(super) fn fill(self, topic: &str, filter: &mut String) -> bool {
        let starts_wild = self.singles & 1 != 0 || self.levels == 0;
        if starts_wild && topic.starts_with('$') {
            return false;
        }
        filter.clear();
        let mut rest = Some(topic);
        for at in 0..self.levels {
            let Some(left) = rest else { return false };
            let (level, after) = match left.split_once('/') {
                Some((level, after)) => (level, Some(after)),
                None => (left, None),
            };
            if at > 0 {
                filter.push('/');
            }
            filter.push_str(if self.singles >> at & 1 == 0 { level } else { "+" });
            rest = after;
        }
        if self.is_open {
            filter.push_str(if self.levels == 0 { "#" } else { "/#" });
        }
        self.is_open || rest.is_none()
    }
}
