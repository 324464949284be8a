//! Whom a connection trusts and who it says that it is, from files read anew for each.

use std::error::Error;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::{fmt, io};

use rustls::pki_types::pem::PemObject as _;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use rustls::{CertificateError, ClientConfig, RootCertStore};

/// Files beside the system's own certificates (which `SSL_CERT_FILE` and `SSL_CERT_DIR`
/// replace, as everywhere).
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Tls {
    /// Authorities to trust as well, in PEM.
    pub authorities: Option<PathBuf>,
    /// What to log in with where the server wants a certificate.
    pub identity: Option<Identity>,
}

/// A client's certificate and its key.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Identity {
    /// The certificate and those between it and the authority, in PEM.
    pub certificate: PathBuf,
    /// The private key, in PEM, not encrypted.
    pub key: PathBuf,
}

/// A file for TLS that can't be used.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TlsError {
    /// It can't be read, or holds nothing of what it should.
    #[error("{what} in {path} can't be used: {reason}")]
    File {
        /// What it should hold.
        what: &'static str,
        /// The file.
        path: String,
        /// What is wrong.
        reason: String,
    },
    /// The system's certificates can't be read.
    #[error("there are no authorities to trust: {0}; name a file of them with SSL_CERT_FILE")]
    NoAuthorities(String),
    /// Key and certificate don't belong together, or something else that rustls refuses.
    #[error("TLS can't be set up: {0}")]
    Setup(String),
}

impl Tls {
    /// Reads the files.
    pub fn configuration(&self) -> Result<ClientConfig, TlsError> {
        let setup = |error: rustls::Error| TlsError::Setup(error.to_string());
        // The process's default may not be installed, as in a test.
        let provider = Arc::new(rustls::crypto::ring::default_provider());
        let trusting = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(setup)?
            .with_root_certificates(self.roots()?);
        match &self.identity {
            None => Ok(trusting.with_no_client_auth()),
            Some(identity) => trusting
                .with_client_auth_cert(certificates(&identity.certificate)?, key(&identity.key)?)
                .map_err(setup),
        }
    }

    fn roots(&self) -> Result<RootCertStore, TlsError> {
        let mut roots = RootCertStore::empty();
        let native = rustls_native_certs::load_native_certs();
        // One of hundreds that is odd is no reason to trust none.
        roots.add_parsable_certificates(native.certs);
        if let Some(file) = &self.authorities {
            let (added, _) = roots.add_parsable_certificates(certificates(file)?);
            if added == 0 {
                return Err(unusable(
                    "the authorities",
                    file,
                    &"it has no certificate of one",
                ));
            }
        }
        match native.errors.first() {
            Some(error) if roots.is_empty() => Err(TlsError::NoAuthorities(error.to_string())),
            _ => Ok(roots),
        }
    }
}

fn certificates(file: &Path) -> Result<Vec<CertificateDer<'static>>, TlsError> {
    const WHAT: &str = "the certificate";
    let read = CertificateDer::pem_file_iter(file).and_then(Iterator::collect);
    let all: Vec<_> = read.map_err(|error| unusable(WHAT, file, &error))?;
    if all.is_empty() {
        return Err(unusable(WHAT, file, &"it has none in PEM form"));
    }
    Ok(all)
}

fn key(file: &Path) -> Result<PrivateKeyDer<'static>, TlsError> {
    PrivateKeyDer::from_pem_file(file).map_err(|error| unusable("the private key", file, &error))
}

fn unusable(what: &'static str, file: &Path, reason: &dyn fmt::Display) -> TlsError {
    TlsError::File {
        what,
        path: file.display().to_string(),
        reason: reason.to_string(),
    }
}

/// What a certificate of the first version is, and what to do.
pub const VERSION_1: &str =
    "an X.509 v1 certificate, which is not taken; issue a version 3 certificate";

/// Why a server's certificate is not taken, each with what to do.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum CertificateProblem {
    /// Nobody we trust has signed it.
    #[error(
        "its certificate is signed by an authority that is not known here; if that is right, trust the authority's own certificate"
    )]
    UnknownAuthority,
    /// Its time is over.
    #[error("its certificate has expired; renew it there, or check this machine's clock")]
    Expired,
    /// Its time has not come.
    #[error("its certificate is not valid yet; check this machine's clock")]
    NotYetValid,
    /// It is another host's.
    #[error("its certificate is for another name{0}; use the name that it is for")]
    WrongName(String),
    /// Its authority has taken it back.
    #[error("its certificate was revoked")]
    Revoked,
    /// It is of a version of X.509 that TLS here does not take.
    #[error("its certificate is {VERSION_1}")]
    Version1,
    /// Anything else.
    #[error("its certificate is not valid: {0}")]
    Other(String),
    /// It wants to know who we are, and does not take what it was shown.
    #[error(
        "it does not take the certificate that it was shown, or wants one and was shown none: {0}"
    )]
    Ours(String),
}

/// What an error of a connection says of certificates, if that is what it is about.
pub fn certificate_problem(error: &(dyn Error + 'static)) -> Option<CertificateProblem> {
    let mut next = Some(error);
    while let Some(error) = next {
        if let Some(error) = error.downcast_ref::<rustls::Error>() {
            return of_rustls(error);
        }
        // An io::Error gives its inner error's source as its own, so leaves that one out.
        if let Some(inner) = error
            .downcast_ref::<io::Error>()
            .and_then(io::Error::get_ref)
            && let Some(problem) = certificate_problem(inner)
        {
            return Some(problem);
        }
        next = error.source();
    }
    None
}

fn of_rustls(error: &rustls::Error) -> Option<CertificateProblem> {
    use rustls::AlertDescription as Alert;
    match error {
        rustls::Error::InvalidCertificate(why) => Some(of_certificate(why)),
        rustls::Error::NoCertificatesPresented => {
            Some(CertificateProblem::Other("it showed none".to_owned()))
        }
        rustls::Error::AlertReceived(
            alert @ (Alert::CertificateRequired
            | Alert::BadCertificate
            | Alert::UnsupportedCertificate
            | Alert::CertificateExpired
            | Alert::CertificateRevoked
            | Alert::CertificateUnknown
            | Alert::UnknownCA
            | Alert::AccessDenied),
        ) => Some(CertificateProblem::Ours(format!("{alert:?}"))),
        _ => None,
    }
}

fn of_certificate(error: &CertificateError) -> CertificateProblem {
    match error {
        CertificateError::UnknownIssuer => CertificateProblem::UnknownAuthority,
        CertificateError::Expired | CertificateError::ExpiredContext { .. } => {
            CertificateProblem::Expired
        }
        CertificateError::NotValidYet | CertificateError::NotValidYetContext { .. } => {
            CertificateProblem::NotYetValid
        }
        CertificateError::NotValidForName => CertificateProblem::WrongName(String::new()),
        CertificateError::NotValidForNameContext { presented, .. } => {
            let names = presented.join(", ");
            CertificateProblem::WrongName(format!(" ({names})"))
        }
        CertificateError::Revoked => CertificateProblem::Revoked,
        // Its kind is webpki's own, and is known by its name alone.
        CertificateError::Other(why) if why.to_string() == "UnsupportedCertVersion" => {
            CertificateProblem::Version1
        }
        other => CertificateProblem::Other(other.to_string()),
    }
}

#[cfg(test)]
pub(crate) mod tests;
