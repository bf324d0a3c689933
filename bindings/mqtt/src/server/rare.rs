//! What few connections have, so that the others have no room for it.

use super::gate::AddressCount;
use crate::state::{InboundAliases, OutboundAliases, Pace};

/// What few connections have.
#[derive(Default)]
pub(super) struct Rare {
    /// Topic aliases of the client.
    pub(super) inbound_aliases: InboundAliases,
    /// Topic aliases of the server, where the client allows any.
    pub(super) outbound_aliases: Option<OutboundAliases>,
    /// What the client may still send at present, where that is bounded.
    pub(super) pace: Option<Pace>,
    /// That the connection counts for its address, where connections from one are bounded.
    pub(super) address: Option<AddressCount>,
}

impl Rare {
    /// What a connection has from the beginning: `alias_maximum` is the Topic Alias Maximum of its
    /// client.
    pub(super) fn new(
        alias_maximum: u16,
        pace: Option<Pace>,
        address: Option<AddressCount>,
    ) -> Option<Box<Self>> {
        let outbound_aliases = (alias_maximum > 0).then(|| OutboundAliases::new(alias_maximum));
        let is_needed = outbound_aliases.is_some() || pace.is_some() || address.is_some();
        let inbound_aliases = InboundAliases::default();
        is_needed.then(|| Box::new(Self { inbound_aliases, outbound_aliases, pace, address }))
    }
}
