//! `zilla test`: tests of a configuration, and what is said where it decides otherwise.

use std::fs;
use std::path::Path;

use serde_json::Value;

use crate::explain::ROUTED;
use crate::program::{Said, assert_is_file, directory, root, zilla};

fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

/// What is said of one test, of which `body` is given.
fn run(body: &str) -> Said {
    let directory = directory();
    write(directory.path(), "zilla.yaml", ROUTED);
    let mut text = "tests:\n- name: one\n".to_owned();
    body.lines().for_each(|line| text.push_str(&format!("  {line}\n")));
    write(directory.path(), "zilla.test.yaml", &text);
    zilla(directory.path(), &["test"])
}

#[test]
fn the_example_holds() {
    let said = zilla(&root(), &["test", "zilla.test.yaml"]);
    let count = said.stdout.strip_suffix(" expectations hold in 1 file\n").unwrap();
    assert!(count.parse::<u32>().unwrap() > 5, "{count}");
    assert_eq!((said.status, said.stderr.as_str()), (0, ""));
}

#[test]
fn the_committed_schema_is_what_the_program_prints() {
    let said = zilla(&root(), &["schema", "--test"]);
    assert_is_file(&said.stdout, "schema/test.schema.json");
}

#[test]
fn what_is_as_expected_is_counted() {
    for body in [
        "publish: {topic: site/a/x, port: 7183}\nexpect: {kafka-topic: site-a}",
        "publish: {topic: site/a/x, port: 7183}\nexpect: {route: {mapping: 'routes[1]'}}",
        "publish: {topic: site/a/x, port: 7183}\n\
         expect: {route: {edge:mapping: 'routes[1].when[1].publish[1]', north: exit}}",
        "subscribe: {filter: '#', port: 7183}\nexpect: {kafka-topics: [alarms, mqtt-messages]}",
        "publish: {topic: x, port: 7184, qos: 0}\nexpect: {denied: 0x87}",
        "connect: {version: 3.1.1, port: 7184}\nexpect: {denied: 132}",
        "publish: {topic: a/b, port: 7183, client-id: c}\n\
         expect: {headers: {zilla:local: c, zilla:filter: [a, b], zilla:expiry: null}}",
    ] {
        let said = run(body);
        let expected = "1 expectation holds in 1 file\n";
        assert_eq!((said.status, said.stdout.as_str()), (0, expected), "{body}\n{}", said.stderr);
    }
}

#[test]
fn nothing_is_counted_where_something_differs_or_a_program_reads() {
    let said = run("publish: {topic: site/a/x, port: 7183}\nexpect: {kafka-topic: b, qos: 0}");
    assert!(said.status == 1 && !said.stdout.contains("in 1 file"), "{}", said.stdout);
    for format in ["json", "sarif", "junit", "github"] {
        let said = zilla(&root(), &["test", "--format", format, "zilla.test.yaml"]);
        assert!(said.status == 0 && !said.stdout.contains(" hold"), "{}", said.stdout);
    }
}

#[test]
fn what_differs_is_a_problem_at_its_place() {
    let publish = "publish: {topic: site/a/x, port: 7183, client-id: c}\n";
    for (body, expected) in [
        (
            format!("{publish}expect: {{kafka-topic: site-b}}"),
            "4:25: error[E0701]: `kafka-topic` is `site-a`, not `site-b`",
        ),
        (
            format!("{publish}expect: {{key: site/a/x, headers: {{zilla:local: d}}}}"),
            "4:50: error[E0701]: `zilla:local` is `c`, not `d`",
        ),
        (
            format!("{publish}expect: {{headers: {{zilla:filter: [site, a]}}}}"),
            "`zilla:filter` is `site`, `a`, `x`, not `site`, `a`",
        ),
        (
            format!("{publish}expect: {{headers: {{zilla:reply-to: r}}}}"),
            "`zilla:reply-to` is absent, not `r`",
        ),
        (
            format!("{publish}expect: {{route: {{mapping: 'routes[0]'}}}}"),
            "4:29: error[E0701]: `mapping` takes it by `routes[1].when[1].publish[1].topic`, \
             `routes[1].with.messages`, not `routes[0]`",
        ),
        (
            format!("{publish}expect: {{route: {{maping: exit}}}}"),
            "4:20: error[E0706]: the configuration has no binding `maping`",
        ),
        (format!("{publish}expect: {{partition: 1}}"), "nothing is decided about `partition`"),
        (format!("{publish}expect: {{denied: 0x87}}"), "4:20: error[E0703]: not denied, with 0x87"),
        (
            "publish: {topic: x, port: 7184, qos: 0}\nexpect: {kafka-topic: x}".to_owned(),
            "3:3: error[E0702]: denied with 0x87 not authorized: no route takes publishes to `x`",
        ),
        (
            "publish: {topic: x, port: 7184, qos: 0}\nexpect: {denied: 0x97}".to_owned(),
            "4:20: error[E0701]: denied with 0x87 not authorized, not 0x97",
        ),
        (
            "connect: {}\nexpect: {qos: 0}".to_owned(),
            "3:3: error[E0705]: nothing decides this: edge:north: it listens on several ports",
        ),
    ] {
        let said = run(&body);
        assert_eq!(said.status, 1, "{body}\n{}", said.stdout);
        assert!(said.stdout.contains(expected), "{body}\n{}", said.stdout);
        assert!(said.stdout.starts_with("zilla.test.yaml:"), "{}", said.stdout);
    }
}

#[test]
fn a_mistake_in_the_file_of_tests_is_found_like_one_in_the_configuration() {
    for (body, expected) in [
        ("publish: {topik: a}\nexpect: {qos: 0}", "did you mean `topic`?"),
        ("publish: {topic: a}\nexpect: {kafka-topc: m}", "did you mean `kafka-topic`?"),
        ("publish: {topic: a, qos: 3}\nexpect: {qos: 0}", "3:28: error[E0205]"),
        ("subscribe: {}\nexpect: {qos: 0}", "filter"),
        ("publish: {topic: a}", "expect"),
        ("expect: {qos: 0}", "zilla.test.yaml:2:3: error[E0"),
        ("publish: {topic: a}\nconnect: {}\nexpect: {qos: 0}", "zilla.test.yaml:2:3: error[E0"),
    ] {
        let said = run(body);
        assert_eq!(said.status, 1, "{body}\n{}", said.stdout);
        assert!(said.stdout.contains(expected), "{body}\n{}", said.stdout);
    }
}

#[test]
fn a_configuration_that_cannot_be_tested_is_a_problem_of_the_test() {
    let directory = directory();
    let path = directory.path();
    let test = "tests:\n  - {name: a, connect: {}, expect: {qos: 1}}\n";
    write(path, "one/absent.test.yaml", test);
    write(path, "two/bad.yaml", "name: 1\n");
    write(path, "two/tests/b.test.yml", &format!("config: ../bad.yaml\n{test}"));
    let said = zilla(path, &["test", "."]);
    assert_eq!(said.status, 1);
    let absent = "one/absent.test.yaml:1:1: error[E0704]: one/absent.yaml: the file cannot be read";
    assert!(said.stdout.contains(absent), "{}", said.stdout);
    let bad = "two/tests/b.test.yml:1:9: error[E0704]: two/tests/../bad.yaml has errors";
    assert!(said.stdout.contains(bad), "{}", said.stdout);
    assert!(said.stdout.contains("two/tests/../bad.yaml:1:"), "{}", said.stdout);
}

#[test]
fn forms_and_exit_status_are_those_of_validate() {
    let directory = directory();
    let path = directory.path();
    write(path, "zilla.yaml", ROUTED);
    let tests = "tests:
  - name: good
    publish: {topic: alarms/1, port: 7183}
    expect: {kafka-topic: alarms}
  - name: bad & wrong
    publish: {topic: alarms/1, port: 7183}
    expect: {kafka-topic: other}
";
    write(path, "zilla.test.yaml", tests);
    let said = |format: &str| {
        let said = zilla(path, &["test", "--format", format, "zilla.test.yaml"]);
        assert_eq!(said.status, 1, "{}", said.stderr);
        said.stdout
    };
    let junit = said("junit");
    assert!(
        junit.contains("<testsuites name=\"zilla test\" tests=\"2\" failures=\"1\""),
        "{junit}"
    );
    assert!(junit.contains("name=\"good\" file=\"zilla.test.yaml\" line=\"2\"/>"), "{junit}");
    assert!(junit.contains("name=\"bad &amp; wrong: E0701 at 7:27: "), "{junit}");
    let json: Value = serde_json::from_str(&said("json")).unwrap();
    let problem = &json["files"][0]["problems"][0];
    assert_eq!((&problem["code"], &problem["line"]), (&"E0701".into(), &7.into()));
    assert_eq!(problem["related"][0]["file"], "zilla.yaml");
    assert!(said("github").starts_with("::error file=zilla.test.yaml,line=7,col=27,"));
    let sarif: Value = serde_json::from_str(&said("sarif")).unwrap();
    assert_eq!(sarif["runs"][0]["results"][0]["ruleId"], "E0701");
    fs::create_dir(path.join("empty")).unwrap();
    for (arguments, status) in [
        (&["test", "empty"][..], 2),
        (&["test", "absent.test.yaml"], 1),
        (&["test", "--format", "xml"], 2),
    ] {
        assert_eq!(zilla(path, arguments).status, status, "{arguments:?}");
    }
}

#[test]
fn the_environment_of_a_test_is_its_own_and_is_not_shown() {
    let directory = directory();
    let text = ROUTED.replace("messages: mqtt-messages", "messages: '${{env.MESSAGES}}'");
    write(directory.path(), "zilla.yaml", &text);
    let tests = "env: {MESSAGES: from-the-test}
tests:
  - name: one
    publish: {topic: a, port: 7183}
    expect: {kafka-topic: from-the-test}
";
    write(directory.path(), "zilla.test.yaml", tests);
    assert_eq!(zilla(directory.path(), &["test"]).status, 0);
    write(directory.path(), "zilla.test.yaml", &tests.replace("topic: from", "topic: not-from"));
    let said = zilla(directory.path(), &["test"]);
    assert_eq!(said.status, 1);
    assert!(said.stdout.contains("`kafka-topic` is `${{env.MESSAGES}}`, not"), "{}", said.stdout);
}

/// Tests hold of a run with the properties that are given.
#[test]
fn the_properties_of_a_run_decide_too() {
    let directory = directory();
    write(directory.path(), "zilla.yaml", ROUTED);
    let text =
        "tests:\n- name: one\n  connect: {port: 7183, keep-alive: 9}\n  expect: {keep-alive: 7}\n";
    write(directory.path(), "zilla.test.yaml", text);
    let property = "zilla.binding.mqtt.keep.alive.maximum";
    let given =
        |value: &str| zilla(directory.path(), &["test", "-P", &format!("{property}={value}")]);
    let said = given("7");
    assert_eq!((said.status, said.stderr.as_str()), (0, ""), "{}", said.stdout);
    assert_eq!(zilla(directory.path(), &["test"]).status, 1);
    let said = given("x");
    let told =
        format!("zilla: the property {property} cannot be `x`: it is a number from 0 to 65535\n");
    assert_eq!((said.status, said.stderr), (2, told));
}
