//! What the tests share.

use std::{future::Future, sync::Arc, time::Duration};

use realtime_sandbox::{Engine, Proxy, StreamSeaConfig, StreamSeaServer};
use stream_sea::{Client, Config, Connector, Credentials, Delivery, Subscription};

/// A server with the stream `tides`, whose payloads may be anything.
pub(crate) fn server(engine: Engine) -> StreamSeaServer {
    StreamSeaServer::new(StreamSeaConfig::default().stream("tides"), engine)
}

/// Runs `test` on each engine, with a server that is reached by pipes.
pub(crate) async fn on_both_engines<F: Future<Output = ()>>(test: impl Fn(StreamSeaServer) -> F) {
    for engine in Engine::ALL {
        test(server(engine)).await;
    }
}

/// The first client's credentials.
pub(crate) fn credentials(server: &StreamSeaServer) -> Credentials {
    Credentials::basic(server.client_id(), server.client_secret())
}

/// A configuration for `server` by pipes, with a fixed schedule of retries.
pub(crate) fn config_as(server: &StreamSeaServer, credentials: Credentials) -> Config {
    let pipes = server.clone();
    Config::new("localhost", 3104, credentials).seed(1).connector(Connector::new(move |_| {
        let pipe = pipes.pipe();
        async { Ok(pipe) }
    }))
}

pub(crate) fn config(server: &StreamSeaServer) -> Config {
    config_as(server, credentials(server))
}

/// The same, with the WebSocket and the calls through `proxy`.
pub(crate) fn config_through(server: &StreamSeaServer, proxy: Arc<Proxy>) -> Config {
    let pipes = server.clone();
    config(server).connector(Connector::new(move |_| {
        let pipe = proxy.wrap(pipes.pipe());
        async { Ok(pipe) }
    }))
}

pub(crate) async fn connect(server: &StreamSeaServer) -> Client {
    Client::connect(config(server)).await.unwrap()
}

/// Takes `count` messages, which must come without a gap.
pub(crate) async fn take(subscription: &mut Subscription, count: usize) -> Vec<String> {
    let mut got = Vec::new();
    while got.len() < count {
        match within(subscription.next()).await {
            Some(Delivery::Message(message)) => got.push(message.json().to_owned()),
            other => panic!("after {got:?}: {other:?}"),
        }
    }
    got
}

/// Nothing is delivered, however long one waits.
pub(crate) async fn nothing_comes(subscription: &mut Subscription) {
    let more = tokio::time::timeout(Duration::from_secs(5), subscription.next()).await;
    assert!(more.is_err(), "{more:?}");
}

/// Fails a test that hangs. Minutes of paused time cost nothing.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(120), future).await.expect("no hang")
}
