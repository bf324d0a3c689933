//! What a server counts, as `zilla status` shows it.

use engine::config::NodeName;
use engine::spi::WorkerCx;
use engine::telemetry::{Counter, LogLimit};

macro_rules! counters {
    ($($(#[doc = $doc:literal])* $name:ident,)*) => {
        /// The counters of a server on one worker.
        pub(super) struct Counters {
            $($(#[doc = $doc])* pub(super) $name: Counter,)*
        }

        impl Counters {
            pub(super) fn new(cx: &WorkerCx, node: &NodeName) -> Self {
                Self { $($name: cx.counter(node, stringify!($name)),)* }
            }
        }
    };
}

/// Bounds on what the log tells of what clients cause.
#[derive(Default)]
pub(super) struct LogLimits {
    /// Connections that were refused.
    pub(super) refused: LogLimit,
    /// Sessions that the server ended.
    pub(super) ended: LogLimit,
}

/// Bytes, as they are counted.
pub(super) fn length(bytes: &[u8]) -> i64 {
    i64::try_from(bytes.len()).unwrap_or(i64::MAX)
}

counters! {
    /// Connections that were answered with a CONNACK of success.
    connections_opened,
    /// Connections that ended before that.
    connections_refused,
    /// Of them, those that a limit of the file ended.
    connections_refused_by_limit,
    /// Connections that ended because their client id connected again.
    connections_taken_over,
    /// Connections whose client was silent for one and a half times its keep alive.
    keep_alive_timeouts,
    /// Connections that ended because of what the client sent.
    protocol_errors,
    /// Connections that ended because their client sent more than it may: of 3.1.1, which cannot be
    /// told that a publish is beyond a quota, or where the file has them disconnected.
    connections_ended_by_limit,
    /// Connections that an exit ended.
    sessions_ended_by_exit,
    /// Packets of clients, CONNECT first.
    packets_received,
    /// Packets to clients.
    packets_sent,
    /// Bytes of clients.
    bytes_received,
    /// Bytes to clients.
    bytes_sent,
    /// PUBLISH packets of clients, whatever became of them.
    publishes_received,
    /// Publishes to a topic that no route takes.
    publishes_dropped_no_route,
    /// Publishes that an exit refused.
    publishes_dropped_refused,
    /// Publishes beyond the rate or the limits of their client.
    publishes_dropped_limited,
    /// Times that a client was not read because it sends faster than it may.
    rate_waits,
    /// QoS 1 and QoS 2 publishes that were sent again while they were not complete yet.
    publishes_repeated,
    /// Filters in SUBSCRIBE packets that were refused here or by an exit.
    subscriptions_refused,
    /// PUBLISH packets to clients.
    deliveries_sent,
    /// Deliveries larger than the Maximum Packet Size of their client.
    deliveries_skipped_too_large,
    /// Deliveries whose message had expired.
    deliveries_skipped_expired,
    /// Acknowledgements of clients with a packet identifier that is not in flight.
    acknowledgements_unknown,
    /// Connections refused because the session of an older one of their client had not ended.
    takeovers_refused,
}
