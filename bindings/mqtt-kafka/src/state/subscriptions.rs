//! The subscriptions in force on one log, and a memo of what each topic matches.

use std::rc::Rc;

use super::Trie;
use super::interest::{Interest, Match};
use super::memo::Memo;

/// The subscriptions on one log.
#[derive(Debug, Default)]
pub struct Subscriptions {
    trie: Trie<Rc<Interest>>,
    memo: Memo,
}

impl Subscriptions {
    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.trie.is_empty()
    }

    /// Adds a subscription, or replaces the owner's to the same filter [MQTT-3.8.4-3]. Returns the
    /// text of the filter as it is held here, to be shared.
    pub fn insert(&mut self, filter: &Rc<str>, owner: usize, interest: Rc<Interest>) -> Rc<str> {
        self.memo.forget(filter);
        self.trie.insert(filter, owner, interest)
    }

    /// Removes the owner's subscription to `filter`.
    pub fn remove(&mut self, filter: &str, owner: usize) {
        self.trie.remove(filter, owner);
        self.memo.forget(filter);
    }

    /// What matches `topic`, by session in ascending order: all of it [MQTT-4.5.0-1], and nothing
    /// else [MQTT-3.3.2-3].
    pub fn matches(&mut self, topic: &str) -> Rc<[Match]> {
        if let Some(known) = self.memo.get(topic) {
            return Rc::clone(known);
        }
        let mut found: Vec<(usize, &Rc<Interest>)> = Vec::new();
        self.trie.matches(topic, &mut |owner, interest| found.push((owner, interest)));
        found.sort_by_key(|(owner, _)| *owner);
        let matches: Rc<[Match]> = found
            .chunk_by(|one, other| one.0 == other.0)
            .map(|same| Match::new(same[0].0, same))
            .collect();
        self.memo.insert(topic, &matches);
        matches
    }
}

#[cfg(test)]
mod tests {
    use mqtt_plane::Qos;

    use super::*;
    use crate::state::interest::{Claim, Grant, Options};

    fn interest(qos: Qos, no_local: bool, id: Option<u32>, starts: &[i64]) -> Rc<Interest> {
        let options = Options { qos, no_local, retain_as_published: false, id };
        Rc::new(Interest::new(options, starts.to_vec()))
    }

    // [MQTT-3.3.4-2] [MQTT-3.3.4-3] [MQTT-3.3.4-4]
    #[test]
    fn overlapping_subscriptions_make_one_copy_with_the_highest_qos_and_all_identifiers() {
        let mut all = Subscriptions::default();
        all.insert(&Rc::from("a/#"), 7, interest(Qos::AtMostOnce, false, Some(3), &[]));
        all.insert(&Rc::from("a/b"), 7, interest(Qos::AtLeastOnce, false, Some(4), &[]));
        all.insert(&Rc::from("+/b"), 2, interest(Qos::AtMostOnce, false, None, &[]));
        let matches = all.matches("a/b");
        assert_eq!(matches.iter().map(|m| m.owner).collect::<Vec<_>>(), [2, 7]);
        let grant = matches[1].resolve(0, 0, false).unwrap();
        let mut ids = grant.ids.unwrap().to_vec();
        ids.sort_unstable();
        assert_eq!((grant.qos, ids), (Qos::AtLeastOnce, vec![3, 4]));
        let other = matches[0].resolve(0, 0, false).unwrap();
        assert_eq!((other.qos, other.ids), (Qos::AtMostOnce, None));
    }

    // [MQTT-3.8.3-3]
    #[test]
    fn no_local_and_the_start_hold_for_each_subscription_by_itself() {
        let mut all = Subscriptions::default();
        all.insert(&Rc::from("a/#"), 1, interest(Qos::AtLeastOnce, true, Some(1), &[10]));
        let resolve = |all: &mut Subscriptions, offset, is_own| {
            all.matches("a/b")[0].resolve(0, offset, is_own)
        };
        assert!(resolve(&mut all, 10, true).is_none());
        assert!(resolve(&mut all, 9, false).is_none());
        all.insert(&Rc::from("a/b"), 1, interest(Qos::AtMostOnce, false, Some(2), &[5]));
        let ids = |found: Option<Grant>| found.and_then(|grant| grant.ids).unwrap().to_vec();
        assert_eq!(ids(resolve(&mut all, 10, true)), [2]);
        assert_eq!(ids(resolve(&mut all, 7, false)), [2]);
        assert_eq!(ids(resolve(&mut all, 10, false)).len(), 2);
        assert!(resolve(&mut all, 4, false).is_none());
        assert!(all.matches("a/b")[0].resolve(1, 0, false).is_some(), "a partition added later");
    }

    #[test]
    fn what_one_subscription_had_is_not_sent_again_for_another() {
        let mut all = Subscriptions::default();
        let old = interest(Qos::AtLeastOnce, false, None, &[0, 0]);
        old.raise(&[10]);
        all.insert(&Rc::from("a"), 1, Rc::clone(&old));
        all.insert(&Rc::from("#"), 1, interest(Qos::AtLeastOnce, false, None, &[5, 5]));
        let mut goes = |topic, partition, offset| {
            all.matches(topic)[0].resolve(partition, offset, false).is_some()
        };
        assert_eq!([goes("a", 0, 9), goes("a", 0, 10), goes("a", 1, 0)], [false, true, true]);
        assert_eq!([goes("b", 0, 4), goes("b", 0, 5), goes("b", 0, 9)], [false, true, true]);
        let new = Interest::in_place_of(&old, old.options);
        assert_eq!(new.claim(0, 9, false), Claim::Delivered);
    }

    #[test]
    fn the_memo_follows_every_change() {
        let mut all = Subscriptions::default();
        assert!(all.matches("a").is_empty());
        all.insert(&Rc::from("a"), 1, interest(Qos::AtMostOnce, false, None, &[]));
        assert_eq!(all.matches("a").len(), 1);
        all.insert(&Rc::from("#"), 2, interest(Qos::AtMostOnce, false, None, &[]));
        assert_eq!(all.matches("a").len(), 2);
        all.remove("a", 1);
        assert_eq!(all.matches("a").len(), 1);
        all.remove("#", 2);
        assert!(all.matches("a").is_empty() && all.is_empty());
        all.insert(&Rc::from("a/+"), 1, interest(Qos::AtMostOnce, false, None, &[]));
        assert_eq!((all.matches("a/b").len(), all.matches("a").len()), (1, 0));
        all.insert(&Rc::from("a/#"), 2, interest(Qos::AtMostOnce, false, None, &[]));
        assert_eq!((all.matches("a/b").len(), all.matches("a").len()), (2, 1));
        all.remove("a/+", 1);
        assert_eq!((all.matches("a/b").len(), all.matches("a").len()), (1, 1));
    }

    /// What it takes to find what a topic matches among a million subscriptions of a thousand
    /// sessions, anew and remembered, by `cargo test --release -p mqtt-kafka --lib -- --ignored
    /// --nocapture what_a_match_costs`.
    #[test]
    #[ignore = "a measurement"]
    fn what_a_match_costs() {
        const COUNT: usize = 1_000_000;
        // More than are remembered, and fewer.
        const TOPICS: [(&str, usize); 2] = [("anew", 100_000), ("remembered", 1000)];
        let same = interest(Qos::AtMostOnce, false, None, &[0]);
        for shape in ["site/{}/sensor", "site/{}/+"] {
            let mut all = Subscriptions::default();
            for number in 0..COUNT {
                let filter = Rc::from(shape.replace("{}", &number.to_string()));
                all.insert(&filter, number % 1000, Rc::clone(&same));
            }
            for (name, count) in TOPICS {
                let topic = |number: usize| format!("site/{}/sensor", number * 7919 % COUNT);
                let topics: Vec<String> = (0..count).map(topic).collect();
                let mut look =
                    || topics.iter().map(|topic| all.matches(topic).len()).sum::<usize>();
                // The first time fills what is remembered.
                assert_eq!(look(), count);
                #[expect(clippy::disallowed_methods, reason = "what takes time is measured")]
                let begun = std::time::Instant::now();
                assert_eq!((0..4).map(|_| look()).sum::<usize>(), 4 * count);
                let nanos = begun.elapsed().as_nanos() / (4 * count as u128);
                eprintln!("{shape:16} {name:10} {nanos:5} ns a match");
            }
        }
    }
}
