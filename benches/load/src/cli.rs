//! The command line.

use std::net::SocketAddr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};

use crate::wire::Version;

/// A load generator for MQTT brokers.
///
/// Publishers and subscribers share one thread; every message carries its topic's number, the
/// publisher's running number and a stamp, so that missing and repeated messages are counted
/// exactly. A publisher has at most --window messages that its subscribers do not all have, or that
/// are not acknowledged.
#[derive(Debug, Parser)]
#[command(name = "zilla-load", version)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) load: Load,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Load {
    /// Pairs of a publisher and a subscriber, each with a topic of its own.
    Pairs {
        #[command(flatten)]
        common: Common,
        /// How many pairs.
        #[arg(long, default_value_t = 50)]
        pairs: u32,
        #[command(flatten)]
        window: Window,
        #[command(flatten)]
        others: Others,
    },
    /// One topic, whose every message goes to all subscribers.
    FanOut {
        #[command(flatten)]
        common: Common,
        /// How many subscribers.
        #[arg(long, default_value_t = 1000)]
        subscribers: u32,
        #[command(flatten)]
        window: Window,
    },
    /// Many publishers, each with a topic of its own, and one subscriber to all of them.
    FanIn {
        #[command(flatten)]
        common: Common,
        /// How many publishers.
        #[arg(long, default_value_t = 1000)]
        publishers: u32,
        #[command(flatten)]
        window: Window,
    },
    /// Pairs that publish at a fixed rate in all; latency counts from when a message was due.
    Rate {
        #[command(flatten)]
        common: Common,
        /// How many pairs.
        #[arg(long, default_value_t = 10)]
        pairs: u32,
        /// Messages a second, of all pairs.
        #[arg(long, default_value_t = 1000)]
        rate: u32,
    },
    /// Subscriptions spread over clients and topics, and what each costs; one publisher goes round
    /// the topics.
    Subscriptions {
        #[command(flatten)]
        common: Common,
        #[command(flatten)]
        window: Window,
        /// How many subscriptions.
        #[arg(long, default_value_t = 100_000)]
        subscriptions: u32,
        /// How many topics.
        #[arg(long, default_value_t = 10_000)]
        topics: u32,
        /// How many clients hold the subscriptions.
        #[arg(long, default_value_t = 100)]
        clients: u32,
        #[command(flatten)]
        shape: Shape,
    },
    /// Connects clients with a subscription each and tells what one costs.
    Idle {
        #[command(flatten)]
        common: Common,
        /// How many clients.
        #[arg(long, default_value_t = 10_000)]
        clients: u32,
        /// Print `connected`, and keep the clients until standard input ends.
        #[arg(long)]
        hold: bool,
    },
    /// Has sessions kept whose clients go, with a subscription each, and resumes them.
    Kept {
        #[command(flatten)]
        common: Common,
        /// How many sessions.
        #[arg(long, default_value_t = 100_000)]
        sessions: u32,
    },
    /// The floor of latency: librdkafka's produce to consume in one process, without a broker of
    /// MQTT. Prints one line for each setting.
    #[cfg(feature = "floor")]
    Floor(Floor),
}

/// What every load has.
#[derive(Clone, Debug, Args)]
pub(crate) struct Common {
    /// The broker to measure.
    #[arg(long, value_name = "HOST:PORT", default_value = "127.0.0.1:1883")]
    pub(crate) address: SocketAddr,
    /// A process of the broker, for its CPU time and memory; may be repeated.
    #[arg(long, value_name = "PID")]
    pub(crate) pid: Vec<u32>,
    /// The version of MQTT.
    #[arg(long, value_enum, default_value_t = Version::V3)]
    pub(crate) version: Version,
    /// QoS of publishes and subscriptions.
    #[arg(long, default_value_t = 0, value_parser = clap::value_parser!(u8).range(0..=2))]
    pub(crate) qos: u8,
    /// Bytes of a payload; at least 24.
    #[arg(long, default_value_t = 64)]
    pub(crate) payload: usize,
    /// How long to measure.
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    pub(crate) duration: Duration,
    /// How long to publish before that.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) warm_up: Duration,
    /// For how long nothing may arrive at the end until the rest counts as missing.
    #[arg(long, value_name = "SECONDS", default_value = "5", value_parser = seconds)]
    pub(crate) patience: Duration,
    /// What topics and client ids begin with.
    #[arg(long, default_value = "load")]
    pub(crate) prefix: String,
    /// Print one JSON object instead of a line for people.
    #[arg(long)]
    pub(crate) json: bool,
}

/// What a publisher may have under way.
#[derive(Clone, Debug, Args)]
pub(crate) struct Window {
    /// Messages of a publisher that are under way at most.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u16).range(1..))]
    pub(crate) window: u16,
}

/// What the subscriptions of a load are like, and what goes on beside it.
#[derive(Clone, Debug, Args)]
pub(crate) struct Shape {
    /// Subscribe to the topics through a filter with a wildcard each.
    #[arg(long)]
    pub(crate) wildcards: bool,
    /// Publish to so many of the topics only; 0: to all.
    #[arg(long, default_value_t = 0)]
    pub(crate) round: u32,
    /// Subscriptions a second that a further client makes and gives up meanwhile, with wildcards,
    /// to topics without a publisher.
    #[arg(long, default_value_t = 0)]
    pub(crate) churn: u32,
}

/// Subscriptions that match nothing that is published.
#[derive(Clone, Debug, Args)]
pub(crate) struct Others {
    /// Further subscriptions, to topics without a publisher.
    #[arg(long, default_value_t = 0)]
    pub(crate) other_subscriptions: u32,
    /// How many topics those are to.
    #[arg(long, default_value_t = 10_000)]
    pub(crate) other_topics: u32,
    /// How many clients hold them.
    #[arg(long, default_value_t = 100)]
    pub(crate) other_clients: u32,
}

/// What the floor is measured with.
#[cfg(feature = "floor")]
#[derive(Clone, Debug, Args)]
pub(crate) struct Floor {
    /// The Kafka to measure.
    #[arg(long, value_name = "HOST:PORT")]
    pub(crate) bootstrap: String,
    /// The Kafka topic, which must exist.
    #[arg(long)]
    pub(crate) topic: String,
    /// Messages a second.
    #[arg(long, default_value_t = 1000)]
    pub(crate) rate: u32,
    /// Settings of the producer, as LINGER_MS[/MAX_IN_FLIGHT]; may be repeated.
    #[arg(long, default_values_t = ["0/1", "0", "0.5", "1", "2", "5"].map(str::to_owned))]
    pub(crate) setting: Vec<String>,
    /// Bytes of a value; at least 24.
    #[arg(long, default_value_t = 64)]
    pub(crate) payload: usize,
    /// How long to measure each setting.
    #[arg(long, value_name = "SECONDS", default_value = "3", value_parser = seconds)]
    pub(crate) duration: Duration,
    /// How long to produce before that.
    #[arg(long, value_name = "SECONDS", default_value = "1", value_parser = seconds)]
    pub(crate) warm_up: Duration,
    /// Print one JSON object for each setting instead of a line for people.
    #[arg(long)]
    pub(crate) json: bool,
}

fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|error| format!("{error}"))?;
    Duration::try_from_secs_f64(seconds).map_err(|error| error.to_string())
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory as _;

    use super::*;

    #[test]
    fn the_command_line_is_sound_and_its_limits_hold() {
        Cli::command().debug_assert();
        assert!(Cli::try_parse_from(["zilla-load", "pairs", "--window", "0"]).is_err());
        assert!(Cli::try_parse_from(["zilla-load", "pairs", "--qos", "3"]).is_err());
        assert!(Cli::try_parse_from(["zilla-load", "rate", "--duration=-1"]).is_err());
        let cli = Cli::try_parse_from(["zilla-load", "pairs", "--duration", "0.5", "--pid", "7"]);
        let Ok(Cli { load: Load::Pairs { common, .. } }) = cli else { panic!("{cli:?}") };
        assert_eq!((common.duration, &common.pid[..]), (Duration::from_millis(500), &[7][..]));
    }
}
