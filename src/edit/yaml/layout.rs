//! Where everything stands in a YAML file, to the byte: what reading it for its values
//! throws away. Built from the parser's events; indicators (`-`, `:`, `|`), which have
//! no event, are found between them, where nothing but blanks and comments can be.

use granit_parser::{Event, Parser, ScalarStyle, Span, StructureStyle};

use super::scan::{blank_line_end, line_end, properties, skip};
use crate::render::yaml::{Position, YamlError, plain_key};

/// A document of the file.
pub(super) struct Layout {
    pub(super) root: Node,
    /// Where the reader says that its value begins, to know the documents apart.
    pub(super) at: Position,
    /// Its `---`, where it has one.
    pub(super) mark: Option<usize>,
    /// The aliases in it: the anchor each means, and its byte.
    pub(super) aliases: Vec<(usize, usize)>,
}

/// A value as written.
#[derive(Debug)]
pub(super) struct Node {
    /// Just behind the indicator that leads to it.
    pub(super) after: usize,
    /// Where its anchor and tag begin; `start` where it has none.
    pub(super) properties: usize,
    /// Where its own text begins and ends: of a collection in block style, its first
    /// and last entry; of nothing at all, both where it would be.
    pub(super) start: usize,
    pub(super) end: usize,
    pub(super) anchor: Option<usize>,
    pub(super) tagged: bool,
    pub(super) content: Content,
}

#[derive(Debug)]
pub(super) enum Content {
    /// No text: null.
    Empty,
    Scalar(ScalarStyle),
    Alias,
    Items(Flow, Vec<Item>),
    Map(Flow, Vec<Entry>),
}

/// In which style a collection is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Flow {
    /// By indentation.
    Block,
    /// In brackets.
    Brackets,
    /// A single pair in a list in brackets, without brackets of its own.
    Bare,
}

#[derive(Debug)]
pub(super) struct Item {
    /// The `-`, of a list in block style.
    pub(super) dash: usize,
    pub(super) node: Node,
}

#[derive(Debug)]
pub(super) struct Entry {
    pub(super) key: Node,
    pub(super) name: Name,
    /// Whether a `:` stands before the value.
    pub(super) colon: bool,
    pub(super) value: Node,
}

/// What an entry's key says.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Name {
    Key(String),
    /// `<<`
    Merge,
}

/// The documents of a file, those that say nothing included. The file must be one that
/// [`crate::render::yaml::documents`] reads; a byte order mark is not part of it.
pub(super) fn layouts(text: &str) -> Result<Vec<Layout>, YamlError> {
    let mut options = granit_parser::Options::default();
    options.set_emit_comments(false);
    let mut builder = Builder {
        text,
        cursor: 0,
        open: Vec::new(),
        aliases: Vec::new(),
        done: Vec::new(),
        at: None,
        mark: None,
    };
    for event in Parser::new_from_str_with_options(text, options) {
        let (event, span) = event.map_err(|error| YamlError {
            at: position(&span_at(error.marker())),
            message: error.info(),
        })?;
        builder.take(event, &span);
    }
    Ok(builder.done)
}

fn span_at(marker: &granit_parser::Marker) -> Span {
    Span::empty(*marker)
}

fn position(span: &Span) -> Position {
    let count = |number: usize| u32::try_from(number).unwrap_or(u32::MAX);
    Position {
        line: count(span.start.line()),
        column: count(span.start.col() + 1),
    }
}

struct Builder<'a> {
    text: &'a str,
    /// Behind all that was taken in.
    cursor: usize,
    open: Vec<Open>,
    aliases: Vec<(usize, usize)>,
    done: Vec<Layout>,
    at: Option<Position>,
    mark: Option<usize>,
}

/// A collection that is not complete.
struct Open {
    node: Node,
    key: Option<(Node, Name)>,
}

impl Builder<'_> {
    fn take(&mut self, event: Event<'_>, span: &Span) {
        let range = bytes(span);
        match event {
            Event::DocumentStart(explicit, _) => {
                self.mark = explicit.then_some(range.0);
                if explicit {
                    self.cursor = range.1;
                }
                self.aliases.clear();
                self.at = None;
            }
            Event::DocumentEnd => self.cursor = self.cursor.max(range.1.min(self.text.len())),
            Event::Scalar(text, style, anchor, tag) => {
                let mut node = self.begin(span, anchor, tag.is_some());
                self.scalar(&mut node, style, range);
                let plain = style == ScalarStyle::Plain && tag.is_none();
                self.place(node, name(&text, plain));
            }
            Event::Alias(anchor) => {
                self.aliases.push((anchor, range.0));
                let mut node = self.begin(span, 0, false);
                (node.start, node.end) = range;
                node.content = Content::Alias;
                self.cursor = range.1;
                self.place(node, Name::Key(String::new()));
            }
            Event::SequenceStart(style, anchor, tag) => {
                let node = self.begin(span, anchor, tag.is_some());
                let flow = self.flow(style, range);
                self.push(node, Content::Items(flow, Vec::new()), flow, range);
            }
            Event::MappingStart(style, anchor, tag) => {
                let node = self.begin(span, anchor, tag.is_some());
                let flow = self.flow(style, range);
                self.push(node, Content::Map(flow, Vec::new()), flow, range);
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(range),
            _ => {}
        }
    }

    /// A node whose indicator and properties are found.
    fn begin(&mut self, span: &Span, anchor: usize, tagged: bool) -> Node {
        self.at.get_or_insert_with(|| position(span));
        let after = self.indicator();
        let properties_at = if anchor == 0 && !tagged {
            after
        } else {
            skip(self.text, after)
        };
        let behind = properties(self.text, properties_at, anchor != 0, tagged);
        self.cursor = behind;
        Node {
            after,
            properties: properties_at,
            start: behind,
            end: behind,
            anchor: (anchor != 0).then_some(anchor),
            tagged,
            content: Content::Empty,
        }
    }

    /// Goes over what leads to the next node; gives the place behind it.
    fn indicator(&mut self) -> usize {
        let next = skip(self.text, self.cursor);
        let byte = self.text.as_bytes().get(next).copied();
        let Some(open) = self.open.last() else {
            return self.cursor;
        };
        let wanted: &[u8] = match (&open.node.content, &open.key) {
            (Content::Items(Flow::Block, _), _) => b"-",
            (Content::Map(_, _), Some(_)) => b":",
            (Content::Map(Flow::Block, _), None) => b"?",
            (Content::Items(_, _) | Content::Map(Flow::Brackets, _), _) => b",",
            _ => b"",
        };
        let found = byte.is_some_and(|byte| wanted.contains(&byte));
        // `?` may begin a key as well.
        let key = byte == Some(b'?') && !blank_at(self.text, next + 1);
        if !found || key {
            return self.cursor;
        }
        if byte == Some(b',') {
            let further = skip(self.text, next + 1);
            if self.text[further..].starts_with("? ") {
                return further + 1;
            }
        }
        next + 1
    }

    fn scalar(&mut self, node: &mut Node, style: ScalarStyle, range: (usize, usize)) {
        match style {
            ScalarStyle::Literal | ScalarStyle::Folded => {
                node.start = skip(self.text, self.cursor);
                let header = line_end(self.text, node.start);
                let keeps = self.text[node.start..header]
                    .split([' ', '\t'])
                    .next()
                    .is_some_and(|header| header.contains('+'));
                let content = &self.text[header..range.1.max(header)];
                let kept = if keeps {
                    // The parser goes on to the text that follows.
                    let content = content.trim_end_matches([' ', '\t']);
                    let line = content.strip_suffix('\n').unwrap_or(content);
                    line.strip_suffix('\r').unwrap_or(line).len()
                } else {
                    blank_line_end(content)
                };
                node.end = header + kept;
            }
            _ if range.0 == range.1 => return self.nothing(node),
            _ => (node.start, node.end) = range,
        }
        node.content = Content::Scalar(style);
        self.cursor = node.end;
    }

    /// A value without text stands behind its indicator or properties.
    fn nothing(&mut self, node: &mut Node) {
        node.content = Content::Empty;
        self.cursor = node.end;
    }

    fn flow(&self, style: StructureStyle, range: (usize, usize)) -> Flow {
        match style {
            StructureStyle::Block => Flow::Block,
            StructureStyle::Flow if self.text[range.0..].starts_with(['{', '[']) => Flow::Brackets,
            StructureStyle::Flow => Flow::Bare,
        }
    }

    fn push(&mut self, mut node: Node, content: Content, flow: Flow, range: (usize, usize)) {
        if flow == Flow::Brackets {
            node.start = range.0;
            self.cursor = range.0 + 1;
        } else {
            node.start = skip(self.text, self.cursor);
        }
        node.content = content;
        self.open.push(Open { node, key: None });
    }

    fn end(&mut self, range: (usize, usize)) {
        let Some(Open { mut node, .. }) = self.open.pop() else {
            return;
        };
        if matches!(
            node.content,
            Content::Items(Flow::Brackets, _) | Content::Map(Flow::Brackets, _)
        ) {
            self.cursor = range.1;
        }
        node.end = self.cursor;
        self.place(node, Name::Key(String::new()));
    }

    fn place(&mut self, mut node: Node, name: Name) {
        if node.anchor.is_none() && !node.tagged {
            node.properties = node.start;
        }
        let Some(open) = self.open.last_mut() else {
            let at = self.at.unwrap_or(Position { line: 1, column: 1 });
            let aliases = std::mem::take(&mut self.aliases);
            return self.done.push(Layout {
                root: node,
                at,
                mark: self.mark,
                aliases,
            });
        };
        match (&mut open.node.content, open.key.take()) {
            (Content::Items(_, items), _) => items.push(Item {
                dash: node.after.saturating_sub(1),
                node,
            }),
            (Content::Map(_, entries), Some((key, name))) => entries.push(Entry {
                colon: self.text[..node.after].ends_with(':') && node.after > key.end,
                key,
                name,
                value: node,
            }),
            (_, _) => open.key = Some((node, name)),
        }
    }
}

fn bytes(span: &Span) -> (usize, usize) {
    // Of text the parser always knows them.
    (
        span.start.byte_offset().unwrap_or_default(),
        span.end.byte_offset().unwrap_or_default(),
    )
}

fn blank_at(text: &str, at: usize) -> bool {
    text.as_bytes().get(at).is_none_or(u8::is_ascii_whitespace)
}

fn name(text: &str, plain: bool) -> Name {
    match text {
        "<<" if plain => Name::Merge,
        _ if plain => Name::Key(plain_key(text).unwrap_or_else(|| text.to_owned())),
        _ => Name::Key(text.to_owned()),
    }
}

impl Node {
    /// Whether it is a collection in block style.
    pub(super) fn is_block(&self) -> bool {
        matches!(
            self.content,
            Content::Items(Flow::Block, _) | Content::Map(Flow::Block, _)
        )
    }

    /// Itself and all that stands in it.
    pub(super) fn each(&self, visit: &mut impl FnMut(&Self)) {
        visit(self);
        match &self.content {
            Content::Items(_, items) => items.iter().for_each(|item| item.node.each(visit)),
            Content::Map(_, entries) => {
                for entry in entries {
                    entry.key.each(visit);
                    entry.value.each(visit);
                }
            }
            _ => {}
        }
    }
}
