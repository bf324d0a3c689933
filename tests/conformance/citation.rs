//! Where statements are cited.

use std::path::Path;

use crate::statement::Specification;

/// A statement's id in a file.
#[derive(Debug)]
pub(crate) struct Citation {
    pub(crate) id: String,
    pub(crate) specification: Specification,
    /// From the root of the repository.
    pub(crate) file: String,
    /// From 1.
    pub(crate) line: usize,
    /// The test that proves it; `None`: code that upholds it.
    pub(crate) test: Option<String>,
}

/// All citations of a file, in order.
pub(crate) fn cited_in(path: &Path) -> Vec<Citation> {
    let file = path.strip_prefix(crate::root()).unwrap().to_str().unwrap().to_owned();
    let text = std::fs::read_to_string(path).unwrap();
    let is_test_file = file.starts_with("tests/")
        || file.starts_with("fuzz/")
        || file.contains("/tests/")
        || file.ends_with("/tests.rs");
    // Where the tests at the end of a source file begin.
    let tests = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let name_of = |at: usize| match () {
        () if file.ends_with(".txt") => Some(scenario(&text, at)),
        () if is_test_file || at >= tests => Some(function(&text, at)),
        () => None,
    };
    lists(&text)
        .into_iter()
        .map(|(at, id, specification)| Citation {
            id,
            specification,
            line: text[..at].lines().count().max(1),
            test: name_of(at),
            file: file.clone(),
        })
        .collect()
}

/// The name of the scenario that a position lies in.
fn scenario(text: &str, at: usize) -> String {
    let title = text[..at].rfind("\n## ").map_or(at, |at| at + 4);
    let title = if text.starts_with("## ") && title == at { 3 } else { title };
    text[title..].lines().next().unwrap_or_default().to_owned()
}

/// The function that a comment belongs to: the one below a doc comment, the one around another.
fn function(text: &str, at: usize) -> String {
    let line = text[..at].rfind('\n').map_or(0, |at| at + 1);
    let is_doc = text[line..].trim_start().starts_with("//");
    let is_doc = is_doc && text[line..].trim_start().starts_with("///");
    let name = |rest: &str| {
        rest.split(|c: char| !c.is_alphanumeric() && c != '_').next().unwrap_or_default().to_owned()
    };
    let below = text[at..].find("fn ").map(|found| name(&text[at + found + 3..]));
    let around = text[..at].rfind("fn ").map(|found| name(&text[found + 3..]));
    if is_doc { below.or(around) } else { around.or(below) }.unwrap_or_default()
}

/// The ids in a text, each with its position: of a list, `of 3.1.1` behind it holds for all, and
/// `to` stands for those between.
pub(crate) fn lists(text: &str) -> Vec<(usize, String, Specification)> {
    let mut found = Vec::new();
    let mut list: Vec<(usize, String)> = Vec::new();
    let mut rest = 0;
    while let Some(next) = text[rest..].find("[MQTT-") {
        let start = rest + next + 1;
        let Some(length) = text[start..].find(']') else { break };
        let id = &text[start..start + length];
        rest = start + length + 1;
        if id.contains(char::is_whitespace) {
            continue;
        }
        list.push((start, id.to_owned()));
        let behind = behind(&text[rest..]);
        let next = behind.strip_prefix(',').unwrap_or(&behind).trim_start();
        if let Some(last) = behind.strip_prefix("to [") {
            let last = last.split(']').next().unwrap_or_default();
            list.extend(between(id, last).into_iter().map(|id| (start, id)));
        } else if !next.starts_with("[MQTT-") {
            let is_v311 = behind.starts_with("of 3.1.1");
            let specification = if is_v311 { Specification::V311 } else { Specification::V5 };
            found.extend(list.drain(..).map(|(at, id)| (at, id, specification)));
        }
    }
    found
}

/// The text behind a citation, in its line; in the next one, too, where a comma or half of `of 3.1.1`
/// leads there.
fn behind(text: &str) -> String {
    let mut lines = text.lines();
    let own = lines.next().unwrap_or_default().trim();
    let next = lines.next().unwrap_or_default();
    let next = next.trim_start().trim_start_matches(['/', '#', '!']).trim_start();
    let leads_on =
        own.ends_with(',') || own == "of" || own.is_empty() && next.starts_with("of 3.1.1");
    if leads_on { format!("{own} {next}").trim_start().to_owned() } else { own.to_owned() }
}

/// The ids between `first` and `last`, which differ in their last number.
fn between(first: &str, last: &str) -> Vec<String> {
    let split = |id: &str| {
        let (section, number) = id.rsplit_once('-')?;
        Some((section.to_owned(), number.parse::<u32>().ok()?))
    };
    match (split(first), split(last)) {
        (Some((section, first)), Some((other, last))) if section == other => {
            (first + 1..last).map(|number| format!("{section}-{number}")).collect()
        }
        _ => Vec::new(),
    }
}
