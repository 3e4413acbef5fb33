//! What the tests share.

use std::{cell::Cell, future::Future, time::Duration};

use futures_util::{SinkExt, StreamExt};
use realtime_sandbox::{Engine, Proxy, RtmConfig, RtmServer};
use satori_rtm::{Client, Config, Connector, Delivery, Protocol, Subscription};
use tokio::io::DuplexStream;

/// Both encodings.
pub(crate) const PROTOCOLS: [Protocol; 2] = [Protocol::Json, Protocol::Cbor];

thread_local! {
    /// What the clients of this test speak: a test has a thread of its own.
    static SPOKEN: Cell<Protocol> = const { Cell::new(Protocol::Json) };
}

/// Lets the clients of this test speak `protocol` from now on.
pub(crate) fn speak(protocol: Protocol) {
    SPOKEN.set(protocol);
}

/// Runs `test` on each engine and in each encoding, with a server that is reached by
/// pipes.
pub(crate) async fn on_both_engines<F: Future<Output = ()>>(test: impl Fn(RtmServer) -> F) {
    for protocol in PROTOCOLS {
        speak(protocol);
        for engine in Engine::ALL {
            test(RtmServer::new(RtmConfig::default(), engine)).await;
        }
    }
}

/// A configuration for `server` by pipes, with a fixed schedule of retries.
pub(crate) fn config(server: &RtmServer) -> Config {
    let pipes = server.clone();
    new_config(server).connector(Connector::new(move |_| {
        let pipe = pipes.pipe();
        async { Ok(pipe) }
    }))
}

fn new_config(server: &RtmServer) -> Config {
    Config::new(server.url(), server.appkey()).seed(1).protocol(SPOKEN.get())
}

/// The same, through `proxy`.
pub(crate) fn config_through(server: &RtmServer, proxy: std::sync::Arc<Proxy>) -> Config {
    let pipes = server.clone();
    new_config(server).connector(Connector::new(move |_| {
        let pipe = proxy.wrap(pipes.pipe());
        async { Ok(pipe) }
    }))
}

/// Connects with the role that may do everything.
pub(crate) async fn connect(server: &RtmServer) -> Client {
    let config = config(server).role(server.role(), server.role_secret());
    Client::connect(config).await.unwrap()
}

/// Takes `count` messages, which must come without a gap.
pub(crate) async fn take(subscription: &mut Subscription, count: usize) -> Vec<String> {
    let mut got = Vec::new();
    while got.len() < count {
        match within(subscription.next()).await {
            Some(Delivery::Message(message)) => got.push(message.to_string()),
            other => panic!("after {got:?}: {other:?}"),
        }
    }
    got
}

/// Fails a test that hangs. A minute of paused time costs nothing.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("no hang")
}

/// A client whose server is `script`, given the server's end of a pipe.
pub(crate) fn scripted<F, R>(script: F) -> Config
where
    F: Fn(DuplexStream) -> R + Send + Sync + 'static,
    R: Future<Output = ()> + Send + 'static,
{
    Config::new("ws://127.0.0.1", "K").seed(1).connector(Connector::new(move |_| {
        let (client, server) = tokio::io::duplex(1 << 16);
        tokio::spawn(script(server));
        async { Ok(client) }
    }))
}

/// A WebSocket server that is not ours, and answers each text by `answer`.
pub(crate) async fn websocket(io: DuplexStream, answer: impl Fn(&str) -> Option<String>) {
    let Ok(mut socket) = tokio_tungstenite::accept_async(io).await else { return };
    while let Some(Ok(message)) = socket.next().await {
        let Ok(text) = message.to_text() else { continue };
        if let Some(answer) = answer(text) {
            let _sent = socket.send(answer.into()).await;
        }
    }
}
