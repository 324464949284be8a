//! From what is live to the edit of source files, each step proven by rendering.

use std::collections::BTreeSet;
use std::sync::Arc;

use serde_json::Value;

use super::changes::changes;
use super::gone;
use super::kustomize::{self, Layer};
use super::manifests;
use super::tree::EditedTree;
use super::yaml::{print, put, take};
use crate::config::{Unit, UnitType};
use crate::fields::same;
use crate::model::{ObjectId, PART_OF, Tree, emit, holds_secret};
use crate::render::{self, Manifest, Tools};

/// An object of a unit, and what its source is to say.
#[derive(Debug, Clone)]
pub struct LiveObject {
    /// The object.
    pub id: ObjectId,
    /// What is to be declared of it.
    pub wanted: Wanted,
}

/// What is to be declared of an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Wanted {
    /// All of this, as [`crate::fields::kept`] gives it.
    As(Value),
    /// Nothing: it is gone.
    Gone,
}

/// What came of it.
pub struct Adoption {
    /// The tree with the edits.
    pub tree: EditedTree,
    /// The objects that it declares as wanted, each with the fields that were changed;
    /// those that it declares no more with the word for that.
    pub taken: Vec<(ObjectId, Vec<String>)>,
    /// The objects for which there is no edit, and why.
    pub left: Vec<Left>,
    /// Other units that read a file which was edited.
    pub also: BTreeSet<String>,
}

/// An object for which no edit does it.
pub struct Left {
    /// The object.
    pub object: ObjectId,
    /// Why.
    pub why: Why,
    /// What would have to change, as a patch of the object; nothing for a Secret.
    pub patch: Option<String>,
}

/// Why no edit makes the repository declare what is live.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Why {
    /// Its values don't belong there.
    #[error("it is a Secret, and what is in it is never written to Git")]
    Secret,
    /// The unit doesn't render, so nothing can be proven.
    #[error("its unit can't be rendered: {0}")]
    Unrendered(String),
    /// It is not among what the unit renders.
    #[error("the unit does not declare it")]
    NotDeclared,
    /// It is not in the file that should have it.
    #[error("it is not found in {path}")]
    NotFound {
        /// The file.
        path: String,
    },
    /// A file can't be read.
    #[error("{path} can't be read: {message}")]
    Unreadable {
        /// The file.
        path: String,
        /// Why.
        message: String,
    },
    /// What says that it is gone would say so for others too.
    #[error("{path} is read by {units} as well, where it would be deleted")]
    Shared {
        /// The file.
        path: String,
        /// The other units.
        units: String,
    },
    /// The file can't say so.
    #[error("{path}: {message}")]
    Unwritable {
        /// The file.
        path: String,
        /// Why.
        message: String,
    },
    /// Whatever was tried, rendering gave something else.
    #[error("no edit of its files makes rendering give exactly this: {fields}")]
    NoPlace {
        /// The fields in question.
        fields: String,
    },
}

/// The other units of the repository, by a name for people.
pub type Others = Vec<(String, Unit)>;

/// Edits the files of a unit so that it renders these objects as wanted, and everything
/// else as before. What others read as well is never edited so that an object is gone.
pub async fn adopt_changes(
    tree: &Arc<dyn Tree>,
    unit: &Unit,
    others: &Others,
    tools: &Tools,
    objects: &[LiveObject],
) -> Adoption {
    let mut adoption = Adoption {
        tree: EditedTree::new(Arc::clone(tree)),
        taken: Vec::new(),
        left: Vec::new(),
        also: BTreeSet::new(),
    };
    for object in objects {
        // What was edited for those before has moved it.
        let before = rendered(&adoption.tree, unit, tools).await;
        let subject = before.as_ref().map_err(Clone::clone);
        let subject = subject.and_then(|all| Subject::new(unit, object, all));
        let result = match (&subject, before) {
            // What is wanted already needs no edit.
            (Err(Why::NotDeclared), _) if object.wanted == Wanted::Gone => continue,
            (Ok(subject), Ok(before)) => {
                take_over(&adoption.tree, unit, others, tools, subject, before).await
            }
            (Err(why), _) => Err(why.clone()),
            (_, Err(why)) => Err(why),
        };
        match result {
            Ok(edited) => {
                let fields = subject.map(|subject| subject.fields()).unwrap_or_default();
                adoption.tree = edited;
                if !fields.is_empty() {
                    adoption.taken.push((object.id.clone(), fields));
                }
            }
            Err(why) => {
                let patch = subject.ok().map(|subject| subject.patch());
                adoption.left.push(Left {
                    object: object.id.clone(),
                    why,
                    patch,
                });
            }
        }
    }
    adoption.also = readers(&adoption.tree, others);
    adoption
}

/// The units that read a file which was edited.
fn readers(tree: &EditedTree, others: &Others) -> BTreeSet<String> {
    let reads = |unit: &Unit| {
        let places = render::places(tree, unit).unwrap_or_default();
        tree.files().keys().any(|file| within(file, &places))
    };
    let found = others.iter().filter(|(_, unit)| reads(unit));
    found.map(|(name, _)| name.clone()).collect()
}

/// Whether a file is, or lies in, one of these places.
pub(super) fn within(file: &str, places: &[String]) -> bool {
    places.iter().any(|place| {
        place.is_empty()
            || file
                .strip_prefix(place.as_str())
                .is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    })
}

/// An object as its unit renders it, and as it is to.
pub(super) struct Subject {
    /// Its place among what the unit renders.
    pub(super) index: usize,
    pub(super) manifest: Manifest,
    pub(super) after: Wanted,
}

impl Subject {
    fn new(unit: &Unit, object: &LiveObject, all: &[Manifest]) -> Result<Self, Why> {
        if holds_secret(&object.id) {
            return Err(Why::Secret);
        }
        let namespace = unit.namespace.as_deref().unwrap_or("default");
        let is = |manifest: &Manifest| {
            let own = manifest.namespace.as_deref().unwrap_or(namespace);
            manifest.kind == object.id.kind
                && manifest.name == object.id.name
                && object
                    .id
                    .namespace
                    .as_deref()
                    .is_none_or(|name| name == own)
        };
        let index = all.iter().position(is).ok_or(Why::NotDeclared)?;
        let manifest = all[index].clone();
        let after = match &object.wanted {
            Wanted::As(wanted) => Wanted::As(as_declared(&manifest.body(), wanted.clone())),
            Wanted::Gone => Wanted::Gone,
        };
        Ok(Self {
            index,
            manifest,
            after,
        })
    }

    fn fields(&self) -> Vec<String> {
        let Wanted::As(after) = &self.after else {
            return vec!["deleted".to_owned()];
        };
        let changes = changes(&self.manifest.body(), after);
        changes.iter().map(|change| print(&change.path)).collect()
    }

    fn patch(&self) -> String {
        match &self.after {
            Wanted::As(after) => emit(&kustomize::merge_patch(&self.manifest, after)),
            Wanted::Gone => emit(&kustomize::delete_patch(&self.manifest)),
        }
    }
}

/// Without what the agent adds to an object before it applies it.
fn as_declared(body: &Value, mut wanted: Value) -> Value {
    if let Some(metadata) = wanted.get_mut("metadata").and_then(Value::as_object_mut) {
        match body.pointer("/metadata/namespace") {
            Some(namespace) => metadata.insert("namespace".to_owned(), namespace.clone()),
            None => metadata.remove("namespace"),
        };
        let declared = body.pointer("/metadata/labels");
        if let Some(Value::Object(labels)) = metadata.get_mut("labels") {
            match declared.and_then(|labels| labels.get(PART_OF)) {
                Some(own) => drop(labels.insert(PART_OF.to_owned(), own.clone())),
                None => drop(labels.remove(PART_OF)),
            }
            if labels.is_empty() && declared.is_none() {
                metadata.remove("labels");
            }
        }
    }
    wanted
}

async fn take_over(
    tree: &EditedTree,
    unit: &Unit,
    others: &Others,
    tools: &Tools,
    subject: &Subject,
    before: Vec<Manifest>,
) -> Result<EditedTree, Why> {
    let (manifest, index) = (&subject.manifest, subject.index);
    let after = match &subject.after {
        Wanted::As(after) => after,
        Wanted::Gone => return gone::take_out(tree, unit, others, tools, subject, &before).await,
    };
    match unit.kind {
        UnitType::Manifests => {
            let edited = vec![manifests::edit(tree, manifest, after)?];
            let proof = |is: &[Manifest]| faithful(&before, is, index, after);
            let found = first_proven(edited, unit, tools, proof).await;
            found
                .map(|(edited, _)| edited)
                .ok_or_else(|| no_place([print(&[])]))
        }
        UnitType::Kustomize => in_layers(tree, unit, others, tools, subject, after, before).await,
    }
}

pub(super) fn no_place(fields: impl IntoIterator<Item = String>) -> Why {
    let fields: Vec<String> = fields.into_iter().collect();
    Why::NoPlace {
        fields: fields.join(", "),
    }
}

/// Each field where it is set, and those that are set nowhere in a patch of the overlay.
async fn in_layers(
    tree: &EditedTree,
    unit: &Unit,
    others: &Others,
    tools: &Tools,
    subject: &Subject,
    after: &Value,
    mut before: Vec<Manifest>,
) -> Result<EditedTree, Why> {
    let index = subject.index;
    let mut tree = tree.clone();
    let mut rest = Vec::new();
    let shared = shared_places(&tree, others);
    let own = |file: &str| within(file, std::slice::from_ref(&unit.path)) || !within(file, &shared);
    for change in changes(&subject.manifest.body(), after) {
        let manifest = before[index].clone();
        let mut wanted = manifest.body();
        match &change.to {
            Some(to) => drop(put(&mut wanted, &change.path, to.clone())),
            None => drop(take(&mut wanted, &change.path)),
        }
        let layers = Layer::all(&tree, &unit.path)?;
        let candidates = kustomize::candidates(&tree, &layers, &manifest, &change, &own);
        let proof = |is: &[Manifest]| faithful(&before, is, index, &wanted);
        match first_proven(candidates, unit, tools, proof).await {
            Some((edited, after)) => (tree, before) = (edited, after),
            None => rest.push(change),
        }
    }
    if rest.is_empty() {
        return Ok(tree);
    }
    let layers = Layer::all(&tree, &unit.path)?;
    let patches = kustomize::patches(&tree, &layers, &before[index], after);
    let proof = |is: &[Manifest]| faithful(&before, is, index, after);
    let found = first_proven(patches, unit, tools, proof).await;
    let fields = rest.iter().map(|change| print(&change.path));
    found
        .map(|(edited, _)| edited)
        .ok_or_else(|| no_place(fields))
}

fn shared_places(tree: &EditedTree, others: &Others) -> Vec<String> {
    let places = others.iter().map(|(_, unit)| render::places(tree, unit));
    places.filter_map(Result::ok).flatten().collect()
}

/// The first of several edits whose render is exactly what is wanted.
pub(super) async fn first_proven(
    candidates: Vec<EditedTree>,
    unit: &Unit,
    tools: &Tools,
    proof: impl Fn(&[Manifest]) -> bool,
) -> Option<(EditedTree, Vec<Manifest>)> {
    for edited in candidates {
        if let Ok(after) = rendered(&edited, unit, tools).await
            && proof(&after)
        {
            return Some((edited, after));
        }
    }
    None
}

async fn rendered(tree: &EditedTree, unit: &Unit, tools: &Tools) -> Result<Vec<Manifest>, Why> {
    let tree: Arc<dyn Tree> = Arc::new(tree.clone());
    let rendered = render::render(&tree, unit, tools).await;
    let rendered = rendered.map_err(|errors| Why::Unrendered(errors.to_string()))?;
    Ok(rendered.manifests().to_vec())
}

/// Whether one object is as wanted, and every other as it was.
fn faithful(before: &[Manifest], after: &[Manifest], index: usize, wanted: &Value) -> bool {
    before.len() == after.len()
        && before.iter().zip(after).enumerate().all(|(at, (was, is))| {
            let alike = if at == index {
                same(wanted, &is.body())
            } else {
                was.json == is.json || same(&was.body(), &is.body())
            };
            is_same(was, is) && alike
        })
}

pub(super) fn is_same(one: &Manifest, other: &Manifest) -> bool {
    one.kind == other.kind && one.name == other.name && one.namespace == other.namespace
}
