//! What topics match, remembered.

use std::collections::{BTreeSet, HashMap};
use std::ops::Bound;
use std::rc::Rc;

use super::interest::Match;
use super::seek::{Step, first_key, step};

/// Topics that are remembered at most; with more it begins anew.
const TOPICS: usize = 16_384;

/// Matches of all of them at most, of 32 bytes; with more it begins anew.
const MATCHES: usize = 1 << 20;

/// Topics that are looked at for one filter that comes or goes; where more would have to be, all
/// are forgotten.
const LOOKS: usize = 256;

/// What topics match.
#[derive(Debug, Default)]
pub(super) struct Memo {
    known: HashMap<Rc<str>, Rc<[Match]>>,
    /// The topics in order, from the first filter with wildcards on that comes or goes.
    topics: Option<BTreeSet<Rc<str>>>,
    /// How many matches all of them have.
    matches: usize,
}

impl Memo {
    pub(super) fn get(&self, topic: &str) -> Option<&Rc<[Match]>> {
        self.known.get(topic)
    }

    /// Remembers what a topic matches that is not known.
    pub(super) fn insert(&mut self, topic: &str, found: &Rc<[Match]>) {
        if self.known.len() >= TOPICS || self.matches + found.len() > MATCHES {
            self.clear();
        }
        let topic: Rc<str> = topic.into();
        if let Some(topics) = &mut self.topics {
            topics.insert(Rc::clone(&topic));
        }
        self.matches += found.len();
        self.known.insert(topic, Rc::clone(found));
    }

    /// Forgets the topics that `filter` matches.
    pub(super) fn forget(&mut self, filter: &str) {
        if self.known.is_empty() {
            return;
        }
        if !filter.contains(['+', '#']) {
            self.remove(filter);
            return;
        }
        let known = &self.known;
        let topics = self.topics.get_or_insert_with(|| known.keys().map(Rc::clone).collect());
        match matching(topics, filter) {
            Some(found) => found.iter().for_each(|topic| self.remove(topic)),
            None => self.clear(),
        }
    }

    fn remove(&mut self, topic: &str) {
        if let Some(found) = self.known.remove(topic) {
            self.matches -= found.len();
            if let Some(topics) = &mut self.topics {
                topics.remove(topic);
            }
        }
    }

    fn clear(&mut self) {
        self.known.clear();
        self.topics = None;
        self.matches = 0;
    }
}

/// The topics that `filter` matches; `None` where it takes too long to find them.
fn matching(topics: &BTreeSet<Rc<str>>, filter: &str) -> Option<Vec<Rc<str>>> {
    let mut found = Vec::new();
    let mut looks = 0;
    let mut from = Bound::Included(first_key(filter).to_owned());
    'seek: loop {
        let bounds = (from.as_ref().map(String::as_str), Bound::Unbounded);
        for topic in topics.range::<str, _>(bounds) {
            looks += 1;
            if looks > LOOKS {
                return None;
            }
            match step(filter, topic) {
                Step::Match => found.push(Rc::clone(topic)),
                Step::Next => {}
                Step::Seek(to) => {
                    from = Bound::Included(String::from_utf8(to).ok()?);
                    continue 'seek;
                }
                Step::End => return Some(found),
            }
        }
        return Some(found);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mqtt_plane::filter_matches;
    use proptest::prelude::*;

    fn none() -> Rc<[Match]> {
        Rc::from([])
    }

    proptest! {
        #[test]
        fn exactly_the_topics_are_forgotten_that_the_filter_matches(
            filters in proptest::collection::vec("(a|b|\\$s|\\+|)(/(a|b|c|\\+|)){0,3}(/#)?", 1..4),
            topics in proptest::collection::btree_set("(a|b|ab|a!|\\$s|)(/(a|b|c|a!|)){0,4}", 0..60),
        ) {
            let mut memo = Memo::default();
            topics.iter().for_each(|topic| memo.insert(topic, &none()));
            for filter in &filters {
                memo.forget(filter);
            }
            for topic in &topics {
                let is_matched = filters.iter().any(|filter| filter_matches(filter, topic));
                prop_assert_eq!(memo.get(topic).is_none(), is_matched, "{}", topic);
            }
        }
    }

    #[test]
    fn what_is_elsewhere_is_remembered_and_a_long_search_is_given_up() {
        let mut memo = Memo::default();
        let topic = |i: usize| format!("{}/{i}/x", i % 10);
        (0..TOPICS).for_each(|i| memo.insert(&topic(i), &none()));
        memo.forget("3/13/+");
        assert!(memo.get("3/13/x").is_none());
        memo.forget("elsewhere/#");
        memo.forget("+/14/y");
        assert_eq!(memo.known.len(), TOPICS - 1);
        memo.forget("3/+/y");
        assert_eq!(memo.known.len(), 0, "a search among 1,600 topics");
    }

    #[test]
    fn topics_and_matches_have_a_bound() {
        let mut memo = Memo::default();
        (0..=TOPICS).for_each(|i| memo.insert(&i.to_string(), &none()));
        assert_eq!(memo.known.len(), 1);
        let many: Rc<[Match]> = (0..MATCHES / 4).map(Match::of_nothing).collect();
        for (topic, known) in [("a", 2), ("b", 3), ("c", 4), ("d", 5), ("e", 1), ("f", 2)] {
            memo.insert(topic, &many);
            assert_eq!(memo.known.len(), known, "{topic}");
        }
    }

    #[test]
    fn what_is_forgotten_no_longer_counts() {
        let mut memo = Memo::default();
        let found: Rc<[Match]> = Rc::from([Match::of_nothing(1), Match::of_nothing(2)]);
        for topic in ["a", "b/1", "b/2"] {
            memo.insert(topic, &found);
        }
        memo.forget("a");
        assert_eq!(memo.matches, 4);
        memo.forget("b/+");
        assert_eq!(memo.matches, 0);
    }
}
