//! How TLS is spoken: whom to trust, and with which cryptography. As everywhere
//! in this workspace, two providers in one program are never a panic.

use std::{fmt, sync::Arc};

use rustls::{RootCertStore, crypto::CryptoProvider, pki_types::CertificateDer};
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use crate::error::Error;

#[derive(Clone, Default)]
pub(crate) struct Tls {
    /// The caller's; with one of them, the default ones are not trusted.
    pub(crate) roots: Vec<Vec<u8>>,
    pub(crate) provider: Option<Arc<CryptoProvider>>,
    pub(crate) unverified: bool,
}

impl Tls {
    /// Checks everything that would otherwise fail, or be left out without a word,
    /// at the first connection.
    pub(crate) fn build(&self) -> Result<TlsConfig, Error> {
        let provider = self.provider.clone().or_else(installed).or_else(brought);
        let provider = provider.ok_or_else(|| {
            Error::config("tls_provider", "nobody brings cryptography: enable ring or aws-lc-rs")
        })?;
        let mut store = RootCertStore::empty();
        for root in &self.roots {
            let added = store.add(CertificateDer::from(root.as_slice()));
            added.map_err(|e| Error::config("tls_root", format!("it cannot be read: {e}")))?;
        }
        let roots = match self.roots.is_empty() {
            true => default_roots()?,
            false => {
                let certificate = |der: &Vec<u8>| Certificate::from_der(der).to_owned();
                RootCerts::from(self.roots.iter().map(certificate))
            }
        };
        Ok(TlsConfig::builder()
            .provider(TlsProvider::Rustls)
            .unversioned_rustls_crypto_provider(provider)
            .root_certs(roots)
            .disable_verification(self.unverified)
            .build())
    }
}

/// The process's provider. Asking for it chooses none.
fn installed() -> Option<Arc<CryptoProvider>> {
    CryptoProvider::get_default().cloned()
}

/// The provider that a feature brings.
fn brought() -> Option<Arc<CryptoProvider>> {
    #[cfg(feature = "ring")]
    return Some(Arc::new(rustls::crypto::ring::default_provider()));
    #[cfg(all(feature = "aws-lc-rs", not(feature = "ring")))]
    return Some(Arc::new(rustls::crypto::aws_lc_rs::default_provider()));
    #[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
    None
}

/// The operating system's word comes before built-in roots.
fn default_roots() -> Result<RootCerts, Error> {
    #[cfg(feature = "platform-verifier")]
    return Ok(RootCerts::PlatformVerifier);
    #[cfg(all(feature = "webpki-roots", not(feature = "platform-verifier")))]
    return Ok(RootCerts::WebPki);
    #[cfg(not(any(feature = "webpki-roots", feature = "platform-verifier")))]
    Err(Error::config(
        "tls_root",
        "nobody to trust: enable webpki-roots or platform-verifier, or give a root",
    ))
}

/// Whether TLS did not come about: nothing was sent.
pub(crate) fn is_refusal(error: &std::io::Error) -> bool {
    let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
    inner.is_some_and(|e| {
        use rustls::Error as E;
        matches!(e, E::InvalidCertificate(_) | E::PeerIncompatible(_) | E::NoCertificatesPresented)
    })
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("own_roots", &self.roots.len())
            .field("unverified", &self.unverified)
            .finish_non_exhaustive()
    }
}
