//! Commands of Zilla's that are not here: what does their work instead.

#![expect(clippy::print_stderr, reason = "this is what talks to a person")]

use std::ffi::OsString;
use std::process::ExitCode;

/// Whatever such a command was given.
#[derive(Debug, clap::Args)]
#[command(disable_help_flag = true)]
pub(super) struct Arguments {
    #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
    _rest: Vec<OsString>,
}

/// Says what to use in place of `command`.
pub(super) fn refuse(command: &str, instead: &str) -> ExitCode {
    eprintln!("zilla: there is no command {command} here: {instead}");
    ExitCode::from(2)
}
