//! Where another server is known to differ from what the scenarios say.

use crate::connection::Form;
use crate::harness::root;
use crate::scenario::Scenario;

/// The known differences of a server.
pub(crate) struct Differences {
    file: Option<&'static str>,
    rows: Vec<Row>,
}

/// A scenario that a server does not pass, and why.
struct Row {
    line: usize,
    scenario: String,
    /// The one form in which it shows.
    form: Option<Form>,
}

impl Differences {
    /// Of the engine: none.
    pub(crate) const fn none() -> Self {
        Self { file: None, rows: Vec::new() }
    }

    /// Of mosquitto: `mosquitto.txt`, where a line with a reason stands before the scenarios that it
    /// is the reason for, each with its file.
    pub(crate) fn of_mosquitto() -> Self {
        let file = "tests/wire/mosquitto.txt";
        let text = std::fs::read_to_string(root().join(file)).unwrap();
        let mut rows = Vec::new();
        let mut has_reason = false;
        for (number, line) in text.lines().enumerate() {
            match line.strip_prefix("- ") {
                Some(scenario) => {
                    assert!(has_reason, "{file}:{}: without a reason", number + 1);
                    let (form, scenario) = match scenario.strip_prefix("byte by byte: ") {
                        Some(scenario) => (Some(Form::ByteByByte), scenario),
                        None => (None, scenario),
                    };
                    rows.push(Row { line: number + 1, scenario: scenario.to_owned(), form });
                }
                None => has_reason = !line.trim().is_empty(),
            }
        }
        Self { file: Some(file), rows }
    }

    fn row(&self, scenario: &Scenario, form: Form) -> Option<&Row> {
        let name = scenario.name();
        let is_of_form = |row: &&Row| row.form.is_none_or(|own| own == form);
        let mut rows = self.rows.iter().filter(is_of_form);
        rows.find(|row| name == format!("tests/wire/{}", row.scenario))
    }

    /// Each row names a scenario that there is.
    pub(crate) fn check_names(&self, scenarios: &[Scenario]) {
        let unknown: Vec<_> = self
            .rows
            .iter()
            .filter(|row| {
                let is_of =
                    |scenario: &Scenario| scenario.name() == format!("tests/wire/{}", row.scenario);
                !scenarios.iter().any(is_of)
            })
            .map(|row| format!("{}:{}: {}", self.file.unwrap_or_default(), row.line, row.scenario))
            .collect();
        assert!(unknown.is_empty(), "no such scenario: {unknown:#?}");
    }

    /// What a scenario's result means: a known difference is none, and one that is gone is one.
    pub(crate) fn judge(
        &self,
        scenario: &Scenario,
        form: Form,
        result: Result<(), String>,
    ) -> Result<(), String> {
        match (self.row(scenario, form), result) {
            (None, result) => result,
            (Some(_), Err(_)) => Ok(()),
            // In this form it may show or not.
            (Some(_), Ok(())) if form != Form::AsWritten => Ok(()),
            (Some(row), Ok(())) => {
                let file = self.file.unwrap_or_default();
                Err(format!("{file}:{}: it passes: {}", row.line, scenario.name()))
            }
        }
    }
}
