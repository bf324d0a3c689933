//! How the commands say things.

use std::io::{self, Write as _};
use std::path::Path;

/// Writes to standard output. Who reads no further wants no more.
pub(super) fn out(text: &str) {
    io::stdout().write_all(text.as_bytes()).ok();
}

/// `1 file`, `2 files`.
pub(super) fn counted(count: usize, what: &str) -> String {
    if count == 1 { format!("1 {what}") } else { format!("{count} {what}s") }
}

/// Why an engine that was asked did not answer.
pub(super) fn no_answer(config: &Path, error: &io::Error) -> String {
    let config = config.display();
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
