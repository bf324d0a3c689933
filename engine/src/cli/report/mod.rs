//! Problems of files, in the forms that people and programs read.

mod github;
mod json;
mod junit;
mod sarif;

use crate::config::{Problem, Problems, Severity, Source, Span};

/// How problems are printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For a person: the line, a marker, what to do.
    #[default]
    Text,
    /// One JSON document. Columns count characters.
    Json,
    /// SARIF 2.1.0, for code scanning. Columns count UTF-16 units, as the document says.
    Sarif,
    /// JUnit XML: a test suite a file, a test case a problem.
    Junit,
    /// Commands of a GitHub workflow, which annotate the lines.
    Github,
}

/// What was found in all files.
pub(super) struct Report {
    /// The command that found it.
    pub(super) title: &'static str,
    pub(super) files: Vec<File>,
    pub(super) denies_warnings: bool,
}

/// A file with what was found in it.
pub(super) struct File {
    pub(super) source: Source,
    pub(super) problems: Problems,
    /// The tests that it holds, if it is one of tests.
    pub(super) tests: Vec<Test>,
}

/// A test of a file: the problems within its place are its own.
pub(super) struct Test {
    pub(super) name: String,
    pub(super) span: Span,
    /// So many things are expected of what is decided.
    pub(super) expectations: usize,
}

impl File {
    /// A file that has only this problem.
    pub(super) fn unreadable(problem: Problem) -> Self {
        let source = problem.span().source().clone();
        let mut problems = Problems::default();
        problems.push(problem);
        Self { source, problems, tests: Vec::new() }
    }
}

impl Test {
    /// Whether a problem is its own.
    pub(super) fn has(&self, problem: &Problem) -> bool {
        let at = problem.span().start();
        (self.span.start()..self.span.end()).contains(&at)
    }
}

impl Report {
    pub(super) fn count(&self, severity: Severity) -> usize {
        self.files.iter().map(|file| file.problems.count(severity)).sum()
    }

    /// Whether a problem makes the check fail.
    fn is_failure(&self, problem: &Problem) -> bool {
        self.denies_warnings || problem.severity() == Severity::Error
    }

    pub(super) fn render(&self, format: Format) -> String {
        match format {
            Format::Text => self.files.iter().map(|file| file.problems.render()).collect(),
            Format::Json => json::render(self),
            Format::Sarif => sarif::render(self),
            Format::Junit => junit::render(self),
            Format::Github => github::render(self),
        }
    }
}
