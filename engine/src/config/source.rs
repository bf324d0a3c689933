//! Files as text, and places in them.

use std::io::Read;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::{fmt, fs, io};

use crate::config::{Problem, codes};

/// A configuration file is at most so large, bytes.
pub(super) const MOST: u64 = 16 << 20;

/// The text of a configuration file.
#[derive(Clone, Debug)]
pub struct Source(Arc<Text>);

#[derive(Debug)]
struct Text {
    name: String,
    text: String,
    /// Where each line begins, bytes.
    lines: Vec<usize>,
    /// How many characters lie before each block of [`BLOCK`] bytes; none until someone asks.
    characters: OnceLock<Vec<Characters>>,
}

/// Characters are counted from the last block on: a line may have millions, and problems hundreds.
const BLOCK: usize = 4096;

/// How many characters a part of a text has.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Characters {
    all: usize,
    /// Those that UTF-16 writes as two units.
    pairs: usize,
}

impl Characters {
    /// Those that begin in a part of a text.
    fn of(bytes: &[u8]) -> Self {
        let all = bytes.iter().filter(|byte| **byte & 0xc0 != 0x80).count();
        let pairs = bytes.iter().filter(|byte| **byte >= 0xf0).count();
        Self { all, pairs }
    }

    fn and(self, more: Self) -> Self {
        Self { all: self.all + more.all, pairs: self.pairs + more.pairs }
    }
}

impl Source {
    /// A text with the name that diagnostics give to it.
    #[must_use]
    pub fn new(name: impl Into<String>, text: impl Into<String>) -> Self {
        let (name, text) = (name.into(), text.into());
        let bytes = text.as_bytes();
        // A carriage return alone ends a line too, to YAML.
        let is_end = |at: usize| match bytes.get(at) {
            Some(b'\n') => true,
            Some(b'\r') => bytes.get(at + 1) != Some(&b'\n'),
            _ => false,
        };
        let ends = (0..bytes.len()).filter(|at| is_end(*at));
        let lines = std::iter::once(0).chain(ends.map(|at| at + 1)).collect();
        Self(Arc::new(Text { name, text, lines, characters: OnceLock::new() }))
    }

    /// Reads a file of at most 16 MiB.
    ///
    /// # Errors
    /// Where it cannot be read, is larger, or is not UTF-8.
    pub fn read(path: &Path) -> io::Result<Self> {
        Self::read_from(path.display().to_string(), fs::File::open(path)?)
    }

    /// Reads at most 16 MiB to the end.
    ///
    /// # Errors
    /// As [`Source::read`].
    pub fn read_from(name: impl Into<String>, from: impl Read) -> io::Result<Self> {
        let text = String::from_utf8(bytes(from)?).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let line = error.as_bytes()[..at].iter().filter(|byte| **byte == b'\n').count() + 1;
            io::Error::new(io::ErrorKind::InvalidData, format!("line {line} is not UTF-8 text"))
        })?;
        Ok(Self::new(name, text))
    }

    /// Reads a file as [`Source::read`] does, or says as a problem why it cannot.
    ///
    /// # Errors
    /// The problem, which has a source of its own; of a text that is not UTF-8, at its place.
    pub fn open(path: &Path) -> Result<Self, Problem> {
        let name = path.display().to_string();
        let file = fs::File::open(path);
        file.map_err(|error| unreadable(&name, &error))
            .and_then(|file| Self::open_from(&name, file))
    }

    /// Reads to the end as [`Source::read_from`] does, or says as a problem why it cannot.
    ///
    /// # Errors
    /// As [`Source::open`].
    pub fn open_from(name: &str, from: impl Read) -> Result<Self, Problem> {
        let bytes = bytes(from).map_err(|error| unreadable(name, &error))?;
        String::from_utf8(bytes).map(|text| Self::new(name, text)).map_err(|error| {
            let at = error.utf8_error().valid_up_to();
            let source = Self::new(name, String::from_utf8_lossy(error.as_bytes()));
            let span = source.span(at, at + char::REPLACEMENT_CHARACTER.len_utf8());
            Problem::new(codes::E0109, span, "the file is not UTF-8 text")
                .with_help("save it as UTF-8")
        })
    }

    /// The name that diagnostics give to it: the path as it was given.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.0.name
    }

    /// The text.
    #[must_use]
    pub fn text(&self) -> &str {
        &self.0.text
    }

    fn line_index(&self, at: usize) -> usize {
        self.0.lines.partition_point(|begin| *begin <= at).saturating_sub(1)
    }

    fn position(&self, at: usize) -> Position {
        let index = self.line_index(at);
        let mut begin = self.0.lines[index];
        if self.0.text.get(begin..).is_some_and(|line| line.starts_with(BYTE_ORDER_MARK)) {
            begin = (begin + BYTE_ORDER_MARK.len_utf8()).min(at);
        }
        let (before, line) = (self.characters_before(at), self.characters_before(begin));
        let column = before.all - line.all + 1;
        Position { line: index + 1, column, column_utf16: column + before.pairs - line.pairs }
    }

    /// How many characters begin before a byte.
    fn characters_before(&self, at: usize) -> Characters {
        let bytes = self.0.text.as_bytes();
        let blocks = self.0.characters.get_or_init(|| {
            let mut sum = Characters::default();
            let each = bytes.chunks(BLOCK).map(|block| {
                let before = sum;
                sum = sum.and(Characters::of(block));
                before
            });
            let mut blocks: Vec<Characters> = each.collect();
            blocks.push(sum);
            blocks
        });
        let block = at / BLOCK;
        let before = blocks.get(block).copied().unwrap_or_default();
        before.and(Characters::of(bytes.get(block * BLOCK..at).unwrap_or_default()))
    }

    /// The place from byte `start` to byte `end`.
    #[must_use]
    pub fn span(&self, start: usize, end: usize) -> Span {
        let limit = self.0.text.len();
        let start = start.min(limit);
        Span { source: self.clone(), start, end: end.clamp(start, limit) }
    }
}

/// Reads at most [`MOST`] bytes, to the end.
fn bytes(from: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    from.take(MOST + 1).read_to_end(&mut bytes)?;
    if bytes.len() as u64 > MOST {
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, "larger than 16 MiB"));
    }
    Ok(bytes)
}

/// The problem of a file that has no text.
fn unreadable(name: &str, error: &io::Error) -> Problem {
    let span = Source::new(name, "").span(0, 0);
    Problem::new(codes::E0109, span, format!("the file cannot be read: {error}"))
}

/// A place between two characters of a text. Its line and columns count from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Position {
    /// The line.
    pub line: usize,
    /// The column, in characters.
    pub column: usize,
    /// The column, in units of UTF-16, as some formats and editors count.
    pub column_utf16: usize,
}

/// It may begin a file, and is no character of its first line.
const BYTE_ORDER_MARK: char = '\u{feff}';

impl PartialEq for Source {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
            || (self.0.name == other.0.name && self.0.text == other.0.text)
    }
}

impl Eq for Source {}

/// A place in a [`Source`].
#[derive(Clone, PartialEq, Eq)]
pub struct Span {
    source: Source,
    start: usize,
    end: usize,
}

impl Span {
    /// The text that it is a place in.
    #[must_use]
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// The file's name.
    #[must_use]
    pub fn file(&self) -> &str {
        self.source.name()
    }

    /// Where it begins, bytes from the start of the file.
    #[must_use]
    pub fn start(&self) -> usize {
        self.start
    }

    /// Where it ends, bytes from the start of the file.
    #[must_use]
    pub fn end(&self) -> usize {
        self.end
    }

    fn line_index(&self) -> usize {
        self.source.line_index(self.start)
    }

    /// The line that it begins on, from 1.
    #[must_use]
    pub fn line(&self) -> usize {
        self.line_index() + 1
    }

    /// The column that it begins at, in characters from 1.
    #[must_use]
    pub fn column(&self) -> usize {
        self.start_position().column
    }

    /// Where it begins.
    #[must_use]
    pub fn start_position(&self) -> Position {
        self.source.position(self.start)
    }

    /// Where it ends: before the character of this position.
    #[must_use]
    pub fn end_position(&self) -> Position {
        self.source.position(self.end)
    }

    /// The line that it begins on, without its end.
    #[must_use]
    pub fn line_text(&self) -> &str {
        let index = self.line_index();
        let begin = self.source.0.lines[index];
        let end = self.source.0.lines.get(index + 1).copied();
        let line = self.source.text().get(begin..end.unwrap_or(self.source.text().len()));
        let line = line.unwrap_or_default().trim_end_matches(['\n', '\r']);
        line.strip_prefix(BYTE_ORDER_MARK).unwrap_or(line)
    }

    /// The part of [`Span::line_text`] that lies at most `width` characters before it begins, and
    /// `width` after; and how many of them lie before.
    pub(super) fn line_around(&self, width: usize) -> (&str, usize) {
        let line = self.line_text();
        // The line may begin with a byte order mark, which is not of it.
        let end = self.source.0.lines[self.line_index()..].get(1).copied();
        let text = self.source.text();
        let whole = text.get(..end.unwrap_or(text.len())).unwrap_or_default();
        let begin = whole.trim_end_matches(['\n', '\r']).len() - line.len();
        let at = self.start.clamp(begin, begin + line.len()) - begin;
        let (before, after) = line.split_at_checked(at).unwrap_or((line, ""));
        let shown = before.chars().rev().take(width);
        let (count, bytes) =
            shown.fold((0, 0), |(count, bytes), c| (count + 1, bytes + c.len_utf8()));
        let rest: usize = after.chars().take(width).map(char::len_utf8).sum();
        (line.get(at - bytes..at + rest).unwrap_or_default(), count)
    }

    /// The text that it covers.
    pub(super) fn text(&self) -> &str {
        self.source.text().get(self.start..self.end).unwrap_or_default()
    }

    /// The place of `part` where the text that it covers has it first, from byte `from` on.
    pub(super) fn part(&self, from: usize, part: &str) -> Option<Self> {
        let start = self.start + from + self.text().get(from..)?.find(part)?;
        Some(self.source.span(start, start + part.len()))
    }

    /// How many characters of its first line it covers; at least one, and no more than `most`.
    #[must_use]
    pub fn width(&self, most: usize) -> usize {
        let mut characters = self.text().char_indices();
        let end = characters.nth(most).map_or(self.text().len(), |(at, _)| at);
        let covered = self.text().get(..end).unwrap_or_default();
        covered.lines().next().map_or(0, |line| line.trim_end().chars().count()).max(1)
    }
}

impl fmt::Display for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}:{}", self.file(), self.line(), self.column())
    }
}

impl fmt::Debug for Span {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_span_knows_its_line_and_its_column_in_characters() {
        let source = Source::new("f.yaml", "a: 1\r\nä: öx\n");
        let at = source.text().find('x').unwrap();
        let span = source.span(at, at + 1);
        assert_eq!(span.to_string(), "f.yaml:2:5");
        assert_eq!((span.line_text(), span.width(9)), ("ä: öx", 1));
        let wide = Source::new("f.yaml", "\u{feff}a: \u{1f600}b\nc: d\n");
        let start = wide.text().find('b').unwrap();
        let span = wide.span(start, wide.text().find('d').unwrap() + 1);
        let (begin, end) = (span.start_position(), span.end_position());
        assert_eq!(begin, Position { line: 1, column: 5, column_utf16: 6 });
        assert_eq!(end, Position { line: 2, column: 5, column_utf16: 5 });
        let end = source.span(source.text().len(), 1000);
        assert_eq!((end.line(), end.column(), end.line_text()), (3, 1, ""));
    }

    #[test]
    fn the_place_in_a_long_line_is_counted_in_characters() {
        let text = format!("\u{feff}{}{}b\n", "ä\u{1f600}".repeat(1000), "x".repeat(2 * BLOCK));
        let source = Source::new("f.yaml", text);
        let naive = |at: usize| {
            let before = source.text().get(3.min(at)..at).unwrap();
            (before.chars().count() + 1, before.encode_utf16().count() + 1)
        };
        for (at, _) in source.text().char_indices().filter(|(at, _)| *at != source.text().len() - 1)
        {
            let position = source.position(at);
            assert_eq!((position.column, position.column_utf16), naive(at), "{at}");
        }
        let at = source.text().find('b').unwrap();
        let span = source.span(at, at + 1);
        assert_eq!(span.line_around(3), ("xxxb", 3));
        assert_eq!(source.span(3, 5).line_around(2), ("ä\u{1f600}", 0));
        assert_eq!(source.span(0, 5).line_around(1), ("ä", 0));
        assert_eq!(source.span(3, at).width(5), 5);
    }

    #[test]
    fn what_is_not_utf8_has_its_place() {
        let problem = Source::open_from("f.yaml", &b"a: \xc3\xa4\nb: \xff\xfe\n"[..]).unwrap_err();
        assert_eq!(problem.span().to_string(), "f.yaml:2:4");
        assert_eq!(problem.span().width(9), 1);
    }

    #[test]
    fn a_file_without_an_end_is_refused() {
        let error = Source::read(Path::new("/dev/zero")).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::FileTooLarge);
    }
}
