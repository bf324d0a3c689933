//! `zilla validate`: which files, which problems, in which form, with which exit status.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::Stdio;

use serde_json::{Value, json};

use crate::program::{CHAIN, Said, command, directory, zilla};

const GOOD: &str = "name: edge\nbindings:\n  south:\n    type: tcp\n    kind: client\n";
const BAD: &str = "name: edge\nbindings:\n  south:\n    type: tcp\n    kind: cliemt\n";

/// The chain with one warning: W0201 at line 13, column 5.
fn with_warning() -> String {
    CHAIN.replacen("    exit: mapping\n", "    telemetry: {}\n    exit: mapping\n", 1)
}

fn write(directory: &Path, name: &str, text: &str) {
    let path = directory.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, text).unwrap();
}

fn json_of(said: &Said) -> Value {
    serde_json::from_str(&said.stdout).unwrap()
}

/// The code and the place of each problem of a JSON report.
fn found(said: &Said) -> Vec<String> {
    let report = json_of(said);
    let files = report["files"].as_array().unwrap().iter();
    let problems = files.flat_map(|file| file["problems"].as_array().unwrap());
    let place = |problem: &Value| {
        let text = |key: &str| problem[key].as_str().unwrap().to_owned();
        format!("{}:{}:{} {}", text("file"), problem["line"], problem["column"], text("code"))
    };
    problems.map(place).collect()
}

#[test]
fn the_exit_status_says_whether_there_are_errors() {
    let directory = directory();
    let path = directory.path();
    write(path, "zilla.yaml", GOOD);
    write(path, "bad.yaml", BAD);
    write(path, "warned.yaml", &with_warning());
    for (arguments, status) in [
        (&["validate"][..], 0),
        (&["validate", "bad.yaml"], 1),
        (&["validate", "-c", "zilla.yaml", "bad.yaml"], 1),
        (&["validate", "warned.yaml"], 0),
        (&["validate", "--deny-warnings", "warned.yaml"], 1),
        (&["validate", "--deny-warnings", "zilla.yaml"], 0),
        (&["validate", "--deny-warnings", "--allow", "W0201", "warned.yaml"], 0),
        (&["validate", "--allow", "E0205", "bad.yaml"], 2),
        (&["validate", "--allow", "W9999", "bad.yaml"], 2),
        (&["validate", "--format", "xml", "bad.yaml"], 2),
        (&["validate", "absent.yaml"], 1),
    ] {
        assert_eq!(zilla(path, arguments).status, status, "{arguments:?}");
    }
    fs::write(path.join("latin1.yaml"), b"name: caf\xe9\n").unwrap();
    let said = zilla(path, &["validate", "latin1.yaml"]);
    assert!(said.stdout.starts_with("latin1.yaml:1:10: error[E0109]: "), "{}", said.stdout);
    let said = zilla(path, &["validate", "absent.yaml"]);
    assert!(said.stdout.starts_with("absent.yaml:1:1: error[E0109]: "), "{}", said.stdout);
}

#[test]
fn all_problems_of_all_files_come_sorted_by_place_and_each_file_once() {
    let directory = directory();
    let path = directory.path();
    write(
        path,
        "a.yaml",
        "name: a\nbindings:\n  south:\n    typ: tcp\n    type: tcp\n    kind: clien\n",
    );
    write(path, "b.yaml", BAD);
    let said = zilla(path, &["validate", "--format", "json", "b.yaml", "a.yaml", "./b.yaml"]);
    let expected = ["b.yaml:5:11 E0205", "a.yaml:4:5 E0202", "a.yaml:6:11 E0205"];
    assert_eq!(found(&said), expected, "{}", said.stdout);
    assert_eq!(json_of(&said)["errors"], 3);
}

/// Of more mistakes than are kept it is not known which bindings have one: none is looked at further.
#[test]
fn of_very_many_mistakes_none_is_made_up() {
    let directory = directory();
    let bindings: String = (0..400).map(|index| format!("  b{index}: {{typ: tcp}}\n")).collect();
    write(directory.path(), "zilla.yaml", &format!("name: edge\nbindings:\n{bindings}"));
    let said = zilla(directory.path(), &["validate", "--format", "json"]);
    let codes: Vec<String> = found(&said);
    assert_eq!(codes.len(), 200, "{codes:?}");
    assert!(codes.iter().all(|code| code.ends_with(" E0202")), "{codes:?}");
    assert_eq!(json_of(&said)["files"][0]["more"], 200);
}

#[test]
fn an_allowance_of_the_file_or_the_command_line_leaves_a_warning_out() {
    let directory = directory();
    let path = directory.path();
    let warned = with_warning();
    let at_end = warned.replacen("telemetry: {}", "telemetry: {} # zilla: allow W0201", 1);
    let above = warned.replacen("    telemetry", "    # zilla: allow W0201\n    telemetry", 1);
    let head = format!("# zilla: allow W0201\n{warned}");
    for text in [&at_end, &above, &head] {
        write(path, "zilla.yaml", text);
        let said = zilla(path, &["validate", "--deny-warnings"]);
        assert_eq!((said.status, said.stdout.as_str()), (0, ""), "{text}");
    }
    write(
        path,
        "zilla.yaml",
        &CHAIN.replacen("kind: server", "kind: server # zilla: allow W0201", 1),
    );
    let said = zilla(path, &["validate"]);
    assert!(said.stdout.starts_with("./zilla.yaml:5:33: warning[W0001]: "), "{}", said.stdout);
    let said = zilla(path, &["validate", "--allow", "W0223", "--allow", "W0001"]);
    assert_eq!(
        (said.stdout.as_str(), said.stderr.as_str()),
        ("", "zilla: --allow W0223 allowed nothing\n")
    );
}

#[test]
fn of_a_directory_the_configurations_are_checked_and_the_rest_is_named() {
    let directory = directory();
    let path = directory.path();
    write(path, "conf/a.yaml", BAD);
    write(path, "conf/deep/er/b.yml", GOOD);
    write(path, "conf/compose.yaml", "services:\n  a: {}\n");
    write(path, "conf/.hidden/c.yaml", BAD);
    write(path, "conf/readme.md", "bindings:\n");
    write(path, "empty/readme.md", "");
    let said = zilla(path, &["validate", "--format", "json", "conf"]);
    assert_eq!(said.status, 1);
    assert_eq!(found(&said), ["conf/a.yaml:5:11 E0205"]);
    let files: Vec<_> = json_of(&said)["files"]
        .as_array()
        .unwrap()
        .iter()
        .map(|file| file["file"].clone())
        .collect();
    assert_eq!(files, [json!("conf/a.yaml"), json!("conf/deep/er/b.yml")]);
    assert_eq!(
        said.stderr,
        "zilla: skipped conf/.hidden: hidden directory\n\
         zilla: skipped conf/compose.yaml: not a configuration: it has no `bindings`, `guards` or `vaults`\n"
    );
    let said = zilla(path, &["validate", "empty"]);
    assert_eq!((said.status, said.stderr.as_str()), (2, "zilla: no configuration is in empty\n"));
}

#[test]
fn a_dash_is_standard_input() {
    let directory = directory();
    let mut child = command(directory.path(), &["validate", "-"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(BAD.as_bytes()).unwrap();
    let said = Said::from(child.wait_with_output().unwrap());
    assert_eq!(said.status, 1);
    assert!(said.stdout.starts_with("<stdin>:5:11: error[E0205]: "), "{}", said.stdout);
}

#[test]
fn sarif_has_what_code_scanning_asks_for() {
    let directory = directory();
    let path = directory.path();
    // A character outside the basic plane: two units of UTF-16, one column of ours.
    write(path, "a b.yaml", "name: edge\nbindings:\n  s: {type: tcp, kind: \u{1f600}, typ: x}\n");
    write(path, "twice.yaml", "name: a\nname: b\n");
    let said = zilla(path, &["validate", "--format", "sarif", "a b.yaml", "twice.yaml"]);
    assert_eq!(said.status, 1);
    let log = json_of(&said);
    assert_eq!(log["version"], "2.1.0");
    assert!(log["$schema"].as_str().unwrap().contains("sarif-2.1.0"));
    let run = &log["runs"][0];
    assert_eq!(run["columnKind"], "utf16CodeUnits");
    let rules = run["tool"]["driver"]["rules"].as_array().unwrap();
    for rule in rules {
        for text in ["shortDescription", "fullDescription", "help"] {
            assert!(rule[text]["text"].is_string(), "{rule}");
        }
        assert!(rule["help"]["markdown"].as_str().unwrap().contains("```yaml\n"), "{rule}");
    }
    let results = run["results"].as_array().unwrap();
    let mut places = Vec::new();
    for result in results {
        let index = usize::try_from(result["ruleIndex"].as_u64().unwrap()).unwrap();
        assert_eq!(rules[index]["id"], result["ruleId"]);
        assert!(result["message"]["text"].is_string());
        let physical = &result["locations"][0]["physicalLocation"];
        let region = &physical["region"];
        let number = |key: &str| region[key].as_u64().unwrap();
        places.push(format!(
            "{} {} {}:{}-{}:{}",
            result["ruleId"].as_str().unwrap(),
            physical["artifactLocation"]["uri"].as_str().unwrap(),
            number("startLine"),
            number("startColumn"),
            number("endLine"),
            number("endColumn"),
        ));
    }
    let expected =
        ["E0205 a%20b.yaml 3:24-3:26", "E0202 a%20b.yaml 3:28-3:31", "E0103 twice.yaml 2:1-2:5"];
    assert_eq!(places, expected, "{}", said.stdout);
    assert_eq!(results[2]["relatedLocations"][0]["message"]["text"], "first given here");
}

#[test]
fn junit_has_a_suite_a_file_and_a_failure_a_problem() {
    let directory = directory();
    let path = directory.path();
    write(path, "good.yaml", GOOD);
    write(path, "bad.yaml", "name: edge\nbindings:\n  south: {type: tcp, kind: \"<&>\"}\n");
    write(path, "warned.yaml", &with_warning());
    let run = |arguments: &[&str]| {
        let mut all = vec!["validate", "--format", "junit", "good.yaml", "bad.yaml", "warned.yaml"];
        all.extend(arguments);
        zilla(path, &all)
    };
    let said = run(&[]);
    let text = &said.stdout;
    assert!(text.starts_with("<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<testsuites "), "{text}");
    assert!(text.contains("tests=\"3\" failures=\"1\" errors=\"0\""), "{text}");
    assert_eq!(text.matches("<testsuite ").count(), 3, "{text}");
    assert!(text.contains("<testcase classname=\"good.yaml\" name=\"valid\"/>"), "{text}");
    assert!(text.contains("<failure type=\"E0205\" message="), "{text}");
    assert!(text.contains("&lt;&amp;&gt;") && !text.contains("<&>"), "{text}");
    assert!(text.contains("warning[W0201]"), "{text}");
    assert!(run(&["--deny-warnings"]).stdout.contains("<failure type=\"W0201\""));
}

#[test]
fn github_annotates_the_line() {
    let directory = directory();
    let path = directory.path();
    write(path, "zilla.yaml", BAD);
    let said = zilla(path, &["validate", "--format", "github"]);
    assert_eq!(
        said.stdout,
        "::error file=zilla.yaml,line=5,col=11,endLine=5,endColumn=17,title=E0205%3A a value that \
         is not one of those allowed::`kind` of tcp binding `south` cannot be `cliemt`%0Adid you \
         mean `client`? allowed: `server`, `client`\n"
    );
    write(path, "zilla.yaml", &with_warning());
    let said = zilla(path, &["validate", "--format", "github"]);
    assert!(said.stdout.starts_with("::warning file=zilla.yaml,line=13,col=5,"), "{}", said.stdout);
}

/// Whatever value of the file comes from the environment, and whatever is wrong with it.
#[test]
fn no_form_shows_a_value_of_the_environment() {
    let directory = directory();
    let path = directory.path();
    let secret = "hunter2-9000-1000";
    let mut refused = 0;
    for (index, line) in CHAIN.lines().enumerate() {
        let Some((before, value)) = line.split_once(": ").or(line.split_once("- ")) else {
            continue;
        };
        let separator = if line.contains(": ") { ": " } else { "- " };
        for written in ["${{env.PASSWORD}}".to_owned(), format!("\"{value}${{{{env.PASSWORD}}}}\"")]
        {
            let mut lines: Vec<String> = CHAIN.lines().map(str::to_owned).collect();
            lines[index] = format!("{before}{separator}{written}");
            write(path, "zilla.yaml", &lines.join("\n"));
            for format in ["text", "json", "github"] {
                let run = command(path, &["validate", "--format", format])
                    .env("PASSWORD", secret)
                    .output();
                let said = Said::from(run.unwrap());
                refused += usize::from(said.status == 1);
                for part in [secret, "hunter2", "9000-1000", "1000-9000"] {
                    let shown = said.stdout.contains(part) || said.stderr.contains(part);
                    assert!(!shown, "{written}: {}{}", said.stdout, said.stderr);
                }
            }
        }
    }
    assert!(refused > 40, "{refused}");
}
