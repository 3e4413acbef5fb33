//! What the tests share.

use std::{future::Future, sync::Arc, time::Duration};

use high_templar_client::{
    Client, Config, Connector, Delivery, Publisher, PublisherConfig, Room, Subscribe, Subscription,
    Trigger,
};
use realtime_sandbox::{Engine, HighTemplarConfig, HighTemplarServer, Proxy};
use serde::Serialize;

pub(crate) fn server(engine: Engine) -> HighTemplarServer {
    HighTemplarServer::new(HighTemplarConfig::default(), engine).unwrap()
}

/// Runs `test` on each engine, with a server that is reached by pipes.
pub(crate) async fn on_both_engines<F: Future<Output = ()>>(test: impl Fn(HighTemplarServer) -> F) {
    for engine in Engine::ALL {
        test(server(engine)).await;
    }
}

/// Byte streams to `server`.
pub(crate) fn pipes(server: &HighTemplarServer) -> Connector {
    let server = server.clone();
    Connector::new(move |_| {
        let pipe = server.pipe();
        async { Ok(pipe) }
    })
}

/// A configuration for `server` by pipes, with a fixed schedule of retries.
pub(crate) fn config(server: &HighTemplarServer) -> Config {
    Config::new("ws://localhost:8000").seed(1).connector(pipes(server))
}

/// The same, through `proxy`.
pub(crate) fn config_through(server: &HighTemplarServer, proxy: Arc<Proxy>) -> Config {
    let server = server.clone();
    Config::new("ws://localhost:8000").seed(1).connector(Connector::new(move |_| {
        let pipe = proxy.wrap(server.pipe());
        async { Ok(pipe) }
    }))
}

pub(crate) async fn connect(server: &HighTemplarServer) -> Client {
    Client::connect(config(server)).await.unwrap()
}

pub(crate) fn publisher(server: &HighTemplarServer) -> Publisher {
    let config = PublisherConfig::new("http://localhost:8000").connector(pipes(server));
    Publisher::new(config).unwrap()
}

/// The room of the document's first example, of another customer.
pub(crate) fn room(customer: &str) -> Room {
    Room::new().with("target", "message").with("customer", customer)
}

pub(crate) async fn subscribe(client: &Client, customer: &str) -> Subscription {
    within(client.subscribe(room(customer), Subscribe::new())).await.unwrap()
}

/// Sends `data` to the room of `customer`.
pub(crate) async fn trigger(
    server: &HighTemplarServer,
    customer: &str,
    data: &(impl Serialize + ?Sized + Sync),
) {
    server.trigger(Trigger::new([room(customer)], data).unwrap()).await;
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

/// Waits until the client has connected `count` times.
pub(crate) async fn connected(client: &Client, count: u64) {
    while client.stats().connects < count {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// Fails a test that hangs. Minutes of paused time cost nothing.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(120), future).await.expect("no hang")
}
