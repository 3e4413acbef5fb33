//! The program `cent`, by what it prints and returns.

use std::{
    io::Write,
    path::PathBuf,
    process::{Command, Output, Stdio},
};

use crate::server::{Act, Server, answer, ok};

/// A home with a `.centrc` for `server`.
struct Home(PathBuf);

impl Home {
    fn new(name: &str, server: &str, version: &str) -> Self {
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(name);
        std::fs::create_dir_all(&folder).unwrap();
        let text = format!(
            "[bananas]\naddress = {server}\nsecret = s3cr3t-key\n{version}\n[nosecret]\naddress = x\n"
        );
        std::fs::write(folder.join(".centrc"), text).unwrap();
        Self(folder)
    }

    fn cent(&self, args: &[&str], stdin: &str) -> Output {
        let mut child = Command::new(env!("CARGO_BIN_EXE_cent"))
            .args(args)
            .env("HOME", &self.0)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        // A program that does not ask may have ended already.
        let _read = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        child.wait_with_output().unwrap()
    }
}

/// Exit status, stdout, stderr.
fn said(output: &Output) -> (i32, &str, &str) {
    let text = |bytes| std::str::from_utf8(bytes).unwrap();
    (output.status.code().unwrap(), text(&output.stdout), text(&output.stderr))
}

const PARAMS: &str = r#"{"channel":"news","data":{"title":"World Cup 2018"}}"#;

#[test]
fn publishes_what_the_document_publishes() {
    let server = Server::new(|_| ok(r#"[{"method":"publish","error":null,"body":null}]"#));
    let home = Home::new("publishes", &server.address, "timeout = 5");
    let list = "[{\"method\":\"publish\",\"error\":null,\"body\":null}]\n";
    for (args, stdin) in [
        (vec!["bananas", "publish", &format!("--params={PARAMS}")], ""),
        (vec!["bananas", "publish", "--params", PARAMS], "ignored"),
        (vec!["bananas", "publish", "--par", PARAMS], ""),
        (vec!["bananas", "publish"], PARAMS),
        (vec!["bananas", "publish", "--params", "-"], PARAMS),
    ] {
        let output = home.cent(&args, stdin);
        assert_eq!(said(&output), (0, list, ""), "{args:?}");
        let body = format!(r#"[{{"method":"publish","params":{PARAMS}}}]"#);
        assert_eq!(server.asked().last().unwrap().body, body, "{args:?}");
    }
}

#[test]
fn a_command_without_parameters_sends_an_empty_object() {
    let server = Server::new(|_| ok(r#"{"result":{"channels":{"a":{"num_clients":1}}}}"#));
    let home = Home::new("channels", &server.address, "version = 6");
    let output = home.cent(&["bananas", "channels"], "");
    let list = "[{\"method\":\"channels\",\"error\":null,\"body\":{\"channels\":{\"a\":{\"num_clients\":1}}}}]\n";
    assert_eq!(said(&output), (0, list, ""));
    assert_eq!(server.asked()[0].body, "{}");
}

#[test]
fn a_command_that_the_server_refuses_is_printed_and_is_status_3() {
    let server = Server::new(|_| {
        ok(r#"[{"method":"publish","error":"namespace not found","advice":"fix","body":null}]"#)
    });
    let home = Home::new("refused", &server.address, "");
    let output = home.cent(&["bananas", "publish", "--params", PARAMS], "");
    let list = "[{\"method\":\"publish\",\"error\":\"namespace not found\",\"body\":null}]\n";
    assert_eq!(said(&output), (3, list, ""));
    let server = Server::new(|_| ok(r#"{"error":{"code":102,"message":"unknown channel"}}"#));
    let home = Home::new("refused-6", &server.address, "version = 6");
    let output = home.cent(&["bananas", "publish", "--params", PARAMS], "");
    let list = "[{\"method\":\"publish\",\"error\":{\"code\":102,\"message\":\"unknown channel\"},\"body\":null}]\n";
    assert_eq!(said(&output), (3, list, ""));
}

#[test]
fn what_fails_is_told_on_stderr_and_is_status_1() {
    let server = Server::new(|_| Act::Answer(answer(401, "")));
    let home = Home::new("fails", &server.address, "");
    for (args, told) in [
        (vec!["bananas", "publish"], "cent: wrong status code: 401; check the secret\n"),
        (
            vec!["apples", "publish"],
            "cent: Section apples not found in ~/.centrc configuration file\n",
        ),
        (
            vec!["bananas", "publish", "--config", "/no/such/file"],
            "cent: Section bananas not found in /no/such/file configuration file\n",
        ),
        (vec!["nosecret", "publish"], "cent: No option 'secret' in section: 'nosecret'\n"),
        (vec!["bananas", "publish", "--params", "[]"], "cent: params must be dictionary\n"),
        (vec!["bananas", "publish", "--params", "1"], "cent: params must be dictionary\n"),
    ] {
        let output = home.cent(&args, "");
        assert_eq!(said(&output), (1, "", told), "{args:?}");
    }
    let output = home.cent(&["bananas", "publish", "--params", "{"], "");
    let (code, out, told) = said(&output);
    assert!(code == 1 && out.is_empty() && told.starts_with("cent: the parameters are no JSON"));
    let home = Home::new("nobody", "http://127.0.0.1:1", "");
    let output = home.cent(&["bananas", "publish"], "");
    let (code, out, told) = said(&output);
    assert!(code == 1 && out.is_empty() && told.contains("connection to Centrifugo failed"));
    assert_eq!(told.lines().count(), 1, "{told}");
}

#[test]
fn a_wrong_command_line_is_status_2_and_help_shows_how_to_start() {
    let home = Home::new("usage", "http://127.0.0.1:1", "");
    for args in [vec![], vec!["bananas"], vec!["a", "b", "c"], vec!["a", "b", "--nonsense"]] {
        let output = home.cent(&args, "");
        let (code, out, told) = said(&output);
        assert!(code == 2 && out.is_empty() && told.contains("Usage"), "{args:?}: {told}");
    }
    let output = home.cent(&["--help"], "");
    let (code, out, told) = said(&output);
    assert!(code == 0 && told.is_empty() && out.contains("~/.centrc"), "{out}");
    let output = home.cent(&["--completions", "bash"], "");
    let (code, out, _) = said(&output);
    assert!(code == 0 && out.contains("complete -F _cent"), "{out}");
}

/// The example of the document against a server, and what it has left there.
#[test]
fn what_was_published_is_in_the_history() {
    let sandbox = crate::sandbox::start(realtime_sandbox::CentrifugoConfig::default());
    for (version, key) in
        [("1", sandbox.secret()), ("5", sandbox.api_key()), ("6", sandbox.api_key())]
    {
        let version = format!("version = {version}\nkey = {key}\nsecret = {key}");
        let home = Home::new("history", &sandbox.url(), &version);
        let published = home.cent(&["bananas", "publish", &format!("--params={PARAMS}")], "");
        assert_eq!(said(&published).0, 0, "{published:?}");
        let history =
            home.cent(&["bananas", "history", "--params", r#"{"channel":"news","limit":-1}"#], "");
        let (code, list, _) = said(&history);
        assert!(code == 0 && list.contains(r#""data":{"title":"World Cup 2018"}"#), "{list}");
    }
    let home = Home::new(
        "unchecked",
        &sandbox.url(),
        &format!("version = 6\nkey = {}", sandbox.api_key()),
    );
    let output = home.cent(&["bananas", "disconnect"], "");
    let (code, _, error) = said(&output);
    assert!(code == 1 && error.contains("--unchecked"), "{error}");
    assert_eq!(said(&home.cent(&["bananas", "disconnect", "--unchecked"], "")).0, 0);
}
