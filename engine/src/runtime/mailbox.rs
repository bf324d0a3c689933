//! Messages between threads: the only way by which one thread makes another do something.

use std::any::Any;
use std::collections::VecDeque;
use std::sync::Arc;

use tokio::sync::Notify;

use crate::config::NodeName;
use crate::runtime::application::Application;
use crate::runtime::status::WorkerStatus;
use crate::shared::Lock;
use crate::spi::Retire;

/// Posts that may wait, at most. Signals are beyond it: they coalesce.
const CAPACITY: usize = 16 * 1024;

/// What a worker is told.
pub enum Post {
    /// A signal was raised.
    Raised(usize),
    /// Something for the instance of a node.
    Node(NodeName, Box<dyn Any + Send>),
    /// A new plan.
    Apply(Arc<Application>, tokio::sync::oneshot::Sender<WorkerStatus>),
    /// A question for `zilla status`.
    Status(tokio::sync::oneshot::Sender<WorkerStatus>),
    /// The process ends: retire everything.
    Retire(Retire),
    /// Something panicked: start all instances anew.
    Poisoned,
    /// Leave the loop; the thread ends.
    Stop,
}

/// A worker's mailbox: bounded, emptied in batches, one wake however many posts.
#[derive(Default)]
pub struct Mailbox {
    posts: Lock<VecDeque<Post>>,
    notify: Notify,
}

impl std::fmt::Debug for Mailbox {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "Mailbox({})", self.posts.lock().len())
    }
}

impl Mailbox {
    /// An empty mailbox.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Leaves a post.
    ///
    /// # Errors
    /// Gives the post back where the mailbox is full.
    pub fn post(&self, post: Post) -> Result<(), Post> {
        let mut posts = self.posts.lock();
        if posts.len() >= CAPACITY {
            return Err(post);
        }
        let wake = posts.is_empty();
        posts.push_back(post);
        drop(posts);
        if wake {
            self.notify.notify_one();
        }
        Ok(())
    }

    /// Leaves a post whose number something else bounds.
    pub(crate) fn post_always(&self, post: Post) {
        let mut posts = self.posts.lock();
        let wake = posts.is_empty();
        posts.push_back(post);
        drop(posts);
        if wake {
            self.notify.notify_one();
        }
    }

    /// Takes all posts that are there.
    pub(crate) fn take(&self) -> VecDeque<Post> {
        std::mem::take(&mut *self.posts.lock())
    }

    /// Waits for posts and takes all that are there.
    pub(crate) async fn receive(&self, into: &mut VecDeque<Post>) {
        loop {
            std::mem::swap(&mut *self.posts.lock(), into);
            if !into.is_empty() {
                return;
            }
            self.notify.notified().await;
        }
    }
}
