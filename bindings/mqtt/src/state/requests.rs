//! SUBSCRIBE and UNSUBSCRIBE packets that are not answered yet.

use mqtt_plane::{ReasonCode, Ticket};

/// Requests that one client may have outstanding; more are not read before one is answered.
const MAX_OUTSTANDING: usize = 64;

/// Which packet a request is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RequestKind {
    /// SUBSCRIBE, answered with SUBACK.
    Subscribe,
    /// UNSUBSCRIBE, answered with UNSUBACK.
    Unsubscribe,
}

/// The answer to a request: one code a filter, in order [MQTT-3.8.4-6], [MQTT-3.11.3-2].
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// Which packet is answered.
    pub kind: RequestKind,
    /// Its packet identifier [MQTT-2.2.1-6], [MQTT-3.8.4-2].
    pub packet_id: u16,
    /// The codes.
    pub reasons: Vec<ReasonCode>,
}

/// The requests of one client. The filters of one request may go to several exits; the request is
/// answered when all have answered.
#[derive(Debug, Default)]
pub struct Requests {
    pending: Vec<Pending>,
    last_ticket: Ticket,
}

#[derive(Debug)]
struct Pending {
    kind: RequestKind,
    packet_id: u16,
    /// `None` until an exit has answered for the filter.
    reasons: Vec<Option<ReasonCode>>,
    parts: Vec<Part>,
}

/// The filters of a request that one exit decides.
#[derive(Debug)]
struct Part {
    ticket: Ticket,
    filters: Vec<usize>,
}

impl Requests {
    /// Whether no further request is taken at present.
    #[must_use]
    pub fn is_full(&self) -> bool {
        self.pending.len() >= MAX_OUTSTANDING
    }

    /// Whether none is outstanding.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.pending.is_empty()
    }

    /// Whether a SUBSCRIBE is outstanding.
    #[must_use]
    pub fn is_subscribing(&self) -> bool {
        self.pending.iter().any(|pending| pending.kind == RequestKind::Subscribe)
    }

    /// Whether a request with this packet identifier is outstanding.
    #[must_use]
    pub fn contains(&self, packet_id: u16) -> bool {
        self.pending.iter().any(|pending| pending.packet_id == packet_id)
    }

    /// Begins a request. `reasons` has an entry for each filter, set where no exit is asked. Its
    /// parts follow by [`Requests::add_part`], then [`Requests::answered`].
    pub fn begin(&mut self, kind: RequestKind, packet_id: u16, reasons: Vec<Option<ReasonCode>>) {
        self.pending.push(Pending { kind, packet_id, reasons, parts: Vec::new() });
    }

    /// Adds the filters, by index, that one exit decides for the request begun last; returns the
    /// ticket to ask with.
    pub fn add_part(&mut self, filters: Vec<usize>) -> Ticket {
        // Never 0, and never the ticket of a publish, whose highest bit is set.
        self.last_ticket = self.last_ticket % (Ticket::MAX >> 1) + 1;
        if let Some(pending) = self.pending.last_mut() {
            pending.parts.push(Part { ticket: self.last_ticket, filters });
        }
        self.last_ticket
    }

    /// An exit has answered a part, one code a filter. A ticket that is unknown changes nothing.
    pub fn complete(&mut self, ticket: Ticket, reasons: &[ReasonCode]) {
        for pending in &mut self.pending {
            let Some(at) = pending.parts.iter().position(|part| part.ticket == ticket) else {
                continue;
            };
            let part = pending.parts.swap_remove(at);
            for (index, filter) in part.filters.into_iter().enumerate() {
                let reason = reasons.get(index).copied().unwrap_or(ReasonCode::UNSPECIFIED_ERROR);
                if let Some(slot) = pending.reasons.get_mut(filter) {
                    // All exits are asked to unsubscribe: it is done if one of them has done it.
                    *slot = Some(match *slot {
                        Some(ReasonCode::SUCCESS) => ReasonCode::SUCCESS,
                        Some(earlier) if reason != ReasonCode::SUCCESS => earlier.max(reason),
                        _ => reason,
                    });
                }
            }
            return;
        }
    }

    /// The next request that all exits have answered, if there is one.
    pub fn answered(&mut self) -> Option<Answer> {
        let at = self.pending.iter().position(|pending| pending.parts.is_empty())?;
        let Pending { kind, packet_id, reasons, .. } = self.pending.remove(at);
        if self.pending.is_empty() {
            self.pending = Vec::new();
        }
        let reasons = reasons
            .into_iter()
            .map(|reason| reason.unwrap_or(ReasonCode::UNSPECIFIED_ERROR))
            .collect();
        Some(Answer { kind, packet_id, reasons })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// [MQTT-3.8.4-6]
    #[test]
    fn a_request_is_answered_once_all_exits_have_answered_with_a_code_for_each_filter() {
        let mut requests = Requests::default();
        let refused = Some(ReasonCode::NOT_AUTHORIZED);
        requests.begin(RequestKind::Subscribe, 7, vec![None, refused, None]);
        let first = requests.add_part(vec![2]);
        let second = requests.add_part(vec![0]);
        assert!(requests.contains(7) && !requests.contains(8));
        requests.complete(second, &[ReasonCode(1)]);
        assert_eq!(requests.answered(), None);
        requests.complete(first, &[ReasonCode(0)]);
        let reasons = vec![ReasonCode(1), ReasonCode::NOT_AUTHORIZED, ReasonCode(0)];
        let answer = Answer { kind: RequestKind::Subscribe, packet_id: 7, reasons };
        assert_eq!(requests.answered(), Some(answer));
        assert!(requests.is_empty());
        requests.complete(first, &[ReasonCode(0)]);
        assert_eq!(requests.answered(), None);
    }

    #[test]
    fn an_unsubscribe_is_a_success_if_one_exit_had_the_subscription() {
        let none = ReasonCode::NO_SUBSCRIPTION_EXISTED;
        for (answers, expected) in [
            ([none, ReasonCode::SUCCESS], ReasonCode::SUCCESS),
            ([ReasonCode::SUCCESS, none], ReasonCode::SUCCESS),
            ([none, none], none),
            ([none, ReasonCode::UNSPECIFIED_ERROR], ReasonCode::UNSPECIFIED_ERROR),
        ] {
            let mut requests = Requests::default();
            requests.begin(RequestKind::Unsubscribe, 1, vec![None]);
            let tickets = [requests.add_part(vec![0]), requests.add_part(vec![0])];
            requests.complete(tickets[0], &answers[..1]);
            requests.complete(tickets[1], &answers[1..]);
            assert_eq!(requests.answered().unwrap().reasons, [expected]);
        }
    }

    #[test]
    fn outstanding_requests_are_bounded() {
        let mut requests = Requests::default();
        for packet_id in 1..=64 {
            assert!(!requests.is_full());
            requests.begin(RequestKind::Subscribe, packet_id, vec![None]);
            requests.add_part(vec![0]);
        }
        assert!(requests.is_full());
    }
}
