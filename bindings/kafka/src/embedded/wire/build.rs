//! From records to chunks.

use super::{HEADER, Header, Kind, MAGIC, NULL};

/// Collects records into chunks. Keeps its memory.
#[derive(Debug, Default)]
pub(in crate::embedded) struct ChunkBuilder {
    bytes: Vec<u8>,
    first: i64,
    count: u32,
}

impl ChunkBuilder {
    /// Bytes collected.
    pub(in crate::embedded) fn len(&self) -> usize {
        self.bytes.len()
    }

    fn number(&mut self, number: u32) {
        self.bytes.extend_from_slice(&number.to_le_bytes());
    }

    fn length(&mut self, bytes: Option<&[u8]>) {
        // The bound of a record keeps it far below 4 GiB.
        self.number(bytes.map_or(NULL, |bytes| u32::try_from(bytes.len()).unwrap_or(NULL)));
    }

    /// Adds a record that lies behind those added before.
    pub(in crate::embedded) fn record<'h>(
        &mut self,
        offset: i64,
        timestamp: i64,
        key: Option<&[u8]>,
        value: Option<&[u8]>,
        header_count: usize,
        headers: impl Iterator<Item = Header<'h>>,
    ) {
        if self.count == 0 {
            self.first = offset;
            self.bytes.clear();
            self.bytes.resize(HEADER, 0);
        }
        self.count += 1;
        self.number(u32::try_from(offset - self.first).unwrap_or(NULL));
        self.bytes.extend_from_slice(&timestamp.to_le_bytes());
        self.length(key);
        self.length(value);
        self.number(u32::try_from(header_count).unwrap_or(0));
        self.bytes.extend_from_slice(key.unwrap_or_default());
        self.bytes.extend_from_slice(value.unwrap_or_default());
        for (name, value) in headers {
            self.length(Some(name));
            self.length(value);
            self.bytes.extend_from_slice(name);
            self.bytes.extend_from_slice(value.unwrap_or_default());
        }
    }

    /// Appends the chunk to `out` and leaves the builder empty; nothing where no record was added.
    pub(in crate::embedded) fn finish(
        &mut self,
        topic: u32,
        partition: u32,
        next: i64,
        out: &mut Vec<u8>,
    ) {
        if self.count > 0 {
            let count = std::mem::take(&mut self.count);
            seal(&mut self.bytes, Kind::Records, (topic, partition), (self.first, next), count);
            out.append(&mut self.bytes);
        }
    }

    /// Forgets what was collected.
    pub(in crate::embedded) fn clear(&mut self) {
        self.bytes.clear();
        self.count = 0;
    }
}

/// Appends a chunk that reserves the offsets below `next`.
pub(in crate::embedded) fn reserve(topic: u32, partition: u32, next: i64, out: &mut Vec<u8>) {
    let mut bytes = [0; HEADER];
    seal(&mut bytes, Kind::Reserve, (topic, partition), (next, next), 0);
    out.extend_from_slice(&bytes);
}

/// Fills in the header of a chunk.
fn seal(
    bytes: &mut [u8],
    kind: Kind,
    (topic, partition): (u32, u32),
    (first, next): (i64, i64),
    count: u32,
) {
    let length = u32::try_from(bytes.len()).unwrap_or(NULL);
    bytes[0..4].copy_from_slice(&MAGIC.to_le_bytes());
    bytes[4..8].copy_from_slice(&length.to_le_bytes());
    bytes[12..16].copy_from_slice(&(kind as u32).to_le_bytes());
    bytes[16..20].copy_from_slice(&topic.to_le_bytes());
    bytes[20..24].copy_from_slice(&partition.to_le_bytes());
    bytes[24..32].copy_from_slice(&first.to_le_bytes());
    bytes[32..40].copy_from_slice(&next.to_le_bytes());
    bytes[40..44].copy_from_slice(&count.to_le_bytes());
    let crc = crc32fast::hash(&bytes[12..]);
    bytes[8..12].copy_from_slice(&crc.to_le_bytes());
}
