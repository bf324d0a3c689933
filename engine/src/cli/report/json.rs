//! Problems as one JSON document.

use serde_json::{Value, json};

use crate::cli::report::Report;
use crate::config::{Problem, Severity, Span};

pub(super) fn render(report: &Report) -> String {
    let files: Vec<Value> = report
        .files
        .iter()
        .map(|file| {
            json!({
                "file": file.source.name(),
                "problems": file.problems.sorted().into_iter().map(problem).collect::<Value>(),
                "more": file.problems.more(),
            })
        })
        .collect();
    let document = json!({
        "errors": report.count(Severity::Error),
        "warnings": report.count(Severity::Warning),
        "files": files,
    });
    format!("{document:#}\n")
}

fn problem(problem: &Problem) -> Value {
    let mut value = json!({
        "code": problem.code().id(),
        "severity": problem.severity().name(),
        "message": problem.message(),
        "help": problem.help(),
    });
    place(problem.span(), &mut value);
    let related = problem.related().iter().map(|(span, label)| {
        let mut value = json!({ "message": label });
        place(span, &mut value);
        value
    });
    value["related"] = related.collect();
    value
}

fn place(span: &Span, value: &mut Value) {
    let (start, end) = (span.start_position(), span.end_position());
    value["file"] = span.file().into();
    value["line"] = start.line.into();
    value["column"] = start.column.into();
    value["endLine"] = end.line.into();
    value["endColumn"] = end.column.into();
}
