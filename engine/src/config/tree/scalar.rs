//! What a scalar's text means.
//!
//! Null is `null` or `~` in any case, or nothing; a boolean is `true` or `false` in any case; a
//! number is a JSON number or `0x…`. Everything else is a string: `yes`, `017`, `0o17`, `1_000`,
//! `+1`, `.inf`, `2011-04-29`, `12347-12348`, `::0`.

use serde_json::{Number, Value};

use crate::config::tree::Scalar;

/// The tag of a scalar.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::config) enum Tag {
    Str,
    Int,
    Float,
    Bool,
    Null,
}

impl Tag {
    /// The tag that `suffix` names in YAML's own name space.
    pub(super) fn named(suffix: &str) -> Option<Self> {
        Some(match suffix {
            "str" => Self::Str,
            "int" => Self::Int,
            "float" => Self::Float,
            "bool" => Self::Bool,
            "null" => Self::Null,
            _ => return None,
        })
    }

    fn accepts(self, value: &Value) -> bool {
        match self {
            Self::Str => value.is_string(),
            Self::Int => value.is_i64() || value.is_u64(),
            Self::Float => value.is_number(),
            Self::Bool => value.is_boolean(),
            Self::Null => value.is_null(),
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Str => "!!str",
            Self::Int => "!!int",
            Self::Float => "!!float",
            Self::Bool => "!!bool",
            Self::Null => "!!null",
        }
    }

    fn wants(self) -> &'static str {
        match self {
            Self::Str => "a string",
            Self::Int => "an integer",
            Self::Float => "a number",
            Self::Bool => "`true` or `false`",
            Self::Null => "`null`, `~` or nothing",
        }
    }
}

impl Scalar {
    /// Its value.
    ///
    /// # Errors
    /// What to say where its text does not fit its tag. The text itself is not said: it may come
    /// from the environment.
    pub(in crate::config) fn resolve(&self) -> Result<Value, String> {
        match self.tag {
            Some(Tag::Str) => Ok(Value::String(self.text.clone())),
            None if !self.is_plain => Ok(Value::String(self.text.clone())),
            None => Ok(resolve_plain(&self.text)),
            Some(tag) => {
                let value = resolve_plain(&self.text);
                if tag.accepts(&value) {
                    Ok(value)
                } else {
                    Err(format!("the value after `{}` is not {}", tag.name(), tag.wants()))
                }
            }
        }
    }
}

fn resolve_plain(text: &str) -> Value {
    let is = |word: &str| text.eq_ignore_ascii_case(word);
    match text.bytes().next() {
        None => Value::Null,
        Some(b'~') if text.len() == 1 => Value::Null,
        Some(b'n' | b'N') if is("null") => Value::Null,
        Some(b't' | b'T') if is("true") => Value::Bool(true),
        Some(b'f' | b'F') if is("false") => Value::Bool(false),
        Some(b'-' | b'0'..=b'9') => {
            number(text).map_or_else(|| Value::String(text.to_owned()), Value::Number)
        }
        Some(_) => Value::String(text.to_owned()),
    }
}

/// A JSON number or `0x…`; `None` where it is neither, or is beyond what 64 bits hold.
fn number(text: &str) -> Option<Number> {
    if let Some(digits) = text.strip_prefix("0x") {
        // Not `from_str_radix` alone: it takes a sign.
        let is_hex = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
        return is_hex.then(|| u64::from_str_radix(digits, 16).ok().map(Number::from))?;
    }
    let unsigned = text.strip_prefix('-').unwrap_or(text);
    let (whole, rest) = split_digits(unsigned);
    if whole.is_empty() || (whole.len() > 1 && whole.starts_with('0')) {
        return None;
    }
    if rest.is_empty() {
        let integer = text.parse::<i64>().map(Number::from);
        return integer.or_else(|_| text.parse::<u64>().map(Number::from)).ok();
    }
    let (fraction, rest) = match rest.strip_prefix('.') {
        Some(rest) => split_digits(rest),
        None => ("0", rest),
    };
    let exponent = match rest.strip_prefix(['e', 'E']) {
        Some(rest) => split_digits(rest.strip_prefix(['+', '-']).unwrap_or(rest)),
        None => ("0", rest),
    };
    if fraction.is_empty() || exponent.0.is_empty() || !exponent.1.is_empty() {
        return None;
    }
    integral(text).or_else(|| Number::from_f64(text.parse().ok()?))
}

/// A whole number that is written with a fraction or an exponent (`1.0`, `1e3`) is an integer to
/// JSON Schema, so it is one to those who read the value too.
fn integral(text: &str) -> Option<Number> {
    /// Up to here, each integer is a `f64` of its own.
    const EXACT: f64 = 9_007_199_254_740_992.0;
    let float: f64 = text.parse().ok()?;
    if float.fract() != 0.0 || float.abs() > EXACT {
        return None;
    }
    format!("{float:.0}").parse::<i64>().ok().map(Number::from)
}

fn split_digits(text: &str) -> (&str, &str) {
    let end = text.bytes().position(|byte| !byte.is_ascii_digit()).unwrap_or(text.len());
    text.split_at(end)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_plain_scalar_has_the_type_that_the_dialect_gives_it() {
        for (text, value) in [
            ("", json!(null)),
            ("~", json!(null)),
            ("null", json!(null)),
            ("NULL", json!(null)),
            ("True", json!(true)),
            ("fAlse", json!(false)),
            ("0", json!(0)),
            ("-0", json!(0)),
            ("7183", json!(7183)),
            ("-12", json!(-12)),
            ("18446744073709551615", json!(u64::MAX)),
            ("1.5", json!(1.5)),
            ("-1.5e-3", json!(-0.0015)),
            ("1.0", json!(1)),
            ("1e3", json!(1000)),
            ("0x1F", json!(31)),
            ("0xffffffffffffffff", json!(u64::MAX)),
        ] {
            assert_eq!(resolve_plain(text), value, "{text}");
        }
    }

    #[test]
    fn what_other_dialects_read_as_something_else_is_a_string() {
        for text in [
            "yes",
            "no",
            "on",
            "off",
            "y",
            "017",
            "00",
            "0o17",
            "1_000",
            "+1",
            ".5",
            "5.",
            "1e",
            "1e+",
            ".inf",
            "-.inf",
            ".nan",
            "0x",
            "0xg",
            "0x+1",
            "-0x1",
            "-",
            "--1",
            "1-",
            "2011-04-29",
            "12347-12348",
            "::0",
            "::1/64",
            "12:30:45",
            "nil",
            "~~",
            "nullx",
            "١٢",
            "1e999",
            "18446744073709551616",
            "0x10000000000000000",
        ] {
            assert_eq!(resolve_plain(text), json!(text), "{text}");
        }
    }
}
