//! The last item of each key, in key order.

use std::collections::BTreeMap;
use std::ops::{Bound, ControlFlow};
use std::sync::Arc;

use super::SharedLock;

/// Called with a key and its item; says where to go on.
pub type Visit<'v, T> = dyn FnMut(&[u8], &Arc<T>) -> ControlFlow<(), Option<Vec<u8>>> + 'v;

/// A map from byte keys to items in key order: one thread writes, any thread reads.
#[derive(Debug)]
pub struct Table<T> {
    items: SharedLock<BTreeMap<Box<[u8]>, Arc<T>>>,
}

impl<T> Default for Table<T> {
    fn default() -> Self {
        Self { items: SharedLock::default() }
    }
}

impl<T> Table<T> {
    /// Sets or, with `None`, removes keys: all of `changes` at once.
    pub fn apply<'k>(&self, changes: impl Iterator<Item = (&'k [u8], Option<Arc<T>>)>) {
        let mut items = self.items.write();
        for (key, item) in changes {
            match item {
                Some(item) => {
                    items.insert(key.into(), item);
                }
                None => {
                    items.remove(key);
                }
            }
        }
    }

    /// Removes all keys.
    pub fn clear(&self) {
        self.items.write().clear();
    }

    /// How many keys there are.
    #[must_use]
    pub fn len(&self) -> usize {
        self.items.read().len()
    }

    /// Whether there is no key.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The item of `key`.
    #[must_use]
    pub fn get(&self, key: &[u8]) -> Option<Arc<T>> {
        self.items.read().get(key).cloned()
    }

    /// Visits items in key order from `from` on. `visit` says with `Some(key)` where to go on
    /// instead of at the next key, and breaks to stop. The lock is held meanwhile.
    pub fn scan(&self, from: &[u8], visit: &mut Visit<'_, T>) {
        let items = self.items.read();
        let mut seek = Some(from.to_vec());
        while let Some(start) = seek.take() {
            let range = (Bound::Included(start.as_slice()), Bound::Unbounded);
            for (key, item) in items.range::<[u8], _>(range) {
                match visit(key, item) {
                    ControlFlow::Continue(None) => {}
                    // Going back would not end.
                    ControlFlow::Continue(Some(next)) if next.as_slice() > key.as_ref() => {
                        seek = Some(next);
                        break;
                    }
                    ControlFlow::Continue(Some(_)) => {}
                    ControlFlow::Break(()) => return,
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_scan_goes_in_key_order_and_seeks_ahead() {
        let table = Table::default();
        let keys = ["a/1", "a/2", "b/1", "b/2", "c"];
        table.apply(keys.iter().map(|key| (key.as_bytes(), Some(Arc::new(0)))));
        table.apply([(&b"b/2"[..], None)].into_iter());
        let mut seen = Vec::new();
        table.scan(b"a/2", &mut |key, _| {
            seen.push(String::from_utf8_lossy(key).into_owned());
            ControlFlow::Continue((key == b"a/2").then(|| b"b/2".to_vec()))
        });
        assert_eq!(seen, ["a/2", "c"]);
        assert_eq!(table.len(), 4);
    }
}
