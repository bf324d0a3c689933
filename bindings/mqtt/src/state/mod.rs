//! What a connection decides and remembers. No I/O, no clock.

mod admission;
mod advice;
mod aliases;
mod bounds;
mod in_flight;
mod inbound_acks;
mod pace;
mod pattern;
mod policy;
mod refusal;
mod requests;
mod routes;
mod system;

pub use admission::{
    NO_ROUTE, NO_WILL_ROUTE, SHORTEST_ASSIGNED, Terms, UNLIMITED, admit, admit_packet, stricter,
    unavailable,
};
pub use advice::{NOT_IN_FLIGHT, filter_advice, publish_advice};
pub use aliases::{Alias, InboundAliases, OutboundAliases};
pub use bounds::{Bounds, OverRate};
pub use in_flight::{Dropped, InFlight, Pubrec, Source};
pub use inbound_acks::{Acknowledgement, InUse, InboundAcks};
pub use pace::Pace;
pub use pattern::{ClientPattern, TopicPattern};
pub use policy::{Offer, Policy, SYSTEM_INTERVAL, Versions};
pub use refusal::{Refusal, Rule};
pub use requests::{Answer, RequestKind, Requests};
pub use routes::{Condition, Decision, Item, Request, Route, Routes, Verdict};
pub use system::{Figures, SYSTEM_TOPICS, TopicSet, is_system};
