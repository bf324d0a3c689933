//! The text of a configuration as `zilla validate` checks it, with every type of binding: no panic,
//! and whatever keeps it from running is reported, with a place that can be shown. What stands in the
//! place of an expression changes nothing but that scalar, and is never shown.

#![no_main]

use std::sync::LazyLock;

use engine::config::{
    Config, Environment, Problems, RecordingEnvironment, Schema, Source, load_sound,
};
use engine::graph::build;
use engine::spi::Catalog;
use libfuzzer_sys::fuzz_target;

static CATALOG: Catalog = Catalog {
    about: "",
    bindings: &[
        &tcp::KIND,
        &mqtt::KIND,
        &mqtt_kafka::KIND,
        &kafka::KIND,
        &kafka::CACHE_CLIENT_KIND,
        &kafka::CACHE_SERVER_KIND,
        &kafka::CLIENT_KIND,
    ],
    origins: &[],
    settings: &[],
    properties: &[],
    actions: "{}",
};
static SCHEMA: LazyLock<Schema> = LazyLock::new(|| Schema::compose(&CATALOG.fragments()));

/// What every variable holds: once what would be structure, if it were put in before the file is
/// parsed, once a number.
const SECRETS: [&str; 2] = ["hunter2: [\"\n- {${{env.NAME}}", "90417263"];

struct Fixed(&'static str);

impl Environment for Fixed {
    fn get(&self, name: &str) -> Option<String> {
        (name != "UNSET").then(|| self.0.to_owned())
    }
}

/// What a text gives, and what is said about it.
fn checked(source: &Source, secret: &'static str) -> Option<Config> {
    let within = Fixed(secret);
    let environment = RecordingEnvironment::new(&within);
    let mut problems = Problems::default();
    let config = load_sound(source, &SCHEMA, &environment, &mut problems);
    let plan = config.as_ref().and_then(|config| build(config, &CATALOG, &mut problems));
    assert_eq!(plan.is_none(), problems.has_errors());
    let problems = environment.redacted(source, problems);
    for problem in problems.iter() {
        assert!(problem.span().line() >= 1 && problem.span().column() >= 1);
    }
    let rendered = problems.render();
    assert_eq!(rendered.is_empty(), problems.is_empty());
    if !source.text().contains("hunter2") && !source.text().contains("90417263") {
        assert!(!rendered.contains("hunter2") && !rendered.contains("90417263"), "{rendered}");
    }
    config
}

/// The names of the bindings.
fn names(config: Option<&Config>) -> Vec<String> {
    let nodes = config.into_iter().flat_map(|config| &config.namespaces);
    nodes.flat_map(|namespace| &namespace.nodes).map(|node| node.name.to_string()).collect()
}

fuzz_target!(|text: &str| {
    let source = Source::new("zilla.yaml", text);
    let [first, second] = SECRETS.map(|secret| checked(&source, secret));
    assert_eq!(names(first.as_ref()), names(second.as_ref()));
});
