//! The record format on the messages and retained topics.

mod headers;
mod record;
mod view;

pub use headers::PublishHeaders;
pub use record::{message, retained};
pub use view::{View, topic_of};
