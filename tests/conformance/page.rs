//! The page.

use std::collections::BTreeMap;
use std::fmt::Write;

use crate::citation::Citation;
use crate::statement::{Side, Specification, Statement};

/// Tests that are named of a statement, at most.
const NAMED: usize = 3;

/// A statement with what cites it.
struct Row<'a> {
    statement: &'a Statement,
    /// The code that upholds it, by file.
    code: Vec<&'a str>,
    /// The tests that prove it: file, name.
    tests: Vec<(&'a str, &'a str)>,
}

impl<'a> Row<'a> {
    fn new(statement: &'a Statement, citations: &'a [Citation]) -> Self {
        let mut code: Vec<&str> = Vec::new();
        let mut tests: Vec<(&str, &str)> = Vec::new();
        for citation in citations {
            let is_own = statement.is(citation.specification, &citation.id);
            let is_same = citation.specification == Specification::V5
                && statement.same.as_deref() == Some(&*citation.id);
            let (file, test) = (&*citation.file, citation.test.as_deref());
            match test {
                // Code serves both versions; a test shows the one that it speaks.
                None if (is_own || is_same) && !code.contains(&file) => code.push(file),
                Some(test) if is_own && !tests.contains(&(file, test)) => tests.push((file, test)),
                _ => {}
            }
        }
        // Scenarios first: they are what a reader of the specification reads.
        tests.sort_by_key(|(file, _)| !file.ends_with(".txt"));
        Self { statement, code, tests }
    }

    /// What there is not, of what there should be.
    fn gap(&self) -> Option<&'static str> {
        match (self.statement.side, self.code.is_empty(), self.tests.is_empty()) {
            // The server has code for what it checks of them, and a test then shows that it does.
            (Side::Client, _, true) => Some("no test shows what becomes of it"),
            (Side::Client, ..) | (_, false, false) => None,
            (_, true, true) => Some("neither code nor a test cites it"),
            (_, true, false) => Some("tests cite it, no code does"),
            (_, false, true) => Some("code cites it, no test does"),
        }
    }
}

/// The statements that have all they should have, and a reason why not.
pub(crate) fn reasons_for_nothing(statements: &[Statement], citations: &[Citation]) -> Vec<String> {
    let rows = statements.iter().map(|statement| Row::new(statement, citations));
    rows.filter(|row| row.gap().is_none())
        .filter_map(|row| {
            let Statement { id, specification, reason, .. } = row.statement;
            let reason = reason.as_ref()?;
            Some(format!("[{id}] of {specification}: {reason}"))
        })
        .collect()
}

/// The page's text.
pub(crate) fn make(statements: &[Statement], citations: &[Citation]) -> String {
    let mut page = String::from(INTRODUCTION);
    for specification in [Specification::V5, Specification::V311] {
        let rows: Vec<Row<'_>> = statements
            .iter()
            .filter(|statement| statement.specification == specification)
            .map(|statement| Row::new(statement, citations))
            .collect();
        writeln!(page, "\n## {specification}\n").unwrap();
        summary(&mut page, &rows);
        gaps(&mut page, &rows);
        table(&mut page, &rows);
    }
    page
}

const INTRODUCTION: &str = "\
<!-- Made by `ZILLA_BLESS=1 cargo test --test conformance`; do not edit. -->

# Conformance

Every normative statement of MQTT 5.0 and 3.1.1 by its id: whom it binds, what it is about (in words \
of this project; the specification's count), which code upholds it and which tests prove it. Code \
and tests cite the ids in comments, `[MQTT-3.1.0-2]` those of 5.0, `[MQTT-3.1.0-2] of 3.1.1` those \
of 3.1.1; from these citations the page is made. Code that cites a statement of 5.0 upholds the one of \
3.1.1 that asks the same. Statements about clients have code where the server \
checks them. How to read the scenarios says [tests/wire](../tests/wire/README.md).
";

fn summary(page: &mut String, rows: &[Row<'_>]) {
    let count = |is: &dyn Fn(&Row<'_>) -> bool| rows.iter().filter(|row| is(row)).count();
    let of_clients = count(&|row| row.statement.side == Side::Client);
    let checked = count(&|row| row.statement.side == Side::Client && !row.tests.is_empty());
    let gaps = count(&|row| row.statement.side != Side::Client && row.gap().is_some());
    let open = count(&|row| row.gap().is_some() && row.statement.reason.is_none());
    writeln!(
        page,
        "{} statements: {} bind the server, of which {} have code and a test; {of_clients} bind \
         clients only, of which a test shows {checked} to be checked. {open} are open.",
        rows.len(),
        rows.len() - of_clients,
        rows.len() - of_clients - gaps,
    )
    .unwrap();
}

fn gaps(page: &mut String, rows: &[Row<'_>]) {
    let mut by_gap: BTreeMap<String, Vec<&str>> = BTreeMap::new();
    for row in rows {
        if let Some(gap) = row.gap() {
            let why = match &row.statement.reason {
                Some(reason) => reason.clone(),
                None => format!("Open: {gap}."),
            };
            by_gap.entry(why).or_default().push(&row.statement.id);
        }
    }
    if !by_gap.is_empty() {
        page.push('\n');
    }
    for (why, ids) in by_gap {
        writeln!(page, "- {why} {}", ids.join(", ")).unwrap();
    }
}

fn table(page: &mut String, rows: &[Row<'_>]) {
    page.push_str(
        "\n| statement | binds | about | upheld by | proven by |\n|---|---|---|---|---|\n",
    );
    for row in rows {
        let Statement { id, side, about, .. } = row.statement;
        let code: Vec<String> = row.code.iter().map(|file| link(short(file), file)).collect();
        let mut tests: Vec<String> = row
            .tests
            .iter()
            .take(NAMED)
            .map(|(file, name)| link(&name.replace('|', "\\|"), file))
            .collect();
        if row.tests.len() > NAMED {
            tests.push(format!("{} more", row.tests.len() - NAMED));
        }
        let (code, tests) = (code.join(", "), tests.join("; "));
        writeln!(page, "| {id} | {} | {about} | {code} | {tests} |", side.name()).unwrap();
    }
}

fn link(text: &str, file: &str) -> String {
    format!("[{text}](../{file})")
}

/// A file's name as code names it: without the folder that all have.
fn short(file: &str) -> &str {
    file.strip_prefix("bindings/").unwrap_or(file)
}
