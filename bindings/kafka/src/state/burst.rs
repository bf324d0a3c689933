//! Drafts of one worker on their way to the producer, in one piece of memory.

use std::ops::Range;

use kafka_plane::Draft;

use super::murmur2;

const NULL: u32 = u32::MAX;

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
    topic: u32,
    hash: Option<u32>,
    timestamp: Option<i64>,
    key: Slice,
    value: Slice,
    headers: Range<u32>,
    append: u32,
}

/// Records and the appends that they belong to. Emptied, it keeps its memory, so that a worker in
/// steady state allocates nothing.
#[derive(Debug, Default)]
pub(crate) struct Burst {
    bytes: Vec<u8>,
    entries: Vec<Entry>,
    headers: Vec<(Slice, Slice)>,
    appends: Vec<BurstAppend>,
}

/// An append of a [`Burst`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct BurstAppend {
    /// The worker's key of who is to be told.
    pub(crate) completion: Option<u32>,
    /// Records.
    pub(crate) records: u32,
    /// Bytes of keys, values and headers.
    pub(crate) bytes: usize,
}

/// A record of a [`Burst`].
pub(crate) struct BurstRecord<'a> {
    pub(crate) topic: u32,
    /// murmur2 of what chooses the partition; `None`: any partition.
    pub(crate) hash: Option<u32>,
    pub(crate) timestamp: Option<i64>,
    pub(crate) key: Option<&'a [u8]>,
    pub(crate) value: Option<&'a [u8]>,
    /// The index of its append in [`Burst::appends`].
    pub(crate) append: usize,
    burst: &'a Burst,
    headers: Range<u32>,
}

impl<'a> BurstRecord<'a> {
    /// How many headers there are.
    pub(crate) fn header_count(&self) -> usize {
        self.headers.len()
    }

    /// The headers, in order.
    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'a str, Option<&'a [u8]>)> + use<'a> {
        let range = self.headers.start as usize..self.headers.end as usize;
        let bytes = &self.burst.bytes;
        self.burst.headers[range].iter().map(move |(name, value)| {
            let name = name.of(bytes).unwrap_or_default();
            // It was a str when it was stored.
            (std::str::from_utf8(name).unwrap_or_default(), value.of(bytes))
        })
    }
}

impl Burst {
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty()
    }

    pub(crate) fn clear(&mut self) {
        self.bytes.clear();
        self.entries.clear();
        self.headers.clear();
        self.appends.clear();
    }

    fn store(&mut self, bytes: Option<&[u8]>) -> Slice {
        let Some(bytes) = bytes else { return Slice { start: 0, length: NULL } };
        // The bound of unacknowledged bytes keeps a burst far below 4 GiB.
        let start = u32::try_from(self.bytes.len()).unwrap_or(NULL);
        self.bytes.extend_from_slice(bytes);
        Slice { start, length: u32::try_from(bytes.len()).unwrap_or(NULL) }
    }

    fn header_index(&self) -> u32 {
        u32::try_from(self.headers.len()).unwrap_or(NULL)
    }

    /// Opens an append; the records pushed next belong to it.
    pub(crate) fn open_append(&mut self, append: BurstAppend) {
        self.appends.push(append);
    }

    /// Adds a record to the append opened last.
    pub(crate) fn push(&mut self, topic: u32, draft: &Draft<'_>) {
        let key = self.store(draft.key);
        let value = self.store(draft.value);
        let first = self.header_index();
        draft.headers.for_each(&mut |name, value| {
            let header = (self.store(Some(name.as_bytes())), self.store(value));
            self.headers.push(header);
        });
        self.entries.push(Entry {
            topic,
            hash: draft.hash_key.or(draft.key).map(murmur2),
            timestamp: draft.timestamp,
            key,
            value,
            headers: first..self.header_index(),
            append: u32::try_from(self.appends.len()).unwrap_or(NULL).saturating_sub(1),
        });
    }

    /// Adds a copy of another burst's record to the append opened last.
    #[cfg(any(feature = "rdkafka", test))]
    pub(crate) fn push_copy(&mut self, record: &BurstRecord<'_>) {
        let key = self.store(record.key);
        let value = self.store(record.value);
        let first = self.header_index();
        for (name, value) in record.headers() {
            let header = (self.store(Some(name.as_bytes())), self.store(value));
            self.headers.push(header);
        }
        self.entries.push(Entry {
            topic: record.topic,
            hash: record.hash,
            timestamp: record.timestamp,
            key,
            value,
            headers: first..self.header_index(),
            append: u32::try_from(self.appends.len()).unwrap_or(NULL).saturating_sub(1),
        });
    }

    /// The appends, in the order in which they were opened.
    pub(crate) fn appends(&self) -> &[BurstAppend] {
        &self.appends
    }

    /// The records, in the order in which they were pushed.
    pub(crate) fn records(&self) -> impl Iterator<Item = BurstRecord<'_>> {
        self.entries.iter().map(|entry| BurstRecord {
            topic: entry.topic,
            hash: entry.hash,
            timestamp: entry.timestamp,
            key: entry.key.of(&self.bytes),
            value: entry.value.of(&self.bytes),
            append: entry.append as usize,
            burst: self,
            headers: entry.headers.clone(),
        })
    }
}

#[cfg(test)]
mod tests {
    use kafka_plane::DraftHeaders;

    use super::*;

    struct Two;

    impl DraftHeaders for Two {
        fn count(&self) -> usize {
            2
        }
        fn for_each<'s>(&'s self, visit: &mut dyn FnMut(&'s str, Option<&'s [u8]>)) {
            visit("a", Some(b"1"));
            visit("a", None);
        }
    }

    #[test]
    fn a_burst_gives_back_what_was_pushed_and_so_does_a_copy() {
        let with_headers = Draft {
            topic: "t",
            key: Some(b"k"),
            hash_key: Some(b"21"),
            value: Some(b""),
            timestamp: Some(7),
            headers: &Two,
        };
        let bare = Draft {
            key: None,
            hash_key: None,
            value: None,
            timestamp: None,
            headers: &(),
            ..with_headers
        };
        let mut burst = Burst::default();
        let append = BurstAppend { completion: None, records: 1, bytes: 5 };
        let awaited = BurstAppend { completion: Some(9), ..append };
        burst.open_append(append);
        burst.push(4, &bare);
        burst.open_append(awaited);
        burst.push(3, &with_headers);
        let mut copy = Burst::default();
        copy.open_append(append);
        burst.records().for_each(|record| copy.push_copy(&record));
        assert_eq!(burst.appends(), [append, awaited]);
        for (burst, appends) in [(&burst, [0, 1]), (&copy, [0, 0])] {
            let records: Vec<_> = burst.records().collect();
            let [first, second] = &records[..] else { panic!("two were pushed") };
            assert_eq!((first.topic, first.hash, first.timestamp), (4, None, None));
            assert_eq!((first.key, first.value, first.header_count()), (None, None, 0));
            assert_eq!((second.topic, second.timestamp), (3, Some(7)));
            assert_eq!(second.hash, Some(murmur2(b"21")), "the hash key goes before the key");
            assert_eq!((second.key, second.value), (Some(&b"k"[..]), Some(&b""[..])));
            let headers: Vec<_> = second.headers().collect();
            assert_eq!(headers, [("a", Some(&b"1"[..])), ("a", None)]);
            assert_eq!([first.append, second.append], appends);
        }
        burst.clear();
        assert!(burst.is_empty() && burst.appends().is_empty());
    }
}
