//! `zilla explain`.

#![expect(clippy::print_stderr, reason = "this is what talks to a person")]

mod json;
mod text;

use std::process::ExitCode;

use clap::ArgMatches;

use crate::cli::actions::Actions;
use crate::cli::check::Checker;
use crate::cli::out;
use crate::cli::properties::PropertyOptions;
use crate::config::Allowances;
use crate::graph::explain;
use crate::spi::Catalog;

/// How a decision is printed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// For a person: rule by rule, then what comes of it.
    #[default]
    Text,
    /// One JSON document.
    Json,
}

/// The arguments of `zilla explain`, beside those of the action.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration: a file, or an address [default: ./zilla.yaml]
    #[arg(short, long, value_name = "FILE", global = true)]
    config: Option<String>,
    /// How it is printed.
    #[arg(long, value_enum, default_value_t, global = true)]
    format: Format,
    #[command(flatten)]
    properties: PropertyOptions,
}

pub(super) fn run(
    arguments: &Arguments,
    catalog: &Catalog,
    matches: Option<&ArgMatches>,
) -> ExitCode {
    let Some((verb, matches)) = matches.and_then(ArgMatches::subcommand) else {
        return ExitCode::from(2);
    };
    let actions = Actions::new(catalog);
    let action = actions.action(verb, matches);
    let located = arguments.properties.locate(catalog, arguments.config.as_ref());
    let (config, properties) = match located {
        Ok(found) => found,
        Err(status) => return status,
    };
    properties.warn();
    let source = match catalog.open_as(&config, properties.authorization.as_ref()) {
        Ok(source) => source,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    let checked = Checker::new(catalog, Allowances::default()).check(source);
    let Some((config, plan)) = &checked.plan else {
        eprint!("{}", checked.problems.render());
        eprintln!("zilla: the configuration has errors; it decides nothing");
        return ExitCode::FAILURE;
    };
    let explanation = match explain(plan, config, &properties.of_bindings, &action) {
        Ok(explanation) => explanation,
        Err(why) => {
            eprintln!("zilla: {}", checked.environment.redact(&checked.source, &why));
            return ExitCode::FAILURE;
        }
    };
    let shown = |text: &str| checked.environment.redact(&checked.source, text);
    out(&match arguments.format {
        Format::Text => text::render(&action, &explanation, &actions, &shown),
        Format::Json => json::render(&action, &explanation, &shown),
    });
    ExitCode::SUCCESS
}
