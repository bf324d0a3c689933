//! What a session has, by topic filter.

use std::collections::BTreeMap;
use std::rc::Rc;

/// Filters of a session that are kept in a list.
const LIST: usize = 64;

/// What a session has for each of its filters, in order. Most have one or two, which take no more
/// than themselves: a node of a [`BTreeMap`] has room for eleven.
#[derive(Clone, Debug)]
pub struct FilterMap<V>(Places<V>);

#[derive(Clone, Debug)]
enum Places<V> {
    List(Vec<(Rc<str>, V)>),
    Tree(BTreeMap<Rc<str>, V>),
}

impl<V> Default for FilterMap<V> {
    fn default() -> Self {
        Self(Places::List(Vec::new()))
    }
}

impl<V> FilterMap<V> {
    /// How many filters there are.
    #[must_use]
    pub fn len(&self) -> usize {
        match &self.0 {
            Places::List(list) => list.len(),
            Places::Tree(tree) => tree.len(),
        }
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The filter and what there is for it.
    #[must_use]
    pub fn get_key_value(&self, filter: &str) -> Option<(&Rc<str>, &V)> {
        match &self.0 {
            Places::List(list) => {
                let (filter, value) = &list[find(list, filter).ok()?];
                Some((filter, value))
            }
            Places::Tree(tree) => tree.get_key_value(filter),
        }
    }

    /// What there is for `filter`.
    #[must_use]
    pub fn get(&self, filter: &str) -> Option<&V> {
        self.get_key_value(filter).map(|(_, value)| value)
    }

    /// What there is for `filter`.
    #[must_use]
    pub fn get_mut(&mut self, filter: &str) -> Option<&mut V> {
        match &mut self.0 {
            Places::List(list) => {
                let at = find(list, filter).ok()?;
                Some(&mut list[at].1)
            }
            Places::Tree(tree) => tree.get_mut(filter),
        }
    }

    /// Puts `value` in the place of what there is for `filter`, which is returned.
    pub fn insert(&mut self, filter: Rc<str>, value: V) -> Option<V> {
        let list = match &mut self.0 {
            Places::List(list) => list,
            Places::Tree(tree) => return tree.insert(filter, value),
        };
        match find(list, &filter) {
            Ok(at) => Some(std::mem::replace(&mut list[at].1, value)),
            Err(_) if list.len() == LIST => {
                let mut tree: BTreeMap<_, _> = list.drain(..).collect();
                tree.insert(filter, value);
                self.0 = Places::Tree(tree);
                None
            }
            Err(at) => {
                if list.is_empty() {
                    list.reserve_exact(1);
                }
                list.insert(at, (filter, value));
                None
            }
        }
    }

    /// Takes out what there is for `filter`.
    pub fn remove(&mut self, filter: &str) -> Option<V> {
        match &mut self.0 {
            Places::List(list) => find(list, filter).ok().map(|at| list.remove(at).1),
            Places::Tree(tree) => tree.remove(filter),
        }
    }

    /// Takes out one of the filters, whichever is cheapest, and what there is for it.
    pub fn pop(&mut self) -> Option<(Rc<str>, V)> {
        match &mut self.0 {
            Places::List(list) => list.pop(),
            Places::Tree(tree) => tree.pop_last(),
        }
    }

    /// The filters and what there is for each, in order.
    pub fn iter(&self) -> impl Iterator<Item = (&Rc<str>, &V)> {
        let (list, tree) = match &self.0 {
            Places::List(list) => (Some(list), None),
            Places::Tree(tree) => (None, Some(tree)),
        };
        let list = list.into_iter().flatten().map(|(filter, value)| (filter, value));
        list.chain(tree.into_iter().flatten())
    }

    /// The filters and what there is for each, in order.
    pub fn iter_mut(&mut self) -> impl Iterator<Item = (&Rc<str>, &mut V)> {
        let (list, tree) = match &mut self.0 {
            Places::List(list) => (Some(list), None),
            Places::Tree(tree) => (None, Some(tree)),
        };
        let list = list.into_iter().flatten().map(|(filter, value)| (&*filter, value));
        list.chain(tree.into_iter().flatten())
    }

    /// The filters, in order.
    pub fn keys(&self) -> impl Iterator<Item = &Rc<str>> {
        self.iter().map(|(filter, _)| filter)
    }

    /// What there is for each filter, in order.
    pub fn values(&self) -> impl Iterator<Item = &V> {
        self.iter().map(|(_, value)| value)
    }

    /// What there is for each filter, in order.
    pub fn values_mut(&mut self) -> impl Iterator<Item = &mut V> {
        self.iter_mut().map(|(_, value)| value)
    }
}

fn find<V>(list: &[(Rc<str>, V)], filter: &str) -> Result<usize, usize> {
    list.binary_search_by(|(known, _)| (**known).cmp(filter))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn it_is_a_map_in_order(
            steps in proptest::collection::vec((0_u8..100, 0_u8..4), 0..400),
        ) {
            let (mut map, mut model) = (FilterMap::default(), BTreeMap::new());
            for (at, (filter, step)) in steps.into_iter().enumerate() {
                let filter = filter.to_string();
                match step {
                    0 if at % 2 == 0 => {
                        let popped = map.pop().map(|(filter, at)| (filter.to_string(), at));
                        prop_assert_eq!(popped, model.pop_last());
                    }
                    0 => prop_assert_eq!(map.remove(&filter), model.remove(&filter)),
                    1 => {
                        prop_assert_eq!(map.get(&filter), model.get(&filter));
                        prop_assert_eq!(map.get_mut(&filter), model.get_mut(&filter));
                    }
                    _ => {
                        let old = map.insert(filter.as_str().into(), at);
                        prop_assert_eq!(old, model.insert(filter, at));
                    }
                }
                prop_assert_eq!(map.len(), model.len());
            }
            let all: Vec<_> = map.iter().map(|(filter, at)| (filter.to_string(), *at)).collect();
            prop_assert_eq!(&all, &model.into_iter().collect::<Vec<_>>());
            let again: Vec<_> =
                map.iter_mut().map(|(filter, at)| (filter.to_string(), *at)).collect();
            prop_assert_eq!(all, again);
        }
    }
}
