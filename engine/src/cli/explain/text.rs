//! A decision for a person, to be read from the top: what the client does, each binding that it
//! comes to with the rules that it asks, and what comes of it.

use std::fmt::Write as _;

use crate::cli::actions::Actions;
use crate::graph::{Asked, Explanation, Visit};
use crate::spi::{Action, Fact};

pub(super) fn render(
    action: &Action,
    explanation: &Explanation<'_>,
    actions: &Actions,
    shown: &dyn Fn(&str) -> String,
) -> String {
    let mut text = action.verb().to_owned();
    for (name, value) in action.arguments() {
        // Writing to a string does not fail.
        write!(text, " {name}={}", value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .ok();
    }
    text.push('\n');
    let visits = explanation.visits.iter();
    let rules = visits.flat_map(|visit| visit.asked.iter().map(|asked| rule(visit, asked)));
    let width = rules.map(|rule| rule.chars().count()).max().unwrap_or_default();
    for visit in &explanation.visits {
        let node = visit.node;
        writeln!(text, "\n{} ({} {})", node.node_name(), node.type_name, node.kind).ok();
        for asked in &visit.asked {
            let (verdict, rule) = (asked.verdict.name(), rule(visit, asked));
            let (why, place) = (shown(&asked.why), asked.span());
            writeln!(text, "  {verdict:<8} {rule:<width$}  {why}  ({place})").ok();
        }
    }
    text.push('\n');
    let mut rows: Vec<(&str, String)> = Vec::new();
    for (name, fact) in &explanation.facts {
        let title = actions.title(name);
        match fact {
            Fact::Text(value) => rows.push((title, shown(value))),
            Fact::Number(number) => rows.push((title, number.to_string())),
            Fact::List(list) => rows.push((title, shown(&list.join(", ")))),
            Fact::Pairs(pairs) => {
                let mut title = title;
                for (name, value) in pairs {
                    rows.push((title, format!("{name}: {}", shown(value))));
                    title = "";
                }
            }
        }
    }
    if let Some(denial) = &explanation.denial {
        let detail = shown(&denial.detail);
        rows.push(("denied", format!("0x{:02X} {}: {detail}", denial.code, denial.name)));
        rows.extend(denial.answers.iter().map(|(version, told)| (*version, told.clone())));
    }
    let width = rows.iter().map(|(title, _)| title.chars().count()).max().unwrap_or_default();
    for (title, value) in rows {
        writeln!(text, "{title:<width$}  {value}").ok();
    }
    text
}

/// A rule, with its binding where that is another than the one that asks.
fn rule(visit: &Visit<'_>, asked: &Asked<'_>) -> String {
    let mut rule = asked.rule();
    if asked.is_default() {
        rule.push_str(" (default)");
    }
    if asked.node.node_name() == visit.node.node_name() {
        return rule;
    }
    format!("{} {rule}", asked.node.node_name())
}
