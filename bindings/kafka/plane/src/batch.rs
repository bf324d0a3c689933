//! Records as they were read: a run of one partition, in one piece of memory.

use std::ops::Range;
use std::time::Instant;

const NULL: u32 = u32::MAX;

/// A run of records of one topic partition, immutable, in offset order. Offsets may have gaps:
/// compaction, transaction markers.
#[derive(Debug)]
pub struct Batch {
    partition: u32,
    next_offset: i64,
    read_at: Option<Instant>,
    bytes: Box<[u8]>,
    entries: Box<[Entry]>,
    headers: Box<[(Slice, Slice)]>,
}

#[derive(Clone, Copy, Debug)]
struct Slice {
    start: u32,
    length: u32,
}

impl Slice {
    fn of(self, bytes: &[u8]) -> Option<&[u8]> {
        (self.length != NULL).then(|| {
            let start = self.start as usize;
            &bytes[start..start + self.length as usize]
        })
    }
}

#[derive(Debug)]
struct Entry {
    offset: i64,
    timestamp: i64,
    key: Slice,
    value: Slice,
    headers: Range<u32>,
}

impl Batch {
    /// The partition that the records lie in.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.partition
    }

    /// The offset of the first record.
    #[must_use]
    pub fn first_offset(&self) -> i64 {
        self.entries.first().map_or(self.next_offset, |entry| entry.offset)
    }

    /// The offset at which reading goes on after this batch.
    #[must_use]
    pub fn next_offset(&self) -> i64 {
        self.next_offset
    }

    /// When this process had read all of it; `None` where nobody noted that.
    #[must_use]
    pub fn read_at(&self) -> Option<Instant> {
        self.read_at
    }

    /// The same batch, read at this moment.
    #[must_use]
    pub fn with_read_at(self, read_at: Instant) -> Self {
        Self { read_at: Some(read_at), ..self }
    }

    /// How many records there are.
    #[must_use]
    pub fn len(&self) -> u32 {
        u32::try_from(self.entries.len()).unwrap_or(u32::MAX)
    }

    /// Whether there is no record.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    /// Memory that the batch holds, bytes.
    #[must_use]
    pub fn footprint(&self) -> usize {
        self.bytes.len()
            + self.entries.len() * size_of::<Entry>()
            + self.headers.len() * size_of::<(Slice, Slice)>()
            + size_of::<Self>()
    }

    /// The record at `index`, which is below [`Batch::len`].
    #[must_use]
    pub fn record(&self, index: u32) -> Record<'_> {
        Record { batch: self, entry: &self.entries[index as usize] }
    }

    /// The index of the first record whose offset is at or after `offset`; [`Batch::len`] if none.
    #[must_use]
    pub fn index_of(&self, offset: i64) -> u32 {
        let index = self.entries.partition_point(|entry| entry.offset < offset);
        u32::try_from(index).unwrap_or(u32::MAX)
    }
}

/// One record of a [`Batch`].
#[derive(Clone, Copy)]
pub struct Record<'a> {
    batch: &'a Batch,
    entry: &'a Entry,
}

impl<'a> Record<'a> {
    /// The partition.
    #[must_use]
    pub fn partition(&self) -> u32 {
        self.batch.partition
    }

    /// The offset.
    #[must_use]
    pub fn offset(&self) -> i64 {
        self.entry.offset
    }

    /// The timestamp, milliseconds since the epoch; −1 where there is none.
    #[must_use]
    pub fn timestamp(&self) -> i64 {
        self.entry.timestamp
    }

    /// The key.
    #[must_use]
    pub fn key(&self) -> Option<&'a [u8]> {
        self.entry.key.of(&self.batch.bytes)
    }

    /// The value; `None` is a tombstone.
    #[must_use]
    pub fn value(&self) -> Option<&'a [u8]> {
        self.entry.value.of(&self.batch.bytes)
    }

    /// The headers, in order.
    #[must_use]
    pub fn headers(&self) -> Headers<'a> {
        let range = self.entry.headers.start as usize..self.entry.headers.end as usize;
        Headers { bytes: &self.batch.bytes, slices: self.batch.headers[range].iter() }
    }
}

/// A header: its name, and its value where it is not null.
pub type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// The headers of a record, in order, from both ends.
#[derive(Clone)]
pub struct Headers<'a> {
    bytes: &'a [u8],
    slices: std::slice::Iter<'a, (Slice, Slice)>,
}

impl<'a> Headers<'a> {
    fn resolve(bytes: &'a [u8], pair: &(Slice, Slice)) -> Header<'a> {
        (pair.0.of(bytes).unwrap_or_default(), pair.1.of(bytes))
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.slices.next().map(|pair| Self::resolve(self.bytes, pair))
    }

    fn size_hint(&self) -> (usize, Option<usize>) {
        self.slices.size_hint()
    }
}

impl DoubleEndedIterator for Headers<'_> {
    fn next_back(&mut self) -> Option<Self::Item> {
        self.slices.next_back().map(|pair| Self::resolve(self.bytes, pair))
    }
}

impl ExactSizeIterator for Headers<'_> {}

/// Collects records into a [`Batch`]. Kept by the fetcher and used again, so that a batch costs
/// its three exact-size allocations and no growth.
#[derive(Debug, Default)]
pub struct BatchBuilder {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    headers: Vec<(Slice, Slice)>,
}

impl BatchBuilder {
    /// An empty builder.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Bytes collected so far. A caller closes the batch well below 4 GiB.
    #[must_use]
    pub fn len_bytes(&self) -> usize {
        self.bytes.len()
    }

    /// Whether no record was collected.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    fn store(&mut self, bytes: Option<&[u8]>) -> Slice {
        let Some(bytes) = bytes else { return Slice { start: 0, length: NULL } };
        let start = u32::try_from(self.bytes.len()).unwrap_or(NULL);
        self.bytes.extend_from_slice(bytes);
        Slice { start, length: u32::try_from(bytes.len()).unwrap_or(NULL) }
    }

    /// Adds a record; its headers follow by [`BatchBuilder::header`].
    pub fn record(
        &mut self,
        offset: i64,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
    ) {
        let key = self.store(key);
        let value = self.store(value);
        let at = u32::try_from(self.headers.len()).unwrap_or(NULL);
        self.entries.push(Entry { offset, timestamp, key, value, headers: at..at });
    }

    /// Adds a header to the record added last.
    pub fn header(&mut self, name: &[u8], value: Option<&[u8]>) {
        let name = self.store(Some(name));
        let value = self.store(value);
        self.headers.push((name, value));
        if let Some(entry) = self.entries.last_mut() {
            entry.headers.end = u32::try_from(self.headers.len()).unwrap_or(NULL);
        }
    }

    /// Takes what was collected and leaves the builder empty, its memory kept.
    pub fn finish(&mut self, partition: u32) -> Batch {
        let next_offset = self.entries.last().map_or(0, |entry| entry.offset + 1);
        let entries = self.entries.drain(..).collect();
        let batch = Batch {
            partition,
            next_offset,
            read_at: None,
            bytes: self.bytes.as_slice().into(),
            entries,
            headers: self.headers.as_slice().into(),
        };
        self.bytes.clear();
        self.headers.clear();
        batch
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_batch_gives_back_what_was_put_in() {
        let mut builder = BatchBuilder::new();
        builder.record(7, 1000, Some(b"a/b"), Some(b""));
        builder.header(b"x", Some(b"1"));
        builder.header(b"y", None);
        builder.record(9, 1001, None, None);
        let batch = builder.finish(3);
        assert!(builder.is_empty());
        assert_eq!((batch.partition(), batch.len()), (3, 2));
        assert_eq!((batch.first_offset(), batch.next_offset()), (7, 10));
        let first = batch.record(0);
        assert_eq!(first.key(), Some(&b"a/b"[..]));
        assert_eq!(first.value(), Some(&b""[..]));
        let headers: Vec<_> = first.headers().collect();
        assert_eq!(headers, [(&b"x"[..], Some(&b"1"[..])), (&b"y"[..], None)]);
        assert_eq!(first.headers().next_back(), Some((&b"y"[..], None)));
        let second = batch.record(1);
        assert_eq!((second.key(), second.value(), second.headers().len()), (None, None, 0));
        assert_eq!((batch.index_of(7), batch.index_of(8), batch.index_of(10)), (0, 1, 2));
    }
}
