//! What is refused before anything is sent, and answers that are not believed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cent::{
    Backoff, Broadcast, Client, Config, Error, Failure, HistoryRemove, Incoming, Outgoing,
    Override, Publish, Subscribe, Transport,
};
use serde_json::json;

/// Answers every request alike, and counts them.
#[derive(Clone, Default)]
struct Fixed(u16, &'static str, Arc<AtomicUsize>);

impl Fixed {
    fn new(status: u16, body: &'static str) -> Self {
        Self(status, body, Arc::default())
    }

    fn requests(&self) -> usize {
        self.2.load(Ordering::Relaxed)
    }

    fn client(&self, config: Config) -> Client {
        Client::with_transport(config, self.clone()).unwrap()
    }
}

impl Transport for Fixed {
    fn send(&self, request: Outgoing<'_>) -> Result<Incoming, Error> {
        assert!(!format!("{request:?}").contains("the-key"), "a key in the debug output");
        self.2.fetch_add(1, Ordering::Relaxed);
        let mut incoming = Incoming::default();
        (incoming.status, incoming.body) = (self.0, self.1.into());
        Ok(incoming)
    }
}

fn v6() -> Config {
    Config::v6("http://h", "the-key")
}

fn misuse(result: Result<impl std::fmt::Debug, Error>) -> &'static str {
    match result {
        Err(Error::Misuse { code, .. }) => code,
        other => panic!("{other:?}"),
    }
}

#[test]
fn the_buffer_refuses_what_servers_do_badly_with_unless_told() {
    let server = Fixed::new(200, "{}");
    let client = server.client(v6());
    for (method, params, code) in [
        ("batch", json!({"commands": [null], "parallel": true}), "method"),
        ("BATCH", json!({}), "method"),
        ("disconnect", json!({}), "user"),
        ("Disconnect", json!({"user": ""}), "user"),
        ("refresh", json!({"user": null, "expired": true}), "user"),
        ("publish", json!({"channel": "a", "b64data": "bm90IGpzb24="}), "poison"),
        ("broadcast", json!({"channels": ["a"], "B64Data": "bm90IGpzb24="}), "poison"),
    ] {
        assert_eq!(misuse(client.add(method, &params)), code, "{method} {params}");
    }
    client.add("disconnect", &json!({"User": "42"})).unwrap();
    client.add("publish", &json!({"channel": "a", "b64data": "eyJuIjoxfQ=="})).unwrap();
    client.reset();
    assert!(client.send().unwrap().is_empty());
    client.add_unchecked("disconnect", &json!({})).unwrap();
    assert_eq!(misuse(client.add_unchecked("batch", &json!({}))), "method");
    // Before 3.2 the servers refuse it themselves.
    server.client(Config::v1("http://h", "s")).add("disconnect", &json!({})).unwrap();
    assert_eq!(server.requests(), 0);
}

#[test]
fn options_of_a_channel_are_guarded_one_by_one() {
    let server = Fixed::new(200, "{}");
    let subscribe = |o: &[Override]| Subscribe::new("42", "a").overrides(o);
    let v3 = server.client(Config::v3("http://h", "k"));
    let Err(Error::Unsupported(what)) = v3.call(subscribe(&[Override::ForceRecovery(true)])) else {
        panic!("taken")
    };
    assert_eq!(what.field, "override.force_recovery");
    v3.call(subscribe(&[Override::Recover(true), Override::Presence(false)])).unwrap();
    let v4 = server.client(Config::v4("http://h", "k"));
    assert!(v4.call(subscribe(&[Override::Position(true)])).is_err());
    v4.call(subscribe(&[Override::JoinLeave(true), Override::ForcePositioning(true)])).unwrap();
    let relaxed = server.client(Config::v4("http://h", "k").relaxed());
    relaxed.call(subscribe(&[Override::Position(true)])).unwrap();
    assert_eq!(server.requests(), 3);
}

#[test]
fn a_ticket_is_good_for_its_own_batch_only() {
    let server = Fixed::new(200, r#"{"replies":[{"publish":{}},{"publish":{}}]}"#);
    let client = server.client(v6());
    let (mut one, mut two) = (client.batch(), client.batch());
    let ticket = one.add(Publish::new("a", &1)).unwrap();
    for _ in 0..2 {
        let _other = two.add(Publish::new("b", &1)).unwrap();
    }
    let replies = two.send().unwrap();
    assert_eq!(misuse(replies.take(ticket)), "ticket");
}

#[test]
fn an_answer_that_is_somebody_elses_is_no_success() {
    for (body, config) in [
        (r#"{"status":"ok"}"#, v6()),
        ("[]", v6()),
        ("[]", Config::v4("http://h", "k")),
        (r#"{"ok":true}"#, Config::v4("http://h", "k")),
        ("[{}]", Config::v1("http://h", "s")),
        ("[[null]]", Config::v1("http://h", "s")),
        (r#"{"error":null,"body":null}"#, Config::v1("http://h", "s")),
    ] {
        let error = Fixed::new(200, body).client(config).publish("a", &1).unwrap_err();
        assert!(
            matches!(&error, Error::Request(e) if e.failure == Failure::Decode && e.in_doubt == 1),
            "{body}: {error:?}"
        );
    }
    // One outcome for two channels.
    let body = r#"{"result":{"responses":[{"result":{}}]}}"#;
    let error = Fixed::new(200, body).client(v6()).broadcast(&["a", "b"], &1).unwrap_err();
    assert_eq!(error.code(), "decode");
    // A reply of another method.
    let client = Fixed::new(200, r#"{"replies":[{"info":{}},{"publish":{}}]}"#).client(v6());
    let mut batch = client.batch();
    for _ in 0..2 {
        let _ticket = batch.add(Publish::new("a", &1)).unwrap();
    }
    assert_eq!(batch.send().unwrap_err().code(), "decode");
    // Nobody to tell that nobody was meant.
    let answer = r#"[{"method":"broadcast","error":"invalid message","body":null}]"#;
    let client = Fixed::new(200, answer).client(Config::v1("http://h", "s"));
    assert_eq!(client.call(Broadcast::new(&[], &1)).unwrap_err().code(), "107");
}

#[test]
fn nothing_is_made_again_that_would_be_done_twice() {
    let often = || Backoff::default().first(Duration::from_millis(1)).max(Duration::from_millis(2));
    let asked = |config: Config, call: &dyn Fn(&Client)| {
        let server = Fixed::new(500, "");
        call(&server.client(config.retry(3, often())));
        server.requests()
    };
    let keyed = |client: &Client| {
        client.call(Publish::new("a", &1).idempotency_key("k")).unwrap_err();
    };
    assert_eq!(asked(v6(), &keyed), 3);
    // The field is dropped, and the server would not know the repetition.
    assert_eq!(asked(Config::v4("http://h", "k").relaxed(), &keyed), 1);
    let empty = |client: &Client| {
        client.call(Publish::new("a", &1).idempotency_key("")).unwrap_err();
    };
    assert_eq!(asked(v6(), &empty), 1);
    let remove = |client: &Client| {
        client.call(HistoryRemove::new("a")).unwrap_err();
    };
    assert_eq!(asked(v6(), &remove), 1);
}

#[test]
fn addresses_and_credentials_are_checked_at_the_start() {
    for (config, option) in [
        (Config::v6("http://h:80000", "k"), "address"),
        (Config::v6("http://h:x", "k"), "address"),
        (Config::v6("http://h\n", "k"), "address"),
        (Config::v6("http://h\\x", "k"), "address"),
        (Config::v6("http://h", "k k"), "key"),
        (Config::v1("http://h", ""), "secret"),
        (Config::v0("http://h", "a/b", "s"), "project"),
        (Config::v0("http://h", "", "s"), "project"),
    ] {
        let refused = Client::with_transport(config, Fixed::default());
        let Err(Error::Config { option: found, .. }) = refused else { panic!("taken: {option}") };
        assert_eq!(found, option);
    }
    for good in ["http://[::1]:8000", "http://[::1]", "https://h:443/x/api//"] {
        Client::with_transport(Config::v6(good, "k"), Fixed::default()).unwrap();
    }
}
