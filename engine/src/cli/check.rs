//! Checking a file: what `validate`, `graph` and `plan` begin with.

use std::collections::BTreeSet;

use crate::cli::online::Online;
use crate::config::{
    Allowances, Config, Environment, Problems, ProcessEnvironment, RecordingEnvironment, Schema,
    Source, load_sound,
};
use crate::graph::{Plan, build};
use crate::spi::{Catalog, TopicReport};

/// A file that was checked.
pub(super) struct Checked<'e> {
    pub(super) source: Source,
    /// No value of the environment is in them.
    pub(super) problems: Problems,
    /// The configuration and its plan, where no problem is an error.
    pub(super) plan: Option<(Config, Plan)>,
    /// The topics that it needs, where what is outside was looked at.
    pub(super) topics: Vec<TopicReport>,
    /// What was taken of the environment.
    pub(super) environment: RecordingEnvironment<'e>,
    /// The codes that the command line allowed and that were there.
    pub(super) allowed: BTreeSet<&'static str>,
}

/// Checks files one after the other.
pub(super) struct Checker<'c> {
    catalog: &'c Catalog,
    schema: Schema,
    allowances: Allowances,
    online: Option<Online>,
}

impl<'c> Checker<'c> {
    pub(super) fn new(catalog: &'c Catalog, allowances: Allowances) -> Self {
        let schema = Schema::compose(&catalog.fragments());
        Self { catalog, schema, allowances, online: None }
    }

    /// Has what is outside of this process looked at, too, where a file has no errors.
    pub(super) fn online(mut self, online: Online) -> Self {
        self.online = Some(online);
        self
    }

    pub(super) fn check(&self, source: Source) -> Checked<'static> {
        self.check_in(source, &ProcessEnvironment)
    }

    /// The same in another environment than the process's.
    pub(super) fn check_in<'e>(&self, source: Source, within: &'e dyn Environment) -> Checked<'e> {
        let environment = RecordingEnvironment::new(within);
        let mut problems = Problems::default();
        let config = load_sound(&source, &self.schema, &environment, &mut problems);
        let plan = config.and_then(|config| {
            let plan = build(&config, self.catalog, &mut problems)?;
            Some((config, plan))
        });
        let mut topics = Vec::new();
        if let (Some(online), Some((_, plan))) = (self.online, &plan) {
            let found = online.check(plan, &environment, &source);
            found.problems.into_iter().for_each(|problem| problems.push(problem));
            topics = found.topics;
        }
        let problems = environment.redacted(&source, problems);
        let (problems, allowed) = self.allowances.apply(&source, problems);
        Checked { source, problems, plan, topics, environment, allowed }
    }
}
