//! The program: its flags, its file, its errors.

use std::{
    io::{BufRead, BufReader, Lines, Read, Write},
    net::TcpStream,
    process::{Child, ChildStderr, Command, Stdio},
};

use high_templar::{Room, Trigger};
use high_templar_client::{Client, Config, Publisher, PublisherConfig, Subscribe};
use realtime_sandbox::{Engine, HighTemplarConfig, HighTemplarServer};

use crate::support::within;

const PROGRAM: &str = env!("CARGO_BIN_EXE_high-templar");

/// The program, which is ended when this is dropped.
pub(crate) struct Program {
    child: Child,
    lines: Lines<BufReader<ChildStderr>>,
    /// Where it listens.
    pub(crate) address: String,
}

impl Program {
    /// Starts it on a free port.
    pub(crate) fn start(args: &[&str]) -> Self {
        Self::run(Command::new(PROGRAM).args(["--listen", "127.0.0.1:0"]).args(args))
    }

    fn run(command: &mut Command) -> Self {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut lines = BufReader::new(child.stderr.take().unwrap()).lines();
        let first = lines.next().unwrap().unwrap();
        let started: serde_json::Value = serde_json::from_str(&first).unwrap();
        let address = started["fields"]["address"].as_str().unwrap().to_owned();
        Self { child, lines, address }
    }

    /// The most memory that it had, in bytes, where that can be known.
    pub(crate) fn peak(&self) -> Option<usize> {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.child.id())).ok()?;
        let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
        let kib: usize = line.split_whitespace().nth(1)?.parse().ok()?;
        Some(kib << 10)
    }

    /// Its counters, from its page.
    pub(crate) fn status(&self) -> serde_json::Value {
        let mut stream = TcpStream::connect(&self.address).unwrap();
        write!(stream, "GET /status HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n").unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).unwrap();
        serde_json::from_str(answer.split_once("\r\n\r\n").unwrap().1).unwrap()
    }

    /// Tells it to end, and returns the last line of its log.
    fn ends(mut self) -> String {
        // Nothing but our own child is ended.
        let ended = Command::new("kill").arg(self.child.id().to_string()).status().unwrap();
        assert!(ended.success() && self.child.wait().unwrap().success());
        self.lines.by_ref().last().unwrap().unwrap()
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

fn fails(args: &[&str], told: &str) {
    let output = Command::new(PROGRAM).args(args).env_clear().output().unwrap();
    let text = String::from_utf8(output.stderr).unwrap();
    assert_eq!(output.status.code(), Some(1), "{args:?}: {text}");
    assert!(text.contains(told), "{args:?}: {text}");
}

#[test]
fn what_cannot_be_used_is_named() {
    fails(&[], "api_url is missing");
    let url = ["--api-url", "http://localhost/api/"];
    let with = |more: &[&'static str]| [&url, more].concat();
    fails(&["--api-url", "http://localhost/api"], "ends in a slash");
    fails(&with(&["--compat", "2"]), "compat: \"2\"");
    fails(&with(&["--overflow", "x"]), "overflow: \"x\"");
    fails(&with(&["--idle-timeout=-1"]), "idle_timeout");
    fails(&with(&["--max-room", "1"]), "max_room: takes 1 KiB");
    fails(&with(&["--forward", "X"]), "forward: \"X\"");
    fails(&with(&["--listen", "256.0.0.1:1"]), "listen: 256.0.0.1:1 cannot be had");
    fails(&with(&["--config", "/nowhere.toml"]), "/nowhere.toml cannot be read");
    fails(&with(&["--log", "loud"]), "log: \"loud\"");
}

#[test]
fn helps() {
    let output = Command::new(PROGRAM).arg("--help").output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    for flag in ["--config", "--api-url", "HT_API_URL", "--compat", "--idle-timeout", "--grace"] {
        assert!(text.contains(flag), "{text}");
    }
}

/// A flag wins over the environment, that over the file.
#[test]
fn runs_by_file_environment_and_flags_until_it_is_told_to_end() {
    let path = std::env::temp_dir().join(format!("high-templar-{}.toml", std::process::id()));
    let file = "listen = \"127.0.0.1:1\"\napi_url = \"http://127.0.0.1:1/api/\"\n\
                grace = 0.0\ncompat = \"x\"\nmax_trigger = 1024\n";
    std::fs::write(&path, file).unwrap();
    let program = Program::run(
        Command::new(PROGRAM)
            .arg("--config")
            .arg(&path)
            .args(["--listen", "127.0.0.1:0"])
            .env("HT_COMPAT", "3.1")
            .env("HT_LISTEN", "127.0.0.1:2"),
    );
    std::fs::remove_file(path).unwrap();
    let mut stream = TcpStream::connect(&program.address).unwrap();
    let body = "x".repeat(2000);
    write!(
        stream,
        "POST /trigger/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2000\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    assert!(program.ends().contains("ended"));
}

/// Clients by `wss://`, publishers by `https://`, with files as a deployment has them.
#[tokio::test(flavor = "multi_thread")]
async fn serves_tls() {
    let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).unwrap();
    let folder = std::env::temp_dir().join(format!("high-templar-tls-{}", std::process::id()));
    std::fs::create_dir_all(&folder).unwrap();
    let (certificate, key) = (folder.join("certificate.pem"), folder.join("key.pem"));
    std::fs::write(&certificate, made.cert.pem()).unwrap();
    std::fs::write(&key, made.signing_key.serialize_pem()).unwrap();
    let sandbox = HighTemplarServer::new(HighTemplarConfig::default(), Engine::WsCore).unwrap();
    sandbox.listen(0).await.unwrap();
    let path = |path: &std::path::Path| path.to_str().unwrap().to_owned();
    let (certificate, key) = (path(&certificate), path(&key));
    let backend = sandbox.backend_url();
    let files = ["--tls-certificate", &certificate, "--tls-key", &key, "--api-url", &backend];
    let program = Program::start(&files);
    std::fs::remove_dir_all(&folder).unwrap();
    let port = program.address.rsplit(':').next().unwrap().to_owned();
    let der = made.cert.der().to_vec();

    let config = Config::new(format!("wss://localhost:{port}"));
    let client = Client::connect(config.tls_root(der.clone())).await.unwrap();
    let room = Room::new().with("target", "message");
    let mut messages = client.subscribe(room.clone(), Subscribe::new()).await.unwrap();
    let publisher = PublisherConfig::new(format!("https://localhost:{port}")).tls_root(der);
    let trigger = Trigger::new([room], "over TLS").unwrap();
    Publisher::new(publisher).unwrap().trigger(&trigger).await.unwrap();
    let message = within(messages.next()).await.unwrap().into_message().unwrap();
    assert_eq!(message.json(), r#""over TLS""#);
    Client::connect(Config::new(format!("ws://localhost:{port}"))).await.unwrap_err();
}
