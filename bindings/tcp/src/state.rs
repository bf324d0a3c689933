//! Which route a connection takes: a pure function of the address it arrived at.

use std::net::{IpAddr, SocketAddr};

/// Ports, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct PortRange {
    pub(crate) first: u16,
    pub(crate) last: u16,
}

/// A network of addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Network {
    pub(crate) address: IpAddr,
    /// Leading bits that count.
    pub(crate) prefix: u8,
}

impl Network {
    fn contains(self, address: IpAddr) -> bool {
        match (self.address, address.to_canonical()) {
            (IpAddr::V4(network), IpAddr::V4(address)) => {
                let shift = 32 - u32::from(self.prefix);
                let bits = network.to_bits() ^ address.to_bits();
                bits.checked_shr(shift).unwrap_or(0) == 0
            }
            (IpAddr::V6(network), IpAddr::V6(address)) => {
                let shift = 128 - u32::from(self.prefix);
                let bits = network.to_bits() ^ address.to_bits();
                bits.checked_shr(shift).unwrap_or(0) == 0
            }
            _ => false,
        }
    }
}

/// A condition on the local address; all that is given must match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Condition {
    pub(crate) ports: Option<Vec<PortRange>>,
    pub(crate) network: Option<Network>,
}

impl Condition {
    fn matches(&self, local: SocketAddr) -> bool {
        let port = local.port();
        self.ports
            .as_ref()
            .is_none_or(|ports| ports.iter().any(|r| (r.first..=r.last).contains(&port)))
            && self.network.is_none_or(|network| network.contains(local.ip()))
    }
}

/// The first of the routes, each given by its conditions, that takes a connection which arrived at
/// `local`. A route without conditions takes every connection. `seen` is told of each route that
/// was asked, by its index.
pub(crate) fn route<'a>(
    routes: impl IntoIterator<Item = &'a [Condition]>,
    local: SocketAddr,
    mut seen: impl FnMut(usize, Verdict),
) -> Option<usize> {
    routes.into_iter().enumerate().find_map(|(index, conditions)| {
        let matching = conditions.iter().position(|condition| condition.matches(local));
        let verdict = match matching {
            None if conditions.is_empty() => Verdict::Taken(None),
            Some(condition) => Verdict::Taken(Some(condition)),
            None => Verdict::Unmatched,
        };
        seen(index, verdict);
        (verdict != Verdict::Unmatched).then_some(index)
    })
}

/// What a route says to a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// It takes it, by the condition of this index; `None`: it has none.
    Taken(Option<usize>),
    /// No condition matches.
    Unmatched,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_route_that_matches_takes_the_connection() {
        let range = |first, last| PortRange { first, last };
        let network = |text: &str, prefix| Network { address: text.parse().unwrap(), prefix };
        let routes = [
            vec![Condition { ports: Some(vec![range(1883, 1883)]), network: None }],
            vec![
                Condition { ports: Some(vec![range(8880, 8883)]), network: None },
                Condition {
                    ports: Some(vec![range(1900, 1900)]),
                    network: Some(network("10.0.0.0", 8)),
                },
            ],
            vec![Condition { ports: None, network: Some(network("fd00::", 8)) }],
        ];
        let find = |local: &str| {
            route(routes.iter().map(Vec::as_slice), local.parse().unwrap(), |_, _| {})
        };
        assert_eq!(find("127.0.0.1:1883"), Some(0));
        assert_eq!(find("127.0.0.1:8883"), Some(1));
        assert_eq!(find("10.9.9.9:1900"), Some(1));
        assert_eq!(find("[::ffff:10.9.9.9]:1900"), Some(1));
        assert_eq!(find("11.9.9.9:1900"), None);
        assert_eq!(find("[fd12::1]:5"), Some(2));
        assert_eq!(find("[fe80::1]:5"), None);
        assert_eq!(route([&[][..]], "1.2.3.4:5".parse().unwrap(), |_, _| {}), Some(0));
        let mut verdicts = Vec::new();
        let conditions = routes.iter().map(Vec::as_slice);
        route(conditions, "10.9.9.9:1900".parse().unwrap(), |_, verdict| verdicts.push(verdict));
        assert_eq!(verdicts, [Verdict::Unmatched, Verdict::Taken(Some(1))]);
        let everything = Condition { ports: None, network: Some(network("0.0.0.0", 0)) };
        assert!(everything.matches("8.8.8.8:1".parse().unwrap()));
    }
}
