//! From the records of a log to what waits for each session.
//!
//! - `reader`, `dispatch`, `run`: records of a log, once through its subscriptions, to sessions.
//! - `ring`: what waits for a session; `catch_up`: one that reads the log by itself; `older`:
//!   what memory no longer holds of it.

pub(super) mod catch_up;
pub(super) mod dispatch;
pub(super) mod older;
pub(super) mod reader;
pub(super) mod ring;
pub(super) mod run;
