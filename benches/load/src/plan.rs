//! What a load consists of: topics, who publishes to them, who subscribes.

use crate::cli::{Load, Shape};

/// Who publishes and who subscribes. A *channel* is a topic that one publisher has to itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Plan {
    /// What the load is called.
    pub(crate) name: &'static str,
    pub(crate) topics: Vec<String>,
    pub(crate) publishers: Vec<Publisher>,
    pub(crate) subscribers: Vec<Subscriber>,
    /// Messages of a publisher that may be under way; `None` where a rate decides.
    pub(crate) window: Option<u16>,
    /// Messages a second of all publishers.
    pub(crate) rate: Option<u32>,
    /// Whether what a subscription costs is measured: then all clients are there before the first.
    pub(crate) counts_subscriptions: bool,
}

/// A client that publishes to channels `first` to `first + count - 1` in turn.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Publisher {
    pub(crate) first: u32,
    pub(crate) count: u32,
    /// How many subscribers each of its messages goes to.
    pub(crate) copies: u32,
}

/// A client that subscribes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Subscriber {
    pub(crate) filters: Vec<String>,
    /// The channels that reach it: `count` from `first` on, going round behind the last.
    pub(crate) first: u32,
    pub(crate) count: u32,
}

impl Subscriber {
    /// Which of its channels `channel` is, of `all` there are.
    pub(crate) fn position(&self, channel: u32, all: u32) -> Option<u32> {
        if channel >= all {
            return None;
        }
        let position =
            if channel >= self.first { channel - self.first } else { channel + (all - self.first) };
        (position < self.count).then_some(position)
    }
}

impl Plan {
    /// The plan of a load on a broker.
    ///
    /// # Errors
    ///
    /// What cannot be spread evenly.
    pub(crate) fn of(load: &Load) -> Result<Self, String> {
        Ok(match load {
            Load::Pairs { common, pairs, window, others } => {
                let mut plan = Self::pairs("pairs", &common.prefix, *pairs);
                plan.window = Some(window.window);
                let shares = shares(others.other_subscriptions, others.other_clients)?;
                let mut at = 0;
                for share in shares {
                    let filters = (at..at + share)
                        .map(|at| format!("{}/other/{}", common.prefix, at % others.other_topics))
                        .collect();
                    at += share;
                    plan.subscribers.push(Subscriber { filters, first: 0, count: 0 });
                }
                plan
            }
            // PUBREL would have to be written by the thread that publishes.
            Load::Rate { common, .. } if common.qos > 1 => {
                return Err("a fixed rate has QoS 0 or 1".to_owned());
            }
            Load::Rate { common, pairs, rate } => {
                Self { rate: Some(*rate), ..Self::pairs("rate", &common.prefix, *pairs) }
            }
            Load::FanOut { common, subscribers, window } => {
                let topic = format!("{}/all", common.prefix);
                let subscriber = Subscriber { filters: vec![topic.clone()], first: 0, count: 1 };
                Self {
                    name: "fan-out",
                    topics: vec![topic],
                    publishers: vec![Publisher { first: 0, count: 1, copies: *subscribers }],
                    subscribers: vec![subscriber; *subscribers as usize],
                    window: Some(window.window),
                    ..Self::default()
                }
            }
            Load::FanIn { common, publishers, window } => {
                let prefix = &common.prefix;
                let all = Subscriber {
                    filters: vec![format!("{prefix}/in/+")],
                    first: 0,
                    count: *publishers,
                };
                Self {
                    name: "fan-in",
                    topics: (0..*publishers).map(|at| format!("{prefix}/in/{at}")).collect(),
                    publishers: one_each(*publishers),
                    subscribers: vec![all],
                    window: Some(window.window),
                    ..Self::default()
                }
            }
            Load::Subscriptions { common, window, subscriptions, topics, clients, shape } => Self {
                window: Some(window.window),
                ..Self::spread(&common.prefix, *subscriptions, *topics, *clients, shape)?
            },
            Load::Idle { common, clients, .. } => {
                let subscriber = |at| Subscriber {
                    filters: vec![format!("{}/idle/{at}", common.prefix)],
                    first: 0,
                    count: 0,
                };
                Self {
                    name: "idle",
                    subscribers: (0..*clients).map(subscriber).collect(),
                    ..Self::default()
                }
            }
            Load::Kept { .. } => return Err("kept sessions have a course of their own".to_owned()),
            #[cfg(feature = "floor")]
            Load::Floor(_) => return Err("the floor is no load on a broker".to_owned()),
        })
    }

    fn pairs(name: &'static str, prefix: &str, pairs: u32) -> Self {
        let topics: Vec<String> = (0..pairs).map(|at| format!("{prefix}/pair/{at}")).collect();
        let subscribers = (0..).zip(&topics).map(|(first, topic)| Subscriber {
            filters: vec![topic.clone()],
            first,
            count: 1,
        });
        Self {
            name,
            publishers: one_each(pairs),
            subscribers: subscribers.collect(),
            topics,
            ..Self::default()
        }
    }

    fn spread(
        prefix: &str,
        subscriptions: u32,
        topics: u32,
        clients: u32,
        shape: &Shape,
    ) -> Result<Self, String> {
        if topics == 0 || clients == 0 || !subscriptions.is_multiple_of(topics) {
            return Err("--subscriptions must be a multiple of --topics".to_owned());
        }
        if subscriptions / clients > topics {
            return Err("a client can hold one subscription to a topic".to_owned());
        }
        if shape.round > topics {
            return Err("--round must not be more than --topics".to_owned());
        }
        let names: Vec<String> = (0..topics).map(|at| format!("{prefix}/topic/{at}/x")).collect();
        let filter = |at: u32| match shape.wildcards {
            true => format!("{prefix}/topic/{at}/+"),
            false => names[at as usize].clone(),
        };
        let mut first = 0;
        let mut subscribers = Vec::new();
        for count in shares(subscriptions, clients)? {
            let filters = (first..first + count).map(|at| filter(at % topics));
            subscribers.push(Subscriber { filters: filters.collect(), first, count });
            first = (first + count) % topics;
        }
        let copies = subscriptions / topics;
        let round = if shape.round == 0 { topics } else { shape.round };
        Ok(Self {
            name: "subscriptions",
            topics: names,
            publishers: vec![Publisher { first: 0, count: round, copies }],
            subscribers,
            counts_subscriptions: true,
            ..Self::default()
        })
    }
}

fn one_each(publishers: u32) -> Vec<Publisher> {
    (0..publishers).map(|first| Publisher { first, count: 1, copies: 1 }).collect()
}

/// `total` in equal parts for so many clients.
fn shares(total: u32, clients: u32) -> Result<Vec<u32>, String> {
    match total.checked_div(clients) {
        Some(share) if share * clients == total => {
            Ok(vec![share; if share > 0 { clients } else { 0 } as usize])
        }
        _ => Err(format!("{total} subscriptions cannot be shared evenly by {clients} clients")),
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser as _;

    use super::*;
    use crate::cli::Cli;

    fn plan(args: &[&str]) -> Result<Plan, String> {
        let args = ["zilla-load"].iter().chain(args);
        Plan::of(&Cli::try_parse_from(args).unwrap().load)
    }

    #[test]
    fn every_message_reaches_as_many_subscribers_as_its_publisher_counts_on() {
        let loads: [&[&str]; 6] = [
            &["pairs", "--pairs", "3", "--other-subscriptions", "20", "--other-clients", "4"],
            &["rate", "--pairs", "4"],
            &["fan-out", "--subscribers", "5"],
            &["fan-in", "--publishers", "6"],
            &["subscriptions", "--subscriptions", "60", "--topics", "20", "--clients", "4"],
            &[
                "subscriptions",
                "--subscriptions",
                "20",
                "--topics",
                "20",
                "--wildcards",
                "--round",
                "3",
                "--clients",
                "4",
            ],
        ];
        for load in loads {
            let plan = plan(load).unwrap();
            let all = u32::try_from(plan.topics.len()).unwrap();
            for publisher in &plan.publishers {
                for channel in publisher.first..publisher.first + publisher.count {
                    let topic = &plan.topics[channel as usize];
                    let mut copies = 0;
                    for subscriber in &plan.subscribers {
                        let matches = subscriber.filters.iter().any(|filter| {
                            filter == topic
                                || filter.strip_suffix('+').is_some_and(|start| {
                                    topic.strip_prefix(start).is_some_and(|end| !end.contains('/'))
                                })
                        });
                        assert_eq!(matches, subscriber.position(channel, all).is_some(), "{topic}");
                        copies += u32::from(matches);
                    }
                    assert_eq!(copies, publisher.copies, "{load:?}, {topic}");
                }
            }
        }
    }

    #[test]
    fn what_cannot_be_spread_is_refused() {
        assert!(plan(&["subscriptions", "--subscriptions", "15", "--topics", "10"]).is_err());
        assert!(plan(&["pairs", "--other-subscriptions", "15", "--other-clients", "4"]).is_err());
        let too_many = ["--subscriptions", "40", "--topics", "10", "--clients", "2"];
        assert!(plan(&[&["subscriptions"][..], &too_many].concat()).is_err());
        assert!(plan(&["rate", "--qos", "2"]).is_err());
    }
}
