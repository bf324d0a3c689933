//! SUBSCRIBE and UNSUBSCRIBE.

use mqtt_plane::{ReasonCode, Subscription};

use super::connection::{Blocked, Connection, End};
use super::inbound::FILTER;
use crate::state::RequestKind;
use crate::wire::{Subscribe, Unsubscribe, User};

impl Connection {
    /// [MQTT-3.8.4-1], [MQTT-3.8.4-5]
    pub(super) fn take_subscribe(
        &mut self,
        packet: &Subscribe<'_>,
    ) -> Result<Result<(), Blocked>, End> {
        if self.requests.is_full() {
            return Ok(Err(Blocked::Unanswered));
        }
        let is_in_use = self.is_in_use(packet.packet_id);
        let most = self.most_filters(&packet.user);
        let mut reasons = Vec::new();
        // The subscriptions by slot, each with the index of its filter.
        let mut parts: Vec<Vec<(usize, Subscription<'_>)>> = Vec::new();
        for (index, subscription) in packet.subscriptions().enumerate() {
            let slot = match subscription {
                _ if is_in_use => Err(ReasonCode::PACKET_IDENTIFIER_IN_USE),
                _ if index >= most => Err(ReasonCode::QUOTA_EXCEEDED),
                Err(reason) => Err(reason),
                Ok(subscription) => self.subscription_slot(subscription),
            };
            match slot {
                Ok((slot, subscription)) => {
                    parts.resize_with(parts.len().max(slot + 1), Vec::new);
                    parts[slot].push((index, subscription));
                    reasons.push(None);
                }
                Err(reason) => {
                    if let Some(closed) = self.terms.forbids(reason) {
                        return Err(End::violation(closed.reason, closed.detail));
                    }
                    self.server.counters.subscriptions_refused.increment();
                    reasons.push(Some(reason));
                }
            }
        }
        self.server.spend(FILTER * reasons.len());
        self.requests.begin(RequestKind::Subscribe, packet.packet_id, reasons);
        for (slot, part) in parts.into_iter().enumerate().filter(|(_, part)| !part.is_empty()) {
            let (indices, subscriptions): (Vec<usize>, Vec<_>) = part.into_iter().unzip();
            let ticket = self.requests.add_part(indices);
            // [MQTT-3.8.4-3]: a reload may have moved the filter from one exit to another.
            let filters: Vec<&str> = subscriptions.iter().map(|each| each.filter).collect();
            for other in (0..self.sessions.len()).filter(|other| *other != slot) {
                self.sessions.session(other).unsubscribe(0, &filters);
            }
            self.sessions.session(slot).subscribe(ticket, &subscriptions);
        }
        self.write_answers().map(Ok)
    }

    /// How many filters of a packet with these user properties are taken.
    fn most_filters(&self, user: &User<'_>) -> usize {
        let bounds = &self.terms.policy.bounds;
        bounds.admit_user(user).map_or(0, |()| bounds.filters_per_packet.into())
    }

    fn subscription_slot<'a>(
        &mut self,
        subscription: Subscription<'a>,
    ) -> Result<(usize, Subscription<'a>), ReasonCode> {
        let (sessions, table) = (&mut self.sessions, &self.table);
        let route = || sessions.subscribe_slot(table, subscription.filter);
        self.terms.admit_subscription(subscription, route)
    }

    /// One answer, whatever the filters [MQTT-3.10.4-4] to [MQTT-3.10.4-6]. All exits are asked: a
    /// reload may have moved the route of a filter since.
    pub(super) fn take_unsubscribe(
        &mut self,
        packet: &Unsubscribe<'_>,
    ) -> Result<Result<(), Blocked>, End> {
        if self.requests.is_full() {
            return Ok(Err(Blocked::Unanswered));
        }
        let is_in_use = self.is_in_use(packet.packet_id);
        let most = self.most_filters(&packet.user);
        let mut reasons = Vec::new();
        let (mut indices, mut filters) = (Vec::new(), Vec::new());
        for (index, filter) in packet.filters().enumerate() {
            match filter {
                _ if is_in_use => reasons.push(Some(ReasonCode::PACKET_IDENTIFIER_IN_USE)),
                // UNSUBACK has no code for a quota.
                _ if index >= most => reasons.push(Some(ReasonCode::IMPLEMENTATION_SPECIFIC_ERROR)),
                Err(reason) => reasons.push(Some(reason)),
                Ok(filter) => {
                    indices.push(index);
                    filters.push(filter);
                    reasons.push(None);
                }
            }
        }
        self.server.spend(FILTER * reasons.len());
        self.requests.begin(RequestKind::Unsubscribe, packet.packet_id, reasons);
        if !filters.is_empty() {
            for slot in 0..self.sessions.len() {
                let ticket = self.requests.add_part(indices.clone());
                self.sessions.session(slot).unsubscribe(ticket, &filters);
            }
        }
        self.write_answers().map(Ok)
    }
}
