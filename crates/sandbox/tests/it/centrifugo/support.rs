//! A caller and a client without any SDK, over pipes.

use realtime_sandbox::{CentrifugoConfig, CentrifugoServer, Engine};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use ws_core::{ClientRequest, Connection, Endpoint, Keys, Limits, Message};

pub(super) fn server(config: CentrifugoConfig, engine: Engine) -> CentrifugoServer {
    CentrifugoServer::new(config, engine)
}

/// Sends one request; returns status and body.
pub(super) async fn post(
    server: &CentrifugoServer,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String) {
    let (status, _, body) = request(server, "POST", path, headers, body).await;
    (status, body)
}

/// Sends one request; returns status, head and body.
pub(super) async fn request(
    server: &CentrifugoServer,
    verb: &str,
    path: &str,
    headers: &[(&str, &str)],
    body: &str,
) -> (u16, String, String) {
    let mut pipe = server.pipe();
    let mut text = format!("{verb} {path} HTTP/1.1\r\nConnection: close\r\n");
    if !headers.iter().any(|(name, _)| *name == "Host") {
        text += "Host: localhost\r\n";
    }
    for (name, value) in headers {
        text += &format!("{name}: {value}\r\n");
    }
    text += &format!("Content-Length: {}\r\n\r\n{body}", body.len());
    pipe.write_all(text.as_bytes()).await.unwrap();
    let mut answer = String::new();
    pipe.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, head.to_owned(), body.to_owned())
}

/// Calls a method of v6; returns its result or its error.
pub(super) async fn call(server: &CentrifugoServer, method: &str, params: Value) -> Value {
    let path = format!("/api/{method}");
    let key = [("X-API-Key", server.api_key())];
    let (status, body) = post(server, &path, &key, &params.to_string()).await;
    assert_eq!(status, 200, "{body}");
    let mut reply: Value = serde_json::from_str(&body).unwrap();
    let result = reply.as_object_mut().unwrap().remove("result");
    result.unwrap_or(reply)
}

/// A client of the WebSocket protocol.
pub(super) struct Client {
    pub(super) socket: Connection<DuplexStream>,
    commands: u32,
}

impl Client {
    pub(super) async fn open(server: &CentrifugoServer) -> Self {
        let endpoint: Endpoint = server.websocket_url().parse().unwrap();
        let request = ClientRequest::new(&endpoint);
        let (limits, keys) = (Limits::default(), Keys::system());
        let opened = ws_core::connect(server.pipe(), request, limits, keys).await;
        Self { socket: opened.unwrap().0, commands: 0 }
    }

    /// Opens and connects without a token.
    pub(super) async fn connect(server: &CentrifugoServer) -> Self {
        let mut client = Self::open(server).await;
        let reply = client.ask("connect", json!({})).await;
        assert!(reply["connect"]["client"].is_string(), "{reply}");
        client
    }

    /// Sends a command; the next message is its reply.
    pub(super) async fn ask(&mut self, name: &str, params: Value) -> Value {
        self.commands += 1;
        self.send(&json!({"id": self.commands, name: params}).to_string()).await;
        let reply = self.receive().await;
        assert_eq!(reply["id"], self.commands, "{reply}");
        reply
    }

    pub(super) async fn send(&mut self, text: &str) {
        self.socket.send(&Message::text(text)).await.unwrap();
    }

    pub(super) async fn receive(&mut self) -> Value {
        match self.socket.next().await.unwrap() {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?} {:?}", self.socket.close_frame()),
        }
    }

    /// Waits for the close frame.
    pub(super) async fn closed(&mut self) -> (u16, String) {
        while self.socket.next().await.unwrap().is_some() {}
        let frame = self.socket.close_frame().unwrap();
        (frame.code.as_u16(), frame.reason.to_string())
    }
}
