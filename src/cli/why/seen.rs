//! What the cluster and the record know of a field.

use std::time::Duration;

use serde_json::Value;

use super::{Place, Question, Seen, Told};
use crate::config;
use crate::fields;
use crate::kube::InventoryParent;
use crate::model::{Live, ObjectId, PART_OF, UnitName, shows_secret};
use crate::record::lines::Changed;
use crate::record::{Event, ObjectFiles, RecordView, Recorded};

/// How many of the latest entries are told.
const LATEST: usize = 5;
/// How long the cluster may take to answer.
const PATIENCE: Duration = Duration::from_secs(10);

/// A Secret's values are not shown.
pub(super) fn shown(
    asked: &Question<'_>,
    id: &ObjectId,
    object: &Value,
    value: Option<Value>,
) -> Option<Value> {
    let field = asked.field.as_ref().map(ToString::to_string);
    let public = field.is_some_and(|field| {
        field.starts_with("metadata.") && !field.starts_with("metadata.annotations")
    });
    match value {
        Some(_) if shows_secret(id, object) && !public => Some("(hidden)".into()),
        value => value,
    }
}

/// What is live, from the cluster. What was let go may be nobody's by now.
pub(super) async fn live(
    asked: &Question<'_>,
    place: &Place,
    environment: &config::Environment,
    unit: Option<&UnitName>,
    object: &ObjectId,
    let_go: bool,
) -> Seen {
    let unknown = |unknown: String| Seen::Unknown { unknown };
    let cluster = match &place.cluster {
        Ok(cluster) => cluster,
        Err(error) => return unknown(error.clone()),
    };
    let answered = tokio::time::timeout(PATIENCE, cluster.get(object, None)).await;
    let live = match answered {
        Ok(Ok(Some(live))) => live,
        Ok(Ok(None)) => return unknown("the cluster has no such object".to_owned()),
        Ok(Err(error)) => return unknown(error.to_string()),
        Err(_) => return unknown(format!("no answer within {} s", PATIENCE.as_secs())),
    };
    let ours = unit
        .map(|unit| InventoryParent::new(&asked.namespace, &environment.name, unit).apply_set());
    let label = live.label(PART_OF).map(str::to_owned);
    if label != ours && !(let_go && label.is_none()) {
        let name = &environment.name;
        return unknown(format!(
            "the object in this cluster is not that of {name}; is it the cluster of {name}? --context names another"
        ));
    }
    known(asked, object, &live)
}

fn known(asked: &Question<'_>, object: &ObjectId, live: &Live) -> Seen {
    let Some(field) = &asked.field else {
        let owners = fields::owners(live).into_iter();
        return Seen::Known {
            value: None,
            managers: owners.map(|owner| owner.manager).collect(),
        };
    };
    let pointer = field.pointer(&live.body);
    let there = pointer.rest == 0;
    let value = live.body.pointer(&pointer.text).filter(|_| there).cloned();
    Seen::Known {
        value: shown(asked, object, &live.body, value),
        managers: if there {
            fields::holders(live, &pointer.text)
        } else {
            Vec::new()
        },
    }
}

/// The last drift of the field, and the latest entries about the object.
pub(super) fn told(
    asked: &Question<'_>,
    view: &RecordView,
) -> anyhow::Result<(Option<Told>, Vec<Told>)> {
    let mut files = ObjectFiles::new(view, asked.object);
    let (mut last_drift, mut entries) = (None, Vec::new());
    for entry in view.history() {
        let entry = entry?;
        let touched = entry.names(asked.object) || files.change(&entry)?.is_some();
        if !touched {
            continue;
        }
        let change = change(asked, &entry);
        let about = asked.field.is_none() || change.is_some();
        let told = Told::of(&entry, change);
        if last_drift.is_none() && about && entry.event() == Some(Event::Drift) {
            last_drift = Some(told.clone());
        }
        if entries.len() < LATEST {
            entries.push(told);
        } else if last_drift.is_some() {
            break;
        }
    }
    Ok((last_drift, entries))
}

/// What an entry says of the field.
fn change(asked: &Question<'_>, entry: &Recorded) -> Option<String> {
    let field = asked.field.as_ref()?;
    let mut named: Vec<Changed> = entry.objects();
    named.retain(|named| asked.object.named_in(&named.object));
    let fields = named.into_iter().flat_map(|named| named.fields);
    fields
        .filter(|changed| field.covers(&changed.path))
        .map(|changed| changed.change)
        .next()
}
