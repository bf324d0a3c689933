//! Where a partition ended, from what librdkafka says.

/// The offset in librdkafka's report of a partition's end (`… reached end of partition at offset
/// 42 (HighwaterMark 42)`). Its event carries the offset only in this text.
pub(super) fn eof_offset(reason: &str) -> Option<i64> {
    let (_, rest) = reason.split_once("end of partition at offset ")?;
    rest.split(' ').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_offset_is_read_and_nothing_else_is_taken_for_one() {
        let reason = "Fetch from broker 1 reached end of partition at offset 42 (HighwaterMark 43)";
        assert_eq!(eof_offset(reason), Some(42));
        assert_eq!(eof_offset("Fetch from broker 1 failed: Broker: Unknown topic"), None);
        assert_eq!(eof_offset("end of partition at offset x (HighwaterMark 43)"), None);
    }
}
