//! From one plan to the next: prepare what is new, commit on every worker, release what is gone.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use crate::config::{NodeName, Problem, codes};
use crate::graph::{Fate, Plan, PlanNode, diff};
use crate::runtime::Post;
use crate::runtime::application::{Application, Step, Work, retirements};
use crate::runtime::control::Control;
use crate::runtime::status::Tally;
use crate::spi::{PrepareCx, Prepared};

/// How long the preparation of one binding may take.
const PREPARE: Duration = Duration::from_secs(20);

/// How long what was replaced may take to flush.
const RELEASE: Duration = Duration::from_secs(10);

/// What a reload did.
pub(super) struct Applied {
    pub(super) fates: Vec<(NodeName, Fate)>,
    /// The connections after it.
    pub(super) tally: Tally,
}

impl Control {
    /// Makes `plan` the running plan.
    ///
    /// # Errors
    /// What could not be prepared; nothing has changed then.
    pub(super) async fn apply(&mut self, plan: Plan) -> Result<Applied, Vec<Problem>> {
        let fates = diff(&self.plan, &plan);
        let prepared = self.prepare(&plan, &fates).await?;
        let begun_at = self.clock.now();
        let (replaced, removed) = retirements(begun_at, self.options.drain);
        let steps = fates
            .iter()
            .map(|(name, fate)| {
                let needs_work = matches!(fate, Fate::Start | Fate::Replace | Fate::Update);
                let work = plan.nodes.get(name).filter(|_| needs_work).map(|node| Work {
                    definition: Arc::clone(&node.definition),
                    prepared: Arc::clone(&prepared[name]),
                });
                Step { name: name.clone(), fate: *fate, work }
            })
            .collect();
        self.generation += 1;
        let application = Arc::new(Application {
            generation: self.generation,
            begun_at,
            steps,
            replaced,
            removed,
        });
        let tally = self.commit(&application).await;
        drop(application);
        self.release(&fates, &prepared);
        self.plan = plan;
        self.prepared = prepared;
        // What has nothing to wait for, a listening socket for instance, is gone when this returns.
        tokio::task::yield_now().await;
        Ok(Applied { fates, tally })
    }

    /// Prepares every node that is new or changed, exits first. Nodes that are kept keep what they
    /// prepared.
    async fn prepare(
        &self,
        plan: &Plan,
        fates: &[(NodeName, Fate)],
    ) -> Result<HashMap<NodeName, Prepared>, Vec<Problem>> {
        let mut all: HashMap<NodeName, Prepared> = HashMap::new();
        let mut problems = Vec::new();
        for (name, fate) in fates {
            let Some(node) = plan.nodes.get(name) else { continue };
            if let (Fate::Keep | Fate::Relink, Some(kept)) = (fate, self.prepared.get(name)) {
                all.insert(name.clone(), Arc::clone(kept));
                continue;
            }
            if node.exits.iter().any(|exit| !all.contains_key(&exit.name)) {
                // What it needs has its own problem.
                continue;
            }
            match self.prepare_node(name, node, &all).await {
                Ok(prepared) => {
                    all.insert(name.clone(), prepared);
                }
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(all) } else { Err(problems) }
    }

    async fn prepare_node(
        &self,
        name: &NodeName,
        node: &PlanNode,
        prepared: &HashMap<NodeName, Prepared>,
    ) -> Result<Prepared, Problem> {
        let cx = PrepareCx {
            name,
            prepared,
            previous: self.prepared.get(name),
            listeners: &self.listeners,
            store: &self.store,
            mailboxes: &self.mailboxes,
            metrics: &self.metrics,
            settings: &self.options.settings,
            properties: &self.options.properties,
        };
        match tokio::time::timeout(PREPARE, node.definition.prepare(&cx)).await {
            Ok(result) => result,
            Err(_) => {
                let message = format!("`{name}` was not ready within {} s", PREPARE.as_secs());
                Err(Problem::new(codes::E0502, node.span.clone(), message))
            }
        }
    }

    /// Has every worker apply the plan; returns what they have then.
    async fn commit(&self, application: &Arc<Application>) -> Tally {
        let mut answers = Vec::with_capacity(self.mailboxes.len());
        for mailbox in &self.mailboxes {
            let (done, answer) = tokio::sync::oneshot::channel();
            mailbox.post_always(Post::Apply(Arc::clone(application), done));
            answers.push(answer);
        }
        let mut tally = Tally::default();
        for answer in answers {
            if let Ok(status) = answer.await {
                tally.add(status);
            }
        }
        tally
    }

    /// Ends, off the reload path, what replaced and removed nodes had prepared.
    fn release(&self, fates: &[(NodeName, Fate)], now: &HashMap<NodeName, Prepared>) {
        for (name, fate) in fates {
            if !matches!(fate, Fate::Replace | Fate::Retire) {
                continue;
            }
            let (Some(node), Some(prepared)) = (self.plan.nodes.get(name), self.prepared.get(name))
            else {
                continue;
            };
            if now.get(name).is_some_and(|kept| Arc::ptr_eq(kept, prepared)) {
                continue;
            }
            let (definition, prepared) = (Arc::clone(&node.definition), Arc::clone(prepared));
            drop(tokio::task::spawn_local(async move {
                let linger = definition.linger();
                if !linger.is_zero() {
                    tokio::time::sleep(linger).await;
                }
                definition.release(&prepared, RELEASE).await;
            }));
        }
    }
}
