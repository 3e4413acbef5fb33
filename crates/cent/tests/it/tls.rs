//! The blocking client over TLS.

use std::{
    io::{Read, Write},
    net::TcpListener,
    sync::Arc,
    thread,
};

use cent::{Client, Config, Error, ErrorKind, Failure};
use rcgen::{BasicConstraints, CertificateParams, IsCa, Issuer, KeyPair};
use rustls::{ServerConfig, ServerConnection, StreamOwned, crypto::ring, pki_types::PrivateKeyDer};

/// A v6 over TLS that publishes everything; returns its address and the
/// certificate of its authority.
fn server(name: &str) -> (String, Vec<u8>) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let key = KeyPair::generate().unwrap();
    let root = params.self_signed(&key).unwrap().der().to_vec();
    let issuer = Issuer::new(params, key);
    let key = KeyPair::generate().unwrap();
    let own = CertificateParams::new(vec![name.to_owned()]).unwrap();
    let own = own.signed_by(&key, &issuer).unwrap().der().clone();
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![own], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let config = Arc::new(config);
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = format!("https://{}", listener.local_addr().unwrap());
    thread::spawn(move || {
        for stream in listener.incoming() {
            let connection = ServerConnection::new(Arc::clone(&config)).unwrap();
            let mut stream = StreamOwned::new(connection, stream.unwrap());
            thread::spawn(move || {
                let body = r#"{"result":{"offset":7}}"#;
                let answer =
                    format!("HTTP/1.1 200 OK\r\nContent-Length: {}\r\n\r\n{body}", body.len());
                let mut asked = Vec::new();
                let mut bytes = [0; 4096];
                // A request is here when its JSON is.
                while let Ok(read @ 1..) = stream.read(&mut bytes) {
                    asked.extend_from_slice(&bytes[..read]);
                    if asked.ends_with(b"}") {
                        asked.clear();
                        stream.write_all(answer.as_bytes()).unwrap();
                    }
                }
            });
        }
    });
    (address, root)
}

fn failure(config: Config) -> (ErrorKind, String) {
    let error = Client::new(config).unwrap().publish("a", &1).unwrap_err();
    let Error::Request(request) = &error else { panic!("{error:?}") };
    assert_eq!((request.failure, request.in_doubt), (Failure::Network, 0), "{error:?}");
    (error.kind(), request.hint.unwrap_or_default().to_owned())
}

#[test]
fn trusts_the_root_that_it_is_given() {
    let (address, root) = server("127.0.0.1");
    let client = Client::new(Config::v6(&address, "k").tls_root(root)).unwrap();
    for _ in 0..3 {
        assert_eq!(client.publish("a", &1).unwrap().offset, Some(7));
    }
}

#[test]
fn a_certificate_that_is_not_right_is_told_before_anything_is_sent() {
    let (address, root) = server("elsewhere.example");
    for config in [Config::v6(&address, "k"), Config::v6(&address, "k").tls_root(root)] {
        let (kind, hint) = failure(config);
        assert_eq!(kind, ErrorKind::Connect);
        assert!(hint.contains("certificate"), "{hint}");
    }
    // Only who says that he means it is let through.
    let client = Client::new(Config::v6(&address, "k").dangerous().skip_verification()).unwrap();
    assert_eq!(client.publish("a", &1).unwrap().offset, Some(7));
}

#[test]
fn a_root_that_is_none_is_a_configuration_error() {
    let config = Config::v6("https://127.0.0.1:1", "k").tls_root(b"nonsense".to_vec());
    assert!(matches!(Client::new(config), Err(Error::Config { option: "tls_root", .. })));
}

#[test]
fn the_callers_provider_is_taken() {
    let (address, root) = server("127.0.0.1");
    let provider = Arc::new(ring::default_provider());
    let config = Config::v6(&address, "k").tls_root(root).tls_provider(provider);
    assert!(Client::new(config).unwrap().publish("a", &1).is_ok());
}
