//! Words of commands that people run.

/// A text as one word of a POSIX shell's command.
#[must_use]
pub fn shell_word(text: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || "._-:@/+".contains(c);
    if !text.is_empty() && text.chars().all(is_plain) {
        return text.to_owned();
    }
    format!("'{}'", text.replace('\'', r"'\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_a_shell_gives_a_meaning_is_quoted() {
        assert_eq!(shell_word("k-1.example:9092"), "k-1.example:9092");
        assert_eq!(shell_word("o'hara $1"), r"'o'\''hara $1'");
        assert_eq!(shell_word(""), "''");
    }
}
