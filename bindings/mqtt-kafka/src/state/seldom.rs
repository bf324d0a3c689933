//! A list that is mostly empty.

use std::ops::Deref;

/// A list that is mostly empty, and takes a word then.
#[derive(Clone, Debug)]
#[expect(clippy::box_collection, reason = "it takes one word while it is empty")]
pub struct Seldom<T>(Option<Box<Vec<T>>>);

impl<T> Default for Seldom<T> {
    fn default() -> Self {
        Self(None)
    }
}

impl<T> Deref for Seldom<T> {
    type Target = [T];

    fn deref(&self) -> &[T] {
        self.0.as_deref().map_or(&[], Vec::as_slice)
    }
}

impl<T> Extend<T> for Seldom<T> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        items.into_iter().for_each(|item| self.push(item));
    }
}

impl<T> Seldom<T> {
    /// Appends an item.
    pub fn push(&mut self, item: T) {
        self.0.get_or_insert_default().push(item);
    }

    /// Removes the item at `at`, where the last one takes its place; `None` where there is none.
    pub fn swap_remove(&mut self, at: usize) -> Option<T> {
        let list = self.0.as_mut().filter(|list| at < list.len())?;
        let item = list.swap_remove(at);
        self.0.take_if(|list| list.is_empty());
        Some(item)
    }

    /// Keeps the items of which `keep` says so.
    pub fn retain(&mut self, keep: impl FnMut(&T) -> bool) {
        if let Some(list) = &mut self.0 {
            list.retain(keep);
        }
        self.0.take_if(|list| list.is_empty());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_list_and_keeps_nothing_when_it_is_empty() {
        let mut list = Seldom::default();
        list.extend(1..=3);
        assert_eq!((list.swap_remove(0), list.swap_remove(5)), (Some(1), None));
        assert_eq!(*list, [3, 2]);
        list.retain(|item| *item == 2);
        list.push(4);
        assert_eq!(*list, [2, 4]);
        list.retain(|_| false);
        assert!(list.is_empty() && list.0.is_none());
        assert_eq!(size_of::<Seldom<u64>>(), size_of::<usize>());
    }
}
