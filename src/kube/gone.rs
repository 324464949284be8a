//! Whether a kind that discovery lacks, or whose path is not there, is gone, or its API only
//! away: an aggregated API that does not answer is left out of discovery, and its objects are
//! still there.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{APIResource, APIResourceList};
use kube::Client;
use kube::core::ApiResource;

use super::cluster::Cluster;
use super::discovery::Resource;
use super::error::ApiError;
use crate::model::GroupKind;

impl Cluster {
    /// Makes sure that a kind which discovery lacks is not served any more, so that none of
    /// its objects are there: the server has no such group, or each version of the group
    /// answers without the kind.
    ///
    /// # Errors
    /// [`ApiError::Away`] where its group is listed and does not answer, or has the kind
    /// again; else those of the requests.
    pub async fn lacks(&self, kind: &GroupKind) -> Result<(), ApiError> {
        match &*self.found(kind).await? {
            [] => Ok(()),
            [found, ..] => Err(ApiError::Away(format!(
                "{} serves {kind} again, which has to be listed first",
                found.api.api_version
            ))),
        }
    }

    /// A kind in each version that serves it, as each of them says itself: discovery as a whole
    /// says it later. None of them where it is gone.
    ///
    /// # Errors
    /// [`ApiError::Away`] where none is found, and one of them does not answer; else those of
    /// the requests.
    pub(super) async fn found(&self, kind: &GroupKind) -> Result<Vec<Resource>, ApiError> {
        let mut found = Vec::new();
        let mut silent = None;
        for version in self.wire().paced(|client| versions(client, kind)).await? {
            match self
                .wire()
                .paced(|client| resources(client, &version))
                .await
            {
                Ok(list) => {
                    let listed = list.resources.iter();
                    found.extend(listed.filter_map(|it| served(kind, &version, it)));
                }
                Err(error) => silent = silent.or(Some(away(kind, &version, &error))),
            }
        }
        match silent {
            Some(error) if found.is_empty() => Err(error),
            _ => {
                self.discovery().learn(kind, found.clone()).await;
                Ok(found)
            }
        }
    }
}

/// The versions of a kind's group that the server lists, whether they answer or not.
async fn versions(client: Client, kind: &GroupKind) -> Result<Vec<String>, ApiError> {
    if kind.group.is_empty() {
        return Ok(vec!["v1".to_owned()]);
    }
    let groups = client.list_api_groups().await?.groups;
    let groups = groups.into_iter().filter(|group| group.name == *kind.group);
    let versions = groups.flat_map(|group| group.versions);
    Ok(versions.map(|version| version.group_version).collect())
}

async fn resources(client: Client, version: &str) -> Result<APIResourceList, ApiError> {
    Ok(if version.contains('/') {
        client.list_api_group_resources(version).await?
    } else {
        client.list_core_api_resources(version).await?
    })
}

/// The kind as a version of its group lists it.
fn served(kind: &GroupKind, version: &str, listed: &APIResource) -> Option<Resource> {
    if listed.kind != *kind.kind || listed.name.contains('/') {
        return None;
    }
    let can = |verb: &str| listed.verbs.iter().any(|it| it == verb);
    Some(Resource {
        api: ApiResource {
            group: kind.group.to_string(),
            version: version.rsplit('/').next().unwrap_or(version).to_owned(),
            api_version: version.to_owned(),
            kind: kind.kind.to_string(),
            plural: listed.name.clone(),
        },
        namespaced: listed.namespaced,
        watchable: can("list") && can("watch"),
    })
}

fn away(kind: &GroupKind, version: &str, error: &ApiError) -> ApiError {
    ApiError::Away(format!(
        "the API {version}, which served {kind}, is registered and does not answer ({error}); mend it or the APIService that points to it"
    ))
}
