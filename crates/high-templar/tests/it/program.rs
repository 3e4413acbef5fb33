//! The program: its flags, its file, its errors.

use std::{
    io::{BufRead, BufReader, Read, Write},
    net::TcpStream,
    process::{Command, Stdio},
};

const PROGRAM: &str = env!("CARGO_BIN_EXE_high-templar");

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
    let mut program = Command::new(PROGRAM)
        .arg("--config")
        .arg(&path)
        .args(["--listen", "127.0.0.1:0"])
        .env("HT_COMPAT", "3.1")
        .env("HT_LISTEN", "127.0.0.1:2")
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    let mut lines = BufReader::new(program.stderr.take().unwrap()).lines();
    let started: serde_json::Value = serde_json::from_str(&lines.next().unwrap().unwrap()).unwrap();
    std::fs::remove_file(path).unwrap();
    let address = started["fields"]["address"].as_str().unwrap().to_owned();
    let mut stream = TcpStream::connect(&address).unwrap();
    let body = "x".repeat(2000);
    write!(
        stream,
        "POST /trigger/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: 2000\r\n\r\n{body}"
    )
    .unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    assert!(answer.starts_with("HTTP/1.1 413"), "{answer}");
    // Nothing but our own child is ended.
    let ended = Command::new("kill").arg(program.id().to_string()).status().unwrap();
    assert!(ended.success() && program.wait().unwrap().success());
    assert!(lines.last().unwrap().unwrap().contains("ended"));
}
