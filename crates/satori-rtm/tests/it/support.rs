//! What the tests share.

use std::{future::Future, time::Duration};

use realtime_sandbox::{Engine, Proxy, RtmConfig, RtmServer};
use satori_rtm::{Client, Config, Connector, Delivery, Subscription};

/// Runs `test` on each engine, with a server that is reached by pipes.
pub(crate) async fn on_both_engines<F: Future<Output = ()>>(test: impl Fn(RtmServer) -> F) {
    for engine in Engine::ALL {
        test(RtmServer::new(RtmConfig::default(), engine)).await;
    }
}

/// A configuration for `server` by pipes, with a fixed schedule of retries.
pub(crate) fn config(server: &RtmServer) -> Config {
    let pipes = server.clone();
    Config::new(server.url(), server.appkey()).seed(1).connector(Connector::new(move |_| {
        let pipe = pipes.pipe();
        async { Ok(pipe) }
    }))
}

/// The same, through `proxy`.
pub(crate) fn config_through(server: &RtmServer, proxy: std::sync::Arc<Proxy>) -> Config {
    let pipes = server.clone();
    Config::new(server.url(), server.appkey()).seed(1).connector(Connector::new(move |_| {
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
