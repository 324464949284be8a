//! From a tree of values to fields of the right type, gathering what is wrong. A
//! field is known because it is asked for, so there is no second list to keep in step.

use std::collections::BTreeMap;
use std::time::Duration;

use super::node::{At, Node, Value};
use super::problem::{Problem, Problems, did_you_mean};

/// Reads one file, or a part of it whose problems stay apart.
pub struct Decoder<'a> {
    /// The file, for problems.
    pub path: &'a str,
    /// What is wrong so far.
    pub problems: Problems,
}

/// The fields of one place that nobody has asked for yet.
pub struct Fields<'n> {
    /// Whether these are fields at all, so that one can be said to be missing.
    pub readable: bool,
    left: Vec<(&'n At<String>, &'n Node)>,
    known: Vec<&'static str>,
}

impl<'a> Decoder<'a> {
    /// Of a file in which nothing is wrong so far.
    pub fn new(path: &'a str) -> Self {
        Self {
            path,
            problems: Problems::default(),
        }
    }

    /// Adds a problem with the file as a whole.
    pub fn missing(&mut self, message: &str, hint: Option<String>) {
        let problem = Problem::in_file(self.path, message).maybe_hint(hint);
        self.problems.push(problem);
    }

    /// Adds a problem at a place.
    pub fn wrong<T>(&mut self, at: &At<T>, message: impl Into<String>, hint: Option<String>) {
        let problem = at.problem(self.path, message).maybe_hint(hint);
        self.problems.push(problem);
    }

    /// That a field has another name by now, which is no mistake.
    pub fn outdated(&self, key: &At<String>, now: &str) -> Problem {
        let message = format!("`{}` is called `{now}` now", key.value);
        key.problem(self.path, message)
    }

    fn wrong_type(&mut self, node: &Node, wanted: &str, hint: Option<String>) {
        let found = match &node.value {
            Value::Text(text) => format!("`{text}`"),
            other => other.described().to_owned(),
        };
        self.wrong(node, format!("expected {wanted}, found {found}"), hint);
    }

    /// The fields at a place; none where nothing is written.
    pub fn fields<'n>(&mut self, node: &'n Node) -> Fields<'n> {
        Fields {
            readable: matches!(node.value, Value::Map(_) | Value::Null),
            left: self.entries(node),
            known: Vec::new(),
        }
    }

    /// Names chosen by the user and what stands at each, every name once.
    pub fn entries<'n>(&mut self, node: &'n Node) -> Vec<(&'n At<String>, &'n Node)> {
        let map = match &node.value {
            Value::Map(map) => map.as_slice(),
            Value::Null => &[],
            _ => {
                self.wrong_type(node, "fields", None);
                &[]
            }
        };
        let mut first: BTreeMap<&str, u32> = BTreeMap::new();
        let mut entries = Vec::new();
        for (key, value) in map {
            if let Some(line) = first.get(key.value.as_str()) {
                let message = format!("`{}` stands twice, first in line {line}", key.value);
                self.wrong(key, message, None);
            } else {
                first.insert(&key.value, key.line);
                entries.push((key, value));
            }
        }
        entries
    }

    /// A list, of which each item is looked at.
    pub fn list<'n>(&mut self, node: &'n Node) -> &'n [Node] {
        if let Value::List(items) = &node.value {
            return items;
        }
        self.wrong_type(node, "a list", Some("write `[…]`, or `[]` for none".into()));
        &[]
    }

    /// Text that is not empty.
    pub fn text(&mut self, node: &Node) -> Option<At<String>> {
        match &node.value {
            Value::Text(text) if text.is_empty() => self.wrong(node, "is empty", None),
            Value::Text(text) => return Some(node.with(text.clone())),
            Value::Bool(_) | Value::Number(_) => {
                self.wrong_type(node, "text", Some("put it in quotes".into()));
            }
            _ => self.wrong_type(node, "text", None),
        }
        None
    }

    /// A list of texts.
    pub fn texts(&mut self, node: &Node) -> Vec<At<String>> {
        let items = self.list(node).iter();
        items.filter_map(|item| self.text(item)).collect()
    }

    /// `true` or `false`.
    pub fn boolean(&mut self, node: &Node) -> Option<bool> {
        let hint = match &node.value {
            Value::Bool(value) => return Some(*value),
            Value::Text(text) => match text.to_lowercase().as_str() {
                "yes" | "y" | "on" | "true" => Some("write `true`, without quotes".to_owned()),
                "no" | "n" | "off" | "false" => Some("write `false`, without quotes".to_owned()),
                other => did_you_mean(other, ["true", "false"]),
            },
            _ => None,
        };
        self.wrong_type(node, "true or false", hint);
        None
    }

    /// A whole number of 0 to `most`.
    pub fn number(&mut self, node: &Node, most: u32) -> Option<u32> {
        let whole = |number: f64| {
            let fine = number.fract() == 0.0 && number >= 0.0 && number <= f64::from(most);
            #[expect(
                clippy::cast_possible_truncation,
                clippy::cast_sign_loss,
                reason = "the line above has looked"
            )]
            fine.then_some(number as u32)
        };
        match &node.value {
            Value::Number(number) if whole(*number).is_some() => whole(*number),
            Value::Number(number) => {
                let wanted = match most {
                    u32::MAX => "a whole number that is not negative".to_owned(),
                    most => format!("a whole number from 0 to {most}"),
                };
                self.wrong(node, format!("expected {wanted}, found {number}"), None);
                None
            }
            _ => {
                self.wrong_type(node, "a number", None);
                None
            }
        }
    }

    /// A duration longer than nothing, such as `5m`.
    pub fn duration(&mut self, node: &Node) -> Option<Duration> {
        let hint = "write a number and a unit, such as `90s`, `5m`, `1h 30m`".to_owned();
        let parsed = match &node.value {
            Value::Text(text) => humantime::parse_duration(text).ok(),
            _ => None,
        };
        match parsed {
            Some(Duration::ZERO) => self.wrong(node, "must be longer than nothing", None),
            Some(duration) => return Some(duration),
            None => self.wrong_type(node, "a duration", Some(hint)),
        }
        None
    }

    /// One of a few words; `later` are those that this version does not know yet.
    pub fn word<T: Copy>(&mut self, node: &Node, words: &[(&str, T)], later: &[&str]) -> Option<T> {
        let known = || words.iter().map(|(word, _)| *word);
        let listed = || format!("`{}`", known().collect::<Vec<_>>().join("` or `"));
        let Value::Text(text) = &node.value else {
            self.wrong_type(node, &listed(), None);
            return None;
        };
        let found = words.iter().find(|(word, _)| word == text);
        if found.is_none() && later.contains(&text.as_str()) {
            self.wrong(node, unsupported(text), Some(format!("use {}", listed())));
        } else if found.is_none() {
            self.wrong_type(node, &listed(), did_you_mean(text, known()));
        }
        found.map(|(_, value)| *value)
    }
}

impl<'n> Fields<'n> {
    /// What stands at a field, which is thereby known.
    pub fn take(&mut self, name: &'static str) -> Option<&'n Node> {
        self.take_with_key(name).map(|(_, node)| node)
    }

    /// The same with the place of the name itself.
    pub fn take_with_key(&mut self, name: &'static str) -> Option<(&'n At<String>, &'n Node)> {
        self.known.push(name);
        self.take_former(name)
    }

    /// The same of a field that was called otherwise once.
    pub fn take_former(&mut self, name: &str) -> Option<(&'n At<String>, &'n Node)> {
        let index = self.left.iter().position(|(key, _)| key.value == name)?;
        Some(self.left.remove(index))
    }

    /// Complains about fields of a capability that this version doesn't have yet.
    pub fn refuse(&mut self, names: &[&str], decoder: &mut Decoder<'_>) {
        self.left.retain(|(key, _)| {
            let later = names.contains(&key.value.as_str());
            if later {
                decoder.wrong(*key, unsupported(&key.value), None);
            }
            !later
        });
    }

    /// Complains about fields that would be fine elsewhere: `why` they are not here.
    pub fn misplaced(&mut self, names: &[&str], why: &str, decoder: &mut Decoder<'_>) {
        self.left.retain(|(key, _)| {
            let misplaced = names.contains(&key.value.as_str());
            if misplaced {
                let message = format!("`{}` cannot stand here", key.value);
                decoder.wrong(*key, message, Some(why.to_owned()));
            }
            !misplaced
        });
    }

    /// Complains about what nobody has asked for.
    pub fn finish(self, decoder: &mut Decoder<'_>) {
        for (key, _) in self.left {
            let listed = || format!("the fields here are {}", self.known.join(", "));
            let hint = did_you_mean(&key.value, self.known.iter().copied());
            let message = format!("unknown field `{}`", key.value);
            decoder.wrong(key, message, Some(hint.unwrap_or_else(listed)));
        }
    }
}

fn unsupported(name: &str) -> String {
    format!("`{name}` is not supported by this version")
}
