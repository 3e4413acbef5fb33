//! What the tests share.

use std::{future::Future, sync::Arc, time::Duration};

use emitter::{Address, Client, Config, Connector, Delivery, Subscription};
use realtime_sandbox::{EmitterConfig, EmitterServer, Engine, Proxy};

/// A master key, and a key that allows everything everywhere.
pub(crate) const SECRET: &str = "secret";
pub(crate) const KEY: &str = "allkey";

/// How a client speaks, and what serves it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Line {
    websocket: bool,
    pub(crate) engine: Engine,
}

impl Line {
    pub(crate) const fn is_websocket(self) -> bool {
        self.websocket
    }
}

/// TCP, and WebSockets on each engine.
pub(crate) const LINES: [Line; 3] = [
    Line { websocket: false, engine: Engine::WsCore },
    Line { websocket: true, engine: Engine::WsCore },
    Line { websocket: true, engine: Engine::Tungstenite },
];

/// A broker and the line that leads to it.
#[derive(Clone)]
pub(crate) struct Stand {
    pub(crate) broker: EmitterServer,
    pub(crate) line: Line,
}

pub(crate) fn settings() -> EmitterConfig {
    EmitterConfig::default().secret_key(SECRET).key(KEY, "#/", "rwslp")
}

impl Stand {
    pub(crate) fn new(line: Line) -> Self {
        Self::with(line, settings())
    }

    pub(crate) fn with(line: Line, settings: EmitterConfig) -> Self {
        Self { broker: EmitterServer::new(settings, line.engine), line }
    }

    /// Where the broker is, as a client says it; pipes have no address.
    fn address(self_: Line) -> Address {
        let address = Address::new("localhost").insecure();
        if self_.websocket { address.websocket() } else { address }
    }

    /// A configuration by pipes, with a fixed schedule of retries.
    pub(crate) fn config(&self) -> Config {
        let pipes = self.broker.clone();
        Config::new(Self::address(self.line)).seed(1).connector(Connector::new(move |_| {
            let pipe = pipes.pipe();
            async { Ok(pipe) }
        }))
    }

    /// The same, through `proxy`.
    pub(crate) fn config_through(&self, proxy: Arc<Proxy>) -> Config {
        let pipes = self.broker.clone();
        self.config().connector(Connector::new(move |_| {
            let pipe = proxy.wrap(pipes.pipe());
            async { Ok(pipe) }
        }))
    }

    pub(crate) async fn connect(&self) -> Client {
        Client::connect(self.config()).await.unwrap()
    }
}

/// Runs `test` on each line.
pub(crate) async fn on_each_line<F: Future<Output = ()>>(test: impl Fn(Stand) -> F) {
    for line in LINES {
        test(Stand::new(line)).await;
    }
}

/// Takes `count` messages, which must come without a gap.
pub(crate) async fn take(subscription: &mut Subscription, count: usize) -> Vec<String> {
    let mut got = Vec::new();
    while got.len() < count {
        match within(subscription.next()).await {
            Some(Delivery::Message(message)) => got.push(message.as_str().unwrap().to_owned()),
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

/// The first certificate of a file, in DER form.
pub(crate) fn pem(path: &str) -> Vec<u8> {
    let text = std::fs::read_to_string(path).unwrap();
    let lines = text.lines().skip_while(|line| !line.contains("BEGIN CERTIFICATE")).skip(1);
    let base64: String = lines.take_while(|line| !line.starts_with("-----")).collect();
    data_encoding::BASE64.decode(base64.as_bytes()).unwrap()
}
