//! Warnings that the file itself allows.
//!
//! `# zilla: allow W0201` at the end of a line is about that line; on a line of its own, about the
//! next line that says something; before anything else in the file, about the whole file.

use std::collections::BTreeSet;

use crate::config::codes::{self, Code};
use crate::config::problem::MOST;
use crate::config::{Problem, Problems, Source, Span, suggest};

/// What warnings are allowed.
#[derive(Clone, Debug, Default)]
pub struct Allowances {
    /// By whoever checks the file.
    everywhere: BTreeSet<&'static str>,
}

/// The codes after one comment's `allow` that can be allowed.
struct Allowance {
    code: &'static Code,
    /// Where the comment names it.
    span: Span,
    /// The line that it covers, from 1; `None`: all.
    line: Option<usize>,
    is_used: bool,
}

impl Allowances {
    /// Those of whoever checks the files, for all of them.
    #[must_use]
    pub fn new(codes: impl IntoIterator<Item = &'static Code>) -> Self {
        Self { everywhere: codes.into_iter().map(Code::id).collect() }
    }

    /// What is left of the problems of a file, with what is wrong with its own comments. Returns
    /// the codes that were asked for here and allowed something, too.
    pub fn apply(&self, source: &Source, problems: Problems) -> (Problems, BTreeSet<&'static str>) {
        let mut refused = Vec::new();
        let mut allowances = find(source, &mut refused);
        let mut used = BTreeSet::new();
        let mut is_allowed = |problem: &Problem| {
            if !problem.code().is_warning() {
                return false;
            }
            let id = problem.code().id();
            let line = problem.span().line();
            let mut allowed = self.everywhere.contains(id);
            if allowed {
                used.insert(id);
            }
            for allowance in allowances.iter_mut().filter(|allowance| allowance.code.id() == id) {
                if allowance.line.is_none_or(|covered| covered == line) {
                    allowance.is_used = true;
                    allowed = true;
                }
            }
            allowed
        };
        let mut left = problems.without(&mut is_allowed);
        for problem in refused {
            if !is_allowed(&problem) {
                left.push(problem);
            }
        }
        let is_file_wide = |allowance: &&Allowance| allowance.line.is_none();
        let file_wide = allowances.iter().filter(is_file_wide).map(|allowance| allowance.code.id());
        for id in file_wide.chain(self.everywhere.iter().copied()) {
            left.forget_more(id);
        }
        // With an error, not all warnings have been looked for.
        if !left.has_errors() {
            let unused: Vec<Problem> =
                allowances.iter().filter(|allowance| !allowance.is_used).map(unused).collect();
            for problem in unused {
                if self.everywhere.contains(problem.code().id()) {
                    used.insert(problem.code().id());
                } else {
                    left.push(problem);
                }
            }
        }
        (left, used)
    }
}

fn unused(allowance: &Allowance) -> Problem {
    let whole = if allowance.line.is_some() { "here" } else { "in this file" };
    let message = format!("there is no {} {whole} to allow", allowance.code);
    Problem::new(codes::W0001, allowance.span.clone(), message).with_help("remove it")
}

const COMMENT: &str = "zilla:";
const ALLOW: &str = "allow";

/// The allowances of a file's comments, and what is wrong with them.
fn find(source: &Source, refused: &mut Vec<Problem>) -> Vec<Allowance> {
    let mut found: Vec<Allowance> = Vec::new();
    if !source.text().contains(COMMENT) {
        return found;
    }
    let mut begin = 0;
    let mut is_head = true;
    // Of comments on lines of their own: what waits for the next line that says something.
    let mut waiting = 0;
    for (index, line) in source.text().split_inclusive('\n').enumerate() {
        let content = line.trim_start_matches('\u{feff}').trim();
        let is_comment = content.starts_with('#');
        let says_something = !is_comment && !content.is_empty();
        if says_something {
            is_head = false;
            for allowance in found.iter_mut().skip(waiting) {
                allowance.line.get_or_insert(index + 1);
            }
            waiting = found.len();
        }
        if let Some(at) = directive(line) {
            for (code, span) in
                named(source, begin + at, line.get(at..).unwrap_or_default(), refused)
            {
                let line = says_something.then_some(index + 1);
                found.push(Allowance { code, span, line, is_used: false });
            }
        }
        if says_something || is_head {
            // Those of the head keep no line: they are about the whole file.
            waiting = found.len();
        }
        begin += line.len();
    }
    found
}

/// Where the codes begin in a line that has such a comment, bytes.
fn directive(line: &str) -> Option<usize> {
    let mut from = 0;
    loop {
        let hash = from + line.get(from..)?.find('#')?;
        let before = line.get(..hash)?;
        let rest = line.get(hash + 1..)?;
        let comment = rest.trim_start().strip_prefix(COMMENT);
        let codes = comment.and_then(|rest| rest.trim_start().strip_prefix(ALLOW));
        let codes =
            codes.filter(|codes| codes.is_empty() || codes.starts_with([' ', '\t', '\r', '\n']));
        if let Some(codes) = codes
            && (before.is_empty() || before.ends_with([' ', '\t', '\u{feff}']))
        {
            return Some(line.len() - codes.len());
        }
        from = hash + 1;
    }
}

/// The codes that a comment names, each with its place.
fn named(
    source: &Source,
    begin: usize,
    text: &str,
    refused: &mut Vec<Problem>,
) -> Vec<(&'static Code, Span)> {
    let mut found = Vec::new();
    let mut at = 0;
    for word in text.split([' ', '\t', '\r', '\n', ',']) {
        let start = begin + at;
        at += word.len() + 1;
        if word.is_empty() {
            continue;
        }
        let span = source.span(start, start + word.len());
        match codes::find(word) {
            Some(code) if code.is_warning() => found.push((code, span)),
            Some(code) => {
                let message = format!("{code} is an error, which cannot be allowed");
                refused.push(Problem::new(codes::W0002, span, message).with_help("mend it"));
            }
            // What follows the codes is prose.
            None if !found.is_empty() && !looks_like_code(word) => break,
            None => {
                let message = format!("`{word}` is not the code of a warning");
                let problem = Problem::new(codes::W0002, span, message);
                // What nobody is shown need not be worked out.
                let all = if refused.len() < MOST { codes::all() } else { Vec::new() };
                let close = suggest(word, all.iter().map(|code| code.id()));
                refused.push(match close {
                    Some(close) => problem.with_help(format!("did you mean {close}?")),
                    None => problem.with_help("write `# zilla: allow W0201`"),
                });
                break;
            }
        }
    }
    if at <= 1 || (found.is_empty() && refused.is_empty() && text.trim().is_empty()) {
        let span = source.span(begin.saturating_sub(ALLOW.len()), begin);
        let message = "this comment names no warning to allow";
        let help = "write `# zilla: allow W0201`";
        refused.push(Problem::new(codes::W0002, span, message).with_help(help));
    }
    found
}

fn looks_like_code(word: &str) -> bool {
    word.starts_with(['W', 'E', 'w', 'e']) && word.ends_with(|c: char| c.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        /// Whatever a file says: every place that is named lies within it.
        #[test]
        fn any_text_has_its_comments_found(pieces in proptest::collection::vec(piece(), 0..40)) {
            let source = Source::new("f.yaml", pieces.concat());
            let mut problems = Problems::default();
            problems.push(Problem::new(codes::W0201, source.span(3, 4), "no effect"));
            let (left, _) = Allowances::default().apply(&source, problems);
            for problem in left.iter().filter(|problem| problem.code() != codes::W0201) {
                let word = problem.span().text();
                let is_code = word.starts_with(|c: char| c.is_alphabetic());
                prop_assert!(word == "allow" || is_code || !word.contains(char::is_whitespace));
            }
        }
    }

    fn piece() -> impl Strategy<Value = String> {
        prop_oneof![
            Just("# zilla: allow ".to_owned()),
            Just("#zilla:allow".to_owned()),
            Just("W0201".to_owned()),
            Just(" E0202,".to_owned()),
            Just("\n".to_owned()),
            Just("\r\n".to_owned()),
            Just("\u{feff}".to_owned()),
            "[ a-z:#\"ä\u{1f600}]{0,6}",
        ]
    }

    /// What is left of a `W0201` at each `x` of a text, and what is said of its comments.
    fn left(text: &str, everywhere: &[&'static Code]) -> Vec<String> {
        let source = Source::new("f.yaml", text);
        let mut problems = Problems::default();
        for (at, _) in text.match_indices('x') {
            problems.push(Problem::new(codes::W0201, source.span(at, at + 1), "no effect"));
        }
        let allowances = Allowances::new(everywhere.iter().copied());
        let (left, _) = allowances.apply(&source, problems);
        left.iter().map(|problem| format!("{} {}", problem.span().line(), problem.code())).collect()
    }

    #[test]
    fn a_comment_at_the_end_of_a_line_is_about_that_line() {
        assert_eq!(left("a: x # zilla: allow W0201\nb: x\n", &[]), ["2 W0201"]);
        assert_eq!(left("a: x\t#zilla:allow w0201\n", &[]), [""; 0]);
        // A comment begins after white space.
        assert_eq!(left("a: x#zilla: allow W0201\n", &[]), ["1 W0201"]);
    }

    #[test]
    fn a_comment_on_its_own_line_is_about_the_next_that_says_something() {
        let text = "a: x\n# zilla: allow W0201 since it is meant\n# so\n\nb: x\nc: x\n";
        assert_eq!(left(text, &[]), ["1 W0201", "6 W0201"]);
    }

    #[test]
    fn a_comment_before_anything_else_is_about_the_whole_file() {
        assert_eq!(left("\u{feff}# so\n# zilla: allow W0201\n\na: x\nb: x\n", &[]), [""; 0]);
        assert_eq!(left("---\n# zilla: allow W0201\na: x\nb: x\n", &[]), ["4 W0201"]);
    }

    #[test]
    fn a_comment_that_allows_nothing_is_a_warning() {
        assert_eq!(left("a: x\n# zilla: allow W0201\nb: 1\n", &[]), ["1 W0201", "2 W0001"]);
        assert_eq!(left("# zilla: allow W0222\na: 1\n", &[]), ["1 W0001"]);
        assert_eq!(left("a: x # zilla: allow W0201, W0223\n", &[]), ["1 W0001"]);
        assert_eq!(left("a: 1 # zilla: allow W0223\n", &[codes::W0001]), [""; 0]);
    }

    #[test]
    fn what_is_no_warning_cannot_be_allowed() {
        for text in ["E0202", "W9999", "everything", ""] {
            let said = left(&format!("a: 1 # zilla: allow {text}\n"), &[]);
            assert_eq!(said, ["1 W0002"], "{text}");
        }
    }

    #[test]
    fn an_allowance_from_outside_is_about_all_and_an_error_stays() {
        assert_eq!(left("a: x\nb: x\n", &[codes::W0201]), [""; 0]);
        let source = Source::new("f.yaml", "# zilla: allow W0201\na: 1\n");
        let mut problems = Problems::default();
        problems.push(Problem::new(codes::E0202, source.span(21, 22), "unknown"));
        let (left, _) = Allowances::default().apply(&source, problems);
        // The comment is not called unused: the error may hide the warning.
        assert_eq!(left.iter().map(|problem| problem.code().id()).collect::<Vec<_>>(), ["E0202"]);
    }
}
