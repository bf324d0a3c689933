//! The command line: `zilla start`, `validate`, `schema`, `status`.

#![expect(clippy::print_stdout, clippy::print_stderr, reason = "this is what talks to a person")]

mod check;
mod explain_code;
mod graph;
mod plan;
mod status;
mod stop;
mod validate;
mod words;

use std::collections::BTreeMap;
use std::io::Write as _;
use std::path::PathBuf;
use std::process::ExitCode;

use clap::{Arg, ArgMatches, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::Schema;
use crate::runtime::{self, EngineOptions, StartError};
use crate::spi::Catalog;
use crate::telemetry::{LogFormat, init_logging};
use words::{counted, no_answer, out, table};

#[derive(Debug, Parser)]
#[command(name = "zilla", version, propagate_version = true, disable_help_subcommand = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Run the engine on a configuration file until SIGTERM or Ctrl-C.
    ///
    /// The file is watched: a change is put in force within a second, and clients that it does not
    /// touch stay connected. A file with errors changes nothing. SIGHUP reads the file again.
    Start(Start),
    /// Check configuration files without binding or connecting to anything.
    ///
    /// Prints every problem with its place. Exit status: 0 without errors, 1 with errors (or with
    /// warnings, where --deny-warnings is given), 2 if the command line is wrong.
    Validate(validate::Arguments),
    /// End a running engine in order, and wait until it has ended.
    Stop(stop::Arguments),
    /// Show what a changed file would do: to each binding, and to connections.
    ///
    /// Takes the difference that a reload takes. Exit status: 0 nothing changes, 3 something
    /// changes and no connection ends for it, 4 connections end, 1 a file has errors or the engine
    /// does not answer, 2 if the command line is wrong.
    Plan(plan::Arguments),
    /// Explain the codes of problems, with a wrong and a right example; without a code, list all.
    ExplainCode(ExplainCode),
    /// Draw the bindings of a file: what leads where, what each takes, which topics it uses.
    Graph(graph::Arguments),
    /// Print the JSON Schema of zilla.yaml, for editors.
    Schema,
    /// Show what a running engine does: generation, bindings, connections, counters.
    Status(Show),
}

#[derive(Debug, Args)]
struct Start {
    /// The configuration file.
    #[arg(short, long, value_name = "FILE", default_value = "./zilla.yaml")]
    config: PathBuf,
    /// Worker threads [default: one a core; one where there are two cores or fewer]
    #[arg(short, long, value_name = "N", value_parser = clap::value_parser!(u16).range(1..=256))]
    workers: Option<u16>,
    /// How events are written to standard error.
    #[arg(long, value_enum, default_value_t)]
    log_format: LogFormat,
    /// Which events: a level (error, warn, info, debug, trace) or a list of TARGET=LEVEL.
    #[arg(long, value_name = "FILTER", default_value = "info")]
    log: String,
}

#[derive(Debug, Args)]
struct ExplainCode {
    /// The code of a problem, such as E0202.
    #[arg(value_name = "CODE")]
    codes: Vec<String>,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    format: explain_code::Format,
}

#[derive(Debug, Args)]
struct Show {
    /// The configuration file that the engine was started with.
    #[arg(short, long, value_name = "FILE", default_value = "./zilla.yaml")]
    config: PathBuf,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    format: status::Format,
}

/// Runs the command line of a program that contains `catalog`.
#[must_use]
pub fn main(catalog: &Catalog) -> ExitCode {
    // The catalog knows what the program is.
    let options = catalog.settings.iter().map(|setting| {
        Arg::new(setting.name)
            .long(setting.name)
            .value_name(setting.value)
            .help(setting.help)
            .value_parser(setting.check)
    });
    let command =
        Cli::command().about(catalog.about).mut_subcommand("start", |start| start.args(options));
    let matches = command.get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match cli.command {
        Command::Start(start) => run(start, *catalog, matches.subcommand_matches("start")),
        Command::Validate(arguments) => validate::run(arguments, catalog),
        Command::Stop(arguments) => stop::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments, catalog),
        Command::ExplainCode(explain) => explain_code::print(&explain.codes, explain.format),
        Command::Graph(arguments) => graph::run(&arguments, catalog),
        Command::Schema => schema(catalog),
        Command::Status(show) => status::print(&show.config, show.format),
    }
}

/// A setting that was chosen: its name, the value as written, the value in words.
type Chosen = (&'static str, String, String);

/// The settings that the command line chose.
fn chosen(catalog: &Catalog, matches: Option<&ArgMatches>) -> Vec<Chosen> {
    let find = |name: &'static str| {
        let matches = matches?;
        let written = matches.get_raw(name)?.next()?.to_str()?.to_owned();
        Some((name, written, matches.get_one::<String>(name)?.clone()))
    };
    catalog.settings.iter().filter_map(|setting| find(setting.name)).collect()
}

fn run(start: Start, catalog: Catalog, matches: Option<&ArgMatches>) -> ExitCode {
    if let Err(error) = init_logging(start.log_format, &start.log) {
        eprintln!("zilla: --log: {error}");
        return ExitCode::from(2);
    }
    let chosen = chosen(&catalog, matches);
    let settings: BTreeMap<_, _> =
        chosen.iter().map(|(name, written, _)| (*name, written.clone())).collect();
    let workers = start.workers.map(usize::from);
    let options = EngineOptions { config: start.config, workers, settings };
    let result = runtime::run(options, catalog, |engine| {
        for (name, _, words) in &chosen {
            println!("zilla: {name}: {words}");
        }
        for (address, binding) in &engine.addresses {
            println!("zilla: serving {address} ({binding})");
        }
        println!("zilla: ready");
        // Whoever waits for the line is waiting for it now. If nobody reads, nobody waits.
        std::io::stdout().flush().ok();
    });
    match result {
        Ok(()) => ExitCode::SUCCESS,
        Err(StartError::Config(problems)) => {
            eprint!("{problems}");
            eprintln!("zilla: the configuration has errors; nothing was started");
            ExitCode::FAILURE
        }
        Err(error) => {
            eprintln!("zilla: {error}");
            ExitCode::FAILURE
        }
    }
}

fn schema(catalog: &Catalog) -> ExitCode {
    let merged = Schema::compose(&catalog.fragments()).merged();
    match serde_json::to_string_pretty(&merged) {
        Ok(text) => {
            println!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("zilla: {error}");
            ExitCode::FAILURE
        }
    }
}
