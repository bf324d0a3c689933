//! Subscriptions by topic filter: which sessions a topic concerns.

use std::collections::hash_map::Entry;
use std::collections::{BTreeMap, HashMap};
use std::rc::Rc;

use super::shape::Shape;
use super::tree::Tree;

/// Shapes of filters that are looked for by themselves. What has another one is in the tree, so
/// that a client with filters of every shape does not make each match longer.
const SHAPES: usize = 16;

/// Subscriptions by topic filter. Filters are in one map, with wildcards or without: a topic is
/// looked up as it is, and once for each shape that filters have. Filters of further shapes are in
/// a tree of levels.
#[derive(Debug)]
pub struct Trie<T> {
    filters: HashMap<Rc<str>, Owners<T>>,
    /// The shapes of the filters with wildcards in the map, and how many filters have each.
    shapes: Vec<(Shape, usize)>,
    tree: Tree<T>,
    len: usize,
}

/// Whose subscriptions to a filter there are.
#[derive(Debug)]
enum Owners<T> {
    /// Most filters are one session's alone.
    One(usize, T),
    #[expect(clippy::box_collection, reason = "it is no larger than the other")]
    Many(Box<BTreeMap<usize, T>>),
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self { filters: HashMap::new(), shapes: Vec::new(), tree: Tree::default(), len: 0 }
    }
}

impl<T> Trie<T> {
    /// How many subscriptions there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len == 0
    }

    /// Adds a subscription, or replaces the owner's to the same filter. Returns the text of the
    /// filter as it is held here, to be shared.
    pub fn insert(&mut self, filter: &Rc<str>, owner: usize, value: T) -> Rc<str> {
        let place = match self.filters.entry(Rc::clone(filter)) {
            Entry::Occupied(mut known) => {
                let old = known.get_mut().insert(owner, value);
                self.len += usize::from(old.is_none());
                return Rc::clone(known.key());
            }
            Entry::Vacant(place) => place,
        };
        let old = if is_for_tree(&mut self.shapes, &self.tree, filter) {
            self.tree.insert(filter, owner, value)
        } else {
            place.insert(Owners::One(owner, value));
            None
        };
        self.len += usize::from(old.is_none());
        Rc::clone(filter)
    }

    /// Removes the owner's subscription to `filter`.
    pub fn remove(&mut self, filter: &str, owner: usize) -> Option<T> {
        let removed = match self.filters.get_mut(filter) {
            Some(Owners::Many(owners)) => {
                let removed = owners.remove(&owner);
                if owners.is_empty() {
                    self.forget(filter);
                }
                removed
            }
            Some(Owners::One(other, _)) if *other == owner => match self.forget(filter) {
                Some(Owners::One(_, value)) => Some(value),
                _ => None,
            },
            Some(Owners::One(..)) => None,
            None if is_wild(filter) => self.tree.remove(filter, owner),
            None => None,
        };
        self.len -= usize::from(removed.is_some());
        removed
    }

    /// Takes a filter out of the map.
    fn forget(&mut self, filter: &str) -> Option<Owners<T>> {
        if is_wild(filter)
            && let Some(shape) = Shape::of(filter)
            && let Some(at) = self.shapes.iter().position(|(known, _)| *known == shape)
        {
            self.shapes[at].1 -= 1;
            if self.shapes[at].1 == 0 {
                self.shapes.swap_remove(at);
            }
        }
        self.filters.remove(filter)
    }

    /// Calls `visit` with the owner and the value of each subscription that matches `topic`.
    pub fn matches<'t>(&'t self, topic: &str, visit: &mut dyn FnMut(usize, &'t T)) {
        if let Some(owners) = self.filters.get(topic) {
            owners.visit(visit);
        }
        let mut filter = String::new();
        for (shape, _) in &self.shapes {
            if shape.fill(topic, &mut filter)
                && let Some(owners) = self.filters.get(filter.as_str())
            {
                owners.visit(visit);
            }
        }
        self.tree.matches(topic, visit);
    }
}

/// Whether a filter that is not in the map is one for the tree; if not, its shape is counted.
fn is_for_tree<T>(shapes: &mut Vec<(Shape, usize)>, tree: &Tree<T>, filter: &str) -> bool {
    if !is_wild(filter) {
        return false;
    }
    let Some(shape) = Shape::of(filter) else { return true };
    // It stays where others subscribed to it.
    if !tree.is_empty() && tree.contains(filter) {
        return true;
    }
    match shapes.iter().position(|(known, _)| *known == shape) {
        Some(at) => shapes[at].1 += 1,
        None if shapes.len() < SHAPES => shapes.push((shape, 1)),
        None => return true,
    }
    false
}

fn is_wild(filter: &str) -> bool {
    filter.contains(['+', '#'])
}

impl<T> Owners<T> {
    /// Adds a subscription, or replaces the owner's, which is returned.
    fn insert(&mut self, owner: usize, value: T) -> Option<T> {
        match self {
            Self::One(known, old) if *known == owner => Some(std::mem::replace(old, value)),
            Self::One(..) => {
                let old = std::mem::replace(self, Self::Many(Box::default()));
                if let (Self::Many(all), Self::One(other, old)) = (self, old) {
                    all.insert(other, old);
                    all.insert(owner, value);
                }
                None
            }
            Self::Many(all) => all.insert(owner, value),
        }
    }

    fn visit<'t>(&'t self, visit: &mut dyn FnMut(usize, &'t T)) {
        match self {
            Self::One(owner, value) => visit(*owner, value),
            Self::Many(all) => all.iter().for_each(|(owner, value)| visit(*owner, value)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use mqtt_plane::filter_matches;
    use proptest::prelude::*;

    fn found<T>(trie: &Trie<T>, topic: &str) -> Vec<usize> {
        let mut found = Vec::new();
        trie.matches(topic, &mut |owner, _| found.push(owner));
        found.sort_unstable();
        found
    }

    #[test]
    fn the_trie_agrees_with_filter_matches_and_empties() {
        let filters = [
            "#",
            "+",
            "+/+",
            "a",
            "a/b",
            "a/#",
            "a/+",
            "+/b",
            "a/+/c",
            "/",
            "/+",
            "a/",
            "a//c",
            "$SYS/#",
            "$SYS/+",
            "+/b/#",
            "a/b/#",
            "+/+/+",
            "+/+/#",
            "a/+/+",
            "+/a/+",
            "+/+/c/#",
            "a/+/c/+",
            "/+/#",
            "+/a/+/b/#",
            "+/a/b/c/+",
        ];
        let topics =
            ["a", "a/b", "a/b/c", "/", "a/", "a//c", "$SYS/x", "$SYS", "x", "x/b", "x/b/c/d", "//"];
        let mut trie = Trie::default();
        for (owner, filter) in filters.iter().enumerate() {
            trie.insert(&Rc::from(*filter), owner, ());
            trie.insert(&Rc::from(*filter), owner, ());
        }
        assert_eq!(trie.len(), filters.len());
        assert!(trie.shapes.len() == SHAPES && !trie.tree.is_empty());
        for topic in topics {
            let expected: Vec<usize> =
                (0..filters.len()).filter(|owner| filter_matches(filters[*owner], topic)).collect();
            assert_eq!(found(&trie, topic), expected, "{topic}");
        }
        for (owner, filter) in filters.iter().enumerate() {
            assert!(trie.remove(filter, owner + 100).is_none());
            assert!(trie.remove(filter, owner).is_some());
        }
        assert!(trie.is_empty() && trie.tree.is_empty() && trie.filters.is_empty());
        assert!(trie.shapes.is_empty());
    }

    #[test]
    fn a_filter_with_more_levels_than_a_shape_has_is_found() {
        let mut trie = Trie::default();
        let long = ["a"; 65].join("/");
        trie.insert(&format!("{long}/+").into(), 1, ());
        trie.insert(&format!("+/{long}").into(), 2, ());
        trie.insert(&["a"; 66].join("/").into(), 3, ());
        assert_eq!(found(&trie, &format!("{long}/a")), [1, 2, 3]);
        assert!(trie.shapes.is_empty());
    }

    #[test]
    fn a_subscription_takes_a_key_two_words_and_no_more() {
        assert_eq!(size_of::<(Rc<str>, Owners<Rc<u8>>)>(), 32);
    }

    proptest! {
        #[test]
        fn owners_come_and_go_as_in_a_list(
            steps in proptest::collection::vec(
                ("(a|b|\\+|\\$s)(/(a|b|\\+|)){0,4}(/#)?", 0_usize..4, any::<bool>()),
                0..120,
            ),
            topics in proptest::collection::vec("(a|b|\\$s)(/(a|b|)){0,5}", 1..8),
        ) {
            let mut trie = Trie::default();
            let mut all = BTreeMap::new();
            for (step, (filter, owner, is_added)) in steps.into_iter().enumerate() {
                if is_added {
                    trie.insert(&filter.as_str().into(), owner, step);
                    all.insert((filter, owner), step);
                } else {
                    prop_assert_eq!(trie.remove(&filter, owner), all.remove(&(filter, owner)));
                }
            }
            prop_assert_eq!(trie.len(), all.len());
            for topic in topics {
                let mut found = Vec::new();
                trie.matches(&topic, &mut |owner, step| found.push((owner, *step)));
                found.sort_unstable();
                let mut expected: Vec<_> = all
                    .iter()
                    .filter(|((filter, _), _)| filter_matches(filter, &topic))
                    .map(|((_, owner), step)| (*owner, *step))
                    .collect();
                expected.sort_unstable();
                prop_assert_eq!(found, expected);
            }
        }
    }
}
