//! Finding objects that the live view does not have: those never applied by us, those
//! that lost their label, and those that are gone.

use std::collections::BTreeMap;

use futures::StreamExt;
use futures::stream::FuturesUnordered;

use super::cluster::Cluster;
use super::error::ApiError;
use crate::model::{GroupKind, Live, ObjectId};

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
    let mut groups: BTreeMap<Place, Vec<(&ObjectId, &str)>> = BTreeMap::new();
    for (id, api_version) in wanted {
        groups
            .entry((id.kind.clone(), id.namespace.clone()))
            .or_default()
            .push((id, api_version));
    }
    let mut requests = Vec::new();
    for ((kind, namespace), group) in groups {
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

/// Where objects of one kind lie together.
type Place = (GroupKind, Option<String>);

enum Ask<'a> {
    One {
        id: &'a ObjectId,
        api_version: &'a str,
    },
    Group {
        kind: GroupKind,
        namespace: Option<String>,
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
                let listed = list(cluster, &kind, namespace.as_deref(), ids[0].1).await;
                ids.into_iter()
                    .map(|(id, _)| (id.clone(), pick(&listed, id)))
                    .collect()
            }
        }
    }
}

type Listed = Result<BTreeMap<String, Live>, ApiError>;

async fn list(
    cluster: &Cluster,
    kind: &GroupKind,
    namespace: Option<&str>,
    api_version: &str,
) -> Listed {
    let version = super::cluster::version_of(api_version);
    let resource = cluster.resource(kind, Some(version)).await?;
    let objects = cluster.list(&resource, namespace, None).await?;
    Ok(objects
        .into_iter()
        .filter_map(|live| Some((live.id()?.name.clone(), live)))
        .collect())
}

fn pick(listed: &Listed, id: &ObjectId) -> Finding {
    match listed {
        Ok(objects) => objects
            .get(&id.name)
            .cloned()
            .map_or(Finding::Absent, Finding::Present),
        Err(ApiError::NoSuchKind(_)) => Finding::Absent,
        Err(error) => Finding::Unknown(error.clone()),
    }
}
