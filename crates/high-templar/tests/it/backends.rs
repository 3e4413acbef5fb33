//! What the backend is told, and what its answers come to (docs/protocols/high-templar.md,
//! 4, 5 and 14).

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use high_templar::{
    BoxFuture, Config, Forward, HookError, Hooks, HttpBackend, Listener, Server, Visitor,
};
use realtime_sandbox::{Engine, HighTemplarConfig, HighTemplarServer};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{Raw, within};

/// A client of the sandbox's server, which asks a real HTTP backend.
async fn open(
    sandbox: &HighTemplarServer,
    path: &str,
    headers: &[(&str, &str)],
) -> Result<Raw, ws_core::Error> {
    let endpoint = format!("ws://localhost{path}").parse().unwrap();
    let mut request = ws_core::ClientRequest::new(&endpoint);
    for (name, value) in headers {
        request = request.header(name, value).unwrap();
    }
    let keys = ws_core::Keys::system();
    let opened = ws_core::connect(sandbox.pipe(), request, ws_core::Limits::default(), keys);
    Ok(Raw(within(opened).await?.0))
}

fn sandbox(config: HighTemplarConfig) -> HighTemplarServer {
    HighTemplarServer::new(config, Engine::WsCore).unwrap()
}

#[tokio::test]
async fn the_backend_is_told_who_the_user_is() {
    let sandbox = sandbox(HighTemplarConfig::default());
    let headers = [
        ("Cookie", "sessionid=abc; csrftoken=csrf42"),
        ("User-Agent", "probe/1"),
        ("X-Real-IP", "203.0.113.7"),
        ("Authorization", "Token of-the-header"),
        ("Origin", "http://evil"),
        ("Accept-Language", "en"),
    ];
    open(&sandbox, "/ws/?a=b&token=x%20y&token=z", &headers).await.unwrap();
    let asked = sandbox.backend().asked();
    let [asked] = asked.as_slice() else { panic!("{asked:?}") };
    assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/api/bootstrap/"));
    for (name, value) in [
        ("cookie", Some("sessionid=abc; csrftoken=csrf42")),
        ("user-agent", Some("probe/1")),
        ("x-csrftoken", Some("csrf42")),
        ("authorization", Some("Token x y")),
        ("x-real-ip", Some("203.0.113.7")),
        ("host", Some("localhost")),
        ("origin", None),
        ("accept-language", None),
    ] {
        assert_eq!(asked.header(name), value, "{name}");
    }
    // Nothing is made up for who says nothing.
    open(&sandbox, "/ws/?token=", &[]).await.unwrap();
    let asked = sandbox.backend().asked().pop().unwrap();
    for name in ["cookie", "x-csrftoken", "authorization", "x-real-ip"] {
        assert_eq!(asked.header(name), None, "{name}");
    }
    assert!(asked.header("user-agent").unwrap().starts_with("high-templar/"));
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_of_no_use_fails_the_handshake() {
    let sandbox = sandbox(HighTemplarConfig::default());
    let huge = format!(r#"{{"allowed_rooms":[{{"a":"{}"}}]}}"#, "x".repeat(10 << 20));
    for (status, body, answer) in [
        (200, "<html>".to_owned(), Some(502)),
        (200, "{".to_owned(), Some(502)),
        (200, "[]".to_owned(), Some(502)),
        (200, r#"{"allowed_rooms":[1]}"#.to_owned(), Some(502)),
        (200, huge, Some(502)),
        (500, "<html>".to_owned(), None),
        (302, String::new(), None),
        (403, "{}".to_owned(), None),
        (200, r#"{"is_authenticated":false,"allowed_rooms":[{}]}"#.to_owned(), None),
    ] {
        sandbox.backend().say(status, body.clone());
        match (open(&sandbox, "/ws/", &[]).await, answer) {
            (Err(error), Some(answer)) => assert_eq!(error.status(), Some(answer), "{error}"),
            (Ok(mut client), None) => {
                assert!(client.hear().await.unwrap().contains("\"is_authorized\": false"));
                assert_eq!(client.end().await, Some(1000));
            }
            (opened, _) => panic!("{status} {body:.40}: {:?}", opened.map(drop)),
        }
    }
    sandbox.backend().say(200, r#"{"allowed_rooms":[]}"#);
    sandbox.backend().delay(Duration::from_secs(31));
    let began = tokio::time::Instant::now();
    let error = open(&sandbox, "/ws/", &[]).await.map(drop).unwrap_err();
    assert_eq!(error.status(), Some(504), "{error}");
    assert_eq!(began.elapsed().as_secs(), 30);
    // One that is slow and not too slow is waited for.
    sandbox.backend().delay(Duration::from_secs(29));
    assert!(open(&sandbox, "/ws/", &[]).await.unwrap().hear().await.is_some());
}

#[tokio::test]
async fn a_backend_that_is_down_fails_the_handshake() {
    let unused = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let url = format!("http://{}/api/", unused.local_addr().unwrap());
    drop(unused);
    let server = Server::builder(HttpBackend::new(&url).unwrap()).build().unwrap();
    let error = Raw::open(&server, "/ws/", &[]).await.map(drop).unwrap_err();
    assert_eq!(error.status(), Some(502), "{error}");
    let error = HttpBackend::new("http://localhost/api").unwrap_err();
    assert_eq!(error.option, "api_url");
}

#[cfg(unix)]
#[tokio::test]
async fn the_backend_may_listen_on_a_socket_in_the_file_system() {
    let path = std::env::temp_dir().join(format!("high-templar-{}", std::process::id()));
    let listener = tokio::net::UnixListener::bind(&path).unwrap();
    let backend = HttpBackend::unix("http://app.local/prefix/", &path).unwrap();
    let backend = backend.forward("X-Session", Forward::Cookie("sessionid".into())).unwrap();
    let backend = backend.forward("x-real-ip", Forward::Fixed("198.51.100.1".into())).unwrap();
    let server = Server::builder(backend).config(Config::new()).build().unwrap();
    let answering = tokio::spawn(async move {
        let (mut stream, _) = listener.accept().await.unwrap();
        let mut asked = Vec::new();
        while !asked.ends_with(b"\r\n\r\n") {
            stream.read_buf(&mut asked).await.unwrap();
        }
        let answer = b"HTTP/1.1 200 OK\r\ncontent-length: 20\r\n\r\n{\"allowed_rooms\":[]}";
        stream.write_all(answer).await.unwrap();
        String::from_utf8(asked).unwrap().to_lowercase()
    });
    let headers = [("Cookie", "sessionid=s3ss"), ("X-Real-IP", "203.0.113.7")];
    let mut client = Raw::open(&server, "/ws/", &headers).await.unwrap();
    assert!(client.hear().await.unwrap().ends_with("\"allowed_rooms\": []}"));
    let asked = answering.await.unwrap();
    std::fs::remove_file(path).unwrap();
    assert!(asked.starts_with("get /prefix/bootstrap/ http/1.1\r\n"), "{asked}");
    for line in ["host: app.local", "x-session: s3ss", "x-real-ip: 198.51.100.1"] {
        assert!(asked.contains(&format!("\r\n{line}\r\n")), "{asked}");
    }
    assert!(!asked.contains("203.0.113.7"));
}

#[tokio::test]
async fn hooks_tell_who_comes_pings_and_goes() {
    let sandbox = sandbox(HighTemplarConfig::default().with_hooks());
    let paths = || {
        let asked = sandbox.backend().asked();
        let mut paths: Vec<String> = asked.into_iter().map(|asked| asked.path).collect();
        paths.sort();
        paths
    };
    let mut client = open(&sandbox, "/ws/", &[("Cookie", "a=1")]).await.unwrap();
    client.hear().await.unwrap();
    assert_eq!(client.ask("ping").await, "pong");
    let wait_for = async |wanted: &[&str]| {
        while paths() != wanted {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
    };
    within(wait_for(&["/api/bootstrap/", "/api/online/", "/api/ping/"])).await;
    assert!(sandbox.backend().asked().iter().all(|asked| asked.header("cookie") == Some("a=1")));
    drop(client);
    let all = ["/api/bootstrap/", "/api/offline/", "/api/online/", "/api/ping/"];
    within(wait_for(&all)).await;
    // Who is refused has come and gone, too.
    sandbox.backend().say(403, "");
    let mut refused = open(&sandbox, "/ws/", &[]).await.unwrap();
    refused.end().await;
    let more = [&all[..1], &all[..1], &all[1..2], &all[1..2], &all[2..3], &all[2..3], &all[3..]];
    within(wait_for(&more.concat())).await;
}

/// Fails where a cookie says so.
struct Failing;

impl Failing {
    fn told(visitor: &Visitor, when: &str) -> Result<(), HookError> {
        match visitor.header("cookie") {
            Some(cookie) if cookie == when => Err(HookError::new("told to")),
            _ => Ok(()),
        }
    }
}

impl Hooks for Failing {
    fn on_connect<'a>(&'a self, visitor: &'a Visitor) -> BoxFuture<'a, Result<(), HookError>> {
        Box::pin(async { Self::told(visitor, "fails=connect") })
    }

    fn on_ping<'a>(&'a self, visitor: &'a Visitor) -> BoxFuture<'a, Result<(), HookError>> {
        Box::pin(async { Self::told(visitor, "fails=ping") })
    }
}

#[tokio::test]
async fn a_hook_that_fails_ends_its_connection_alone() {
    let server = crate::support::builder(&["{}"]).hooks(Failing).build().unwrap();
    let cookie = |value| [("Cookie", value)];
    let error = Raw::open(&server, "/ws/", &cookie("fails=connect")).await.map(drop).unwrap_err();
    assert_eq!(error.status(), Some(502), "{error}");
    let mut failing = Raw::open(&server, "/ws/", &cookie("fails=ping")).await.unwrap();
    let mut other = Raw::open(&server, "/ws/", &cookie("a=1")).await.unwrap();
    for client in [&mut failing, &mut other] {
        client.hear().await.unwrap();
        assert_eq!(client.ask("ping").await, "pong");
    }
    assert_eq!(failing.end().await, Some(1000));
    assert_eq!(other.ask("ping").await, "pong");
}

/// Takes its time, and says when it is over.
struct Slow(Arc<AtomicUsize>);

impl Slow {
    fn wait(&self, seconds: u64) -> BoxFuture<'_, Result<(), HookError>> {
        Box::pin(async move {
            tokio::time::sleep(Duration::from_secs(seconds)).await;
            self.0.fetch_add(1, Ordering::Relaxed);
            Ok(())
        })
    }
}

impl Hooks for Slow {
    fn on_ping<'a>(&'a self, visitor: &'a Visitor) -> BoxFuture<'a, Result<(), HookError>> {
        self.wait(if visitor.cookie("hangs").is_some() { 3600 } else { 5 })
    }

    fn on_disconnect<'a>(&'a self, _: &'a Visitor) -> BoxFuture<'a, Result<(), HookError>> {
        self.wait(2)
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_hook_keeps_nothing_from_being_delivered() {
    let over = Arc::new(AtomicUsize::new(0));
    let hooks = Slow(Arc::clone(&over));
    let server = crate::support::builder(&["{}"]).hooks(hooks).build().unwrap();
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    client.enter("{}", "a").await;
    assert_eq!(client.ask("ping").await, "pong");
    let began = tokio::time::Instant::now();
    crate::support::trigger(&server, &["{}"], "1").await;
    assert!(client.hear().await.unwrap().contains("publish"));
    assert!(began.elapsed() < Duration::from_secs(1));
    // What it says meanwhile waits for the hook.
    assert_eq!(client.ask("ping").await, "pong");
    assert_eq!((began.elapsed().as_secs(), over.load(Ordering::Relaxed)), (5, 1));
    // One that does not come back ends the connection, in the time of the backend.
    let mut hanging = Raw::open(&server, "/ws/", &[("Cookie", "hangs=1")]).await.unwrap();
    hanging.hear().await.unwrap();
    assert_eq!(hanging.ask("ping").await, "pong");
    let began = tokio::time::Instant::now();
    assert_eq!(hanging.end().await, Some(1000));
    assert_eq!(began.elapsed().as_secs(), 30);
}

/// A hook has its time whether or not its client reads, and leaves nothing behind.
#[tokio::test(start_paused = true)]
async fn a_hook_is_driven_while_its_client_does_not_read() {
    let hooks = Slow(Arc::default());
    let server = crate::support::builder(&["{}"]).hooks(hooks).build().unwrap();
    let mut client = Raw::open(&server, "/ws/", &[("Cookie", "hangs=1")]).await.unwrap();
    client.hear().await.unwrap();
    client.enter("{}", "a").await;
    assert_eq!(client.ask("ping").await, "pong");
    let data = format!("\"{}\"", "x".repeat(1 << 10));
    for _ in 0..300 {
        crate::support::trigger(&server, &["{}"], &data).await;
    }
    tokio::time::sleep(Duration::from_secs(29)).await;
    assert_eq!(server.status().open_connections, 1);
    tokio::time::sleep(Duration::from_secs(2)).await;
    let status = server.status();
    assert_eq!((status.open_connections, status.messages_queued), (0, 0));
    assert_eq!(status.slow_consumers, 0);
}

/// Those who are told of the end are told before the server is gone; who comes too late
/// is sent away.
#[tokio::test(start_paused = true)]
async fn a_server_that_stops_waits_for_its_hooks() {
    let over = Arc::new(AtomicUsize::new(0));
    let hooks = Slow(Arc::clone(&over));
    let server = crate::support::builder(&["{}"]).hooks(hooks).build().unwrap();
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = tokio::spawn({
        let server = server.clone();
        async move { server.run([Listener::new(listener)], async { drop(stopped.await) }).await }
    });
    let mut socket = tcp_client(address).await;
    // Its hook is not over when the server ends.
    socket.send(&ws_core::Message::text("ping")).await.unwrap();
    assert!(socket.next().await.unwrap().is_some());
    // Kept alive by a publisher who says nothing any more.
    let mut idle = tokio::net::TcpStream::connect(address).await.unwrap();
    idle.write_all(b"GET /status HTTP/1.1\r\nHost: h\r\n\r\n").await.unwrap();
    let mut buffer = vec![0; 4096];
    assert!(idle.read(&mut buffer).await.unwrap() > 0);
    stop.send(()).unwrap();
    assert!(within(socket.next()).await.unwrap().is_none());
    assert_eq!(socket.close_frame().unwrap().code.as_u16(), 1001);
    within(running).await.unwrap();
    // That of the ping, within the grace of three seconds, is not; that of the end is.
    assert_eq!(over.load(Ordering::Relaxed), 1);
    server.run([], std::future::pending()).await;
    let mut late = Raw::connect(&server).await;
    assert_eq!(late.end().await, Some(1001));
}

/// A client over TCP that has read its first frame.
async fn tcp_client(address: std::net::SocketAddr) -> ws_core::Connection<tokio::net::TcpStream> {
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let request = ws_core::ClientRequest::new(&format!("ws://{address}/ws/").parse().unwrap());
    let (limits, keys) = (ws_core::Limits::default(), ws_core::Keys::system());
    let (mut socket, _) = ws_core::connect(stream, request, limits, keys).await.unwrap();
    socket.next().await.unwrap();
    socket
}

#[test]
fn a_header_that_cannot_be_sent_is_refused_at_once() {
    for (name, from) in [
        ("X Y", Forward::Query("a".into())),
        ("", Forward::Query("a".into())),
        ("Host", Forward::Header("host".into())),
        ("Content-Length", Forward::Fixed("1".into())),
        ("X-A", Forward::Fixed("a\r\nb".into())),
    ] {
        let backend = HttpBackend::new("http://127.0.0.1:1/").unwrap();
        let error = backend.forward(name, from).map(drop).unwrap_err();
        assert_eq!(error.option, "forward", "{name}");
    }
}
