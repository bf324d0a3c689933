//! Problems of a configuration, each with its place.

use std::fmt::{self, Write as _};

use crate::config::Span;

/// Whether a problem prevents the configuration from being used.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Severity {
    /// It does.
    Error,
    /// It does not.
    Warning,
}

/// One problem.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Problem(Box<Details>);

#[derive(Clone, Debug, PartialEq, Eq)]
struct Details {
    code: &'static str,
    severity: Severity,
    span: Span,
    message: String,
    help: Option<String>,
    related: Vec<(Span, String)>,
}

impl Problem {
    /// A problem that prevents the configuration from being used. `code` is stable: E01xx syntax,
    /// E02xx schema, E03xx names, E04xx planes, E05xx resources.
    #[must_use]
    pub fn error(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Error, span, message.into())
    }

    /// A problem that does not; its `code` begins with W.
    #[must_use]
    pub fn warning(code: &'static str, span: Span, message: impl Into<String>) -> Self {
        Self::new(code, Severity::Warning, span, message.into())
    }

    fn new(code: &'static str, severity: Severity, span: Span, message: String) -> Self {
        Self(Box::new(Details { code, severity, span, message, help: None, related: Vec::new() }))
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
    pub fn code(&self) -> &'static str {
        self.0.code
    }

    /// The severity.
    #[must_use]
    pub fn severity(&self) -> Severity {
        self.0.severity
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

    /// What to do.
    #[must_use]
    pub fn help(&self) -> Option<&str> {
        self.0.help.as_deref()
    }
}

/// `file:line:col: error[CODE]: message`, the line with a marker, help, related places.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let problem = &*self.0;
        let severity = match problem.severity {
            Severity::Error => "error",
            Severity::Warning => "warning",
        };
        writeln!(f, "{}: {severity}[{}]: {}", problem.span, problem.code, problem.message)?;
        excerpt(f, &problem.span, problem.help.as_deref().unwrap_or_default())?;
        for (span, label) in &problem.related {
            writeln!(f, "{span}: {label}")?;
            excerpt(f, span, "")?;
        }
        Ok(())
    }
}

/// Lines longer than this are cut around the marker, characters.
const WIDTH: usize = 160;

fn excerpt(f: &mut fmt::Formatter<'_>, span: &Span, label: &str) -> fmt::Result {
    let number = span.line().to_string();
    let gutter = " ".repeat(number.len());
    // A tab takes one column here, as it does in `column`; other control characters are not shown.
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let before = span.column() - 1;
    let skipped = before.saturating_sub(WIDTH / 2);
    let line: String = span.line_text().chars().skip(skipped).take(WIDTH).map(clean).collect();
    let shown = line.chars().count();
    let indent = before - skipped;
    let width = span.width().min(shown.saturating_sub(indent)).max(1);
    writeln!(f, "{gutter} |")?;
    writeln!(f, "{number} | {}", line.trim_end())?;
    let marker = format!("{}{} {label}", " ".repeat(indent), "^".repeat(width));
    writeln!(f, "{gutter} | {}", marker.trim_end())
}

/// Problems as they are found: each once, and no more than a person can use.
#[derive(Clone, Debug, Default)]
pub struct Problems {
    kept: Vec<Problem>,
    /// Those beyond [`MOST`].
    more: usize,
    has_errors: bool,
}

/// So many problems are kept; the rest is counted.
const MOST: usize = 200;

impl Problems {
    /// Adds one, unless it is there already: what an alias repeats has its problem once.
    pub fn push(&mut self, problem: Problem) {
        self.has_errors |= problem.severity() == Severity::Error;
        if self.kept.contains(&problem) {
            return;
        }
        if self.kept.len() < MOST {
            self.kept.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// Adds those that were found elsewhere.
    pub(super) fn append(&mut self, other: Self) {
        for problem in other.kept {
            self.push(problem);
        }
        self.more += other.more;
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

    /// All as text, sorted by place.
    #[must_use]
    pub fn render(&self) -> String {
        let mut sorted: Vec<&Problem> = self.kept.iter().collect();
        sorted.sort_by_key(|problem| (problem.span().file().to_owned(), problem.span().start()));
        let mut text = String::new();
        for problem in sorted {
            // Writing to a string does not fail.
            writeln!(text, "{problem}").ok();
        }
        if self.more > 0 {
            writeln!(text, "… and {} more problems", self.more).ok();
        }
        text
    }
}

/// The candidate that was probably meant by `word`: at most a third of its letters differ.
#[must_use]
pub fn suggest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    // Nobody mistypes a longer word, and comparing takes the product of the lengths.
    if word.len() > 128 {
        return None;
    }
    let most = (word.chars().count() / 3).max(1);
    candidates
        .into_iter()
        .filter(|candidate| *candidate != word)
        .map(|candidate| (distance(word, candidate), candidate))
        .filter(|(distance, _)| *distance <= most)
        .min_by_key(|(distance, _)| *distance)
        .map(|(_, candidate)| candidate)
}

/// How many characters must be put in, left out, replaced or swapped with their neighbour.
fn distance(a: &str, b: &str) -> usize {
    let (a, b): (Vec<char>, Vec<char>) = (a.chars().collect(), b.chars().collect());
    let mut rows = vec![(0..=b.len()).collect::<Vec<usize>>()];
    for (i, x) in a.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, y) in b.iter().enumerate() {
            let replaced = rows[i][j] + usize::from(x != y);
            let mut least = replaced.min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && *x == b[j - 1] && a[i - 1] == *y {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[a.len()][b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::Source;

    #[test]
    fn a_problem_shows_its_line_and_what_to_do() {
        let source = Source::new("zilla.yaml", "name: x\nbindings:\n  a:\n    exitt: b\n");
        let at = source.text().find("exitt").unwrap();
        let mut problems = Problems::default();
        problems.push(
            Problem::error("E0202", source.span(at, at + 5), "unknown property `exitt`")
                .with_help("did you mean `exit`?"),
        );
        problems.push(Problem::warning("W0001", source.span(0, 4), "first by place"));
        assert!(problems.has_errors());
        assert_eq!(
            problems.render(),
            "zilla.yaml:1:1: warning[W0001]: first by place\n  |\n1 | name: x\n  | ^^^^\n\n\
             zilla.yaml:4:5: error[E0202]: unknown property `exitt`\n  |\n4 |     exitt: b\n  \
             |     ^^^^^ did you mean `exit`?\n\n"
        );
    }

    #[test]
    fn a_problem_is_kept_once_and_too_many_are_counted() {
        let source = Source::new("f.yaml", "a".repeat(1000));
        let mut problems = Problems::default();
        for at in (0..300).chain(0..100) {
            problems.push(Problem::error("E0202", source.span(at, at + 1), "unknown"));
        }
        assert_eq!(problems.iter().count(), 200);
        assert!(problems.render().ends_with("… and 100 more problems\n"));
        assert!(problems.has_errors());
    }

    #[test]
    fn a_close_word_is_suggested_and_a_distant_one_is_not() {
        assert_eq!(suggest("exitt", ["type", "exit", "kind"]), Some("exit"));
        assert_eq!(suggest("optoins", ["options", "routes"]), Some("options"));
        assert_eq!(suggest("exti", ["type", "exit", "kind"]), Some("exit"));
        assert_eq!(suggest("frobnicate", ["options", "routes"]), None);
    }
}
