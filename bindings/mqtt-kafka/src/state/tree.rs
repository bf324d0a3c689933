//! Subscriptions by topic filter: which sessions a topic concerns.

use std::collections::HashMap;

/// A topic-filter trie: exact filters in a map, wildcard filters in a tree of levels.
#[derive(Debug)]
pub struct Trie<T> {
    exact: HashMap<Box<str>, Vec<Entry<T>>>,
    root: Node<T>,
    len: usize,
}

#[derive(Debug)]
struct Node<T> {
    children: HashMap<Box<str>, Self>,
    single: Option<Box<Self>>,
    /// Filters that end here.
    here: Vec<Entry<T>>,
    /// Filters that end here with `#`.
    multi: Vec<Entry<T>>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self { children: HashMap::new(), single: None, here: Vec::new(), multi: Vec::new() }
    }
}

impl<T> Node<T> {
    fn is_empty(&self) -> bool {
        self.children.is_empty()
            && self.single.is_none()
            && self.here.is_empty()
            && self.multi.is_empty()
    }
}

/// A subscription in a trie.
#[derive(Clone, Debug)]
pub struct Entry<T> {
    /// Whose.
    pub owner: usize,
    /// What goes with it.
    pub value: T,
}

impl<T> Default for Trie<T> {
    fn default() -> Self {
        Self { exact: HashMap::new(), root: Node::default(), len: 0 }
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

    /// Adds a subscription, or replaces the owner's to the same filter.
    pub fn insert(&mut self, filter: &str, owner: usize, value: T) {
        let list = if filter.contains(['+', '#']) {
            let mut node = &mut self.root;
            let mut list = None;
            for level in filter.split('/') {
                match level {
                    "#" => {
                        list = Some(());
                        break;
                    }
                    "+" => node = node.single.get_or_insert_default(),
                    _ => node = node.children.entry(level.into()).or_default(),
                }
            }
            if list.is_some() { &mut node.multi } else { &mut node.here }
        } else {
            self.exact.entry(filter.into()).or_default()
        };
        match list.iter_mut().find(|entry| entry.owner == owner) {
            Some(entry) => entry.value = value,
            None => {
                if list.is_empty() {
                    // Most filters are one session's alone.
                    list.reserve_exact(1);
                }
                list.push(Entry { owner, value });
                self.len += 1;
            }
        }
    }

    /// Removes the owner's subscription to `filter`.
    pub fn remove(&mut self, filter: &str, owner: usize) -> Option<T> {
        let removed = if filter.contains(['+', '#']) {
            let levels: Vec<&str> = filter.split('/').collect();
            remove_below(&mut self.root, &levels, owner)
        } else {
            let list = self.exact.get_mut(filter)?;
            let removed = remove_entry(list, owner);
            if list.is_empty() {
                self.exact.remove(filter);
            }
            removed
        };
        self.len -= usize::from(removed.is_some());
        removed
    }

    /// Calls `visit` with each subscription that matches `topic`. `#` matches its parent level;
    /// wildcards in the first level match no `$` topic [MQTT-4.7.2-1].
    pub fn matches<'t>(&'t self, topic: &str, visit: &mut dyn FnMut(&'t Entry<T>)) {
        if let Some(list) = self.exact.get(topic) {
            list.iter().for_each(&mut *visit);
        }
        if !self.root.is_empty() {
            descend(&self.root, Some(topic), !topic.starts_with('$'), visit);
        }
    }
}

/// `rest`: the levels below `node` that are not matched yet; `None` at the end of the topic.
fn descend<'t, T>(
    node: &'t Node<T>,
    rest: Option<&str>,
    wild: bool,
    visit: &mut dyn FnMut(&'t Entry<T>),
) {
    if wild {
        node.multi.iter().for_each(&mut *visit);
    }
    let Some(rest) = rest else {
        node.here.iter().for_each(visit);
        return;
    };
    let (level, rest) = match rest.split_once('/') {
        Some((level, rest)) => (level, Some(rest)),
        None => (rest, None),
    };
    if let Some(child) = node.children.get(level) {
        descend(child, rest, true, visit);
    }
    if let (true, Some(child)) = (wild, &node.single) {
        descend(child, rest, true, visit);
    }
}

fn remove_below<T>(node: &mut Node<T>, levels: &[&str], owner: usize) -> Option<T> {
    match levels {
        [] => remove_entry(&mut node.here, owner),
        ["#"] => remove_entry(&mut node.multi, owner),
        ["+", rest @ ..] => {
            let child = node.single.as_mut()?;
            let removed = remove_below(child, rest, owner);
            if child.is_empty() {
                node.single = None;
            }
            removed
        }
        [level, rest @ ..] => {
            let child = node.children.get_mut(*level)?;
            let removed = remove_below(child, rest, owner);
            if child.is_empty() {
                node.children.remove(*level);
            }
            removed
        }
    }
}

fn remove_entry<T>(list: &mut Vec<Entry<T>>, owner: usize) -> Option<T> {
    let at = list.iter().position(|entry| entry.owner == owner)?;
    Some(list.swap_remove(at).value)
}

#[cfg(test)]
mod tests {
    use super::*;
    use mqtt_plane::filter_matches;

    #[test]
    fn the_trie_agrees_with_filter_matches_and_empties() {
        let filters = [
            "#", "+", "+/+", "a", "a/b", "a/#", "a/+", "+/b", "a/+/c", "/", "/+", "a/", "a//c",
            "$SYS/#", "$SYS/+", "+/b/#", "a/b/#",
        ];
        let topics =
            ["a", "a/b", "a/b/c", "/", "a/", "a//c", "$SYS/x", "$SYS", "x", "x/b", "x/b/c/d", "//"];
        let mut trie = Trie::default();
        for (owner, filter) in filters.iter().enumerate() {
            trie.insert(filter, owner, ());
            trie.insert(filter, owner, ());
        }
        assert_eq!(trie.len(), filters.len());
        for topic in topics {
            let mut found = Vec::new();
            trie.matches(topic, &mut |entry| found.push(entry.owner));
            found.sort_unstable();
            let expected: Vec<usize> =
                (0..filters.len()).filter(|owner| filter_matches(filters[*owner], topic)).collect();
            assert_eq!(found, expected, "{topic}");
        }
        for (owner, filter) in filters.iter().enumerate() {
            assert!(trie.remove(filter, owner + 100).is_none());
            assert!(trie.remove(filter, owner).is_some());
        }
        assert!(trie.is_empty() && trie.root.is_empty() && trie.exact.is_empty());
    }
}
