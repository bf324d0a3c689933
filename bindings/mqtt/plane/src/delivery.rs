//! Messages on their way to a client.

use std::any::Any;
use std::rc::Rc;

use crate::{Frames, Publish, Qos};

/// A run of messages that a worker received together, shared by all sessions they match.
///
/// One allocation a run, none a message: a [`Delivery`] is a reference to the run and an index.
pub trait Messages: Any {
    /// The message at `index`, as it was published: its own QoS and RETAIN flag.
    fn publish(&self, index: u32) -> Publish<'_>;

    /// Seconds left of the message's expiry interval at this moment of the worker's clock.
    /// `None` where it has no expiry, `Some(0)` where it has expired.
    fn remaining_expiry(&self, index: u32) -> Option<u32>;

    /// The cells in which the binding that encodes keeps what it encoded once.
    fn frames(&self) -> &Frames;
}

/// Where a message lies in the exit's log; opaque to the binding that delivers it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Position {
    /// Which log of the exit.
    pub log: u32,
    /// The offset in that log.
    pub offset: i64,
}

/// The subscription identifiers that a delivery carries, in no order; mostly none.
pub type SubscriptionIds = Option<Rc<[u32]>>;

/// One message for one session.
#[derive(Clone)]
pub struct Delivery {
    /// The run that the message belongs to.
    pub messages: Rc<dyn Messages>,
    /// Its place in the run.
    pub index: u32,
    /// Whether sessions beside this one receive it: encoding it once pays then.
    pub is_shared: bool,
    /// The QoS to deliver with: the lesser of the publish's and the subscription's.
    pub qos: Qos,
    /// The RETAIN flag to deliver with.
    pub retain: bool,
    /// The identifiers of all matching subscriptions of this session.
    pub subscription_ids: SubscriptionIds,
    /// What to acknowledge.
    pub position: Position,
}
