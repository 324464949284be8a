//! The units of other environments that objects were found to belong to.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Mutex;

use tracing::debug;

use super::pass::Context;
use crate::kube;
use crate::model::Claim;
use crate::runtime::lock::lock;

/// What is known of ApplySets that are not the environment's, by their ids; `None` for one
/// that is nobody's here.
#[derive(Debug, Default)]
pub struct Others(Mutex<BTreeMap<String, Option<Claim>>>);

/// Whose these ApplySets are. Asked for once for each of them; where it can't be told,
/// nothing is known.
pub(super) async fn named(context: &Context, ids: &BTreeSet<String>) -> BTreeMap<String, Claim> {
    let known = |id: &String| lock(&context.others.0).contains_key(id);
    if !ids.iter().all(known) {
        match kube::claims(&context.cluster, &context.namespace).await {
            Ok(mut all) => {
                let found = ids.iter().map(|id| (id.clone(), all.remove(id)));
                lock(&context.others.0).extend(found);
            }
            Err(error) => debug!(%error, "whose the objects are can't be told"),
        }
    }
    let known = lock(&context.others.0);
    let found = ids.iter().filter_map(|id| {
        let claim = known.get(id)?.clone()?;
        Some((id.clone(), claim))
    });
    found.collect()
}
