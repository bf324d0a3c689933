//! Why Kafka does not serve.

/// Why a topic or an append is refused, as far as the asker must tell causes apart.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Fault {
    /// The cluster does not answer at present.
    Unavailable,
    /// The topic does not exist.
    UnknownTopic,
    /// The principal lacks an ACL for the topic.
    NotAuthorized,
    /// The record is larger than the topic or the client permits.
    TooLarge,
    /// Any other refusal, by the name that the Kafka protocol gives to it.
    Refused(&'static str),
}

impl std::fmt::Display for Fault {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Unavailable => "Kafka is not reachable",
            Self::UnknownTopic => "the Kafka topic does not exist",
            Self::NotAuthorized => "not authorized for the Kafka topic",
            Self::TooLarge => "the record is larger than the Kafka topic permits",
            Self::Refused(why) => why,
        })
    }
}
