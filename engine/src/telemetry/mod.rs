//! What the engine tells about itself: events in the log, counters in `zilla status`.

mod log;
mod metric;

pub use log::{LogFormat, init_logging};
pub use metric::{Counter, Metrics};
