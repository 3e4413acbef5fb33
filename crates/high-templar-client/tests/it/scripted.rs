//! Servers that say what no server of ours does: those of the 2.x line, and hostile
//! ones.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use high_templar_client::{
    Client, Config, Connector, Credentials, Delivery, Error, Event, Protocol, Reason, State,
    Subscribe,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc,
};
use ws_core::{CloseCode, CloseFrame, Connection, Limits, Message};

use crate::support::{room, take, within};

const FIRST: &str = r#"{"is_authorized": true, "allowed_rooms": [{"target": "*"}]}"#;
const FIRST_OF_V2: &str = r#"{"allowed_rooms": [{"target": "*"}]}"#;

/// A server by hand: each connection of a client is one pipe to be accepted.
struct Script {
    pipes: Mutex<mpsc::UnboundedReceiver<DuplexStream>>,
}

impl Script {
    fn new() -> (Arc<Self>, Config) {
        let (to, pipes) = mpsc::unbounded_channel();
        let connector = Connector::new(move |_| {
            let (ours, theirs) = tokio::io::duplex(1 << 20);
            let sent = to.send(theirs);
            async { sent.map(|()| ours).map_err(std::io::Error::other) }
        });
        let config = Config::new("ws://localhost:8000").seed(1).connector(connector);
        (Arc::new(Self { pipes: Mutex::new(pipes) }), config)
    }

    async fn pipe(&self) -> DuplexStream {
        let next = std::future::poll_fn(|cx| self.pipes.lock().unwrap().poll_recv(cx));
        within(next).await.unwrap()
    }

    /// The next connection; returns its request as well.
    async fn accept(&self) -> Connection<DuplexStream> {
        let accepting = ws_core::accept(self.pipe().await, Limits::default());
        within(accepting).await.unwrap().accept(None).await.unwrap()
    }
}

async fn say(socket: &mut Connection<DuplexStream>, text: &str) {
    socket.send(&Message::text(text.to_owned())).await.unwrap();
}

/// The next message, pings answered.
async fn hear(socket: &mut Connection<DuplexStream>) -> String {
    loop {
        match within(socket.next()).await.unwrap() {
            Some(Message::Text(text)) if &*text == "ping" => say(socket, "pong").await,
            Some(Message::Text(text)) => return text.to_string(),
            other => panic!("{other:?}"),
        }
    }
}

fn id_of(text: &str) -> String {
    let message: serde_json::Value = serde_json::from_str(text).unwrap();
    message["requestId"].as_str().unwrap().to_owned()
}

/// Lets the client in and accepts its one subscription; returns its request id.
async fn let_in(socket: &mut Connection<DuplexStream>) -> String {
    say(socket, FIRST).await;
    let id = id_of(&hear(socket).await);
    say(socket, r#"{"code": "success"}"#).await;
    id
}

#[tokio::test(start_paused = true)]
async fn the_transcript_of_2_5() {
    let (script, config) = Script::new();
    let serving = tokio::spawn(async move {
        let mut socket = script.accept().await;
        say(&mut socket, FIRST_OF_V2).await;
        let a = id_of(&hear(&mut socket).await);
        let b = id_of(&hear(&mut socket).await);
        // Requests are handled side by side: answers come in any order.
        let refused = r#""code": "error", "message": "room-not-found""#;
        say(&mut socket, &format!(r#"{{"requestId": "{b}", {refused}}}"#)).await;
        say(&mut socket, &format!(r#"{{"requestId": "{a}", "code": "success"}}"#)).await;
        let data = format!(r#"{{"requestId": "{a}", "type": "publish", "data": {{"id": 1}}}}"#);
        say(&mut socket, &data).await;
        let text = hear(&mut socket).await;
        assert_eq!(text, format!(r#"{{"type": "unsubscribe", "requestId": "{a}"}}"#));
        say(&mut socket, &format!(r#"{{"requestId": "{a}", "code": "success"}}"#)).await;
        socket
    });
    let client = Client::connect(config).await.unwrap();
    let (one, two) = tokio::join!(
        client.subscribe(room("1"), Subscribe::new()),
        client.subscribe(room("2"), Subscribe::new()),
    );
    let mut one = one.unwrap();
    assert_eq!(two.unwrap_err().reason(), Some(&Reason::RoomNotFound));
    assert_eq!(take(&mut one, 1).await, [r#"{"id": 1}"#]);
    one.unsubscribe().await.unwrap();
    let error = client.status().await.unwrap_err();
    assert_eq!(error.reason(), Some(&Reason::MessageTypeNotAllowed));
    let _socket = within(serving).await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_2_x_server_gets_cookie_and_user_agent_and_refuses_without_a_word() {
    for (protocol, cookie) in [(Protocol::Auto, None), (Protocol::V2, Some("ht=1"))] {
        let (script, config) = Script::new();
        let serving = tokio::spawn(async move {
            let accepting = ws_core::accept(script.pipe().await, Limits::default());
            let handshake = within(accepting).await.unwrap();
            let asked = handshake.request();
            assert_eq!((asked.path(), asked.query()), ("/ws/", Some("token=t%20k")));
            let told = ["cookie", "user-agent", "sec-websocket-extensions"];
            let told = told.map(|name| asked.header(name).map(str::to_owned));
            let mut socket = handshake.accept(None).await.unwrap();
            let _answered = socket.close(None, Duration::from_secs(3)).await;
            told
        });
        let user = Credentials::new().token("t k");
        let config = config.credentials(user).protocol(protocol).user_agent("me/1");
        let error = Client::connect(config).await.unwrap_err();
        assert_eq!(error.reason(), Some(&Reason::NotAuthorized), "{error:?}");
        let told = within(serving).await.unwrap();
        assert_eq!(told.each_ref().map(Option::as_deref), [cookie, Some("me/1"), None]);
    }
}

/// R7: whatever the code of a close is, the client returns; nobody gave codes a meaning.
#[tokio::test(start_paused = true)]
async fn r7_after_a_close_with_any_code_the_client_returns() {
    let codes = || (1000..=1003).chain(1007..=1013).chain([3000, 3999, 4000, 4999]);
    let (script, config) = Script::new();
    let serving = tokio::spawn(async move {
        for code in codes() {
            let mut socket = script.accept().await;
            let_in(&mut socket).await;
            let frame = CloseFrame::new(CloseCode::new(code), "");
            socket.close(Some(&frame), Duration::from_secs(3)).await.unwrap();
        }
        let mut socket = script.accept().await;
        let_in(&mut socket).await;
        socket
    });
    let client = Client::connect(config).await.unwrap();
    let mut one = client.subscribe(room("1"), Subscribe::new()).await.unwrap();
    for code in codes() {
        assert!(matches!(within(one.next()).await, Some(Delivery::Gap(_))), "{code}");
    }
    let _socket = within(serving).await.unwrap();
    let told = client.stats().last_error.unwrap();
    assert!(format!("{told:?}").contains("4999"), "{told:?}");
}

/// An answer that does not come, or comes for nothing: the connection is made anew, and
/// what was subscribed is subscribed again under its id.
#[tokio::test(start_paused = true)]
async fn a_queue_of_answers_that_cannot_be_trusted_is_given_up() {
    for wrong in ["", r#"{"code": "success"}"#, "pong"] {
        let (script, config) = Script::new();
        let serving = tokio::spawn(async move {
            let mut first = script.accept().await;
            let id = let_in(&mut first).await;
            if wrong.is_empty() {
                // Silent from here on; even pings are not answered.
                let mut second = script.accept().await;
                return (id == let_in(&mut second).await, first, second);
            }
            say(&mut first, wrong).await;
            let mut second = script.accept().await;
            (id == let_in(&mut second).await, first, second)
        });
        let client = Client::connect(config).await.unwrap();
        let mut one = client.subscribe(room("1"), Subscribe::new()).await.unwrap();
        assert!(matches!(within(one.next()).await, Some(Delivery::Gap(_))), "{wrong}");
        assert!(within(serving).await.unwrap().0, "another id");
        assert_eq!(client.stats().connects, 2, "{wrong}");
    }
}

/// X9: what comes from the server may end up on a terminal.
#[tokio::test(start_paused = true)]
async fn x9_hostile_text_from_the_server_is_escaped_and_shortened() {
    let hostile = format!("\u{1b}[31m\n{}", "x".repeat(100_000));
    let (script, config) = Script::new();
    let said = hostile.clone();
    let serving = tokio::spawn(async move {
        let mut socket = script.accept().await;
        let_in(&mut socket).await;
        say(&mut socket, &said).await;
        hear(&mut socket).await;
        let message = serde_json::to_string(&said).unwrap();
        say(&mut socket, &format!(r#"{{"code": "error", "message": {message}}}"#)).await;
        socket
    });
    let client = Client::connect(config).await.unwrap();
    let mut events = client.events();
    let _one = client.subscribe(room("1"), Subscribe::new()).await.unwrap();
    let Some(Event::Warning { cause }) = within(events.next()).await else { panic!() };
    let refused = client.subscribe(room("2"), Subscribe::new()).await.unwrap_err();
    for error in [cause, refused] {
        for shown in [error.to_string(), format!("{error:?}")] {
            assert!(!shown.contains('\u{1b}') && !shown.contains('\n'), "{shown:?}");
            assert!(shown.len() < 4000, "{}", shown.len());
        }
    }
    let _socket = within(serving).await.unwrap();
}

/// C13: a frame that says it is larger than the limit ends the connection, not the
/// memory.
#[tokio::test(start_paused = true)]
async fn a_message_over_the_limit_ends_the_connection_with_a_named_error() {
    let (script, config) = Script::new();
    let serving = tokio::spawn(async move {
        let mut first = script.accept().await;
        let id = let_in(&mut first).await;
        let data = "x".repeat(70_000);
        let text = format!(r#"{{"type": "publish", "data": "{data}", "requestId": "{id}"}}"#);
        say(&mut first, &text).await;
        let mut second = script.accept().await;
        let_in(&mut second).await;
        (first, second)
    });
    let client = Client::connect(config.max_message_bytes(65_536)).await.unwrap();
    let mut one = client.subscribe(room("1"), Subscribe::new()).await.unwrap();
    assert!(matches!(within(one.next()).await, Some(Delivery::Gap(_))));
    let told = client.stats().last_error.unwrap();
    assert_eq!(told.code(), "websocket", "{told:?}");
    let _sockets = within(serving).await.unwrap();
}

/// S1, S2: statuses that are not 101 are told as they are.
#[tokio::test(start_paused = true)]
async fn an_upgrade_that_is_answered_otherwise_names_the_status() {
    for (answer, status) in [
        ("HTTP/1.1 308 Permanent Redirect\r\nLocation: ws://localhost/ws/\r\n\r\n", 308),
        ("HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\n\r\n", 404),
        ("HTTP/1.1 500 \r\nretry-after: 7\r\ncontent-length: 0\r\n\r\n", 500),
    ] {
        let (script, config) = Script::new();
        let serving = tokio::spawn(async move {
            let mut pipe = script.pipe().await;
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                assert!(within(pipe.read_buf(&mut head)).await.unwrap() > 0);
            }
            pipe.write_all(answer.as_bytes()).await.unwrap();
            pipe
        });
        let client = Client::new(config).unwrap();
        let error = client.start().await.unwrap_err();
        let (told, retry_after) = match &error {
            Error::Refused(refusal) => (refusal.reason.clone(), refusal.retry_after),
            Error::Connect(failure) => {
                (Reason::Status(failure.status.unwrap()), failure.retry_after)
            }
            other => panic!("{other:?}"),
        };
        assert_eq!((told, client.state()), (Reason::Status(status), State::Stopped));
        assert_eq!(retry_after, (status == 500).then_some(Duration::from_secs(7)));
        let _pipe = within(serving).await.unwrap();
    }
}

/// X5: the server has stopped reading and writing.
#[tokio::test(start_paused = true)]
async fn x5_close_with_a_dead_peer_returns_at_its_limit() {
    let (script, config) = Script::new();
    let serving = tokio::spawn(async move {
        let mut socket = script.accept().await;
        let_in(&mut socket).await;
        socket
    });
    let client = Client::connect(config).await.unwrap();
    let mut one = client.subscribe(room("1"), Subscribe::new()).await.unwrap();
    let _dead = within(serving).await.unwrap();
    let asking = tokio::spawn({
        let client = client.clone();
        async move { client.status().await }
    });
    tokio::time::sleep(Duration::from_millis(10)).await;
    let start = tokio::time::Instant::now();
    assert!(client.close(Duration::from_secs(1)).await.is_clean());
    assert!(start.elapsed() <= Duration::from_secs(1), "{:?}", start.elapsed());
    assert!(matches!(within(asking).await.unwrap(), Err(Error::Closed)));
    assert!(within(one.next()).await.is_none());
}
