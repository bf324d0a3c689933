//! `zilla explain-code`.

#![expect(clippy::print_stderr, reason = "this is what talks to a person")]

use std::fmt::Write as _;
use std::process::ExitCode;

use serde_json::json;

use crate::cli::out;
use crate::config::codes::{self, Code, Example};
use crate::config::suggest;

/// How to print what is known of codes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// For a terminal.
    #[default]
    Text,
    /// One JSON document.
    Json,
    /// The page docs/problems.md.
    Markdown,
}

pub(super) fn print(ids: &[String], format: Format) -> ExitCode {
    let mut chosen = Vec::with_capacity(ids.len());
    for id in ids {
        let Some(code) = codes::find(id) else {
            eprintln!("zilla: there is no code {id}{}", hint(id));
            return ExitCode::from(2);
        };
        chosen.push(code);
    }
    let is_list = chosen.is_empty();
    if is_list {
        chosen = codes::all();
    }
    match format {
        Format::Text if is_list => {
            let lines = chosen.into_iter().map(|code| format!("{code}  {}\n", code.title()));
            out(&lines.collect::<String>());
        }
        Format::Text => {
            let texts: Vec<String> = chosen.into_iter().map(text).collect();
            out(&texts.join("\n"));
        }
        Format::Json => {
            let list: serde_json::Value = chosen.into_iter().map(value).collect();
            out(&format!(
                "{list:#}
"
            ));
        }
        Format::Markdown => out(&page(&chosen)),
    }
    ExitCode::SUCCESS
}

fn hint(id: &str) -> String {
    let all = codes::all();
    let close = suggest(&id.to_ascii_uppercase(), all.iter().map(|code| code.id()));
    close.map_or_else(
        || "; without an argument, all are listed".to_owned(),
        |close| format!("; did you mean {close}?"),
    )
}

fn text(code: &Code) -> String {
    let mut text = format!("{code}: {}\n", code.title());
    for paragraph in code.explanation().lines() {
        text.push('\n');
        wrap(paragraph, &mut text);
    }
    match code.example() {
        Example::Files { bad, good } => {
            for (title, file) in [("Wrong", bad), ("Right", good)] {
                // Writing to a string does not fail.
                write!(text, "\n{title}:\n\n").ok();
                for line in file.lines() {
                    writeln!(text, "    {}", visible(line)).ok();
                }
            }
        }
        Example::Situation(why) => {
            text.push('\n');
            wrap(why, &mut text);
        }
    }
    text
}

/// Columns of a line of text.
const WIDTH: usize = 80;

fn wrap(paragraph: &str, text: &mut String) {
    let mut column = 0;
    for word in paragraph.split(' ') {
        let width = word.chars().count();
        if column > 0 && column + 1 + width > WIDTH {
            text.push('\n');
            column = 0;
        }
        if column > 0 {
            text.push(' ');
            column += 1;
        }
        text.push_str(word);
        column += width;
    }
    text.push('\n');
}

/// A line of an example, a control character as its symbol.
fn visible(line: &str) -> String {
    let symbol = |c: char| match u32::from(c) {
        code @ 0..0x20 => char::from_u32(0x2400 + code).unwrap_or(c),
        _ => c,
    };
    line.chars().map(symbol).collect()
}

fn value(code: &Code) -> serde_json::Value {
    let mut value = json!({
        "code": code.id(),
        "severity": if code.is_warning() { "warning" } else { "error" },
        "title": code.title(),
        "explanation": code.explanation(),
    });
    if let Example::Files { bad, good } = code.example() {
        value["bad"] = bad.into();
        value["good"] = good.into();
    }
    value
}

/// What the page begins with.
const HEAD: &str = include_str!("problems.md");

fn page(chosen: &[&Code]) -> String {
    let mut page = HEAD.to_owned();
    for code in chosen {
        // Writing to a string does not fail.
        write!(page, "\n## {code}: {}\n", code.title()).ok();
        for paragraph in code.explanation().lines() {
            write!(page, "\n{paragraph}\n").ok();
        }
        match code.example() {
            Example::Files { bad, good } => {
                for (title, file) in [("Wrong", bad), ("Right", good)] {
                    write!(page, "\n{title}:\n\n```yaml\n").ok();
                    for line in file.lines() {
                        writeln!(page, "{}", visible(line)).ok();
                    }
                    page.push_str("```\n");
                }
            }
            Example::Situation(why) => {
                write!(page, "\n{why}\n").ok();
            }
        }
    }
    page
}
