//! The file of a compacted partition: chunks as in a segment, and of these only what a table needs.

use std::collections::HashMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use super::home::{replace, sync_dir};
use super::wire::{ChunkBuilder, Kind, Piece, Record, Scan, reserve};

/// A file below this size is left as it is, bytes.
const SMALL: u64 = 1 << 20;

/// A chunk of a compacted file is closed at so many bytes.
const CHUNK: usize = 512 * 1024;

/// The file.
#[derive(Debug)]
pub(super) struct TableFile {
    path: PathBuf,
    key: (u32, u32),
    bytes: u64,
    /// About how large it was when only the last record of each key was in it.
    live: u64,
    next: i64,
}

impl TableFile {
    /// The file of a topic's number and a partition; an unfinished write at its end is cut off.
    pub(super) fn open(dir: &Path, key: (u32, u32)) -> io::Result<Self> {
        let path = path_of(dir, key);
        let content = match std::fs::read(&path) {
            Ok(content) => content,
            Err(error) if error.kind() == io::ErrorKind::NotFound => {
                return Self::create(dir, key);
            }
            Err(error) => return Err(error),
        };
        let mut next = 0;
        let mut scan = Scan::new(&content);
        for piece in &mut scan {
            if let Piece::Chunk(chunk) = piece {
                next = chunk.next.max(next);
            }
        }
        let bytes = scan.tail() as u64;
        if bytes < content.len() as u64 {
            let file = File::options().write(true).open(&path)?;
            file.set_len(bytes)?;
            file.sync_all()?;
        }
        let live = last_of_each(&content).values().map(|record| record.weight).sum();
        Ok(Self { path, key, bytes, live, next })
    }

    /// An empty file, in the place of one that there is.
    pub(super) fn create(dir: &Path, key: (u32, u32)) -> io::Result<Self> {
        let path = path_of(dir, key);
        File::create(&path)?;
        sync_dir(&path)?;
        Ok(Self { path, key, bytes: 0, live: 0, next: 0 })
    }

    /// The offset up to which records are in it.
    pub(super) fn next(&self) -> i64 {
        self.next
    }

    /// Adds chunks whose records lie before `next`, durably.
    pub(super) fn append(&mut self, chunks: &[u8], next: i64) -> io::Result<()> {
        if !chunks.is_empty() {
            let file = File::options().write(true).open(&self.path)?;
            file.write_all_at(chunks, self.bytes)?;
            file.sync_data()?;
            self.bytes += chunks.len() as u64;
            self.next = next;
        }
        Ok(())
    }

    /// All chunks.
    pub(super) fn read(&self) -> io::Result<Vec<u8>> {
        let mut bytes = std::fs::read(&self.path)?;
        bytes.truncate(usize::try_from(self.bytes).unwrap_or(usize::MAX));
        Ok(bytes)
    }

    /// Where more than half is outdated: keeps the last record of each key, and none where that is
    /// a tombstone, since nothing older is left that it would have to hide. Returns the sizes
    /// before and after.
    pub(super) fn compact_if_due(&mut self) -> io::Result<Option<(u64, u64)>> {
        if self.bytes < SMALL.max(2 * self.live) {
            return Ok(None);
        }
        let content = self.read()?;
        let last = last_of_each(&content);
        let (mut fresh, mut builder) = (Vec::new(), ChunkBuilder::default());
        let mut first = None;
        let mut previous = 0;
        for record in records(&content) {
            let stays = record.value.is_some()
                && record
                    .key
                    .and_then(|key| last.get(key))
                    .is_some_and(|l| l.offset == record.offset);
            if !stays {
                continue;
            }
            let is_far = first.is_some_and(|first| record.offset - first > i64::from(i32::MAX));
            if builder.len() > CHUNK || is_far {
                builder.finish(self.key.0, self.key.1, previous + 1, &mut fresh);
                first = None;
            }
            let Record { offset, timestamp, key, value, headers } = record;
            builder.record(offset, timestamp, key, value, headers.len(), headers);
            first.get_or_insert(offset);
            previous = offset;
        }
        builder.finish(self.key.0, self.key.1, previous + 1, &mut fresh);
        // So that what was deleted at the end is not copied again.
        reserve(self.key.0, self.key.1, self.next, &mut fresh);
        replace(&self.path, &[&fresh])?;
        let before = self.bytes;
        self.bytes = fresh.len() as u64;
        self.live = self.bytes;
        Ok(Some((before, self.bytes)))
    }
}

fn path_of(dir: &Path, (topic, partition): (u32, u32)) -> PathBuf {
    dir.join(format!("{topic:05}-{partition}.table"))
}

fn records(content: &[u8]) -> impl Iterator<Item = Record<'_>> {
    Scan::new(content)
        .filter_map(|piece| match piece {
            Piece::Chunk(chunk) if chunk.kind == Kind::Records => Some(chunk.records()),
            _ => None,
        })
        .flatten()
}

/// The last record of a key.
struct Last {
    offset: i64,
    /// Bytes that it takes; 0 for a tombstone.
    weight: u64,
}

fn last_of_each(content: &[u8]) -> HashMap<&[u8], Last> {
    let mut last = HashMap::new();
    for record in records(content) {
        let Some(key) = record.key else { continue };
        let headers: usize =
            record.headers.map(|(name, value)| name.len() + value.map_or(0, <[u8]>::len) + 8).sum();
        let weight = record.value.map_or(0, |value| key.len() + value.len() + headers + 24);
        last.insert(key, Last { offset: record.offset, weight: weight as u64 });
    }
    last
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(table: &mut TableFile, offset: i64, key: &str, value: Option<&[u8]>) {
        let (mut builder, mut bytes) = (ChunkBuilder::default(), Vec::new());
        let headers = [(&b"h"[..], Some(&b"1"[..]))];
        builder.record(offset, 5, Some(key.as_bytes()), value, 1, headers.into_iter());
        builder.finish(1, 0, offset + 1, &mut bytes);
        table.append(&bytes, offset + 1).unwrap();
    }

    fn content(table: &TableFile) -> Vec<(i64, Vec<u8>)> {
        let bytes = table.read().unwrap();
        records(&bytes).map(|record| (record.offset, record.key.unwrap().to_vec())).collect()
    }

    #[test]
    fn compaction_keeps_the_last_of_each_key_and_no_tombstone() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = TableFile::open(dir.path(), (1, 0)).unwrap();
        let large = vec![7; 300_000];
        for (offset, key) in [(0, "a"), (2, "b"), (5, "a"), (9, "c")] {
            put(&mut table, offset, key, Some(&large));
        }
        put(&mut table, 11, "c", None);
        put(&mut table, 12, "d", Some(b""));
        put(&mut table, 6_000_000_000, "e", Some(b"far"));
        let (before, after) = table.compact_if_due().unwrap().unwrap();
        assert!(before > 1_200_000 && after < 700_000, "{before} {after}");
        let kept = [(2, "b"), (5, "a"), (12, "d"), (6_000_000_000, "e")];
        let kept: Vec<_> = kept.iter().map(|(at, key)| (*at, key.as_bytes().to_vec())).collect();
        assert_eq!(content(&table), kept);
        assert_eq!(table.next(), 6_000_000_001);
        assert_eq!(table.compact_if_due().unwrap(), None, "nothing is outdated now");
        put(&mut table, 6_000_000_001, "e", None);
        let again = TableFile::open(dir.path(), (1, 0)).unwrap();
        assert_eq!((again.next(), again.bytes), (6_000_000_002, table.bytes));
        assert!(again.live < again.bytes);
    }

    #[test]
    fn an_unfinished_write_is_cut_off() {
        let dir = tempfile::tempdir().unwrap();
        let mut table = TableFile::open(dir.path(), (1, 0)).unwrap();
        put(&mut table, 0, "a", Some(b"1"));
        let whole = table.bytes;
        put(&mut table, 1, "b", Some(b"2"));
        let file = File::options().write(true).open(&table.path).unwrap();
        file.set_len(table.bytes - 1).unwrap();
        let again = TableFile::open(dir.path(), (1, 0)).unwrap();
        assert_eq!((again.next(), again.bytes), (1, whole));
        assert_eq!(std::fs::metadata(&table.path).unwrap().len(), whole);
    }
}
