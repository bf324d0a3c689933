//! `zilla topics`.

#![expect(clippy::print_stderr, reason = "this is what talks to a person")]

use std::fmt::Write as _;
use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;

use crate::cli::check::Checker;
use crate::cli::online::{self, Online};
use crate::cli::{location, out};
use crate::config::{Allowances, Location, Severity};
use crate::spi::{Catalog, Purpose, TopicReport, TopicState};

/// The arguments of `zilla topics`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration: a file, or an address.
    #[arg(short, long, value_name = "FILE", default_value = "./zilla.yaml", value_parser = location())]
    config: Location,
    /// Make the topics that are missing, instead of printing the commands that do.
    #[arg(long)]
    create: bool,
    /// How many partitions a topic gets that is made.
    #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..=4096))]
    partitions: u32,
    /// How long it may take, seconds.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = online::seconds)]
    timeout: Duration,
}

pub(super) fn run(
    arguments: &Arguments,
    catalog: &Catalog,
    matches: Option<&ArgMatches>,
) -> ExitCode {
    if let Some(refusal) = online::refusal(catalog, matches) {
        eprintln!("zilla: {refusal}");
        return ExitCode::from(2);
    }
    let source = match catalog.open(&arguments.config) {
        Ok(source) => source,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    let purpose = Purpose::Topics { creates: arguments.create, partitions: arguments.partitions };
    let online = Online { purpose, timeout: arguments.timeout };
    let checked = Checker::new(catalog, Allowances::default()).online(online).check(source);
    out(&checked.topics.iter().map(lines).collect::<String>());
    if checked.problems.count(Severity::Error) == 0 {
        return ExitCode::SUCCESS;
    }
    eprint!("{}", checked.problems.render());
    ExitCode::FAILURE
}

/// What is there as a comment of the shell's, and the command that makes what is not.
fn lines(topic: &TopicReport) -> String {
    let state = match &topic.state {
        TopicState::Present(what) => what.as_str(),
        TopicState::Created => "made just now",
        TopicState::Missing => "missing",
        TopicState::Unknown(why) => why.as_str(),
    };
    let mut lines =
        format!("# {}: {state} ({}:{})\n", topic.name, topic.span.file(), topic.span.line());
    if let Some(command) = &topic.command {
        // Writing to a string does not fail.
        writeln!(lines, "{command}").ok();
    }
    lines
}
