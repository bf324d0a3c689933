use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::*;

fn source(offset: i64) -> Source {
    Source { slot: 0, position: Position { log: 0, offset } }
}

fn open(packet_id: u16, qos: Qos, is_received: bool) -> OpenDelivery {
    let position = Position { log: 0, offset: packet_id.into() };
    OpenDelivery { packet_id, position, qos, retain: false, is_received }
}

/// [MQTT-2.2.1-4], [MQTT-3.3.4-9]
#[test]
fn identifiers_are_unused_never_zero_and_bounded() {
    let mut in_flight = InFlight::new(3);
    let qos = Qos::AtLeastOnce;
    for offset in 0..200_000 {
        let id = in_flight.begin(source(offset), qos, false);
        assert_ne!(id, 0);
        assert_eq!(in_flight.acknowledge(id), Some(source(offset)));
    }
    assert!(in_flight.is_empty());
    let ids: Vec<u16> = (0..3).map(|offset| in_flight.begin(source(offset), qos, false)).collect();
    assert_eq!(in_flight.room(), 0);
    assert_eq!(in_flight.acknowledge(ids[1]), Some(source(1)));
    assert_eq!(in_flight.room(), 1);
    assert_eq!(in_flight.acknowledge(ids[1]), None, "acknowledged twice");
    let next = in_flight.begin(source(3), qos, false);
    assert!(!ids.contains(&next));
    assert_eq!(in_flight.acknowledge(ids[0]), Some(source(0)));
    assert_eq!(in_flight.acknowledge(ids[2]), Some(source(2)));
    assert_eq!((in_flight.acknowledge(0), in_flight.acknowledge(9)), (None, None));
}

#[test]
fn all_identifiers_may_be_in_flight_at_once() {
    let mut in_flight = InFlight::new(u16::MAX);
    let mut ids = BTreeSet::new();
    for offset in 0..65_535 {
        assert!(in_flight.room() > 0);
        assert!(ids.insert(in_flight.begin(source(offset), Qos::ExactlyOnce, false)));
    }
    assert_eq!(in_flight.room(), 0);
    assert_eq!((ids.first(), ids.last()), (Some(&1), Some(&65_535)));
    // What lies between the oldest and the latest is not given out again before the oldest ends.
    assert_eq!(in_flight.receive(2, true), Pubrec::Refused(source(1)));
    assert_eq!(in_flight.room(), 0);
    assert_eq!(in_flight.receive(1, true), Pubrec::Refused(source(0)));
    assert_eq!(in_flight.room(), 2);
    assert_eq!(in_flight.begin(source(7), Qos::AtLeastOnce, false), 1);
}

#[test]
fn the_circle_of_identifiers_has_no_zero() {
    assert_eq!(step(65_535, 0), 65_535);
    assert_eq!(step(65_535, 1), 1);
    assert_eq!(step(65_534, 3), 2);
    assert_eq!(arc(vec![]), None);
    assert_eq!(arc(vec![7]), Some((7, 1)));
    assert_eq!(arc(vec![1, 65_535]), Some((65_535, 2)));
    assert_eq!(arc(vec![10, 12, 40_000]), Some((40_000, 25_548)));
}

/// [MQTT-4.3.3-2], [MQTT-4.3.3-4], [MQTT-4.3.3-5], [MQTT-4.3.3-6]
#[test]
fn a_qos_2_delivery_holds_its_identifier_until_pubcomp() {
    let mut in_flight = InFlight::new(1);
    let id = in_flight.begin(source(1), Qos::ExactlyOnce, false);
    assert_eq!(in_flight.acknowledge(id), None, "PUBACK does not end it");
    assert_eq!(in_flight.complete(id), None, "PUBCOMP does not before PUBREC");
    assert_eq!(in_flight.receive(id, false), Pubrec::Received(source(1)));
    assert_eq!(in_flight.room(), 0);
    assert_eq!(in_flight.receive(id, false), Pubrec::Repeated);
    assert_eq!(in_flight.receive(id, true), Pubrec::Repeated, "too late to refuse");
    assert_eq!(in_flight.complete(id), Some(source(1)));
    assert_eq!((in_flight.room(), in_flight.receive(id, false)), (1, Pubrec::Unknown));
    let id = in_flight.begin(source(2), Qos::ExactlyOnce, false);
    assert_eq!(in_flight.receive(id, true), Pubrec::Refused(source(2)));
    let id = in_flight.begin(source(3), Qos::AtLeastOnce, false);
    assert_eq!(in_flight.receive(id, false), Pubrec::Unknown, "PUBREC of QoS 1");
}

/// [MQTT-4.4.0-1], [MQTT-4.6.0-1], [MQTT-4.6.0-4]
#[test]
fn what_a_connection_leaves_is_in_the_order_in_which_it_is_sent_again() {
    let mut in_flight = InFlight::new(10);
    let qos = [2, 1, 2, 2, 1].map(|bits| Qos::from_bits(bits).unwrap());
    let ids: Vec<u16> =
        qos.iter().zip(0..).map(|(qos, at)| in_flight.begin(source(at), *qos, false)).collect();
    in_flight.receive(ids[3], false);
    in_flight.receive(ids[0], false);
    let order = |in_flight: &InFlight| {
        let left = in_flight.unfinished(0);
        left.iter().map(|open| (open.packet_id, open.is_received)).collect::<Vec<_>>()
    };
    let expected = [(2, false), (3, false), (5, false), (4, true), (1, true)];
    assert_eq!(order(&in_flight), expected);
    let mut next = InFlight::new(1);
    next.resume(&[(0, &in_flight.unfinished(0))]);
    assert_eq!(order(&next), expected);
    assert_eq!(next.unfinished(1), []);
    // Nothing of it was sent on this connection.
    assert_eq!(next.room(), 1);
    assert!(next.is_resumed(2) && !next.is_resumed(4) && !next.is_resumed(77));
    next.send_again(2);
    next.send_again(4);
    assert!(!next.is_resumed(2));
    assert_eq!(next.room(), 0);
    // A client may send its PUBREC again instead of waiting for the message.
    assert_eq!(next.receive(3, false), Pubrec::Received(source(2)));
    assert!(!next.is_resumed(3));
    assert_eq!(next.complete(4), Some(source(3)));
    assert_eq!(next.room(), 0, "what was not counted frees nothing");
    assert_eq!(next.drop_resumed(5), Some(Dropped::Completed(source(4))));
    assert_eq!(next.drop_resumed(2), None, "it was sent");
    assert_eq!(order(&next), [(2, false), (1, true), (3, true)]);
}

#[test]
fn what_cannot_be_sent_again_ends_by_pubrel_where_the_client_may_have_it() {
    let mut in_flight = InFlight::new(1);
    in_flight.resume(&[(0, &[open(9, Qos::ExactlyOnce, false)])]);
    assert_eq!(in_flight.drop_resumed(9), Some(Dropped::Received(source(9))));
    assert_eq!(in_flight.complete(9), Some(source(9)));
    assert!(in_flight.is_empty());
}

/// What happens next. What is sent while the connection is cut does not arrive.
#[derive(Clone, Debug)]
enum Act {
    Deliver(Qos),
    /// The client answers one of the open deliveries; with `is_cut` what follows is lost.
    Answer {
        which: usize,
        refuses: bool,
        is_cut: bool,
    },
    /// The client connects again, and the connection is cut behind so many packets.
    Reconnect {
        receive_maximum: u16,
        packets: usize,
    },
}

fn act() -> impl Strategy<Value = Act> {
    let qos = prop_oneof![Just(Qos::AtLeastOnce), Just(Qos::ExactlyOnce)];
    let answer = (any::<usize>(), proptest::bool::weighted(0.1), proptest::bool::weighted(0.2));
    let reconnect = (1_u16..20, prop_oneof![0_usize..8, Just(usize::MAX)]);
    prop_oneof![
        4 => qos.prop_map(Act::Deliver),
        6 => answer.prop_map(|(which, refuses, is_cut)| Act::Answer { which, refuses, is_cut }),
        1 => reconnect.prop_map(|(receive_maximum, packets)| Act::Reconnect { receive_maximum, packets }),
    ]
}

/// A server's deliveries and its client.
struct World {
    in_flight: InFlight,
    is_cut: bool,
    /// By packet identifier: message and QoS, as the server has them.
    open: BTreeMap<u16, (i64, Qos)>,
    /// Identifiers that the server had PUBREC for.
    released: BTreeSet<u16>,
    /// Identifiers that the client knows of QoS 2 messages.
    holds: BTreeSet<u16>,
    /// How often each message came to the client.
    taken: Vec<(Qos, usize)>,
}

impl World {
    fn publish(&mut self, packet_id: u16, qos: Qos, message: i64) {
        if qos == Qos::AtLeastOnce || self.holds.insert(packet_id) {
            self.taken[usize::try_from(message).unwrap()].1 += 1;
        }
    }

    fn deliver(&mut self, qos: Qos) {
        if self.in_flight.room() == 0 {
            return;
        }
        let message = i64::try_from(self.taken.len()).unwrap();
        self.taken.push((qos, 0));
        let id = self.in_flight.begin(source(message), qos, false);
        assert!(id != 0 && self.open.insert(id, (message, qos)).is_none(), "{id} is in use");
        if !self.is_cut {
            self.publish(id, qos, message);
        }
    }

    fn answer(&mut self, which: usize, refuses: bool, is_cut: bool) {
        let Some((&id, &(message, qos))) = self.open.iter().nth(which % self.open.len().max(1))
        else {
            return;
        };
        if self.is_cut {
            return;
        }
        self.is_cut = is_cut;
        if qos == Qos::AtLeastOnce {
            if self.taken[usize::try_from(message).unwrap()].1 > 0 {
                assert_eq!(self.in_flight.acknowledge(id), Some(source(message)));
                self.open.remove(&id);
            }
        } else if self.holds.contains(&id) {
            match self.in_flight.receive(id, refuses) {
                Pubrec::Refused(found) => {
                    assert!(refuses && found == source(message));
                    self.open.remove(&id);
                    self.holds.remove(&id);
                }
                Pubrec::Received(found) => {
                    assert!(found == source(message) && self.released.insert(id));
                    self.release(id);
                }
                Pubrec::Repeated => {
                    assert!(self.released.contains(&id));
                    self.release(id);
                }
                Pubrec::Unknown => panic!("{id} is not known"),
            }
        } else if self.released.remove(&id) {
            assert_eq!(self.in_flight.complete(id), Some(source(message)));
            self.open.remove(&id);
        }
    }

    /// PUBREL.
    fn release(&mut self, packet_id: u16) {
        if !self.is_cut {
            self.holds.remove(&packet_id);
        }
    }

    fn reconnect(&mut self, receive_maximum: u16, mut packets: usize) {
        let left = self.in_flight.unfinished(0);
        assert_eq!(left.len(), self.open.len());
        self.in_flight = InFlight::new(receive_maximum);
        self.in_flight.resume(&[(0, &left)]);
        self.is_cut = false;
        for OpenDelivery { packet_id, position, qos, is_received, .. } in left {
            assert_eq!(self.open[&packet_id], (position.offset, qos));
            if packets == 0 || !is_received && self.in_flight.room() == 0 {
                break;
            }
            packets -= 1;
            if is_received {
                self.release(packet_id);
            } else {
                assert!(self.in_flight.is_resumed(packet_id));
                self.in_flight.send_again(packet_id);
                self.publish(packet_id, qos, position.offset);
            }
        }
        self.is_cut = packets == 0;
    }
}

proptest! {
    /// [MQTT-2.2.1-4], [MQTT-4.3.2-1], [MQTT-4.3.3-1], [MQTT-4.4.0-1]: no identifier is used twice,
    /// nothing is lost, and no QoS 2 message comes twice, over any number of connections.
    #[test]
    fn nothing_is_lost_and_nothing_of_qos_2_doubled(acts in proptest::collection::vec(act(), 1..300)) {
        let mut world = World {
            in_flight: InFlight::new(5),
            is_cut: false,
            open: BTreeMap::new(),
            released: BTreeSet::new(),
            holds: BTreeSet::new(),
            taken: Vec::new(),
        };
        for act in acts {
            match act {
                Act::Deliver(qos) => world.deliver(qos),
                Act::Answer { which, refuses, is_cut } => world.answer(which, refuses, is_cut),
                Act::Reconnect { receive_maximum, packets } => world.reconnect(receive_maximum, packets),
            }
        }
        // A last connection that is not cut.
        world.reconnect(u16::MAX, usize::MAX);
        for _ in 0..2 * world.open.len() {
            world.answer(0, false, false);
        }
        prop_assert!(world.in_flight.is_empty(), "{:?}", world.open);
        for (message, (qos, taken)) in world.taken.into_iter().enumerate() {
            prop_assert!(taken >= 1, "{message} is lost");
            prop_assert!(qos == Qos::AtLeastOnce || taken == 1, "{message} came {taken} times");
        }
    }
}

#[test]
fn what_was_not_sent_leaves_its_room() {
    let mut in_flight = InFlight::new(1);
    let id = in_flight.begin(source(0), Qos::AtLeastOnce, false);
    assert_eq!(in_flight.room(), 0);
    in_flight.cancel_last();
    assert_eq!((in_flight.room(), in_flight.is_empty()), (1, true));
    assert_eq!(in_flight.begin(source(1), Qos::AtLeastOnce, false), id);
}

/// What is to be sent again comes first, whenever the PUBREC of the others came.
#[test]
fn what_the_client_has_is_kept_behind_what_is_sent_again() {
    let mut in_flight = InFlight::new(9);
    let ids = [0, 1].map(|offset| in_flight.begin(source(offset), Qos::ExactlyOnce, false));
    assert_eq!(in_flight.receive(ids[0], false), Pubrec::Received(source(0)));
    let later = in_flight.begin(source(2), Qos::ExactlyOnce, false);
    let open = in_flight.unfinished(0);
    let order: Vec<_> = open.iter().map(|open| (open.packet_id, open.is_received)).collect();
    assert_eq!(order, [(ids[1], false), (later, false), (ids[0], true)]);
}
