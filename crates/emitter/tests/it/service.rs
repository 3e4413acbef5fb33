//! What holds on any emitter broker, over real sockets: the sandbox, or the program that
//! `EMITTER_BROKER` names, of which each test starts as many as it needs, on loopback,
//! and ends them.

use std::{
    collections::BTreeSet,
    env,
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, Instant},
};

use emitter::{
    Address, Backoff, Client, Config, Delivery, HistoryOptions, LinkOptions, OutboxLimits,
    Permissions, PresenceOptions, PublishOptions, SubscribeOptions, Subscription,
};
use realtime_sandbox::{Action, At, Authority, Direction, EmitterConfig, EmitterServer, Engine};
use realtime_sandbox::{Faults, Proxy, Rule};

use crate::support::{KEY, SECRET, pem, settings, take, within};

/// How a test wants its brokers.
#[derive(Clone, Copy)]
struct Wanted {
    nodes: usize,
    flush_rate: u32,
}

const ONE: Wanted = Wanted { nodes: 1, flush_rate: 1000 };

/// Brokers that belong together.
struct Service {
    nodes: Vec<Node>,
    secret: String,
    /// A key for everything.
    key: String,
    certificate: Vec<u8>,
}

struct Node {
    tcp: SocketAddr,
    tls: u16,
    what: What,
}

enum What {
    Sandbox(EmitterServer, Box<Authority>),
    Real { program: String, config: String, child: Option<Child> },
}

impl Node {
    /// Starts the program of a node, and waits until it answers.
    fn run(&mut self) {
        if let What::Real { program, config, child } = &mut self.what {
            *child = Some(spawn(program, config));
            wait_for_health(self.tcp.port());
        }
    }

    fn end(&mut self) {
        if let What::Real { child: Some(child), .. } = &mut self.what {
            // It may have ended by itself.
            let _ended = child.kill();
            let _status = child.wait();
        }
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        self.end();
    }
}

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

impl Service {
    async fn start(wanted: Wanted) -> Self {
        let mut service = match env::var("EMITTER_BROKER") {
            Ok(program) => Self::real(&program, wanted),
            Err(_) => Self::sandbox(settings()).await,
        };
        let client = service.connect(0).await;
        let all: Permissions = "rwslp".parse().unwrap();
        service.key = client.keygen(&service.secret, "#/", all, 0).await.unwrap().key;
        for n in 1..service.nodes.len() {
            service.nodes[n].run();
            service.join(&client, n).await;
        }
        service
    }

    /// Waits until a node hears what is said on the first: a next one that comes before
    /// that may never find it.
    async fn join(&self, first: &Client, n: usize) {
        let client = self.connect(n).await;
        let mut joined = client.subscribe(&self.key, "joined", none()).await.unwrap();
        within(async {
            loop {
                say(first, &self.key, "joined", "?").await;
                let heard = tokio::time::timeout(Duration::from_millis(200), joined.next()).await;
                if heard.is_ok() {
                    return;
                }
            }
        })
        .await;
    }

    /// One broker, whatever is wanted: in one process they are all the same.
    async fn sandbox(settings: EmitterConfig) -> Self {
        let authority = Authority::new().unwrap();
        let broker = EmitterServer::new(settings, Engine::Tungstenite);
        broker.listen(0).await.unwrap();
        let tls = broker.listen_tls(0, &authority).await.unwrap();
        let certificate = authority.der().to_vec();
        let tcp = broker.address().unwrap();
        let nodes = vec![Node { tcp, tls, what: What::Sandbox(broker, Box::new(authority)) }];
        Self { nodes, secret: SECRET.to_owned(), key: KEY.to_owned(), certificate }
    }

    fn real(program: &str, wanted: Wanted) -> Self {
        // Whoever runs the suite sees that this is where it ran.
        eprintln!("on {program}");
        let var = |name: &str| env::var(format!("EMITTER_BROKER_{name}")).unwrap();
        let made = Command::new(program).args(["license", "new"]).env("HOME", var("HOME")).output();
        let made = made.unwrap();
        let said = [made.stdout, made.stderr].concat();
        let said = String::from_utf8_lossy(&said).into_owned();
        let after = |word: &str| {
            let rest = said.split(word).nth(1).expect("a licence and a secret key");
            rest.split_whitespace().next().unwrap().to_owned()
        };
        let (licence, secret) = (after("new license: "), after("new secret key: "));
        let ports: Vec<u16> = (0..3 * wanted.nodes).map(|_| free_port()).collect();
        let meeting = ports[2];
        let nodes = ports.chunks(3).enumerate().map(|(n, ports)| {
            // Unique among all brokers of all tests, which run at once.
            static NUMBER: AtomicU32 = AtomicU32::new(1);
            let number = NUMBER.fetch_add(1, Relaxed);
            let [tcp, tls, mesh] = [ports[0], ports[1], ports[2]];
            let folder = format!("{}/node{}-{number}", var("HOME"), std::process::id());
            std::fs::create_dir_all(&folder).unwrap();
            // The first node is where the others meet.
            let seed = if n == 0 { String::new() } else { format!("127.0.0.1:{meeting}") };
            let config = serde_json::json!({
                "listen": format!("127.0.0.1:{tcp}"),
                "license": licence,
                "limit": {"flushRate": wanted.flush_rate},
                "tls": {"listen": format!("127.0.0.1:{tls}"),
                    "certificate": var("CERTIFICATE"), "private": var("KEY")},
                "cluster": {"name": format!("00:00:00:00:{:02x}:{:02x}", number >> 8, number & 255),
                    "listen": format!("127.0.0.1:{mesh}"),
                    "advertise": format!("127.0.0.1:{mesh}"), "seed": seed, "dir": folder},
                "storage": {"provider": "inmemory"},
            });
            let file = format!("{folder}/broker.conf");
            std::fs::write(&file, config.to_string()).unwrap();
            let what = What::Real { program: program.to_owned(), config: file, child: None };
            Node { tcp: SocketAddr::from((Ipv4Addr::LOCALHOST, tcp)), tls, what }
        });
        let mut nodes: Vec<Node> = nodes.collect();
        nodes[0].run();
        Self { nodes, secret, key: String::new(), certificate: pem(&var("CERTIFICATE")) }
    }

    /// The n-th node, or the only one.
    fn node(&self, n: usize) -> &Node {
        self.nodes.get(n).unwrap_or(&self.nodes[0])
    }

    fn address(&self, n: usize) -> Address {
        Address::new("127.0.0.1").port(self.node(n).tcp.port()).insecure()
    }

    async fn connect(&self, n: usize) -> Client {
        within(Client::connect(Config::new(self.address(n)))).await.unwrap()
    }

    /// All that a broker knows is gone.
    async fn restart(&mut self, n: usize) {
        let node = &mut self.nodes[n];
        match &mut node.what {
            What::Sandbox(broker, authority) => {
                let port = node.tcp.port();
                *broker = EmitterServer::new(settings(), Engine::Tungstenite);
                while broker.listen(port).await.is_err() {
                    tokio::task::yield_now().await;
                }
                node.tls = broker.listen_tls(0, authority).await.unwrap();
            }
            What::Real { .. } => {
                node.end();
                node.run();
            }
        }
    }
}

fn spawn(program: &str, config: &str) -> Child {
    let log = std::fs::File::create(format!("{config}.log")).unwrap();
    let mut command = Command::new(program);
    command.args(["-c", config]).stdin(Stdio::null());
    command.stdout(log.try_clone().unwrap()).stderr(log);
    // Stops a search for its outside address.
    command.env("HTTP_PROXY", "http://127.0.0.1:9");
    command.spawn().unwrap()
}

/// Waits until a broker answers, 20 s at most.
fn wait_for_health(port: u16) {
    use std::io::Read;
    let start = Instant::now();
    loop {
        let healthy = std::net::TcpStream::connect(("127.0.0.1", port)).and_then(|mut stream| {
            stream.set_read_timeout(Some(Duration::from_secs(1)))?;
            stream.write_all(b"GET /health HTTP/1.1\r\nHost: 127.0.0.1\r\n\r\n")?;
            let mut answer = [0; 12];
            stream.read_exact(&mut answer).map(|()| answer)
        });
        match healthy {
            Ok(answer) if answer == *b"HTTP/1.1 200" => return,
            _ if start.elapsed() > Duration::from_secs(20) => panic!("no broker on {port}"),
            _ => std::thread::sleep(Duration::from_millis(50)),
        }
    }
}

fn none() -> SubscribeOptions {
    SubscribeOptions::new().last(0)
}

/// Returns soon, for the tests' sake.
fn hasty() -> Backoff {
    Backoff::default().first(Duration::from_millis(50)).max(Duration::from_millis(200))
}

async fn say(client: &Client, key: &str, channel: &str, text: &str) {
    within(client.publish(key, channel, text, PublishOptions::new())).await.unwrap();
}

#[tokio::test]
async fn messages_go_both_ways_over_everything() {
    for flush_rate in [1000, 60] {
        let service = Service::start(Wanted { flush_rate, ..ONE }).await;
        let tls = Address::new("localhost").port(service.node(0).tls);
        let plain = service.address(0);
        for address in [plain.clone(), plain.websocket(), tls.clone(), tls.websocket()] {
            let config = Config::new(address.clone()).tls_root(service.certificate.clone());
            let window = OutboxLimits::default().window(1000);
            let client = within(Client::connect(config.outbox(window))).await.unwrap();
            let mut room = client.subscribe(&service.key, "room", none()).await.unwrap();
            let calls = (0..300).map(|n| {
                let (client, key) = (client.clone(), service.key.clone());
                tokio::spawn(async move { say(&client, &key, "room", &n.to_string()).await })
            });
            for call in calls.collect::<Vec<_>>() {
                within(call).await.unwrap();
            }
            let expected: Vec<String> = (0..300).map(|n| n.to_string()).collect();
            assert_eq!(take(&mut room, 300).await, expected, "{address} {flush_rate}");
            let stats = client.stats();
            assert_eq!((stats.connects, stats.strays), (1, 0));
        }
    }
}

#[tokio::test]
async fn every_request_is_answered() {
    let service = Service::start(ONE).await;
    let (client, other) = (service.connect(0).await, service.connect(0).await);
    let (key, secret) = (service.key.as_str(), service.secret.as_str());
    // Keys, and their refusals.
    let read = client.keygen(secret, "keys", Permissions::READ, 3600).await.unwrap();
    assert_eq!((read.key.len(), read.channel.as_str()), (32, "keys/"));
    let refused = client.publish(&read.key, "keys", "x", PublishOptions::new()).await;
    assert_eq!(refused.unwrap_err().code(), "unauthorized");
    let refused = client.subscribe(&read.key, "keys/below", none()).await;
    assert_eq!(refused.unwrap_err().code(), "unauthorized");
    let refused = client.keygen(key, "keys", Permissions::READ, 0).await;
    assert_eq!(refused.unwrap_err().code(), "unauthorized");
    let mut held = client.subscribe(&read.key, "keys", none()).await.unwrap();
    assert!(client.keyban(secret, &read.key, true).await.unwrap().banned);
    assert_eq!(
        client.subscribe(&read.key, "keys", none()).await.unwrap_err().code(),
        "unauthorized"
    );
    // A ban is no end of what exists.
    say(&client, key, "keys", "still").await;
    assert_eq!(take(&mut held, 1).await, ["still"]);
    // Private channels.
    let extend = Permissions::READ | Permissions::WRITE | Permissions::EXTEND;
    let parent = client.keygen(secret, "priv", extend, 0).await.unwrap().key;
    let private = client.keygen(&parent, "priv", extend, 0).await.unwrap();
    let me = client.me().await.unwrap();
    assert_eq!(private.channel, format!("priv/{}/", me.id));
    let mut own = client.subscribe(&private.key, &private.channel, none()).await.unwrap();
    say(&other, &private.key, &private.channel, "psst").await;
    assert_eq!(take(&mut own, 1).await, ["psst"]);
    // Links.
    let link = client.link(key, "linked", "a0", LinkOptions::new().ttl(60)).await.unwrap();
    assert_eq!(link.channel, "linked/?ttl=60");
    client.publish_with_link("a0", "via link", PublishOptions::new()).await.unwrap();
    assert_eq!(client.me().await.unwrap().links["a0"], "linked/?ttl=60");
    let stored = SubscribeOptions::new().last(5);
    let mut linked = other.subscribe(key, "linked", stored).await.unwrap();
    assert_eq!(take(&mut linked, 1).await, ["via link"]);
    // Share groups.
    let mut one = client.subscribe_with_group(key, "work", "sg", none()).await.unwrap();
    let mut two = other.subscribe_with_group(key, "work", "sg", none()).await.unwrap();
    for n in 0..20 {
        say(&client, key, "work", &n.to_string()).await;
    }
    for _ in 0..20 {
        tokio::select! {
            one = one.next() => drop(one.unwrap()),
            two = two.next() => drop(two.unwrap()),
        }
    }
    // Who is there.
    let mut watch = client.presence_subscribe(key, "crowd", PresenceOptions::new()).await.unwrap();
    let crowd = other.subscribe(key, "crowd", none()).await.unwrap();
    let id = other.me().await.unwrap().id;
    while watch.members().all(|member| member.id != id) {
        within(watch.next()).await.unwrap().into_message().unwrap();
    }
    let status = client.presence_status(key, "crowd").await.unwrap();
    assert_eq!(status.who.len(), 1);
    drop(crowd);
    while watch.members().count() > 0 {
        within(watch.next()).await.unwrap().into_message().unwrap();
    }
}

#[tokio::test]
async fn history_comes_page_by_page_in_its_order() {
    let service = Service::start(ONE).await;
    let client = service.connect(0).await;
    let key = service.key.as_str();
    for n in 0..230 {
        let options = PublishOptions::new().ttl(600);
        client.publish(key, "hist/a", format!("{n}"), options).await.unwrap();
    }
    let all = client.history(key, "hist", HistoryOptions::new()).unwrap().all().await.unwrap();
    let texts: Vec<&[u8]> = all.iter().map(|message| message.payload.as_ref()).collect();
    let expected: Vec<String> = (0..230).map(|n| n.to_string()).collect();
    assert_eq!(texts, expected.iter().map(|text| text.as_bytes()).collect::<Vec<_>>());
    let ten = HistoryOptions::new().limit(10);
    let mut newest = client.history(key, "hist", ten).unwrap();
    for n in (220..230).rev() {
        let message = newest.next().await.unwrap().unwrap();
        assert_eq!(message.payload.as_ref(), n.to_string().as_bytes());
    }
    assert!(newest.next().await.is_none());
    // Too large for one answer, and fetched all the same.
    for n in 0..6 {
        let options = PublishOptions::new().ttl(600);
        let text = n.to_string().repeat(15_000);
        client.publish(key, "large", text, options).await.unwrap();
    }
    let large = client.history(key, "large", HistoryOptions::new()).unwrap().all().await.unwrap();
    let firsts: Vec<u8> = large.iter().map(|message| message.payload[0]).collect();
    assert_eq!(firsts, b"012345");
}

#[tokio::test]
async fn packets_end_at_65536_bytes() {
    let service = Service::start(ONE).await;
    let client = service.connect(0).await;
    let mut big = client.subscribe(&service.key, "big", none()).await.unwrap();
    let most = 65_536 - 2 - 2 - service.key.len() - "/big/".len();
    say(&client, &service.key, "big", &"x".repeat(most)).await;
    assert_eq!(take(&mut big, 1).await[0].len(), most);
    let over = "x".repeat(most + 1);
    let refused = client.publish(&service.key, "big", over, PublishOptions::new()).await;
    assert_eq!(refused.unwrap_err().code(), "message_too_big");
    assert_eq!(client.stats().connects, 1);
}

#[tokio::test]
async fn a_gap_that_is_filled_loses_nothing() {
    let service = Service::start(ONE).await;
    let publisher = service.connect(0).await;
    let proxy = Proxy::tcp(service.node(0).tcp, Faults::default()).await.unwrap();
    let at = Address::new("127.0.0.1").port(proxy.address().unwrap().port()).insecure();
    let client = within(Client::connect(Config::new(at).backoff(hasty()))).await.unwrap();
    let fill = none().fill_gaps(10_000);
    let mut filled = client.subscribe(&service.key, "filled", fill).await.unwrap();
    let mut told = client.subscribe(&service.key, "filled", none()).await.unwrap();
    let stored = || PublishOptions::new().ttl(600);
    let (mut n, mut gaps) = (0, 0);
    for _ in 0..3 {
        proxy.faults().add(Rule::new(Direction::ToClient, At::Now, Action::Reset));
        let before = client.stats().connects;
        while client.stats().connects == before || n % 20 != 0 {
            let text = n.to_string();
            publisher.publish(&service.key, "filled", text, stored()).await.unwrap();
            n += 1;
        }
        publisher.publish(&service.key, "filled", "after", stored()).await.unwrap();
        // The last one of each round comes live, or is fetched.
        while take(&mut filled, 1).await != ["after"] {}
        loop {
            match within(told.next()).await.unwrap() {
                Delivery::Gap(_) => gaps += 1,
                Delivery::Message(message) if message.as_str().unwrap() == "after" => break,
                Delivery::Message(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    // In order and whole, which `take` saw to be without a gap.
    assert_eq!((gaps, client.stats().connects), (3, 4));
    let line = format!(
        "{{\"test\":\"fill_gaps\",\"published\":{n},\"lost\":0,\"gaps\":0,\"cuts\":{}}}",
        proxy.faults().struck()
    );
    let _best_effort = writeln!(std::io::stderr(), "{line}");
}

/// Restarted under load: what is acknowledged was accepted, the order is kept, and what a
/// subscriber misses is behind a gap.
#[tokio::test]
async fn a_restart_under_load_loses_nothing_unsaid() {
    let mut service = Service::start(ONE).await;
    let config = || Config::new(service.address(0)).backoff(hasty());
    let patient = config().request_timeout(Duration::from_secs(60));
    let publisher = within(Client::connect(patient)).await.unwrap();
    let reader = within(Client::connect(config())).await.unwrap();
    // Keys of the sandbox are forgotten with it, but for those it begins with.
    let key = if matches!(service.nodes[0].what, What::Sandbox(..)) { KEY } else { &service.key };
    let key = key.to_owned();
    let mut all = reader.subscribe(&key, "load", none()).await.unwrap();
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let publishing = tokio::spawn({
        let (publisher, key) = (publisher.clone(), key.clone());
        async move {
            let mut n = 0_u64;
            while !*stopped.borrow_and_update() {
                say(&publisher, &key, "load", &n.to_string()).await;
                n += 1;
            }
            say(&publisher, &key, "load", "end").await;
            n
        }
    });
    for _ in 0..3 {
        let (reads, writes) = (reader.stats().connects, publisher.stats().connects);
        service.restart(0).await;
        within(async {
            while reader.stats().connects == reads || publisher.stats().connects == writes {
                tokio::task::yield_now().await;
            }
        })
        .await;
        // Something is delivered on the new connection.
        let before = reader.stats().messages_in;
        within(async {
            while reader.stats().messages_in < before + 50 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    stop.send(true).unwrap();
    let published = within(publishing).await.unwrap();
    let (missed, gaps, twice) = account(&mut all, published).await;
    let _best_effort = writeln!(
        std::io::stderr(),
        "{{\"test\":\"restart under load\",\"published\":{published},\
         \"acknowledged\":{published},\"gaps\":{gaps},\"lost\":0,\"sent_again\":{twice},\
         \"missed behind gaps\":{missed}}}"
    );
    assert!(gaps >= 3, "{gaps}");
}

/// Reads to the end: numbers rise, and where some are missing there is a gap. Returns
/// how many are missing, the gaps, and how many came twice.
async fn account(all: &mut Subscription, published: u64) -> (u64, u64, u64) {
    let (mut seen, mut next, mut gap) = (BTreeSet::new(), 0, false);
    let (mut missed, mut gaps, mut twice) = (0, 0, 0);
    loop {
        match within(all.next()).await.unwrap() {
            Delivery::Gap(_) => (gap, gaps) = (true, gaps + 1),
            Delivery::Message(message) => {
                let text = message.as_str().unwrap();
                let n = if text == "end" { published } else { text.parse().unwrap() };
                if !seen.insert(n) {
                    twice += 1;
                    continue;
                }
                assert!(n >= next, "{n} after {next}");
                assert!(n == next || gap, "{n} after {next} without a gap");
                missed += n - next;
                (next, gap) = (n + 1, false);
                if text == "end" {
                    return (missed, gaps, twice);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn three_nodes_are_one_service() {
    let service = Service::start(Wanted { nodes: 3, ..ONE }).await;
    let key = service.key.as_str();
    let clients = [service.connect(0).await, service.connect(1).await, service.connect(2).await];
    let mut rooms = Vec::new();
    for client in &clients {
        rooms.push(client.subscribe(key, "room", none()).await.unwrap());
    }
    // Subscriptions travel from node to node.
    for (n, client) in clients.iter().enumerate() {
        for (m, room) in rooms.iter_mut().enumerate() {
            let mut tries = 0;
            loop {
                let text = format!("{n} to {m}, {tries}");
                say(client, key, "room", &text).await;
                let got = tokio::time::timeout(Duration::from_millis(500), room.next()).await;
                let Ok(Some(Delivery::Message(message))) = got else {
                    tries += 1;
                    assert!(tries < 40, "node {n} does not reach node {m}");
                    if tries % 4 == 0 {
                        // A node that has just come may have missed who was subscribed.
                        clients[m].unsubscribe(key, "room").await.unwrap();
                        *room = clients[m].subscribe(key, "room", none()).await.unwrap();
                    }
                    continue;
                };
                if message.as_str().unwrap() == text {
                    break;
                }
            }
        }
    }
    // Who comes to one node is told on another.
    let mut watch =
        clients[0].presence_subscribe(key, "crowd", PresenceOptions::new()).await.unwrap();
    let _crowd = clients[2].subscribe(key, "crowd", none()).await.unwrap();
    let id = clients[2].me().await.unwrap().id;
    while watch.members().all(|member| member.id != id) {
        within(watch.next()).await.unwrap().into_message().unwrap();
    }
    // A ban on one node holds on the others.
    let banned = clients[0].keygen(&service.secret, "ban", Permissions::WRITE, 0).await.unwrap();
    say(&clients[1], &banned.key, "ban", "x").await;
    clients[0].keyban(&service.secret, &banned.key, true).await.unwrap();
    within(async {
        let options = PublishOptions::new;
        while clients[1].publish(&banned.key, "ban", "x", options()).await.is_ok() {}
    })
    .await;
    // A client that knows two nodes outlives one of them.
    let config = Config::new(service.address(1)).or(service.address(2)).backoff(hasty());
    let client = within(Client::connect(config)).await.unwrap();
    let mut room = client.subscribe(key, "room", none()).await.unwrap();
    let mut nodes = service.nodes;
    match &nodes[nodes.len().min(2) - 1].what {
        What::Sandbox(broker, _) => assert!(broker.drop_connections() > 0),
        What::Real { .. } => drop(nodes.remove(1)),
    }
    assert!(matches!(within(room.next()).await, Some(Delivery::Gap(_))));
    within(async {
        loop {
            say(&clients[2], key, "room", "alive").await;
            let got = tokio::time::timeout(Duration::from_millis(500), room.next()).await;
            if matches!(got, Ok(Some(Delivery::Message(_)))) {
                return;
            }
        }
    })
    .await;
}
