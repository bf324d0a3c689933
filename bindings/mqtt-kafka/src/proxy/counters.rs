//! What a worker counts.

use engine::config::NodeName;
use engine::spi::WorkerCx;
use engine::telemetry::{Counter, LogLimit};

macro_rules! counters {
    ($($(#[$doc:meta])* $name:ident,)*) => {
        /// The counters of one worker.
        pub(super) struct Counters {
            $($(#[$doc])* pub(super) $name: Counter,)*
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
    /// Subscriptions that were refused.
    pub(super) refused: LogLimit,
    /// Subscriptions to what Kafka cannot be read for.
    pub(super) failed: LogLimit,
    /// Sessions that were not kept.
    pub(super) not_kept: LogLimit,
}

counters! {
    /// Sessions open.
    sessions,
    /// Sessions kept whose client is away.
    sessions_kept,
    /// Sessions that went on with a later connection.
    sessions_resumed,
    /// Sessions that ended because their client did not come back in time.
    sessions_expired,
    /// Sessions that were kept and that their client wanted no more.
    sessions_discarded,
    /// Sessions that ended with their connection because too many are kept.
    sessions_not_kept,
    /// Messages sent again to clients that had not acknowledged them.
    redeliveries,
    /// Messages that would have been sent again and that Kafka no longer holds.
    redeliveries_gone,
    /// Times that Kafka no longer held what came while a client was away.
    resumes_incomplete,
    /// Subscriptions held.
    subscriptions,
    /// Groups of shared subscriptions.
    shared_groups,
    /// Messages that groups handed to their members.
    shared_handed_out,
    /// Messages that came back to a group from a member that left, for another one.
    shared_redelivered,
    /// Publishes handed to Kafka.
    publishes_appended,
    /// Publishes refused at once: no route, QoS, a topic that cannot be appended to.
    publishes_refused,
    /// Publishes that Kafka refused later.
    publishes_failed,
    /// QoS 0 publishes dropped because Kafka does not keep up.
    publishes_dropped,
    /// Deliveries put in a session's ring.
    deliveries_queued,
    /// QoS 0 deliveries that a session without room missed.
    deliveries_skipped,
    /// Messages whose expiry interval had passed.
    deliveries_expired,
    /// Retained messages put in a session's ring at SUBSCRIBE.
    retained_replayed,
    /// Records whose key is no MQTT topic.
    records_skipped_key,
    /// Times that a session left live dispatch to catch up by itself.
    sessions_behind,
    /// Times that a session asked Kafka for what memory no longer held.
    older_asked,
    /// Sessions ended because Kafka no longer held what they had not read.
    sessions_fallen_out,
    /// Times that memory no longer held what this worker had not read.
    logs_fallen_out,
    /// Filters refused in SUBACK.
    subscriptions_refused,
    /// Subscriptions that a reload left without a Kafka topic.
    subscriptions_unrouted,
    /// Wills that wait until their delay has passed or their session ends.
    wills_delayed,
    /// Wills that Kafka has.
    wills_published,
    /// Wills that were taken back: by DISCONNECT, or by a client that came back in time.
    wills_discarded,
    /// Times that a will which Kafka had not taken was put aside, to be tried again.
    wills_retried,
    /// Wills that were given up, since Kafka or the routes do not take them.
    wills_failed,
}
