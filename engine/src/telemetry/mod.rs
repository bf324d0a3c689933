//! What the engine tells about itself: events in the log, counters in `zilla status`.

mod limit;
mod log;
mod metric;

pub use limit::LogLimit;
pub use log::{LogFormat, init_logging};
pub use metric::{Counter, Metrics};
