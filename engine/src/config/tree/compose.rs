//! Parse events into trees.

use std::collections::HashMap;
use std::mem;

use granit_parser::{Event, Parser, ScalarStyle, StrInput, Tag as ParsedTag};

use crate::config::node::Origin;
use crate::config::tree::{Content, DEPTH, Key, Scalar, Tag, Tree, syntax};
use crate::config::{Problem, Problems, Source, Span, codes};

/// How much anchors and aliases may add to a file, bytes (a node counts [`NODE`] and its text).
/// Without a bound, ten lines of aliases of aliases fill any memory.
const BUDGET: usize = 4 << 20;

/// So many values may one list or map have: a file that a program has made wrong is refused before
/// it takes seconds and all memory.
const ITEMS: usize = 100_000;

/// What a node without text counts, bytes.
const NODE: usize = 64;

pub(super) fn compose(source: &Source, problems: &mut Problems) -> Option<Vec<Tree>> {
    let options = granit_parser::options! {
        flow_nesting_limit: DEPTH,
        block_nesting_limit: DEPTH,
    };
    let mut composer = Composer {
        source,
        problems,
        documents: Vec::new(),
        frames: Vec::new(),
        anchors: HashMap::new(),
        budget: BUDGET,
    };
    let parser: Parser<'_, StrInput<'_>> =
        Parser::new_from_str_with_options(source.text(), options);
    for event in parser {
        match event {
            Ok((event, span)) => composer.take(event, &span)?,
            Err(error) => {
                composer.problems.push(syntax::problem(source, &error));
                return None;
            }
        }
    }
    Some(composer.documents)
}

struct Composer<'a> {
    source: &'a Source,
    problems: &'a mut Problems,
    documents: Vec<Tree>,
    /// The collections that are open, outermost first.
    frames: Vec<Frame>,
    /// The anchors of the document so far whose values are complete.
    anchors: HashMap<usize, Node>,
    budget: usize,
}

struct Frame {
    start: usize,
    anchor: usize,
    collection: Collection,
    weight: usize,
    height: usize,
}

enum Collection {
    List(Vec<Tree>),
    Map { entries: Vec<(Key, Tree)>, known: HashMap<String, Span>, pending: Option<Pending> },
}

impl Collection {
    fn len(&self) -> usize {
        match self {
            Self::List(items) => items.len(),
            Self::Map { entries, .. } => entries.len(),
        }
    }

    const fn name(&self) -> &'static str {
        match self {
            Self::List(_) => "list",
            Self::Map { .. } => "map",
        }
    }
}

/// A key that waits for its value.
enum Pending {
    Key(Key),
    /// The map has the key already; this value is left out.
    Repeated,
}

/// A complete value.
#[derive(Clone)]
struct Node {
    tree: Tree,
    /// What a copy costs, bytes.
    weight: usize,
    /// How many levels lie below.
    height: usize,
    /// Whether the file has nothing there (`key:`).
    is_absent: bool,
}

impl Composer<'_> {
    /// `None`: reading on makes no sense; the problem has been reported.
    fn take(&mut self, event: Event<'_>, at: &granit_parser::Span) -> Option<()> {
        let range = at.byte_range().unwrap_or_default();
        let span = self.source.span(range.start, range.end);
        match event {
            Event::Scalar(text, style, anchor, tag) => {
                let is_plain = style == ScalarStyle::Plain;
                let is_absent = is_plain && range.is_empty();
                let tag = tag.and_then(|tag| self.scalar_tag(&tag, at, &span));
                let text = if is_absent { String::new() } else { text.into_owned() };
                let weight = NODE + text.len();
                let scalar = Scalar { text, is_plain, tag, origin: Origin::File };
                let tree = Tree { span, content: Content::Scalar(scalar) };
                self.complete(Node { tree, weight, height: 0, is_absent }, anchor)
            }
            Event::SequenceStart(_, anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), "seq", at, &span);
                self.open(range.start, anchor, Collection::List(Vec::new()))
            }
            Event::MappingStart(_, anchor, tag) => {
                self.check_collection_tag(tag.as_deref(), "map", at, &span);
                let (entries, known) = (Vec::new(), HashMap::new());
                let collection = Collection::Map { entries, known, pending: None };
                self.open(range.start, anchor, collection)
            }
            Event::SequenceEnd | Event::MappingEnd => self.close(range.end),
            Event::Alias(anchor) => self.alias(anchor, span),
            Event::DocumentEnd => {
                self.anchors.clear();
                Some(())
            }
            // Comments are not asked for, nor are the events of anchors.
            _ => Some(()),
        }
    }

    fn open(&mut self, start: usize, anchor: usize, collection: Collection) -> Option<()> {
        if self.frames.len() >= DEPTH {
            let span = self.source.span(start, start + 1);
            self.problems.push(syntax::too_deep(span));
            return None;
        }
        self.frames.push(Frame { start, anchor, collection, weight: NODE, height: 0 });
        Some(())
    }

    fn close(&mut self, end: usize) -> Option<()> {
        let Frame { start, anchor, collection, weight, height } = self.frames.pop()?;
        // A block ends where its last value ends, not where the next line begins.
        let content = match collection {
            Collection::List(items) => Content::List(items),
            Collection::Map { entries, .. } => Content::Map(entries),
        };
        let trimmed = self.source.text().get(start..end).map_or(0, |text| text.trim_end().len());
        let tree = Tree { span: self.source.span(start, start + trimmed), content };
        self.complete(Node { tree, weight, height: height + 1, is_absent: false }, anchor)
    }

    fn alias(&mut self, anchor: usize, span: Span) -> Option<()> {
        let Some(node) = self.anchors.get(&anchor) else {
            let message = "the alias is part of the value that it stands for";
            self.problems.push(Problem::new(codes::E0104, span, message));
            return None;
        };
        if self.frames.len() + node.height > DEPTH {
            self.problems.push(syntax::too_deep(span));
            return None;
        }
        let weight = node.weight;
        let mut node = self.charged(weight, &span)?.anchors.get(&anchor)?.clone();
        node.tree.span = span;
        node.is_absent = false;
        self.complete(node, 0)
    }

    /// Takes the cost of a copy out of the budget.
    fn charged(&mut self, weight: usize, span: &Span) -> Option<&mut Self> {
        if let Some(rest) = self.budget.checked_sub(weight) {
            self.budget = rest;
            return Some(self);
        }
        let message = "aliases make this file larger than 4 MiB";
        self.problems.push(
            Problem::new(codes::E0104, span.clone(), message).with_help("write the values out"),
        );
        None
    }

    fn complete(&mut self, mut node: Node, anchor: usize) -> Option<()> {
        if anchor != 0 {
            let span = node.tree.span.clone();
            self.charged(node.weight, &span)?.anchors.insert(anchor, node.clone());
        }
        let Some(frame) = self.frames.last_mut() else {
            self.documents.push(node.tree);
            return Some(());
        };
        frame.weight += node.weight;
        frame.height = frame.height.max(node.height);
        if frame.collection.len() >= ITEMS {
            let what = frame.collection.name();
            let message = format!("one {what} has more than {ITEMS} values");
            self.problems.push(Problem::new(codes::E0107, node.tree.span, message));
            return None;
        }
        match &mut frame.collection {
            Collection::List(items) => items.push(node.tree),
            Collection::Map { entries, known, pending } => match mem::take(pending) {
                None => *pending = Some(key(node.tree, known, self.problems)?),
                Some(Pending::Repeated) => {}
                Some(Pending::Key(key)) => {
                    if node.is_absent {
                        node.tree.span = key.span.clone();
                    }
                    entries.push((key, node.tree));
                }
            },
        }
        Some(())
    }

    fn scalar_tag(
        &mut self,
        tag: &ParsedTag,
        at: &granit_parser::Span,
        span: &Span,
    ) -> Option<Tag> {
        if is_non_specific(tag) {
            return Some(Tag::Str);
        }
        let known = tag.core_suffix().and_then(Tag::named);
        if known.is_none() {
            let message = match tag.core_suffix() {
                Some(suffix) => format!("`!!{suffix}` does not fit a scalar"),
                None => unknown_tag(tag),
            };
            self.refuse_tag(message, at, span);
        }
        known
    }

    fn check_collection_tag(
        &mut self,
        tag: Option<&ParsedTag>,
        wanted: &str,
        at: &granit_parser::Span,
        span: &Span,
    ) {
        let Some(tag) = tag.filter(|tag| !is_non_specific(tag)) else { return };
        match tag.core_suffix() {
            Some(suffix) if suffix == wanted => {}
            Some(suffix) => {
                let what = if wanted == "seq" { "a list" } else { "a map" };
                self.refuse_tag(format!("`!!{suffix}` does not fit {what}"), at, span);
            }
            None => self.refuse_tag(unknown_tag(tag), at, span),
        }
    }

    fn refuse_tag(&mut self, message: String, at: &granit_parser::Span, span: &Span) {
        let place = at.tag_span().and_then(|tag| tag.byte_range());
        let span =
            place.map_or_else(|| span.clone(), |place| self.source.span(place.start, place.end));
        self.problems.push(
            Problem::new(codes::E0106, span, message)
                .with_help("remove the tag: known are !!str, !!int, !!float, !!bool, !!null"),
        );
    }
}

/// `!`: not what the text looks like, but the plainest type of its kind.
fn is_non_specific(tag: &ParsedTag) -> bool {
    matches!(tag.parts(), ("" | "!", "") | ("", "!"))
}

fn unknown_tag(tag: &ParsedTag) -> String {
    format!("unknown tag `{}`", syntax::shortened(&tag.original()))
}

/// A complete value as a key: its text, whatever type the text has. `None` where it has no text.
fn key(tree: Tree, known: &mut HashMap<String, Span>, problems: &mut Problems) -> Option<Pending> {
    let Tree { span, content } = tree;
    let Content::Scalar(Scalar { text, .. }) = content else {
        let problem = Problem::new(codes::E0105, span, "a key is a list or a map")
            .with_help("a key is one word; quote it if it begins with [ or {");
        problems.push(problem);
        return None;
    };
    if let Some(first) = known.get(&text) {
        problems.push_with(codes::E0103, || {
            let message = format!("the key `{}` is given twice", syntax::shortened(&text));
            Problem::new(codes::E0103, span, message)
                .with_related(first.clone(), "first given here")
        });
        return Some(Pending::Repeated);
    }
    known.insert(text.clone(), span.clone());
    Some(Pending::Key(Key { text, span }))
}
