//! How TLS is spoken: whom to trust, and with which cryptography. As everywhere
//! in this workspace, two providers in one program are never a panic.

use std::{fmt, sync::Arc};

use rustls::{RootCertStore, crypto::CryptoProvider, pki_types::CertificateDer};
#[cfg(feature = "http-blocking")]
use ureq::tls::{Certificate, RootCerts, TlsConfig, TlsProvider};

use super::HttpOptionError;

/// Whom to trust, and with which cryptography.
#[derive(Clone, Default)]
pub struct Tls {
    roots: Vec<Vec<u8>>,
    provider: Option<Arc<CryptoProvider>>,
    unverified: bool,
}

impl Tls {
    /// Trusts this authority (a certificate in DER form), and no longer the default
    /// ones; may be called for several.
    pub fn add_root(&mut self, der: impl Into<Vec<u8>>) {
        self.roots.push(der.into());
    }

    /// Takes the cryptography from `provider`.
    pub fn set_provider(&mut self, provider: Arc<CryptoProvider>) {
        self.provider = Some(provider);
    }

    /// Trusts anybody.
    pub const fn dangerously_trust_anybody(&mut self) {
        self.unverified = true;
    }

    /// Returns who brings the cryptography, once everything has been checked that
    /// would otherwise fail, or be left out without a word, at the first connection.
    ///
    /// # Errors
    ///
    /// [`HttpOptionError`]: `tls_provider` or `tls_root`.
    pub fn check(&self) -> Result<Arc<CryptoProvider>, HttpOptionError> {
        let provider = self.provider.clone().or_else(installed).or_else(brought);
        let provider = provider.ok_or_else(|| {
            HttpOptionError::new(
                "tls_provider",
                "nobody brings cryptography: enable ring or aws-lc-rs",
            )
        })?;
        let mut store = RootCertStore::empty();
        for root in &self.roots {
            let added = store.add(CertificateDer::from(root.as_slice()));
            added
                .map_err(|e| HttpOptionError::new("tls_root", format!("it cannot be read: {e}")))?;
        }
        let trusts_somebody = cfg!(any(feature = "webpki-roots", feature = "platform-verifier"));
        if self.roots.is_empty() && !trusts_somebody && !self.unverified {
            let reason =
                "nobody to trust: enable webpki-roots or platform-verifier, or give a root";
            return Err(HttpOptionError::new("tls_root", reason));
        }
        Ok(provider)
    }

    /// For a blocking client.
    #[cfg(feature = "http-blocking")]
    pub(super) fn for_ureq(&self) -> Result<TlsConfig, HttpOptionError> {
        let provider = self.check()?;
        let roots = match self.roots.is_empty() {
            true => default_roots(),
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

    /// For what is dialed by ws-core.
    ///
    /// # Errors
    ///
    /// [`HttpOptionError`]: `tls_provider` or `tls_root`.
    #[cfg(feature = "http")]
    pub fn for_dialing(&self) -> Result<ws_core::Tls, HttpOptionError> {
        let provider = self.check()?;
        if self.unverified {
            let config = super::unverified::config(provider).map_err(|e| {
                HttpOptionError::new("tls_provider", format!("it cannot be used: {e}"))
            })?;
            return Ok(ws_core::Tls::with_rustls(config.into()));
        }
        let tls = ws_core::Tls::new().provider(provider);
        Ok(self.roots.iter().fold(tls, |tls, root| tls.root(root.as_slice())))
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

/// The operating system's word comes before built-in roots. That there is one of
/// the two has been checked.
#[cfg(feature = "http-blocking")]
fn default_roots() -> RootCerts {
    match cfg!(feature = "platform-verifier") {
        true => RootCerts::PlatformVerifier,
        false => RootCerts::WebPki,
    }
}

/// Whether TLS did not come about: nothing was sent.
#[cfg(feature = "http-blocking")]
pub(super) fn is_refusal(error: &std::io::Error) -> bool {
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
