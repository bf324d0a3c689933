//! The mqtt plane: what a binding that speaks MQTT and a binding that answers it share.
//!
//! A binding that speaks MQTT (`mqtt`) opens a [`Session`] on its exit for each connection that it
//! admits. Publishes are **pushed** in, after [`Session::poll_ready`]; deliveries are **pulled**
//! out, by [`Session::poll_events`], so that a client that does not read costs nothing but the
//! session's own bounded state. Everything here lives on one worker thread and is not `Send`.

pub mod asked;
mod delivery;
mod filter;
mod frames;
mod publish;
mod reason;
mod session;

pub use delivery::{Delivery, Messages, Position, SubscriptionIds};
pub use filter::{
    FilterError, TopicError, check_filter, check_topic, filter_matches, is_share, levels, plain,
    share,
};
pub use frames::{Frame, FrameKind, Frames};
pub use publish::{
    PayloadFormat, Publish, PublishProperties, Qos, RetainHandling, Subscription, UserProperties,
    Version, Will,
};
pub use reason::ReasonCode;
pub use session::{
    Appetite, Cause, Closed, Event, FileLimits, Keep, Limits, Mqtt, MqttExit, OpenDelivery, Opened,
    Session, SessionBegin, Stage, Ticket, Unfinished,
};
