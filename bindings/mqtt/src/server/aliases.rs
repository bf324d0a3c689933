//! Topic aliases of a connection.

use std::task::Context;

use mqtt_plane::Delivery;

use super::connection::{Blocked, Connection, End};
use crate::state::{Alias, InboundAliases, OutboundAliases, Terms};
use crate::wire::PublishPacket;

/// The topic aliases of a connection, in both directions. Nothing where there are none.
#[derive(Default)]
pub(super) struct Aliases(Option<Box<Both>>);

#[derive(Default)]
struct Both {
    inbound: InboundAliases,
    outbound: Option<OutboundAliases>,
}

impl Aliases {
    fn both(&mut self) -> &mut Both {
        self.0.get_or_insert_default()
    }

    /// The alias to send a delivery with, where the client allows any.
    pub(super) fn take(&mut self, terms: &Terms, delivery: &Delivery) -> Option<Alias> {
        let maximum = terms.client_topic_alias_maximum;
        if maximum == 0 {
            // [MQTT-3.1.2-27]
            return None;
        }
        let topic = delivery.messages.publish(delivery.index).topic;
        let outbound = &mut self.both().outbound;
        outbound.get_or_insert_with(|| OutboundAliases::new(maximum)).take(topic)
    }

    /// The PUBLISH with this alias is not sent.
    pub(super) fn forget(&mut self, alias: Alias) {
        if let Some(outbound) = &mut self.both().outbound {
            outbound.forget(alias);
        }
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
        let inbound = &mut self.aliases.both().inbound;
        let topic = inbound.resolve(self.terms.offer.topic_alias_maximum, alias, packet.topic);
        let topic = topic.map_err(|closed| End::violation(closed.reason, closed.detail))?;
        self.take_publish(cx, &PublishPacket { topic: &topic, topic_alias: None, ..*packet })
    }
}
