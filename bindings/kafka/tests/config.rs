//! What a file may say about the binding, and what a change of the file comes to.

#![expect(clippy::unwrap_used, clippy::panic, reason = "a test fails by panicking")]

use engine::config::{Problems, ProcessEnvironment, Schema, Source, load};
use engine::graph::{Fate, Plan, build, diff};
use engine::spi::Catalog;

const CATALOG: Catalog = Catalog {
    about: "a test",
    bindings: &[
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

const GOOD: &str = "\
name: t
bindings:
  view:
    type: kafka
    kind: cache_client
    exit: cache
  cache:
    type: kafka
    kind: cache_server
    options:
      bootstrap: [messages]
      topics:
        - name: messages
          defaultOffset: live
          deltaType: none
      cache:
        bytes: 2097152
    exit: cluster
  cluster:
    type: kafka
    kind: client
    options:
      servers: [\"k1.example:9092\", \"[::1]:9092\"]
      sasl:
        mechanism: scram-sha-512
        username: u
        password: p
";

/// The plan of a file, or all problems as text.
fn plan(text: &str) -> (Option<Plan>, String) {
    let schema = Schema::compose(&CATALOG.fragments());
    let mut problems = Problems::default();
    let source = Source::new("zilla.yaml", text);
    let plan = load(&source, &schema, &ProcessEnvironment, &mut problems)
        .and_then(|config| build(&config, &CATALOG, &mut problems));
    (plan, problems.render())
}

fn changed(from: &str, to: &str) -> String {
    assert!(GOOD.contains(from), "{from}");
    GOOD.replacen(from, to, 1)
}

/// The fates of view, cache and cluster when `GOOD` becomes `text`.
fn fates(text: &str) -> [Fate; 3] {
    let (old, new) = (plan(GOOD), plan(text));
    let (Some(old), Some(new)) = (old.0, new.0) else { panic!("{}{}", old.1, new.1) };
    let fates = diff(&old, &new);
    ["view", "cache", "cluster"].map(|wanted| {
        fates.iter().find(|(name, _)| &*name.name == wanted).map(|(_, fate)| *fate).unwrap()
    })
}

/// What an inline guard holds is what the client has, and a change of it is one of the client.
#[test]
fn credentials_are_those_that_a_guard_holds() {
    let with = |guard: &str, username: &str| {
        let sasl = "      sasl:\n        mechanism: scram-sha-512\n        username: u\n        password: p\n";
        let credentials = format!(
            "{{mechanism: scram-sha-512, username: \"{username}\", password: \"{{credentials}}\"}}"
        );
        let authorization = format!("      authorization: {{g: {{credentials: {credentials}}}}}\n");
        let guards = format!("guards: {{g: {{type: inline, options: {{{guard}}}}}}}\n");
        changed(sasl, &authorization) + &guards
    };
    let held = with("identity: u, credentials: p", "{identity}");
    let fates = |old: &str, new: &str| {
        let (old, new) = (plan(old), plan(new));
        let (Some(old), Some(new)) = (old.0, new.0) else { panic!("{}{}", old.1, new.1) };
        let fates = diff(&old, &new);
        let of = fates.iter().find(|(name, _)| &*name.name == "cluster");
        of.map(|(_, fate)| *fate).unwrap()
    };
    assert_eq!(fates(&held, &with("identity: u, credentials: p", "u")), Fate::Keep);
    assert_ne!(fates(&held, &with("identity: u, credentials: q", "{identity}")), Fate::Keep);
    let (none, problems) = plan(&with("credentials: p", "{identity}"));
    assert!(none.is_none() && problems.contains("guard `g` holds no `identity`"), "{problems}");
}

#[test]
fn a_file_that_uses_everything_has_no_problem() {
    let (plan, problems) = plan(GOOD);
    assert!(plan.is_some() && problems.is_empty(), "{problems}");
}

#[test]
fn each_kind_has_a_type_that_is_another_spelling() {
    for kind in ["cache_client", "cache_server", "client"] {
        let from = format!("type: kafka\n    kind: {kind}\n");
        for to in ["", &format!("    kind: {kind}\n")] {
            let name = kind.replace('_', "-");
            let (plan, problems) = plan(&changed(&from, &format!("type: kafka-{name}\n{to}")));
            assert!(plan.is_some() && problems.is_empty(), "{kind}: {problems}");
        }
    }
}

#[test]
fn bounds_and_topics_are_updated_and_another_cluster_is_replaced() {
    assert_eq!(fates(GOOD), [Fate::Keep; 3]);
    let update = [Fate::Update, Fate::Update, Fate::Keep];
    assert_eq!(fates(&changed("2097152", "4194304")), update);
    assert_eq!(fates(&changed("[messages]", "[messages, retained]")), update);
    let replace = [Fate::Replace; 3];
    assert_eq!(fates(&changed("k1.example:9092", "k2.example:9092")), replace);
    assert_eq!(fates(&changed("password: p", "password: q")), replace);
}

#[test]
fn what_is_not_supported_is_refused_at_its_place() {
    let cases = [
        ("deltaType: none", "deltaType: json_patch", "15:22", "E0206"),
        ("deltaType: none", "value: {model: string}", "15:11", "E0206"),
        ("scram-sha-512", "scram-sha-1", "25:20", "E0206"),
        ("password: p", "password: \"{credentials}\"", "27:19", "E0603"),
        ("k1.example:9092", "k1.example", "23:17", "E0602"),
        (
            "    exit: cache\n",
            "    routes:\n      - when: [{topic: a}]\n        exit: cache\n",
            "7:9",
            "E0206",
        ),
        ("    exit: cache\n", "    exit: cluster\n", "6:11", "E0401"),
        ("    exit: cache\n", "", "3:3", "E0203"),
        ("      servers: [\"k1.example:9092\", \"[::1]:9092\"]\n", "", "19:3", "E0602"),
    ];
    for (from, to, place, code) in cases {
        let (plan, problems) = plan(&changed(from, to));
        assert!(plan.is_none(), "{to}");
        let wanted = format!("zilla.yaml:{place}: error[{code}]");
        assert!(problems.contains(&wanted), "{to}: {wanted}\n{problems}");
    }
}

#[test]
fn what_has_no_effect_is_warned_of() {
    let (plan, problems) = plan(&changed("defaultOffset: live", "defaultOffset: historical"));
    assert!(plan.is_some() && problems.contains("warning[W0201]"), "{problems}");
}

#[test]
fn a_misspelt_option_is_refused() {
    for (from, to) in [("bootstrap:", "bootstap:"), ("servers:", "server:"), ("bytes:", "byte:")] {
        let (plan, problems) = plan(&changed(from, to));
        assert!(plan.is_none(), "{to}\n{problems}");
    }
}
