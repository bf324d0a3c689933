//! `zilla status`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what talks to a person")]

use std::io;
use std::path::Path;
use std::process::ExitCode;

use crate::runtime::{Status, ask};

/// How to print a status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
pub(super) enum Format {
    /// Tables.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

pub(super) fn print(config: &Path, format: Format) -> ExitCode {
    let status = match ask(config) {
        Ok(status) => status,
        Err(error) if is_absent(&error) => {
            eprintln!("zilla: no engine of this user runs on {}", config.display());
            return ExitCode::FAILURE;
        }
        Err(error) => {
            eprintln!(
                "zilla: the engine that runs on {} does not answer: {error}",
                config.display()
            );
            return ExitCode::FAILURE;
        }
    };
    match format {
        Format::Text => print!("{}", text(&status)),
        Format::Json => match serde_json::to_string_pretty(&status) {
            Ok(json) => println!("{json}"),
            Err(error) => {
                eprintln!("zilla: {error}");
                return ExitCode::FAILURE;
            }
        },
    }
    ExitCode::SUCCESS
}

fn is_absent(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused)
}

fn text(status: &Status) -> String {
    let mut rows =
        vec![["BINDING", "TYPE", "KIND", "LAST RELOAD", "CONNECTIONS"].map(String::from)];
    for binding in &status.bindings {
        rows.push([
            binding.name.clone(),
            binding.type_name.clone(),
            binding.kind.clone(),
            binding.fate.clone(),
            binding.connections.to_string(),
        ]);
    }
    let mut text = format!(
        "zilla {} on {}\ngeneration {}, hash {}, workers {}, file on disk {}\n\n{}",
        status.version,
        status.config,
        status.generation,
        status.hash,
        status.workers,
        status.file,
        table(&rows),
    );
    if !status.counters.is_empty() {
        let mut rows = vec![["BINDING", "COUNTER", "VALUE"].map(String::from)];
        for (binding, counter, value) in &status.counters {
            rows.push([binding.clone(), counter.clone(), value.to_string()]);
        }
        text.push('\n');
        text.push_str(&table(&rows));
    }
    text
}

fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            line.push_str(cell);
            let padding = width - cell.chars().count() + 2;
            line.extend(std::iter::repeat_n(' ', padding));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
