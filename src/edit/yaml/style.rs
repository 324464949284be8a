//! How a file is written, so that what is added looks like what is there.

use granit_parser::ScalarStyle;

use super::layout::{Content, Flow, Layout, Node};
use super::scan::column;

/// What a file's author does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Style {
    pub(super) newline: &'static str,
    /// Columns of one level of a map.
    pub(super) step: usize,
    /// Columns that a list's dashes stand to the right of its key.
    pub(super) dash: usize,
    pub(super) quotes: Quotes,
    /// Columns of one level in brackets that go over several lines.
    pub(super) brackets: usize,
}

/// Which quotes text gets that needs some.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Quotes {
    Double,
    Single,
    /// Double ones, and everywhere: JSON.
    Json,
}

impl Style {
    /// Of a file, as far as it shows; otherwise as kubectl and kustomize write.
    pub(super) fn of(text: &str, layouts: &[Layout]) -> Self {
        let newline = match text.find('\n') {
            Some(at) if text[..at].ends_with('\r') => "\r\n",
            _ => "\n",
        };
        let mut seen = Seen::default();
        for layout in layouts {
            layout.root.each(&mut |node| seen.look(text, node));
        }
        let quotes = if seen.json {
            Quotes::Json
        } else if seen.single > seen.double {
            Quotes::Single
        } else {
            Quotes::Double
        };
        Self {
            newline,
            step: seen.step.unwrap_or(2),
            dash: seen.dash.unwrap_or(0),
            quotes,
            brackets: 2,
        }
    }
}

#[derive(Default)]
struct Seen {
    step: Option<usize>,
    dash: Option<usize>,
    single: usize,
    double: usize,
    json: bool,
}

impl Seen {
    fn look(&mut self, text: &str, node: &Node) {
        match &node.content {
            Content::Scalar(ScalarStyle::SingleQuoted) => self.single += 1,
            Content::Scalar(ScalarStyle::DoubleQuoted) => self.double += 1,
            Content::Map(Flow::Brackets, entries) => {
                let first = entries.first();
                self.json |= first.is_some_and(|entry| text[entry.key.start..].starts_with('"'));
            }
            Content::Map(Flow::Block, entries) => {
                for entry in entries {
                    self.look_below(text, column(text, entry.key.properties), &entry.value);
                }
            }
            _ => {}
        }
    }

    fn look_below(&mut self, text: &str, at: usize, value: &Node) {
        let by = column(text, value.start).saturating_sub(at);
        match &value.content {
            Content::Map(Flow::Block, _) if by > 0 => drop(self.step.get_or_insert(by)),
            Content::Items(Flow::Block, _) => drop(self.dash.get_or_insert(by)),
            _ => {}
        }
    }
}
