//! Files that declare an object no more.

use std::collections::BTreeSet;

use super::kustomize::{self, Layer};
use super::manifests;
use super::source::{Others, Subject, Why, first_proven, is_same, no_place, within};
use super::tree::EditedTree;
use crate::config::{Unit, UnitType};
use crate::fields::same;
use crate::render::{self, Manifest, Tools};

/// Takes an object out of what a unit declares.
pub(super) async fn take_out(
    tree: &EditedTree,
    unit: &Unit,
    others: &Others,
    tools: &Tools,
    subject: &Subject,
    before: &[Manifest],
) -> Result<EditedTree, Why> {
    let readers = |file: &str| -> BTreeSet<String> {
        let reads = |unit: &Unit| {
            let places = render::places(tree, unit);
            places.is_ok_and(|places| within(file, &places))
        };
        let found = others.iter().filter(|(_, unit)| reads(unit));
        found.map(|(name, _)| name.clone()).collect()
    };
    let own = |file: &str| readers(file).is_empty();
    let shared = |path: &str| Why::Shared {
        path: path.to_owned(),
        units: readers(path).into_iter().collect::<Vec<_>>().join(", "),
    };
    let path = &subject.manifest.origin.path;
    let candidates = match unit.kind {
        UnitType::Manifests if !own(path) => return Err(shared(path)),
        UnitType::Manifests => vec![manifests::remove(tree, &subject.manifest)?],
        UnitType::Kustomize => {
            let layers = Layer::all(tree, &unit.path)?;
            if let Some(overlay) = layers.first().filter(|layer| !own(layer.file())) {
                return Err(shared(overlay.file()));
            }
            kustomize::removals(tree, &layers, &subject.manifest, &own)
        }
    };
    let proof = |after: &[Manifest]| without(before, after, subject.index);
    let found = first_proven(candidates, unit, tools, proof).await;
    found
        .map(|(edited, _)| edited)
        .ok_or_else(|| no_place(["that it is gone".to_owned()]))
}

/// Whether one object is gone, and every other as it was.
fn without(before: &[Manifest], after: &[Manifest], index: usize) -> bool {
    let rest = before.iter().enumerate().filter(|(at, _)| *at != index);
    after.len() + 1 == before.len()
        && rest.zip(after).all(|((_, was), is)| {
            is_same(was, is) && (was.json == is.json || same(&was.body(), &is.body()))
        })
}
