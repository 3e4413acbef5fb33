//! A caller and a subscriber without any SDK, over pipes.

use realtime_sandbox::StreamSeaServer;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use ws_core::{ClientRequest, Connection, Endpoint, Keys, Limits, Message};

use crate::support::within;

/// Makes a call as the server's first client; returns status and body.
pub(crate) async fn call(
    server: &StreamSeaServer,
    verb: &str,
    path: &str,
    body: &[u8],
    headers: &[(&str, &str)],
) -> (u16, Value) {
    let pair = format!("{}:{}", server.client_id(), server.client_secret());
    call_as(server, &pair, verb, path, body, headers).await
}

/// Makes a call as who `pair`, an id and a secret, is.
pub(crate) async fn call_as(
    server: &StreamSeaServer,
    pair: &str,
    verb: &str,
    path: &str,
    body: &[u8],
    headers: &[(&str, &str)],
) -> (u16, Value) {
    use base64::{Engine, engine::general_purpose::STANDARD};
    let mut pipe = server.pipe();
    let mut head = format!(
        "{verb} /api/v1{path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Authorization: Basic {}\r\n",
        STANDARD.encode(pair)
    );
    for (name, value) in headers {
        head += &format!("{name}: {value}\r\n");
    }
    head += &format!("Content-Length: {}\r\n\r\n", body.len());
    pipe.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = String::new();
    within(pipe.read_to_string(&mut answer)).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, serde_json::from_str(body).unwrap())
}

pub(crate) async fn post(server: &StreamSeaServer, path: &str, body: Value) -> (u16, Value) {
    call(server, "POST", path, body.to_string().as_bytes(), &[]).await
}

/// A WebSocket that says what it is told to.
pub(crate) struct Raw {
    pub(crate) socket: Connection<DuplexStream>,
}

impl Raw {
    pub(crate) async fn open(server: &StreamSeaServer) -> Self {
        let url: Endpoint = "ws://localhost/api/v1/streams".parse().unwrap();
        let (limits, keys) = (Limits::default(), Keys::system());
        let request = ClientRequest::new(&url);
        let (socket, _) = ws_core::connect(server.pipe(), request, limits, keys).await.unwrap();
        Self { socket }
    }

    /// Opened, and authenticated as the server's first client.
    pub(crate) async fn inside(server: &StreamSeaServer) -> Self {
        let mut raw = Self::open(server).await;
        let proof = json!({"type": "basic", "clientId": server.client_id(),
            "clientSecret": server.client_secret()});
        raw.say(json!({"id": 1, "action": "authenticate", "payload": proof})).await;
        assert_eq!(raw.hear().await["success"], true);
        raw
    }

    pub(crate) async fn say(&mut self, message: Value) {
        self.say_text(&message.to_string()).await;
    }

    pub(crate) async fn say_text(&mut self, text: &str) {
        self.socket.send(&Message::text(text.to_owned())).await.unwrap();
    }

    /// The next message.
    pub(crate) async fn hear(&mut self) -> Value {
        loop {
            match within(self.socket.next()).await.unwrap() {
                Some(Message::Text(text)) => return serde_json::from_str(&text).unwrap(),
                Some(_) => {}
                None => panic!("closed: {:?}", self.socket.close_frame()),
            }
        }
    }

    /// Subscribes under `id`; returns the reply.
    pub(crate) async fn subscribe(&mut self, id: u64, group: Option<&str>) -> Value {
        let mut message = json!({"id": id, "action": "subscribe", "payload": "tides"});
        if let Some(group) = group {
            message["groupId"] = group.into();
        }
        self.say(message).await;
        self.hear().await
    }

    /// The code with which the server closes.
    pub(crate) async fn closed(&mut self) -> u16 {
        while let Ok(Some(_)) = within(self.socket.next()).await {}
        let frame = self.socket.close_frame().expect("a close frame");
        frame.code.to_string().parse().unwrap()
    }
}
