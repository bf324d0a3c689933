//! User properties, in a packet or on their way into one.

use std::fmt;

use mqtt_plane::UserProperties;

use super::property::{Properties, Property};

/// The user properties of a packet, in order, repeats kept: those of a decoded packet, or any list
/// to be encoded. Two are equal when they hold the same pairs in the same order.
#[derive(Clone, Copy, Default)]
pub struct User<'a>(Repr<'a>);

#[derive(Clone, Copy)]
enum Repr<'a> {
    /// A property block that is known to be well-formed; other properties may lie between.
    Block(&'a [u8]),
    List(&'a dyn UserProperties),
}

impl Default for Repr<'_> {
    fn default() -> Self {
        Self::Block(&[])
    }
}

impl<'a> User<'a> {
    /// No user properties.
    pub const NONE: Self = Self(Repr::Block(&[]));

    /// Those of `list`.
    #[must_use]
    pub const fn new(list: &'a dyn UserProperties) -> Self {
        Self(Repr::List(list))
    }

    /// Those that `properties`, read to its end, has found in `block`.
    pub(super) const fn found(properties: &Properties<'a>, block: &'a [u8]) -> Self {
        if properties.has_user() { Self(Repr::Block(block)) } else { Self::NONE }
    }

    fn pairs(&self) -> Vec<(&str, &str)> {
        let mut pairs = Vec::new();
        self.for_each(&mut |name, value| pairs.push((name, value)));
        pairs
    }
}

impl UserProperties for User<'_> {
    fn for_each<'s>(&'s self, visit: &mut dyn FnMut(&'s str, &'s str)) {
        match self.0 {
            Repr::Block(block) => {
                let mut properties = Properties::checked(block);
                while let Ok(Some(property)) = properties.next() {
                    if let Property::User(name, value) = property {
                        visit(name, value);
                    }
                }
            }
            Repr::List(list) => list.for_each(visit),
        }
    }
}

impl PartialEq for User<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.pairs() == other.pairs()
    }
}

impl fmt::Debug for User<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.pairs()).finish()
    }
}
