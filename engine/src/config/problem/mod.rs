//! Problems of a configuration, each with its place.

mod allow;
mod redact;
mod secret;
mod suggest;
mod text;

use std::collections::{BTreeMap, HashSet};
use std::fmt::Write as _;
use std::hash::{BuildHasher as _, BuildHasherDefault, DefaultHasher};

pub use allow::Allowances;
pub use problem_codes as codes;
pub use redact::RecordingEnvironment;
pub(in crate::config) use secret::is_secret;
pub use suggest::suggest;

use crate::config::Span;
use codes::Code;

/// Whether a problem prevents the configuration from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}

impl Severity {
    /// The severity's name in messages.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Error => "error",
            Self::Warning => "warning",
        }
    }
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(Box<Details>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Details {
    code: &'static Code,
    span: Span,
    message: String,
    help: Option<String>,
    related: Vec<(Span, String)>,
}

impl Problem {
    /// A problem at a place. Its code says whether it prevents the configuration from being used.
    #[must_use]
    pub fn new(code: &'static Code, span: Span, message: impl Into<String>) -> Self {
        let message = message.into();
        Self(Box::new(Details { code, span, message, help: None, related: Vec::new() }))
    }

    /// Adds what to do.
    #[must_use]
    pub fn with_help(mut self, help: impl Into<String>) -> Self {
        self.0.help = Some(help.into());
        self
    }

    /// Adds another place that has to do with it.
    #[must_use]
    pub fn with_related(mut self, span: Span, label: impl Into<String>) -> Self {
        self.0.related.push((span, label.into()));
        self
    }

    /// The code.
    #[must_use]
    pub fn code(&self) -> &'static Code {
        self.0.code
    }

    fn hash(&self) -> u64 {
        let (start, end) = (self.span().start(), self.span().end());
        let state = BuildHasherDefault::<DefaultHasher>::default();
        state.hash_one((self.code().id(), start, end, self.message()))
    }

    /// The severity.
    #[must_use]
    pub fn severity(&self) -> Severity {
        if self.code().is_warning() { Severity::Warning } else { Severity::Error }
    }

    /// The place.
    #[must_use]
    pub fn span(&self) -> &Span {
        &self.0.span
    }

    /// What happened.
    #[must_use]
    pub fn message(&self) -> &str {
        &self.0.message
    }

    /// Other places that have to do with it, each with what it is.
    #[must_use]
    pub fn related(&self) -> &[(Span, String)] {
        &self.0.related
    }

    /// What to do.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }
}

/// Problems as they are found: each once, and no more than a person can use.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    kept: Vec<Problem>,
    /// Hashes of those that are kept: thousands may come of one mistake.
    hashes: HashSet<u64>,
    /// How many of them are errors.
    errors: usize,
    /// How many are beyond [`MOST`], by code.
    more: BTreeMap<&'static str, usize>,
    has_errors: bool,
}

/// So many errors are kept, and so many warnings: these leave room for those. The rest is counted.
const MOST: usize = 200;

impl Problems {
    /// Adds one, unless it is there already: what an alias repeats has its problem once.
    pub fn push(&mut self, problem: Problem) {
        self.has_errors |= problem.severity() == Severity::Error;
        let hash = problem.hash();
        if self.hashes.contains(&hash) && self.kept.contains(&problem) {
            return;
        }
        if self.is_full_for(problem.code()) {
            self.count_more(problem.code());
        } else {
            self.errors += usize::from(problem.severity() == Severity::Error);
            self.hashes.insert(hash);
            self.kept.push(problem);
        }
    }

    /// Adds one that is made only where it is kept: what is said of thousands need not be worked
    /// out. One that is there already may be counted as another.
    pub(crate) fn push_with(&mut self, code: &'static Code, problem: impl FnOnce() -> Problem) {
        if self.is_full_for(code) {
            self.count_more(code);
        } else {
            self.push(problem());
        }
    }

    /// Counts one that is not looked at, where no more are kept.
    pub(crate) fn count_more(&mut self, code: &'static Code) {
        self.has_errors |= !code.is_warning();
        *self.more.entry(code.id()).or_default() += 1;
    }

    /// Whether further ones of this kind are only counted.
    pub(crate) fn is_full_for(&self, code: &Code) -> bool {
        let kept = if code.is_warning() { self.kept.len() - self.errors } else { self.errors };
        kept >= MOST
    }

    /// Whether there are some of a code that were not kept.
    pub(crate) fn has_more_of(&self, code: &Code) -> bool {
        self.more.contains_key(code.id())
    }

    /// Adds those that were found elsewhere.
    pub(crate) fn append(&mut self, other: Self) {
        for problem in other.kept {
            self.push(problem);
        }
        for (code, count) in other.more {
            *self.more.entry(code).or_default() += count;
        }
        self.has_errors |= other.has_errors;
    }

    /// Whether there is none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.kept.is_empty()
    }

    /// Whether one of them is an error.
    #[must_use]
    pub fn has_errors(&self) -> bool {
        self.has_errors
    }

    /// Those that are kept, in the order in which they were found.
    pub fn iter(&self) -> std::slice::Iter<'_, Problem> {
        self.kept.iter()
    }

    /// Those that are kept, sorted by place.
    #[must_use]
    pub fn sorted(&self) -> Vec<&Problem> {
        let mut sorted: Vec<&Problem> = self.kept.iter().collect();
        sorted.sort_by_key(|problem| (problem.span().file(), problem.span().start()));
        sorted
    }

    /// How many were not kept.
    #[must_use]
    pub fn more(&self) -> usize {
        self.more.values().sum()
    }

    /// How many there are of a severity, with those that were not kept.
    #[must_use]
    pub fn count(&self, severity: Severity) -> usize {
        let is_warning = severity == Severity::Warning;
        let kept = self.kept.iter().filter(|problem| problem.severity() == severity).count();
        let more = self.more.iter().filter(|(id, _)| id.starts_with('W') == is_warning);
        kept + more.map(|(_, count)| count).sum::<usize>()
    }

    /// Without those that `is_left_out` names.
    pub(super) fn without(mut self, mut is_left_out: impl FnMut(&Problem) -> bool) -> Self {
        self.kept.retain(|problem| !is_left_out(problem));
        self.settle();
        self
    }

    /// Leaves out those of a code that were not kept.
    pub(super) fn forget_more(&mut self, id: &str) {
        self.more.remove(id);
    }

    /// Each made into another.
    pub(super) fn map(mut self, other: impl FnMut(Problem) -> Problem) -> Self {
        self.kept = self.kept.into_iter().map(other).collect();
        self.settle();
        self
    }

    /// What is known of those that are kept, anew.
    fn settle(&mut self) {
        self.hashes = self.kept.iter().map(Problem::hash).collect();
        let is_error = |problem: &&Problem| problem.severity() == Severity::Error;
        self.errors = self.kept.iter().filter(is_error).count();
    }

    /// All as text, sorted by place.
    #[must_use]
    pub fn render(&self) -> String {
        let mut text = String::new();
        for problem in self.sorted() {
            // Writing to a string does not fail.
            writeln!(text, "{problem}").ok();
        }
        if self.more() > 0 {
            writeln!(text, "… and {} more problems", self.more()).ok();
        }
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;
    use text::CUT;

    #[test]
    fn a_problem_shows_its_line_and_what_to_do() {
        let source = Source::new("zilla.yaml", "name: x\nbindings:\n  a:\n    exitt: b\n");
        let at = source.text().find("exitt").unwrap();
        let mut problems = Problems::default();
        problems.push(
            Problem::new(codes::E0202, source.span(at, at + 5), "unknown property `exitt`")
                .with_help("did you mean `exit`?"),
        );
        problems.push(Problem::new(codes::W0201, source.span(0, 4), "first by place"));
        assert!(problems.has_errors());
        assert_eq!(
            problems.render(),
            "zilla.yaml:1:1: warning[W0201]: first by place\n  |\n1 | name: x\n  | ^^^^\n\n\
             zilla.yaml:4:5: error[E0202]: unknown property `exitt`\n  |\n4 |     exitt: b\n  \
             |     ^^^^^ did you mean `exit`?\n\n"
        );
    }

    #[test]
    fn a_long_line_is_cut_where_it_says_so() {
        let line = |at: usize| {
            let source = Source::new("f.yaml", "ä".repeat(200));
            let problem = Problem::new(codes::E0202, source.span(at * 2, at * 2 + 2), "unknown");
            let text = problem.to_string();
            let shown: Vec<&str> = text.lines().skip(2).filter_map(|line| line.get(4..)).collect();
            let [line, marker] = shown[..] else { panic!("{text}") };
            assert_eq!(marker.find('^'), Some(at.min(80)), "{text}");
            line.to_owned()
        };
        assert_eq!(line(0), format!("{}…", "ä".repeat(159)));
        assert_eq!(line(80), format!("{}…", "ä".repeat(159)));
        assert_eq!(line(100), format!("…{}…", "ä".repeat(158)));
        assert_eq!(line(120), format!("…{}", "ä".repeat(159)));
        assert_eq!(line(199), format!("…{}", "ä".repeat(80)));
        let whole = Source::new("f.yaml", "a".repeat(160));
        let text = Problem::new(codes::E0202, whole.span(0, 1), "unknown").to_string();
        assert!(!text.contains(CUT), "{text}");
    }

    #[test]
    fn warnings_leave_room_for_an_error() {
        let source = Source::new("f.yaml", "a".repeat(1000));
        let mut problems = Problems::default();
        for at in 0..500 {
            problems.push(Problem::new(codes::W0201, source.span(at, at + 1), "no effect"));
        }
        problems.push_with(codes::E0202, || {
            Problem::new(codes::E0202, source.span(999, 1000), "unknown")
        });
        assert!(problems.render().contains("error[E0202]: unknown"));
        assert_eq!(problems.count(Severity::Warning), 500);
        // Where those that are kept are left out, others are kept again.
        let mut problems = problems.without(|problem| problem.code() == codes::W0201);
        problems.push(Problem::new(codes::W0001, source.span(0, 1), "kept"));
        assert_eq!(problems.iter().count(), 2);
    }

    #[test]
    fn a_problem_is_kept_once_and_too_many_are_counted() {
        let source = Source::new("f.yaml", "a".repeat(1000));
        let mut problems = Problems::default();
        for at in (0..300).chain(0..100) {
            problems.push(Problem::new(codes::E0202, source.span(at, at + 1), "unknown"));
        }
        assert_eq!(problems.iter().count(), 200);
        assert!(problems.render().ends_with("… and 100 more problems\n"));
        assert!(problems.has_errors());
        problems.push_with(codes::E0203, || unreachable!("nobody looks at it"));
        assert_eq!((problems.count(Severity::Error), problems.more()), (301, 101));
    }
}
