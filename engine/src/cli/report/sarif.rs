//! Problems as SARIF 2.1.0 (OASIS, "Static Analysis Results Interchange Format"), with what GitHub
//! code scanning asks of it: rules with help, places with all four numbers, paths relative to
//! where the program ran.

use std::path::Path;

use serde_json::{Value, json};

use crate::cli::report::Report;
use crate::config::codes::{Code, Example};
use crate::config::{Problem, Severity, Span};

/// A log with one run, which has neither rules nor results.
const SKELETON: &str = include_str!("sarif.json");

pub(super) fn render(report: &Report) -> String {
    let mut rules: Vec<&'static Code> = Vec::new();
    let mut results = Vec::new();
    for file in &report.files {
        for problem in file.problems.sorted() {
            let index = rules.iter().position(|code| *code == problem.code());
            let index = index.unwrap_or_else(|| {
                rules.push(problem.code());
                rules.len() - 1
            });
            results.push(result(problem, index));
        }
    }
    let mut log: Value = serde_json::from_str(SKELETON).unwrap_or_default();
    let run = &mut log["runs"][0];
    run["tool"]["driver"]["semanticVersion"] = env!("CARGO_PKG_VERSION").into();
    run["tool"]["driver"]["rules"] = rules.into_iter().map(rule).collect();
    run["results"] = Value::Array(results);
    format!("{log:#}\n")
}

fn rule(code: &Code) -> Value {
    let level = if code.is_warning() { "warning" } else { "error" };
    let mut markdown = code.explanation().replace('\n', "\n\n");
    if let Example::Files { bad, good } = code.example() {
        for (title, file) in [("Wrong", bad), ("Right", good)] {
            markdown.push_str(&format!("\n\n{title}:\n\n```yaml\n{file}```"));
        }
    }
    json!({
        "id": code.id(),
        "shortDescription": { "text": code.title() },
        "fullDescription": { "text": code.explanation() },
        "help": { "text": code.explanation(), "markdown": markdown },
        "defaultConfiguration": { "level": level },
        "properties": { "tags": ["configuration"], "problem.severity": level },
    })
}

fn result(problem: &Problem, rule: usize) -> Value {
    let level = match problem.severity() {
        Severity::Error => "error",
        Severity::Warning => "warning",
    };
    let message = match problem.help() {
        Some(help) => format!("{}\n{help}", problem.message()),
        None => problem.message().to_owned(),
    };
    let mut value = json!({
        "ruleId": problem.code().id(),
        "ruleIndex": rule,
        "level": level,
        "message": { "text": message },
        "locations": [location(problem.span())],
    });
    if !problem.related().is_empty() {
        let related = problem.related().iter().enumerate().map(|(index, (span, label))| {
            let mut related = location(span);
            related["id"] = index.into();
            related["message"] = json!({ "text": label });
            related
        });
        value["relatedLocations"] = related.collect();
    }
    value
}

fn location(span: &Span) -> Value {
    let (start, end) = (span.start_position(), span.end_position());
    json!({
        "physicalLocation": {
            "artifactLocation": artifact(span.file()),
            "region": {
                "startLine": start.line,
                "startColumn": start.column_utf16,
                "endLine": end.line,
                "endColumn": end.column_utf16,
            },
        },
    })
}

/// A path as a reference below where the program ran, where it lies there; an address as it is.
fn artifact(path: &str) -> Value {
    if path.contains("://") {
        return json!({ "uri": path });
    }
    let path = Path::new(path);
    let here = std::env::current_dir().ok();
    let below = here.as_deref().and_then(|here| path.strip_prefix(here).ok());
    let path = below.unwrap_or(path);
    if path.is_absolute() {
        return json!({ "uri": format!("file://{}", encoded(path)) });
    }
    json!({ "uri": encoded(path), "uriBaseId": "SRCROOT" })
}

/// A path with what a URI cannot hold as `%XX`.
fn encoded(path: &Path) -> String {
    let text = path.to_string_lossy();
    let mut uri = String::with_capacity(text.len());
    for byte in text.strip_prefix("./").unwrap_or(&text).bytes() {
        match byte {
            b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' | b'/' => {
                uri.push(char::from(byte));
            }
            byte => uri.push_str(&format!("%{byte:02X}")),
        }
    }
    uri
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_path_is_a_reference_without_what_a_uri_cannot_hold() {
        assert_eq!(encoded(Path::new("./a b/ü%.yaml")), "a%20b/%C3%BC%25.yaml");
        let here = std::env::current_dir().unwrap().join("z.yaml");
        let uri = artifact(here.to_str().unwrap());
        assert_eq!(uri, json!({ "uri": "z.yaml", "uriBaseId": "SRCROOT" }));
        assert_eq!(artifact("/x/z.yaml"), json!({ "uri": "file:///x/z.yaml" }));
    }
}
