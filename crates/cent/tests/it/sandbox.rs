//! The sandbox's server beside a blocking test, and somebody who listens.

use std::{sync::OnceLock, time::Duration};

use realtime_sandbox::{CentrifugoConfig, CentrifugoServer, Engine};
use serde_json::{Value, json};
use tokio::runtime::Runtime;
use ws_core::{ClientRequest, Connection, Dialer, Endpoint, Keys, Limits, Message, Stream};

/// What answers while a test blocks.
pub(crate) fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap()
    })
}

/// A server that listens.
pub(crate) fn start(config: CentrifugoConfig) -> CentrifugoServer {
    let server = CentrifugoServer::new(config, Engine::WsCore);
    runtime().block_on(server.listen(0)).unwrap();
    server
}

/// A client of the WebSocket protocol: enough of one to see what is published.
pub(crate) struct Subscriber {
    socket: Connection<Stream>,
    commands: u32,
    /// What came while something else was waited for.
    pushes: Vec<Value>,
}

impl Subscriber {
    /// Connects, with a token or with none.
    pub(crate) fn connect(url: &str, token: &str) -> Self {
        let socket = runtime().block_on(async {
            let endpoint: Endpoint = url.parse().unwrap();
            let (dialer, request) = (Dialer::new(), ClientRequest::new(&endpoint));
            let (limits, keys) = (Limits::default(), Keys::system());
            dialer.connect(&endpoint, request, limits, keys).await.unwrap().0
        });
        let mut subscriber = Self { socket, commands: 0, pushes: Vec::new() };
        let connect = match token {
            "" => json!({}),
            token => json!({"token": token}),
        };
        let reply = subscriber.ask("connect", &connect);
        assert!(reply["connect"]["client"].is_string(), "{reply}");
        subscriber
    }

    pub(crate) fn subscribe(&mut self, channel: &str) {
        let reply = self.ask("subscribe", &json!({"channel": channel}));
        assert!(reply.get("subscribe").is_some(), "{reply}");
    }

    pub(crate) fn publish(&mut self, channel: &str, data: &str) {
        let data: Value = serde_json::from_str(data).unwrap();
        let reply = self.ask("publish", &json!({"channel": channel, "data": data}));
        assert!(reply.get("publish").is_some(), "{reply}");
    }

    /// The next push, whatever it is.
    pub(crate) fn push(&mut self) -> Value {
        match self.pushes.is_empty() {
            true => loop {
                let frames = self.frames();
                let mut pushes = frames.into_iter().filter(|frame| frame.get("push").is_some());
                if let Some(push) = pushes.next() {
                    self.pushes.extend(pushes);
                    return push["push"].clone();
                }
            },
            false => self.pushes.remove(0)["push"].clone(),
        }
    }

    /// Reads until the server has closed; returns code and reason.
    pub(crate) fn closed(mut self) -> (u16, String) {
        let socket = &mut self.socket;
        let ended = async {
            while let Ok(Some(_)) = socket.next().await {}
            socket.close_frame().map(|frame| (frame.code.as_u16(), frame.reason.to_string()))
        };
        let ended = async { tokio::time::timeout(Duration::from_secs(20), ended).await };
        runtime().block_on(ended).unwrap().unwrap()
    }

    /// Sends a command; returns its reply.
    fn ask(&mut self, name: &str, params: &Value) -> Value {
        self.commands += 1;
        let id = self.commands;
        self.send(&json!({"id": id, name: params}).to_string());
        let mut reply = None;
        while reply.is_none() {
            for frame in self.frames() {
                match frame["id"] == id {
                    true => reply = Some(frame),
                    false => self.pushes.push(frame),
                }
            }
        }
        reply.unwrap()
    }

    fn send(&mut self, text: &str) {
        runtime().block_on(self.socket.send(&Message::text(text.to_owned()))).unwrap();
    }

    /// The JSON values of the next message; an empty one is a ping, and answered.
    fn frames(&mut self) -> Vec<Value> {
        let next =
            async { tokio::time::timeout(Duration::from_secs(20), self.socket.next()).await };
        let message = runtime().block_on(next).unwrap().unwrap().unwrap();
        let Message::Text(text) = message else { return Vec::new() };
        let frames: Vec<Value> =
            text.as_str().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        if frames.iter().any(|frame| *frame == json!({})) {
            self.send("{}");
        }
        frames
    }
}
