//! From the parser's events to values. Without recursion, and counting all it makes:
//! the file is whatever somebody pushed.

use std::borrow::Cow;
use std::collections::HashMap;

use granit_parser::{Event, ScalarStyle, Tag};
use serde_json::Value;

use super::map::Members;
use super::scalar::{self, Scalar};
use super::{
    Document, MAX_COPIED, MAX_DEPTH, MAX_DOCUMENTS, MAX_NODES, Mark, Position, YamlError,
    YamlWarning,
};
use crate::model::{Measure, UnitBudget};

/// What was read of a file so far.
#[derive(Default)]
pub(super) struct Reader {
    /// The document that was just ended.
    pub(super) document: Option<Document>,
    /// The collections that are open, outermost first.
    open: Vec<Frame>,
    /// What each anchor stands for; `None` while it is still being read.
    anchors: HashMap<usize, Option<Node>>,
    warnings: Vec<YamlWarning>,
    /// Documents so far.
    count: usize,
    /// Nodes of the document, written and copied.
    size: usize,
    /// Nodes written in the file, and those that aliases and anchors copied.
    written: usize,
    copied: usize,
    /// Bytes of text that they copied.
    copied_bytes: usize,
}

/// A node that is complete.
#[derive(Clone)]
pub(super) struct Node {
    pub(super) value: Value,
    pub(super) mark: Mark,
    /// Nodes in it, itself included.
    size: usize,
    /// Bytes of text in it.
    bytes: usize,
    /// Levels in it, itself included.
    height: usize,
}

/// A collection that is being read.
struct Frame {
    at: Position,
    anchor: usize,
    size: usize,
    bytes: usize,
    height: usize,
    content: Content,
}

enum Content {
    Items(Vec<Value>, Vec<Mark>),
    Map(Members, Key),
}

/// What a map waits for.
enum Key {
    /// For the next key.
    Awaited,
    /// For the value of this key.
    Named(String, Position),
    /// For what `<<` merges.
    Merge(Position),
}

impl Reader {
    /// Takes in what comes next.
    pub(super) fn take(
        &mut self,
        event: Event<'_>,
        at: Position,
        budget: &mut UnitBudget,
    ) -> Result<(), YamlError> {
        match event {
            Event::DocumentStart(..) => {
                self.anchors.clear();
                self.size = 0;
            }
            Event::Scalar(text, style, anchor, tag) => {
                self.count_written(at, budget)?;
                self.scalar(&text, style, anchor, tag.as_deref(), at)?;
            }
            Event::SequenceStart(_, anchor, _) => {
                self.count_written(at, budget)?;
                self.begin(at, anchor, Content::Items(Vec::new(), Vec::new()))?;
            }
            Event::MappingStart(_, anchor, _) => {
                self.count_written(at, budget)?;
                self.begin(at, anchor, Content::Map(Members::default(), Key::Awaited))?;
            }
            Event::SequenceEnd | Event::MappingEnd => self.end(budget)?,
            Event::Alias(anchor) => self.alias(anchor, at, budget)?,
            _ => {}
        }
        Ok(())
    }

    fn scalar(
        &mut self,
        text: &str,
        style: ScalarStyle,
        anchor: usize,
        tag: Option<&Tag>,
        at: Position,
    ) -> Result<(), YamlError> {
        let tag = tag.map(own_tag);
        let plain = style == ScalarStyle::Plain && tag.is_none();
        if plain && scalar::boolean_of_yaml_1_1_only(text) {
            self.warn_boolean(text, at);
        }
        if let Some(Content::Map(_, key @ Key::Awaited)) = self.content()
            && text == "<<"
            && (plain || tag.as_deref() == Some("merge"))
        {
            *key = Key::Merge(at);
            return Ok(());
        }
        let resolved =
            resolve(text, style, tag.as_deref()).map_err(|message| YamlError { at, message })?;
        let node = |resolved: Scalar| {
            Ok(Node {
                value: resolved
                    .into_value()
                    .map_err(|message| YamlError { at, message })?,
                mark: Mark {
                    at,
                    children: Vec::new(),
                },
                size: 1,
                bytes: text.len(),
                height: 1,
            })
        };
        if anchor != 0 {
            self.anchors.insert(anchor, Some(node(resolved.clone())?));
        }
        match self.content() {
            Some(Content::Map(_, key @ Key::Awaited)) => {
                let name = resolved
                    .into_key()
                    .map_err(|message| YamlError { at, message })?;
                *key = Key::Named(name, at);
                Ok(())
            }
            _ => self.place(node(resolved)?),
        }
    }

    fn content(&mut self) -> Option<&mut Content> {
        self.open.last_mut().map(|frame| &mut frame.content)
    }

    fn warn_boolean(&mut self, text: &str, at: Position) {
        self.warnings.push(YamlWarning {
            at,
            text: format!(
                "unquoted `{text}` is a boolean to kubectl but text to kustomize; \
                 write true or false, or quote it"
            ),
            written: Some(text.to_owned()),
        });
    }

    fn begin(&mut self, at: Position, anchor: usize, content: Content) -> Result<(), YamlError> {
        if let Some(Content::Map(_, Key::Awaited)) = self.content() {
            return error(at, "a key must be a scalar, not a map or a list");
        }
        if self.open.len() >= MAX_DEPTH {
            return error(at, too_deep());
        }
        if anchor != 0 {
            self.anchors.insert(anchor, None);
        }
        self.open.push(Frame {
            at,
            anchor,
            size: 1,
            bytes: 0,
            height: 1,
            content,
        });
        Ok(())
    }

    fn end(&mut self, budget: &mut UnitBudget) -> Result<(), YamlError> {
        let Some(frame) = self.open.pop() else {
            return Ok(());
        };
        let (value, children) = match frame.content {
            Content::Items(items, marks) => (Value::Array(items), marks),
            Content::Map(members, _) => {
                let (map, marks) = members.finish();
                (Value::Object(map), marks)
            }
        };
        let node = Node {
            value,
            mark: Mark {
                at: frame.at,
                children,
            },
            size: frame.size,
            bytes: frame.bytes,
            height: frame.height,
        };
        if frame.anchor != 0 {
            self.count_copied(&node, frame.at, budget)?;
            self.anchors.insert(frame.anchor, Some(node.clone()));
        }
        self.place(node)
    }

    fn alias(
        &mut self,
        anchor: usize,
        at: Position,
        budget: &mut UnitBudget,
    ) -> Result<(), YamlError> {
        let Some(target) = self.anchors.get(&anchor) else {
            return error(at, "this alias has no anchor");
        };
        let Some(target) = target else {
            return error(at, "this alias stands within its own anchor");
        };
        let node = target.clone();
        self.count_copied(&node, at, budget)?;
        if self.open.len() + node.height > MAX_DEPTH {
            return error(at, too_deep());
        }
        if let Some(Content::Map(_, key @ Key::Awaited)) = self.content() {
            *key = Key::Named(key_of(node.value, at)?, at);
            return Ok(());
        }
        self.place(node)
    }

    /// Puts a complete node where it belongs.
    fn place(&mut self, node: Node) -> Result<(), YamlError> {
        let Some(frame) = self.open.last_mut() else {
            return self.document(node);
        };
        frame.size += node.size;
        frame.bytes += node.bytes;
        frame.height = frame.height.max(node.height + 1);
        match &mut frame.content {
            Content::Items(items, marks) => {
                items.push(node.value);
                marks.push(node.mark);
                Ok(())
            }
            Content::Map(members, key) => match std::mem::replace(key, Key::Awaited) {
                Key::Named(name, at) => members.set(name, at, node),
                Key::Merge(at) => {
                    let overridden = members.merge(node, at)?;
                    self.warn_overridden(&overridden, at);
                    Ok(())
                }
                Key::Awaited => error(frame.at, "a key must be a scalar, not a map or a list"),
            },
        }
    }

    fn warn_overridden(&mut self, keys: &[String], at: Position) {
        for key in keys {
            self.warnings.push(YamlWarning {
                at,
                text: format!(
                    "`<<` overrides `{key}`, which is set above it, for kubectl but not for \
                     kustomize; put `<<` first"
                ),
                written: None,
            });
        }
    }

    fn document(&mut self, node: Node) -> Result<(), YamlError> {
        let warnings = std::mem::take(&mut self.warnings);
        if node.value.is_null() {
            return Ok(());
        }
        if self.count == MAX_DOCUMENTS {
            return error(
                node.mark.at,
                format!("more than {MAX_DOCUMENTS} documents in one file"),
            );
        }
        self.count += 1;
        self.document = Some(Document {
            value: node.value,
            warnings,
            mark: node.mark,
        });
        Ok(())
    }

    fn count_written(&mut self, at: Position, budget: &mut UnitBudget) -> Result<(), YamlError> {
        self.written += 1;
        self.count(1, at, budget)
    }

    /// An honest file repeats itself a few times over; a bomb by orders of magnitude.
    fn count_copied(
        &mut self,
        node: &Node,
        at: Position,
        budget: &mut UnitBudget,
    ) -> Result<(), YamlError> {
        self.copied += node.size;
        self.copied_bytes += node.bytes;
        if self.copied_bytes > MAX_COPIED {
            return error(
                at,
                format!("aliases expand to more than {MAX_COPIED} bytes here"),
            );
        }
        let allowed = 10 * self.written + 10_000;
        if self.copied > allowed {
            return error(
                at,
                format!("aliases expand to more than {allowed} values here"),
            );
        }
        self.count(node.size, at, budget)
    }

    fn count(
        &mut self,
        nodes: usize,
        at: Position,
        budget: &mut UnitBudget,
    ) -> Result<(), YamlError> {
        self.size += nodes;
        if self.size > MAX_NODES {
            return error(at, format!("more than {MAX_NODES} values in one document"));
        }
        match budget.draw(Measure::Values, nodes as u64) {
            Ok(()) => Ok(()),
            Err(exceeded) => error(at, format!("{exceeded}; {}", exceeded.hint())),
        }
    }
}

/// What follows `!!`, and nothing for anybody else's tag.
fn own_tag(tag: &Tag) -> String {
    tag.suffix_in_namespace("tag:yaml.org,2002:")
        .map(Cow::into_owned)
        .unwrap_or_default()
}

fn resolve(text: &str, style: ScalarStyle, tag: Option<&str>) -> Result<Scalar, String> {
    match tag {
        None if style == ScalarStyle::Plain => Ok(scalar::plain(text)),
        None => Ok(Scalar::Text(text.to_owned())),
        Some(tag) => scalar::tagged(tag, text),
    }
}

/// An alias as a key.
fn key_of(value: Value, at: Position) -> Result<String, YamlError> {
    match value {
        Value::String(text) => Ok(text),
        Value::Bool(_) | Value::Number(_) => Ok(value.to_string()),
        _ => error(at, "a key must be a scalar other than null"),
    }
}

fn too_deep() -> String {
    format!("nested more than {MAX_DEPTH} levels deep")
}

pub(super) fn error<T>(
    at: Position,
    message: impl Into<Cow<'static, str>>,
) -> Result<T, YamlError> {
    Err(YamlError {
        at,
        message: message.into().into_owned(),
    })
}
