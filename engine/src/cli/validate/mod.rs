//! `zilla validate`.

#![expect(clippy::print_stderr, reason = "this is what talks to a person")]

mod files;

use std::collections::BTreeSet;
use std::io::IsTerminal as _;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

use clap::ArgMatches;

use crate::cli::check::{Checked, Checker};
use crate::cli::online::{self, Online};
use crate::cli::report::{File, Format, Report};
use crate::cli::{counted, location, out};
use crate::config::codes::{self, Code};
use crate::config::{Allowances, Location, Severity, suggest};
use crate::spi::{Catalog, Purpose, TopicReport, TopicState};

/// The arguments of `zilla validate`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// A configuration: a file, or an address; may be repeated [default: ./zilla.yaml]
    #[arg(short, long, value_name = "FILE", value_parser = location())]
    config: Vec<Location>,
    /// More of them. Of a directory, all *.yaml and *.yml below it that have bindings; `-`:
    /// standard input.
    #[arg(value_name = "FILE", value_parser = location())]
    files: Vec<Location>,
    /// How problems are printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    /// Exit with status 1 where there are warnings.
    #[arg(long)]
    deny_warnings: bool,
    /// Leave out a warning; may be repeated. A comment in the file does the same:
    /// `# zilla: allow W0201` at the end of a line is about that line; on a line of its own, about
    /// the next line that says something; before anything else in the file, about all of it.
    #[arg(long, value_name = "CODE", value_parser = warning)]
    allow: Vec<&'static Code>,
    /// Look also whether what the files need outside is there: names of hosts, clusters, topics and
    /// what may be done with them. Nothing is made there, and nothing listens here.
    #[arg(long)]
    online: bool,
    /// How long that may take for a file, seconds.
    #[arg(long, value_name = "SECONDS", default_value = "5", requires = "online", value_parser = online::seconds)]
    timeout: Duration,
}

/// The warning of a code.
fn warning(id: &str) -> Result<&'static Code, String> {
    match codes::find(id) {
        Some(code) if code.is_warning() => Ok(code),
        Some(code) => Err(format!("{code} is an error, which cannot be allowed")),
        None => {
            let all = codes::all();
            let close = suggest(id, all.iter().map(|code| code.id()));
            Err(close.map_or_else(
                || "`zilla explain-code` lists all codes".to_owned(),
                |close| format!("did you mean {close}?"),
            ))
        }
    }
}

/// Says of a topic that nobody can look for it: its name is known only when a client sends.
fn not_checked(topic: &TopicReport) -> Option<String> {
    match &topic.state {
        // Of others whose state is not known there is a problem, and a command that makes them.
        TopicState::Unknown(why) if topic.command.is_none() => {
            let (file, line) = (topic.span.file(), topic.span.line());
            Some(format!("not checked: {file}:{line}: the topics `{}`: {why}", topic.name))
        }
        _ => None,
    }
}

pub(super) fn run(
    arguments: Arguments,
    catalog: &Catalog,
    matches: Option<&ArgMatches>,
) -> ExitCode {
    if arguments.online
        && let Some(refusal) = online::refusal(catalog, matches)
    {
        eprintln!("zilla: {refusal}");
        return ExitCode::from(2);
    }
    let mut locations = arguments.config;
    locations.extend(arguments.files);
    if locations.is_empty() {
        locations.push(Location::File(PathBuf::from("./zilla.yaml")));
    }
    let allowed: BTreeSet<&'static str> = arguments.allow.iter().map(|code| code.id()).collect();
    let mut checker = Checker::new(catalog, Allowances::new(arguments.allow));
    if arguments.online {
        checker = checker.online(Online { purpose: Purpose::Problems, timeout: arguments.timeout });
    }
    let mut report = Report {
        title: "zilla validate",
        files: Vec::new(),
        denies_warnings: arguments.deny_warnings,
    };
    let mut used: BTreeSet<&'static str> = BTreeSet::new();
    let mut has_all = true;
    for found in files::find(&locations, catalog) {
        match found {
            files::Found::File(source) => {
                let Checked { source, problems, allowed, topics, .. } = checker.check(source);
                used.extend(allowed);
                topics.iter().filter_map(not_checked).for_each(|note| eprintln!("zilla: {note}"));
                report.files.push(File { source, problems, tests: Vec::new() });
            }
            files::Found::Unreadable(problem) => report.files.push(File::unreadable(problem)),
            files::Found::Skipped(path, why) => {
                eprintln!("zilla: skipped {}: {why}", path.display());
            }
            files::Found::Nothing(path) => {
                eprintln!("zilla: no configuration is in {}", path.display());
                has_all = false;
            }
        }
    }
    for code in allowed.difference(&used) {
        eprintln!("zilla: --allow {code} allowed nothing");
    }
    out(&report.render(arguments.format));
    let (errors, warnings) = (report.count(Severity::Error), report.count(Severity::Warning));
    if std::io::stderr().is_terminal() {
        let files = counted(report.files.len(), "file");
        let (errors, warnings) = (counted(errors, "error"), counted(warnings, "warning"));
        eprintln!("zilla: {files}, {errors}, {warnings}");
    }
    if !has_all {
        ExitCode::from(2)
    } else if errors > 0 || (arguments.deny_warnings && warnings > 0) {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}
