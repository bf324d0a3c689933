//! Records that are to be appended, borrowed from wherever they lie.

/// The headers of a record that is to be appended, in order, repeats kept. Read by a visitor, so
/// that nobody collects them.
pub trait DraftHeaders {
    /// How many headers `for_each` will name.
    fn count(&self) -> usize;
    /// Calls `visit` with each header, in order.
    fn for_each<'s>(&'s self, visit: &mut dyn FnMut(&'s str, Option<&'s [u8]>));
}

impl DraftHeaders for () {
    fn count(&self) -> usize {
        0
    }
    fn for_each<'s>(&'s self, _: &mut dyn FnMut(&'s str, Option<&'s [u8]>)) {}
}

/// A record that is to be appended.
#[derive(Clone, Copy)]
pub struct Draft<'a> {
    /// The Kafka topic.
    pub topic: &'a str,
    /// The key.
    pub key: Option<&'a [u8]>,
    /// What chooses the partition by murmur2, where it is not the key.
    pub hash_key: Option<&'a [u8]>,
    /// The value; `None` is a tombstone.
    pub value: Option<&'a [u8]>,
    /// CreateTime, milliseconds since the epoch; `None`: the producer's clock at the append.
    pub timestamp: Option<i64>,
    /// The headers.
    pub headers: &'a dyn DraftHeaders,
}
