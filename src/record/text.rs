//! The files of the record: objects as YAML, and the page that says what the branch
//! is. Pure.

use crate::model::EnvironmentName;
pub use crate::model::{emit, yaml};

/// Whom the commits on the record are committed by, whoever is their author.
pub const COMMITTER_NAME: &str = "gitops-agent";

/// The committer's address.
pub const COMMITTER_EMAIL: &str = "gitops-agent@localhost";

/// The page that explains the branch.
pub const README: &str = "README.md";

/// The text of the branch's `README.md`.
pub fn readme(environment: &EnvironmentName, branch: &str) -> String {
    format!(
        "# What happened in `{environment}`\n\
         \n\
         This branch is the record of the environment `{environment}`. The GitOps agent writes it,\n\
         one commit for each thing that happened: syncs, drift and who caused it, reverts.\n\
         Nobody else should; nothing is deployed from here.\n\
         \n\
         - `status.yaml`: the revision that the environment is at.\n\
         - `<unit>/status.yaml`: the unit's revision, state and health.\n\
         - `<unit>/<namespace or _cluster>/<Kind>.<group>/<name>.yaml`: each object as it is in the\n\
           cluster, at the fields that the agent owns. Values of Secrets are keyed digests.\n\
         - `<unit>/foreign.yaml`: fields that others have added to the unit's objects, and who.\n\
         \n\
         To see who changed an object, when and why:\n\
         \n\
         ```\n\
         git log -p {branch} -- <unit>/<namespace>/Deployment.apps/<name>.yaml\n\
         git log --grep='Event: drift$' {branch}\n\
         ```\n"
    )
}

#[cfg(test)]
mod tests;
