//! What was deleted from an environment lately, kept beside its inventories: the record and
//! the data directory may both be gone, and then many small deletions would not be seen to
//! be one large one.
//!
//! A ConfigMap of its own holds it, since a unit that leaves takes its inventory along. It
//! is under a keyed digest, so that nobody else can say that less was deleted.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use super::applied::ListKey;
use super::cluster::{ApplyMode, Cluster, Conflicts};
use super::error::ApiError;
use super::inventory::{ENVIRONMENT, KIND};
use crate::model::{Desired, DigestKey, EnvironmentName, Name, Namespace, ObjectId, Origin, Tally};

/// What the ConfigMap's name ends with, after that of the environment. No unit is called so.
pub(super) const SUFFIX: &str = ".tally.gitops-agent";
/// The key of its data.
const DELETED: &str = "deleted";
/// Of this format.
const VERSION: &str = "1";
/// What the agent's key is made into for this.
const PURPOSE: &str = "what was deleted lately";

/// A tally as it was written at an instant. Somebody may have kept it, to put it back later.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Testimony {
    /// When it was written.
    pub at: Timestamp,
    /// What it says.
    #[serde(flatten)]
    pub tally: Tally,
    /// The uids of objects that it counts and that were about to be deleted: some may be there
    /// still.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub doomed: BTreeSet<String>,
}

/// Where an environment's tally is kept.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TallyParent {
    /// The agent's namespace.
    pub namespace: Namespace,
    /// The environment.
    pub environment: EnvironmentName,
}

impl TallyParent {
    /// The name of the ConfigMap.
    pub fn name(&self) -> Name {
        let name = format!("{}{SUFFIX}", self.environment);
        name.parse().expect("labels and dots are a name")
    }

    pub(super) fn object(&self) -> ObjectId {
        ObjectId::new(KIND, Some(self.namespace.clone()), self.name())
    }

    /// Its labels.
    pub(super) fn labels(&self) -> BTreeMap<String, String> {
        BTreeMap::from([(ENVIRONMENT.to_owned(), self.environment.to_string())])
    }

    /// What it says, and since when; `None` where it is not there, or was not written under
    /// the key.
    ///
    /// # Errors
    /// Those of the request.
    pub async fn read(
        &self,
        cluster: &Cluster,
        key: &ListKey,
    ) -> Result<Option<Testimony>, ApiError> {
        let live = cluster.get(&self.object(), None).await?;
        let text = live.and_then(|live| {
            let text = live.body.get("data")?.get(DELETED)?;
            text.as_str().map(str::to_owned)
        });
        Ok(text.and_then(|text| self.understood(&text, key)))
    }

    /// Writes it.
    ///
    /// # Errors
    /// Those of the request.
    pub async fn write(
        &self,
        cluster: &Cluster,
        testimony: &Testimony,
        key: &DigestKey,
    ) -> Result<(), ApiError> {
        let body = json!({
            "apiVersion": "v1",
            "kind": "ConfigMap",
            "metadata": {
                "name": self.name(),
                "namespace": self.namespace,
                "labels": self.labels(),
            },
            "data": { DELETED: self.text(testimony, key) },
        });
        let origin = Origin {
            path: "what was deleted lately".to_owned(),
            line: 0,
        };
        let parent = Desired::new(self.object(), &body, origin);
        let written = cluster.apply(&parent, ApplyMode::Write, Conflicts::Take);
        written.await.map(drop)
    }

    /// `1.<seal>.<JSON>`: the seal is over environment and testimony.
    fn text(&self, testimony: &Testimony, key: &DigestKey) -> String {
        let text = json!(testimony).to_string();
        let seal = key.derived(PURPOSE).seal(&self.sealed(&text));
        format!("{VERSION}.{}.{text}", hex::encode(seal))
    }

    fn understood(&self, text: &str, key: &ListKey) -> Option<Testimony> {
        let rest = text.strip_prefix(VERSION)?.strip_prefix('.')?;
        let (seal, text) = rest.split_once('.')?;
        let seal = hex::decode(seal).ok()?;
        let holds = match key {
            ListKey::Ours(key) => key.derived(PURPOSE).holds(&self.sealed(text), &seal),
            ListKey::Unknown => true,
        };
        let value: Value = serde_json::from_str(text).ok().filter(|_| holds)?;
        serde_json::from_value(value).ok()
    }

    /// The name can't hold the character that ends it.
    fn sealed(&self, text: &str) -> Vec<u8> {
        format!("{}\n{text}", self.environment).into_bytes()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::model::Deleted;

    #[test]
    fn a_tally_is_believed_of_its_environment_and_under_its_key() {
        let parent = |environment: &str| TallyParent {
            namespace: Namespace::known("gitops-agent"),
            environment: environment.parse().expect("a name"),
        };
        let key = |byte| DigestKey::new([byte; 32]);
        let at = "2026-11-21T10:02:00Z".parse().expect("an instant");
        let tally = Tally {
            deleted: vec![Deleted { at, objects: 7 }],
            unknown_until: Some(at),
            ..Tally::default()
        };
        let doomed = BTreeSet::from(["a-uid".to_owned()]);
        let tally = Testimony { at, tally, doomed };
        let text = parent("staging").text(&tally, &key(7));
        let read = |environment, key| parent(environment).understood(&text, &key);
        assert_eq!(read("staging", ListKey::Ours(key(7))), Some(tally.clone()));
        assert_eq!(read("staging", ListKey::Unknown), Some(tally));
        assert_eq!(read("staging", ListKey::Ours(key(8))), None);
        assert_eq!(read("production", ListKey::Ours(key(7))), None);
        let less = text.replace("\"objects\":7", "\"objects\":1");
        let read = parent("staging").understood(&less, &ListKey::Ours(key(7)));
        assert_eq!(read, None);
    }
}
