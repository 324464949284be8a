//! Adding to a collection that is written out.

use serde_json::Value;

use super::change::File;
use super::layout::{Entry, Flow, Item, Node};
use super::scan::{begins_line, column, line_end};
use super::style::{Quotes, Style};
use super::write::{self, Within};

impl File<'_> {
    /// Adds an entry to a map that has some, or that is in brackets.
    pub(super) fn add_entry(
        &self,
        map: &Node,
        entries: &[Entry],
        flow: Flow,
        name: &str,
        value: &Value,
    ) -> Vec<String> {
        let (Some(first), Some(last)) = (entries.first(), entries.last()) else {
            let quotes = self.quotes_in(entries);
            let new = bracket_entry(name, value, self.style, quotes);
            return vec![self.splice(map.start + 1, map.start + 1, &new)];
        };
        if flow != Flow::Block {
            let new = bracket_entry(name, value, self.style, self.quotes_in(entries));
            return vec![self.add_behind(last.key.properties, last.value.end, entries.len(), &new)];
        }
        let first = self.explicit(first.key.properties);
        let at = column(self.text, first);
        let new = write::entry(name, value, at, self.style);
        let newline = self.style.newline;
        let end = line_end(self.text, last.value.end);
        let behind = self.splice(end, end, &format!("{newline}{:at$}{new}", ""));
        let before = self.splice(first, first, &format!("{new}{newline}{:at$}", ""));
        vec![behind, before]
    }

    /// Adds an item to a list that has some, or that is in brackets.
    pub(super) fn add_item(
        &self,
        list: &Node,
        items: &[Item],
        flow: Flow,
        index: usize,
        value: &Value,
    ) -> Vec<String> {
        let Some(first) = items.first() else {
            let new = write::inline(value, self.style);
            return vec![self.splice(list.start + 1, list.start + 1, &new)];
        };
        let before = index.checked_sub(1).and_then(|index| items.get(index));
        if flow != Flow::Block {
            let new = write::inline(value, self.style);
            return vec![match before {
                Some(before) => {
                    self.add_behind(before.node.properties, before.node.end, items.len(), &new)
                }
                None => self.splice(
                    first.node.properties,
                    first.node.properties,
                    &format!("{new}, "),
                ),
            }];
        }
        let at = column(self.text, first.dash);
        let gap = Self::gap(items);
        let new = write::item(value, at, gap, self.style);
        let newline = self.style.newline;
        match before {
            Some(before) => {
                let end = line_end(self.text, before.node.end);
                vec![self.splice(end, end, &format!("{newline}{:at$}{new}", ""))]
            }
            None => vec![self.splice(first.dash, first.dash, &format!("{new}{newline}{:at$}", ""))],
        }
    }

    /// The blanks behind dashes.
    fn gap(items: &[Item]) -> usize {
        let mut gaps = items
            .iter()
            .map(|item| item.node.properties.saturating_sub(item.dash + 1));
        gaps.find(|gap| (1..8).contains(gap)).unwrap_or(1)
    }

    fn quotes_in(&self, entries: &[Entry]) -> Quotes {
        let json = |entry: &Entry| self.text[entry.key.start..].starts_with('"');
        if entries
            .first()
            .map_or(self.style.quotes == Quotes::Json, json)
        {
            Quotes::Json
        } else {
            self.style.quotes
        }
    }

    /// Adds to a collection in brackets, on a line of its own where others have one.
    fn add_behind(&self, start: usize, end: usize, others: usize, new: &str) -> String {
        let own_line = begins_line(self.text, start) && others > 0;
        let lead = if own_line {
            format!(",{}{:2$}", self.style.newline, "", column(self.text, start))
        } else {
            ", ".to_owned()
        };
        self.splice(end, end, &format!("{lead}{new}"))
    }
}

fn bracket_entry(name: &str, value: &Value, style: Style, quotes: Quotes) -> String {
    let style = Style { quotes, ..style };
    format!(
        "{}: {}",
        write::key(name, quotes, Within::Brackets),
        write::inline(value, style)
    )
}
