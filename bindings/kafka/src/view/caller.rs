//! Calls the producer's thread once for what a worker appends together.

use std::cell::Cell;
use std::rc::Rc;

use engine::spi::WorkerCx;
use tokio::sync::Notify;
use tokio::task::AbortHandle;

/// Appends after which the producer is called although more tasks of the worker are ready, so that
/// the two threads work side by side.
const MOST: usize = 64;

/// Calls the producer when the tasks that were ready at an append have had their turn, so that
/// those of them that append too share the call. One that finds the producer asleep is a system
/// call here and a switch of threads there, which costs more than a record does. Where nothing else
/// is ready it comes at once.
pub(super) struct Caller {
    pending: Rc<Pending>,
    task: AbortHandle,
}

struct Pending {
    call: Box<dyn Fn()>,
    /// Appends since the last call.
    appends: Cell<usize>,
    notify: Notify,
}

impl Caller {
    /// A caller by `call`, on the worker of `cx`.
    pub(super) fn new(cx: &WorkerCx, call: impl Fn() + 'static) -> Self {
        let pending =
            Rc::new(Pending { call: Box::new(call), appends: Cell::new(0), notify: Notify::new() });
        let called = Rc::clone(&pending);
        let task = cx.spawn(async move {
            loop {
                called.notify.notified().await;
                called.call();
            }
        });
        Self { pending, task }
    }

    /// Something was left for the producer.
    pub(super) fn appended(&self) {
        let appends = self.pending.appends.get() + 1;
        self.pending.appends.set(appends);
        match appends {
            1 => self.pending.notify.notify_one(),
            MOST => self.pending.call(),
            _ => {}
        }
    }
}

impl Pending {
    fn call(&self) {
        if self.appends.replace(0) > 0 {
            (self.call)();
        }
    }
}

impl Drop for Caller {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::task::{LocalSet, yield_now};

    fn run(test: impl AsyncFnOnce(Rc<Caller>, Rc<Cell<usize>>)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        LocalSet::new().block_on(&runtime, async {
            let calls = Rc::new(Cell::new(0));
            let counted = Rc::clone(&calls);
            let call = move || counted.set(counted.get() + 1);
            let caller = Rc::new(Caller::new(&WorkerCx::detached(), call));
            // It begins to wait.
            yield_now().await;
            test(caller, calls).await;
        });
    }

    #[test]
    fn tasks_that_are_ready_together_share_a_call() {
        run(async |caller, calls| {
            for _ in 0..10 {
                let caller = Rc::clone(&caller);
                tokio::task::spawn_local(async move { caller.appended() });
            }
            yield_now().await;
            assert_eq!(calls.get(), 1);
            caller.appended();
            assert_eq!(calls.get(), 1, "not from within the append");
            yield_now().await;
            assert_eq!(calls.get(), 2);
        });
    }

    #[test]
    fn a_long_turn_calls_before_it_ends() {
        run(async |caller, calls| {
            for _ in 0..2 * MOST + 1 {
                caller.appended();
            }
            assert_eq!(calls.get(), 2);
            yield_now().await;
            assert_eq!(calls.get(), 3);
        });
    }
}
