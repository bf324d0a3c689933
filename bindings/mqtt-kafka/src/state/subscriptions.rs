//! The subscriptions in force on one log, and a memo of what each topic matches.

use std::cell::RefCell;
use std::rc::Rc;

use mqtt_plane::{Qos, SubscriptionIds};

use super::Trie;
use super::memo::Memo;

/// What a subscription asks of its deliveries.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Options {
    /// The QoS that was granted.
    pub qos: Qos,
    /// Whether the session's own messages are left out.
    pub no_local: bool,
    /// Whether live messages keep the RETAIN flag that they were published with; else it is 0
    /// [MQTT-3.3.1-12].
    pub retain_as_published: bool,
    /// The Subscription Identifier.
    pub id: Option<u32>,
}

/// What all subscriptions of a session that want a message say together.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grant {
    /// The highest QoS.
    pub qos: Qos,
    /// Whether one of them keeps the RETAIN flag.
    pub retain_as_published: bool,
    /// All Subscription Identifiers.
    pub ids: SubscriptionIds,
}

/// One subscription of one session, as it is in force on one log.
#[derive(Debug)]
pub struct Interest {
    /// What it asks of its deliveries.
    pub options: Options,
    places: RefCell<Places>,
}

/// Offsets by partition.
#[derive(Clone, Debug)]
struct Places {
    /// What lies before is not wanted. Subscriptions that begin together share it.
    starts: Rc<[i64]>,
    /// Before these, what is wanted was delivered; behind them nothing yet. Few have any.
    #[expect(clippy::box_collection, reason = "it takes one word where there are none")]
    floors: Option<Box<Vec<i64>>>,
}

/// What a subscription says of a record.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Claim {
    /// It wants it.
    Wanted,
    /// It does not.
    NotWanted,
    /// It had it.
    Delivered,
}

impl Interest {
    /// An interest in what lies at or after `starts`, by partition; in a partition beyond them,
    /// one that was added later, in everything.
    #[must_use]
    pub fn new(options: Options, starts: impl Into<Rc<[i64]>>) -> Self {
        let places = Places { starts: starts.into(), floors: None };
        Self { options, places: RefCell::new(places) }
    }

    /// An interest in the place of `old`, which goes on where that is.
    #[must_use]
    pub fn in_place_of(old: &Self, options: Options) -> Self {
        Self { options, places: old.places.clone() }
    }

    /// An interest that was in force before, as [`Interest::places`] told it.
    #[must_use]
    pub fn at(options: Options, starts: Vec<i64>, floors: Vec<i64>) -> Self {
        let floors = (!floors.is_empty()).then(|| Box::new(floors));
        Self { options, places: RefCell::new(Places { starts: starts.into(), floors }) }
    }

    /// Where it starts, and before which offsets what it wants was delivered, by partition.
    #[must_use]
    pub fn places(&self) -> (Vec<i64>, Vec<i64>) {
        let places = self.places.borrow();
        (places.starts.to_vec(), places.floors.as_deref().cloned().unwrap_or_default())
    }

    fn claim(&self, partition: u32, offset: i64, is_own: bool) -> Claim {
        let places = self.places.borrow();
        let is_before =
            |limits: &[i64]| limits.get(partition as usize).is_some_and(|limit| offset < *limit);
        if (is_own && self.options.no_local) || is_before(&places.starts) {
            Claim::NotWanted
        } else if places.floors.as_ref().is_some_and(|floors| is_before(floors)) {
            Claim::Delivered
        } else {
            Claim::Wanted
        }
    }

    /// Notes that what it wants before `floors` was delivered: the session is about to read from
    /// further back, for another subscription.
    pub fn raise(&self, floors: &[i64]) {
        let mut places = self.places.borrow_mut();
        let known = places.floors.get_or_insert_default();
        let len = known.len().max(floors.len());
        known.resize(len, i64::MIN);
        for (known, floor) in known.iter_mut().zip(floors) {
            *known = (*known).max(*floor);
        }
    }

    /// Wants everything: offsets have lost their meaning.
    pub fn reset(&self) {
        *self.places.borrow_mut() = Places { starts: Rc::from([]), floors: None };
    }
}

/// All subscriptions of one session that match a topic: one copy goes to the session, with the
/// highest QoS [MQTT-3.3.4-2] and all identifiers [MQTT-3.3.4-3], [MQTT-3.3.4-4].
#[derive(Debug)]
pub struct Match {
    /// The session.
    pub owner: usize,
    /// Whether one of the subscriptions leaves out the session's own messages.
    pub no_local: bool,
    wishes: Wishes,
}

/// The subscriptions of a match.
#[derive(Debug)]
enum Wishes {
    /// One without an identifier, as most are.
    One(Rc<Interest>),
    Several(Box<Several>),
}

#[derive(Debug)]
struct Several {
    /// What they say where all of them want a message; `None` where there are none.
    together: Option<Grant>,
    interests: Box<[Rc<Interest>]>,
}

impl Match {
    fn new(owner: usize, interests: &[(usize, &Rc<Interest>)]) -> Self {
        let list = || interests.iter().map(|(_, interest)| *interest);
        let no_local = list().any(|interest| interest.options.no_local);
        let wishes = match interests {
            [(_, only)] if only.options.id.is_none() => Wishes::One(Rc::clone(only)),
            _ => Wishes::Several(Box::new(Several {
                together: merge(list()),
                interests: list().map(Rc::clone).collect(),
            })),
        };
        Self { owner, no_local, wishes }
    }

    /// What is granted for a record at this place, `is_own` where the session published it itself
    /// [MQTT-3.8.3-3]; `None` where no subscription wants it, or one had it.
    #[must_use]
    pub fn resolve(&self, partition: u32, offset: i64, is_own: bool) -> Option<Grant> {
        match &self.wishes {
            Wishes::One(interest) => {
                let is_wanted = interest.claim(partition, offset, is_own) == Claim::Wanted;
                let Options { qos, retain_as_published, .. } = interest.options;
                is_wanted.then_some(Grant { qos, retain_as_published, ids: None })
            }
            Wishes::Several(several) => several.resolve(partition, offset, is_own),
        }
    }

    #[cfg(test)]
    pub(super) fn of_nothing(owner: usize) -> Self {
        Self::new(owner, &[])
    }
}

impl Several {
    fn resolve(&self, partition: u32, offset: i64, is_own: bool) -> Option<Grant> {
        let mut is_wanted_by_all = true;
        for interest in &self.interests {
            match interest.claim(partition, offset, is_own) {
                Claim::Wanted => {}
                Claim::NotWanted => is_wanted_by_all = false,
                Claim::Delivered => return None,
            }
        }
        if is_wanted_by_all {
            return self.together.clone();
        }
        let wants = |i: &&Rc<Interest>| i.claim(partition, offset, is_own) == Claim::Wanted;
        merge(self.interests.iter().filter(wants))
    }
}

fn merge<'a>(interests: impl Iterator<Item = &'a Rc<Interest>>) -> Option<Grant> {
    let mut highest = None;
    let mut retain_as_published = false;
    let mut ids: Vec<u32> = Vec::new();
    for interest in interests {
        let options = &interest.options;
        highest = highest.max(Some(options.qos));
        retain_as_published |= options.retain_as_published;
        ids.extend(options.id.filter(|id| !ids.contains(id)));
    }
    let ids = (!ids.is_empty()).then(|| ids.into());
    Some(Grant { qos: highest?, retain_as_published, ids })
}

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
    use super::*;

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
}
