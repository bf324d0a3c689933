//! Problems as JUnit XML: a test suite a file, a test case a problem, and one a test that has none.
//! A file without either has one case that passes, so that it is seen.

use std::fmt::Write as _;

use crate::cli::report::{Report, Test};
use crate::config::Problem;

pub(super) fn render(report: &Report) -> String {
    let mut suites = String::new();
    let (mut tests, mut failures) = (0, 0);
    for file in &report.files {
        let name = escaped(file.source.name());
        let mut cases = String::new();
        let (mut own, mut failed) = (0, 0);
        for problem in file.problems.sorted() {
            own += 1;
            let is_failure = report.is_failure(problem);
            failed += usize::from(is_failure);
            let test = file.tests.iter().find(|test| test.has(problem));
            case(&mut cases, problem, is_failure, test);
        }
        for test in &file.tests {
            if file.problems.iter().any(|problem| test.has(problem)) {
                continue;
            }
            own += 1;
            let (test, line) = (escaped(&test.name), test.span.line());
            // Writing to a string does not fail.
            writeln!(
                cases,
                "    <testcase classname=\"{name}\" name=\"{test}\" file=\"{name}\" line=\"{line}\"/>"
            )
            .ok();
        }
        if own == 0 {
            own = 1;
            // Writing to a string does not fail.
            writeln!(cases, "    <testcase classname=\"{name}\" name=\"valid\"/>").ok();
        }
        let more = file.problems.more();
        if more > 0 {
            writeln!(cases, "    <system-out>and {more} more problems</system-out>").ok();
        }
        writeln!(
            suites,
            "  <testsuite name=\"{name}\" tests=\"{own}\" failures=\"{failed}\" errors=\"0\" \
             skipped=\"0\" time=\"0\">\n{cases}  </testsuite>"
        )
        .ok();
        tests += own;
        failures += failed;
    }
    let title = report.title;
    format!(
        "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites name=\"{title}\" \
         tests=\"{tests}\" failures=\"{failures}\" errors=\"0\" time=\"0\">\n{suites}</testsuites>\n"
    )
}

fn case(cases: &mut String, problem: &Problem, is_failure: bool, test: Option<&Test>) {
    let span = problem.span();
    let (code, name) = (problem.code(), escaped(span.file()));
    let (line, column) = (span.line(), span.column());
    let message = escaped(problem.message());
    let text = escaped(&problem.to_string());
    let of_test = test.map(|test| format!("{}: ", escaped(&test.name))).unwrap_or_default();
    let open = format!(
        "    <testcase classname=\"{name}\" name=\"{of_test}{code} at {line}:{column}: {message}\" \
         file=\"{name}\" line=\"{line}\">"
    );
    // Writing to a string does not fail.
    if is_failure {
        writeln!(
            cases,
            "{open}\n      <failure type=\"{code}\" message=\"{message}\">{text}</failure>"
        )
        .ok();
    } else {
        writeln!(cases, "{open}\n      <system-out>{text}</system-out>").ok();
    }
    cases.push_str("    </testcase>\n");
}

/// A text in an attribute or an element. What XML cannot hold, even escaped, is replaced.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\n' => escaped.push_str("&#10;"),
            '\t' => escaped.push_str("&#9;"),
            c if c.is_control() || matches!(c, '\u{fffe}' | '\u{ffff}') => escaped.push('\u{fffd}'),
            c => escaped.push(c),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_xml_gives_a_meaning_or_forbids_is_escaped() {
        assert_eq!(
            escaped("<a & \"b\">\n\u{1}\u{85}"),
            "&lt;a &amp; &quot;b&quot;&gt;&#10;\u{fffd}\u{fffd}"
        );
    }
}
