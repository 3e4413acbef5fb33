//! TLS, built from parts that are named: no process-wide default is relied on,
//! so that two providers in one program are never a panic.

mod error;

use std::{fmt, sync::Arc};

use rustls::{ClientConfig, RootCertStore, crypto::CryptoProvider, pki_types::CertificateDer};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_rustls::TlsConnector;

pub use error::{TlsError, TlsReason};

/// How to speak TLS: whom to trust, and with which cryptography.
///
/// The provider of cryptography is, in this order: the caller's own
/// configuration, the caller's provider, the one installed in the process, the
/// one that a feature of this crate brings (`ring`, `aws-lc-rs`). With none of
/// them, connecting is a [`TlsReason::NoProvider`] error.
///
/// Certificates are always verified, for the host of the URL and for nothing
/// that a server says.
///
/// # Examples
///
/// ```
/// // Trusts what the features `webpki-roots` or `platform-verifier` trust.
/// let tls = ws_core::Tls::new();
/// ```
#[derive(Clone, Default)]
pub struct Tls {
    ready: Option<Arc<ClientConfig>>,
    provider: Option<Arc<CryptoProvider>>,
    roots: Option<Vec<CertificateDer<'static>>>,
    /// What is spoken is no HTTP.
    without_alpn: bool,
}

impl Tls {
    /// The defaults of the features that are on.
    #[must_use]
    pub fn new() -> Self {
        Self::default()
    }

    /// Takes a configuration that is ready; nothing else here counts then. The
    /// ALPN protocols are the configuration's own.
    #[must_use]
    pub fn with_rustls(config: Arc<ClientConfig>) -> Self {
        Self { ready: Some(config), ..Self::default() }
    }

    /// Takes the cryptography from `provider`.
    #[must_use]
    pub fn provider(mut self, provider: Arc<CryptoProvider>) -> Self {
        self.provider = Some(provider);
        self
    }

    /// Trusts this certificate authority, and no longer the default ones; may be
    /// called for several. `der` is one certificate in DER form.
    #[must_use]
    pub fn root(mut self, der: impl Into<Vec<u8>>) -> Self {
        let der = CertificateDer::from(der.into());
        self.roots.get_or_insert_default().push(der);
        self
    }

    /// Offers no protocol by ALPN: what is spoken over this is not HTTP, nor a
    /// WebSocket.
    #[must_use]
    pub const fn without_alpn(mut self) -> Self {
        self.without_alpn = true;
        self
    }

    /// Opens TLS over `io` to the server that must prove to be `host`, a name or
    /// an address.
    ///
    /// There is no deadline here: whoever dials has one over all its steps.
    ///
    /// # Errors
    ///
    /// [`TlsError`] naming the reason.
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: dropped half-way, the stream is lost with the future.
    pub async fn connect<S>(
        &self,
        io: S,
        host: &str,
    ) -> Result<impl AsyncRead + AsyncWrite + Send + Unpin + use<S>, TlsError>
    where
        S: AsyncRead + AsyncWrite + Send + Unpin,
    {
        let config = self.build()?;
        let name = host.to_owned().try_into();
        let name = name.map_err(|_| TlsError::new(TlsReason::WrongName, None))?;
        TlsConnector::from(config).connect(name, io).await.map_err(TlsError::of_handshake)
    }

    fn build(&self) -> Result<Arc<ClientConfig>, TlsError> {
        if let Some(ready) = &self.ready {
            return Ok(Arc::clone(ready));
        }
        let provider = self.provider.clone().or_else(installed).or_else(brought);
        let provider = provider.ok_or_else(|| TlsError::new(TlsReason::NoProvider, None))?;
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| TlsError::new(TlsReason::NoProvider, Some(e.into())))?;
        let mut config = match &self.roots {
            Some(roots) => builder.with_root_certificates(store(roots)?).with_no_client_auth(),
            None => default_trust(builder)?,
        };
        if !self.without_alpn {
            config.alpn_protocols = vec![b"http/1.1".to_vec()];
        }
        Ok(Arc::new(config))
    }
}

impl fmt::Debug for Tls {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tls")
            .field("own_roots", &self.roots.as_ref().map(Vec::len))
            .finish_non_exhaustive()
    }
}

/// The process's provider. Asking for it chooses none, unlike
/// `ClientConfig::builder()`, which panics when it cannot choose.
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

fn store(roots: &[CertificateDer<'static>]) -> Result<RootCertStore, TlsError> {
    let mut store = RootCertStore::empty();
    for root in roots {
        let added = store.add(root.clone());
        added.map_err(|e| TlsError::new(TlsReason::BadRoot, Some(e.into())))?;
    }
    Ok(store)
}

type Builder = rustls::ConfigBuilder<ClientConfig, rustls::WantsVerifier>;

/// The operating system's word comes before built-in roots: who asks for it
/// wants the rules of the machine to hold.
#[cfg(feature = "platform-verifier")]
fn default_trust(builder: Builder) -> Result<ClientConfig, TlsError> {
    use rustls_platform_verifier::BuilderVerifierExt;
    let verified = builder.with_platform_verifier();
    let verified = verified.map_err(|e| TlsError::new(TlsReason::NoRoots, Some(e.into())))?;
    Ok(verified.with_no_client_auth())
}

#[cfg(all(feature = "webpki-roots", not(feature = "platform-verifier")))]
fn default_trust(builder: Builder) -> Result<ClientConfig, TlsError> {
    let roots = webpki_roots::TLS_SERVER_ROOTS.iter().cloned().collect::<RootCertStore>();
    Ok(builder.with_root_certificates(roots).with_no_client_auth())
}

#[cfg(not(any(feature = "webpki-roots", feature = "platform-verifier")))]
fn default_trust(_builder: Builder) -> Result<ClientConfig, TlsError> {
    Err(TlsError::new(TlsReason::NoRoots, None))
}
