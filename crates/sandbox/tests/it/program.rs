//! The program `realtime-sandbox`: its command line is a contract.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Child, ChildStdout, Command, Stdio},
};

use serde_json::Value;

/// A child that is ended with its owner.
struct Program(Child, BufReader<ChildStdout>);

impl Drop for Program {
    fn drop(&mut self) {
        let _already_gone = self.0.kill();
        let _status = self.0.wait();
    }
}

impl Program {
    fn start(args: &[&str], stdin: Stdio) -> Self {
        let mut command = Command::new(env!("CARGO_BIN_EXE_realtime-sandbox"));
        command.args(args).stdin(stdin).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut child = command.spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        Self(child, out)
    }

    fn line(&mut self) -> String {
        let mut line = String::new();
        self.1.read_line(&mut line).unwrap();
        line
    }

    fn signal(&self, name: &str) {
        let pid = self.0.id().to_string();
        assert!(Command::new("kill").args(["-s", name, &pid]).status().unwrap().success());
    }
}

/// Asks for a WebSocket; returns how the answer begins.
fn upgrade(address: &str, appkey: &str) -> String {
    let mut stream = TcpStream::connect(address).unwrap();
    let request = format!(
        "GET /v2?appkey={appkey} HTTP/1.1\r\nHost: {address}\r\nConnection: Upgrade\r\n\
         Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
         Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n"
    );
    stream.write_all(request.as_bytes()).unwrap();
    let mut line = [0; 12];
    stream.read_exact(&mut line).unwrap();
    String::from_utf8_lossy(&line).into_owned()
}

#[test]
fn prints_one_line_of_json_and_serves_until_a_signal() {
    for engine in ["ws-core", "tungstenite"] {
        for signal in ["TERM", "INT"] {
            let args = ["--only", "satori-rtm", "--json", "--engine", engine];
            let mut program = Program::start(&args, Stdio::null());
            let line = program.line();
            let all: Value = serde_json::from_str(&line).unwrap();
            assert_eq!(all.as_object().unwrap().len(), 1);
            let rtm = &all["satori-rtm"];
            for key in ["appkey", "role", "role_secret", "restricted_channel"] {
                assert!(rtm[key].as_str().is_some_and(|value| !value.is_empty()), "{key}");
            }
            let address = rtm["url"].as_str().unwrap().strip_prefix("ws://").unwrap();
            let appkey = rtm["appkey"].as_str().unwrap();
            assert_eq!(upgrade(address, appkey), "HTTP/1.1 101");
            assert_eq!(upgrade(address, "wrong"), "HTTP/1.1 403");
            program.signal(signal);
            assert!(program.0.wait().unwrap().success());
            let mut rest = String::new();
            program.1.read_to_string(&mut rest).unwrap();
            assert_eq!(rest, "");
        }
    }
}

/// An HTTP request; returns the whole answer.
fn ask(url: &str, method: &str, path: &str, body: &str) -> String {
    let address = url.split('/').nth(2).unwrap();
    let mut stream = TcpStream::connect(address).unwrap();
    let length = body.len();
    write!(
        stream,
        "{method} {path} HTTP/1.1\r\nHost: {address}\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    answer
}

#[test]
fn high_templar_has_a_backend_that_says_what_it_is_told() {
    let mut program = Program::start(&["--only", "high-templar", "--json"], Stdio::null());
    let all: Value = serde_json::from_str(&program.line()).unwrap();
    let url = |key: &str| all["high-templar"][key].as_str().unwrap().to_owned();
    assert!(url("ws_url").starts_with("ws://") && url("ws_url").ends_with("/ws/"));
    let backend = url("backend_url");
    assert!(ask(&backend, "GET", "/api/bootstrap/", "").contains("allowed_rooms"));
    let state = r#"{"status": 403, "body": {"detail": "no"}}"#;
    assert!(ask(&backend, "POST", "/__state", state).starts_with("HTTP/1.1 200"));
    let said = ask(&backend, "GET", "/api/bootstrap/", "");
    assert!(said.starts_with("HTTP/1.1 403") && said.ends_with(r#"{"detail":"no"}"#), "{said}");
    assert!(ask(&backend, "POST", "/__state", "{").starts_with("HTTP/1.1 400"));
    let trigger = r#"{"rooms": [{"target": "x"}], "data": 1}"#;
    assert!(ask(&url("trigger_url"), "POST", "/trigger/", trigger).ends_with("publish success"));
}

#[test]
fn ends_with_standard_input_if_asked() {
    let args = ["--json", "--exit-on-eof"];
    let mut program = Program::start(&args, Stdio::piped());
    program.line();
    drop(program.0.stdin.take());
    assert!(program.0.wait().unwrap().success());
}

#[test]
fn takes_the_port_that_it_is_given_and_says_when_it_cannot_have_it() {
    let mut first = Program::start(&["--json"], Stdio::null());
    let line = first.line();
    let all: Value = serde_json::from_str(&line).unwrap();
    let url = all["satori-rtm"]["url"].as_str().unwrap().to_owned();
    let port = url.rsplit(':').next().unwrap();
    let taken = format!("satori-rtm={port}");
    let mut second = Program::start(&["--json", "--port", &taken], Stdio::null());
    assert_eq!(second.0.wait().unwrap().code(), Some(1));
    let mut words = String::new();
    second.0.stderr.take().unwrap().read_to_string(&mut words).unwrap();
    assert!(words.contains("--port") && words.lines().count() == 1, "{words}");

    drop(first);
    let mut third = Program::start(&["--json", "--port", &taken], Stdio::null());
    assert!(third.line().contains(&url));
}

#[test]
fn a_wrong_command_line_is_usage() {
    for args in [
        &["--only", "nothing"][..],
        &["--port", "satori-rtm"],
        &["--port", "nothing=1"],
        &["--port", "satori-rtm=99999"],
        &["--engine", "steam"],
        &["--dance"],
    ] {
        let mut program = Program::start(args, Stdio::null());
        assert_eq!(program.0.wait().unwrap().code(), Some(2), "{args:?}");
    }
}
