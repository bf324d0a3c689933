//! How the commands say things.

use std::ffi::OsStr;
use std::io::{self, Write as _};

use clap::builder::TypedValueParser;
use clap::error::ErrorKind;
use clap::{Arg, Command, Error};

use crate::config::Location;

/// Writes to standard output. Who reads no further wants no more.
pub(super) fn out(text: &str) {
    io::stdout().write_all(text.as_bytes()).ok();
}

/// `1 file`, `2 files`.
pub(super) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Takes a location from the command line.
pub(super) const fn location() -> LocationParser {
    LocationParser
}

/// Parses a location. Its errors do not show what was given, which may have a password in it.
#[derive(Clone, Copy, Debug)]
pub(super) struct LocationParser;

impl TypedValueParser for LocationParser {
    type Value = Location;

    fn parse_ref(&self, cmd: &Command, _: Option<&Arg>, value: &OsStr) -> Result<Location, Error> {
        let location = Location::parse(value.to_owned());
        location.map_err(|error| {
            Error::raw(ErrorKind::ValueValidation, format!("{error}\n")).with_cmd(cmd)
        })
    }
}

/// Why an engine that was asked did not answer.
pub(super) fn no_answer(config: &Location, error: &io::Error) -> String {
    match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => {
            format!("zilla: no engine of this user runs on {config}")
        }
        io::ErrorKind::WouldBlock | io::ErrorKind::TimedOut => {
            format!("zilla: the engine that runs on {config} does not answer in time")
        }
        _ => format!("zilla: the engine that runs on {config} does not answer: {error}"),
    }
}

/// Rows in columns.
pub(super) fn table<const N: usize>(rows: &[[String; N]]) -> String {
    let mut widths = [0; N];
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(cell.chars().count());
        }
    }
    let mut text = String::new();
    for row in rows {
        let mut line = String::new();
        for (width, cell) in widths.iter().zip(row) {
            line.push_str(cell);
            let padding = width - cell.chars().count() + 2;
            line.extend(std::iter::repeat_n(' ', padding));
        }
        text.push_str(line.trim_end());
        text.push('\n');
    }
    text
}
