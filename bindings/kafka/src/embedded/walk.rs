//! The chunks of a segment, a window of it in memory at a time.

use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt as _;
use std::path::Path;

use super::wire::{Chunk, HEADER, MAGIC, claimed};

/// How much of a file is read at once, bytes.
const WINDOW: usize = 1 << 20;

/// The chunks of a file from some place on, in order. Damaged ones are passed over, as by
/// [`super::wire::Scan`]; the file may be appended to meanwhile.
pub(super) struct Walk {
    file: File,
    /// Where in the file the window begins.
    start: u64,
    window: Vec<u8>,
    /// What of the window was passed.
    at: usize,
}

impl Walk {
    /// The chunks of the file at `path` from byte `from` on. `window`: memory to be used again.
    pub(super) fn new(path: &Path, from: u64, mut window: Vec<u8>) -> io::Result<Self> {
        window.clear();
        Ok(Self { file: File::open(path)?, start: from, window, at: 0 })
    }

    /// Its memory, for another one.
    pub(super) fn into_window(self) -> Vec<u8> {
        self.window
    }

    /// Where in the file it is, damage that was passed over included.
    fn position(&self) -> u64 {
        self.start + self.at as u64
    }

    /// The next chunk, and where it ends.
    pub(super) fn next(&mut self) -> io::Result<Option<(u64, Chunk<'_>)>> {
        let length = loop {
            let rest = self.window.get(self.at..).unwrap_or_default();
            let wanted = claimed(rest).unwrap_or(HEADER);
            if rest.len() < wanted && self.fill(wanted)? {
                continue;
            }
            let rest = self.window.get(self.at..).unwrap_or_default();
            if let Some(chunk) = Chunk::parse(rest) {
                break chunk.bytes.len();
            }
            if rest.is_empty() {
                return Ok(None);
            }
            self.pass_damage();
        };
        let (from, to) = (self.at, self.at + length);
        self.at = to;
        let end = self.position();
        Ok(Chunk::parse(&self.window[from..to]).map(|chunk| (end, chunk)))
    }

    /// Goes on where another chunk may begin.
    fn pass_damage(&mut self) {
        let magic = MAGIC.to_le_bytes();
        let rest = self.window.get(self.at + 1..).unwrap_or_default();
        let found = rest.windows(magic.len()).position(|bytes| bytes == magic);
        // One may begin in the last bytes and go on behind them.
        let passed = found.unwrap_or_else(|| rest.len().saturating_sub(magic.len() - 1));
        self.at += 1 + passed;
    }

    /// Makes the window reach so many bytes at least; whether it does.
    fn fill(&mut self, wanted: usize) -> io::Result<bool> {
        self.start = self.position();
        self.window.drain(..self.at);
        self.at = 0;
        let mut filled = self.window.len();
        self.window.resize(wanted.max(WINDOW), 0);
        while filled < self.window.len() {
            match self.file.read_at(&mut self.window[filled..], self.start + filled as u64) {
                Ok(0) => break,
                Ok(read) => filled += read,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => return Err(error),
            }
        }
        self.window.truncate(filled);
        Ok(filled >= wanted)
    }
}

#[cfg(test)]
mod tests {
    use super::super::wire::ChunkBuilder;
    use super::*;

    fn chunk(first: i64, length: usize, out: &mut Vec<u8>) {
        let mut builder = ChunkBuilder::default();
        builder.record(first, 0, None, Some(&vec![7; length]), 0, std::iter::empty());
        builder.finish(3, 1, first + 1, out);
    }

    fn walked(bytes: &[u8], from: u64) -> Vec<(u64, i64)> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), bytes).unwrap();
        let mut walk = Walk::new(file.path(), from, Vec::new()).unwrap();
        let mut found = Vec::new();
        while let Some((end, chunk)) = walk.next().unwrap() {
            found.push((end, chunk.first));
        }
        found
    }

    #[test]
    fn chunks_of_any_length_are_found_across_windows_and_behind_damage() {
        let mut bytes = Vec::new();
        let mut expected = Vec::new();
        let lengths = [10, WINDOW / 2, 0, 3 * WINDOW, WINDOW - 100, 5, 2 * WINDOW, 77, 1];
        for (first, length) in (0..).zip(lengths) {
            chunk(first, length, &mut bytes);
            expected.push((bytes.len() as u64, first));
        }
        assert_eq!(walked(&bytes, 0), expected);
        assert_eq!(walked(&bytes, expected[3].0), expected[4..]);
        let mut padded = bytes.clone();
        padded.resize(bytes.len() + 3 * WINDOW, 0);
        assert_eq!(walked(&padded, 0), expected, "what was allocated only is no damage");
        for (damaged, before) in [(0, 0), (3, expected[2].0), (6, expected[5].0)] {
            for at in [0, 4, 9, HEADER + 1] {
                let mut hurt = padded.clone();
                hurt[usize::try_from(before).unwrap() + at] ^= 0x55;
                let mut left = expected.clone();
                left.remove(damaged);
                assert_eq!(walked(&hurt, 0), left, "byte {at} of {damaged}");
            }
        }
        assert_eq!(walked(&bytes[..bytes.len() - 1], 0), expected[..8], "a torn tail");
    }
}
