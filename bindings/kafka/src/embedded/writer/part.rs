//! Topics and partitions that are appended to.

use std::sync::Arc;

use kafka_plane::{Batch, BatchBuilder};

use crate::cluster::{Partition, Topic};
use crate::embedded::offsets::Offsets;
use crate::embedded::wire::ChunkBuilder;

/// A partition that is appended to.
pub(super) struct Part {
    pub(super) offsets: Offsets,
    /// What is being written.
    pub(super) chunk: ChunkBuilder,
    pub(super) records: u32,
    /// The same for readers.
    pub(super) builder: BatchBuilder,
    pub(super) batches: Vec<Batch>,
    pub(super) is_touched: bool,
    /// What readers see.
    pub(super) shared: Option<Arc<Partition>>,
}

/// A topic that is used.
pub(super) struct Known {
    /// Its number in chunks.
    pub(super) number: u32,
    pub(super) topic: Arc<Topic>,
    pub(super) parts: Vec<Part>,
    pub(super) is_touched: bool,
}

impl Part {
    pub(super) fn new(next: i64) -> Self {
        Self {
            offsets: Offsets::new(next),
            chunk: ChunkBuilder::default(),
            records: 0,
            builder: BatchBuilder::new(),
            batches: Vec::new(),
            is_touched: false,
            shared: None,
        }
    }

    /// Closes the chunk that is being written.
    pub(super) fn close(&mut self, topic: u32, partition: u32, out: &mut Vec<u8>) {
        self.chunk.finish(topic, partition, self.offsets.next(), out);
        self.records = 0;
        if !self.builder.is_empty() {
            self.batches.push(self.builder.finish(partition));
        }
    }
}

/// How many offsets are left out before the next record: in a quarter of the cases 1 to 8.
pub(super) fn gap(state: &mut u64) -> i64 {
    // xorshift64.
    *state ^= *state << 13;
    *state ^= *state >> 7;
    *state ^= *state << 17;
    let is_gap = state.is_multiple_of(4);
    if is_gap { ((*state >> 32) % 8).cast_signed() + 1 } else { 0 }
}
