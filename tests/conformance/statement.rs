//! The lists of normative statements.

use std::fmt;

/// A version of the specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Specification {
    /// MQTT 5.0.
    V5,
    /// MQTT 3.1.1.
    V311,
}

impl fmt::Display for Specification {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::V5 => "MQTT 5.0",
            Self::V311 => "MQTT 3.1.1",
        })
    }
}

/// Whom a statement binds.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Side {
    Server,
    Client,
    Both,
}

impl Side {
    /// As the lists write it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Server => "server",
            Self::Client => "client",
            Self::Both => "both",
        }
    }
}

/// A normative statement.
pub(crate) struct Statement {
    pub(crate) specification: Specification,
    /// `MQTT-3.1.0-2`.
    pub(crate) id: String,
    pub(crate) side: Side,
    /// The statement of 5.0 that asks the same of the code, of one of 3.1.1.
    pub(crate) same: Option<String>,
    /// What it is about.
    pub(crate) about: String,
    /// Why it has no code or no test.
    pub(crate) reason: Option<String>,
}

impl Statement {
    pub(crate) fn is(&self, specification: Specification, id: &str) -> bool {
        self.specification == specification && self.id == id
    }
}

/// All statements, in the order of the specifications.
pub(crate) fn all() -> Vec<Statement> {
    let mut all: Vec<Statement> = Vec::new();
    for (file, specification) in [("v5.txt", Specification::V5), ("v311.txt", Specification::V311)]
    {
        let path = crate::root().join("tests/conformance").join(file);
        for (number, line) in std::fs::read_to_string(path).unwrap().lines().enumerate() {
            let place = format!("tests/conformance/{file}:{}", number + 1);
            if line.is_empty() || line.starts_with('#') {
                continue;
            }
            if let Some(reason) = line.strip_prefix("- ") {
                let last = all.last_mut().unwrap();
                assert!(last.reason.replace(reason.to_owned()).is_none(), "{place}: two reasons");
                continue;
            }
            let statement = read(line, specification);
            let statement = statement.unwrap_or_else(|| panic!("{place}: `ID SIDE: ABOUT`"));
            let is_new = !all.iter().any(|other| other.is(specification, &statement.id));
            assert!(is_new, "{place}: twice");
            if let Some(same) = &statement.same {
                let exists = all.iter().any(|other| other.is(Specification::V5, same));
                assert!(exists, "{place}: {same} is no statement of MQTT 5.0");
            }
            all.push(statement);
        }
    }
    all
}

fn read(line: &str, specification: Specification) -> Option<Statement> {
    let (id, rest) = line.split_once(' ')?;
    let (side, about) = rest.split_once(": ")?;
    let (side, same) = match side.split_once(" = ") {
        Some((side, same)) => (side, Some(same.to_owned())),
        None => (side, None),
    };
    let side = [Side::Server, Side::Client, Side::Both].into_iter().find(|is| is.name() == side)?;
    let (id, about) = (id.to_owned(), about.to_owned());
    let is_one = id.starts_with("MQTT-");
    is_one.then_some(Statement { specification, id, side, same, about, reason: None })
}
