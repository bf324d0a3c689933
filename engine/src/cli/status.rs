//! `zilla status`.

#![expect(clippy::print_stderr, reason = "this is what talks to a person")]

use std::process::ExitCode;

use crate::cli::{no_answer, out, table};
use crate::config::Location;
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

pub(super) fn print(config: &Location, format: Format) -> ExitCode {
    let status = match ask(config) {
        Ok(status) => status,
        Err(error) => {
            eprintln!("{}", no_answer(config, &error));
            return ExitCode::FAILURE;
        }
    };
    match format {
        Format::Text => out(&text(&status)),
        Format::Json => match serde_json::to_string_pretty(&status) {
            Ok(json) => out(&format!("{json}\n")),
            Err(error) => {
                eprintln!("zilla: {error}");
                return ExitCode::FAILURE;
            }
        },
    }
    ExitCode::SUCCESS
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
        "zilla {} on {}\ngeneration {}, hash {}, workers {}, file {}\n\n{}",
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
