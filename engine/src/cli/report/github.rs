//! Problems as commands of a GitHub workflow: annotations of the lines.

use std::fmt::Write as _;

use crate::cli::report::Report;

pub(super) fn render(report: &Report) -> String {
    let mut text = String::new();
    for file in &report.files {
        for problem in file.problems.sorted() {
            let command = if report.is_failure(problem) { "error" } else { "warning" };
            let (start, end) = (problem.span().start_position(), problem.span().end_position());
            let name = problem.span().file();
            let name = property(name.strip_prefix("./").unwrap_or(name));
            let title = property(&format!("{}: {}", problem.code(), problem.code().title()));
            let mut message = problem.message().to_owned();
            for (span, label) in problem.related() {
                // Writing to a string does not fail.
                write!(message, "\n{span}: {label}").ok();
            }
            if let Some(help) = problem.help() {
                write!(message, "\n{help}").ok();
            }
            write!(text, "::{command} file={name},line={},col={}", start.line, start.column).ok();
            // Columns are heeded where the lines are one.
            if start.line == end.line && start.column < end.column {
                write!(text, ",endLine={},endColumn={}", end.line, end.column).ok();
            }
            writeln!(text, ",title={title}::{}", data(&message)).ok();
        }
        let more = file.problems.more();
        if more > 0 {
            let name = property(file.source.name());
            writeln!(text, "::notice file={name}::and {more} more problems").ok();
        }
    }
    text
}

/// The message of a command, with its escapes.
fn data(text: &str) -> String {
    text.replace('%', "%25").replace('\r', "%0D").replace('\n', "%0A")
}

/// A property of a command, with its escapes.
fn property(text: &str) -> String {
    data(text).replace(':', "%3A").replace(',', "%2C")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_command_gives_a_meaning_is_escaped() {
        assert_eq!(property("a: b, 100%\r\n"), "a%3A b%2C 100%25%0D%0A");
        assert_eq!(data("a: b, 100%\n"), "a: b, 100%25%0A");
    }
}
