use super::*;

const SUCCESS: ReasonCode = ReasonCode::SUCCESS;

fn acknowledge(acks: &mut InboundAcks) -> Option<(u16, u8, ReasonCode)> {
    let next = acks.acknowledge(Version::V5)?;
    Some((next.packet_id, next.qos as u8, next.reason))
}

/// Begins a QoS 2 publish, and acknowledges it.
fn receive(acks: &mut InboundAcks, packet_id: u16) {
    let ticket = acks.begin(packet_id, Qos::ExactlyOnce);
    acks.complete(ticket, SUCCESS);
    assert_eq!(acknowledge(acks), Some((packet_id, 2, SUCCESS)));
}

/// [MQTT-4.6.0-2], [MQTT-4.6.0-3]
#[test]
fn publishes_are_acknowledged_in_order_of_receipt_however_they_are_answered() {
    let mut acks = InboundAcks::default();
    let tickets: Vec<Ticket> = [Qos::AtLeastOnce, Qos::ExactlyOnce, Qos::AtLeastOnce]
        .into_iter()
        .zip(1..)
        .map(|(qos, id)| acks.begin(id, qos))
        .collect();
    assert!(tickets.iter().all(|ticket| *ticket != 0));
    acks.complete(tickets[2], SUCCESS);
    acks.complete(tickets[1], ReasonCode::QUOTA_EXCEEDED);
    assert_eq!(acknowledge(&mut acks), None);
    acks.complete(tickets[0], SUCCESS);
    let order: Vec<_> = std::iter::from_fn(|| acknowledge(&mut acks)).collect();
    assert_eq!(order, [(1, 1, SUCCESS), (2, 2, ReasonCode::QUOTA_EXCEEDED), (3, 1, SUCCESS)]);
    assert!(acks.is_answered());
    acks.complete(tickets[0], SUCCESS);
    assert!(acks.is_answered());
}

#[test]
fn identifiers_in_use_are_found_with_and_without_gaps() {
    let mut acks = InboundAcks::default();
    let waits = Some(InUse::Waiting(Qos::AtLeastOnce));
    for id in [65_534, 65_535, 1, 2] {
        assert_eq!(acks.in_use(id), None);
        acks.begin(id, Qos::AtLeastOnce);
    }
    assert!(!acks.has_gaps);
    assert_eq!([65_535, 1, 2].map(|id| acks.in_use(id)), [waits; 3]);
    assert_eq!([3, 65_533, 1000].map(|id| acks.in_use(id)), [None; 3]);
    acks.begin(1000, Qos::AtLeastOnce);
    assert!(acks.has_gaps);
    assert_eq!([1000, 1, 3].map(|id| acks.in_use(id)), [waits, waits, None]);
}

#[test]
fn tickets_stay_in_step_over_their_wrap() {
    let mut acks = InboundAcks { first: !MARK - 1, ..InboundAcks::default() };
    for round in 0..5_u16 {
        let (a, b) = (2 * round + 1, 2 * round + 2);
        let tickets = [a, b].map(|id| acks.begin(id, Qos::AtLeastOnce));
        acks.complete(tickets[1], SUCCESS);
        assert_eq!(acknowledge(&mut acks), None);
        acks.complete(tickets[0], SUCCESS);
        assert_eq!(acknowledge(&mut acks), Some((a, 1, SUCCESS)));
        assert_eq!(acknowledge(&mut acks), Some((b, 1, SUCCESS)));
    }
}

/// [MQTT-4.3.3-8], [MQTT-4.3.3-10], [MQTT-4.3.3-11], [MQTT-4.3.3-12]
#[test]
fn the_identifier_of_a_qos_2_publish_is_in_use_from_publish_to_pubrel() {
    let mut acks = InboundAcks::default();
    let ticket = acks.begin(7, Qos::ExactlyOnce);
    assert_eq!(acks.in_use(7), Some(InUse::Waiting(Qos::ExactlyOnce)));
    assert!(!acks.release(7), "before PUBREC there is nothing to release");
    acks.complete(ticket, SUCCESS);
    assert_eq!(acknowledge(&mut acks), Some((7, 2, SUCCESS)));
    assert_eq!((acks.in_use(7), acks.open(), acks.waiting()), (Some(InUse::Received), 1, 0));
    assert_eq!(acks.received(), [7]);
    assert!(acks.release(7) && !acks.release(7));
    assert_eq!((acks.in_use(7), acks.open()), (None, 0));
}

/// [MQTT-4.3.3-9]: 5.0 frees the identifier of what is refused; 3.1.1 cannot refuse.
#[test]
fn a_refused_qos_2_publish_is_over_in_5_0_only() {
    for (version, expected) in [(Version::V5, None), (Version::V311, Some(InUse::Received))] {
        let mut acks = InboundAcks::default();
        let ticket = acks.begin(7, Qos::ExactlyOnce);
        acks.complete(ticket, ReasonCode::NOT_AUTHORIZED);
        assert!(acks.acknowledge(version).is_some());
        assert_eq!(acks.in_use(7), expected);
    }
}

/// [MQTT-4.6.0-3]
#[test]
fn a_publish_that_was_received_is_answered_in_its_turn_and_counted_once() {
    let mut acks = InboundAcks::default();
    receive(&mut acks, 7);
    let ticket = acks.begin(8, Qos::ExactlyOnce);
    acks.repeat(7);
    assert_eq!(acks.open(), 2);
    assert_eq!(acknowledge(&mut acks), None);
    assert!(acks.release(7), "the first PUBREC may have been read meanwhile");
    acks.complete(ticket, SUCCESS);
    assert_eq!(acknowledge(&mut acks), Some((8, 2, SUCCESS)));
    assert_eq!(acknowledge(&mut acks), Some((7, 2, SUCCESS)));
    assert_eq!((acks.in_use(7), acks.open()), (None, 1));
}

/// Section 4.9: Receive Maximum is counted anew for each connection.
#[test]
fn what_an_earlier_connection_left_counts_once_the_client_sends_it_again() {
    let mut acks = InboundAcks::default();
    acks.resume(vec![9, 4, 4]);
    assert_eq!((acks.open(), acks.in_use(4)), (0, Some(InUse::Received)));
    acks.repeat(4);
    assert_eq!(acks.open(), 1);
    assert_eq!(acknowledge(&mut acks), Some((4, 2, SUCCESS)));
    let mut left = acks.received();
    left.sort_unstable();
    assert_eq!((left, acks.open()), (vec![4, 9], 1));
    assert!(acks.release(9) && acks.release(4));
    assert_eq!(acks.open(), 0);
}

#[test]
fn what_is_received_again_is_left_to_the_next_connection_once() {
    let mut acks = InboundAcks::default();
    receive(&mut acks, 7);
    acks.repeat(7);
    assert_eq!((acks.waiting(), acks.received()), (1, vec![7]));
}
