//! What subscriptions ask of a message, and what those of one session say together.

use std::cell::RefCell;
use std::rc::Rc;

use mqtt_plane::{Qos, SubscriptionIds};

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
pub(super) enum Claim {
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

    pub(super) fn claim(&self, partition: u32, offset: i64, is_own: bool) -> Claim {
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
    pub(super) fn new(owner: usize, interests: &[(usize, &Rc<Interest>)]) -> Self {
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_delivered_stays_so_whatever_is_read_again() {
        let options = Options {
            qos: Qos::AtLeastOnce,
            no_local: false,
            retain_as_published: false,
            id: None,
        };
        let interest = Interest::new(options, [0, 0]);
        for floors in [&[5][..], &[3, 9], &[4]] {
            interest.raise(floors);
        }
        assert_eq!(interest.places(), (vec![0, 0], vec![5, 9]));
        let claims = [4, 5].map(|offset| interest.claim(0, offset, false));
        assert_eq!(claims, [Claim::Delivered, Claim::Wanted]);
    }
}
