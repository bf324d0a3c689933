//! A decision as one JSON document.

use serde_json::{Map, Value, json};

use crate::graph::Explanation;
use crate::spi::{Action, Fact};

pub(super) fn render(
    action: &Action,
    explanation: &Explanation<'_>,
    shown: &dyn Fn(&str) -> String,
) -> String {
    let bindings = explanation.visits.iter().map(|visit| {
        let node = visit.node;
        let steps = visit.asked.iter().map(|asked| {
            let span = asked.span();
            let position = span.start_position();
            json!({
                "verdict": asked.verdict.name(),
                "binding": asked.node.node_name().to_string(),
                "rule": asked.rule(),
                "default": asked.is_default(),
                "why": shown(&asked.why),
                "file": span.file(),
                "line": position.line,
                "column": position.column,
            })
        });
        json!({
            "name": node.node_name().to_string(),
            "type": node.type_name,
            "kind": node.kind,
            "steps": steps.collect::<Value>(),
        })
    });
    let facts: Map<String, Value> = explanation
        .facts
        .iter()
        .map(|(name, fact)| ((*name).to_owned(), value(fact, shown)))
        .collect();
    let denied = explanation.denial.as_ref().map(|denial| {
        let answers: Map<String, Value> = denial
            .answers
            .iter()
            .map(|(version, answer)| ((*version).to_owned(), answer.as_str().into()))
            .collect();
        json!({
            "code": denial.code,
            "name": denial.name,
            "detail": shown(&denial.detail),
            "answers": answers,
        })
    });
    let document = json!({
        "action": { "verb": action.verb(), "arguments": action.arguments() },
        "bindings": bindings.collect::<Value>(),
        "facts": facts,
        "denied": denied,
    });
    format!("{document:#}\n")
}

fn value(fact: &Fact, shown: &dyn Fn(&str) -> String) -> Value {
    match fact {
        Fact::Text(text) => shown(text).into(),
        Fact::Number(number) => (*number).into(),
        Fact::List(list) => list.iter().map(|text| shown(text)).collect(),
        Fact::Pairs(pairs) => pairs
            .iter()
            .map(|(name, value)| json!({ "name": name, "value": shown(value) }))
            .collect(),
    }
}
