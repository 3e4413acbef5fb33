//! TLS between a client of ours and a server with certificates made here.

use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair, date_time_ymd};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_rustls::TlsAcceptor;

use super::*;

/// An authority that signs, and what a client must be given to trust it.
struct Authority {
    issuer: Issuer<'static, KeyPair>,
    der: Vec<u8>,
}

impl Authority {
    fn new(name: &str) -> Self {
        let mut params = CertificateParams::default();
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params.distinguished_name.push(DnType::CommonName, name);
        let key = KeyPair::generate().unwrap();
        let der = params.self_signed(&key).unwrap().der().to_vec();
        Self { issuer: Issuer::new(params, key), der }
    }

    /// A server for `name` with the changes that a test wants.
    fn server(&self, name: &str, change: impl FnOnce(&mut CertificateParams)) -> TlsAcceptor {
        let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
        change(&mut params);
        let key = KeyPair::generate().unwrap();
        let certificate = params.signed_by(&key, &self.issuer).unwrap();
        acceptor(certificate.der().to_vec(), &key, &[b"http/1.1"])
    }
}

fn acceptor(certificate: Vec<u8>, key: &KeyPair, alpn: &[&[u8]]) -> TlsAcceptor {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.into()], key)
        .unwrap();
    config.alpn_protocols = alpn.iter().map(|name| name.to_vec()).collect();
    TlsAcceptor::from(Arc::new(config))
}

/// Connects to `host`; the server sends `hello` if it gets that far.
async fn connect(tls: &Tls, server: TlsAcceptor, host: &str) -> Result<String, TlsError> {
    let (near, far) = tokio::io::duplex(1 << 16);
    let serving = async {
        if let Ok(mut stream) = server.accept(far).await {
            let _sent = stream.write_all(b"hello").await;
            let _ended = stream.shutdown().await;
        }
    };
    let connecting = async {
        let mut stream = tls.connect(near, host).await?;
        let mut text = String::new();
        stream.read_to_string(&mut text).await.unwrap();
        Ok(text)
    };
    tokio::join!(connecting, serving).0
}

#[tokio::test]
async fn trusts_the_authority_that_it_is_given() {
    let authority = Authority::new("ours");
    let tls = Tls::new().root(authority.der.clone());
    for host in ["rtm.example", "127.0.0.1"] {
        let server = authority.server(host, |_| {});
        assert_eq!(connect(&tls, server, host).await.unwrap(), "hello");
    }
}

#[tokio::test]
async fn names_what_is_wrong_with_a_certificate() {
    let authority = Authority::new("ours");
    let tls = Tls::new().root(authority.der.clone());
    let reason = async |server, host| connect(&tls, server, host).await.unwrap_err().reason();

    let expired = authority.server("rtm.example", |params| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 1, 1);
    });
    assert_eq!(reason(expired, "rtm.example").await, TlsReason::Expired);
    let early = authority.server("rtm.example", |params| {
        params.not_before = date_time_ymd(2999, 1, 1);
        params.not_after = date_time_ymd(3000, 1, 1);
    });
    assert_eq!(reason(early, "rtm.example").await, TlsReason::NotYetValid);
    for (name, host) in [
        ("rtm.example", "other.example"),
        ("rtm.example", "127.0.0.1"),
        ("127.0.0.1", "127.0.0.2"),
        ("*.example", "a.b.example"),
    ] {
        let server = authority.server(name, |_| {});
        assert_eq!(reason(server, host).await, TlsReason::WrongName, "{name} {host}");
    }
    let stranger = Authority::new("stranger").server("rtm.example", |_| {});
    assert_eq!(reason(stranger, "rtm.example").await, TlsReason::UnknownIssuer);
    let impostor = Authority::new("ours").server("rtm.example", |_| {});
    assert_eq!(reason(impostor, "rtm.example").await, TlsReason::BadCertificate);
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["rtm.example".to_owned()]).unwrap();
    let own = params.self_signed(&key).unwrap().der().to_vec();
    let own = acceptor(own, &key, &[b"http/1.1"]);
    assert_eq!(reason(own, "rtm.example").await, TlsReason::UnknownIssuer);
    let fine = authority.server("rtm.example", |_| {});
    assert_eq!(reason(fine, "not a name").await, TlsReason::WrongName);
}

#[tokio::test]
async fn a_server_that_wants_another_protocol_is_refused() {
    let authority = Authority::new("ours");
    let tls = Tls::new().root(authority.der.clone());
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["rtm.example".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority.issuer).unwrap().der().to_vec();
    let server = acceptor(certificate, &key, &[b"h2"]);
    let error = connect(&tls, server, "rtm.example").await.unwrap_err();
    assert!(matches!(error.reason(), TlsReason::Refused | TlsReason::Incompatible), "{error:?}");
}

/// What a client makes of a server that is given its end of a pipe.
async fn against<F: Future<Output = ()>>(server: impl FnOnce(DuplexStream) -> F) -> TlsReason {
    let (near, far) = tokio::io::duplex(1 << 16);
    let tls = Tls::new().root(Authority::new("ours").der);
    let (opened, ()) = tokio::join!(tls.connect(near, "rtm.example"), server(far));
    opened.map(drop).unwrap_err().reason()
}

#[tokio::test]
async fn a_server_without_tls_is_told_from_one_that_goes_away() {
    let plain = against(|mut io| async move {
        let _sent = io.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
        let _read = io.read_to_end(&mut Vec::new()).await;
    });
    assert_eq!(plain.await, TlsReason::NotTls);
    assert_eq!(against(|io| async { drop(io) }).await, TlsReason::Io);
}

#[tokio::test]
async fn a_stream_cut_off_without_a_goodbye_is_no_clean_end() {
    let authority = Authority::new("ours");
    let server = authority.server("rtm.example", |_| {});
    let (near, far) = tokio::io::duplex(1 << 16);
    let serving = async {
        let mut stream = server.accept(far).await.unwrap();
        stream.write_all(b"half").await.unwrap();
        stream.flush().await.unwrap();
        // The pipe ends; TLS has not said so.
        drop(stream.into_inner());
    };
    let tls = Tls::new().root(authority.der.clone());
    let reading = async {
        let mut stream = tls.connect(near, "rtm.example").await.unwrap();
        stream.read_to_end(&mut Vec::new()).await
    };
    let (read, ()) = tokio::join!(reading, serving);
    assert_eq!(read.unwrap_err().kind(), std::io::ErrorKind::UnexpectedEof);
}

#[tokio::test]
async fn a_provider_or_a_configuration_of_the_caller_counts_first() {
    let authority = Authority::new("ours");
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let tls = Tls::new().provider(Arc::clone(&provider)).root(authority.der.clone());
    let server = authority.server("rtm.example", |_| {});
    assert_eq!(connect(&tls, server, "rtm.example").await.unwrap(), "hello");

    let config = ClientConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_root_certificates(store(&[authority.der.clone().into()]).unwrap())
        .with_no_client_auth();
    let server = authority.server("rtm.example", |_| {});
    let ready = Tls::with_rustls(Arc::new(config));
    assert_eq!(connect(&ready, server, "rtm.example").await.unwrap(), "hello");
}

#[test]
fn a_root_that_is_none_is_an_error() {
    let error = Tls::new().root(b"not a certificate".to_vec()).build().unwrap_err();
    assert_eq!((error.reason(), error.reason().code()), (TlsReason::BadRoot, "bad_root"));
}

/// rustls cannot choose between two providers by itself, and panics when asked
/// to. We never ask.
#[cfg(feature = "aws-lc-rs")]
#[tokio::test]
async fn two_providers_in_one_program_are_no_panic() {
    let authority = Authority::new("ours");
    let tls = Tls::new().root(authority.der.clone());
    let server = authority.server("rtm.example", |_| {});
    assert_eq!(connect(&tls, server, "rtm.example").await.unwrap(), "hello");
    let other = Tls::new()
        .provider(Arc::new(rustls::crypto::aws_lc_rs::default_provider()))
        .root(authority.der.clone());
    let server = authority.server("rtm.example", |_| {});
    assert_eq!(connect(&other, server, "rtm.example").await.unwrap(), "hello");
}
