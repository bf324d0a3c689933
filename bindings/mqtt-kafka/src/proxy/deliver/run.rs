//! Records that were read together, as messages.

use std::sync::Arc;

use engine::spi::WorkerCx;
use kafka_plane::Batch;
use mqtt_plane::{Frames, Messages, Publish};

use crate::wire::View;

/// A run of messages: those of one read that somebody wants.
pub(in crate::proxy) struct Run {
    views: Box<[View]>,
    frames: Frames,
    cx: WorkerCx,
    footprint: usize,
}

impl Run {
    pub(in crate::proxy) fn new(cx: &WorkerCx, views: Vec<View>) -> Self {
        let mut footprint = 0;
        let mut last: Option<&Arc<Batch>> = None;
        for view in &views {
            if !last.is_some_and(|last| Arc::ptr_eq(last, view.batch())) {
                footprint += view.batch().footprint();
                last = Some(view.batch());
            }
        }
        let frames = Frames::new(views.len());
        Self { views: views.into(), frames, cx: cx.clone(), footprint }
    }

    /// Memory that the run keeps alive, bytes.
    pub(in crate::proxy) fn footprint(&self) -> usize {
        self.footprint
    }

    /// The message at `index`.
    pub(in crate::proxy) fn view(&self, index: usize) -> &View {
        &self.views[index]
    }
}

/// Whether a message has expired at this moment of the worker's clock, which is read only where
/// the message can expire.
pub(in crate::proxy) fn is_expired(view: &View, cx: &WorkerCx) -> bool {
    view.can_expire() && view.remaining_expiry(cx.clock().unix_millis()) == Some(0)
}

impl Messages for Run {
    fn publish(&self, index: u32) -> Publish<'_> {
        self.views[index as usize].publish()
    }

    fn remaining_expiry(&self, index: u32) -> Option<u32> {
        let view = &self.views[index as usize];
        if !view.can_expire() {
            return None;
        }
        view.remaining_expiry(self.cx.clock().unix_millis())
    }

    fn frames(&self) -> &Frames {
        &self.frames
    }
}
