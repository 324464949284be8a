//! Where a kustomization sets a field: in the images and replicas of one of its layers,
//! in a patch, in a resource, in what a ConfigMap is generated from. Each place that may
//! be it gives a candidate; which one it is, rendering tells.

mod entries;
mod gone;
mod layer;
mod patch;
mod resources;
mod set;

use super::changes::FieldChange;
use super::tree::EditedTree;
use crate::render::Manifest;

pub(super) use gone::{delete_patch, removals};
pub(super) use layer::{Layer, place_of_new, with_resource};
pub(super) use set::{merge_patch, patches};

/// What a change is looked for with.
pub(super) struct Search<'a> {
    pub(super) tree: &'a EditedTree,
    pub(super) layers: &'a [Layer],
    pub(super) manifest: &'a Manifest,
    pub(super) change: &'a FieldChange,
    /// Whether a file may be edited: no other unit reads it.
    pub(super) own: &'a dyn Fn(&str) -> bool,
}

/// The edits that may make the change, the one that a person would try first at first:
/// what overrides others before what is overridden.
pub(super) fn candidates(
    tree: &EditedTree,
    layers: &[Layer],
    manifest: &Manifest,
    change: &FieldChange,
    own: &dyn Fn(&str) -> bool,
) -> Vec<EditedTree> {
    let search = Search {
        tree,
        layers,
        manifest,
        change,
        own,
    };
    let mut found = Vec::new();
    for layer in layers {
        entries::images(&search, layer, &mut found);
        entries::replicas(&search, layer, &mut found);
        entries::generators(&search, layer, &mut found);
        patch::patches(&search, layer, &mut found);
    }
    resources::resources(&search, &mut found);
    found
}

impl Search<'_> {
    /// Takes an edit of a file in, if there is one and the file may be edited.
    fn offer(&self, path: &str, edited: Option<String>, found: &mut Vec<EditedTree>) {
        if let Some(edited) = edited.filter(|_| (self.own)(path)) {
            let mut tree = self.tree.clone();
            tree.write(path, edited);
            found.push(tree);
        }
    }
}
