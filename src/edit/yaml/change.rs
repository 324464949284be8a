//! One change of a file's text: what to write where. Several ways are offered, the
//! least change first; which of them reads back as it should is for the caller to see.

use granit_parser::ScalarStyle;
use serde_json::Value;

use super::layout::{Content, Entry, Item, Node};
use super::scan::{BLANKS, begins_line, column, ends_line, line_end, line_start, properties};
use super::style::Style;
use super::write::{self, Within};

/// The file that is changed.
#[derive(Clone, Copy)]
pub(super) struct File<'a> {
    pub(super) text: &'a str,
    pub(super) style: Style,
}

/// Where a value stands.
#[derive(Clone, Copy)]
pub(super) enum Place<'a> {
    /// It is the whole document.
    Root,
    /// It belongs to a key of a map in block style.
    Value(&'a Entry),
    /// It is an item of a list in block style.
    Item(&'a Item),
    /// Anywhere in brackets.
    Brackets { colon: bool },
}

impl File<'_> {
    pub(super) fn splice(&self, from: usize, to: usize, new: &str) -> String {
        [&self.text[..from], new, &self.text[to..]].concat()
    }

    /// Puts a value in the place of another.
    pub(super) fn replace(&self, node: &Node, place: Place<'_>, value: &Value) -> Vec<String> {
        let brackets = matches!(place, Place::Brackets { .. });
        if !brackets && !write::is_inline(value) {
            return self.nest(node, place, value);
        }
        match node.content {
            Content::Empty => self.fill(node, place, value),
            Content::Scalar(old @ (ScalarStyle::Literal | ScalarStyle::Folded)) => {
                self.replace_block_scalar(node, old, value)
            }
            Content::Scalar(old) => {
                let within = within(brackets);
                let spellings = write::alike(value, old, within, self.style);
                let kept = spellings
                    .iter()
                    .map(|new| self.splice(node.start, node.end, new));
                let untagged = spellings.iter().filter(|_| node.tagged);
                let untagged = untagged.map(|new| self.splice(node.properties, node.end, new));
                kept.chain(untagged).collect()
            }
            _ if node.is_block() => vec![self.flatten(node, value)],
            _ => {
                let spellings =
                    write::alike(value, ScalarStyle::Plain, within(brackets), self.style);
                let new = spellings
                    .iter()
                    .map(|new| self.splice(node.start, node.end, new));
                new.collect()
            }
        }
    }

    /// A value where there was no text.
    fn fill(&self, node: &Node, place: Place<'_>, value: &Value) -> Vec<String> {
        let at = node.end;
        let brackets = matches!(place, Place::Brackets { .. });
        let lead = match place {
            Place::Brackets { colon: false } => ": ",
            Place::Root => "",
            _ => " ",
        };
        let behind = self.text[at..].chars().next();
        let gap = behind.is_some_and(|c| !BLANKS.contains(&c) && !",]}".contains(c));
        let tail = if gap { " " } else { "" };
        let spellings = write::alike(value, ScalarStyle::Plain, within(brackets), self.style);
        let spellings = spellings.iter();
        spellings
            .map(|new| self.splice(at, at, &format!("{lead}{new}{tail}")))
            .collect()
    }

    fn replace_block_scalar(&self, node: &Node, old: ScalarStyle, value: &Value) -> Vec<String> {
        let mut ways = Vec::new();
        let header = line_end(self.text, node.start);
        if let Value::String(text) = value
            && header < node.end
        {
            let first = self.text[header..node.end].trim_start_matches(['\r', '\n']);
            let column = first.len() - first.trim_start_matches(' ').len();
            let behind = &self.text[node.start..header];
            let remark = behind.find(" #").map_or("", |at| &behind[at..]);
            let indicators: &[&str] = if old == ScalarStyle::Folded {
                &[">", "|"]
            } else {
                &["|"]
            };
            for indicator in indicators {
                let newline = self.style.newline;
                let Some(lines) = write::literal(text, indicator, column, newline) else {
                    continue;
                };
                let (first, rest) = lines.split_at(lines.find(newline).unwrap_or(lines.len()));
                let whole = format!("{first}{remark}{rest}");
                ways.push(self.splice(node.start, node.end, &whole));
            }
        }
        let spellings = write::alike(value, ScalarStyle::Plain, Within::Block, self.style);
        let inline = spellings
            .iter()
            .map(|new| self.splice(node.start, node.end, new));
        ways.extend(inline);
        ways
    }

    /// A value on one line in the place of a collection in block style.
    fn flatten(&self, node: &Node, value: &Value) -> String {
        let new = write::inline(value, self.style);
        if !begins_line(self.text, node.start) {
            return self.splice(node.start, node.end, &new);
        }
        let rest = self.without_lines(node.start, node.end);
        let behind = behind_properties(self.text, node);
        [&rest[..behind], " ", &new, &rest[behind..]].concat()
    }

    /// A collection in block style in the place of any value.
    fn nest(&self, node: &Node, place: Place<'_>, value: &Value) -> Vec<String> {
        let text = self.text;
        let column_of_own = match place {
            Place::Value(entry) => {
                write::below(value, column(text, entry.key.properties), self.style)
            }
            Place::Item(item) => column(text, item.dash) + 2,
            Place::Root | Place::Brackets { .. } => 0,
        };
        if node.is_block() {
            // Behind a dash it goes on where it began.
            let (from, lead, at) = if begins_line(text, node.start) {
                (line_start(text, node.start), column_of_own, column_of_own)
            } else {
                (node.start, 0, column(text, node.start))
            };
            let lines = write::block(value, at, self.style);
            let end = line_end(text, node.end);
            return vec![self.splice(from, end, &format!("{:lead$}{lines}", ""))];
        }
        let plain = node.anchor.is_none() && !node.tagged;
        if matches!(place, Place::Item(_)) && plain && ends_line(text, node.end) {
            let lines = write::block(value, column_of_own, self.style);
            let from = text[..node.start]
                .trim_end_matches(' ')
                .len()
                .max(node.after);
            return vec![self.splice(from, node.end, &format!(" {lines}"))];
        }
        if matches!(place, Place::Root) && begins_line(text, node.properties) && plain {
            return vec![self.splice(node.start, node.end, &write::block(value, 0, self.style))];
        }
        // What stood on the line goes, and a remark on it stays.
        let lines = write::block(value, column_of_own, self.style);
        let from = text[..node.start]
            .trim_end_matches(' ')
            .len()
            .max(node.after);
        let end = line_end(text, node.end);
        let (remark, newline) = (&text[node.end..end], self.style.newline);
        let new = format!("{remark}{newline}{:column_of_own$}{lines}", "");
        vec![self.splice(from, end, &new)]
    }
}

fn within(brackets: bool) -> Within {
    if brackets {
        Within::Brackets
    } else {
        Within::Block
    }
}

/// The place behind what leads to a node, its anchor and tag included.
pub(super) fn behind_properties(text: &str, node: &Node) -> usize {
    if node.anchor.is_some() || node.tagged {
        properties(text, node.properties, node.anchor.is_some(), node.tagged)
    } else {
        node.after
    }
}
