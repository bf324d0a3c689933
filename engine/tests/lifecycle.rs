//! What a binding lives through: fates over reloads, a refused file, a panic, the end. A binding
//! type made for this test writes down what the engine does with it.

#![expect(clippy::unwrap_used, clippy::expect_used, reason = "a test fails by them")]

use std::any::Any;
use std::collections::BTreeMap;
use std::path::PathBuf;
use std::rc::Rc;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use engine::bytes::Bytes;
use engine::config::{NodeConfig, NodeName, Problem, Problems, codes};
use engine::runtime::{EngineOptions, Milestone, REMOVED, ask, run};
use engine::shared::Lock;
use engine::spi::{
    Attached, BindingKind, BoxFuture, Catalog, Coupling, Definition, Entry, Exit, Links, Node,
    Plane, PrepareCx, Prepared, Retire, WorkerCx, definition_as,
};
use serde_json::Value;

/// What the engine did, as `VERB NAME`, for a configuration file of its own.
struct Journal {
    lines: Lock<Vec<String>>,
    said: mpsc::Sender<String>,
}

static JOURNALS: Lock<Vec<(String, Arc<Journal>)>> = Lock::new(Vec::new());

impl Journal {
    fn of(namespace: &str) -> Arc<Self> {
        let journals = JOURNALS.lock();
        let found = journals.iter().find(|(name, _)| name == namespace);
        Arc::clone(&found.expect("opened by the test").1)
    }

    fn write(&self, verb: &str, name: &NodeName) {
        let line = format!("{verb} {}", name.name);
        self.lines.lock().push(line.clone());
        // Who reads may have finished.
        self.said.send(line).ok();
    }

    fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.lines.lock())
    }
}

struct TestKind;

impl BindingKind for TestKind {
    fn name(&self) -> &'static str {
        "test"
    }

    fn schema(&self) -> &'static str {
        r#"{
            "type": "object",
            "properties": {
                "type": { "const": "test" },
                "kind": { "enum": ["stiff", "supple"] },
                "options": { "type": "object" },
                "exit": { "type": "string" }
            },
            "required": ["type", "kind"],
            "additionalProperties": false
        }"#
    }

    fn define(&self, node: &NodeConfig, _: &mut Problems) -> Option<Arc<dyn Definition>> {
        Some(Arc::new(TestDefinition {
            name: node.node_name(),
            kind: node.kind.clone(),
            options: node.value.get("options").cloned().unwrap_or_default(),
            span: node.span_of("/options"),
            exits: node
                .exit()
                .map(|exit| Exit {
                    name: exit.name,
                    plane: Bytes::NAME,
                    coupling: Coupling::Link,
                    span: exit.span,
                })
                .into_iter()
                .collect(),
        }))
    }
}

struct TestDefinition {
    name: NodeName,
    kind: String,
    options: Value,
    span: engine::config::Span,
    exits: Vec<Exit>,
}

impl TestDefinition {
    fn journal(&self) -> Arc<Journal> {
        Journal::of(&self.name.namespace)
    }
}

impl Definition for TestDefinition {
    fn entry(&self) -> Option<&'static str> {
        Some(Bytes::NAME)
    }

    fn exits(&self) -> Vec<Exit> {
        self.exits.clone()
    }

    fn absorbs(&self, old: &dyn Definition) -> bool {
        definition_as::<Self>(old).is_some_and(|old| old.kind == "supple" && self.kind == "supple")
    }

    fn prepare<'a>(&'a self, _: &'a PrepareCx<'a>) -> BoxFuture<'a, Result<Prepared, Problem>> {
        let result: Result<Prepared, Problem> = match self.options.get("fail") {
            Some(_) => Err(Problem::new(codes::E0502, self.span.clone(), "asked to fail")),
            None => Ok(Arc::new(())),
        };
        Box::pin(std::future::ready(result))
    }

    fn attach(&self, _: &Prepared, cx: &WorkerCx, _: &mut Links<'_>) -> Attached {
        self.journal().write("attach", &self.name);
        if self.options.get("panic").is_some() {
            // Once: the instance that replaces this one finds the journal written.
            let journal = self.journal();
            let is_first =
                journal.lines.lock().iter().filter(|line| line.starts_with("attach")).count() == 1;
            drop(cx.spawn(async move {
                assert!(!is_first, "the panic that the test asked for");
            }));
        }
        let node = Rc::new(TestNode { name: self.name.clone(), journal: self.journal() });
        Attached { entry: Some(Entry::new::<Bytes>(Rc::new(Refuse))), node }
    }
}

struct Refuse;

impl engine::bytes::Accept for Refuse {
    fn serve(
        self: Rc<Self>,
        _: engine::bytes::Conn,
    ) -> std::pin::Pin<Box<dyn Future<Output = engine::bytes::Ended>>> {
        Box::pin(std::future::ready(engine::bytes::Ended::Refused))
    }
}

struct TestNode {
    name: NodeName,
    journal: Arc<Journal>,
}

impl Node for TestNode {
    fn update(&self, _: &Arc<dyn Definition>, _: &Prepared, _: &WorkerCx, _: &mut Links<'_>) {
        self.journal.write("update", &self.name);
    }

    fn relinked(&self, _: u64) {
        self.journal.write("relink", &self.name);
    }

    fn retire(&self, retire: Retire) {
        self.journal.write(if retire.is_shutdown { "end" } else { "retire" }, &self.name);
    }

    fn receive(&self, _: Box<dyn Any + Send>) {}
}

static TEST: TestKind = TestKind;
const CATALOG: Catalog = Catalog {
    about: "an engine for this test",
    bindings: &[&TEST],
    origins: &[],
    settings: &[],
    properties: &[],
    actions: "{}",
};

/// An engine in this process, on a file of its own.
struct Running {
    file: PathBuf,
    _directory: tempfile::TempDir,
    namespace: String,
    journal: Arc<Journal>,
    said: mpsc::Receiver<String>,
}

impl Running {
    fn start(namespace: &str, bindings: &str) -> Self {
        let (sender, said) = mpsc::channel();
        let journal = Arc::new(Journal { lines: Lock::default(), said: sender });
        JOURNALS.lock().push((namespace.to_owned(), Arc::clone(&journal)));
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("zilla.yaml");
        let running =
            Self { file, _directory: directory, namespace: namespace.to_owned(), journal, said };
        running.write(bindings);
        let options = EngineOptions {
            watches: true,
            config: running.file.clone().into(),
            authorization: None,
            poll_interval: Duration::from_secs(30),
            workers: Some(1),
            drain: REMOVED,
            settings: BTreeMap::new(),
            properties: BTreeMap::new(),
        };
        let (ready, is_ready) = mpsc::channel();
        std::thread::spawn(move || {
            run(options, CATALOG, |milestone| {
                if let Milestone::Serves(_) = milestone {
                    ready.send(()).unwrap();
                }
            })
        });
        is_ready.recv_timeout(PATIENCE).expect("the engine starts");
        running
    }

    fn write(&self, bindings: &str) {
        let text = format!("name: {}\nbindings:\n{bindings}", self.namespace);
        let fresh = self.file.with_extension("fresh");
        std::fs::write(&fresh, text).unwrap();
        std::fs::rename(&fresh, &self.file).unwrap();
    }

    /// Waits until the status says `done`, and returns what the engine did meanwhile, sorted.
    fn await_status(&self, done: impl Fn(&engine::runtime::Status) -> bool) -> Vec<String> {
        let deadline = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap() + PATIENCE;
        loop {
            let status = ask(&self.file.clone().into()).unwrap();
            if done(&status) {
                return self.journal.take();
            }
            let now = std::time::SystemTime::UNIX_EPOCH.elapsed().unwrap();
            assert!(now < deadline, "still {status:?}");
        }
    }

    fn reload(&self, bindings: &str) -> Vec<String> {
        let before = ask(&self.file.clone().into()).unwrap().generation;
        self.write(bindings);
        self.await_status(|status| status.generation > before)
    }
}

const PATIENCE: Duration = Duration::from_secs(10);

const CHAIN: &str = "
  a: {type: test, kind: stiff, exit: b}
  b: {type: test, kind: stiff, options: {x: 1}, exit: c}
  c: {type: test, kind: supple, options: {y: 1}}
";

#[test]
fn each_fate_touches_what_it_names_and_nothing_else() {
    let engine = Running::start("fates", CHAIN);
    assert_eq!(engine.journal.take(), ["attach c", "attach b", "attach a"]);
    // Comments and order: Keep.
    let kept = engine.reload(
        "
  # the same
  c: {kind: supple, type: test, options: {y: 1}}
  b: {type: test, exit: c, kind: stiff, options: {x: 1}}
  a: {type: test, kind: stiff, exit: b}
",
    );
    assert_eq!(kept, [""; 0]);
    // Update: the instance stays. Those who exit to it are not touched.
    assert_eq!(engine.reload(&CHAIN.replace("y: 1", "y: 2")), ["update c"]);
    // Replace: new beside old, and one hop upstream is relinked.
    let replaced = engine.reload(&CHAIN.replace("y: 1", "y: 2").replace("x: 1", "x: 2"));
    assert_eq!(replaced, ["attach b", "retire b", "relink a"]);
    // Start and Retire.
    let changed = engine.reload(
        "
  b: {type: test, kind: stiff, options: {x: 2}, exit: c}
  c: {type: test, kind: supple, options: {y: 2}}
  d: {type: test, kind: stiff, exit: b}
",
    );
    assert_eq!(changed, ["attach d", "retire a"]);
}

#[test]
fn a_file_with_errors_and_one_that_cannot_be_prepared_change_nothing() {
    let engine = Running::start("refused", CHAIN);
    engine.journal.take();
    let generation = ask(&engine.file.clone().into()).unwrap().generation;
    for broken in [
        CHAIN.replace("exit: c", "exit: nowhere"),
        CHAIN.replace("type: test", "typ: test"),
        CHAIN.replace("y: 1", "fail: yes"),
        CHAIN.replace("exit: c}", "exit: c"),
    ] {
        engine.write(&broken);
        let done = engine.await_status(|status| status.file != "in force");
        assert_eq!(done, [""; 0], "{broken}");
        engine.write(CHAIN);
        engine.await_status(|status| status.file == "in force");
    }
    std::fs::remove_file(&engine.file).unwrap();
    engine.await_status(|status| status.file.contains("missing"));
    engine.write(CHAIN);
    assert_eq!(engine.await_status(|status| status.file == "in force"), [""; 0]);
    assert!(ask(&engine.file.into()).unwrap().generation >= generation);
}

#[test]
fn a_panic_replaces_the_instances_of_its_worker_and_the_engine_goes_on() {
    let engine =
        Running::start("panics", "\n  a: {type: test, kind: stiff, options: {panic: yes}}\n");
    let mut seen = Vec::new();
    while seen.len() < 3 {
        seen.push(engine.said.recv_timeout(PATIENCE).expect("a fresh instance"));
    }
    assert_eq!(seen, ["attach a", "attach a", "retire a"]);
    assert_eq!(ask(&engine.file.into()).unwrap().bindings.len(), 1);
}
