//! The program `rtm`, by what it prints and returns (docs/protocols/satori-rtm.md, 17).

use std::{
    io::{BufRead, BufReader, Write},
    path::PathBuf,
    process::{Child, ChildStdout, Command, Output, Stdio},
    time::Instant,
};

use realtime_sandbox::{Engine, RtmConfig, RtmServer};
use serde_json::{Value, json};

/// A server that listens, and a folder of its own.
struct Stage {
    server: RtmServer,
    folder: PathBuf,
    _runtime: tokio::runtime::Runtime,
}

impl Stage {
    fn new(name: &str) -> Self {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(1)
            .enable_all()
            .build()
            .unwrap();
        let server = RtmServer::new(RtmConfig::default(), Engine::WsCore);
        runtime.block_on(server.listen(0)).unwrap();
        let folder = PathBuf::from(env!("CARGO_TARGET_TMPDIR")).join(format!("rtm-{name}"));
        std::fs::create_dir_all(&folder).unwrap();
        Self { server, folder, _runtime: runtime }
    }

    fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_rtm"));
        command
            .args(args)
            .env_clear()
            .env("XDG_CONFIG_HOME", &self.folder)
            .env("SATORI_ENDPOINT", self.server.url())
            .env("SATORI_APPKEY", self.server.appkey())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped());
        command
    }

    fn run(&self, args: &[&str], stdin: &str) -> Said {
        Said::of(self.command(args), stdin)
    }

    /// Starts what runs until it is interrupted, and waits until it is subscribed.
    fn follow(&self, args: &[&str], subscribed: usize) -> Running {
        let mut child = self.command(args).stderr(Stdio::null()).spawn().unwrap();
        let out = BufReader::new(child.stdout.take().unwrap());
        let sent = realtime_sandbox::What::Sent("rtm/subscribe/ok".into());
        let end = Instant::now() + std::time::Duration::from_secs(30);
        while self.server.log().count(|what| *what == sent) < subscribed {
            assert!(Instant::now() < end, "{args:?} does not subscribe");
            std::thread::yield_now();
        }
        Running { child, out }
    }

    fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }
}

/// Exit status and words.
#[derive(Debug)]
struct Said {
    code: i32,
    out: String,
    err: String,
}

impl Said {
    fn of(mut command: Command, stdin: &str) -> Self {
        let mut child = command.spawn().unwrap();
        // A program that does not ask may have ended already.
        let _read = child.stdin.take().unwrap().write_all(stdin.as_bytes());
        let Output { status, stdout, stderr } = child.wait_with_output().unwrap();
        let text = |bytes| String::from_utf8(bytes).unwrap();
        Self { code: status.code().unwrap(), out: text(stdout), err: text(stderr) }
    }
}

struct Running {
    child: Child,
    out: BufReader<ChildStdout>,
}

impl Running {
    fn line(&mut self) -> String {
        let mut line = String::new();
        self.out.read_line(&mut line).unwrap();
        line.trim_end().to_owned()
    }

    /// Interrupts it as C-c does.
    fn interrupt(mut self) -> i32 {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-INT", &pid]).status().unwrap().success());
        self.child.wait().unwrap().code().unwrap()
    }
}

#[test]
fn lines_are_published_as_json_or_as_texts_and_printed_by_a_subscriber() {
    let stage = Stage::new("publish");
    let mut subscriber = stage.follow(&["subscribe", "zebras", "lions"], 2);
    let banner = "Sending input to zebras, press C-d or C-c to stop\n";
    let said = stage.run(&["publish", "zebras"], "{\"a\": [1, null]}\nplain text  \n\"é\"\n2.5");
    assert_eq!((said.code, said.out.as_str()), (0, banner), "{}", said.err);
    let said = stage.run(&["publish", "--disable_acks", "lions"], "roar\n");
    assert_eq!(said.code, 0, "{}", said.err);
    let lines: Vec<String> = (0..5).map(|_| subscriber.line()).collect();
    let expected = [
        "zebras: {\"a\":[1,null]}",
        "zebras: \"plain text\"",
        "zebras: \"é\"",
        "zebras: 2.5",
        "lions: \"roar\"",
    ];
    assert_eq!(lines, expected);
    assert_eq!(subscriber.interrupt(), 0);
}

#[test]
fn a_view_and_the_form_for_programs() {
    let stage = Stage::new("view");
    let query = "select who from zebras where age > 3";
    let mut view = stage.follow(&["view", query], 1);
    let mut json = stage.follow(&["--json", "subscribe", "zebras"], 2);
    stage.run(&["publish", "zebras"], "{\"who\":\"a\",\"age\":3}\n{\"who\":\"b\",\"age\":4}\n");
    assert_eq!(view.line(), "{\"who\":\"b\"}");
    let first: Value = serde_json::from_str(&json.line()).unwrap();
    assert_eq!(first, json!({"subscription": "zebras", "message": {"who": "a", "age": 3}}));
    assert_eq!((view.interrupt(), json.interrupt()), (0, 0));
    let said = stage.run(&["view", "select nonsense"], "");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("invalid_filter"), "{}", said.err);
}

#[test]
fn values_are_written_read_and_deleted() {
    let stage = Stage::new("values");
    for protocol in ["json", "cbor"] {
        let run = |args: &[&str]| {
            let said = stage.run(&[&["--protocol", protocol], args].concat(), "");
            assert_eq!(said.code, 0, "{args:?}: {}", said.err);
            said.out
        };
        assert_eq!(run(&["write", "k", "v1"]), "");
        assert_eq!(run(&["read", "k"]), "\"v1\"\n");
        assert_eq!(run(&["delete", "k"]), "");
        assert_eq!(run(&["read", "k"]), "null\n");
        assert_eq!(run(&["write", "-q", "k", "{\"v\":3}"]), "");
        assert_eq!(run(&["read", "--prettify_json", "k"]), "{\n  \"v\": 3\n}\n");
        run(&["delete", "k"]);
    }
}

#[test]
fn a_wrong_secret_or_appkey_is_told_and_never_the_secret() {
    let stage = Stage::new("secrets");
    let role = stage.server.role().to_owned();
    let said = stage.run(&["-n", &role, "-s", "hunter2", "read", "k"], "");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("authentication_failed"), "{}", said.err);
    assert!(!said.err.contains("hunter2"), "{}", said.err);
    let mut command = stage.command(&["-v", "3", "read", "restricted"]);
    let secret = stage.server.role_secret();
    command.env("SATORI_ROLE_NAME", &role).env("SATORI_ROLE_SECRET", secret);
    let said = Said::of(command, "");
    assert_eq!((said.code, said.out.as_str()), (0, "null\n"), "{}", said.err);
    assert!(said.err.contains("From environment: role_name = tester"), "{}", said.err);
    assert!(!said.err.contains(secret), "{}", said.err);
    let said = stage.run(&["-a", "wrong", "read", "k"], "");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("403") && said.err.contains("check the appkey"), "{}", said.err);
    let said = stage.run(&["read", "restricted"], "");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("authorization_denied"), "{}", said.err);
}

#[test]
fn options_come_from_a_file_the_environment_and_the_command_line() {
    let stage = Stage::new("config");
    let (url, appkey) = (stage.server.url(), stage.server.appkey().to_owned());
    let (role, secret) = (stage.server.role(), stage.server.role_secret());
    let toml = stage.file(
        "rtm.toml",
        &format!("endpoint = \"{url}\"\nappkey = \"{appkey}\"\nrole_name = \"{role}\"\nrole_secret = \"{secret}\"\n"),
    );
    let credentials = stage.file(
        "credentials.json",
        &json!({"endpoint": url, "appkey": appkey, "auth_role_name": role, "auth_role_secret_key": secret, "auth_restricted_channel": "restricted"})
            .to_string(),
    );
    for file in [&toml, &credentials] {
        let mut command = stage.command(&["--config", file, "read", "restricted"]);
        command.env_remove("SATORI_ENDPOINT").env_remove("SATORI_APPKEY");
        let said = Said::of(command, "");
        assert_eq!((said.code, said.out.as_str()), (0, "null\n"), "{}", said.err);
        assert!(said.err.contains("From config file: role_name = tester"), "{}", said.err);
        assert!(!said.err.contains(secret), "{}", said.err);
        // The environment goes before the file, the command line before both.
        let mut command = stage.command(&["--config", file, "read", "k"]);
        assert_eq!(
            Said::of(
                {
                    command.env("SATORI_APPKEY", "wrong");
                    command
                },
                ""
            )
            .code,
            1
        );
        let mut command = stage.command(&["--config", file, "-a", &appkey, "read", "k"]);
        assert_eq!(
            Said::of(
                {
                    command.env("SATORI_APPKEY", "wrong");
                    command
                },
                ""
            )
            .code,
            0
        );
    }
    let broken = stage.file("broken.toml", "endpoint = \"x\"\nrole_secret = hunter2\n");
    for (args, code, words) in [
        (vec!["--config", "/no/such/file", "read", "k"], 1, "/no/such/file"),
        (vec!["--config", &broken, "read", "k"], 1, "line 2 is neither TOML nor JSON"),
        (vec!["--verbosity", "4", "read", "k"], 1, "--verbosity takes 0, 1, 2 or 3"),
        (vec!["--delivery", "never", "read", "k"], 1, "--delivery takes simple"),
        (vec!["--protocol", "xml", "read", "k"], 1, "--protocol takes json or cbor"),
        (vec!["replay", "--rate", "fast"], 1, "--rate takes 2x"),
        (vec!["replay", "--loop", "2"], 2, "--input-file"),
        (vec!["dance"], 2, "dance"),
    ] {
        let said = stage.run(&args, "");
        assert_eq!(said.code, code, "{args:?} {said:?}");
        assert!(said.err.contains(words) && !said.err.contains("hunter2"), "{args:?} {}", said.err);
    }
    for (variable, words) in
        [("SATORI_APPKEY", "Missing --appkey"), ("SATORI_ENDPOINT", "Missing --endpoint")]
    {
        let mut command = stage.command(&["read", "k"]);
        command.env_remove(variable);
        let said = Said::of(command, "");
        assert_eq!(said.code, 1);
        assert!(said.err.contains(words), "{}", said.err);
    }
}

#[test]
fn what_was_recorded_is_replayed_at_its_pace() {
    let stage = Stage::new("record");
    let file = stage.folder.join("zebras.rec").to_str().unwrap().to_owned();
    let args = ["record", "--output_file", &file, "--message_count_limit", "4", "zebras"];
    let mut recorder = stage.follow(&args, 1);
    stage.run(&["publish", "zebras"], "1\n2\n3\n4\n5\n");
    assert_eq!(recorder.child.wait().unwrap().code(), Some(0));
    let recorded = std::fs::read_to_string(&file).unwrap();
    let lines: Vec<Value> = recorded.lines().map(|l| serde_json::from_str(l).unwrap()).collect();
    let messages = |line: &Value| line["messages"].as_array().unwrap().clone();
    assert_eq!(lines.iter().flat_map(messages).collect::<Vec<_>>(), [1, 2, 3, 4]);
    assert!(lines.iter().all(|l| l["timestamp"].is_f64() && l["subscription_id"] == "zebras"));

    // Two seconds of a recording, one at twice the pace.
    let line = |at: f64, n: u64| json!({"messages": [n], "position": null, "subscription_id": "zebras", "timestamp": at});
    let text = format!("{}\nno line\n{}\n\n{}\n", line(5.0, 1), line(6.0, 2), line(7.0, 3));
    let slow = stage.file("slow.rec", &text);
    let mut subscriber = stage.follow(&["subscribe", "lions"], 2);
    let start = Instant::now();
    let said = stage.run(&["replay", "-i", &slow, "-r", "2x", "--override_channel", "lions"], "");
    let took = start.elapsed().as_secs_f64();
    assert_eq!(said.code, 0, "{}", said.err);
    assert!(took >= 1.0, "{took}");
    assert!(said.err.contains("line 2 is skipped") && said.err.contains("3 messages in"));
    let args = ["replay", "-i", &slow, "-l", "2", "-r", "unlimited", "--override_channel", "lions"];
    assert_eq!(stage.run(&args, "").code, 0);
    let got: Vec<String> = (0..9).map(|_| subscriber.line()).collect();
    let expected: Vec<String> = [1, 2, 3].repeat(3).iter().map(|n| format!("lions: {n}")).collect();
    assert_eq!(got, expected);
    assert_eq!(subscriber.interrupt(), 0);
}

#[test]
fn a_failure_is_told_with_counts_and_leaves_an_earlier_recording_alone() {
    let stage = Stage::new("failures");
    let said = stage.run(&["publish", "restricted"], "1\n2\n3\n");
    assert_eq!(said.code, 1);
    assert!(said.err.contains("messages failed: ") && said.err.contains("authorization_denied"));
    let kept = stage.file("kept.rec", "what was there");
    let said = stage.run(&["record", "-o", &kept, "restricted"], "");
    assert_eq!(
        (said.code, std::fs::read_to_string(&kept).unwrap().as_str()),
        (1, "what was there")
    );
    let said = stage.run(&["--json", "subscribe", "restricted"], "");
    assert_eq!(said.code, 1);
    let end: Value = serde_json::from_str(said.out.trim()).unwrap();
    assert_eq!(
        (&end["subscription"], &end["end"]["code"]),
        (&json!("restricted"), &json!("authorization_denied"))
    );
    // A password in an address is no word for a terminal.
    let url = stage.server.url().replace("://", "://me:hunter2@");
    let said = stage.run(&["-e", &url, "read", "k"], "");
    assert!(!said.err.contains("hunter2"), "{}", said.err);
}

#[test]
fn an_interrupt_ends_a_program_that_does_not_come_to_its_service() {
    // A listener that takes nobody in.
    let deaf = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let stage = Stage::new("interrupt");
    let mut command = stage.command(&["subscribe", "c"]);
    command.env("SATORI_ENDPOINT", format!("ws://{}", deaf.local_addr().unwrap()));
    let mut child = command.spawn().unwrap();
    let _connection = deaf.accept().unwrap();
    let out = BufReader::new(child.stdout.take().unwrap());
    assert_eq!(Running { child, out }.interrupt(), 0);
}

#[test]
fn help_says_what_there_is() {
    let stage = Stage::new("help");
    let said = stage.run(&["--help"], "");
    assert_eq!(said.code, 0);
    for word in [
        "publish",
        "subscribe",
        "view",
        "read",
        "write",
        "delete",
        "record",
        "replay",
        "Exit status",
        "SATORI_APPKEY",
    ] {
        assert!(said.out.contains(word), "{word} in {}", said.out);
    }
}
