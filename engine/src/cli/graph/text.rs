//! A graph as a tree, for a terminal: one line a binding, below the one that exits to it. A binding
//! that several exit to stands below the first, and is pointed to by the others.

use std::collections::BTreeSet;

use crate::cli::graph::diagram::Diagram;

/// Columns that a line takes where it can.
const WIDTH: usize = 100;

/// A line, or several where its notes are long.
struct Row {
    /// The branches before the name, and the name.
    name: String,
    /// The branches of the lines that follow within the row.
    rest: String,
    what: String,
    notes: Vec<String>,
}

pub(super) fn draw(diagram: &Diagram) -> String {
    let mut rows = Vec::new();
    let mut drawn = BTreeSet::new();
    for root in diagram.roots() {
        visit(diagram, root, &Branch::default(), &mut drawn, &mut rows);
    }
    let name_width = rows.iter().map(|row| width(&row.name)).max().unwrap_or(0);
    let what_width = rows.iter().map(|row| width(&row.what)).max().unwrap_or(0);
    let mut text = String::new();
    for row in rows {
        let indent = name_width + what_width + 4;
        let lines = wrapped(&row.notes, WIDTH.saturating_sub(indent).max(24));
        let first = lines.first().map_or("", String::as_str);
        let line = format!(
            "{}  {}  {first}",
            padded(&row.name, name_width),
            padded(&row.what, what_width)
        );
        text.push_str(line.trim_end());
        text.push('\n');
        for line in lines.iter().skip(1) {
            text.push_str(&padded(&row.rest, indent));
            text.push_str(line);
            text.push('\n');
        }
    }
    text
}

/// How a row hangs on the one above.
#[derive(Default)]
struct Branch {
    /// What stands before this row's own branch.
    before: String,
    /// This row's own branch.
    own: String,
    /// What continues below it.
    below: String,
}

fn visit(
    diagram: &Diagram,
    at: usize,
    branch: &Branch,
    drawn: &mut BTreeSet<usize>,
    rows: &mut Vec<Row>,
) {
    let Some(binding) = diagram.boxes.get(at) else { return };
    let is_first = drawn.insert(at);
    let edges: Vec<_> = diagram.edges_of(at).collect();
    let below = format!("{}{}", branch.before, branch.below);
    let has_branches = is_first && !edges.is_empty();
    let mut row = Row {
        name: format!("{}{}{}", branch.before, branch.own, binding.name),
        rest: format!("{below}{}", if has_branches { "│" } else { "" }),
        what: binding.what.clone(),
        notes: Vec::new(),
    };
    if !is_first {
        "↑ above".clone_into(&mut row.what);
        rows.push(row);
        return;
    }
    row.notes.extend(binding.notes.iter().cloned());
    for (index, topic) in diagram.topics_of(at).enumerate() {
        row.notes.push(if index == 0 { format!("topics {topic}") } else { topic.to_owned() });
    }
    rows.push(row);
    for (index, edge) in edges.iter().enumerate() {
        let is_last = index + 1 == edges.len();
        let (corner, below_it) = if is_last { ("└─", "   ") } else { ("├─", "│  ") };
        let branch = Branch {
            before: below.clone(),
            own: format!("{corner}{}─▶ ", edge.label),
            below: below_it.to_owned(),
        };
        visit(diagram, edge.to, &branch, drawn, rows);
    }
}

/// Notes as lines of at most `width` columns, where a note alone is not longer.
fn wrapped(notes: &[String], width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    for (index, note) in notes.iter().enumerate() {
        let comma = if index + 1 < notes.len() { "," } else { "" };
        match lines.last_mut() {
            Some(line) if line.chars().count() + 2 + note.chars().count() <= width => {
                line.push(' ');
                line.push_str(note);
                line.push_str(comma);
            }
            _ => lines.push(format!("{note}{comma}")),
        }
    }
    lines
}

fn width(text: &str) -> usize {
    text.chars().count()
}

fn padded(text: &str, columns: usize) -> String {
    let padding = columns.saturating_sub(width(text));
    format!("{text}{}", " ".repeat(padding))
}
