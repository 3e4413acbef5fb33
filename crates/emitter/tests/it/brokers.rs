//! The brokers of the suite for any service: the sandbox, or the program that
//! `EMITTER_BROKER` names, of which each test starts as many as it needs, on loopback,
//! and ends them.

use std::{
    env,
    io::Write,
    net::{Ipv4Addr, SocketAddr, TcpListener},
    process::{Child, Command, Stdio},
    sync::atomic::{AtomicU32, Ordering::Relaxed},
    time::{Duration, Instant},
};

use emitter::{Address, Client, Config, Permissions, PublishOptions, SubscribeOptions};
use realtime_sandbox::{Authority, EmitterConfig, EmitterServer, Engine};

use crate::support::{KEY, SECRET, pem, settings, within};

/// How a test wants its brokers.
#[derive(Clone, Copy)]
pub(crate) struct Wanted {
    pub(crate) nodes: usize,
    pub(crate) flush_rate: u32,
}

pub(crate) const ONE: Wanted = Wanted { nodes: 1, flush_rate: 1000 };

/// Brokers that belong together.
pub(crate) struct Service {
    pub(crate) nodes: Vec<Node>,
    pub(crate) secret: String,
    /// A key for everything.
    pub(crate) key: String,
    pub(crate) certificate: Vec<u8>,
}

pub(crate) struct Node {
    pub(crate) tcp: SocketAddr,
    pub(crate) tls: u16,
    pub(crate) what: What,
}

pub(crate) enum What {
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
    pub(crate) async fn start(wanted: Wanted) -> Self {
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
        let none = SubscribeOptions::new().last(0);
        let mut joined = client.subscribe(&self.key, "joined", none).await.unwrap();
        within(async {
            loop {
                let options = PublishOptions::new();
                first.publish(&self.key, "joined", "?", options).await.unwrap();
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
    pub(crate) fn node(&self, n: usize) -> &Node {
        self.nodes.get(n).unwrap_or(&self.nodes[0])
    }

    pub(crate) fn address(&self, n: usize) -> Address {
        Address::new("127.0.0.1").port(self.node(n).tcp.port()).insecure()
    }

    pub(crate) async fn connect(&self, n: usize) -> Client {
        within(Client::connect(Config::new(self.address(n)))).await.unwrap()
    }

    /// All that a broker knows is gone.
    pub(crate) async fn restart(&mut self, n: usize) {
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
