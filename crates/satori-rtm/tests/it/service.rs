//! What holds on any RTM service, over real sockets: the sandbox, or the server
//! that `SATORI_RTM_URL`, `SATORI_RTM_APPKEY`, `SATORI_RTM_ROLE`,
//! `SATORI_RTM_ROLE_SECRET` and, if it has one, `SATORI_RTM_RESTRICTED` name. Nothing
//! here knows which.

use std::{cell::Cell, env, io::Write, net::SocketAddr, time::Duration};

use realtime_sandbox::{
    Action, At, Auditor, Direction, Engine, Faults, Proxy, RtmConfig, RtmServer, Rule, Verdict,
};
use satori_rtm::{Client, Config, Connector, Delivery, Error, ErrorKind, Subscribe, Subscription};
use serde_json::{Value, json};

use crate::support::within;

const MESSAGES: usize = 100;

struct Service {
    /// `ws://` or `wss://`, as it is given.
    url: String,
    /// Where that leads, without TLS.
    address: SocketAddr,
    appkey: String,
    role: String,
    role_secret: String,
    /// A channel that only the role may use.
    restricted: Option<String>,
    /// The sandbox, if it is one: it lives as long as this.
    _sandbox: Option<RtmServer>,
}

impl Service {
    async fn new() -> Self {
        let var = |name: &str| env::var(format!("SATORI_RTM_{name}"));
        if let Ok(url) = var("URL") {
            // Whoever runs the suite sees that this is where it ran.
            eprintln!("on {url}");
            return Self {
                address: resolved(&url).await,
                url,
                appkey: var("APPKEY").unwrap(),
                role: var("ROLE").unwrap(),
                role_secret: var("ROLE_SECRET").unwrap(),
                restricted: var("RESTRICTED").ok(),
                _sandbox: None,
            };
        }
        let sandbox = RtmServer::new(RtmConfig::default(), Engine::Tungstenite);
        sandbox.listen(0).await.unwrap();
        Self {
            address: sandbox.address().unwrap(),
            appkey: sandbox.appkey().to_owned(),
            role: sandbox.role().to_owned(),
            role_secret: sandbox.role_secret().to_owned(),
            restricted: Some(sandbox.restricted_channel().to_owned()),
            url: sandbox.url(),
            _sandbox: Some(sandbox),
        }
    }

    fn config(&self) -> Config {
        Config::new(&self.url, &*self.appkey).role(&*self.role, self.role_secret.as_str())
    }

    async fn connect(&self) -> Client {
        within(Client::connect(self.config())).await.unwrap()
    }

    /// Connects through a proxy that resets the connection once, in the frame of this
    /// number; under TLS, where no frame is to be seen, about there.
    async fn connect_cut(&self, direction: Direction, frame: u64) -> (Client, Proxy) {
        let at = match self.url.starts_with("wss://") {
            true => At::Byte(6000 + 40 * frame),
            false => At::Frame(frame),
        };
        let faults = Faults::default();
        faults.add(Rule::new(direction, at, Action::Reset));
        let proxy = Proxy::tcp(self.address, faults).await.unwrap();
        let address = proxy.address().unwrap();
        let config = self.config().connector(Connector::new(move |_| async move {
            let stream = tokio::net::TcpStream::connect(address).await?;
            stream.set_nodelay(true)?;
            Ok(stream)
        }));
        (within(Client::connect(config)).await.unwrap(), proxy)
    }
}

/// The address of a URL's host and port.
async fn resolved(url: &str) -> SocketAddr {
    let (scheme, rest) = url.split_once("://").expect("SATORI_RTM_URL is ws:// or wss://");
    let authority = rest.split('/').next().unwrap();
    let port = if scheme == "wss" { 443 } else { 80 };
    let authority = match authority.rsplit_once(':') {
        Some((_, port)) if port.parse::<u16>().is_ok() => authority.to_owned(),
        _ => format!("{authority}:{port}"),
    };
    let mut found = tokio::net::lookup_host(authority).await.expect("the host has an address");
    found.next().expect("the host has an address")
}

/// The last message of a test: whatever came twice has come before it.
const END: &str = "end";

/// Notes deliveries and gaps until the last message; `seen` is told each delivery.
async fn consume(auditor: &Auditor, subscription: &mut Subscription, mut seen: impl FnMut()) {
    loop {
        match within(subscription.next()).await {
            Some(Delivery::Message(message)) if message.to_string() == format!("{END:?}") => return,
            Some(Delivery::Message(message)) => {
                auditor.delivered("subscriber", &message.to_string());
                seen();
            }
            Some(Delivery::Gap(gap)) => auditor.gap("subscriber", gap.missed),
            other => panic!("{other:?}"),
        }
    }
}

/// Publishes 1, 2, .. while `more` says so of the next number, and the last
/// message.
async fn publish(auditor: &Auditor, client: &Client, channel: &str, more: impl Fn(usize) -> bool) {
    let mut n = 1;
    while more(n) {
        let message = n.to_string();
        auditor.accepted(channel, &message);
        within(client.publish(channel, &n)).await.unwrap();
        auditor.acknowledged(channel, &message);
        // What a service stores is known from what it says.
        auditor.received(channel, &message);
        n += 1;
    }
    within(client.publish(channel, END)).await.unwrap();
}

/// One line for people and programs; fails if the books do not add up.
fn report(test: &str, verdict: &Verdict, cuts: u64) {
    let line = json!({
        "test": test, "published": verdict.published, "acknowledged": verdict.acknowledged,
        "delivered": verdict.delivered, "lost": verdict.lost(),
        "duplicated": verdict.duplicated(), "gaps": verdict.gaps, "cuts": cuts,
    });
    let _best_effort = writeln!(std::io::stderr(), "{line}");
    assert!(verdict.findings.is_empty(), "{:?}", verdict.findings);
    assert_eq!((verdict.published, verdict.acknowledged), (100, 100));
}

#[tokio::test]
async fn a_subscriber_that_is_cut_off_resumes_where_it_was() {
    let service = Service::new().await;
    let (subscriber, proxy) = service.connect_cut(Direction::ToClient, MESSAGES as u64 / 2).await;
    let publisher = service.connect().await;
    let auditor = Auditor::default();
    let mut live = within(subscriber.subscribe("service-live", Subscribe::new())).await.unwrap();
    auditor.subscribed("subscriber", "service-live");
    tokio::join!(
        publish(&auditor, &publisher, "service-live", |n| n <= MESSAGES),
        consume(&auditor, &mut live, || {})
    );
    let verdict = auditor.verdict();
    report("service: subscriber cut off", &verdict, proxy.faults().struck());
    assert_eq!((verdict.delivered, verdict.gaps, proxy.faults().struck()), (100, 0, 1));
    assert_eq!(subscriber.stats().connects, 2);
    for client in [subscriber, publisher] {
        assert!(within(client.close(Duration::from_secs(5))).await.is_clean());
    }
}

#[tokio::test]
async fn a_publisher_that_is_cut_off_sends_again_what_was_not_acknowledged() {
    let service = Service::new().await;
    let (publisher, proxy) = service.connect_cut(Direction::ToServer, MESSAGES as u64 / 2).await;
    let subscriber = service.connect().await;
    let auditor = Auditor::default();
    let mut live = within(subscriber.subscribe("service-sent", Subscribe::new())).await.unwrap();
    auditor.subscribed("subscriber", "service-sent");
    tokio::join!(
        publish(&auditor, &publisher, "service-sent", |n| n <= MESSAGES),
        consume(&auditor, &mut live, || {})
    );
    report("service: publisher cut off", &auditor.verdict(), proxy.faults().struck());
    assert_eq!((publisher.stats().connects, proxy.faults().struck()), (2, 1));
}

/// Nothing was delivered before the cut: all that the client has to go on from
/// is what the service answered to the subscription.
#[tokio::test]
async fn a_subscriber_cut_off_before_its_first_message_goes_on_or_says_what_it_may_have_missed() {
    let service = Service::new().await;
    // Two answers to the authentication, one to the subscription; the fourth is
    // cut, and asked for again.
    let (subscriber, proxy) = service.connect_cut(Direction::ToClient, 3).await;
    let mut quiet = within(subscriber.subscribe("service-quiet", Subscribe::new())).await.unwrap();
    let auditor = Auditor::default();
    auditor.subscribed("subscriber", "service-quiet");
    let nothing = within(subscriber.read::<Value>("service-nothing")).await.unwrap();
    assert_eq!((nothing, proxy.faults().struck()), (Value::Null, 1));
    // A service that refuses the position may close the connection over it, so
    // that the first messages can be among those that are missing.
    let publisher = service.connect().await;
    let came = Cell::new(0);
    tokio::join!(
        publish(&auditor, &publisher, "service-quiet", |_| came.get() < 10),
        consume(&auditor, &mut quiet, || came.set(came.get() + 1))
    );
    let verdict = auditor.verdict();
    assert!(verdict.findings.is_empty(), "{:?}", verdict.findings);
    assert!(verdict.gaps > 0 || verdict.delivered == verdict.published);
}

#[tokio::test]
async fn a_value_is_written_read_and_deleted_on_any_service() {
    let service = Service::new().await;
    let client = service.connect().await;
    let value = json!({"who": "zebra", "where": [34.1, -118.2], "deep": {"a": [null, true]}});
    within(client.write("service-value", &value)).await.unwrap();
    assert_eq!(within(client.read::<Value>("service-value")).await.unwrap(), value);
    within(client.write("service-value", "other")).await.unwrap();
    assert_eq!(within(client.read::<String>("service-value")).await.unwrap(), "other");
    within(client.delete("service-value")).await.unwrap();
    assert_eq!(within(client.read::<Value>("service-value")).await.unwrap(), Value::Null);
}

async fn refused(config: Config) -> Error {
    within(Client::connect(config)).await.unwrap_err()
}

#[tokio::test]
async fn strangers_are_refused_by_any_service() {
    let service = Service::new().await;
    let error = refused(Config::new(&service.url, "no-such-appkey")).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, "403"), "{error:?}");
    let wrong = Config::new(&service.url, &*service.appkey).role(&*service.role, "not the secret");
    assert_eq!(refused(wrong).await.kind(), ErrorKind::Refused);
}

#[tokio::test]
async fn a_restricted_channel_is_for_its_role_alone() {
    let service = Service::new().await;
    let Some(channel) = &service.restricted else {
        eprintln!("this service has no restricted channel: nothing is tested here");
        return;
    };
    let client = service.connect().await;
    within(client.publish(channel, &1)).await.unwrap();
    let stranger = Config::new(&service.url, &*service.appkey);
    let stranger = within(Client::connect(stranger)).await.unwrap();
    for error in [
        within(stranger.publish(channel, &1)).await.unwrap_err(),
        within(stranger.subscribe(channel, Subscribe::new())).await.unwrap_err(),
    ] {
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, "authorization_denied"));
    }
}
