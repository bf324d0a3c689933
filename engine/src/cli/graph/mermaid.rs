//! A graph as a Mermaid flow chart.

use std::fmt::Write as _;

use crate::cli::graph::diagram::Diagram;

pub(super) fn draw(diagram: &Diagram) -> String {
    let mut text = "flowchart LR\n".to_owned();
    let has_several = diagram.namespaces.len() > 1;
    // Writing to a string does not fail.
    for (index, (namespace, members)) in diagram.namespaces.iter().enumerate() {
        let indent = if has_several {
            writeln!(text, "  subgraph s{index} [\"{}\"]", escaped(namespace)).ok();
            "    "
        } else {
            "  "
        };
        for at in members {
            let Some(binding) = diagram.boxes.get(*at) else { continue };
            let mut lines = vec![format!("<b>{}</b>", escaped(&binding.name))];
            lines.push(escaped(&binding.what));
            lines.extend(binding.notes.iter().map(|note| escaped(note)));
            writeln!(text, "{indent}b{at}[\"{}\"]", lines.join("<br/>")).ok();
        }
        if has_several {
            text.push_str("  end\n");
        }
    }
    for (index, topic) in diagram.topics.iter().enumerate() {
        writeln!(text, "  t{index}[(\"{}\")]", escaped(topic)).ok();
    }
    for edge in &diagram.edges {
        writeln!(text, "  b{} -->|\"{}\"| b{}", edge.from, escaped(&edge.label), edge.to).ok();
    }
    for (binding, topic) in &diagram.uses {
        writeln!(text, "  b{binding} -.- t{topic}").ok();
    }
    text
}

fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for c in text.chars() {
        match c {
            '"' => escaped.push_str("#quot;"),
            '#' => escaped.push_str("#35;"),
            '<' => escaped.push_str("#lt;"),
            '>' => escaped.push_str("#gt;"),
            '&' => escaped.push_str("#amp;"),
            '`' => escaped.push_str("#96;"),
            c => escaped.push(c),
        }
    }
    escaped
}
