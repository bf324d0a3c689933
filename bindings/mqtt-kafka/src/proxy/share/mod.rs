//! Shared subscriptions (MQTT 5.0 section 4.8.2): `$share/name/filter`.
//!
//! All subscriptions to one such filter are a *group*. It lives on one worker, which its name
//! chooses, and there it is a session of its own that is subscribed to the plain filter: it reads
//! logs, falls behind, catches up and follows a reload as any session does. What it receives it
//! hands out, each message to one of its *seats*, in turn. A seat is one session's subscription, on
//! whatever worker; it takes no more than its window, so that a client that does not read holds up
//! nobody. What a seat was handed and did not settle goes back to the group when its connection
//! ends, and to another seat.
//!
//! - `letters`: what groups and seats tell each other, in batches, over workers or within one.
//! - `group`, `hand_out`: a group on its worker; `desk`: all of them, and who sits where.
//! - `inbox`, `drain`, `seats`: a session's seats, and what waits for it there.

mod desk;
mod drain;
mod group;
mod hand_out;
mod inbox;
mod letters;
mod seats;

pub(super) use desk::Desk;
pub(super) use drain::is_shared;
pub(super) use inbox::{Inbox, Lies};
pub(super) use letters::Letter;
pub(super) use seats::KeptSeat;

/// Names what shared subscriptions deliver in positions of deliveries, beside the logs. Their
/// offsets count the deliveries of a worker.
const LOG: u32 = u32::MAX - 1;

/// Messages that a seat has at most which are not settled; few in tests, so that it is reached.
const WINDOW: u16 = if cfg!(test) { 8 } else { 64 };

/// Payloads of messages that a seat has and that are not settled, bytes, before the last one.
const WINDOW_BYTES: usize = if cfg!(test) { 64 } else { 1 << 20 };
