//! Which files are meant.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::{fs, io};

use crate::config::{Location, Problem, Source};
use crate::spi::Catalog;

/// What an argument leads to.
pub(super) enum Found {
    File(Source),
    Unreadable(Problem),
    /// A file of a directory that is not meant, and why.
    Skipped(PathBuf, String),
    /// A directory that has no configuration.
    Nothing(PathBuf),
}

/// The name that diagnostics give to standard input.
const STANDARD_INPUT: &str = "<stdin>";

/// What the arguments lead to, each file once, those of a directory by name.
pub(super) fn find(locations: &[Location], catalog: &Catalog) -> Vec<Found> {
    let mut found = Vec::new();
    let mut seen = BTreeSet::new();
    for location in locations {
        let Some(path) = location.as_file() else {
            found.push(opened(catalog.open(location)));
            continue;
        };
        if path == Path::new("-") {
            found.push(opened(Source::open_from(STANDARD_INPUT, io::stdin())));
        } else if path.is_dir() {
            let before = found.len();
            walk(path, &mut seen, &mut found);
            if !found.iter().skip(before).any(|found| !matches!(found, Found::Skipped(..))) {
                found.push(Found::Nothing(path.to_owned()));
            }
        } else if seen.insert(identity(path)) {
            found.push(opened(Source::open(path)));
        }
    }
    found
}

fn opened(opened: Result<Source, Problem>) -> Found {
    opened.map_or_else(Found::Unreadable, Found::File)
}

/// The file that a path leads to, whatever the way.
fn identity(path: &Path) -> PathBuf {
    path.canonicalize().unwrap_or_else(|_| path.to_owned())
}

fn walk(folder: &Path, seen: &mut BTreeSet<PathBuf>, found: &mut Vec<Found>) {
    let entries = match fs::read_dir(folder) {
        Ok(entries) => entries,
        Err(error) => {
            found.push(Found::Skipped(folder.to_owned(), error.to_string()));
            return;
        }
    };
    let mut paths: Vec<PathBuf> = entries.filter_map(|entry| Some(entry.ok()?.path())).collect();
    paths.sort();
    for path in paths {
        let is_hidden =
            path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        let is_yaml =
            path.extension().is_some_and(|extension| extension == "yaml" || extension == "yml");
        if path.is_dir() {
            // A linked directory may lead back here.
            let is_link = path.is_symlink();
            match (is_hidden, is_link) {
                (true, _) => found.push(Found::Skipped(path, "hidden directory".to_owned())),
                (false, true) => found.push(Found::Skipped(path, "linked directory".to_owned())),
                (false, false) => walk(&path, seen, found),
            }
        } else if is_yaml && seen.insert(identity(&path)) {
            match opened(Source::open(&path)) {
                Found::File(source) if !is_configuration(source.text()) => {
                    let why = "not a configuration: it has no `bindings`, `guards` or `vaults`";
                    found.push(Found::Skipped(path, why.to_owned()));
                }
                other => found.push(other),
            }
        }
    }
}

/// Whether a text, which may not even be YAML, is meant to be a configuration: a document of it has
/// one of the sections at its top.
fn is_configuration(text: &str) -> bool {
    const SECTIONS: [&str; 3] = ["bindings", "guards", "vaults"];
    let is_flow = text.trim_start().starts_with('{');
    text.lines().any(|line| {
        let line = line.trim_start_matches('\u{feff}');
        let line = if is_flow { line.trim_start_matches([' ', '\t', '{', ',']) } else { line };
        SECTIONS.iter().any(|section| {
            let line = line.trim_start_matches(['"', '\'']);
            let rest = line.strip_prefix(section);
            rest.is_some_and(|rest| {
                rest.trim_start_matches(['"', '\'']).trim_start().starts_with(':')
            })
        })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_configuration_has_a_section_at_its_top() {
        for text in [
            "name: a\nbindings:\n  b:\n",
            "\u{feff}bindings: {}\n",
            "{\"name\": \"a\",\n \"bindings\": {}}\n",
            "name: a\n---\nname: b\n\"vaults\":\n",
            "name: a\nbindings:\n\tbroken: [\n",
        ] {
            assert!(is_configuration(text), "{text}");
        }
        for text in ["", "name: ci\njobs:\n", "spec:\n  bindings:\n    - a\n", "bindingsx: 1\n"] {
            assert!(!is_configuration(text), "{text}");
        }
    }
}
