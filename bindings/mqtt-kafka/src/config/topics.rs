//! Which Kafka topics a binding needs, and what each must be.

use engine::config::{ExitName, NodeConfig};
use engine::spi::{Keeps, TopicNeed};

use crate::proxy::PARTITIONS;
use crate::state::RECORD_OVERHEAD;
use crate::state::{Mapping, Route, Template};

/// The topics of a mapping whose routes are those of `node`, in the order of the file.
pub(super) fn needs(node: &NodeConfig, mapping: &Mapping, exits: &[ExitName]) -> Vec<TopicNeed> {
    let mut needs = Vec::new();
    // Sessions lie where the last route leads. Neither read nor written yet, but looked for.
    if let Some(exit) = mapping.routes.last().and_then(|route| exits.get(route.exit)) {
        let state = Need { is_read: false, is_written: false, keeps: Keeps::LastOfKey };
        needs.push(state.of(node, "/options/topics/sessions", &mapping.sessions, exit));
    }
    for (index, exit) in exits.iter().enumerate() {
        let here = || mapping.routes.iter().filter(move |route| route.exit == index);
        let is_written = here().any(is_published);
        if here().any(|route| route.messages.is_none()) {
            let is_written = here().any(|route| route.messages.is_none() && is_published(route));
            let log = Need { is_read: true, is_written, keeps: Keeps::All };
            needs.push(log.of(node, "/options/topics/messages", &mapping.messages, exit));
        }
        let table = Need { is_read: true, is_written, keeps: Keeps::LastOfKey };
        needs.push(table.of(node, "/options/topics/retained", &mapping.retained, exit));
    }
    for (index, route) in mapping.routes.iter().enumerate() {
        if let (Some(template), Some(exit)) = (&route.messages, exits.get(route.exit)) {
            let log = Need { is_read: true, is_written: is_published(route), keeps: Keeps::All };
            let pointer = format!("/routes/{index}/with/messages");
            let is_template = Template::fixed(template).is_none();
            let need = log.of(node, &pointer, &template.to_string(), exit);
            needs.push(TopicNeed { is_template, ..need });
        }
    }
    needs
}

fn is_published(route: &Route) -> bool {
    route.is_open || !route.publish.is_empty()
}

/// What is done with a topic.
struct Need {
    is_read: bool,
    is_written: bool,
    keeps: Keeps,
}

impl Need {
    fn of(&self, node: &NodeConfig, pointer: &str, name: &str, exit: &ExitName) -> TopicNeed {
        let is_log = self.keeps == Keeps::All;
        TopicNeed {
            name: name.to_owned(),
            is_template: false,
            span: node.span_of(pointer),
            exit: exit.name.clone(),
            keeps: Some(self.keeps),
            is_read: self.is_read,
            is_written: self.is_written,
            // Clients are told this much at least.
            least_record_bytes: 2 * RECORD_OVERHEAD,
            record_overhead: RECORD_OVERHEAD,
            most_partitions: if is_log { PARTITIONS } else { u32::MAX },
        }
    }
}
