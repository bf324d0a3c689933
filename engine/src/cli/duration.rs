//! Durations as ISO 8601 writes them, of the days and times that a clock can count.

use std::time::Duration;

/// Parses a duration such as `PT30S`, `PT1M30.5S` or `P1DT12H`. `None` where it is none.
pub(super) fn iso_duration(text: &str) -> Option<Duration> {
    let text = text.to_ascii_uppercase();
    let rest = text.strip_prefix('P')?;
    let (days, time) = match rest.split_once('T') {
        Some((days, time)) if !time.is_empty() => (days, time),
        Some(_) => return None,
        None if !rest.is_empty() => (rest, ""),
        None => return None,
    };
    let mut seconds = match days {
        "" => 0,
        days => count(days.strip_suffix('D')?)?.checked_mul(86_400)?,
    };
    let mut rest = time;
    for (unit, worth) in [('H', 3600), ('M', 60)] {
        if let Some((number, after)) = rest.split_once(unit) {
            seconds = count(number)?.checked_mul(worth)?.checked_add(seconds)?;
            rest = after;
        }
    }
    let mut nanos = 0;
    if let Some(number) = rest.strip_suffix('S') {
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        seconds = count(whole)?.checked_add(seconds)?;
        if !fraction.is_empty() || number.contains('.') {
            let is_fraction = fraction.len() <= 9 && fraction.bytes().all(|b| b.is_ascii_digit());
            nanos = format!("{fraction:0<9}").parse().ok().filter(|_| is_fraction)?;
        }
    } else if !rest.is_empty() {
        return None;
    }
    Some(Duration::new(seconds, nanos))
}

/// A number of digits only.
fn count(text: &str) -> Option<u64> {
    text.parse().ok().filter(|_| text.bytes().all(|byte| byte.is_ascii_digit()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_has_days_hours_minutes_and_seconds_in_this_order() {
        for (text, millis) in [
            ("PT30S", 30_000),
            ("pt0.25s", 250),
            ("PT1M30.5S", 90_500),
            ("PT2H", 7_200_000),
            ("P1D", 86_400_000),
            ("P1DT1H1M1S", 90_061_000),
        ] {
            assert_eq!(iso_duration(text), Some(Duration::from_millis(millis)), "{text}");
        }
        for text in [
            "",
            "P",
            "PT",
            "30",
            "30S",
            "PT30",
            "PTS",
            "PT-1S",
            "PT+1S",
            "P1M",
            "PT1S1M",
            "PT1.5H",
            "P1DT",
            "PT1.0000000001S",
            "PT99999999999999999999S",
            "PT 1S",
            "P9999999999999999999D",
        ] {
            assert_eq!(iso_duration(text), None, "{text}");
        }
    }
}
