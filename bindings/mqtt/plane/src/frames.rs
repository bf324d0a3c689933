//! Frames encoded once and copied to each receiver.

use std::cell::{Cell, RefCell};

use crate::{Qos, Version};

/// The layouts in which a message can be encoded for many receivers: version, and whether a
/// packet identifier follows the topic.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FrameKind(u8);

impl FrameKind {
    const COUNT: usize = 4;

    /// The layout for a version and a QoS.
    #[must_use]
    pub const fn new(version: Version, qos: Qos) -> Self {
        let version = match version {
            Version::V311 => 0,
            Version::V5 => 2,
        };
        let identified = match qos {
            Qos::AtMostOnce => 0,
            Qos::AtLeastOnce | Qos::ExactlyOnce => 1,
        };
        Self(version + identified)
    }
}

/// A frame that lies in [`Frames`]. Its first byte and packet identifier are the encoder's to
/// patch in each copy.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Frame {
    start: u32,
    length: u32,
    /// Where the packet identifier lies, from the start of the frame; 0 for none.
    pub packet_id_at: u32,
}

/// The encode-once cells of a run of messages: one arena for all, so that a run costs at most two
/// allocations however many messages it has, and receivers copy from it.
#[derive(Default)]
pub struct Frames {
    arena: RefCell<Vec<u8>>,
    cells: Box<[[Cell<Frame>; FrameKind::COUNT]]>,
}

impl Frames {
    /// Cells for a run of `count` messages.
    #[must_use]
    pub fn new(count: usize) -> Self {
        Self {
            arena: RefCell::new(Vec::new()),
            cells: (0..count).map(|_| Default::default()).collect(),
        }
    }

    /// Appends the frame of message `index` to `out`; on first use `encode` writes it to the arena
    /// and returns where its packet identifier lies (0 for none). Returns the frame's place in
    /// `out` and its packet identifier's offset in the frame.
    pub fn copy_into(
        &self,
        index: u32,
        kind: FrameKind,
        out: &mut Vec<u8>,
        encode: impl FnOnce(&mut Vec<u8>) -> u32,
    ) -> (usize, u32) {
        let cell = &self.cells[index as usize][kind.0 as usize];
        let mut arena = self.arena.borrow_mut();
        let mut frame = cell.get();
        if frame.length == 0 {
            let start = arena.len();
            frame.packet_id_at = encode(&mut arena);
            // A frame is at most 256 MiB (Remaining Length), an arena one run of messages.
            frame.start = u32::try_from(start).unwrap_or(u32::MAX);
            frame.length = u32::try_from(arena.len() - start).unwrap_or(u32::MAX);
            cell.set(frame);
        }
        let at = out.len();
        let start = frame.start as usize;
        out.extend_from_slice(&arena[start..start + frame.length as usize]);
        (at, frame.packet_id_at)
    }
}
