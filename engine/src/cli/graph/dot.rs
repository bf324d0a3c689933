//! A graph in the language of Graphviz.

use std::fmt::Write as _;

use crate::cli::graph::diagram::Diagram;

pub(super) fn draw(diagram: &Diagram) -> String {
    let mut text = "digraph zilla {\n  rankdir=LR;\n  node [shape=box, style=rounded, \
                    fontname=\"sans-serif\", fontsize=11];\n  edge [fontname=\"sans-serif\", \
                    fontsize=9];\n"
        .to_owned();
    let has_several = diagram.namespaces.len() > 1;
    // Writing to a string does not fail.
    for (index, (namespace, members)) in diagram.namespaces.iter().enumerate() {
        let indent = if has_several {
            writeln!(text, "  subgraph cluster_{index} {{\n    label={};", quoted(namespace)).ok();
            "    "
        } else {
            "  "
        };
        for at in members {
            let Some(binding) = diagram.boxes.get(*at) else { continue };
            let mut label = format!("{}\n{}", binding.name, binding.what);
            for note in &binding.notes {
                label.push('\n');
                label.push_str(note);
            }
            writeln!(text, "{indent}b{at} [label={}];", quoted(&label)).ok();
        }
        if has_several {
            text.push_str("  }\n");
        }
    }
    for (index, topic) in diagram.topics.iter().enumerate() {
        writeln!(text, "  t{index} [label={}, shape=cylinder, style=solid];", quoted(topic)).ok();
    }
    for edge in &diagram.edges {
        writeln!(text, "  b{} -> b{} [label={}];", edge.from, edge.to, quoted(&edge.label)).ok();
    }
    for (binding, topic) in &diagram.uses {
        writeln!(text, "  b{binding} -> t{topic} [style=dashed, dir=none];").ok();
    }
    text.push_str("}\n");
    text
}

fn quoted(text: &str) -> String {
    let text = text.replace('\\', "\\\\").replace('"', "\\\"").replace('\n', "\\n");
    format!("\"{text}\"")
}
