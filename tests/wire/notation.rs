//! The words of a scenario's lines: packets' fields, reason codes, bytes in hexadecimal digits.

use crate::harness::{put_bytes, put_var};

/// What stands for text that no other run and no other scenario has, in topics and client ids.
const OWN: char = '@';

/// A word behind the name of a packet.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Word {
    /// A reason code: `0x82`.
    Code(u8),
    /// A field with its value: `qos=1`; one without a value is 1: `retain`.
    Field(String, String),
    /// A field that must not be there: `!reason-string`.
    Absent(String),
}

/// Splits a line at spaces outside of quotes.
pub(crate) fn split(line: &str) -> Result<Vec<String>, String> {
    let mut words = Vec::new();
    let mut word: Option<String> = None;
    let mut quote = None;
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        match (character, quote) {
            ('\\', Some(_)) => {
                let word = word.get_or_insert_default();
                word.push(character);
                word.extend(characters.next());
            }
            (' ', None) => words.extend(word.take()),
            _ => {
                if quote == Some(character) {
                    quote = None;
                } else if quote.is_none() && matches!(character, '"' | '\'') {
                    quote = Some(character);
                }
                word.get_or_insert_default().push(character);
            }
        }
    }
    if quote.is_some() {
        return Err("a quote has no end".to_owned());
    }
    words.extend(word);
    Ok(words)
}

/// Reads the words behind the name of a packet.
pub(crate) fn words(words: &[String]) -> Result<Vec<Word>, String> {
    words.iter().map(|word| read_word(word)).collect()
}

fn read_word(word: &str) -> Result<Word, String> {
    if let Some(digits) = word.strip_prefix("0x") {
        let code = u8::from_str_radix(digits, 16).map_err(|_| format!("{word} is no code"))?;
        return Ok(Word::Code(code));
    }
    if let Some(name) = word.strip_prefix('!') {
        return Ok(Word::Absent(name.to_owned()));
    }
    let (name, value) = word.split_once('=').unwrap_or((word, "1"));
    let value = value.strip_prefix('"').and_then(|value| value.strip_suffix('"')).unwrap_or(value);
    Ok(Word::Field(name.to_owned(), value.to_owned()))
}

/// The text that `value` stands for: `\u{…}` is a code point, `repeat(x,3)` is `xxx`, `@` is `own`.
pub(crate) fn text(value: &str, own: &str) -> Result<String, String> {
    if let Some((before, rest)) = value.split_once("repeat(") {
        let (inside, after) = rest.split_once(')').ok_or("repeat( has no end")?;
        let (piece, count) = inside.rsplit_once(',').ok_or("repeat(TEXT,COUNT)")?;
        let count = count.parse().map_err(|_| format!("repeat {count} times?"))?;
        let pieces = [before, &piece.repeat(count), after].concat();
        return text(&pieces, own);
    }
    let mut found = String::new();
    let mut rest = value;
    while let Some(character) = rest.chars().next() {
        rest = &rest[character.len_utf8()..];
        if let Some(escape) = rest.strip_prefix("u{").filter(|_| character == '\\') {
            let (digits, after) = escape.split_once('}').ok_or("\\u{ has no end")?;
            let point = u32::from_str_radix(digits, 16).ok().and_then(char::from_u32);
            found.push(point.ok_or_else(|| format!("\\u{{{digits}}} is no character"))?);
            rest = after;
        } else if character == OWN {
            found += own;
        } else {
            found.push(character);
        }
    }
    Ok(found)
}

/// The bytes that `value` stands for: those of its text, or hexadecimal digits behind `0x`.
pub(crate) fn binary(value: &str, own: &str) -> Result<Vec<u8>, String> {
    match value.strip_prefix("0x") {
        Some(digits) => digit_pairs(digits),
        None => text(value, own).map(String::into_bytes),
    }
}

/// The bytes of `hex`: pairs of digits; `"text"` with its two bytes of length before it, `'text'`
/// without; `[ … ]` with its length before it as a variable byte integer, `( … )` as two bytes.
pub(crate) fn bytes(words: &[String], own: &str) -> Result<Vec<u8>, String> {
    let mut open: Vec<(&str, Vec<u8>)> = vec![("", Vec::new())];
    for word in words {
        let inner = || text(&word[1..word.len() - 1], own).map(String::into_bytes);
        let (bracket, mut block) = open.pop().ok_or("a bracket too many")?;
        match &**word {
            "[" | "(" => {
                open.push((bracket, block));
                open.push((word, Vec::new()));
                continue;
            }
            "]" | ")" => {
                let (outer, mut into) = open.pop().ok_or("a bracket is closed that is not open")?;
                match (bracket, &**word) {
                    ("[", "]") => {
                        put_var(&mut into, u32::try_from(block.len()).map_err(|_| "too long")?);
                        into.extend(block);
                    }
                    ("(", ")") => put_bytes(&mut into, &block),
                    _ => return Err(format!("{bracket} is closed by {word}")),
                }
                open.push((outer, into));
                continue;
            }
            _ if word.starts_with('"') => put_bytes(&mut block, &inner()?),
            _ if word.starts_with('\'') => block.extend(inner()?),
            digits => block.extend(digit_pairs(digits)?),
        }
        open.push((bracket, block));
    }
    match <[_; 1]>::try_from(open) {
        Ok([("", bytes)]) => Ok(bytes),
        _ => Err("a bracket is not closed".to_owned()),
    }
}

fn digit_pairs(digits: &str) -> Result<Vec<u8>, String> {
    let pair = |pair: &[u8]| {
        let pair = std::str::from_utf8(pair).ok().filter(|pair| pair.len() == 2)?;
        u8::from_str_radix(pair, 16).ok()
    };
    let bytes: Option<Vec<u8>> = digits.as_bytes().chunks(2).map(pair).collect();
    bytes.ok_or_else(|| format!("{digits} are no pairs of hexadecimal digits"))
}

#[test]
fn bytes_are_written_with_their_lengths() {
    let read = |line: &str| bytes(&split(line).unwrap(), "own");
    assert_eq!(
        read(r#"10 [ "M" 05 [ 11 0000 ] 'x y' ] "#).unwrap(),
        [0x10, 11, 0, 1, b'M', 5, 3, 0x11, 0, 0, b'x', b' ', b'y']
    );
    assert_eq!(read("( ff ( ) )").unwrap(), [0, 3, 0xff, 0, 0]);
    assert_eq!(read(r#""@/\u{e9}""#).unwrap(), "\0\u{6}own/\u{e9}".as_bytes());
    assert_eq!(read("'repeat(ab,3)'").unwrap(), b"ababab");
    for wrong in ["1", "1g", "[ 00", "00 ]", "[ 00 )", "'x"] {
        let words = split(wrong);
        assert!(words.and_then(|words| bytes(&words, "")).is_err(), "{wrong}");
    }
}
