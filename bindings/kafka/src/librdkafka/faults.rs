//! librdkafka's error codes as the plane's faults.

use kafka_plane::Fault;
use rdkafka::error::{KafkaError, RDKafkaErrorCode as Code};

/// The fault that a code amounts to.
pub(super) fn fault_of_code(code: Code) -> Fault {
    match code {
        Code::UnknownTopic
        | Code::UnknownTopicOrPartition
        | Code::UnknownPartition
        | Code::UnknownTopicId => Fault::UnknownTopic,
        // The latter where the principal may write to no topic at all.
        Code::TopicAuthorizationFailed | Code::ClusterAuthorizationFailed => Fault::NotAuthorized,
        Code::MessageSizeTooLarge => Fault::TooLarge,
        Code::BrokerTransportFailure
        | Code::AllBrokersDown
        | Code::Resolve
        | Code::OperationTimedOut
        | Code::MessageTimedOut
        | Code::Authentication
        | Code::SaslAuthenticationFailed
        | Code::QueueFull
        // What a broker says while it starts, or while a partition's leader changes.
        | Code::LeaderNotAvailable
        | Code::NotLeaderForPartition
        | Code::ReplicaNotAvailable
        | Code::BrokerNotAvailable
        | Code::RequestTimedOut
        | Code::NetworkException
        | Code::OffsetNotAvailable
        | Code::FencedLeaderEpoch
        | Code::UnknownLeaderEpoch
        | Code::EligibleLeadersNotAvailable
        | Code::KafkaStorageError
        | Code::TimedOutQueue
        | Code::WaitCache
        | Code::Retry
        | Code::BrokerDestroy
        // A broker that is no longer one of the cluster, with a request under way to it.
        | Code::DestroyBroker
        | Code::UnknownBroker => Fault::Unavailable,
        Code::NotEnoughReplicas => Fault::Refused("NOT_ENOUGH_REPLICAS"),
        Code::NotEnoughReplicasAfterAppend => Fault::Refused("NOT_ENOUGH_REPLICAS_AFTER_APPEND"),
        Code::PolicyViolation => Fault::Refused("POLICY_VIOLATION"),
        Code::InvalidRecord => Fault::Refused("INVALID_RECORD"),
        Code::OutOfOrderSequenceNumber => Fault::Refused("OUT_OF_ORDER_SEQUENCE_NUMBER"),
        Code::UnknownProducerId => Fault::Refused("UNKNOWN_PRODUCER_ID"),
        Code::PurgeQueue | Code::PurgeInflight => Fault::Refused("the producer was started anew"),
        _ => {
            tracing::debug!(event = "kafka.client.refusal", ?code);
            Fault::Refused("UNKNOWN_SERVER_ERROR")
        }
    }
}

/// An error of librdkafka, boxed since it is large.
pub(super) type Refusal = Box<KafkaError>;

/// The fault that an error amounts to.
pub(super) fn fault_of(error: &KafkaError) -> Fault {
    error.rdkafka_error_code().map_or(Fault::Unavailable, fault_of_code)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Else clients would be refused because a broker was restarted.
    #[test]
    fn a_broker_that_goes_is_waited_for() {
        for code in [Code::DestroyBroker, Code::BrokerTransportFailure, Code::LeaderNotAvailable] {
            assert_eq!(fault_of_code(code), Fault::Unavailable, "{code:?}");
        }
    }
}
