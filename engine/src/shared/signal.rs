//! A flag that any thread raises and one worker sees.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use crate::runtime::{Mailbox, Post};

/// A flag that any thread can raise; the worker that registered it is called once, however often it
/// was raised before the call. So a mailbox never holds more posts of a kind than there are
/// signals.
#[derive(Debug)]
pub struct Signal {
    raised: AtomicBool,
    key: usize,
    mailbox: Arc<Mailbox>,
}

impl Signal {
    pub(crate) fn new(key: usize, mailbox: Arc<Mailbox>) -> Self {
        Self { raised: AtomicBool::new(false), key, mailbox }
    }

    /// Raises the flag. What was written before is seen by the worker's call after.
    pub fn raise(&self) {
        if !self.raised.swap(true, Ordering::AcqRel) {
            self.mailbox.post_always(Post::Raised(self.key));
        }
    }

    pub(crate) fn clear(&self) {
        self.raised.swap(false, Ordering::AcqRel);
    }
}
