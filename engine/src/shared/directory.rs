//! Who owns a name, over all workers.

use std::borrow::Borrow;
use std::collections::HashMap;
use std::hash::{BuildHasher, Hash, RandomState};

use super::Lock;

const SHARDS: usize = 64;

/// A map that all workers share, for what happens seldom (once a connection): 64 shards, one lock
/// each.
#[derive(Debug)]
pub struct Directory<K, V> {
    hasher: RandomState,
    shards: Box<[Lock<HashMap<K, V>>]>,
}

impl<K: Hash + Eq, V: Clone + PartialEq> Default for Directory<K, V> {
    fn default() -> Self {
        Self::new()
    }
}

impl<K: Hash + Eq, V: Clone + PartialEq> Directory<K, V> {
    /// An empty directory.
    #[must_use]
    pub fn new() -> Self {
        Self {
            hasher: RandomState::new(),
            shards: (0..SHARDS).map(|_| Lock::new(HashMap::new())).collect(),
        }
    }

    fn shard<Q: Hash + ?Sized>(&self, key: &Q) -> &Lock<HashMap<K, V>> {
        let hash = usize::try_from(self.hasher.hash_one(key) % SHARDS as u64).unwrap_or_default();
        &self.shards[hash]
    }

    /// Makes `owner` the owner of `key`; returns who was.
    pub fn claim(&self, key: K, owner: V) -> Option<V> {
        self.shard(&key).lock().insert(key, owner)
    }

    /// Removes `key` if `owner` still owns it.
    pub fn release<Q>(&self, key: &Q, owner: &V) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut shard = self.shard(key).lock();
        let owns = shard.get(key).is_some_and(|current| current == owner);
        if owns {
            shard.remove(key);
        }
        owns
    }

    /// Hands `key` from its present owner to another, if `from` still owns it.
    pub fn pass<Q>(&self, key: &Q, from: &V, to: V) -> bool
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        let mut shard = self.shard(key).lock();
        match shard.get_mut(key) {
            Some(owner) if *owner == *from => {
                *owner = to;
                true
            }
            _ => false,
        }
    }

    /// The owner of `key`.
    pub fn owner<Q>(&self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
        Q: Hash + Eq + ?Sized,
    {
        self.shard(key).lock().get(key).cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_present_owner_releases_or_passes_on() {
        let directory = Directory::new();
        assert_eq!(directory.claim("a", 1), None);
        assert_eq!(directory.claim("a", 2), Some(1));
        assert!(!directory.release("a", &1));
        assert_eq!(directory.owner("a"), Some(2));
        assert!(!directory.pass("a", &1, 3) && !directory.pass("b", &1, 3));
        assert!(directory.pass("a", &2, 3));
        assert!(!directory.release("a", &2));
        assert!(directory.release("a", &3));
        assert_eq!(directory.owner("a"), None);
    }
}
