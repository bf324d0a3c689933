//! What a binary contains.

use std::collections::BTreeMap;

use crate::config::{Fragment, Location, Problem, Reader, Secret, Source};
use crate::spi::{BindingKind, Origin};

/// The one list of what a binary contains: a value, not a side effect of linking.
#[derive(Clone, Copy)]
pub struct Catalog {
    /// What the program is, in one line, for `--help`.
    pub about: &'static str,
    /// The binding types, by name.
    pub bindings: &'static [&'static dyn BindingKind],
    /// What fetches configurations from addresses.
    pub origins: &'static [&'static dyn Origin],
    /// What can be chosen for a whole run, by name.
    pub settings: &'static [Setting],
    /// The properties of Zilla that bindings read, of each type. docs/from-zilla.md has them too.
    pub properties: &'static [&'static [Property]],
    /// What clients do and what is decided of it, for `zilla explain` and `zilla test`: a JSON
    /// object with `verbs`, the JSON Schema of the arguments of each, and `facts`, that of what is
    /// expected of each fact. Verbs have `description`, arguments too; facts have a `title`.
    pub actions: &'static str,
}

/// Something that the command line chooses for all bindings of a run: the option `--NAME` of
/// `zilla start`, which definitions ask for by [`crate::spi::PrepareCx::setting`].
#[derive(Clone, Copy, Debug)]
pub struct Setting {
    /// The option, without the two dashes.
    pub name: &'static str,
    /// What its value is called in the help.
    pub value: &'static str,
    /// What it does, for the help.
    pub help: &'static str,
    /// Checks a value. Returns it in words, for the line that a start prints, or what is wrong
    /// with it.
    pub check: fn(&str) -> Result<String, String>,
    /// Why nothing outside of this process can be looked at where it is chosen; `None` where it
    /// can.
    pub offline: Option<&'static str>,
}

/// A property of Zilla, given by `zilla start -P NAME=VALUE` or a file of properties, which holds
/// for all bindings of a run; definitions ask for it by [`crate::spi::PrepareCx::property`], and,
/// where they explain what they decide, by [`crate::spi::Trace::property`].
#[derive(Clone, Copy, Debug)]
pub struct Property {
    /// The whole name.
    pub name: &'static str,
    /// Checks a value; what it must be, in words, where it is not.
    pub check: fn(&str) -> Result<(), &'static str>,
}

/// The values of the properties of a run, checked, by name.
pub type PropertyValues = BTreeMap<&'static str, String>;

impl Catalog {
    /// The binding type of a name.
    #[must_use]
    pub fn binding(&self, name: &str) -> Option<&'static dyn BindingKind> {
        self.bindings.iter().copied().find(|kind| kind.name() == name)
    }

    /// Opens the configuration of a location, without other credentials than its address has.
    ///
    /// # Errors
    /// Why it cannot be read, as a problem with a source of its own.
    pub fn open(&self, location: &Location) -> Result<Source, Problem> {
        self.open_as(location, None)
    }

    /// The same with the credentials of a run.
    ///
    /// # Errors
    /// Why it cannot be read, as a problem with a source of its own.
    pub fn open_as(
        &self,
        location: &Location,
        authorization: Option<&Secret>,
    ) -> Result<Source, Problem> {
        let reader = Reader::new(location, self.origins, authorization);
        reader.map_err(|error| error.problem(&location.to_string()))?.open()
    }

    /// The schema fragments of all that the catalog lists.
    #[must_use]
    pub fn fragments(&self) -> Vec<Fragment> {
        self.bindings.iter().map(|kind| Fragment::binding(kind.name(), kind.schema())).collect()
    }
}
