//! Which keys of an ordered table a topic filter can match.

use mqtt_plane::filter_matches;

/// What a key is to a filter.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// The filter matches it.
    Match,
    /// It does not; the next key may.
    Next,
    /// It does not, nor does any key before this one.
    Seek(Vec<u8>),
    /// It does not, nor does any key behind it.
    End,
}

/// The first key that `filter` may match.
#[must_use]
pub fn first_key(filter: &str) -> &str {
    let wild = filter.find(['+', '#']);
    let literal = wild.and_then(|at| filter.get(..at)).unwrap_or(filter);
    // `a/#` matches `a`, which lies before `a/`.
    match (wild, literal.strip_suffix('/')) {
        (Some(at), Some(parent)) if filter.get(at..) == Some("#") => parent,
        _ => literal,
    }
}

/// What `key`, at or after [`first_key`], is to `filter`: keys in byte order, in which `a!` lies
/// between `a` and `a/b`.
#[must_use]
pub fn step(filter: &str, key: &str) -> Step {
    if filter_matches(filter, key) {
        return Step::Match;
    }
    // Where the present level begins in the key.
    let mut base = 0;
    for level in filter.split('/') {
        let rest = key.get(base..).unwrap_or_default();
        let (name, has_more) = match rest.split_once('/') {
            Some((name, _)) => (name, true),
            None => (rest, false),
        };
        match level {
            // Only a `$` topic is not matched by a wildcard of the first level.
            "#" => return Step::Seek(b"%".to_vec()),
            "+" if base == 0 && name.starts_with('$') => return Step::Seek(b"%".to_vec()),
            "+" => {}
            _ if level == name => {}
            _ => return beside(key, base, level, rest),
        }
        base += name.len() + 1;
        if !has_more {
            // The key ends before the filter does.
            return Step::Next;
        }
    }
    // The key goes on where the filter ends: pass over all below.
    behind(key, base)
}

/// `rest` of the key does not begin with the level that the filter wants.
fn beside(key: &str, base: usize, level: &str, rest: &str) -> Step {
    let prefix = key.get(..base).unwrap_or_default();
    let wanted = [prefix, level].concat().into_bytes();
    if rest < level {
        return Step::Seek(wanted);
    }
    match rest.strip_prefix(level) {
        // As `a!` is to `a`: what lies below `a` is yet to come.
        Some(tail) if tail < "/" => Step::Seek([wanted.as_slice(), b"/"].concat()),
        _ => behind(key, base),
    }
}

/// The first key behind all that begin with the levels before `base`.
fn behind(key: &str, base: usize) -> Step {
    let Some(parent) = base.checked_sub(1).and_then(|end| key.get(..end)) else {
        return Step::End;
    };
    // `0` is the byte that follows `/`.
    Step::Seek([parent.as_bytes(), b"0"].concat())
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn scan(filter: &str, keys: &std::collections::BTreeSet<String>) -> (Vec<String>, usize) {
        let mut found = Vec::new();
        let mut visited = 0;
        let mut from = first_key(filter).to_owned();
        while let Some(key) = keys.range(from.clone()..).next() {
            visited += 1;
            from = match step(filter, key) {
                Step::Match => {
                    found.push(key.clone());
                    format!("{key}\0")
                }
                Step::Next => format!("{key}\0"),
                Step::Seek(to) => {
                    let to = String::from_utf8(to).unwrap();
                    assert!(to > *key, "{filter}: from {key} back to {to}");
                    to
                }
                Step::End => break,
            };
        }
        (found, visited)
    }

    proptest! {
        #[test]
        fn a_scan_with_seeks_finds_what_a_full_scan_finds(
            filter in "(a|b|\\$s|\\+|)(/(a|b|c|\\+|)){0,3}(/#)?",
            keys in proptest::collection::btree_set("(a|b|ab|a!|a0|\\$s|)(/(a|b|c|a!|a0|)){0,4}", 0..60),
        ) {
            let expected: Vec<String> =
                keys.iter().filter(|key| filter_matches(&filter, key)).cloned().collect();
            prop_assert_eq!(scan(&filter, &keys).0, expected);
        }
    }

    #[test]
    fn what_cannot_match_is_passed_over() {
        let key = |i: usize| format!("{}/{}/x", i / 100, i % 100);
        let keys: std::collections::BTreeSet<String> = (0..10_000).map(key).collect();
        for (filter, matches, most) in [("7/8/x", 1, 4), ("7/#", 100, 102), ("+/5/x", 100, 302)] {
            let (found, visited) = scan(filter, &keys);
            assert_eq!(found.len(), matches, "{filter}");
            assert!(visited <= most, "{filter}: {visited}");
        }
    }
}
