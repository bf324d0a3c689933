//! The command line.

#![expect(clippy::print_stderr, reason = "this is what talks to a person")]

mod actions;
mod check;
mod duration;
mod elsewhere;
mod explain;
mod explain_code;
mod graph;
mod online;
mod plan;
mod properties;
mod report;
mod start;
mod status;
mod stop;
mod test;
mod topics;
mod validate;
mod words;

use std::process::ExitCode;

use clap::{Arg, Args, CommandFactory as _, FromArgMatches as _, Parser, Subcommand};

use crate::config::{Location, Schema};
use crate::spi::Catalog;
use words::{counted, location, no_answer, out, table};

#[derive(Debug, Parser)]
#[command(name = "zilla", version, propagate_version = true)]
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
    Start(start::Arguments),
    /// End a running engine in order, and wait until it has ended.
    Stop(stop::Arguments),
    /// Show what a running engine does: generation, bindings, connections, counters.
    Status(Show),
    /// Check configuration files without binding or connecting to anything; with --online also
    /// what they need outside.
    ///
    /// Prints every problem with its place. Exit status: 0 without errors, 1 with errors (or with
    /// warnings, where --deny-warnings is given), 2 if the command line is wrong.
    Validate(validate::Arguments),
    /// Run the tests of configurations: *.test.yaml files beside them.
    ///
    /// Each test is something that a client does, and what is expected to be decided of it; what
    /// differs is a problem with its place. Exit status: 0 where all is as expected, 1 where it is
    /// not, 2 if the command line is wrong or there is no test.
    Test(test::Arguments),
    /// Show what a changed file would do: to each binding, and to connections.
    ///
    /// Takes the difference that a reload takes. Exit status: 0 nothing changes, 3 something
    /// changes and no connection ends for it, 4 connections end, 1 a file has errors or the engine
    /// does not answer, 2 if the command line is wrong.
    Plan(plan::Arguments),
    /// Draw the bindings of a file: what leads where, what each takes, which topics it uses.
    Graph(graph::Arguments),
    /// Print the commands that make the topics that a file needs, and what is there; or make them.
    ///
    /// What is there is printed as comments, so that a shell can run the output. Exit status: 0 if
    /// the topics are known, 1 if the file has errors or they cannot be looked at or made, 2 if the
    /// command line is wrong.
    Topics(topics::Arguments),
    /// Show what the engine would decide about something that a client does, and by which rules.
    ///
    /// Asks the functions that the engine asks, and contacts nothing. A denial is an answer: exit
    /// status 0; 1 if the file has errors or nothing listens for the client, 2 if the command line
    /// is wrong.
    #[command(subcommand_required = true)]
    Explain(explain::Arguments),
    /// Explain the codes of problems, with a wrong and a right example; without a code, list all.
    ExplainCode(ExplainCode),
    /// Print the JSON Schema of zilla.yaml, for editors.
    Schema {
        /// That of the files that `zilla test` runs.
        #[arg(long)]
        test: bool,
    },
    /// Print the version.
    Version,
    #[command(hide = true)]
    Metrics(elsewhere::Arguments),
    #[command(hide = true)]
    Logs(elsewhere::Arguments),
    #[command(hide = true)]
    Dump(elsewhere::Arguments),
    #[command(hide = true)]
    Tune(elsewhere::Arguments),
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
    /// The configuration that the engine was started with.
    #[arg(short, long, value_name = "FILE", default_value = "./zilla.yaml", value_parser = location())]
    config: Location,
    /// How to print it.
    #[arg(long, value_enum, default_value_t)]
    format: status::Format,
}

/// Runs the command line of a program that contains `catalog`.
#[must_use]
pub fn main(catalog: &Catalog) -> ExitCode {
    // The catalog knows what the program is.
    let options: Vec<Arg> = catalog
        .settings
        .iter()
        .map(|setting| {
            Arg::new(setting.name)
                .long(setting.name)
                .value_name(setting.value)
                .help(setting.help)
                .value_parser(setting.check)
        })
        .collect();
    let mut command = Cli::command().about(catalog.about);
    for name in ["start", "validate", "topics"] {
        command = command.mut_subcommand(name, |subcommand| subcommand.args(options.clone()));
    }
    let actions = actions::Actions::new(catalog).commands();
    let command = command.mut_subcommand("explain", |explain| explain.subcommands(actions));
    let matches = command.get_matches();
    let cli = match Cli::from_arg_matches(&matches) {
        Ok(cli) => cli,
        Err(error) => error.exit(),
    };
    match cli.command {
        Command::Start(arguments) => {
            start::run(arguments, *catalog, matches.subcommand_matches("start"))
        }
        Command::Validate(arguments) => {
            validate::run(arguments, catalog, matches.subcommand_matches("validate"))
        }
        Command::Topics(arguments) => {
            topics::run(&arguments, catalog, matches.subcommand_matches("topics"))
        }
        Command::Stop(arguments) => stop::run(&arguments),
        Command::Plan(arguments) => plan::run(&arguments, catalog),
        Command::ExplainCode(explain) => explain_code::print(&explain.codes, explain.format),
        Command::Explain(arguments) => {
            explain::run(&arguments, catalog, matches.subcommand_matches("explain"))
        }
        Command::Graph(arguments) => graph::run(&arguments, catalog),
        Command::Version => {
            out(&format!("zilla version {}\n", env!("CARGO_PKG_VERSION")));
            ExitCode::SUCCESS
        }
        Command::Schema { test } => schema(catalog, test),
        Command::Test(arguments) => test::run(&arguments, catalog),
        Command::Metrics(_) => elsewhere::refuse(
            "metrics",
            "`zilla status` shows the counters of each binding, with --format json for scripts",
        ),
        Command::Logs(_) => elsewhere::refuse(
            "logs",
            "`zilla start` writes all events to standard error, with --log-format json as JSON; \
             journalctl or `kubectl logs` shows them",
        ),
        Command::Dump(_) => elsewhere::refuse(
            "dump",
            "there are no streams between bindings to look at; `zilla explain` shows what is \
             decided of an action, and tcpdump what is sent",
        ),
        Command::Tune(_) => elsewhere::refuse(
            "tune",
            "each connection is placed on the worker that has fewest; `zilla start --workers` \
             says how many there are",
        ),
        Command::Status(show) => status::print(&show.config, show.format),
    }
}

fn schema(catalog: &Catalog, of_tests: bool) -> ExitCode {
    let merged = if of_tests {
        actions::Actions::new(catalog).test_schema()
    } else {
        Ok(Schema::compose(&catalog.fragments()).for_editors())
    };
    let printed = merged.and_then(|merged| {
        serde_json::to_string_pretty(&merged).map_err(|error| error.to_string())
    });
    match printed {
        Ok(text) => {
            out(&format!("{text}\n"));
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("zilla: {error}");
            ExitCode::FAILURE
        }
    }
}
