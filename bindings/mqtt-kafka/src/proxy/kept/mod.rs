//! Sessions that outlive their connection.
//!
//! - `store`: those whose client is away, as data; `keep`, `resume`: into it and out of it.
//! - `lasting`: what a session with a client has that it may leave to the next.
//! - `due`: what expires; `wills`: what is published then.

pub(super) mod due;
pub(super) mod keep;
pub(super) mod lasting;
pub(super) mod resume;
pub(super) mod store;
pub(super) mod wills;
