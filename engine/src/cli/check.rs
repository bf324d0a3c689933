//! Checking a file: what commands begin with.

use std::collections::BTreeSet;

use crate::config::{
    Allowances, Problems, ProcessEnvironment, RecordingEnvironment, Schema, Source, load,
};
use crate::graph::build;
use crate::spi::Catalog;

/// A file that was checked.
pub(super) struct Checked {
    pub(super) source: Source,
    /// No value of the environment is in them.
    pub(super) problems: Problems,
    /// The codes that the command line allowed and that were there.
    pub(super) allowed: BTreeSet<&'static str>,
}

/// Checks files one after the other.
pub(super) struct Checker<'c> {
    catalog: &'c Catalog,
    schema: Schema,
    allowances: Allowances,
}

impl<'c> Checker<'c> {
    pub(super) fn new(catalog: &'c Catalog, allowances: Allowances) -> Self {
        Self { catalog, schema: Schema::compose(&catalog.fragments()), allowances }
    }

    pub(super) fn check(&self, source: Source) -> Checked {
        let environment = RecordingEnvironment::new(&ProcessEnvironment);
        let mut problems = Problems::default();
        let config = load(&source, &self.schema, &environment, &mut problems);
        if let Some(config) = config {
            drop(build(&config, self.catalog, &mut problems));
        }
        let problems = environment.redacted(&source, problems);
        let (problems, allowed) = self.allowances.apply(&source, problems);
        Checked { source, problems, allowed }
    }
}
