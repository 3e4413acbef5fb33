//! T6: proxies.

use std::{future::Future, io, sync::Mutex, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::{Instant, sleep},
};
use ws_core::{
    ClientRequest, Dialer, Endpoint, Error, Keys, Limits, Message, Proxy, ProxyError, Step,
};

const TUNNEL: &str = "HTTP/1.1 200 Connection established\r\n\r\n";

/// Connects through a proxy that is given its end of a pipe; returns what it was
/// asked, how that went, and how many seconds it took.
async fn through<F, R>(proxy: Proxy, serve: F) -> (Result<String, Error>, u64)
where
    F: FnOnce(DuplexStream) -> R,
    R: Future<Output = ()> + Send + 'static,
{
    let (near, far) = tokio::io::duplex(1 << 16);
    tokio::spawn(serve(far));
    let near = Mutex::new(Some(near));
    let dialer = Dialer::new().proxy(proxy).open_with(move |host, port| {
        assert_eq!((host.as_str(), port), ("proxy.example", 3128));
        let near = near.lock().unwrap().take().unwrap();
        async { Ok(near) }
    });
    let start = Instant::now();
    let url: Endpoint = "ws://[::1]:8080/chat".parse().unwrap();
    let request = ClientRequest::new(&url);
    let opened = dialer.connect(&url, request, Limits::default(), Keys::system()).await;
    let said = match opened {
        Err(error) => Err(error),
        Ok((mut socket, _)) => match socket.next().await.unwrap() {
            Some(Message::Text(text)) => Ok(text.to_string()),
            other => panic!("{other:?}"),
        },
    };
    (said, start.elapsed().as_secs())
}

/// Reads the request for a tunnel.
async fn asked(io: &mut DuplexStream) -> String {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(io.read_u8().await.unwrap()));
    }
    head
}

/// Opens the tunnel to a WebSocket that says what the proxy was asked.
async fn tunnel(mut io: DuplexStream) {
    let head = asked(&mut io).await;
    io.write_all(TUNNEL.as_bytes()).await.unwrap();
    let socket = ws_core::accept(io, Limits::default()).await.unwrap();
    let mut socket = socket.accept(None).await.unwrap();
    socket.send(&Message::text(head)).await.unwrap();
    while let Ok(Some(_)) = socket.next().await {}
}

fn plain() -> Proxy {
    Proxy::new("proxy.example", 3128)
}

#[tokio::test(start_paused = true)]
async fn t6_a_tunnel_is_asked_for_with_and_without_credentials() {
    let (said, _) = through(plain(), tunnel).await;
    assert_eq!(said.unwrap(), "CONNECT [::1]:8080 HTTP/1.1\r\nHost: [::1]:8080\r\n\r\n");
    let (said, _) = through(plain().basic("user", "pass"), tunnel).await;
    assert!(said.unwrap().ends_with("\r\nProxy-Authorization: Basic dXNlcjpwYXNz\r\n\r\n"));
}

#[tokio::test(start_paused = true)]
async fn t6_a_proxy_that_refuses_is_told_by_its_status() {
    for (answer, error) in [
        ("HTTP/1.1 407 Who are you\r\n\r\n", ProxyError::Credentials),
        ("HTTP/1.0 407 Who are you\r\nContent-Length: 3\r\n\r\nwho", ProxyError::Credentials),
        ("HTTP/1.1 403 No\r\n\r\n", ProxyError::Status(403)),
        ("HTTP/1.1 502 Bad Gateway\r\n\r\n", ProxyError::Status(502)),
        ("HTTP/1.1 200 OK\r\n\r\nand more", ProxyError::ExtraBytes),
        ("HTTP/1.1 200 OK\r\n", ProxyError::Eof),
        ("", ProxyError::Eof),
    ] {
        for proxy in [plain(), plain().basic("user", "wrong")] {
            let (said, took) = through(proxy, move |mut io| async move {
                asked(&mut io).await;
                io.write_all(answer.as_bytes()).await.unwrap();
            })
            .await;
            let refused = said.unwrap_err();
            assert_eq!((refused.step(), refused.status()), (Some(Step::Proxy), error.status()));
            assert!(matches!(&refused, Error::Proxy(e) if *e == error), "{refused:?}");
            assert_eq!(took, 0);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn t6_a_proxy_that_is_slow_or_silent_is_left_at_the_deadline() {
    let slow = through(plain(), |mut io| async move {
        asked(&mut io).await;
        for byte in TUNNEL.bytes().cycle() {
            sleep(Duration::from_secs(1)).await;
            if io.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    });
    let silent = through(plain(), |mut io| async move {
        asked(&mut io).await;
        let _gone = io.read_u8().await;
    });
    for (said, took) in [slow.await, silent.await] {
        let error = said.unwrap_err();
        assert!(matches!(error, Error::Timeout(Step::Proxy)), "{error:?}");
        assert_eq!(took, 10);
    }
}

#[tokio::test(start_paused = true)]
async fn t6_a_dead_proxy_is_a_failed_connection() {
    let dialer = Dialer::new().proxy(plain()).open_with(|_, _| async {
        Err::<DuplexStream, _>(io::Error::from(io::ErrorKind::ConnectionRefused))
    });
    let error = dialer.dial("rtm.example", 80, false).await.map(drop).unwrap_err();
    assert!(matches!(error, Error::Connect { step: Step::Tcp, .. }), "{error:?}");
}
