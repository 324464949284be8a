//! Random files in every style.

use std::fmt::Write as _;

use proptest::prelude::*;
use proptest::sample::select;

/// What a file says and how, before it is text.
#[derive(Debug, Clone)]
enum Written {
    Scalar(&'static str),
    /// Lines of a block scalar, behind its indicator.
    Lines(&'static str, Vec<&'static str>),
    List(bool, Vec<(Aside, Written)>),
    Map(bool, Vec<(Aside, Written)>),
    /// One that others may show, by its number, and one that shows an earlier one.
    Anchored(&'static str),
    Alias(u8),
}

/// What stands before an entry, and behind it on its line.
#[derive(Debug, Clone, Copy)]
struct Aside {
    before: u8,
    remark: bool,
}

#[derive(Debug, Clone, Copy)]
#[expect(
    clippy::struct_excessive_bools,
    reason = "a file has each or has it not"
)]
struct Manner {
    step: usize,
    dash: usize,
    crlf: bool,
    mark: bool,
    final_newline: bool,
    explicit: bool,
}

const SCALARS: [&str; 18] = [
    "1",
    "word",
    "two words",
    "'single'",
    "\"double\"",
    "'it''s'",
    "\"a\\nb\"",
    "true",
    "~",
    "",
    "nginx:1.27",
    "!!str 5",
    "\"on\"",
    "0644",
    "1.5",
    "'#'",
    "\"#, ]\"",
    "a#b",
];

fn aside() -> impl Strategy<Value = Aside> {
    (0..8_u8, any::<bool>()).prop_map(|(before, remark)| Aside { before, remark })
}

fn written() -> impl Strategy<Value = Written> {
    let indicators = ["|", "|-", "|+", ">", ">-", "|2", "| # remark"];
    let lines = prop::collection::vec(select(vec!["text", "# none", "", "  deeper", "a: b"]), 1..4);
    let leaf = prop_oneof![
        6 => select(SCALARS.to_vec()).prop_map(Written::Scalar),
        2 => (select(indicators.to_vec()), lines).prop_map(|(indicator, lines)| Written::Lines(indicator, lines)),
        1 => select(vec!["1", "x", "'y'"]).prop_map(Written::Anchored),
        1 => (0..4_u8).prop_map(Written::Alias),
    ];
    leaf.prop_recursive(4, 40, 5, |inner| {
        let entries = prop::collection::vec((aside(), inner), 0..5).boxed();
        prop_oneof![
            1 => (prop::bool::weighted(0.2), entries.clone()).prop_map(|(flow, items)| Written::List(flow, items)),
            2 => (prop::bool::weighted(0.2), entries).prop_map(|(flow, items)| Written::Map(flow, items)),
        ]
    })
}

fn manner() -> impl Strategy<Value = Manner> {
    let flags = (any::<bool>(), any::<bool>(), any::<bool>(), any::<bool>());
    (1..5_usize, 0..3_usize, flags).prop_map(|(step, dash, (crlf, mark, end, explicit))| Manner {
        step,
        dash,
        crlf,
        mark,
        final_newline: end,
        explicit,
    })
}

/// Writes files.
struct Pen {
    manner: Manner,
    text: String,
    asides: usize,
    anchors: u8,
    keys: usize,
}

impl Pen {
    fn file(manner: Manner, documents: &[Written]) -> String {
        let mut pen = Self {
            manner,
            text: String::new(),
            asides: 0,
            anchors: 0,
            keys: 0,
        };
        for (index, document) in documents.iter().enumerate() {
            if index > 0 || manner.explicit {
                pen.text.push_str("--- # marker\n");
            }
            pen.anchors = 0;
            let entries = vec![
                (
                    Aside {
                        before: 1,
                        remark: false,
                    },
                    document.clone(),
                ),
                (
                    Aside {
                        before: 2,
                        remark: true,
                    },
                    Written::Scalar("end"),
                ),
            ];
            pen.block(&Written::Map(false, entries), 0);
        }
        let mut text = pen.text;
        if !manner.final_newline {
            text.truncate(text.trim_end().len());
        }
        if manner.crlf {
            text = text.replace('\n', "\r\n");
        }
        if manner.mark {
            format!("\u{feff}{text}")
        } else {
            text
        }
    }

    fn key(&mut self) -> String {
        const KEYS: [&str; 6] = ["key", "'quoted'", "\"double\"", "on", "a.b/c", "0x10"];
        self.keys += 1;
        match KEYS[self.keys % KEYS.len()] {
            key @ ("on" | "0x10") => format!("\"{key}{}\"", self.keys),
            key if key.ends_with(['\'', '"']) => {
                let (start, quote) = key.split_at(key.len() - 1);
                format!("{start}{}{quote}", self.keys)
            }
            key => format!("{key}{}", self.keys),
        }
    }

    fn aside(&mut self, aside: Aside, column: usize) {
        for bit in 0..2 {
            if aside.before >> bit & 1 == 1 {
                self.asides += 1;
                let _ = writeln!(self.text, "{:column$}# aside {}", "", self.asides);
            }
        }
        if aside.before & 4 == 4 {
            self.text.push('\n');
        }
    }

    fn line_end(&mut self, aside: Aside) {
        if aside.remark {
            self.asides += 1;
            let _ = write!(self.text, " # remark {}", self.asides);
        }
        self.text.push('\n');
    }

    /// A collection that isn't empty, in block style, from the start of a line.
    fn block(&mut self, node: &Written, column: usize) {
        let (Written::Map(_, entries) | Written::List(_, entries)) = node else {
            return;
        };
        for (index, (aside, value)) in entries.iter().enumerate() {
            if index > 0 || !self.text.ends_with("- ") {
                self.aside(*aside, column);
                let _ = write!(self.text, "{:column$}", "");
            }
            if matches!(node, Written::Map(..)) {
                let key = self.key();
                let _ = write!(self.text, "{key}:");
                self.value(*aside, value, column, Lead::Key);
            } else {
                self.text.push('-');
                self.value(*aside, value, column, Lead::Dash);
            }
        }
    }

    fn value(&mut self, aside: Aside, value: &Written, column: usize, lead: Lead) {
        match value {
            Written::Map(false, entries) | Written::List(false, entries) if !entries.is_empty() => {
                if lead == Lead::Dash {
                    self.text.push(' ');
                    return self.block(value, column + 2);
                }
                self.line_end(aside);
                let by = if matches!(value, Written::Map(..)) {
                    self.manner.step
                } else {
                    self.manner.dash
                };
                self.block(value, column + by);
            }
            Written::Lines(indicator, lines) => {
                let _ = writeln!(self.text, " {indicator}");
                let indent = column + 2;
                for (index, line) in lines.iter().enumerate() {
                    // The first line tells the indentation.
                    let line = if index == 0 { "first" } else { line };
                    if !line.is_empty() {
                        let _ = write!(self.text, "{:indent$}{line}", "");
                    }
                    self.text.push('\n');
                }
            }
            Written::Scalar("") if lead == Lead::Key => self.line_end(aside),
            inline => {
                self.text.push(' ');
                self.inline(inline);
                self.line_end(aside);
            }
        }
    }

    fn inline(&mut self, value: &Written) {
        match value {
            Written::Scalar("") => self.text.push('~'),
            Written::Scalar(text) => self.text.push_str(text),
            Written::Lines(_, lines) => {
                let _ = write!(self.text, "{:?}", lines.join("\n"));
            }
            Written::Anchored(text) => {
                let _ = write!(self.text, "&a{} {text}", self.anchors);
                self.anchors += 1;
            }
            Written::Alias(number) if *number < self.anchors => {
                let _ = write!(self.text, "*a{number}");
            }
            Written::Alias(_) => self.text.push('7'),
            Written::List(_, items) => {
                self.text.push('[');
                for (index, (_, item)) in items.iter().enumerate() {
                    self.text.push_str(if index > 0 { ", " } else { "" });
                    self.inline(item);
                }
                self.text.push(']');
            }
            Written::Map(_, entries) => {
                self.text.push('{');
                for (index, (_, value)) in entries.iter().enumerate() {
                    self.text.push_str(if index > 0 { ", " } else { "" });
                    let key = self.key();
                    let _ = write!(self.text, "{key}: ");
                    self.inline(value);
                    self.text.push(' ');
                }
                self.text.push('}');
            }
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Lead {
    Key,
    Dash,
}

/// Files of one or two documents, each with its content under one key and another behind.
pub(super) fn file() -> impl Strategy<Value = String> {
    let documents = prop::collection::vec(written(), 1..3);
    (manner(), documents).prop_map(|(manner, documents)| Pen::file(manner, &documents))
}
