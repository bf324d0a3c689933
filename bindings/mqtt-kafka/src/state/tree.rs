//! Topic filters as a tree of their levels.

use std::collections::{BTreeMap, HashMap};

/// Filters with wildcards, level by level.
#[derive(Debug)]
pub(super) struct Tree<T>(Node<T>);

#[derive(Debug)]
struct Node<T> {
    children: HashMap<Box<str>, Self>,
    single: Option<Box<Self>>,
    /// Filters that end here, by owner.
    here: BTreeMap<usize, T>,
    /// Filters that end here with `#`, by owner.
    multi: BTreeMap<usize, T>,
}

impl<T> Default for Node<T> {
    fn default() -> Self {
        Self {
            children: HashMap::new(),
            single: None,
            here: BTreeMap::new(),
            multi: BTreeMap::new(),
        }
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

impl<T> Default for Tree<T> {
    fn default() -> Self {
        Self(Node::default())
    }
}

impl<T> Tree<T> {
    /// Whether there is no filter.
    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// Whether somebody has subscribed to `filter` here.
    pub(super) fn contains(&self, filter: &str) -> bool {
        let mut node = &self.0;
        for level in filter.split('/') {
            let next = match level {
                "#" => return !node.multi.is_empty(),
                "+" => node.single.as_deref(),
                _ => node.children.get(level),
            };
            let Some(next) = next else { return false };
            node = next;
        }
        !node.here.is_empty()
    }

    /// Adds a subscription, or replaces the owner's to the same filter, which is returned.
    pub(super) fn insert(&mut self, filter: &str, owner: usize, value: T) -> Option<T> {
        let mut node = &mut self.0;
        for level in filter.split('/') {
            match level {
                "#" => return node.multi.insert(owner, value),
                "+" => node = node.single.get_or_insert_default(),
                _ => node = node.children.entry(level.into()).or_default(),
            }
        }
        node.here.insert(owner, value)
    }

    /// Removes the owner's subscription to `filter`.
    pub(super) fn remove(&mut self, filter: &str, owner: usize) -> Option<T> {
        let levels: Vec<&str> = filter.split('/').collect();
        remove_below(&mut self.0, &levels, owner)
    }

    /// Calls `visit` with each subscription that matches `topic`. `#` matches its parent level;
    /// wildcards in the first level match no `$` topic [MQTT-4.7.2-1].
    pub(super) fn matches<'t>(&'t self, topic: &str, visit: &mut dyn FnMut(usize, &'t T)) {
        if !self.is_empty() {
            descend(&self.0, Some(topic), !topic.starts_with('$'), visit);
        }
    }
}

/// `rest`: the levels below `node` that are not matched yet; `None` at the end of the topic.
fn descend<'t, T>(
    node: &'t Node<T>,
    rest: Option<&str>,
    wild: bool,
    visit: &mut dyn FnMut(usize, &'t T),
) {
    if wild {
        node.multi.iter().for_each(|(owner, value)| visit(*owner, value));
    }
    let Some(rest) = rest else {
        node.here.iter().for_each(|(owner, value)| visit(*owner, value));
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
        [] => node.here.remove(&owner),
        ["#"] => node.multi.remove(&owner),
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
