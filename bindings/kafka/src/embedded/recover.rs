//! What a start makes of a directory, however the process before it ended.

use std::io;
use std::path::Path;

use super::files::{Active, Ends, Entry, Summary, numbers, path, read_topics};
use super::wire::{Kind, Piece, Scan};

/// A sealed segment that was digested.
#[derive(Clone, Copy, Debug)]
pub(super) struct Digested {
    pub(super) number: u64,
    pub(super) bytes: u64,
    /// Milliseconds since the epoch.
    pub(super) sealed_at: i64,
}

/// A sealed segment that is still to be digested, and the ends when it was sealed.
#[derive(Clone, Debug)]
pub(super) struct Sealed {
    pub(super) number: u64,
    pub(super) bytes: u64,
    pub(super) ends: Ends,
}

/// What was found.
pub(super) struct Recovered {
    pub(super) topics: Vec<Entry>,
    pub(super) ends: Ends,
    pub(super) active: Active,
    pub(super) digested: Vec<Digested>,
    pub(super) sealed: Vec<Sealed>,
}

/// Reads what there is, cuts off a damaged tail, and says so. `name`: of the cluster, for events.
pub(super) fn recover(dir: &Path, name: &str) -> io::Result<Recovered> {
    let topics = read_topics(dir)?;
    let mut ends = Ends::new();
    let (mut digested, mut sealed) = (Vec::new(), Vec::new());
    let summaries = numbers(dir, "sum")?;
    for number in &summaries {
        if let Some(summary) = Summary::read(dir, *number) {
            let bytes = std::fs::metadata(path(dir, *number, "log")).map_or(0, |found| found.len());
            digested.push(Digested { number: *number, bytes, sealed_at: summary.sealed_at });
            ends = summary.ends;
        }
    }
    let is_digested = |number: &u64| digested.iter().any(|found| found.number == *number);
    let mut rest = numbers(dir, "log")?;
    rest.retain(|number| !is_digested(number));
    let newest = summaries.last().copied().unwrap_or(0);
    let last = rest.pop_if(|number| *number > newest);
    for number in rest {
        let bytes = std::fs::read(path(dir, number, "log"))?;
        let tail = read_ends(&bytes, &mut ends, |at, length| {
            tell_damage(name, &path(dir, number, "log"), at, length);
        });
        sealed.push(Sealed { number, bytes: tail, ends: ends.clone() });
    }
    let active = match last {
        Some(number) => reopen(dir, number, name, &mut ends)?,
        None => Active::create(dir, newest + 1)?,
    };
    Ok(Recovered { topics, ends, active, digested, sealed })
}

fn reopen(dir: &Path, number: u64, name: &str, ends: &mut Ends) -> io::Result<Active> {
    let path = path(dir, number, "log");
    let bytes = std::fs::read(&path)?;
    let mut damages = Vec::new();
    let tail = read_ends(&bytes, ends, |at, length| damages.push((at, length)));
    for (at, length) in damages {
        if at < tail {
            tell_damage(name, &path, at, length);
        } else {
            tracing::warn!(
                event = "kafka.log.tail.cut",
                cluster = name,
                file = %path.display(),
                at,
                bytes = length,
                "the last write before the process or the power failed is incomplete; it was not \
                 acknowledged, and is cut off",
            );
        }
    }
    Active::reopen(dir, number, tail)
}

fn tell_damage(name: &str, path: &Path, at: u64, length: u64) {
    tracing::error!(
        event = "kafka.log.damaged",
        cluster = name,
        file = %path.display(),
        at,
        bytes = length,
        "the disk gives back something else than was written; the records there are lost, those \
         behind them are served",
    );
}

/// Brings `ends` up to a segment's content; returns where its last sound chunk ends.
fn read_ends(bytes: &[u8], ends: &mut Ends, mut damage: impl FnMut(u64, u64)) -> u64 {
    let mut scan = Scan::new(bytes);
    for piece in &mut scan {
        match piece {
            Piece::Chunk(chunk) => {
                let end = ends.entry((chunk.topic, chunk.partition)).or_insert(0);
                *end = match chunk.kind {
                    Kind::Records => chunk.next.max(*end),
                    // The last one holds: that of an orderly end gives back what was not used.
                    Kind::Reserve => chunk.next,
                };
            }
            Piece::Damage(at, length) => damage(at as u64, length as u64),
        }
    }
    scan.tail() as u64
}
