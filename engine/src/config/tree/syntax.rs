//! What is wrong with a text that is not YAML, in words.

use granit_parser::{ErrorKind, ScanError};

use crate::config::codes::{self, Code};
use crate::config::tree::DEPTH;
use crate::config::{Problem, Problems, Source, Span};

/// Texts in messages are cut to so many characters.
const SHOWN: usize = 60;

/// A text, cut to what a message can hold.
pub(in crate::config) fn shortened(text: &str) -> String {
    let mut shown: String = text.chars().take(SHOWN).collect();
    if shown.len() < text.len() {
        shown.push('…');
    }
    shown.replace(|c: char| c.is_control(), " ")
}

/// YAML has no control characters but tab and the line ends. `None` where there is one; the parser
/// would take some of them for the end of the file.
pub(super) fn check_characters(source: &Source, problems: &mut Problems) -> Option<()> {
    let is_forbidden = |byte: u8| byte < b' ' && !matches!(byte, b'\t' | b'\n' | b'\r');
    let Some(at) = source.text().bytes().position(is_forbidden) else { return Some(()) };
    let code = source.text().as_bytes().get(at).copied().unwrap_or_default();
    let message = format!("the control character U+{code:04X} is not allowed");
    problems.push(
        Problem::new(codes::E0108, source.span(at, at + 1), message)
            .with_help("remove it, or write it in double quotes as an escape (\\0, \\x1b)"),
    );
    None
}

pub(super) fn too_deep(span: Span) -> Problem {
    Problem::new(codes::E0107, span, format!("values nest deeper than {DEPTH} levels"))
}

/// The problem that a parser's error is.
pub(super) fn problem(source: &Source, error: &ScanError) -> Problem {
    let text = source.text();
    let at = error.marker().byte_offset().unwrap_or(text.len()).min(text.len());
    let span = place(source, at);
    if *error.kind() == ErrorKind::RecursionLimitExceeded {
        return too_deep(span);
    }
    let (code, message, help) = describe(error);
    let span = if help == SPACES { tab(source, at).unwrap_or(span) } else { span };
    let mut problem = Problem::new(code, span, message);
    let help = if in_flow_expression(source, at) {
        "quote an expression between [ ] or { }: \"${{env.NAME}}\"".to_owned()
    } else {
        help
    };
    if !help.is_empty() {
        problem = problem.with_help(help);
    }
    problem
}

/// The character at `at`; at the end of a line or the file, the last one before.
fn place(source: &Source, at: usize) -> Span {
    let text = source.text();
    let after = text.get(at..).unwrap_or_default();
    if let Some(c) = after.chars().next().filter(|c| !c.is_whitespace()) {
        return source.span(at, at + c.len_utf8());
    }
    let before = text.get(..at).unwrap_or_default().trim_end();
    let is_same_line = text.get(before.len()..at).is_some_and(|gap| !gap.contains('\n'));
    match before.chars().next_back() {
        Some(c) if is_same_line || after.is_empty() => {
            source.span(before.len() - c.len_utf8(), before.len())
        }
        _ => source.span(at, at),
    }
}

/// The tab that an error at `at` means: the one before, or the next.
fn tab(source: &Source, at: usize) -> Option<Span> {
    let (before, after) = source.text().split_at_checked(at)?;
    let at = if before.ends_with('\t') { at - 1 } else { at + after.find('\t')? };
    Some(source.span(at, at + 1))
}

/// Whether the error lies in an expression that YAML takes for a map, because it is neither quoted
/// nor in a block.
fn in_flow_expression(source: &Source, at: usize) -> bool {
    let text = source.text();
    let begin = text.get(..at).and_then(|before| before.rfind('\n')).map_or(0, |at| at + 1);
    // The parser stops at the first brace.
    let line = text.get(begin..at + 1).unwrap_or_default();
    line.rfind("${").is_some_and(|expression| {
        let before = line.get(..expression).unwrap_or_default();
        before.contains(['[', '{']) && !before.ends_with(['"', '\''])
    })
}

const SPACES: &str = "indent with spaces";

/// Code, message, help.
fn describe(error: &ScanError) -> (&'static Code, String, String) {
    let (message, help) = match error.kind() {
        ErrorKind::UnknownAnchor => {
            let message = "the alias names no anchor that is defined before it";
            let help = "define it with &NAME, or quote a value that begins with *";
            return (codes::E0104, message.to_owned(), help.to_owned());
        }
        ErrorKind::UndeclaredTagHandle => {
            return (
                codes::E0106,
                "unknown tag".to_owned(),
                "quote a value that begins with !".into(),
            );
        }
        ErrorKind::TabNotAllowed
        | ErrorKind::TabInBlockIndentation
        | ErrorKind::TabInIndentation
        | ErrorKind::TabAtBlockScalarStart
        | ErrorKind::TabInPlainScalar => ("a tab is used as indentation", SPACES),
        ErrorKind::UnclosedQuotedScalar => ("the quote is never closed", "add the closing quote"),
        ErrorKind::UnclosedFlowCollection { open } => {
            let close = if *open == '[' { ']' } else { '}' };
            let message = format!("`{open}` is never closed");
            return (codes::E0101, message, format!("add `{close}`"));
        }
        ErrorKind::MismatchedFlowCollectionEnd { open, close } => {
            return (codes::E0101, format!("`{open}` is closed by `{close}`"), String::new());
        }
        ErrorKind::MisplacedFlowCollectionEnd => ("this bracket closes nothing", ""),
        ErrorKind::ExpectedFlowMappingSeparator => ("expected `,` or `}`", ""),
        ErrorKind::ExpectedFlowSequenceSeparator => ("expected `,` or `]`", ""),
        ErrorKind::SimpleKeyExpected | ErrorKind::InvalidSimpleKey => {
            ("expected `:` after the key", "write `key: value`")
        }
        ErrorKind::ExpectedBlockMappingKey => {
            ("expected a key", "indent it like the keys before it")
        }
        ErrorKind::ExpectedBlockSequenceEntry => {
            ("expected `- `", "indent it like the items before it")
        }
        ErrorKind::InvalidIndentation => {
            ("the indentation fits nothing above", "indent it like the lines it belongs to")
        }
        ErrorKind::MappingValueNotAllowed => (
            "a `: ` is not allowed here",
            "a value that contains `: ` is quoted; a nested key goes on a line of its own",
        ),
        ErrorKind::MissingAnchorOrAliasName => {
            ("a name is missing after this `*` or `&`", "quote a value that begins with * or &")
        }
        ErrorKind::InvalidColonPlacement => {
            ("a `:` is not allowed here", "is a [ or { above not closed?")
        }
        ErrorKind::BlockSequenceEntryNotAllowed => {
            ("a list item is not allowed here", "put `- ` on a line of its own")
        }
        ErrorKind::UnexpectedCharacter { character } => {
            let message = format!("a value cannot begin with `{}`", character.escape_debug());
            return (codes::E0101, message, "quote the value".to_owned());
        }
        ErrorKind::UnknownQuotedScalarEscape => {
            ("unknown escape in double quotes", "write \\\\ for a backslash, or use single quotes")
        }
        _ => return (codes::E0101, error.info(), String::new()),
    };
    (codes::E0101, message.to_owned(), help.to_owned())
}
