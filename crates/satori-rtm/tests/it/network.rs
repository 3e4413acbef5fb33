//! TLS and proxies, over real sockets.

use std::{net::SocketAddr, time::Duration};

use realtime_sandbox::{Authority, Engine, RtmConfig, RtmServer};
use satori_rtm::{Client, Config, Error, ErrorKind, Event, Subscribe};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

use crate::support::{take, within};

/// A server over TLS, its URL, and who signs for it.
async fn secure(engine: Engine) -> (RtmServer, String, Authority) {
    let server = RtmServer::new(RtmConfig::default(), engine);
    let authority = Authority::new().unwrap();
    let url = server.listen_tls(0, &authority).await.unwrap();
    (server, url, authority)
}

/// Connects, publishes, receives, closes.
async fn converse(server: &RtmServer, config: Config) {
    let config = config.role(server.role(), server.role_secret());
    let client = Client::connect(config).await.unwrap();
    let mut c = client.subscribe("c", Subscribe::new()).await.unwrap();
    // More than one TLS record, in both directions.
    let big = "x".repeat(60_000);
    client.publish("c", &big).await.unwrap();
    assert_eq!(take(&mut c, 1).await[0].len(), 60_002);
    assert!(client.close(Duration::from_secs(5)).await.is_clean());
}

#[tokio::test]
async fn speaks_tls_with_a_server_whose_authority_it_trusts() {
    for engine in Engine::ALL {
        let (server, url, authority) = secure(engine).await;
        let localhost = url.replace("127.0.0.1", "localhost");
        for url in [url, localhost] {
            let config = Config::new(url, server.appkey()).tls_root(authority.der());
            converse(&server, config).await;
        }
    }
}

async fn refused(config: Config) -> Error {
    Client::connect(config).await.unwrap_err()
}

#[tokio::test]
async fn a_certificate_that_is_not_right_is_an_error_that_says_why() {
    let (server, url, authority) = secure(Engine::WsCore).await;
    // By default nobody has heard of the sandbox's authority.
    let error = refused(Config::new(&url, server.appkey())).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Connect, "unknown_issuer"));
    assert!(error.to_string().contains(&url) && error.hint().is_some());

    let elsewhere = url.replace("127.0.0.1", "127.0.0.2");
    let port: u16 = url.rsplit(':').next().unwrap().parse().unwrap();
    let near = satori_rtm::Connector::new(move |_| TcpStream::connect(("127.0.0.1", port)));
    let config = Config::new(elsewhere, server.appkey()).tls_root(authority.der()).connector(near);
    assert_eq!(refused(config).await.code(), "wrong_name");
    let config = Config::new(&url, server.appkey()).tls_root(b"nonsense".to_vec());
    assert_eq!(refused(config).await.code(), "bad_root");
}

/// Waits for the next event that says when the client tries again.
async fn next_wait(client: &Client) -> (Duration, Error) {
    let mut events = client.events();
    loop {
        match within(events.next()).await {
            Some(Event::Waiting { delay, cause, .. }) => return (delay, cause),
            Some(_) => {}
            None => panic!("the client ended"),
        }
    }
}

#[tokio::test]
async fn t1_a_certificate_that_is_not_right_is_tried_again_at_the_longest_wait() {
    let (server, url, _) = secure(Engine::WsCore).await;
    let client = Client::new(Config::new(url, server.appkey()).retry_first_connect()).unwrap();
    let waiting = next_wait(&client);
    let starting = client.start();
    let (delay, cause) = tokio::select! {
        wait = waiting => wait,
        started = starting => panic!("{started:?}"),
    };
    assert_eq!((delay.as_secs(), cause.code()), (10, "unknown_issuer"));
}

#[tokio::test(start_paused = true)]
async fn c11_a_service_that_asks_to_be_left_alone_is() {
    let busy = satori_rtm::Connector::new(|_| async {
        let (ours, mut theirs) = tokio::io::duplex(4096);
        tokio::spawn(async move {
            let _request = theirs.read(&mut [0; 4096]).await;
            let answer = b"HTTP/1.1 503 Busy\r\nRetry-After: 60\r\n\r\n";
            theirs.write_all(answer).await.unwrap();
        });
        Ok(ours)
    });
    let config = Config::new("ws://rtm.example", "K").connector(busy).retry_first_connect();
    let client = Client::new(config).unwrap();
    let (waiting, starting) = (next_wait(&client), client.start());
    let (delay, cause) = tokio::select! {
        wait = waiting => wait,
        started = starting => panic!("{started:?}"),
    };
    assert!((60..=72).contains(&delay.as_secs()), "{delay:?}");
    assert!(matches!(cause, Error::Connect(e) if e.status == Some(503)));
}

#[tokio::test]
async fn plain_and_tls_are_never_mixed_up() {
    let (server, secure_url, authority) = secure(Engine::WsCore).await;
    server.listen(0).await.unwrap();
    let tls_to_plain = server.url().replace("ws://", "wss://");
    let config = Config::new(tls_to_plain, server.appkey()).tls_root(authority.der());
    assert_eq!(refused(config).await.code(), "not_tls");
    let plain_to_tls = secure_url.replace("wss://", "ws://");
    let error = refused(Config::new(plain_to_tls, server.appkey())).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Connect, "upgrade"));
}

/// A proxy for one connection, which answers `answer` and then carries bytes.
/// Returns its address, and what it was asked.
async fn proxy(answer: &'static str) -> (SocketAddr, tokio::task::JoinHandle<String>) {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let proxying = tokio::spawn(async move {
        let (mut client, _) = listener.accept().await.unwrap();
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            head.push(char::from(client.read_u8().await.unwrap()));
        }
        client.write_all(answer.as_bytes()).await.unwrap();
        if answer.contains(" 200 ") {
            let target = head.split_whitespace().nth(1).unwrap().to_owned();
            let mut server = TcpStream::connect(target).await.unwrap();
            let _carried = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        }
        head
    });
    (address, proxying)
}

const ESTABLISHED: &str = "HTTP/1.0 200 Connection established\r\n\r\n";

#[tokio::test]
async fn goes_through_a_proxy_with_and_without_tls() {
    let (server, secure_url, authority) = secure(Engine::WsCore).await;
    server.listen(0).await.unwrap();
    for url in [server.url(), secure_url] {
        let (address, proxying) = proxy(ESTABLISHED).await;
        let config = Config::new(&url, server.appkey())
            .tls_root(authority.der())
            .proxy_with_credentials("127.0.0.1", address.port(), "user", "pass");
        converse(&server, config).await;
        let target = url.split("//").nth(1).unwrap();
        assert_eq!(
            proxying.await.unwrap(),
            format!(
                "CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n\
                 Proxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n"
            )
        );
    }
}

#[tokio::test]
async fn a_proxy_that_does_not_open_a_tunnel_is_named_as_the_step() {
    for (answer, status) in [
        ("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n", Some(407)),
        ("HTTP/1.1 403 Forbidden\r\n\r\n", Some(403)),
        ("", None),
    ] {
        let (address, _proxying) = proxy(answer).await;
        let config = Config::new("ws://127.0.0.1:1", "K").proxy("127.0.0.1", address.port());
        let error = refused(config).await;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Connect, "proxy"), "{error:?}");
        let Error::Connect(error) = error else { panic!("{error:?}") };
        assert_eq!(error.status, status);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_stalls_in_a_step_is_left_at_the_deadline_with_the_steps_name() {
    let silent = || {
        satori_rtm::Connector::new(|_| async {
            let (ours, theirs) = tokio::io::duplex(4096);
            tokio::spawn(async move {
                tokio::time::sleep(Duration::from_secs(3600)).await;
                drop(theirs);
            });
            Ok(ours)
        })
    };
    for (config, step) in [
        (Config::new("wss://rtm.example", "K"), "tls"),
        (Config::new("ws://rtm.example", "K").proxy("proxy.example", 3128), "proxy"),
        (Config::new("ws://rtm.example", "K"), "upgrade"),
    ] {
        let start = tokio::time::Instant::now();
        let error = refused(config.connector(silent())).await;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Connect, step));
        assert_eq!(start.elapsed().as_secs(), 10);
    }
}
