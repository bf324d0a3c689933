//! Topic aliases of a connection.

use std::task::Context;

use mqtt_plane::Delivery;

use super::connection::{Blocked, Connection, End};
use super::rare::Rare;
use crate::state::Alias;
use crate::wire::PublishPacket;

/// The alias to send a delivery with, where the client allows any.
pub(super) fn take(rare: &mut Option<Box<Rare>>, delivery: &Delivery) -> Option<Alias> {
    // [MQTT-3.1.2-27]
    let aliases = rare.as_mut()?.outbound_aliases.as_mut()?;
    aliases.take(delivery.messages.publish(delivery.index).topic)
}

/// The PUBLISH with this alias is not sent.
pub(super) fn forget(rare: &mut Option<Box<Rare>>, alias: Alias) {
    if let Some(aliases) = rare.as_mut().and_then(|rare| rare.outbound_aliases.as_mut()) {
        aliases.forget(alias);
    }
}

impl Connection {
    /// Takes a PUBLISH with a topic alias as the same PUBLISH with its topic alone.
    pub(super) fn take_aliased(
        &mut self,
        cx: &mut Context<'_>,
        packet: &PublishPacket<'_>,
        alias: u16,
    ) -> Result<Result<(), Blocked>, End> {
        let inbound = &mut self.rare.get_or_insert_default().inbound_aliases;
        let topic =
            inbound.resolve(self.terms.policy.offer.topic_alias_maximum, alias, packet.topic);
        let topic = topic.map_err(|closed| End::violation(closed.reason, closed.detail))?;
        self.take_publish(cx, &PublishPacket { topic: &topic, topic_alias: None, ..*packet })
    }
}
