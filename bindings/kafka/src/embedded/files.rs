//! What lies in the directory beside the lock and the id: the list of topics, segments and their
//! summaries.
//!
//! All topics share one sequence of segments, `NUMBER.log`, so that one fsync makes durable
//! whatever was appended together. The newest is active; the others are sealed. `NUMBER.sum` says
//! that a sealed segment has been digested: its records of compacted topics lie in the tables'
//! files, and it names the ends that all partitions had when it was sealed.

use std::collections::BTreeMap;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::home::{read_whole, sync_dir, write_whole};

/// Files grow by so many bytes at once, so that a sync seldom has a new length to write.
const STEP: u64 = 4 << 20;

/// A topic of the list; its place is its number in chunks.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Entry {
    pub(super) name: Arc<str>,
    pub(super) partitions: u32,
    pub(super) is_compacted: bool,
}

fn broken(path: &Path) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, format!("{} cannot be read", path.display()))
}

/// Reads the list of topics.
pub(super) fn read_topics(dir: &Path) -> io::Result<Vec<Entry>> {
    let path = dir.join("topics");
    let text = read_whole(&path)?.unwrap_or_default();
    let entry = |line: &str| {
        let mut words = line.split(' ');
        let partitions = words.next()?.parse().ok()?;
        let is_compacted = words.next()? == "compact";
        Some(Entry { name: words.next()?.into(), partitions, is_compacted })
    };
    text.lines().map(|line| entry(line).ok_or_else(|| broken(&path))).collect()
}

/// Writes the list of topics.
pub(super) fn write_topics(dir: &Path, topics: &[Entry]) -> io::Result<()> {
    let line = |entry: &Entry| {
        let policy = if entry.is_compacted { "compact" } else { "delete" };
        format!("{} {policy} {}\n", entry.partitions, entry.name)
    };
    write_whole(&dir.join("topics"), &topics.iter().map(line).collect::<String>())
}

/// Where partitions go on, by topic and partition: behind all records and all reserved offsets.
pub(super) type Ends = BTreeMap<(u32, u32), i64>;

/// What is known of a sealed segment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Summary {
    /// When it was sealed, milliseconds since the epoch.
    pub(super) sealed_at: i64,
    pub(super) ends: Ends,
}

impl Summary {
    pub(super) fn write(&self, dir: &Path, number: u64) -> io::Result<()> {
        let mut text = format!("sealed {}\n", self.sealed_at);
        for ((topic, partition), end) in &self.ends {
            text.push_str(&format!("{topic} {partition} {end}\n"));
        }
        write_whole(&path(dir, number, "sum"), &text)
    }

    /// `None` where there is none or it is damaged: the segment is digested again then.
    pub(super) fn read(dir: &Path, number: u64) -> Option<Self> {
        let text = read_whole(&path(dir, number, "sum")).ok()??;
        let (first, rest) = text.split_once('\n')?;
        let sealed_at = first.strip_prefix("sealed ")?.parse().ok()?;
        let end = |line: &str| {
            let mut words = line.split(' ');
            let (topic, partition) = (words.next()?.parse().ok()?, words.next()?.parse().ok()?);
            Some(((topic, partition), words.next()?.parse().ok()?))
        };
        let ends = rest.lines().map(end).collect::<Option<Ends>>()?;
        Some(Self { sealed_at, ends })
    }
}

/// The path of a segment (`log`) or its summary (`sum`).
pub(super) fn path(dir: &Path, number: u64, kind: &str) -> PathBuf {
    dir.join(format!("{number:020}.{kind}"))
}

/// The numbers of the segments (`log`) or summaries (`sum`) that there are, in order.
pub(super) fn numbers(dir: &Path, kind: &str) -> io::Result<Vec<u64>> {
    let mut numbers = Vec::new();
    for entry in std::fs::read_dir(dir)? {
        let name = entry?.file_name();
        let number = name.to_str().and_then(|name| name.split_once('.'));
        if let Some((number, found)) = number
            && found == kind
            && let Ok(number) = number.parse()
        {
            numbers.push(number);
        }
    }
    numbers.sort_unstable();
    Ok(numbers)
}

/// The segment that is appended to.
#[derive(Debug)]
pub(super) struct Active {
    file: Arc<File>,
    pub(super) number: u64,
    /// Where the next chunk goes.
    pub(super) tail: u64,
    length: u64,
    /// Whether something may lie behind the tail.
    is_torn: bool,
}

impl Active {
    /// An empty segment.
    pub(super) fn create(dir: &Path, number: u64) -> io::Result<Self> {
        let path = path(dir, number, "log");
        let file = File::options().write(true).create(true).truncate(true).open(&path)?;
        sync_dir(&path)?;
        Ok(Self { file: Arc::new(file), number, tail: 0, length: 0, is_torn: false })
    }

    /// A segment that was found, cut off at `tail`.
    pub(super) fn reopen(dir: &Path, number: u64, tail: u64) -> io::Result<Self> {
        let path = path(dir, number, "log");
        let file = File::options().write(true).open(&path)?;
        file.set_len(tail)?;
        file.sync_all()?;
        Ok(Self { file: Arc::new(file), number, tail, length: tail, is_torn: false })
    }

    /// Appends chunks: all of them, or none.
    pub(super) fn append(&mut self, bytes: &[u8]) -> io::Result<()> {
        if self.is_torn {
            self.file.set_len(self.tail)?;
            self.length = self.tail;
            self.is_torn = false;
        }
        let end = self.tail + bytes.len() as u64;
        if end > self.length {
            let length = end.next_multiple_of(STEP);
            self.file.set_len(length)?;
            self.length = length;
        }
        // Until all is written there may be a part of it.
        self.is_torn = true;
        self.file.write_all_at(bytes, self.tail)?;
        self.is_torn = false;
        self.tail = end;
        Ok(())
    }

    /// The file, for whoever syncs it.
    pub(super) fn file(&self) -> Arc<File> {
        Arc::clone(&self.file)
    }

    /// Removes what lies behind the tail, durably.
    pub(super) fn cut(&mut self) -> io::Result<()> {
        self.file.set_len(self.tail)?;
        self.length = self.tail;
        self.file.sync_all()
    }

    /// Gives up what lies behind `tail`.
    pub(super) fn forsake(&mut self, tail: u64) {
        self.tail = tail;
        // Done before the next append.
        self.is_torn = true;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_are_read_as_they_were_written() {
        let dir = tempfile::tempdir().unwrap();
        let dir = dir.path();
        assert_eq!(read_topics(dir).unwrap(), []);
        let topics = [("mqtt-messages", 3, false), ("r", 1, true)].map(|(name, count, compact)| {
            Entry { name: name.into(), partitions: count, is_compacted: compact }
        });
        write_topics(dir, &topics).unwrap();
        assert_eq!(read_topics(dir).unwrap(), topics);
        assert_eq!(Summary::read(dir, 7), None);
        let ends = Ends::from([((0, 0), 5), ((0, 2), i64::MAX), ((1, 0), 0)]);
        let summary = Summary { sealed_at: 12, ends };
        summary.write(dir, 7).unwrap();
        assert_eq!(Summary::read(dir, 7), Some(summary));
        assert_eq!((numbers(dir, "sum").unwrap(), numbers(dir, "log").unwrap()), (vec![7], vec![]));
        std::fs::write(path(dir, 7, "sum"), "sealed 12\n").unwrap();
        assert_eq!(Summary::read(dir, 7), None, "a damaged one is none");
    }

    #[test]
    fn what_is_given_up_is_replaced_by_what_comes_next() {
        let dir = tempfile::tempdir().unwrap();
        let mut active = Active::create(dir.path(), 1).unwrap();
        active.append(b"one").unwrap();
        active.append(b"two").unwrap();
        active.forsake(3);
        let file = path(dir.path(), 1, "log");
        active.append(b"2").unwrap();
        active.cut().unwrap();
        assert_eq!(std::fs::read(&file).unwrap(), b"one2");
    }
}
