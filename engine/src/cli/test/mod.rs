//! `zilla test`.

#![expect(clippy::print_stderr, reason = "this is what talks to a person")]

mod compare;
mod files;

use std::collections::BTreeMap;
use std::io::IsTerminal as _;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

use serde_json::Value;

use crate::cli::actions::Actions;
use crate::cli::check::Checker;
use crate::cli::properties::PropertyOptions;
use crate::cli::report::{File, Format, Report, Test};
use crate::cli::{counted, out};
use crate::config::{
    Allowances, Environment, Plain, Problem, Problems, ProcessEnvironment, Schema, Severity,
    Source, codes, load_plain,
};
use crate::graph::explain;
use crate::spi::{Action, Catalog, PropertyValues};

/// The arguments of `zilla test`.
#[derive(Debug, clap::Args)]
pub(super) struct Arguments {
    /// Files of tests, or directories with all *.test.yaml and *.test.yml below them.
    #[arg(value_name = "FILE", default_value = ".")]
    files: Vec<PathBuf>,
    /// How problems are printed.
    #[arg(long, value_enum, default_value_t)]
    format: Format,
    #[command(flatten)]
    properties: PropertyOptions,
}

pub(super) fn run(arguments: &Arguments, catalog: &Catalog) -> ExitCode {
    let actions = Actions::new(catalog);
    let schema = match actions.test_schema() {
        Ok(schema) => Schema::whole(schema),
        Err(error) => {
            eprintln!("zilla: {error}");
            return ExitCode::FAILURE;
        }
    };
    let properties = match arguments.properties.read(catalog) {
        Ok(properties) => properties,
        Err(error) => {
            eprintln!("zilla: {error}");
            return ExitCode::from(2);
        }
    };
    properties.warn();
    let checker = Checker::new(catalog, Allowances::default());
    let runner = Runner { checker, actions, schema, properties: properties.of_bindings };
    let mut report = Report { title: "zilla test", files: Vec::new(), denies_warnings: false };
    let mut has_all = true;
    for path in &arguments.files {
        let found = files::find(path);
        if found.is_empty() {
            eprintln!("zilla: no *.test.yaml is in {}", path.display());
            has_all = false;
        }
        report.files.extend(found.iter().map(|path| runner.run(path)));
    }
    out(&report.render(arguments.format));
    let errors = report.count(Severity::Error);
    let files = counted(report.files.len(), "file");
    if arguments.format == Format::Text && has_all && errors == 0 {
        out(&all_hold(&report, &files));
    } else if std::io::stderr().is_terminal() {
        let tests = report.files.iter().map(|file| file.tests.len()).sum();
        eprintln!("zilla: {files}, {}, {}", counted(tests, "test"), counted(errors, "error"));
    }
    if !has_all {
        ExitCode::from(2)
    } else if errors > 0 {
        ExitCode::FAILURE
    } else {
        ExitCode::SUCCESS
    }
}

/// One line for a person, who would not know from silence whether anything was tested.
fn all_hold(report: &Report, files: &str) -> String {
    let tests = report.files.iter().flat_map(|file| &file.tests);
    let expectations = counted(tests.map(|test| test.expectations).sum(), "expectation");
    let hold = if expectations.starts_with("1 ") { "holds" } else { "hold" };
    format!("{expectations} {hold} in {files}\n")
}

struct Runner<'c> {
    checker: Checker<'c>,
    actions: Actions,
    schema: Schema,
    properties: PropertyValues,
}

impl Runner<'_> {
    fn run(&self, path: &Path) -> File {
        let source = match Source::open(path) {
            Ok(source) => source,
            Err(problem) => return File::unreadable(problem),
        };
        let mut problems = Problems::default();
        let mut tests = Vec::new();
        for document in load_plain(&source, &self.schema, &mut problems).into_iter().flatten() {
            self.run_document(path, &document, &mut tests, &mut problems);
        }
        File { source, problems, tests }
    }

    fn run_document(
        &self,
        path: &Path,
        document: &Plain,
        tests: &mut Vec<Test>,
        problems: &mut Problems,
    ) {
        let list = document.value["tests"].as_array().map_or(&[][..], Vec::as_slice);
        for (index, test) in list.iter().enumerate() {
            let name = test["name"].as_str().unwrap_or_default().to_owned();
            let span = document.span_of(&format!("/tests/{index}"));
            let expectations = test["expect"].as_object().map_or(0, serde_json::Map::len);
            tests.push(Test { name, span, expectations });
        }
        let place = document.span_of("/config");
        let source = match Source::open(&configuration(path, document)) {
            Ok(source) => source,
            Err(problem) => {
                let message = format!("{}: {}", problem.span().file(), problem.message());
                let help = "name it in `config`, relative to this file";
                problems.push(Problem::new(codes::E0704, place, message).with_help(help));
                return;
            }
        };
        let environment = Given::new(&document.value["env"]);
        let checked = self.checker.check_in(source, &environment);
        let Some((config, plan)) = &checked.plan else {
            let name = checked.source.name();
            let mut problem = Problem::new(codes::E0704, place, format!("{name} has errors"));
            let errors = checked.problems.sorted();
            let errors = errors.iter().filter(|found| found.severity() == Severity::Error);
            for error in errors.take(5) {
                problem = problem.with_related(error.span().clone(), error.message());
            }
            let help = format!("`zilla validate {name}` shows all of them");
            problems.push(problem.with_help(help));
            return;
        };
        for (index, test) in list.iter().enumerate() {
            let at = format!("/tests/{index}");
            let verb = self.actions.verbs().find(|(verb, _)| test.get(verb.as_str()).is_some());
            let Some((verb, _)) = verb else { continue };
            let arguments = test[verb].as_object().cloned().unwrap_or_default();
            let action = Action::new(verb.clone(), arguments);
            let mut found = Problems::default();
            let comparison = compare::Comparison { document, config, at: &at, verb };
            match explain(plan, config, &self.properties, &action) {
                Ok(explanation) => comparison.compare(&explanation, &test["expect"], &mut found),
                Err(why) => found.push(comparison.undecided(&why)),
            }
            for problem in checked.environment.redacted(&checked.source, found).iter() {
                problems.push(problem.clone());
            }
        }
    }
}

/// The configuration that the tests are about.
fn configuration(path: &Path, document: &Plain) -> PathBuf {
    if let Some(config) = document.value["config"].as_str() {
        return path.parent().unwrap_or(Path::new("")).join(config);
    }
    let name = path.file_name().map(|name| name.to_string_lossy().replace(".test.", "."));
    path.with_file_name(name.unwrap_or_default())
}

/// What the tests say of the environment, before what the process has.
struct Given(BTreeMap<String, String>);

impl Given {
    fn new(env: &Value) -> Self {
        let env = env.as_object().into_iter().flatten();
        let pair =
            |(name, value): (&String, &Value)| Some((name.clone(), value.as_str()?.to_owned()));
        Self(env.filter_map(pair).collect())
    }
}

impl Environment for Given {
    fn get(&self, name: &str) -> Option<String> {
        self.0.get(name).cloned().or_else(|| ProcessEnvironment.get(name))
    }
}
