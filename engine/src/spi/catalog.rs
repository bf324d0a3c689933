//! What a binary contains.

use crate::config::Fragment;
use crate::spi::BindingKind;

/// The one list of what a binary contains: a value, not a side effect of linking.
#[derive(Clone, Copy)]
pub struct Catalog {
    /// What the program is, in one line, for `--help`.
    pub about: &'static str,
    /// The binding types, by name.
    pub bindings: &'static [&'static dyn BindingKind],
}

impl Catalog {
    /// The binding type of a name.
    #[must_use]
    pub fn binding(&self, name: &str) -> Option<&'static dyn BindingKind> {
        self.bindings.iter().copied().find(|kind| kind.name() == name)
    }

    /// The schema fragments of all that the catalog lists.
    #[must_use]
    pub fn fragments(&self) -> Vec<Fragment> {
        self.bindings.iter().map(|kind| Fragment::binding(kind.name(), kind.schema())).collect()
    }
}
