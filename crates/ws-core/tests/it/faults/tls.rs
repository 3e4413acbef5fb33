//! T1 to T5: TLS that is not right.

use ws_core::{Tls, TlsReason};

/// Without a provider there is an error, and no panic. With one of the features
/// that bring one, this cannot be seen; ci/features.sh runs it without.
#[cfg(not(any(feature = "ring", feature = "aws-lc-rs")))]
#[tokio::test]
async fn t4_no_provider_is_an_error() {
    let (near, _far) = tokio::io::duplex(64);
    let opened = Tls::new().connect(near, "rtm.example").await.map(drop);
    assert_eq!(opened.unwrap_err().reason(), TlsReason::NoProvider);
}

#[tokio::test]
async fn a_root_that_is_none_is_an_error() {
    let (near, _far) = tokio::io::duplex(64);
    let tls = Tls::new().root(b"not a certificate".to_vec());
    let reason = tls.connect(near, "rtm.example").await.map(drop).unwrap_err().reason();
    assert!(matches!(reason, TlsReason::BadRoot | TlsReason::NoProvider), "{reason:?}");
}

#[cfg(feature = "ring")]
mod served {
    use std::{future::Future, sync::Arc};

    use rcgen::{GeneralSubtree, NameConstraints, date_time_ymd};
    use rustls::crypto::{CryptoProvider, ring};
    use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
    use tokio_rustls::TlsAcceptor;
    use ws_core::{
        ClientRequest, Dialer, Endpoint, Error, HandshakeError, Keys, Limits, Message, Step, Tls,
        TlsError, TlsReason,
    };

    use crate::{
        certificates::{Authority, self_signed},
        faults::records::{Then, wire},
    };

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

    async fn reason(tls: &Tls, server: TlsAcceptor, host: &str) -> TlsReason {
        connect(tls, server, host).await.unwrap_err().reason()
    }

    #[tokio::test]
    async fn trusts_the_authority_that_it_is_given() {
        let authority = Authority::new("ours");
        for host in ["rtm.example", "127.0.0.1"] {
            let server = authority.server(host);
            assert_eq!(connect(&authority.tls(), server, host).await.unwrap(), "hello");
        }
        let server = authority.server("*.rtm.example");
        assert_eq!(connect(&authority.tls(), server, "a.rtm.example").await.unwrap(), "hello");
    }

    #[tokio::test(start_paused = true)]
    async fn t1_names_what_is_wrong_with_a_certificate() {
        let authority = Authority::new("ours");
        let tls = authority.tls();

        let expired = authority.server_with("rtm.example", |params| {
            params.not_before = date_time_ymd(2019, 1, 1);
            params.not_after = date_time_ymd(2020, 1, 1);
        });
        assert_eq!(reason(&tls, expired, "rtm.example").await, TlsReason::Expired);
        let early = authority.server_with("rtm.example", |params| {
            params.not_before = date_time_ymd(2999, 1, 1);
            params.not_after = date_time_ymd(3000, 1, 1);
        });
        assert_eq!(reason(&tls, early, "rtm.example").await, TlsReason::NotYetValid);
        for (name, host) in [
            ("rtm.example", "other.example"),
            ("rtm.example", "127.0.0.1"),
            ("127.0.0.1", "127.0.0.2"),
            ("127.0.0.1", "rtm.example"),
            ("*.example", "a.b.example"),
        ] {
            let server = authority.server(name);
            assert_eq!(reason(&tls, server, host).await, TlsReason::WrongName, "{name} {host}");
        }
        let stranger = Authority::new("stranger").server("rtm.example");
        assert_eq!(reason(&tls, stranger, "rtm.example").await, TlsReason::UnknownIssuer);
        let impostor = Authority::new("ours").server("rtm.example");
        assert_eq!(reason(&tls, impostor, "rtm.example").await, TlsReason::BadCertificate);
        let own = self_signed("rtm.example");
        assert_eq!(reason(&tls, own, "rtm.example").await, TlsReason::UnknownIssuer);
        let fine = authority.server("rtm.example");
        assert_eq!(reason(&tls, fine, "not a name").await, TlsReason::WrongName);
    }

    /// An authority for some names only cannot vouch for others, by no wildcard
    /// either (RUSTSEC-2026-0099).
    #[tokio::test(start_paused = true)]
    async fn t1_an_authority_for_some_names_vouches_for_no_others() {
        let dns = |name: &str| GeneralSubtree::DnsName(name.to_owned());
        let limited = |permitted: &[&str], excluded: &[&str]| {
            Authority::with("limited", |params| {
                params.name_constraints = Some(NameConstraints {
                    permitted_subtrees: permitted.iter().map(|name| dns(name)).collect(),
                    excluded_subtrees: excluded.iter().map(|name| dns(name)).collect(),
                });
            })
        };
        let authority = limited(&["ours.example"], &[]);
        let server = authority.server("rtm.ours.example");
        assert!(connect(&authority.tls(), server, "rtm.ours.example").await.is_ok());
        for (name, host) in
            [("rtm.other.example", "rtm.other.example"), ("*.example", "other.example")]
        {
            let server = authority.server(name);
            let found = reason(&authority.tls(), server, host).await;
            assert_eq!(found, TlsReason::BadCertificate, "{name}");
        }
        let authority = limited(&[], &["secret.example"]);
        for (name, host) in
            [("secret.example", "secret.example"), ("*.secret.example", "a.secret.example")]
        {
            let server = authority.server(name);
            let found = reason(&authority.tls(), server, host).await;
            assert_eq!(found, TlsReason::BadCertificate, "{name}");
        }
    }

    /// What a client makes of a server that is given its end of a pipe.
    async fn against<F: Future<Output = ()>>(server: impl FnOnce(DuplexStream) -> F) -> TlsReason {
        let (near, far) = tokio::io::duplex(1 << 16);
        let tls = Authority::new("ours").tls();
        let (opened, ()) = tokio::join!(tls.connect(near, "rtm.example"), server(far));
        opened.map(drop).unwrap_err().reason()
    }

    #[tokio::test(start_paused = true)]
    async fn t2_a_server_that_knows_only_tls_1_1_is_refused() {
        // An alert, `protocol_version`, as such a server gives.
        let alert = against(|mut io| async move {
            let _sent = io.write_all(&[0x15, 3, 2, 0, 2, 2, 70]).await;
            let _read = io.read_to_end(&mut Vec::new()).await;
        });
        assert_eq!(alert.await, TlsReason::Refused);
        // A server hello that selects TLS 1.1 and a cipher of its time.
        let hello = against(|mut io| async move {
            let mut hello = vec![0x16, 3, 2, 0, 42, 2, 0, 0, 38, 3, 2];
            hello.extend_from_slice(&[7; 32]);
            hello.extend_from_slice(&[0, 0x00, 0x2f, 0]);
            let _sent = io.write_all(&hello).await;
            let _read = io.read_to_end(&mut Vec::new()).await;
        });
        assert!(matches!(hello.await, TlsReason::Incompatible | TlsReason::Refused));
    }

    #[tokio::test(start_paused = true)]
    async fn t2_a_server_without_a_common_cipher_or_protocol_is_refused() {
        let authority = Authority::new("ours");
        let only =
            |suite| CryptoProvider { cipher_suites: vec![suite], ..ring::default_provider() };
        let aes = only(ring::cipher_suite::TLS13_AES_128_GCM_SHA256);
        let server = authority.server_of(
            "rtm.example",
            |_| {},
            &[b"http/1.1"],
            &[ring::cipher_suite::TLS13_CHACHA20_POLY1305_SHA256],
        );
        let tls = authority.tls().provider(Arc::new(aes));
        let found = reason(&tls, server, "rtm.example").await;
        assert!(matches!(found, TlsReason::Refused | TlsReason::Incompatible), "{found:?}");

        let h2 = authority.server_of("rtm.example", |_| {}, &[b"h2"], ring::ALL_CIPHER_SUITES);
        let found = reason(&authority.tls(), h2, "rtm.example").await;
        assert!(matches!(found, TlsReason::Refused | TlsReason::Incompatible), "{found:?}");
    }

    /// A WebSocket over TLS, whose stream ends after `records` records and
    /// `after` bytes of the next one. Returns how many messages came, and how it
    /// ended.
    async fn cut(records: usize, after: usize) -> (usize, Error) {
        let authority = Authority::new("ours");
        let (server, far) = tokio::io::duplex(1 << 16);
        let (near, _) = wire(server, records, Then::End { after });
        let acceptor = authority.server("rtm.example");
        tokio::spawn(async move {
            let stream = acceptor.accept(far).await.unwrap();
            let handshake = ws_core::accept(stream, Limits::default()).await.unwrap();
            let mut socket = handshake.accept(None).await.unwrap();
            for n in 0..11 {
                socket.send(&Message::text(n.to_string())).await.unwrap();
            }
            // Says no goodbye.
            std::future::pending::<()>().await;
        });
        let near = std::sync::Mutex::new(Some(near));
        let dialer = Dialer::new().tls(authority.tls()).open_with(move |_, _| {
            let near = near.lock().unwrap().take().unwrap();
            async { Ok(near) }
        });
        let url: Endpoint = "wss://rtm.example/".parse().unwrap();
        let request = ClientRequest::new(&url);
        match dialer.connect(&url, request, Limits::default(), Keys::system()).await {
            Err(error) => (0, error),
            Ok((mut socket, _)) => {
                let mut came = 0;
                loop {
                    match socket.next().await {
                        Ok(Some(_)) => came += 1,
                        Ok(None) => panic!("a clean end after {records} records"),
                        Err(error) => return (came, error),
                    }
                }
            }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn t3_a_stream_cut_off_without_a_goodbye_is_an_error_at_each_record() {
        let (mut tls, mut upgrade, mut open) = (0, 0, 0);
        for records in 0.. {
            for after in [0, 3, 20] {
                match cut(records, after).await {
                    (0, Error::Tls(error)) => {
                        assert_eq!(error.reason(), TlsReason::Io);
                        tls += 1;
                    }
                    (0, Error::Connect { step: Step::Upgrade, .. })
                    | (0, Error::Handshake(HandshakeError::Eof)) => upgrade += 1,
                    (_, Error::Io(_) | Error::UnexpectedEof) => open += 1,
                    (came, error) => panic!("{came} messages, then {error:?}"),
                }
            }
            if cut(records, 0).await.0 == 10 {
                break;
            }
        }
        assert!(tls > 3 && upgrade > 3 && open > 20, "{tls} {upgrade} {open}");
    }

    #[tokio::test]
    async fn t4_the_callers_provider_or_configuration_counts_first() {
        let authority = Authority::new("ours");
        let provider = Arc::new(ring::default_provider());
        let server = authority.server("rtm.example");
        let tls = authority.tls().provider(provider);
        assert_eq!(connect(&tls, server, "rtm.example").await.unwrap(), "hello");

        let server = authority.server("rtm.example");
        let ready = Tls::with_rustls(authority.config(ring::default_provider()));
        assert_eq!(connect(&ready, server, "rtm.example").await.unwrap(), "hello");
    }

    /// rustls cannot choose between two providers by itself, and panics when
    /// asked to. We never ask.
    #[cfg(feature = "aws-lc-rs")]
    #[tokio::test]
    async fn t4_two_providers_in_one_program_are_no_panic() {
        let authority = Authority::new("ours");
        let server = authority.server("rtm.example");
        assert_eq!(connect(&authority.tls(), server, "rtm.example").await.unwrap(), "hello");
        let other = rustls::crypto::aws_lc_rs::default_provider();
        let tls = authority.tls().provider(Arc::new(other));
        let server = authority.server("rtm.example");
        assert_eq!(connect(&tls, server, "rtm.example").await.unwrap(), "hello");
    }

    #[tokio::test]
    async fn t5_a_server_without_tls_is_told_from_one_that_goes_away() {
        let plain = against(|mut io| async move {
            let _sent = io.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await;
            let _read = io.read_to_end(&mut Vec::new()).await;
        });
        assert_eq!(plain.await, TlsReason::NotTls);
        assert_eq!(against(|io| async { drop(io) }).await, TlsReason::Io);
    }

    #[tokio::test]
    async fn t5_a_url_without_tls_is_not_answered_by_a_server_with_it() {
        let acceptor = Authority::new("ours").server("rtm.example");
        let dialer = Dialer::new().open_with(move |_, _| {
            let (near, far) = tokio::io::duplex(1 << 16);
            let accepting = acceptor.accept(far);
            tokio::spawn(async move { drop(accepting.await) });
            async { Ok(near) }
        });
        let url: Endpoint = "ws://rtm.example/".parse().unwrap();
        let request = ClientRequest::new(&url);
        let opened = dialer.connect(&url, request, Limits::default(), Keys::system()).await;
        let error = opened.map(drop).unwrap_err();
        assert_eq!(error.step(), Some(Step::Upgrade), "{error:?}");
    }

    /// The name that must be proven is the URL's, whatever host is connected to.
    #[tokio::test]
    async fn t5_the_name_comes_from_the_url_only() {
        let authority = Authority::new("ours");
        let (tls, acceptor) = (authority.tls(), authority.server("proxy.example"));
        let dialer = Dialer::new().tls(tls).open_with(move |host, _| {
            assert_eq!(host, "rtm.example");
            let (near, far) = tokio::io::duplex(1 << 16);
            let accepting = acceptor.accept(far);
            tokio::spawn(async move { drop(accepting.await) });
            async { Ok(near) }
        });
        let error = dialer.dial("rtm.example", 443, true).await.map(drop).unwrap_err();
        assert!(matches!(error, Error::Tls(e) if e.reason() == TlsReason::WrongName));
    }
}
