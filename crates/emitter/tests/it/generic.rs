//! What holds on any broker of MQTT 3.1.1, over real sockets: the sandbox, or what
//! `EMITTER_GENERIC_TCP`, `.._TLS`, `.._WEBSOCKET` and `.._CERTIFICATE` name. Such a
//! broker knows nothing of keys and options: topics match as they are, and come back
//! with their keys. Nothing here knows which it is.

use std::{
    env,
    io::Write,
    net::SocketAddr,
    time::{Duration, Instant},
};

use emitter::{Address, Client, Config, OutboxLimits, PublishOptions, SubscribeOptions};
use realtime_sandbox::{Action, At, Authority, Direction, EmitterServer, Faults, Proxy, Rule};
use tokio::sync::mpsc;

use crate::support::{KEY, LINES, Stand, pem, within};

struct Broker {
    tcp: SocketAddr,
    addresses: Vec<Address>,
    certificate: Vec<u8>,
    /// The sandbox, if it is one: it lives as long as this.
    _sandbox: Option<EmitterServer>,
}

impl Broker {
    async fn new() -> Self {
        let var = |name: &str| env::var(format!("EMITTER_GENERIC_{name}"));
        if let Ok(tcp) = var("TCP") {
            // Whoever runs the suite sees that this is where it ran.
            eprintln!("on {tcp}");
            let parse = |url: String| url.parse::<Address>().unwrap();
            return Self {
                tcp: tcp.trim_start_matches("mqtt://").parse().unwrap(),
                addresses: vec![
                    parse(tcp),
                    parse(var("TLS").unwrap()),
                    parse(var("WEBSOCKET").unwrap()),
                ],
                certificate: pem(&var("CERTIFICATE").unwrap()),
                _sandbox: None,
            };
        }
        let stand = Stand::new(LINES[2]);
        stand.broker.listen(0).await.unwrap();
        let authority = Authority::new().unwrap();
        let tls = stand.broker.listen_tls(0, &authority).await.unwrap();
        let tcp = stand.broker.address().unwrap();
        let plain = Address::new("127.0.0.1").port(tcp.port()).insecure();
        Self {
            tcp,
            addresses: vec![plain.clone(), Address::new("localhost").port(tls), plain.websocket()],
            certificate: authority.der().to_vec(),
            _sandbox: Some(stand.broker),
        }
    }

    fn config(&self, address: &Address) -> Config {
        Config::new(address.clone()).tls_root(self.certificate.clone())
    }
}

/// A client, and all that is delivered to it on `channel`, with the key in the topic or
/// without.
async fn reader(
    config: Config,
    channel: &'static str,
) -> (Client, mpsc::UnboundedReceiver<String>) {
    let client = within(Client::connect(config)).await.unwrap();
    let (to, messages) = mpsc::unbounded_channel();
    let handler = move |message: emitter::Message| {
        assert!(message.channel().ends_with(&format!("{channel}/")), "{message:?}");
        to.send(message.as_str().unwrap().to_owned()).unwrap();
    };
    client.handlers().on_message.set(handler.clone());
    let new = SubscribeOptions::new();
    within(client.subscribe_with_handler(KEY, channel, None, new, handler)).await.unwrap();
    (client, messages)
}

#[tokio::test]
async fn messages_go_both_ways_over_tcp_tls_and_websocket() {
    let broker = Broker::new().await;
    for address in &broker.addresses {
        let (client, mut messages) = reader(broker.config(address), "exchange").await;
        for n in 0..200 {
            let options = match n % 2 {
                0 => PublishOptions::new(),
                _ => PublishOptions::new().at_most_once(),
            };
            let text = format!("{n} {}", "x".repeat(n * 50));
            within(client.publish(KEY, "exchange", text.as_str(), options)).await.unwrap();
            assert_eq!(within(messages.recv()).await.unwrap(), text);
        }
        let stats = client.stats();
        assert_eq!((stats.connects, stats.strays, stats.outbox_len), (1, 0, 0), "{address}");
        assert!(client.close(Duration::from_secs(5)).await.is_clean());
    }
}

/// Silence is asked after every 50 ms, and answered: the connection is never given up.
#[tokio::test]
async fn pings_are_answered() {
    let broker = Broker::new().await;
    for address in &broker.addresses {
        let config = broker.config(address);
        let often = config.heartbeat(Duration::from_millis(50), Duration::from_secs(10));
        let client = within(Client::connect(often)).await.unwrap();
        let begun = client.stats().bytes_in;
        // Ten answers of two bytes: nothing else is sent to it.
        within(async {
            while client.stats().bytes_in < begun + 20 {
                tokio::task::yield_now().await;
            }
        })
        .await;
        assert_eq!(client.stats().connects, 1);
    }
}

/// 5,000 publishes over 20 disconnects: none is lost, first deliveries keep their
/// order, and what is delivered twice is counted.
#[tokio::test]
async fn five_thousand_publishes_survive_twenty_disconnects() {
    const PUBLISHES: usize = 5000;
    let broker = Broker::new().await;
    let (_reader, mut messages) = reader(broker.config(&broker.addresses[0]), "all").await;
    let proxy = Proxy::tcp(broker.tcp, Faults::default()).await.unwrap();
    let at = Address::new("127.0.0.1").port(proxy.address().unwrap().port()).insecure();
    let window = OutboxLimits::default().max_messages(PUBLISHES).window(100);
    let config = Config::new(at).outbox(window).request_timeout(Duration::from_secs(100));
    // Ready again at once, for the test's sake.
    let hasty = emitter::Backoff::default().first(Duration::from_millis(20));
    let client =
        Client::connect(config.backoff(hasty.max(Duration::from_millis(20)))).await.unwrap();
    let mut events = client.events();
    let (start, mut calls) = (Instant::now(), Vec::new());
    for n in 0..PUBLISHES {
        if n % 250 == 125 {
            let way = [Direction::ToServer, Direction::ToClient][n / 250 % 2];
            let rule = Rule::new(way, At::Now, Action::Reset);
            proxy.faults().add(rule.connection(proxy.faults().connections() - 1));
        }
        let publishing = client.clone();
        calls.push(tokio::spawn(async move {
            publishing.publish(KEY, "all", n.to_string(), PublishOptions::new()).await
        }));
        if n % 250 == 249 {
            // The loss, and the return.
            while !matches!(within(events.next()).await, Some(emitter::Event::Connected)) {}
        }
    }
    for call in calls {
        within(call).await.unwrap().unwrap();
    }
    let (mut seen, mut next, mut twice) = (vec![false; PUBLISHES], 0, 0);
    while next < PUBLISHES {
        let n: usize = within(messages.recv()).await.unwrap().parse().unwrap();
        if std::mem::replace(&mut seen[n], true) {
            twice += 1;
        } else {
            assert_eq!(n, next, "out of order");
            next += 1;
        }
    }
    let cuts = proxy.faults().struck();
    let _best_effort = writeln!(
        std::io::stderr(),
        "{{\"test\":\"5000 publishes, 20 disconnects\",\"published\":{PUBLISHES},\
         \"acknowledged\":{PUBLISHES},\"delivered\":{},\"lost\":0,\"sent_again\":{twice},\
         \"cuts\":{cuts},\"seconds\":{}}}",
        PUBLISHES + twice,
        start.elapsed().as_secs()
    );
    assert_eq!((cuts, client.stats().connects), (20, 21));
}
