//! `zilla status`.

#![expect(clippy::print_stderr, reason = "this is what talks to a person")]

use std::process::ExitCode;

use crate::cli::{no_answer, out, table};
use crate::config::Location;
use crate::graph::Fate;
use crate::runtime::{Clock, Receipt, Refusal, Status, ask};

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
        Format::Text => out(&text(&status, Clock::new().unix_millis())),
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

/// `now`: milliseconds since 1970.
fn text(status: &Status, now: i64) -> String {
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
    let gone = status.reload.fates.iter().filter(|(_, fate)| *fate == Fate::Retire);
    rows.extend(gone.map(|(name, fate)| {
        [name.clone(), "-".to_owned(), "-".to_owned(), fate.name().to_owned(), "-".to_owned()]
    }));
    let mut text = format!(
        "zilla {} on {}\ngeneration {}, hash {}, workers {}, file {}\n{}{}\n{}",
        status.version,
        status.config,
        status.generation,
        status.hash,
        status.workers,
        status.file,
        receipt(&status.reload, now),
        status.refused.as_ref().map(|refusal| refused(refusal, now)).unwrap_or_default(),
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

/// What the configuration in force did when it was put in force.
fn receipt(reload: &Receipt, now: i64) -> String {
    let Receipt { kept, draining, closed, unchanged, .. } = reload;
    let what = if *unchanged { "which changed nothing" } else { "done" };
    format!(
        "last reload {} ago, {what} in {}.{} ms; connections: {kept} kept, {draining} draining, {closed} closed\n",
        age(reload.at_unix_ms, now),
        reload.duration_us / 1000,
        reload.duration_us % 1000 / 100,
    )
}

/// Why the file is not in force.
fn refused(refusal: &Refusal, now: i64) -> String {
    let mut text = format!("refused {} ago:\n", age(refusal.at_unix_ms, now));
    for line in refusal.problems.trim_end().lines() {
        text.push_str(if line.is_empty() { "" } else { "  " });
        text.push_str(line);
        text.push('\n');
    }
    text
}

/// How long ago something was, in its largest unit.
fn age(at: i64, now: i64) -> String {
    let seconds = now.saturating_sub(at).max(0) / 1000;
    match seconds {
        0..120 => format!("{seconds} s"),
        120..7_200 => format!("{} min", seconds / 60),
        7_200..172_800 => format!("{} h", seconds / 3_600),
        _ => format!("{} days", seconds / 86_400),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_age_is_told_in_its_largest_unit() {
        let ages =
            [(0, "0 s"), (119, "119 s"), (120, "2 min"), (7_200, "2 h"), (200_000, "2 days")];
        for (seconds, expected) in ages {
            assert_eq!(age(5, 5 + seconds * 1000), expected);
        }
        assert_eq!(age(5, 0), "0 s", "the clock was set back");
    }
}
