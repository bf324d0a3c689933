//! kind `cache_server`: which topics must be known before the engine serves, and how much of each
//! partition is kept.

use std::rc::Rc;
use std::sync::Arc;

use engine::config::{ExitName, NodeConfig, Problem, Problems};
use engine::spi::{
    Attached, BoxFuture, Definition, Exit, Links, Node, PrepareCx, Prepared, TopicNeed, WorkerCx,
    definition_as,
};

use crate::config::{self, CacheOptions};
use crate::{CACHE_PLANE, CLIENT_PLANE};

pub(super) fn define(node: &NodeConfig, problems: &mut Problems) -> Option<Arc<dyn Definition>> {
    let options = config::cache_options(node, problems);
    let exit = config::required_exit(node, problems);
    let (options, exit) = (options?, exit?);
    let topics = config::bootstrap_topics(node, &options, &exit);
    Some(Arc::new(CacheServer { options, exit, topics }))
}

struct CacheServer {
    options: CacheOptions,
    exit: ExitName,
    topics: Vec<TopicNeed>,
}

/// What `cache_server` prepares: a cluster, and the bound of its logs.
#[cfg(any(feature = "rdkafka", feature = "embedded"))]
pub(crate) struct Cache {
    pub(crate) lease: Arc<crate::cluster::Lease>,
    log_bytes: usize,
}

/// How long a start waits for a cluster that answers; one that does not is waited for no longer.
#[cfg(any(feature = "rdkafka", feature = "embedded"))]
const WARM: std::time::Duration = std::time::Duration::from_secs(3);

#[cfg(any(feature = "rdkafka", feature = "embedded"))]
impl CacheServer {
    async fn open(&self, cx: &PrepareCx<'_>) -> Prepared {
        let lease = cx.exit::<crate::cluster::Lease>(&self.exit.name);
        if !lease.warm(&self.options.bootstrap, WARM).await {
            tracing::warn!(
                event = "kafka.cluster.slow",
                binding = %cx.name(),
                "the cluster did not answer within {} s; serving all the same",
                WARM.as_secs(),
            );
        }
        Arc::new(Cache { lease, log_bytes: self.options.log_bytes() })
    }

    fn apply(prepared: &Prepared) {
        let cache = engine::spi::prepared_as::<Cache>(prepared);
        cache.lease.set_log_bytes(cache.log_bytes);
    }
}

#[cfg(not(any(feature = "rdkafka", feature = "embedded")))]
impl CacheServer {
    async fn open(&self, _: &PrepareCx<'_>) -> Prepared {
        let _ = (&self.options.bootstrap, self.options.log_bytes());
        Arc::new(())
    }

    fn apply(_: &Prepared) {}
}

impl Definition for CacheServer {
    fn entry(&self) -> Option<&'static str> {
        Some(CACHE_PLANE)
    }

    fn exits(&self) -> Vec<Exit> {
        vec![config::value_exit(&self.exit, CLIENT_PLANE)]
    }

    fn topics(&self) -> Vec<TopicNeed> {
        self.topics.clone()
    }

    /// Bounds and the topics to begin with. Another cluster is another exit, or a replaced one.
    fn absorbs(&self, old: &dyn Definition) -> bool {
        definition_as::<Self>(old).is_some_and(|old| old.exit.name == self.exit.name)
    }

    fn prepare<'a>(&'a self, cx: &'a PrepareCx<'a>) -> BoxFuture<'a, Result<Prepared, Problem>> {
        Box::pin(async move { Ok(self.open(cx).await) })
    }

    fn attach(&self, prepared: &Prepared, _: &WorkerCx, _: &mut Links<'_>) -> Attached {
        Self::apply(prepared);
        Attached { entry: None, node: Rc::new(CacheServerNode) }
    }
}

/// Nothing runs on a worker for a cache server but a change of its bounds, which each worker makes
/// alike.
struct CacheServerNode;

impl Node for CacheServerNode {
    fn update(
        &self,
        _: &Arc<dyn Definition>,
        prepared: &Prepared,
        _: &WorkerCx,
        _: &mut Links<'_>,
    ) {
        CacheServer::apply(prepared);
    }
}
