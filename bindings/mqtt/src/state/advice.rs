//! What a 5.0 client is told beside the code of a refusal, where it wants to know: what is wrong and
//! what to do about it.

use mqtt_plane::ReasonCode;

/// For PUBACK and PUBREC.
#[must_use]
pub const fn publish_advice(reason: ReasonCode) -> &'static str {
    match reason {
        ReasonCode::NOT_AUTHORIZED => {
            "this client may not publish to the topic: no route takes it, or the log's access \
             control does not permit it"
        }
        ReasonCode::TOPIC_NAME_INVALID => {
            "the topic is longer or has more levels than the server takes, or begins with $SYS, \
             which is the server's: publish to another one"
        }
        ReasonCode::PACKET_IDENTIFIER_IN_USE => {
            "an exchange with this packet identifier is not complete: use another one"
        }
        ReasonCode::QUOTA_EXCEEDED => {
            "more messages in a second, or more user properties, than the server takes: send fewer"
        }
        ReasonCode::PAYLOAD_FORMAT_INVALID => {
            "the payload is not UTF-8, which its Payload Format Indicator says it is"
        }
        ReasonCode::PACKET_TOO_LARGE => {
            "the message is larger than the log takes: send less in one"
        }
        _ => "the server could not store the message: send it again later",
    }
}

/// For PUBREL and PUBCOMP.
pub const NOT_IN_FLIGHT: &str =
    "no exchange with this packet identifier is under way: it is complete, or of another session";

/// For SUBACK and UNSUBACK, where `reason` is of a filter that is refused.
#[must_use]
pub const fn filter_advice(reason: ReasonCode) -> &'static str {
    match reason {
        ReasonCode::NOT_AUTHORIZED => {
            "this client may not read all that the filter matches: ask for less"
        }
        ReasonCode::TOPIC_FILTER_INVALID => {
            "no topic filter, or one that is longer or has more levels than the server takes, or \
             one of $SYS that is shared"
        }
        ReasonCode::PACKET_IDENTIFIER_IN_USE => {
            "an exchange with this packet identifier is not complete: use another one"
        }
        ReasonCode::QUOTA_EXCEEDED => {
            "more filters in a packet, subscriptions of a client or user properties than the \
             server takes"
        }
        ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR => {
            "more filters in a packet, or more user properties, than the server takes"
        }
        _ => "the server cannot do it at present: ask again later",
    }
}
