//! The record format on the messages and retained topics.

mod headers;
mod view;

pub use headers::PublishHeaders;
pub use view::{View, topic_of};
