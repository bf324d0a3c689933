//! Which bindings nothing is wrong with.

use std::collections::HashSet;

use crate::config::node::Places;
use crate::config::{Problems, Severity, Span};

/// Where errors are.
#[derive(Default)]
pub(super) struct Errors {
    /// Where they begin in the text, in order, bytes.
    starts: Vec<usize>,
    /// Whether there are more than are known, so that any binding may have one.
    are_cut: bool,
    /// How many problems are known.
    known: usize,
}

impl Errors {
    /// Looks at those that were found since; all are of one file.
    pub(super) fn update(&mut self, problems: &Problems) {
        self.are_cut = problems.more() > 0;
        let new = problems.iter().skip(self.known);
        if new.len() == 0 {
            return;
        }
        self.known += new.len();
        let errors = new.filter(|problem| problem.severity() == Severity::Error);
        self.starts.extend(errors.map(|problem| problem.span().start()));
        self.starts.sort_unstable();
    }

    fn are_in(&self, span: &Span) -> bool {
        let first = self.starts.partition_point(|start| *start < span.start());
        self.starts.get(first).is_some_and(|start| *start < span.end())
    }

    /// The JSON pointers of the bindings of a document that have one: at themselves, or at something
    /// that an alias of theirs repeats.
    pub(super) fn bindings(&self, places: &Places) -> HashSet<String> {
        let mut found = HashSet::new();
        if self.starts.is_empty() {
            return found;
        }
        #[expect(clippy::iter_over_hash_type, reason = "which bindings they are has no order")]
        for (pointer, place) in places {
            let Some(below) = pointer.strip_prefix("/bindings/") else { continue };
            let length =
                below.find('/').map_or(pointer.len(), |at| pointer.len() - below.len() + at);
            let Some(binding) = pointer.get(..length).filter(|binding| !found.contains(*binding))
            else {
                continue;
            };
            if self.are_cut || self.are_in(&place.key) || self.are_in(&place.value) {
                found.insert(binding.to_owned());
            }
        }
        found
    }
}
