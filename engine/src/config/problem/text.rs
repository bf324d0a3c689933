//! A problem as text, for a person.

use std::fmt;

use crate::config::problem::secret::hide;
use crate::config::{Problem, Span};

/// `file:line:col: error[CODE]: message`, the line with a marker, help, related places.
impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (severity, code) = (self.severity().name(), self.code().id());
        writeln!(f, "{}: {severity}[{code}]: {}", self.span(), self.message())?;
        excerpt(f, self.span(), self.help().unwrap_or_default())?;
        for (span, label) in self.related() {
            writeln!(f, "{span}: {label}")?;
            excerpt(f, span, "")?;
        }
        Ok(())
    }
}

/// Lines longer than this are cut around the marker, characters.
const WIDTH: usize = 160;

/// So far from the marker on each side a line is searched for what is not to be shown, characters.
const AROUND: usize = 4096;

/// Stands where a line is cut.
pub(super) const CUT: char = '…';

fn excerpt(f: &mut fmt::Formatter<'_>, span: &Span, label: &str) -> fmt::Result {
    let number = span.line().to_string();
    let gutter = " ".repeat(number.len());
    // A tab takes one column here, as it does in `column`; other control characters are not shown.
    let clean = |c: char| if c.is_control() { ' ' } else { c };
    let (around, indent) = span.line_around(AROUND);
    let mut line: Vec<char> = around.chars().map(clean).collect();
    hide(&mut line);
    let skipped = indent.saturating_sub(WIDTH / 2);
    let indent = indent - skipped;
    line.drain(..skipped);
    if line.len() > WIDTH {
        line.truncate(WIDTH);
        line[WIDTH - 1] = CUT;
    }
    if skipped > 0 {
        line[0] = CUT;
    }
    let shown = line.len();
    let line: String = line.into_iter().collect();
    let width = span.width(WIDTH).min(shown.saturating_sub(indent)).max(1);
    writeln!(f, "{gutter} |")?;
    writeln!(f, "{number} | {}", line.trim_end())?;
    let marker = format!("{}{} {label}", " ".repeat(indent), "^".repeat(width));
    writeln!(f, "{gutter} | {}", marker.trim_end())
}
