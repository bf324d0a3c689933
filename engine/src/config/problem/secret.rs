//! Passwords that the file itself has stay out of what is printed: a log of CI has other readers.

use std::ops::Range;

/// Properties whose values nobody is to read.
const SECRETS: [&str; 4] = ["password", "token", "credentials", "authorization"];

/// What stands for a value that comes from elsewhere, and gives nothing away.
const PLACEHOLDERS: [&str; 2] = ["${{", "{credentials}"];

/// Whether the value of a property of this name is not to be shown.
pub(in crate::config) fn is_secret(name: &str) -> bool {
    SECRETS.contains(&name)
}

/// Puts `*` over the secret values of a line, as far as the line alone tells which these are. A
/// placeholder stays: it is no secret where the value comes from.
pub(super) fn hide(line: &mut [char]) {
    let mut from = 0;
    while let Some(value) = next(line, from) {
        from = value.end;
        let text: String = line[value.clone()].iter().collect();
        if !PLACEHOLDERS.iter().any(|placeholder| text.contains(placeholder)) {
            line[value].fill('*');
        }
    }
}

/// The first secret value from `from` on.
fn next(line: &[char], from: usize) -> Option<Range<usize>> {
    (from..line.len()).find_map(|at| {
        let begins = at == 0 || !is_of_word(line[at - 1]);
        let rest = &line[at..];
        let name = SECRETS.into_iter().filter(|_| begins).find(|name| begins_with(rest, name))?;
        value(line, at, at + name.len())
    })
}

/// The value behind a key that ends at `end`, where it is a scalar of this line.
fn value(line: &[char], begin: usize, end: usize) -> Option<Range<usize>> {
    let mut at = end;
    let is_quoted = matches!(line.get(at), Some('"' | '\''));
    at += usize::from(is_quoted);
    at += blanks(line, at);
    if line.get(at) != Some(&':') {
        return None;
    }
    let gap = blanks(line, at + 1);
    at += 1 + gap;
    let first = *line.get(at)?;
    // `a:b` is one word, but behind a key in quotes.
    if (gap == 0 && !is_quoted) || matches!(first, '{' | '[' | '#') {
        return None;
    }
    let rest = &line[at..];
    let length = match first {
        '"' | '\'' => 1 + closing(&rest[1..], first),
        _ => plain(rest, is_in_flow(&line[..begin])),
    };
    Some(at..at + length)
}

/// How long a quoted text is, with the quote that ends it.
fn closing(text: &[char], quote: char) -> usize {
    let mut is_escaped = false;
    for (at, c) in text.iter().enumerate() {
        match *c {
            _ if is_escaped => is_escaped = false,
            '\\' if quote == '"' => is_escaped = true,
            c if c == quote => return at + 1,
            _ => {}
        }
    }
    text.len()
}

/// How long a text without quotes is: to a comment, or to what ends it between brackets.
fn plain(text: &[char], is_in_flow: bool) -> usize {
    let ends = |at: usize| match text[at] {
        ',' | '}' | ']' => is_in_flow,
        '#' => at > 0 && text[at - 1].is_whitespace(),
        _ => false,
    };
    (0..text.len()).find(|at| ends(*at)).unwrap_or(text.len())
}

/// Whether more brackets are opened than closed.
fn is_in_flow(text: &[char]) -> bool {
    let count = |set: [char; 2]| text.iter().filter(|c| set.contains(c)).count();
    count(['{', '[']) > count(['}', ']'])
}

fn begins_with(text: &[char], word: &str) -> bool {
    word.chars().enumerate().all(|(at, c)| text.get(at) == Some(&c))
}

fn blanks(line: &[char], from: usize) -> usize {
    line.get(from..).unwrap_or_default().iter().take_while(|c| c.is_whitespace()).count()
}

fn is_of_word(c: char) -> bool {
    c.is_alphanumeric() || matches!(c, '_' | '-' | '.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secret_values_of_a_line_are_covered() {
        for (line, expected) in [
            ("password: geheim", "password: ******"),
            ("  password: a b, c # why", "  password: *******# why"),
            (
                "{usernme: x, password: geheim, token: \"a, \\\" b\"}",
                "{usernme: x, password: ******, token: *********}",
            ),
            ("{\"password\":\"x\", 'token' : 'y'}", "{\"password\":***, 'token' : ***}"),
            ("sasl: {password: a}, x: y", "sasl: {password: *}, x: y"),
            ("password: ${{env.PASSWORD}}", "password: ${{env.PASSWORD}}"),
            ("credentials: {connect: {username: x}}", "credentials: {connect: {username: x}}"),
            ("password: \"{credentials}\"", "password: \"{credentials}\""),
            ("my-password: x", "my-password: x"),
            ("passwords: x", "passwords: x"),
            ("password:", "password:"),
            ("password: \"open", "password: *****"),
            ("a: password:b", "a: password:b"),
        ] {
            let mut found: Vec<char> = line.chars().collect();
            hide(&mut found);
            assert_eq!(found.into_iter().collect::<String>(), expected);
        }
    }
}
