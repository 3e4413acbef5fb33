//! Certificates, made when a test wants them, so that none can expire in the
//! repository; and the servers that show them.

use std::sync::Arc;

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
use rustls::{
    ClientConfig, RootCertStore, ServerConfig, SupportedCipherSuite,
    crypto::{CryptoProvider, ring},
    pki_types::PrivateKeyDer,
};
use tokio_rustls::{TlsAcceptor, TlsConnector};
use ws_core::Tls;

/// An authority that signs, and what a client must be given to trust it.
pub(crate) struct Authority {
    issuer: Issuer<'static, KeyPair>,
    pub(crate) der: Vec<u8>,
}

impl Authority {
    pub(crate) fn new(name: &str) -> Self {
        Self::with(name, |_| {})
    }

    /// An authority with the changes that a test wants.
    pub(crate) fn with(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { issuer: Issuer::new(params, key), der }
    }

    /// A client that trusts this authority and nobody else.
    pub(crate) fn tls(&self) -> Tls {
        Tls::new().root(self.der.clone())
    }

    /// A server for `name`.
    pub(crate) fn server(&self, name: &str) -> TlsAcceptor {
        self.server_with(name, |_| {})
    }

    /// A server for `name` with the changes that a test wants.
    pub(crate) fn server_with(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
    ) -> TlsAcceptor {
        self.server_of(name, change, &[b"http/1.1"], ring::ALL_CIPHER_SUITES)
    }

    /// A server for `name` that speaks only `alpn` and `suites`.
    pub(crate) fn server_of(
        &self,
        name: &str,
        change: impl FnOnce(&mut CertificateParams),
        alpn: &[&[u8]],
        suites: &[SupportedCipherSuite],
    ) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        acceptor(certificate.der().to_vec(), &key, alpn, suites)
    }

    /// A TLS client that is not ours, for our server.
    pub(crate) fn connector(&self) -> TlsConnector {
        TlsConnector::from(self.config(ring::default_provider()))
    }

    /// A ready configuration that trusts this authority.
    pub(crate) fn config(&self, provider: CryptoProvider) -> Arc<ClientConfig> {
        let mut roots = RootCertStore::empty();
        roots.add(self.der.clone().into()).unwrap();
        let config = ClientConfig::builder_with_provider(Arc::new(provider))
            .with_safe_default_protocol_versions()
            .unwrap()
            .with_root_certificates(roots)
            .with_no_client_auth();
        Arc::new(config)
    }
}

/// A server that signs its own certificate.
pub(crate) fn self_signed(name: &str) -> TlsAcceptor {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let own = params.self_signed(&key).unwrap().der().to_vec();
    acceptor(own, &key, &[b"http/1.1"], ring::ALL_CIPHER_SUITES)
}

fn acceptor(
    certificate: Vec<u8>,
    key: &KeyPair,
    alpn: &[&[u8]],
    suites: &[SupportedCipherSuite],
) -> TlsAcceptor {
    let provider = CryptoProvider { cipher_suites: suites.to_vec(), ..ring::default_provider() };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(Arc::new(provider))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}
