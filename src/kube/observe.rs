//! Finding objects that the live view does not have: those never applied by us, those
//! that lost their label, and those that are gone.

use std::collections::{BTreeMap, BTreeSet};

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::cluster::Cluster;
use super::error::ApiError;
use super::path::version_of;
use crate::model::{GroupKind, Live, Namespace, ObjectId};

/// Up to this many objects of one kind and namespace are asked for one by one; more
/// are had cheaper by a list.
const FEW: usize = 3;

/// What the API server says of an object.
#[derive(Debug, Clone, PartialEq)]
pub enum Finding {
    /// It is there.
    Present(Live),
    /// The server said that it is not.
    Absent,
    /// It could not be asked.
    Unknown(ApiError),
}

/// Asks the API server for each object. A kind that the server does not serve has no
/// objects.
pub async fn find(
    cluster: &Cluster,
    wanted: &BTreeMap<ObjectId, String>,
) -> BTreeMap<ObjectId, Finding> {
    answers(cluster, together(wanted)).await
}

/// Asks the API server for each object by itself, however many there are: for those that are
/// said to be gone where a list may have been cut short.
pub async fn find_each(
    cluster: &Cluster,
    wanted: &BTreeMap<ObjectId, String>,
) -> BTreeMap<ObjectId, Finding> {
    let each = wanted
        .iter()
        .map(|(id, api_version)| Ask::One { id, api_version });
    answers(cluster, each.collect()).await
}

/// Those of one kind and place by a list, where they are many.
fn together(wanted: &BTreeMap<ObjectId, String>) -> Vec<Ask<'_>> {
    let mut groups: BTreeMap<Place<'_>, Vec<(&ObjectId, &str)>> = BTreeMap::new();
    for (id, api_version) in wanted {
        groups
            .entry((id.kind.clone(), id.namespace.clone(), api_version))
            .or_default()
            .push((id, api_version));
    }
    let mut requests = Vec::new();
    for ((kind, namespace, _), group) in groups {
        if group.len() > FEW {
            requests.push(Ask::Group {
                kind,
                namespace,
                ids: group,
            });
        } else {
            requests.extend(
                group
                    .into_iter()
                    .map(|(id, api_version)| Ask::One { id, api_version }),
            );
        }
    }
    requests
}

async fn answers(cluster: &Cluster, requests: Vec<Ask<'_>>) -> BTreeMap<ObjectId, Finding> {
    let mut asked = FuturesUnordered::new();
    for request in requests {
        asked.push(request.answer(cluster));
    }
    let mut found = BTreeMap::new();
    while let Some(answer) = asked.next().await {
        found.extend(answer);
    }
    found
}

/// Where objects of one kind lie together, and the version that they are asked for in.
type Place<'a> = (GroupKind, Option<Namespace>, &'a str);

enum Ask<'a> {
    One {
        id: &'a ObjectId,
        api_version: &'a str,
    },
    Group {
        kind: GroupKind,
        namespace: Option<Namespace>,
        ids: Vec<(&'a ObjectId, &'a str)>,
    },
}

impl Ask<'_> {
    async fn answer(self, cluster: &Cluster) -> Vec<(ObjectId, Finding)> {
        match self {
            Self::One { id, api_version } => {
                let finding = match cluster.get(id, Some(api_version)).await {
                    Ok(Some(live)) => Finding::Present(live),
                    Ok(None) | Err(ApiError::NoSuchKind(_)) => Finding::Absent,
                    Err(error) => Finding::Unknown(error),
                };
                vec![(id.clone(), finding)]
            }
            Self::Group {
                kind,
                namespace,
                ids,
            } => {
                let listed = list(cluster, &kind, namespace.as_ref(), &ids).await;
                ids.into_iter()
                    .map(|(id, _)| (id.clone(), pick(&listed, id)))
                    .collect()
            }
        }
    }
}

type Listed = Result<BTreeMap<ObjectId, Live>, ApiError>;

/// Those that are there. What else lies beside them is not kept.
async fn list(
    cluster: &Cluster,
    kind: &GroupKind,
    namespace: Option<&Namespace>,
    wanted: &[(&ObjectId, &str)],
) -> Listed {
    let version = wanted.first().map(|(_, it)| version_of(it));
    let version = version.filter(|it| !it.is_empty());
    let resource = cluster.resource(kind, version).await?;
    let wanted: BTreeSet<&ObjectId> = wanted.iter().map(|(id, _)| *id).collect();
    let mut found = BTreeMap::new();
    let keep = |id, live| {
        if wanted.contains(&id) {
            found.insert(id, live);
        }
    };
    cluster.list(&resource, namespace, None, keep).await?;
    Ok(found)
}

fn pick(listed: &Listed, id: &ObjectId) -> Finding {
    match listed {
        Ok(objects) => objects
            .get(id)
            .cloned()
            .map_or(Finding::Absent, Finding::Present),
        Err(ApiError::NoSuchKind(_)) => Finding::Absent,
        Err(error) => Finding::Unknown(error.clone()),
    }
}
