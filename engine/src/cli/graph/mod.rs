//! `zilla graph`.

#![expect(clippy::print_stderr, reason = "this is what talks to a person")]

mod diagram;
mod dot;
mod layout;
mod mermaid;
mod svg;
mod text;

use std::process::ExitCode;

use crate::cli::check::Checker;
use crate::cli::{location, out};
use crate::config::{Allowances, Location};
use crate::spi::Catalog;
use diagram::Diagram;

/// How a graph is drawn.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
enum Format {
    /// A tree, for a terminal.
    #[default]
    Text,
    /// A Mermaid flow chart, which GitHub and others draw in Markdown.
    Mermaid,
    /// The language of Graphviz.
    Dot,
    /// A picture.
    Svg,
}

/// The arguments of `zilla graph`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration: a file, or an address.
    #[arg(short, long, value_name = "FILE", default_value = "./zilla.yaml", value_parser = location())]
    config: Location,
    /// How it is drawn.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
}

pub(super) fn run(arguments: &Arguments, catalog: &Catalog) -> ExitCode {
    let source = match catalog.open(&arguments.config) {
        Ok(source) => source,
        Err(problem) => {
            eprintln!("{problem}");
            return ExitCode::FAILURE;
        }
    };
    let checked = Checker::new(catalog, Allowances::default()).check(source);
    let Some((config, plan)) = &checked.plan else {
        eprint!("{}", checked.problems.render());
        eprintln!("zilla: the configuration has errors; its graph cannot be drawn");
        return ExitCode::FAILURE;
    };
    let shown = |text: &str| checked.environment.redact(&checked.source, text);
    let diagram = Diagram::new(config, plan, &shown);
    out(&match arguments.format {
        Format::Text => text::draw(&diagram),
        Format::Mermaid => mermaid::draw(&diagram),
        Format::Dot => dot::draw(&diagram),
        Format::Svg => svg::draw(&diagram),
    });
    ExitCode::SUCCESS
}
