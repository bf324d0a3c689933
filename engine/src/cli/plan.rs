//! `zilla plan`.

#![expect(clippy::print_stderr, reason = "this is what talks to a person")]

use std::process::ExitCode;

use serde_json::json;

use crate::cli::check::Checker;
use crate::cli::{location, no_answer, out, table};
use crate::config::{Allowances, Location, Source};
use crate::graph::{Fate, Forecast, NodeForecast, Outcome, Plan};
use crate::runtime::{REMOVED, foretell};
use crate::spi::Catalog;

/// How a plan is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A table.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// The arguments of `zilla plan`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration as it is and as it would be; with --against only the second.
    #[arg(value_name = "FILE", required = true, num_args = 1..=2, value_parser = location())]
    files: Vec<Location>,
    /// Compare with what runs: the engine that was started on this file. It reads the new file in
    /// its own environment.
    #[arg(long, value_name = "FILE", value_parser = location())]
    against: Option<Location>,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments, catalog: &Catalog) -> ExitCode {
    let forecast = match (&arguments.against, arguments.files.as_slice()) {
        (None, [old, new]) => between(old, new, catalog),
        (Some(running), [new]) => against(running, new, catalog),
        (None, _) => {
            eprintln!("zilla: name two files, OLD and NEW, or the running engine with --against");
            return ExitCode::from(2);
        }
        (Some(_), _) => {
            eprintln!("zilla: with --against, name one file");
            return ExitCode::from(2);
        }
    };
    let Some(forecast) = forecast else { return ExitCode::FAILURE };
    out(&match arguments.format {
        Format::Text => text(&forecast),
        Format::Json => {
            let (outcome, Forecast { nodes, drain }) = (forecast.outcome(), &forecast);
            format!("{:#}\n", json!({ "outcome": outcome, "drain": drain, "nodes": nodes }))
        }
    });
    match forecast.outcome() {
        Outcome::Nothing => ExitCode::SUCCESS,
        Outcome::InPlace => ExitCode::from(3),
        Outcome::Drops => ExitCode::from(4),
    }
}

fn between(old: &Location, new: &Location, catalog: &Catalog) -> Option<Forecast> {
    let checker = Checker::new(catalog, Allowances::default());
    let plan = |location: &Location| -> Option<Plan> {
        let checked = checker.check(read(location, catalog)?);
        if checked.plan.is_none() {
            eprint!("{}", checked.problems.render());
        }
        Some(checked.plan?.1)
    };
    let (old, new) = (plan(old), plan(new));
    Some(Forecast::new(&old?, &new?, REMOVED))
}

fn against(running: &Location, new: &Location, catalog: &Catalog) -> Option<Forecast> {
    match foretell(running, &read(new, catalog)?) {
        Ok(Ok(forecast)) => Some(forecast),
        Ok(Err(problems)) => {
            eprint!("{problems}");
            None
        }
        Err(error) => {
            eprintln!("{}", no_answer(running, &error));
            None
        }
    }
}

fn read(location: &Location, catalog: &Catalog) -> Option<Source> {
    catalog.open(location).map_err(|problem| eprintln!("{problem}")).ok()
}

fn text(forecast: &Forecast) -> String {
    let mut rows = vec![["BINDING", "TYPE", "KIND", "FATE", "CONNECTIONS"].map(String::from)];
    for node in &forecast.nodes {
        rows.push([
            node.name.clone(),
            node.type_name.clone(),
            node.kind.clone(),
            node.fate.name().to_owned(),
            connections(node, forecast.drain),
        ]);
    }
    let summary = match forecast.outcome() {
        Outcome::Nothing => "nothing changes",
        Outcome::InPlace => "changes in place: no connection ends",
        Outcome::Drops => "connections end",
    };
    format!("{}\n{summary}\n", table(&rows))
}

fn connections(node: &NodeForecast, drain: u64) -> String {
    let end = format!("end within {drain} s");
    let what = match (node.fate, node.holds_connections) {
        (Fate::Retire, true) => end.as_str(),
        (Fate::Retire, false) => "none of its own; removed",
        (Fate::Start, true) => "none yet",
        (Fate::Start, false) => "none of its own; new",
        (Fate::Replace, true) => "go on in the old one until they end; new ones take the new one",
        (Fate::Replace, false) => "none of its own; those who use it move over",
        (Fate::Keep, _) => "not touched",
        (Fate::Relink, _) => "stay; what it leads to is replaced",
        (Fate::Update, _) => "stay",
    };
    match node.connections {
        Some(count) if node.holds_connections => format!("{count}: {what}"),
        _ => what.to_owned(),
    }
}
