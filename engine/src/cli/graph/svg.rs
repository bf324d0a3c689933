//! A graph as a picture.

use std::fmt::Write as _;

use crate::cli::graph::diagram::Diagram;
use crate::cli::graph::layout::{Layout, Point, Size, place};

/// Lengths in user units, which are pixels where nothing scales the picture.
const MARGIN: f64 = 24.0;
const LINE: f64 = 16.0;
const PADDING: f64 = 12.0;
/// Of a character at 12 units: the fonts have a fixed width.
const CHARACTER: f64 = 7.3;
const SMALL_CHARACTER: f64 = 6.1;

/// What a picture begins with; `{width}`, `{height}` and `{title}` stand for its own.
const HEAD: &str = include_str!("head.svg");

/// A box with what stands in it.
struct Figure<'d> {
    name: &'d str,
    lines: Vec<&'d str>,
    is_topic: bool,
    size: Size,
}

pub(super) fn draw(diagram: &Diagram) -> String {
    let figures = figures(diagram);
    let first_topic = diagram.boxes.len();
    let mut edges: Vec<(usize, usize)> =
        diagram.edges.iter().map(|edge| (edge.from, edge.to)).collect();
    edges.extend(diagram.uses.iter().map(|(binding, topic)| (*binding, first_topic + topic)));
    let widest = diagram.edges.iter().map(|edge| edge.label.chars().count()).max().unwrap_or(0);
    let sizes: Vec<Size> = figures.iter().map(|figure| figure.size).collect();
    let layout = place(&sizes, &edges, columns(widest, SMALL_CHARACTER) + 48.0);
    let (width, height) = (layout.size.width + 2.0 * MARGIN, layout.size.height + 2.0 * MARGIN);
    let mut text = HEAD
        .replace("{width}", &format!("{width:.0}"))
        .replace("{height}", &format!("{height:.0}"))
        .replace("{title}", &escaped(&title(diagram)));
    for (index, ends) in edges.iter().enumerate() {
        edge(&mut text, &layout, &sizes, *ends, index, index < diagram.edges.len());
    }
    for (figure, corner) in figures.iter().zip(&layout.corners) {
        figure.draw(&mut text, *corner);
    }
    for (index, edge) in diagram.edges.iter().enumerate() {
        label(&mut text, &layout, &sizes, index, (edge.from, edge.to), &edge.label);
    }
    text.push_str("</svg>\n");
    text
}

fn title(diagram: &Diagram) -> String {
    let names: Vec<&str> = diagram.namespaces.iter().map(|(name, _)| name.as_str()).collect();
    format!("Bindings of {}", names.join(", "))
}

fn figures(diagram: &Diagram) -> Vec<Figure<'_>> {
    let bindings = diagram.boxes.iter().map(|binding| {
        let mut lines = vec![binding.what.as_str()];
        lines.extend(binding.notes.iter().map(String::as_str));
        Figure::new(&binding.name, lines, false)
    });
    let topics = diagram.topics.iter().map(|topic| Figure::new(topic, Vec::new(), true));
    bindings.chain(topics).collect()
}

impl<'d> Figure<'d> {
    fn new(name: &'d str, lines: Vec<&'d str>, is_topic: bool) -> Self {
        let all = lines.iter().chain(std::iter::once(&name));
        let widest = all.map(|line| line.chars().count()).max().unwrap_or(0);
        let width = columns(widest, CHARACTER) + 2.0 * PADDING;
        let height = columns(lines.len() + 1, LINE) + 2.0 * PADDING - 4.0;
        Self { name, lines, is_topic, size: Size { width, height } }
    }

    fn draw(&self, text: &mut String, corner: Point) {
        let Point { x, y } = shifted(corner);
        let Size { width, height } = self.size;
        let (class, radius) =
            if self.is_topic { ("topic", height / 2.0) } else { ("binding", 6.0) };
        // Writing to a string does not fail.
        writeln!(
            text,
            "<rect class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" width=\"{width:.1}\" \
             height=\"{height:.1}\" rx=\"{radius:.1}\"/>"
        )
        .ok();
        let mut baseline = y + PADDING + 9.0;
        let name_class = if self.is_topic { "topic-name" } else { "name" };
        let lines = std::iter::once((name_class, self.name));
        for (class, line) in lines.chain(self.lines.iter().map(|line| ("what", *line))) {
            writeln!(
                text,
                "<text class=\"{class}\" x=\"{:.1}\" y=\"{baseline:.1}\">{}</text>",
                x + PADDING,
                escaped(line)
            )
            .ok();
            baseline += LINE;
        }
    }
}

/// The right and the left end of an edge's first part.
fn first_part(
    layout: &Layout,
    sizes: &[Size],
    ends: (usize, usize),
    index: usize,
) -> (Point, Point) {
    let (from, to) = ends;
    let start = shifted(layout.corners[from]);
    let start = Point { x: start.x + sizes[from].width, y: start.y + sizes[from].height / 2.0 };
    let next = layout.passes[index].first().map(|pass| shifted(*pass));
    let end = next.unwrap_or_else(|| {
        let corner = shifted(layout.corners[to]);
        Point { x: corner.x, y: corner.y + sizes[to].height / 2.0 }
    });
    (start, end)
}

fn edge(
    text: &mut String,
    layout: &Layout,
    sizes: &[Size],
    ends: (usize, usize),
    index: usize,
    is_exit: bool,
) {
    let (start, _) = first_part(layout, sizes, ends, index);
    let mut path = format!("M{:.1} {:.1}", start.x, start.y);
    let mut from = start;
    let target = shifted(layout.corners[ends.1]);
    let target = Point { x: target.x, y: target.y + sizes[ends.1].height / 2.0 };
    let passes = layout.passes[index].iter().map(|pass| shifted(*pass));
    for to in passes.chain(std::iter::once(target)) {
        let middle = f64::midpoint(from.x, to.x);
        // Writing to a string does not fail.
        write!(path, " C{middle:.1} {:.1} {middle:.1} {:.1} {:.1} {:.1}", from.y, to.y, to.x, to.y)
            .ok();
        from = to;
    }
    let (class, marker) =
        if is_exit { ("edge", " marker-end=\"url(#arrow)\"") } else { ("use", "") };
    writeln!(text, "<path class=\"{class}\" d=\"{path}\"{marker}/>").ok();
}

/// At the end of an edge, where edges that begin together have parted; on the side that the line
/// does not come from.
fn label(
    text: &mut String,
    layout: &Layout,
    sizes: &[Size],
    index: usize,
    ends: (usize, usize),
    words: &str,
) {
    let (start, end) = first_part(layout, sizes, ends, index);
    let (x, words) = (end.x - 12.0, escaped(words));
    let y = if start.y < end.y - LINE { end.y + 13.0 } else { end.y - 5.0 };
    // What is drawn round the words is a text of its own: `paint-order` is not known everywhere.
    for class in ["halo", "label"] {
        // Writing to a string does not fail.
        writeln!(
            text,
            "<text class=\"{class}\" x=\"{x:.1}\" y=\"{y:.1}\" text-anchor=\"end\">{words}</text>"
        )
        .ok();
    }
}

fn shifted(point: Point) -> Point {
    Point { x: point.x + MARGIN, y: point.y + MARGIN }
}

fn columns(number: usize, width: f64) -> f64 {
    u32::try_from(number).map_or(0.0, f64::from) * width
}

fn escaped(text: &str) -> String {
    let text = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    text.replace(|c: char| c.is_control(), " ")
}
