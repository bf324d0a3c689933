//! Looking at what a file needs outside of this process.

use std::collections::{BTreeMap, BTreeSet};
use std::future::poll_fn;
use std::task::Poll;
use std::time::Duration;

use clap::ArgMatches;

use crate::config::{NodeName, Problem, RecordingEnvironment, Source, codes};
use crate::graph::Plan;
use crate::spi::{BoxFuture, Catalog, CheckCx, Checkup, External, Purpose, TopicNeed};

/// How long a check that keeps no time is waited for beyond its time.
const GRACE: Duration = Duration::from_secs(1);

/// Checks what is outside.
#[derive(Clone, Copy, Debug)]
pub(super) struct Online {
    pub(super) purpose: Purpose,
    /// How long the check of a file may take.
    pub(super) timeout: Duration,
}

/// Why nothing can be looked at with the settings that the command line chose, where that is so.
pub(super) fn refusal(catalog: &Catalog, matches: Option<&ArgMatches>) -> Option<String> {
    catalog.settings.iter().find_map(|setting| {
        matches?.get_raw(setting.name)?;
        Some(format!("--{}: {}", setting.name, setting.offline?))
    })
}

/// Parses a time in seconds.
pub(super) fn seconds(text: &str) -> Result<Duration, String> {
    let seconds: f64 = text.parse().map_err(|_| "a number of seconds is wanted".to_owned())?;
    if !(0.1..=3600.0).contains(&seconds) {
        return Err("0.1 to 3600 seconds are possible".to_owned());
    }
    Ok(Duration::from_secs_f64(seconds))
}

impl Online {
    /// Checks all bindings of a plan at once.
    pub(super) fn check(
        self,
        plan: &Plan,
        environment: &RecordingEnvironment<'_>,
        source: &Source,
    ) -> Checkup {
        let topics = topics_by_binding(plan);
        let addresses: BTreeMap<_, _> = plan
            .nodes()
            .map(|(name, node)| (name.clone(), addresses(&node.definition.externals())))
            .collect();
        let contexts: Vec<_> = plan
            .file_order
            .iter()
            .map(|name| {
                let topics = topics.get(name).map_or(&[][..], Vec::as_slice);
                let bounds = (self.purpose, self.timeout);
                CheckCx::new(name, bounds, topics, &addresses, environment, source)
            })
            .collect();
        let checks = contexts.iter().filter_map(|cx| {
            let node = plan.nodes.get(cx.name())?;
            let late = || {
                let message = format!(
                    "`{}` could not be checked within {} s",
                    cx.name().name,
                    self.timeout.as_secs_f64()
                );
                let problems = vec![Problem::new(codes::E0502, node.span.clone(), message)];
                Checkup { problems, topics: Vec::new() }
            };
            let check = node.definition.check(cx);
            Some(Box::pin(async move {
                tokio::time::timeout(self.timeout + GRACE, check).await.unwrap_or_else(|_| late())
            }) as BoxFuture<'_, Checkup>)
        });
        let runtime = match tokio::runtime::Builder::new_current_thread().enable_all().build() {
            Ok(runtime) => runtime,
            Err(error) => {
                let message = format!("nothing outside could be looked at: {error}");
                let problem = Problem::new(codes::E0503, source.span(0, 0), message);
                return Checkup { problems: vec![problem], topics: Vec::new() };
            }
        };
        let found = runtime.block_on(all(checks.collect()));
        // A name that is still being resolved is not waited for.
        runtime.shutdown_background();
        found.into_iter().fold(Checkup::default(), |mut all, one| {
            all.problems.extend(one.problems);
            all.topics.extend(one.topics);
            all
        })
    }
}

/// Waits for all, which go on side by side.
async fn all<T: Unpin>(mut futures: Vec<BoxFuture<'_, T>>) -> Vec<T> {
    let mut results: Vec<Option<T>> = futures.iter().map(|_| None).collect();
    poll_fn(move |cx| {
        for (future, result) in futures.iter_mut().zip(&mut results) {
            if result.is_none()
                && let Poll::Ready(value) = future.as_mut().poll(cx)
            {
                *result = Some(value);
            }
        }
        if results.iter().all(Option::is_some) {
            return Poll::Ready(results.drain(..).flatten().collect());
        }
        Poll::Pending
    })
    .await
}

/// The topics that are asked of each binding: of an exit, and of all that it exits to in turn.
fn topics_by_binding(plan: &Plan) -> BTreeMap<NodeName, Vec<TopicNeed>> {
    let mut topics: BTreeMap<NodeName, Vec<TopicNeed>> = BTreeMap::new();
    for node in plan.file_order.iter().filter_map(|name| plan.nodes.get(name)) {
        for need in node.definition.topics() {
            for name in reached(plan, &need.exit) {
                topics.entry(name).or_default().push(need.clone());
            }
        }
    }
    topics
}

/// A binding, and all that it exits to in turn.
fn reached(plan: &Plan, first: &NodeName) -> BTreeSet<NodeName> {
    let mut reached = BTreeSet::new();
    let mut open = vec![first.clone()];
    while let Some(name) = open.pop() {
        let exits = plan.nodes.get(&name).map_or(&[][..], |node| &node.exits);
        if reached.insert(name) {
            open.extend(exits.iter().map(|exit| exit.name.clone()));
        }
    }
    reached
}

fn addresses(externals: &[External]) -> Vec<String> {
    let address = |external: &External| match external {
        External::Address(address) => Some(address.clone()),
        External::Topic(_) => None,
    };
    externals.iter().filter_map(address).collect()
}
