//! What the tests share: a backend that says what it is told, and a client that says
//! anything.

use std::{
    future::Future,
    sync::{Arc, Mutex},
    time::Duration,
};

use high_templar::{
    Backend, BackendError, BoxFuture, Builder, Compat, Config, Server, Trigger, Verdict, Visitor,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use ws_core::{ClientRequest, Connection, Keys, Limits, Message};

pub(crate) type Said = Result<Verdict, BackendError>;

/// Says the same to everybody, until it is told otherwise.
#[derive(Clone)]
pub(crate) struct Fixed(pub(crate) Arc<Mutex<Said>>);

impl Fixed {
    pub(crate) fn rooms(rooms: &[&str]) -> Self {
        let rooms = rooms.iter().map(|room| room.parse().unwrap()).collect();
        Self(Arc::new(Mutex::new(Ok(Verdict::Allowed(rooms)))))
    }

    pub(crate) fn say(&self, said: Said) {
        *self.0.lock().unwrap() = said;
    }
}

impl Backend for Fixed {
    fn bootstrap<'a>(&'a self, _: &'a Visitor) -> BoxFuture<'a, Result<Verdict, BackendError>> {
        let said = self.0.lock().unwrap().clone();
        Box::pin(async { said })
    }
}

/// A server whose users may enter these rooms.
pub(crate) fn builder(rooms: &[&str]) -> Builder {
    Server::builder(Fixed::rooms(rooms))
}

pub(crate) fn server(compat: Compat, rooms: &[&str]) -> Server {
    builder(rooms).config(Config::new().compat(compat)).build().unwrap()
}

/// The client's end of a connection.
pub(crate) fn pipe(server: &Server) -> DuplexStream {
    let (client, theirs) = tokio::io::duplex(64 << 10);
    let server = server.clone();
    tokio::spawn(async move { server.serve(theirs).await });
    client
}

/// A client that says anything.
pub(crate) struct Raw(pub(crate) Connection<DuplexStream>);

impl Raw {
    pub(crate) async fn connect(server: &Server) -> Self {
        Self::open(server, "/ws/", &[]).await.unwrap()
    }

    /// Opens a WebSocket, or returns what is answered in its place.
    pub(crate) async fn open(
        server: &Server,
        path: &str,
        headers: &[(&str, &str)],
    ) -> Result<Self, ws_core::Error> {
        let endpoint = format!("ws://localhost{path}").parse().unwrap();
        let mut request = ClientRequest::new(&endpoint);
        for (name, value) in headers {
            request = request.header(name, value).unwrap();
        }
        let keys = Keys::system();
        let opened = ws_core::connect(pipe(server), request, Limits::default(), keys).await?;
        Ok(Self(opened.0))
    }

    pub(crate) async fn say(&mut self, text: &str) {
        self.0.send(&Message::text(text)).await.unwrap();
    }

    /// The next text, or `None` at the end.
    pub(crate) async fn hear(&mut self) -> Option<String> {
        loop {
            match within(self.0.next()).await {
                Ok(Some(Message::Text(text))) => return Some(text.as_str().to_owned()),
                Ok(Some(_)) => {}
                Ok(None) | Err(_) => return None,
            }
        }
    }

    pub(crate) async fn ask(&mut self, text: &str) -> String {
        self.say(text).await;
        self.hear().await.expect("an answer")
    }

    /// Subscribes, which must succeed.
    pub(crate) async fn enter(&mut self, room: &str, id: &str) {
        let ask = format!(r#"{{"type":"subscribe","room":{room},"requestId":"{id}"}}"#);
        assert_eq!(self.ask(&ask).await, r#"{"code": "success"}"#);
    }

    /// Everything that was sent so far, up to the answer of a ping.
    pub(crate) async fn drain(&mut self) -> Vec<String> {
        self.say("ping").await;
        let mut heard = Vec::new();
        loop {
            match self.hear().await.unwrap() {
                pong if pong == "pong" => return heard,
                text => heard.push(text),
            }
        }
    }

    /// Says something that ends the connection; returns the code.
    pub(crate) async fn ends_with(&mut self, text: &str) -> Option<u16> {
        self.say(text).await;
        self.end().await
    }

    /// The code with which the connection ends.
    pub(crate) async fn end(&mut self) -> Option<u16> {
        while self.hear().await.is_some() {}
        self.0.close_frame().map(|frame| frame.code.as_u16())
    }
}

/// Sends data to rooms.
pub(crate) async fn trigger(server: &Server, rooms: &[&str], data: &str) {
    let json = format!(r#"{{"rooms":[{}],"data":{data}}}"#, rooms.join(","));
    server.trigger(Trigger::parse(json.as_bytes()).unwrap()).await.unwrap();
}

/// Sends an HTTP request as it is, and returns status and body.
pub(crate) async fn http(server: &Server, request: &[u8]) -> (u16, String) {
    let mut pipe = pipe(server);
    let request = request.to_vec();
    let mut answer = Vec::new();
    let (mut reader, mut writer) = tokio::io::split(&mut pipe);
    // A server may answer before it has read everything.
    let writing = async { drop(writer.write_all(&request).await) };
    let reading = within(reader.read_to_end(&mut answer));
    drop(tokio::join!(writing, reading));
    let text = String::from_utf8(answer).unwrap();
    let (head, body) = text.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().parse().unwrap();
    (status, body.to_owned())
}

/// `POST` of a body.
pub(crate) async fn post(server: &Server, path: &str, body: &[u8]) -> (u16, String) {
    let head = format!(
        "POST {path} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Type: application/json\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    http(server, &[head.as_bytes(), body].concat()).await
}

/// Fails a test that hangs. Minutes of paused time cost nothing.
pub(crate) async fn within<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(1200), future).await.expect("no hang")
}
