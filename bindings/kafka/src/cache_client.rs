//! kind `cache_client`: a worker's view of a cluster's topics and of its producer.

use std::rc::Rc;
use std::sync::Arc;

use engine::config::{ExitName, NodeConfig, Problem, Problems};
use engine::spi::{
    Action, Attached, BoxFuture, Definition, Exit, Fact, Links, Node, Plane, PrepareCx, Prepared,
    TopicNeed, Trace, Verdict, WorkerCx, definition_as,
};
use kafka_plane::Kafka;

use crate::CACHE_PLANE;
use crate::config::{self, CacheOptions};
use crate::state::{murmur2, partition_of};

pub(super) fn define(node: &NodeConfig, problems: &mut Problems) -> Option<Arc<dyn Definition>> {
    let options = config::cache_options(node, problems);
    let exit = config::required_exit(node, problems);
    let (options, exit) = (options?, exit?);
    let topics = config::bootstrap_topics(node, &options, &exit);
    Some(Arc::new(CacheClient { options, exit, topics }))
}

struct CacheClient {
    options: CacheOptions,
    exit: ExitName,
    topics: Vec<TopicNeed>,
}

impl Definition for CacheClient {
    fn entry(&self) -> Option<&'static str> {
        Some(Kafka::NAME)
    }

    fn exits(&self) -> Vec<Exit> {
        vec![config::value_exit(&self.exit, CACHE_PLANE)]
    }

    fn topics(&self) -> Vec<TopicNeed> {
        self.topics.clone()
    }

    /// An append: which partition, where it is known how many there are.
    fn explain(&self, action: &Action, trace: &mut Trace<'_>) {
        if action.verb() != "append" {
            return;
        }
        let Some(key) = action.text("hash-key").or_else(|| action.text("key")) else { return };
        let hash = murmur2(key.as_bytes());
        match action.number("partitions") {
            Some(count) => {
                let partition = partition_of(hash, count);
                let why = format!("partition {partition}: murmur2 of `{key}` among {count}");
                trace.step(Verdict::Taken, "", why);
                trace.fact("partition", Fact::Number(partition.into()));
            }
            None => {
                let why = format!("the partition is murmur2 of `{key}` among those of the topic");
                trace.step(Verdict::Taken, "", why);
            }
        }
    }

    /// The topics to begin with, and whatever the cache server absorbs.
    fn absorbs(&self, old: &dyn Definition) -> bool {
        definition_as::<Self>(old).is_some_and(|old| old.exit.name == self.exit.name)
    }

    #[cfg(any(feature = "rdkafka", feature = "embedded"))]
    fn prepare<'a>(&'a self, cx: &'a PrepareCx<'a>) -> BoxFuture<'a, Result<Prepared, Problem>> {
        let cache = cx.exit::<crate::cache_server::Cache>(&self.exit.name);
        cache.lease.expect_topics(&self.options.bootstrap);
        let prepared: Prepared = cache;
        Box::pin(std::future::ready(Ok(prepared)))
    }

    #[cfg(any(feature = "rdkafka", feature = "embedded"))]
    fn attach(&self, prepared: &Prepared, cx: &WorkerCx, _: &mut Links<'_>) -> Attached {
        let cache = engine::spi::prepared_as::<crate::cache_server::Cache>(prepared);
        let exit = crate::view::exit(&cache.lease, cx);
        let entry = engine::spi::Entry::new::<Kafka>(exit);
        Attached { entry: Some(entry), node: Rc::new(CacheClientNode) }
    }

    #[cfg(not(any(feature = "rdkafka", feature = "embedded")))]
    fn prepare<'a>(&'a self, _: &'a PrepareCx<'a>) -> BoxFuture<'a, Result<Prepared, Problem>> {
        let prepared: Prepared = Arc::new(self.options.bootstrap.len());
        Box::pin(std::future::ready(Ok(prepared)))
    }

    #[cfg(not(any(feature = "rdkafka", feature = "embedded")))]
    fn attach(&self, _: &Prepared, _: &WorkerCx, _: &mut Links<'_>) -> Attached {
        // Never reached: the client that it leads to cannot be prepared.
        Attached { entry: None, node: Rc::new(CacheClientNode) }
    }
}

/// The view lives as long as somebody holds it, by a link or by a log or table of it. There is
/// nothing to update: what the view shows is the cluster's, and the cluster is the same.
struct CacheClientNode;

impl Node for CacheClientNode {}
