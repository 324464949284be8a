//! Taking something out of a collection that is written out.

use super::change::{File, behind_properties};
use super::layout::{Entry, Flow, Item, Node};
use super::scan::{BLANKS, begins_line, ends_line, line_end, line_start, next_line, skip};

impl File<'_> {
    /// Takes an entry out of a map; an empty one is left as such.
    pub(super) fn remove_entry(
        &self,
        map: &Node,
        entries: &[Entry],
        flow: Flow,
        index: usize,
    ) -> Vec<String> {
        let spans: Vec<(usize, usize)> = entries
            .iter()
            .map(|entry| (entry.key.properties, entry.value.end))
            .collect();
        self.remove(map, &spans, flow, index, "{}")
    }

    /// Takes an item out of a list; an empty one is left as such.
    pub(super) fn remove_item(
        &self,
        list: &Node,
        items: &[Item],
        flow: Flow,
        index: usize,
    ) -> Vec<String> {
        let start = |item: &Item| {
            if flow == Flow::Block {
                item.dash
            } else {
                item.node.properties
            }
        };
        let spans: Vec<(usize, usize)> = items
            .iter()
            .map(|item| (start(item), item.node.end))
            .collect();
        self.remove(list, &spans, flow, index, "[]")
    }

    fn remove(
        &self,
        whole: &Node,
        spans: &[(usize, usize)],
        flow: Flow,
        index: usize,
        empty: &str,
    ) -> Vec<String> {
        let (start, end) = spans[index];
        let next = spans.get(index + 1).map(|(start, _)| *start);
        if flow != Flow::Block {
            let before = index.checked_sub(1).map(|index| spans[index].1);
            return self.remove_in_brackets(before, start, end, next);
        }
        let (start, next) = (self.explicit(start), next.map(|next| self.explicit(next)));
        if spans.len() == 1 {
            return vec![self.empty_out(whole, start, end, empty)];
        }
        if begins_line(self.text, start) {
            // Blank lines behind it would become part of a block scalar before it that
            // keeps such.
            let behind = next_line(self.text, end);
            let blank = |c: char| BLANKS.contains(&c);
            let rest = self.text[behind..].trim_start_matches(blank);
            let blank = self.text[behind..].len() - rest.len();
            let more = self.text[behind..behind + blank].trim_end_matches([' ', '\t']);
            return vec![
                self.without_lines(start, end),
                self.without_lines(start, end.max(behind + more.len().saturating_sub(1))),
            ];
        }
        // It shares its line with the dash that leads to all of them.
        let end_of_line = line_end(self.text, end);
        match next {
            Some(next) if skip_blanks_of_line(self.text, end_of_line) == next => {
                vec![self.splice(start, next, "")]
            }
            _ => {
                let from = self.text[..start].trim_end_matches(' ').len();
                vec![self.splice(from, end_of_line, "")]
            }
        }
    }

    /// Before the `?` of a key that has one.
    pub(super) fn explicit(&self, start: usize) -> usize {
        let before = self.text[..start].trim_end_matches(' ');
        if before.ends_with('?') && before.len() < start {
            before.len() - 1
        } else {
            start
        }
    }

    fn empty_out(&self, whole: &Node, start: usize, end: usize, empty: &str) -> String {
        if !begins_line(self.text, start) {
            return self.splice(start, end, empty);
        }
        let rest = self.without_lines(start, end);
        let behind = behind_properties(self.text, whole);
        let lead = if behind == 0 || rest[..behind].ends_with('\n') {
            ""
        } else {
            " "
        };
        let tail = if lead.is_empty() {
            self.style.newline
        } else {
            ""
        };
        [&rest[..behind], lead, empty, tail, &rest[behind..]].concat()
    }

    fn remove_in_brackets(
        &self,
        before: Option<usize>,
        start: usize,
        end: usize,
        next: Option<usize>,
    ) -> Vec<String> {
        let comma = skip(self.text, end);
        let behind = if self.text[comma..].starts_with(',') {
            comma + 1
        } else {
            end
        };
        vec![match (before, next) {
            (_, Some(_)) => {
                let blanks = self.text[behind..].len()
                    - self.text[behind..].trim_start_matches([' ', '\t']).len();
                if begins_line(self.text, start) && ends_line(self.text, behind) {
                    self.splice(
                        line_start(self.text, start),
                        next_line(self.text, behind),
                        "",
                    )
                } else {
                    self.splice(start, behind + blanks, "")
                }
            }
            (Some(before), None) if begins_line(self.text, start) => {
                // The comma before goes too, and a comment behind that stays.
                let at = skip(self.text, before);
                let comma = self.text[at..].starts_with(',');
                if !ends_line(self.text, end.max(behind)) && comma && behind == end {
                    // The bracket stands on its line.
                    return vec![if self.text[before..start].contains('#') {
                        let alone = self.splice(start, end, "");
                        [&alone[..at], &alone[at + 1..]].concat()
                    } else {
                        self.splice(before, end, "")
                    }];
                }
                let without = self.without_lines(start, end.max(behind));
                if comma && behind == end {
                    [&without[..at], &without[at + 1..]].concat()
                } else {
                    without
                }
            }
            (Some(before), None) => self.splice(before, end, ""),
            (None, None) => self.splice(start, behind, ""),
        }]
    }

    /// Without the lines from one place to another.
    pub(super) fn without_lines(&self, from: usize, to: usize) -> String {
        let (start, next) = (line_start(self.text, from), next_line(self.text, to));
        if next == self.text.len() && !self.text.ends_with('\n') {
            // The last line had no line break, and so has the one that is last now.
            let before = self.text[..start]
                .strip_suffix('\n')
                .unwrap_or(&self.text[..start]);
            return before.strip_suffix('\r').unwrap_or(before).to_owned();
        }
        self.splice(start, next, "")
    }
}

/// The first byte of the next line's text.
fn skip_blanks_of_line(text: &str, line_end: usize) -> usize {
    let next = next_line(text, line_end);
    next + text[next..].len() - text[next..].trim_start_matches(' ').len()
}
