//! Reads a directory from outside: for tests, and for whoever wants to see what it holds.

use std::io;
use std::path::Path;

use kafka_plane::{Batch, BatchBuilder};

use super::files::{numbers, path, read_topics};
use super::keeper::batch_of;
use super::wire::{Kind, Piece, Scan};

/// Records of one partition that lie in the segments of a directory, in order.
#[derive(Debug)]
pub struct Found<'a> {
    /// The topic.
    pub topic: &'a str,
    /// The records, with their partition.
    pub batch: Batch,
}

/// Calls `visit` with all records that the segments of a directory hold, in the order in which they
/// were appended. Changes nothing, and may be used while a process appends. What compaction left
/// of deleted segments is not among them.
///
/// # Errors
/// What the system says.
pub fn read(dir: &Path, visit: &mut dyn FnMut(Found<'_>)) -> io::Result<()> {
    let topics = read_topics(dir)?;
    let mut builder = BatchBuilder::new();
    for number in numbers(dir, "log")? {
        let bytes = std::fs::read(path(dir, number, "log"))?;
        for piece in Scan::new(&bytes) {
            let Piece::Chunk(chunk) = piece else { continue };
            let topic = topics.get(chunk.topic as usize);
            if let (Kind::Records, Some(topic)) = (chunk.kind, topic) {
                visit(Found { topic: &topic.name, batch: batch_of(&chunk, &mut builder) });
            }
        }
    }
    Ok(())
}
