//! Paths of fields as a user writes them, in the form in which they are printed:
//! `spec.template.spec.containers[name=web].image`, `metadata.annotations["a.b/c"]`.
//! A `*` stands for anything within one step; a path covers everything below it.

use std::fmt;

use serde_json::Value;

use super::problem::did_you_mean;
use crate::model::text_of;

/// The path of a field, or of many where it has a `*`.
#[derive(Clone, PartialEq, Eq)]
pub struct FieldPath {
    text: String,
    steps: Vec<Step>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Step {
    /// A field, or the entry of a list of texts.
    Name(String),
    /// The item of a list that has these values.
    Item(Vec<(String, String)>),
    /// The item of a list that stands at a place in one object: what it usually goes by, and
    /// all values of its own.
    Placed {
        key: Vec<(String, String)>,
        values: Vec<(String, String)>,
    },
    /// A position in a list, or its entry that is no text.
    Entry(String),
    /// `[*]`
    Any,
}

/// Why a text is no path of a field, and what to write instead.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct FieldPathError {
    /// What is wrong.
    pub why: String,
    /// What to do about it.
    pub hint: Option<String>,
}

impl FieldPath {
    /// Reads the printed form.
    ///
    /// # Errors
    /// What of it can't be read.
    pub fn parse(text: &str) -> Result<Self, FieldPathError> {
        let mut reader = Reader { text, at: 0 };
        let mut steps = Vec::new();
        while reader.at < text.len() {
            steps.push(reader.step(steps.is_empty())?);
        }
        if steps.is_empty() {
            return Err(wrong("a path is empty", None));
        }
        Ok(Self {
            text: text.to_owned(),
            steps,
        })
    }

    /// Whether a field, by its printed path, is this one, one of these, or lies below.
    pub fn covers(&self, path: &str) -> bool {
        let Ok(path) = Self::parse(path) else {
            return false;
        };
        self.steps.len() <= path.steps.len()
            && self
                .steps
                .iter()
                .zip(&path.steps)
                .all(|(own, other)| own.covers(other))
    }

    /// The value of the one field that this names in an object; `None` where it isn't
    /// there, or where a `*` leaves open which is meant.
    pub fn resolve<'a>(&self, object: &'a Value) -> Option<&'a Value> {
        if self.text.contains('*') {
            return None;
        }
        self.steps
            .iter()
            .try_fold(object, |value, step| step.resolve(value))
    }

    /// The same, where an item of a list is named by its place in an object: `key` has the
    /// fields that it usually goes by.
    #[must_use]
    pub fn by_key(&self, object: &Value, key: impl Fn(&Value) -> Vec<(String, String)>) -> Self {
        let (mut steps, mut at) = (self.steps.clone(), Some(object));
        for step in &mut steps {
            let Some(value) = at else { break };
            at = step.resolve(value);
            if let (Step::Entry(_), Some(item @ Value::Object(_))) = (&*step, at) {
                let values = item.as_object().into_iter().flatten();
                let keyed = Step::Placed {
                    key: key(item),
                    values: values
                        .filter(|(_, value)| !value.is_object() && !value.is_array())
                        .map(|(name, value)| (name.clone(), text_of(value)))
                        .collect(),
                };
                // It may go by something else than usual.
                let same = keyed.resolve(value);
                if same.is_some_and(|same| std::ptr::eq(same, item)) {
                    *step = keyed;
                }
            }
        }
        let text = self.text.clone();
        Self { text, steps }
    }

    /// The field that may have been meant, where the first step that an object lacks is
    /// misspelt.
    pub fn did_you_mean(&self, object: &Value) -> Option<String> {
        let found = self.pointer(object);
        let missing = self.steps.len().checked_sub(found.rest)?;
        let (Step::Name(name), Value::Object(there)) =
            (self.steps.get(missing)?, object.pointer(&found.text)?)
        else {
            return None;
        };
        did_you_mean(name, there.keys().map(String::as_str))
    }

    /// The JSON pointer to that field in an object, as far down as it is there: `rest` is
    /// how many steps are missing then.
    pub fn pointer(&self, object: &Value) -> Pointer {
        let mut found = Pointer {
            text: String::new(),
            rest: self.steps.len(),
        };
        let mut value = object;
        for step in &self.steps {
            let Some(child) = step.resolve(value) else {
                break;
            };
            let token = match (value, step) {
                (Value::Array(items), _) => items
                    .iter()
                    .position(|item| std::ptr::eq(item, child))
                    .map(|at| at.to_string()),
                (_, Step::Name(name)) => Some(name.replace('~', "~0").replace('/', "~1")),
                _ => None,
            };
            let Some(token) = token else { break };
            found.text.push('/');
            found.text.push_str(&token);
            found.rest -= 1;
            value = child;
        }
        found
    }
}

/// Where a path leads to in one object.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pointer {
    /// As RFC 6901 writes it.
    pub text: String,
    /// How many steps of the path are not there.
    pub rest: usize,
}

impl fmt::Display for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl fmt::Debug for FieldPath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "FieldPath({:?})", self.text)
    }
}

impl Step {
    /// Whether another step, which is no pattern, is one of these.
    fn covers(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Any, _) => true,
            (Self::Name(pattern), Self::Name(name)) => matches(pattern, name),
            (Self::Item(wanted), Self::Item(key)) => wanted.iter().all(|(field, pattern)| {
                key.iter()
                    .any(|(name, value)| name == field && matches(pattern, value))
            }),
            // Whatever it is printed by; what has a default may not be said.
            (Self::Placed { values, .. }, Self::Item(key)) => {
                let own = |name: &str| values.iter().find(|(own, _)| own == name);
                let of_key = key.iter().map(|(name, value)| (own(name), value));
                let mut said = of_key.filter_map(|(own, value)| Some(own?.1 == *value));
                said.next() == Some(true) && said.all(|same| same)
            }
            (Self::Entry(a), Self::Entry(b)) => a == b,
            _ => false,
        }
    }

    fn resolve<'a>(&self, value: &'a Value) -> Option<&'a Value> {
        match (self, value) {
            (Self::Name(name), Value::Object(map)) => map.get(name),
            (Self::Name(text), Value::Array(items)) => items.iter().find(|item| *item == text),
            (Self::Item(key) | Self::Placed { key, .. }, Value::Array(items)) => {
                items.iter().find(|item| {
                    key.iter().all(|(field, wanted)| {
                        item.get(field).is_some_and(|own| spelled(own, wanted))
                    })
                })
            }
            (Self::Entry(text), Value::Array(items)) => {
                let by_place = text.parse().ok().and_then(|at: usize| items.get(at));
                items.iter().find(|item| spelled(item, text)).or(by_place)
            }
            _ => None,
        }
    }
}

fn spelled(value: &Value, text: &str) -> bool {
    match value {
        Value::String(value) => value == text,
        other => serde_json::from_str::<Value>(text).is_ok_and(|text| text == *other),
    }
}

/// Whether a text is as a pattern says, in which each `*` stands for any text.
pub(super) fn matches(pattern: &str, text: &str) -> bool {
    let mut parts = pattern.split('*');
    let first = parts.next().unwrap_or_default();
    let Some(mut rest) = text.strip_prefix(first) else {
        return false;
    };
    let Some(last) = parts.next_back() else {
        return rest.is_empty();
    };
    for part in parts {
        match rest.find(part) {
            Some(at) => rest = &rest[at + part.len()..],
            None => return false,
        }
    }
    rest.ends_with(last)
}

fn wrong(why: impl Into<String>, hint: Option<String>) -> FieldPathError {
    FieldPathError {
        why: why.into(),
        hint,
    }
}

struct Reader<'a> {
    text: &'a str,
    /// In bytes, always between two characters.
    at: usize,
}

/// What a name may have that is written without quotes.
fn plain(c: char) -> bool {
    c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '$' | '*')
}

impl<'a> Reader<'a> {
    fn rest(&self) -> &'a str {
        &self.text[self.at..]
    }

    fn take(&mut self, token: &str) -> bool {
        let there = self.rest().starts_with(token);
        if there {
            self.at += token.len();
        }
        there
    }

    fn step(&mut self, first: bool) -> Result<Step, FieldPathError> {
        if self.take("[") {
            return self.bracket();
        }
        if first && self.rest().starts_with('/') {
            let dotted = self.text.trim_start_matches('/').replace('/', ".");
            let hint = format!("write it with dots, as `agent diff` prints it: `{dotted}`");
            return Err(wrong(
                format!("`{}` is a JSON pointer", self.text),
                Some(hint),
            ));
        }
        if first && self.rest().starts_with('.') {
            let hint = format!("leave out the first dot: `{}`", &self.text[1..]);
            return Err(wrong("a path begins with a field", Some(hint)));
        }
        if !first && !self.take(".") {
            return Err(self.unexpected("`.` or `[`"));
        }
        let name: String = self.rest().chars().take_while(|c| plain(*c)).collect();
        self.at += name.len();
        if name.is_empty() {
            return Err(self.unexpected("a field's name"));
        }
        Ok(Step::Name(name))
    }

    /// After `[`.
    fn bracket(&mut self) -> Result<Step, FieldPathError> {
        let step = if self.take("*]") {
            return Ok(Step::Any);
        } else if self.rest().starts_with('"') {
            Step::Name(self.quoted()?)
        } else {
            let word = self.until(&['=', ']', '['])?;
            if self.rest().starts_with('=') {
                self.key(word)?
            } else if serde_json::from_str::<Value>(word).is_ok() {
                Step::Entry(word.to_owned())
            } else {
                let hint =
                    format!("write `[\"{word}\"]`, or `[name={word}]` for the item of a list");
                return Err(wrong(format!("`[{word}]` names nothing"), Some(hint)));
            }
        };
        if self.take("]") {
            Ok(step)
        } else {
            Err(self.unexpected("`]`"))
        }
    }

    /// `name=web,protocol=TCP`, from the first `=` on.
    fn key(&mut self, first: &str) -> Result<Step, FieldPathError> {
        let mut pairs = Vec::new();
        let mut name = first;
        while self.take("=") {
            let value = if self.rest().starts_with('"') {
                self.quoted()?
            } else {
                self.until(&[',', ']'])?.to_owned()
            };
            pairs.push((name.to_owned(), value));
            if self.take(",") {
                name = self.until(&['=', ']'])?;
            }
        }
        Ok(Step::Item(pairs))
    }

    fn until(&mut self, ends: &[char]) -> Result<&'a str, FieldPathError> {
        let rest = self.rest();
        let Some(end) = rest.find(ends) else {
            return Err(wrong(format!("`[{rest}` has no `]`"), None));
        };
        self.at += end;
        Ok(&rest[..end])
    }

    /// A JSON string.
    fn quoted(&mut self) -> Result<String, FieldPathError> {
        let mut texts = serde_json::Deserializer::from_str(self.rest()).into_iter::<String>();
        match texts.next() {
            Some(Ok(text)) => {
                self.at += texts.byte_offset();
                Ok(text)
            }
            _ => Err(wrong(
                format!("`{}` is not a text in quotes", self.rest()),
                None,
            )),
        }
    }

    fn unexpected(&self, wanted: &str) -> FieldPathError {
        let before = &self.text[..self.at];
        let Some(found) = self.rest().chars().next() else {
            return wrong(format!("expected {wanted} after `{before}`"), None);
        };
        let hint = (!matches!(found, '.' | '[' | ']' | '"')).then(|| {
            "a name with other than letters, digits, `-` and `_` goes into brackets and quotes: `metadata.annotations[\"example.com/name\"]`".to_owned()
        });
        wrong(
            format!("expected {wanted} after `{before}`, found `{found}`"),
            hint,
        )
    }
}
