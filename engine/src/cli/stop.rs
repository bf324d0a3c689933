//! `zilla stop`.

#![expect(clippy::print_stderr, reason = "this is what talks to a person")]

use std::process::ExitCode;
use std::time::Duration;

use crate::cli::{location, no_answer};
use crate::config::Location;
use crate::runtime::stop;

/// The arguments of `zilla stop`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// The configuration that the engine was started with.
    #[arg(short, long, value_name = "FILE", default_value = "./zilla.yaml", value_parser = location())]
    config: Location,
    /// Seconds to wait for its end; connections have ten.
    #[arg(long, value_name = "SECONDS", default_value_t = 60)]
    timeout: u64,
}

pub(super) fn run(arguments: &Arguments) -> ExitCode {
    match stop(&arguments.config, Duration::from_secs(arguments.timeout.max(1))) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("{}", no_answer(&arguments.config, &error));
            ExitCode::FAILURE
        }
    }
}
