//! Through a proxy that is a process of its own: the one that `WS_CORE_PROXY`
//! names as `HOST:PORT:USER:PASSWORD`, or one that runs here.

use std::{env, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use ws_core::{
    ClientRequest, Connection, Dialer, Endpoint, Error, Keys, Limits, Message, Proxy, Step, Stream,
};

/// Host, port, user and password of the proxy.
async fn proxy() -> (String, u16, String, String) {
    if let Ok(named) = env::var("WS_CORE_PROXY") {
        // Whoever runs the suite sees that this is where it ran.
        eprintln!("on {named}");
        let parts: Vec<&str> = named.split(':').collect();
        let [host, port, user, password] = parts[..] else { panic!("{named}: four parts") };
        return (host.into(), port.parse().unwrap(), user.into(), password.into());
    }
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        while let Ok((client, _)) = listener.accept().await {
            tokio::spawn(carry(client));
        }
    });
    ("127.0.0.1".into(), port, "user".into(), "pass".into())
}

/// A proxy's work for one connection.
async fn carry(mut client: TcpStream) {
    let mut head = String::new();
    while !head.ends_with("\r\n\r\n") {
        head.push(char::from(client.read_u8().await.unwrap()));
    }
    let answer = if !head.contains("Proxy-Authorization: Basic dXNlcjpwYXNz\r\n") {
        "HTTP/1.1 407 Proxy Authentication Required"
    } else if let Ok(mut server) = TcpStream::connect(head.split(' ').nth(1).unwrap()).await {
        client.write_all(b"HTTP/1.0 200 Connection established\r\n\r\n").await.unwrap();
        let _carried = tokio::io::copy_bidirectional(&mut client, &mut server).await;
        return;
    } else {
        "HTTP/1.1 502 Bad Gateway"
    };
    client.write_all(format!("{answer}\r\n\r\n").as_bytes()).await.unwrap();
}

/// A server that says what it hears; returns its port.
async fn echo() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    tokio::spawn(async move {
        let (io, _) = listener.accept().await.unwrap();
        let socket = ws_core::accept(io, Limits::default()).await.unwrap();
        let mut socket = socket.accept(None).await.unwrap();
        while let Ok(Some(message)) = socket.next().await {
            socket.send(&message).await.unwrap();
        }
    });
    port
}

async fn open(proxy: Proxy, port: u16) -> Result<Connection<Stream>, Error> {
    let url: Endpoint = format!("ws://127.0.0.1:{port}/").parse().unwrap();
    let dialer = Dialer::new().proxy(proxy);
    let request = ClientRequest::new(&url);
    let opened = dialer.connect(&url, request, Limits::default(), Keys::system()).await;
    opened.map(|(socket, _)| socket)
}

#[tokio::test]
async fn t6_messages_of_any_size_go_through_a_proxy_on_the_network() {
    let (host, port, user, password) = proxy().await;
    let right = Proxy::new(host, port).basic(&user, &password);
    let mut socket = open(right, echo().await).await.unwrap();
    for size in [0, 1, 125, 126, 1000, 65_536, 1_000_000] {
        let message = Message::binary(vec![size as u8; size]);
        socket.send(&message).await.unwrap();
        assert_eq!(socket.next().await.unwrap(), Some(message));
    }
    socket.close(None, Duration::from_secs(3)).await.unwrap();
}

#[tokio::test]
async fn t6_a_proxy_on_the_network_refuses_strangers_and_dead_targets() {
    let (host, port, user, password) = proxy().await;
    let stranger = Proxy::new(host.clone(), port);
    let error = open(stranger, echo().await).await.map(drop).unwrap_err();
    assert_eq!((error.step(), error.status()), (Some(Step::Proxy), Some(407)), "{error:?}");
    let wrong = Proxy::new(host.clone(), port).basic(&user, "wrong");
    let error = open(wrong, echo().await).await.map(drop).unwrap_err();
    // Some say 401, which is for servers.
    assert!(matches!(error.status(), Some(401 | 407)), "{error:?}");
    let right = Proxy::new(host, port).basic(&user, &password);
    let error = open(right, 1).await.map(drop).unwrap_err();
    assert_eq!(error.step(), Some(Step::Proxy), "{error:?}");
    assert!(error.status().is_some_and(|status| status >= 500), "{error:?}");
}
