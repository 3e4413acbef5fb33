//! What holds on any High-Templar server, over real sockets: the sandbox's, or the one
//! that `HIGH_TEMPLAR_URL`, `.._TRIGGER`, `.._BACKEND` and `.._VERSION` name. Its backend
//! answers what `POST /__state` says. Nothing here knows which it is.

use std::{
    env,
    io::Write,
    net::SocketAddr,
    time::{Duration, Instant},
};

use high_templar_client::{
    Backoff, BlockingPublisher, Client, Config, Credentials, Delivery, Error, Event, Protocol,
    Publisher, PublisherConfig, Reason, Room, State, Subscribe, Trigger,
};
use realtime_sandbox::{
    Action, At, Auditor, Direction, Engine, Faults, HighTemplarServer, Proxy, Rule,
};
use serde_json::json;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
    sync::{Mutex, MutexGuard},
};

use crate::support::{nothing_comes, room, server, take, within};

/// All tests have one backend, which says one thing at a time.
static ONE: Mutex<()> = Mutex::const_new(());

struct Service {
    url: String,
    trigger: String,
    backend: String,
    version: String,
    _alone: MutexGuard<'static, ()>,
    /// The sandbox, if it is one: it lives as long as this.
    _sandbox: Option<HighTemplarServer>,
}

impl Service {
    async fn new() -> Self {
        let alone = ONE.lock().await;
        let var = |name: &str| env::var(format!("HIGH_TEMPLAR_{name}"));
        let service = match var("URL") {
            Ok(url) => {
                // Whoever runs the suite sees that this is where it ran.
                eprintln!("on {url}");
                Self {
                    url,
                    trigger: var("TRIGGER").unwrap(),
                    backend: var("BACKEND").unwrap(),
                    version: var("VERSION").unwrap(),
                    _alone: alone,
                    _sandbox: None,
                }
            }
            Err(_) => {
                let server = server(Engine::Tungstenite);
                server.listen(0).await.unwrap();
                Self {
                    url: server.ws_url(),
                    trigger: server.trigger_url(),
                    backend: server.backend_url(),
                    version: "ours".into(),
                    _alone: alone,
                    _sandbox: Some(server),
                }
            }
        };
        let rooms = json!([{"target": "message", "customer": "*"}]);
        service.backend_says(200, &json!({"allowed_rooms": rooms}).to_string()).await;
        service
    }

    async fn backend_says(&self, status: u16, body: &str) {
        let address = self.backend.trim_start_matches("http://").split('/').next().unwrap();
        let mut stream = TcpStream::connect(address).await.unwrap();
        let state = json!({"status": status, "body": body}).to_string();
        let request = format!(
            "POST /__state HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
             Content-Length: {}\r\n\r\n{state}",
            state.len()
        );
        stream.write_all(request.as_bytes()).await.unwrap();
        let mut answer = String::new();
        within(stream.read_to_string(&mut answer)).await.unwrap();
        assert!(answer.contains(" 200 "), "{answer}");
    }

    fn is_2_x(&self) -> bool {
        self.version.starts_with('2')
    }

    /// What a server of the 2.x line cannot do without is sent to each.
    fn config_at(&self, url: &str) -> Config {
        let user = Credentials::new().cookie("sessionid", "abc").token("t k");
        Config::new(url).credentials(user)
    }

    fn config(&self) -> Config {
        self.config_at(&self.url)
    }

    fn publisher(&self) -> Publisher {
        Publisher::new(PublisherConfig::new(&self.trigger)).unwrap()
    }
}

fn to(customers: &[&str], data: impl serde::Serialize) -> Trigger {
    Trigger::new(customers.iter().map(|customer| room(customer)), &data).unwrap()
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_from_the_first_frame_to_the_close() {
    let service = Service::new().await;
    let client = within(Client::connect(service.config())).await.unwrap();
    assert_eq!(client.allowed_rooms().rooms(), [room("*")]);
    let elsewhere = Room::new().with("target", "other").with("customer", "1");
    let refused = within(client.subscribe(elsewhere, Subscribe::new())).await.unwrap_err();
    assert_eq!(refused.reason(), Some(&Reason::RoomNotFound));
    let mut one = within(client.subscribe(room("1"), Subscribe::new())).await.unwrap();
    let mut again = within(client.subscribe(room("1"), Subscribe::new())).await.unwrap();
    let mut two = within(client.subscribe(room("2"), Subscribe::new())).await.unwrap();

    let publisher = service.publisher();
    for n in 0..100 {
        publisher.trigger(&to(&["1"], json!({"n": n, "text": "\u{160} \u{1f600}"}))).await.unwrap();
    }
    let (trigger, blocking) = (to(&["2", "3"], "b"), PublisherConfig::new(&service.trigger));
    let sending = move || BlockingPublisher::new(blocking).unwrap().trigger(&trigger);
    tokio::task::spawn_blocking(sending).await.unwrap().unwrap();
    for subscription in [&mut one, &mut again] {
        for (n, text) in take(subscription, 100).await.iter().enumerate() {
            let data: serde_json::Value = serde_json::from_str(text).unwrap();
            assert_eq!(data, json!({"n": n, "text": "\u{160} \u{1f600}"}));
        }
    }
    assert_eq!(take(&mut two, 1).await, [r#""b""#]);

    match within(client.status()).await {
        // The Python server may still count clients of other tests.
        Ok(status) => assert!(status.open_connections >= 1 && status.num_rooms >= 2),
        Err(error) => {
            assert!(service.is_2_x(), "{error:?}");
            assert_eq!(error.reason(), Some(&Reason::MessageTypeNotAllowed));
        }
    }
    within(again.unsubscribe()).await.unwrap();
    publisher.trigger(&to(&["1"], 7)).await.unwrap();
    assert_eq!(take(&mut one, 1).await, ["7"]);
    within(client.close(Duration::from_secs(5))).await;
    assert_eq!(client.state(), State::Closed);
}

/// The Python servers take a star for a room; ours takes it for what it covers, as
/// the original's document says.
#[tokio::test(flavor = "multi_thread")]
async fn a_star_in_a_trigger() {
    let service = Service::new().await;
    let client = within(Client::connect(service.config())).await.unwrap();
    let mut star = within(client.subscribe(room("*"), Subscribe::new())).await.unwrap();
    let mut one = within(client.subscribe(room("1"), Subscribe::new())).await.unwrap();
    service.publisher().trigger(&to(&["*"], "star")).await.unwrap();
    assert_eq!(take(&mut star, 1).await, [r#""star""#]);
    if service.version == "ours" {
        assert_eq!(take(&mut one, 1).await, [r#""star""#]);
    }
    service.publisher().trigger(&to(&["1"], "one")).await.unwrap();
    assert_eq!(take(&mut one, 1).await, [r#""one""#]);
    nothing_comes(&mut star).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pings_are_answered() {
    let service = Service::new().await;
    let often = Duration::from_millis(20);
    let config = service.config().heartbeat(often, Duration::from_secs(5));
    let client = within(Client::connect(config)).await.unwrap();
    let mut one = within(client.subscribe(room("1"), Subscribe::new())).await.unwrap();
    let before = client.stats().messages_out;
    let many = async {
        while client.stats().messages_out < before + 20 {
            tokio::time::sleep(often).await;
        }
    };
    within(many).await;
    service.publisher().trigger(&to(&["1"], 1)).await.unwrap();
    assert_eq!(take(&mut one, 1).await, ["1"]);
    assert_eq!(client.stats().connects, 1);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_user_that_is_not_let_in_is_told_so() {
    let service = Service::new().await;
    service.backend_says(403, r#"{"detail": "no"}"#).await;
    for protocol in [Protocol::Auto, if service.is_2_x() { Protocol::V2 } else { Protocol::V3 }] {
        let client = Client::new(service.config().protocol(protocol)).unwrap();
        let error = within(client.start()).await.unwrap_err();
        assert_eq!(error.reason(), Some(&Reason::NotAuthorized), "{error:?}");
        assert_eq!(client.state(), State::Stopped);
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_backend_that_says_nothing_of_use_is_waited_for() {
    let service = Service::new().await;
    service.backend_says(200, "<html>").await;
    let mut config = service.config().retry_first_connect();
    if service.is_2_x() {
        // It says no more than to a user that it does not know.
        config = config.retry_refused();
    }
    let client = Client::new(config).unwrap();
    let mut events = client.events();
    let starting = tokio::spawn({
        let client = client.clone();
        async move { client.start().await }
    });
    let cause = loop {
        match within(events.next()).await {
            Some(Event::Disconnected { cause: Some(cause) } | Event::Waiting { cause, .. }) => {
                break cause;
            }
            Some(_) => {}
            None => panic!("the client has ended"),
        }
    };
    match &cause {
        Error::Connect(failure) => assert!(matches!(failure.status, Some(500 | 502))),
        other => assert!(service.is_2_x(), "{other:?}"),
    }
    service.backend_says(200, r#"{"allowed_rooms": []}"#).await;
    within(starting).await.unwrap().unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_trigger_lacks_is_named() {
    let service = Service::new().await;
    let mut wrong = PublisherConfig::new(&service.trigger);
    wrong = wrong.timeout(Duration::from_secs(5));
    Publisher::new(wrong).unwrap().trigger(&to(&[], 1)).await.unwrap();
    let elsewhere = service.trigger.replace("/trigger/", "/elsewhere/");
    let publisher = Publisher::new(PublisherConfig::new(elsewhere)).unwrap();
    let error = publisher.trigger(&to(&["1"], 1)).await.unwrap_err();
    assert_eq!(error.reason(), Some(&Reason::Status(404)));
}

/// The subscriber is cut off five times while a message is triggered every few
/// milliseconds.
#[tokio::test(flavor = "multi_thread")]
async fn whatever_a_cut_connection_misses_is_told() {
    const MESSAGES: u64 = 500;
    const SOON: Duration = Duration::from_millis(200);
    let service = Service::new().await;
    let address = service.url.trim_start_matches("ws://").split('/').next().unwrap();
    let address: SocketAddr = address.parse().unwrap();
    let faults = Faults::default();
    for n in 0..5 {
        let at = At::Byte(3000 + 700 * n);
        faults.add(Rule::new(Direction::ToClient, at, Action::Reset).connection(n));
    }
    let proxy = Proxy::tcp(address, faults).await.unwrap();
    let start = Instant::now();
    let auditor = Auditor::default();
    let url = format!("ws://{}/ws/", proxy.address().unwrap());
    let config = service.config_at(&url).seed(1).backoff(Backoff::default().max(SOON));
    let client = within(Client::connect(config)).await.unwrap();
    let mut one = within(client.subscribe(room("1"), Subscribe::new())).await.unwrap();
    auditor.subscribed("s", "message");
    let publishing = async {
        let publisher = service.publisher();
        for n in 0..MESSAGES {
            let text = n.to_string();
            auditor.accepted("message", &text);
            auditor.received("message", &text);
            publisher.trigger(&to(&["1"], n)).await.unwrap();
            auditor.acknowledged("message", &text);
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        // Until one of these comes, something may be missing at the end.
        loop {
            publisher.trigger(&to(&["1"], "over")).await.unwrap();
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    };
    let receiving = async {
        loop {
            match one.next().await {
                Some(Delivery::Message(message)) if message.json() == r#""over""# => break,
                Some(Delivery::Message(message)) => auditor.delivered("s", message.json()),
                Some(Delivery::Gap(gap)) => auditor.gap("s", gap.missed),
                other => panic!("{other:?}"),
            }
        }
    };
    within(async {
        tokio::select! {
            () = publishing => {}
            () = receiving => {}
        }
    })
    .await;
    let verdict = auditor.verdict();
    let line = json!({
        "test": "five cuts", "published": verdict.published,
        "acknowledged": verdict.acknowledged, "delivered": verdict.delivered,
        "lost": verdict.lost(), "duplicated": verdict.duplicated(), "gaps": verdict.gaps,
        "cuts": proxy.faults().struck(), "connects": client.stats().connects,
        "seconds": start.elapsed().as_secs(),
    });
    let _best_effort = writeln!(std::io::stderr(), "{line}");
    assert_eq!((verdict.lost(), verdict.duplicated()), (0, 0), "{:?}", verdict.findings.first());
    assert_eq!(proxy.faults().struck(), 5);
    assert!(verdict.gaps >= 1 && verdict.acknowledged == MESSAGES);
    within(client.close(Duration::from_secs(5))).await;
}
