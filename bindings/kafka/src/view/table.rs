//! A worker's view of a topic that is read as a table.

use std::ops::ControlFlow;
use std::rc::Rc;
use std::sync::Arc;

use kafka_plane::{Batch, Scan, Then, TopicTable};

use super::{CONFLICT, Question, View};
use crate::cluster::{Answer, Reading, Topic};

pub(super) struct TableView {
    view: Rc<View>,
    topic: Arc<Topic>,
    /// Whether the topic is read as a log, so that there is no table.
    is_refused: bool,
}

impl TableView {
    #[expect(clippy::expect_used, reason = "a view is only used through the Rc that holds it")]
    pub(super) fn new(view: &View, name: &str) -> Self {
        let read = view.cluster.read(name, Reading::Table);
        let is_refused = read.is_err();
        let (Ok(topic) | Err(topic)) = read;
        Self { view: view.this().expect("held while it is called"), topic, is_refused }
    }
}

impl TopicTable for TableView {
    fn topic(&self) -> &str {
        &self.topic.name
    }

    fn sync(&self, then: Then<()>) {
        let view = &self.view;
        view.ask(Question::Sync(then), |key| {
            if self.is_refused {
                view.lane.answers.push(Answer::Synced(key, Err(CONFLICT)));
            } else {
                view.cluster.ask_sync(&self.topic, &view.lane, key);
            }
        });
    }

    fn get(&self, key: &[u8]) -> Option<Arc<Batch>> {
        self.topic.table.get(key)
    }

    fn scan(
        &self,
        from: &[u8],
        visit: &mut dyn FnMut(&[u8], &Arc<Batch>) -> ControlFlow<(), Scan>,
    ) {
        self.topic.table.scan(from, &mut |key, item| match visit(key, item) {
            ControlFlow::Continue(Scan::Next) => ControlFlow::Continue(None),
            ControlFlow::Continue(Scan::Seek(key)) => ControlFlow::Continue(Some(key)),
            ControlFlow::Break(()) => ControlFlow::Break(()),
        });
    }
}
