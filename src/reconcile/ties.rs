//! What an environment is tied to, by its record, before its task begins.

use std::path::Path;

use tracing::debug;

use super::journal::read_status;
use crate::model::{EnvironmentName, Namespace, chain};
use crate::record::status::Ties;
use crate::record::{BranchPattern, RecordBranch};
use crate::source::Remote;

/// Where an agent acts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Here {
    /// Which cluster it is; `None` where that may not be read.
    pub cluster: Option<String>,
    /// The namespace that it keeps its inventories in.
    pub namespace: Namespace,
}

/// In what an environment's record is of elsewhere.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Elsewhere {
    /// It is of the cluster with this uid.
    Cluster(String),
    /// Its agent keeps the inventories in this namespace of the same cluster.
    Namespace(Namespace),
}

/// Whether the cluster is the one that the record is of.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Met {
    /// It is, or none is recorded.
    Before,
    /// It takes that one's place: what is recorded of live is not of this one.
    Anew,
}

impl Here {
    /// In what these ties are of elsewhere. What is not known is no difference.
    pub fn apart(&self, recorded: &Ties) -> Option<Elsewhere> {
        let cluster = recorded.cluster.as_ref().zip(self.cluster.as_ref());
        if let Some((recorded, _)) = cluster.filter(|(recorded, here)| recorded != here) {
            return Some(Elsewhere::Cluster(recorded.clone()));
        }
        let namespace = recorded.namespace.as_ref();
        let namespace = namespace.filter(|recorded| **recorded != self.namespace);
        namespace.cloned().map(Elsewhere::Namespace)
    }

    /// Whether these ties say that it is here.
    fn is_confirmed(&self, recorded: &Ties) -> bool {
        let cluster = self.cluster.is_none() || recorded.cluster == self.cluster;
        cluster && recorded.namespace.as_ref() == Some(&self.namespace)
    }
}

/// What an environment is tied to by its record. What is here of the record decides where
/// that is of `here`; else its remote is asked, which may be further. Nothing of it is
/// written.
///
/// # Errors
/// When what is here can't be read.
pub fn recorded_ties(
    environment: &EnvironmentName,
    here: &Here,
    data_dir: &Path,
    (remote, names): (Remote, &BranchPattern),
) -> anyhow::Result<Ties> {
    let mut branch = RecordBranch::open(data_dir, remote, environment, names)?;
    let recorded = ties(environment, &branch)?;
    if here.is_confirmed(&recorded) {
        return Ok(recorded);
    }
    if let Err(error) = branch.refresh() {
        // Whoever opens the record next says so.
        debug!(%environment, error = %chain(&error), "the remote's record cannot be read, going on with what is here");
    }
    ties(environment, &branch)
}

fn ties(environment: &EnvironmentName, branch: &RecordBranch) -> anyhow::Result<Ties> {
    let files = branch.files()?;
    Ok(read_status(environment, branch, &files)?.ties)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_both_know_can_differ_and_another_cluster_says_it_all() {
        let here = |cluster: Option<&str>| Here {
            cluster: cluster.map(str::to_owned),
            namespace: Namespace::known("agent"),
        };
        let recorded = |cluster: Option<&str>, namespace: Option<&'static str>| Ties {
            source: None,
            cluster: cluster.map(str::to_owned),
            namespace: namespace.map(Namespace::known),
        };
        let old = recorded(Some("a"), None);
        assert_eq!(here(Some("a")).apart(&Ties::default()), None);
        assert_eq!(here(Some("a")).apart(&old), None);
        assert!(!here(Some("a")).is_confirmed(&old));
        let same = recorded(Some("a"), Some("agent"));
        assert_eq!(here(Some("a")).apart(&same), None);
        assert!(here(Some("a")).is_confirmed(&same));
        assert!(here(None).is_confirmed(&same));
        let other = recorded(Some("a"), Some("agnet"));
        let namespace = Some(Elsewhere::Namespace(Namespace::known("agnet")));
        assert_eq!(here(Some("a")).apart(&other), namespace);
        assert_eq!(here(None).apart(&other), namespace);
        let cluster = Some(Elsewhere::Cluster("a".to_owned()));
        assert_eq!(here(Some("b")).apart(&other), cluster);
    }
}
