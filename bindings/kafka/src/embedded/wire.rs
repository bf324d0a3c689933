//! Chunks: runs of records of one partition as they lie on disk, each with a checksum.
//!
//! A chunk is a header of 48 bytes and the records. All numbers are little-endian.
//!
//! | at | bytes | |
//! |---|---|---|
//! | 0 | 4 | [`MAGIC`] |
//! | 4 | 4 | length of the chunk, bytes |
//! | 8 | 4 | CRC-32 of the chunk from byte 12 on |
//! | 12 | 4 | [`Kind`] |
//! | 16 | 4 | topic: its line in the list of topics, from 0 |
//! | 20 | 4 | partition |
//! | 24 | 8 | offset of the first record |
//! | 32 | 8 | offset at which reading goes on |
//! | 40 | 4 | number of records |
//! | 44 | 4 | 0 |
//!
//! A record: offset less that of the first (4), timestamp (8), length of the key (4), of the value
//! (4), number of headers (4), key, value; each header: length of the name (4), of the value (4),
//! name, value. The length of what is null is 2³² − 1.

mod build;

pub(super) use build::{ChunkBuilder, reserve};

/// Begins each chunk.
pub(super) const MAGIC: u32 = 0x5A4C_4F47;

/// Bytes of a chunk's header.
pub(super) const HEADER: usize = 48;

/// The largest chunk, bytes; what claims more is damaged.
const LONGEST: usize = 1 << 28;

const NULL: u32 = u32::MAX;

/// What a chunk holds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(u32)]
pub(super) enum Kind {
    /// Records.
    Records = 1,
    /// No records: after a crash the partition's offsets go on at `next` at the earliest.
    Reserve = 2,
}

/// A name and a value of a header.
pub(super) type Header<'a> = (&'a [u8], Option<&'a [u8]>);

/// A record, borrowed from a chunk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Record<'a> {
    pub(super) offset: i64,
    pub(super) timestamp: i64,
    pub(super) key: Option<&'a [u8]>,
    pub(super) value: Option<&'a [u8]>,
    pub(super) headers: Headers<'a>,
}

/// A record's headers, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Headers<'a> {
    count: u32,
    bytes: &'a [u8],
}

impl Headers<'_> {
    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.count as usize
    }
}

impl<'a> Iterator for Headers<'a> {
    type Item = Header<'a>;

    fn next(&mut self) -> Option<Header<'a>> {
        self.count = self.count.checked_sub(1)?;
        let name = number(&mut self.bytes)?;
        let value = number(&mut self.bytes)?;
        Some((bytes(&mut self.bytes, name)?.unwrap_or_default(), bytes(&mut self.bytes, value)?))
    }
}

fn take<'a, const N: usize>(from: &mut &'a [u8]) -> Option<&'a [u8; N]> {
    let (head, rest) = from.split_first_chunk()?;
    *from = rest;
    Some(head)
}

fn number(from: &mut &[u8]) -> Option<u32> {
    take(from).map(|bytes| u32::from_le_bytes(*bytes))
}

fn wide(from: &mut &[u8]) -> Option<i64> {
    take(from).map(|bytes| i64::from_le_bytes(*bytes))
}

#[expect(clippy::option_option, reason = "malformed, null, present")]
fn bytes<'a>(from: &mut &'a [u8], length: u32) -> Option<Option<&'a [u8]>> {
    if length == NULL {
        return Some(None);
    }
    let (head, rest) = from.split_at_checked(length as usize)?;
    *from = rest;
    Some(Some(head))
}

/// A chunk whose checksum holds.
#[derive(Clone, Copy, Debug)]
pub(super) struct Chunk<'a> {
    /// All of it, header included.
    pub(super) bytes: &'a [u8],
    pub(super) kind: Kind,
    pub(super) topic: u32,
    pub(super) partition: u32,
    pub(super) first: i64,
    pub(super) next: i64,
    count: u32,
}

/// The length that `bytes` claim for a chunk that they begin with: `None` where none begins there,
/// or where they are too short to say.
pub(super) fn claimed(bytes: &[u8]) -> Option<usize> {
    let mut from = bytes;
    if number(&mut from)? != MAGIC {
        return None;
    }
    let length = number(&mut from)? as usize;
    (HEADER..=LONGEST).contains(&length).then_some(length)
}

impl<'a> Chunk<'a> {
    /// The chunk that `bytes` begin with.
    pub(super) fn parse(bytes: &'a [u8]) -> Option<Self> {
        let length = claimed(bytes)?;
        let mut from = bytes.get(8..)?;
        let crc = number(&mut from)?;
        let bytes = bytes.get(..length)?;
        if crc32fast::hash(bytes.get(12..)?) != crc {
            return None;
        }
        let kind = match number(&mut from)? {
            1 => Kind::Records,
            2 => Kind::Reserve,
            _ => return None,
        };
        let (topic, partition) = (number(&mut from)?, number(&mut from)?);
        let (first, next) = (wide(&mut from)?, wide(&mut from)?);
        let count = number(&mut from)?;
        Some(Self { bytes, kind, topic, partition, first, next, count })
    }

    /// The records, in order.
    pub(super) fn records(&self) -> Records<'a> {
        let body = self.bytes.get(HEADER..).unwrap_or_default();
        Records { first: self.first, left: self.count, bytes: body }
    }
}

/// The records of a chunk, in order.
pub(super) struct Records<'a> {
    first: i64,
    left: u32,
    bytes: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = Record<'a>;

    fn next(&mut self) -> Option<Record<'a>> {
        self.left = self.left.checked_sub(1)?;
        let from = &mut self.bytes;
        let offset = self.first + i64::from(number(from)?);
        let timestamp = wide(from)?;
        let (key, value, count) = (number(from)?, number(from)?, number(from)?);
        let (key, value) = (bytes(from, key)?, bytes(from, value)?);
        let headers = Headers { count, bytes: from };
        for _ in 0..count {
            let (name, value) = (number(from)?, number(from)?);
            bytes(from, name)?;
            bytes(from, value)?;
        }
        Some(Record { offset, timestamp, key, value, headers })
    }
}

/// What a scan finds.
#[derive(Debug)]
pub(super) enum Piece<'a> {
    /// A chunk.
    Chunk(Chunk<'a>),
    /// Bytes that are no chunk and are not all 0: where, and how many.
    Damage(usize, usize),
}

/// The chunks of a file, in order. Damaged ones are passed over, since what follows may be sound.
pub(super) struct Scan<'a> {
    bytes: &'a [u8],
    at: usize,
    tail: usize,
}

impl<'a> Scan<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes, at: 0, tail: 0 }
    }

    /// Where the last chunk found so far ends.
    pub(super) fn tail(&self) -> usize {
        self.tail
    }
}

impl<'a> Iterator for Scan<'a> {
    type Item = Piece<'a>;

    fn next(&mut self) -> Option<Piece<'a>> {
        let rest = self.bytes.get(self.at..)?;
        if let Some(chunk) = Chunk::parse(rest) {
            self.at += chunk.bytes.len();
            self.tail = self.at;
            return Some(Piece::Chunk(chunk));
        }
        // What was allocated and not written is 0.
        let last = rest.iter().rposition(|byte| *byte != 0)?;
        let found = (1..=last).find(|at| rest.get(*at..).and_then(Chunk::parse).is_some());
        let (at, length) = (self.at, found.unwrap_or(last + 1));
        self.at = found.map_or(self.bytes.len(), |found| at + found);
        Some(Piece::Damage(at, length))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn chunk(value: &[u8], out: &mut Vec<u8>) {
        let mut builder = ChunkBuilder::default();
        let headers = [(&b"a"[..], Some(&b"1"[..])), (b"b", None), (b"", Some(b""))];
        builder.record(7, -1, Some(b"k"), Some(value), 3, headers.into_iter());
        builder.record(9, 5, None, None, 0, std::iter::empty());
        builder.finish(3, 1, 12, out);
        assert_eq!(builder.len(), 0);
    }

    fn found(bytes: &[u8]) -> (usize, Vec<(usize, usize)>) {
        let (mut chunks, mut damages) = (0, Vec::new());
        for piece in Scan::new(bytes) {
            match piece {
                Piece::Chunk(chunk) => {
                    chunks += 1;
                    assert_eq!(chunk.records().count(), 2);
                }
                Piece::Damage(at, length) => damages.push((at, length)),
            }
        }
        (chunks, damages)
    }

    #[test]
    fn a_chunk_gives_back_what_was_put_in() {
        let mut bytes = Vec::new();
        chunk(b"v", &mut bytes);
        reserve(3, 1, 99, &mut bytes);
        let chunk = Chunk::parse(&bytes).unwrap();
        assert_eq!((chunk.kind, chunk.topic, chunk.partition), (Kind::Records, 3, 1));
        assert_eq!((chunk.first, chunk.next), (7, 12));
        let records: Vec<_> = chunk.records().collect();
        let [first, second] = &records[..] else { panic!("two were put in") };
        assert_eq!((first.offset, first.timestamp), (7, -1));
        assert_eq!((first.key, first.value), (Some(&b"k"[..]), Some(&b"v"[..])));
        let headers: Vec<_> = first.headers.collect();
        assert_eq!(headers, [(&b"a"[..], Some(&b"1"[..])), (b"b", None), (b"", Some(b""))]);
        assert_eq!((second.offset, second.key, second.value), (9, None, None));
        let reserve = Chunk::parse(&bytes[chunk.bytes.len()..]).unwrap();
        assert_eq!((reserve.kind, reserve.next, reserve.records().count()), (Kind::Reserve, 99, 0));
    }

    #[test]
    fn a_scan_ends_at_a_torn_tail_and_passes_over_what_is_damaged_within() {
        let mut bytes = Vec::new();
        for value in [b"1", b"2", b"3"] {
            chunk(value, &mut bytes);
        }
        let one = bytes.len() / 3;
        assert_eq!(found(&bytes), (3, vec![]));
        for cut in 2 * one..3 * one {
            let torn = if cut == 2 * one { vec![] } else { vec![(2 * one, cut - 2 * one)] };
            let (chunks, damages) = found(&bytes[..cut]);
            // A tail that is cut in zeros of the chunk itself is shorter by those.
            assert_eq!((chunks, damages.len()), (2, torn.len()), "cut at {cut}");
        }
        let mut padded = bytes.clone();
        padded.resize(bytes.len() + 4096, 0);
        assert_eq!(found(&padded), (3, vec![]), "what was allocated only is no damage");
        for bit in 0..one * 8 {
            let mut flipped = padded.clone();
            flipped[one + bit / 8] ^= 1 << (bit % 8);
            assert_eq!(found(&flipped), (2, vec![(one, one)]), "bit {bit} of the second");
        }
    }
}
