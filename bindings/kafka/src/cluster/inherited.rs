//! Where reading goes on when a cluster is used under another description than before: other
//! addresses of the same brokers, other credentials.

use std::collections::HashMap;
use std::sync::Arc;

use super::{Cluster, Reading};

/// How far logs were read through the description before.
#[derive(Debug)]
pub(crate) struct Inherited {
    /// The id of the cluster that was read: offsets mean nothing in another.
    cluster: Arc<str>,
    /// By topic, the offset to go on at in each partition.
    positions: HashMap<Arc<str>, Box<[i64]>>,
}

impl Inherited {
    /// How far `cluster` has been read by now; `None` where it never said which it is.
    pub(crate) fn of(cluster: &Cluster) -> Option<Self> {
        let id = cluster.id()?;
        let topics = cluster.all_topics();
        let logs = topics.iter().filter(|topic| topic.reading() == Reading::Log);
        let positions = logs.map(|topic| {
            let partitions = topic.partitions();
            let positions = partitions.iter().map(|partition| partition.position()).collect();
            (Arc::clone(&topic.name), positions)
        });
        Some(Self { cluster: id, positions: positions.collect() })
    }

    /// Where to go on in a partition of the cluster `id`; `None` where nothing was read there.
    pub(crate) fn position(&self, id: Option<&str>, topic: &str, partition: u32) -> Option<i64> {
        let positions = self.positions.get(topic).filter(|_| id == Some(&*self.cluster))?;
        positions.get(partition as usize).copied()
    }
}
