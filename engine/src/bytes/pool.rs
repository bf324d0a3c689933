//! Buffers that connections borrow while they have something to read or write, so that an idle
//! connection owns none.

use std::cell::{RefCell, RefMut};
use std::ops::{Deref, DerefMut};
use std::rc::Rc;

/// How much one read takes at most, bytes.
pub const READ_SIZE: usize = 64 * 1024;

/// Spare buffers kept for reuse, at most.
const SPARES: usize = 256;

/// A buffer grown beyond this is freed rather than kept, bytes.
const KEPT_CAPACITY: usize = 256 * 1024;

/// A worker's buffers.
pub struct BufferPool {
    read: RefCell<Box<[u8]>>,
    spares: Rc<RefCell<Vec<Vec<u8>>>>,
}

impl Default for BufferPool {
    fn default() -> Self {
        Self::new()
    }
}

impl BufferPool {
    /// A pool with its read buffer and no spares.
    #[must_use]
    pub fn new() -> Self {
        Self { read: RefCell::new(vec![0; READ_SIZE].into_boxed_slice()), spares: Rc::default() }
    }

    /// The worker's read buffer, [`READ_SIZE`] bytes: read into it, take out what is complete, keep
    /// the rest in a [`Buffer`], and let it go within the same poll.
    ///
    /// # Panics
    /// Where it is borrowed already.
    pub fn read_buffer(&self) -> RefMut<'_, [u8]> {
        RefMut::map(self.read.borrow_mut(), |buffer| &mut buffer[..])
    }

    /// An empty buffer, which goes back to the pool when dropped.
    #[must_use]
    pub fn take(&self) -> Buffer {
        let bytes = self.spares.borrow_mut().pop().unwrap_or_default();
        Buffer { bytes, spares: Rc::clone(&self.spares) }
    }
}

/// A growable buffer on loan from a [`BufferPool`].
pub struct Buffer {
    bytes: Vec<u8>,
    spares: Rc<RefCell<Vec<Vec<u8>>>>,
}

impl Deref for Buffer {
    type Target = Vec<u8>;
    fn deref(&self) -> &Vec<u8> {
        &self.bytes
    }
}

impl DerefMut for Buffer {
    fn deref_mut(&mut self) -> &mut Vec<u8> {
        &mut self.bytes
    }
}

impl Drop for Buffer {
    fn drop(&mut self) {
        let mut bytes = std::mem::take(&mut self.bytes);
        if bytes.capacity() == 0 || bytes.capacity() > KEPT_CAPACITY {
            return;
        }
        let mut spares = self.spares.borrow_mut();
        if spares.len() < SPARES {
            bytes.clear();
            spares.push(bytes);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_dropped_buffer_is_lent_again_and_a_huge_one_is_freed() {
        let pool = BufferPool::new();
        let mut buffer = pool.take();
        buffer.extend_from_slice(&[1; 100]);
        let place = buffer.as_ptr();
        drop(buffer);
        let buffer = pool.take();
        assert!(buffer.is_empty());
        assert_eq!(buffer.as_ptr(), place);
        let mut huge = pool.take();
        huge.reserve(KEPT_CAPACITY + 1);
        drop(huge);
        assert_eq!(pool.take().capacity(), 0);
    }
}
