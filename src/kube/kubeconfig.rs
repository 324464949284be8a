//! Kubeconfig files: which there are, what several are together, and what a context of them
//! leads to; as kubectl has it.

use std::io;
use std::path::{Path, PathBuf};

use kube::config::{AuthInfo, Cluster, Kubeconfig, KubeconfigError};

use super::error::ApiError;
use crate::model::shell_quoted;

/// Where kubeconfig files are looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Place {
    /// The files of KUBECONFIG, of which some may be missing.
    Listed(Vec<PathBuf>),
    /// The one of the user.
    Home(PathBuf),
    /// Nowhere: there is no KUBECONFIG, and no HOME.
    Nowhere,
}

/// What a context leads to.
#[derive(Debug, Clone)]
pub(super) struct Chosen {
    /// The context.
    pub(super) context: String,
    /// The namespace that it names.
    pub(super) namespace: Option<String>,
    /// The API server.
    pub(super) cluster: Cluster,
    /// Who we are there.
    pub(super) user: AuthInfo,
}

impl Place {
    /// That of this process's environment.
    pub(super) fn here() -> Self {
        let set = |name| std::env::var_os(name).filter(|value| !value.is_empty());
        if let Some(list) = set("KUBECONFIG") {
            let named = std::env::split_paths(&list);
            let named = named.filter(|path| !path.as_os_str().is_empty());
            return Self::Listed(named.collect());
        }
        let home = set("HOME").map(|home| Path::new(&home).join(".kube/config"));
        home.map_or(Self::Nowhere, Self::Home)
    }

    /// The files.
    pub(super) fn files(&self) -> &[PathBuf] {
        match self {
            Self::Listed(files) => files,
            Self::Home(file) => std::slice::from_ref(file),
            Self::Nowhere => &[],
        }
    }

    /// What stands in all of them; the first that says something wins. `None` where none is
    /// there.
    ///
    /// # Errors
    /// A file that is there, but can't be used.
    pub(super) fn read(&self) -> Result<Option<Kubeconfig>, ApiError> {
        let mut merged: Option<Kubeconfig> = None;
        for path in self.files() {
            let mut file = match Kubeconfig::read_from(path) {
                Ok(file) => file,
                Err(KubeconfigError::ReadConfig(error, _)) if is_missing(&error) => continue,
                Err(error) => return Err(unusable(path, &error)),
            };
            file.current_context.take_if(|name| name.is_empty());
            // kubectl looks at neither.
            (file.kind, file.api_version) = (None, None);
            merged = Some(match merged {
                None => file,
                Some(before) => before.merge(file).map_err(|error| unusable(path, &error))?,
            });
        }
        Ok(merged)
    }
}

/// Also where a part of the path is a file, as with a HOME of `/dev/null`.
fn is_missing(error: &io::Error) -> bool {
    use io::ErrorKind::{NotADirectory, NotFound};
    matches!(error.kind(), NotFound | NotADirectory)
}

/// Names the file, and where in it; not what stands there, which may be a token.
fn unusable(path: &Path, error: &KubeconfigError) -> ApiError {
    let path = path.display();
    ApiError::Rejected(match error {
        KubeconfigError::Parse(error) => {
            let place = error.location();
            let place = place.map(|place| format!(":{}:{}", place.line(), place.column()));
            let place = place.unwrap_or_default();
            format!(
                "the kubeconfig {path}{place} cannot be read: it is no YAML, or a field has another type than a kubeconfig's; try kubectl config view --kubeconfig {}",
                shell_quoted(&path.to_string())
            )
        }
        KubeconfigError::ReadConfig(error, _) => {
            format!("the kubeconfig {path} cannot be read: {error}")
        }
        other => format!("the kubeconfig {path} cannot be used: {other}"),
    })
}

/// What a context, or the current one, leads to.
///
/// # Errors
/// A context or a cluster that isn't there.
pub(super) fn choose(file: &Kubeconfig, context: Option<&str>) -> Result<Chosen, ApiError> {
    let refused =
        |text: String| ApiError::Rejected(format!("the kubeconfig cannot be used: {text}"));
    let Some(name) = context.or(file.current_context.as_deref()) else {
        let text =
            "it has no current-context; set one (kubectl config use-context), or give --context";
        return Err(refused(text.to_owned()));
    };
    let found = file.contexts.iter().find(|context| context.name == name);
    let Some(context) = found.and_then(|named| named.context.clone()) else {
        return Err(refused(format!("it has no context {name:?}")));
    };
    let found = file.clusters.iter().find(|it| it.name == context.cluster);
    let Some(cluster) = found.and_then(|named| named.cluster.clone()) else {
        let text = format!(
            "it has no cluster {:?}, which the context {name:?} names",
            context.cluster
        );
        return Err(refused(text));
    };
    // Nobody in particular, as with kubectl.
    let user = file
        .auth_infos
        .iter()
        .find(|user| Some(&user.name) == context.user.as_ref());
    let user = user.and_then(|named| named.auth_info.clone());
    Ok(Chosen {
        context: name.to_owned(),
        namespace: context.namespace,
        cluster,
        user: user.unwrap_or_default(),
    })
}

#[cfg(test)]
mod tests;
