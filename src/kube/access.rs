//! Which API server to talk to, as whom, and what that is read from.

use std::path::{Path, PathBuf};
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::Uri;
use jiff::Timestamp;
use kube::Config;
use kube::config::{AuthInfo, Cluster, ExecAuthCluster};
use rustls::pki_types::CertificateDer;
use rustls::pki_types::pem::PemObject as _;

use super::error::ApiError;
use super::kubeconfig::{Chosen, Place, choose};
use super::{plugin, proxy};

/// How long a connection may be silent. A watch gets a bookmark each minute, so one that
/// hangs is noticed.
const SILENCE: Duration = Duration::from_secs(150);

/// Which cluster to talk to.
#[derive(Debug, Clone, Default)]
pub struct Access {
    /// The context of the kubeconfig; the current one if `None`.
    pub context: Option<String>,
}

/// All that a client is made of, as read once.
pub(super) struct Configured {
    pub(super) config: Config,
    /// The context that it is of; `None` in a pod.
    pub(super) context: Option<String>,
    /// What the certificate is called that tells who we are, if there is one.
    pub(super) certificate: String,
    /// Until when the credentials are good, where that was said.
    pub(super) until: Option<Timestamp>,
    /// The files that it was read from.
    pub(super) files: Vec<PathBuf>,
}

impl Access {
    /// Reads all files, and runs the program that gives credentials, if there is one.
    pub(super) async fn configured(&self, place: &Place) -> Result<Configured, ApiError> {
        match place.read()? {
            Some(file) => {
                let chosen = choose(&file, self.context.as_deref())?;
                let mut configured = by_kubeconfig(chosen).await?;
                configured.files.extend(place.files().iter().cloned());
                Ok(configured)
            }
            None if self.context.is_none() && !matches!(place, Place::Listed(_)) => pod(place),
            None => Err(ApiError::Rejected(nothing(place))),
        }
    }
}

async fn by_kubeconfig(chosen: Chosen) -> Result<Configured, ApiError> {
    let (cluster, mut user) = (chosen.cluster, chosen.user);
    let mut files = referenced(&cluster, &user);
    let refused =
        |text: String| ApiError::Rejected(format!("the kubeconfig cannot be used: {text}"));
    if let Some(file) = user.token_file.take() {
        // Before a token beside it, as with kubectl.
        user.token = Some(token(Path::new(&file)).map_err(refused)?.into());
        files.push(file.into());
    }
    if let Some(exec) = user.exec.as_mut().filter(|exec| exec.provide_cluster_info) {
        let told =
            ExecAuthCluster::try_from(&cluster).map_err(|error| refused(error.to_string()))?;
        exec.cluster = Some(told);
    }
    let own = user.client_certificate_data.clone();
    let until = plugin::resolve(&mut user).await?;
    let certificate = match (&user.client_certificate_data, &user.client_certificate) {
        (given, _) if *given != own => "the certificate that its program gave".to_owned(),
        (None, Some(file)) => format!("its client-certificate {file}"),
        _ => "its client-certificate-data".to_owned(),
    };
    let mut config = Config::new(server(&cluster).map_err(refused)?);
    config.root_cert = authorities(&cluster).map_err(refused)?;
    config.accept_invalid_certs = cluster.insecure_skip_tls_verify.unwrap_or(false);
    if config.accept_invalid_certs && config.root_cert.is_some() {
        let text = "its cluster names an authority, and insecure-skip-tls-verify not to ask for it; take one of them out";
        return Err(refused(text.to_owned()));
    }
    config.disable_compression = cluster.disable_compression.unwrap_or(false);
    config.tls_server_name = cluster.tls_server_name.filter(|name| !name.is_empty());
    config.auth_info = user;
    if let Some(namespace) = chosen.namespace.filter(|name| !name.is_empty()) {
        config.default_namespace = namespace;
    }
    let own = cluster.proxy_url.filter(|url| !url.is_empty());
    let config = proxy::through(config, own.as_deref())?;
    Ok(Configured {
        config: tuned(config),
        context: Some(chosen.context),
        certificate,
        until,
        files,
    })
}

/// As the pod that we run in.
fn pod(place: &Place) -> Result<Configured, ApiError> {
    let mut config = Config::incluster().map_err(|_| ApiError::Rejected(nothing(place)))?;
    let mut files: Vec<PathBuf> = config.root_cert_file.take().into_iter().collect();
    if let Some(file) = config.auth_info.token_file.take() {
        let token = token(Path::new(&file)).map_err(ApiError::Rejected)?;
        config.auth_info.token = Some(token.into());
        files.push(file.into());
    }
    Ok(Configured {
        config: tuned(config),
        context: None,
        certificate: String::new(),
        until: None,
        files,
    })
}

/// Why there is no cluster to talk to.
fn nothing(place: &Place) -> String {
    let tried = match place {
        Place::Listed(files) => {
            let names: Vec<_> = files
                .iter()
                .map(|file| file.display().to_string())
                .collect();
            format!(
                "KUBECONFIG names no file that is there ({})",
                names.join(", ")
            )
        }
        Place::Home(file) => {
            format!(
                "KUBECONFIG is not set, there is no {}, and this is not a pod",
                file.display()
            )
        }
        Place::Nowhere => "neither KUBECONFIG nor HOME is set, and this is not a pod".to_owned(),
    };
    format!("no cluster to talk to: {tried}")
}

/// The files that a kubeconfig names and that count.
fn referenced(cluster: &Cluster, user: &AuthInfo) -> Vec<PathBuf> {
    let unless = |file: &Option<String>, given: bool| file.clone().filter(|_| !given);
    let authority = cluster.certificate_authority_data.is_some();
    [
        unless(&cluster.certificate_authority, authority),
        unless(
            &user.client_certificate,
            user.client_certificate_data.is_some(),
        ),
        unless(&user.client_key, user.client_key_data.is_some()),
    ]
    .into_iter()
    .flatten()
    .map(PathBuf::from)
    .collect()
}

/// A token as its file has it, but for the blanks around it.
fn token(file: &Path) -> Result<String, String> {
    let text = std::fs::read_to_string(file)
        .map_err(|error| format!("the token in {} cannot be read: {error}", file.display()))?;
    let token = text.trim();
    if token.is_empty() {
        return Err(format!("there is no token in {}", file.display()));
    }
    Ok(token.to_owned())
}

/// The server's address. kubectl takes one without a scheme for plain HTTP, and would send a
/// token in the clear: nothing that anybody means.
fn server(cluster: &Cluster) -> Result<Uri, String> {
    let text = cluster.server.as_deref().unwrap_or_default().trim();
    if text.is_empty() {
        return Err("its cluster has no server".to_owned());
    }
    let parsed = text.parse::<Uri>().ok();
    let parsed = parsed.filter(|uri| matches!(uri.scheme_str(), Some("http" | "https")));
    parsed.ok_or_else(|| format!("its server {text:?} is no address with https:// before it"))
}

/// The certificates of the authorities that the API server's own is to be signed by.
fn authorities(cluster: &Cluster) -> Result<Option<Vec<Vec<u8>>>, String> {
    let (what, pem) = match (
        &cluster.certificate_authority_data,
        &cluster.certificate_authority,
    ) {
        (Some(data), _) if !data.is_empty() => {
            let decoded = STANDARD.decode(data.trim());
            let what = "its certificate-authority-data".to_owned();
            (
                what,
                decoded.map_err(|error| {
                    format!("its certificate-authority-data is no base64: {error}")
                })?,
            )
        }
        (_, Some(file)) if !file.is_empty() => {
            let read = std::fs::read(file);
            let what = format!("its certificate-authority {file}");
            let pem = read.map_err(|error| format!("{what} cannot be read: {error}"))?;
            (what, pem)
        }
        _ => return Ok(None),
    };
    let found: Result<Vec<_>, _> = CertificateDer::pem_slice_iter(&pem).collect();
    let found = found.map_err(|error| format!("{what} cannot be read: {error}"))?;
    if found.is_empty() {
        return Err(format!("{what} has no certificate in PEM form"));
    }
    Ok(Some(found.iter().map(|der| der.to_vec()).collect()))
}

fn tuned(mut config: Config) -> Config {
    config.connect_timeout = Some(Duration::from_secs(10));
    config.read_timeout = Some(SILENCE);
    // Ours knows of all requests; the client's would repeat each by itself.
    config.default_retry = false;
    config.headers.push((
        http::header::USER_AGENT,
        http::HeaderValue::from_static(concat!("gitops-agent/", env!("CARGO_PKG_VERSION"))),
    ));
    config
}
