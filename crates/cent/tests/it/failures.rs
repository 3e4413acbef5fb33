//! Servers that refuse, break off, send elsewhere or say nothing.

use std::{
    collections::BTreeSet,
    sync::atomic::{AtomicUsize, Ordering},
    thread,
    time::Duration,
};

use cent::{Backoff, Client, Config, Error, ErrorKind, Failure, Publish, RequestError};
use serde_json::{Value, json};

use crate::server::{Act, Server, answer, ok};

fn request_error(error: Error) -> RequestError {
    match error {
        Error::Request(error) => error,
        other => panic!("{other:?}"),
    }
}

fn fails(server: &Server, config: fn(&str) -> Config) -> RequestError {
    let client = Client::new(config(&server.address)).unwrap();
    request_error(client.publish("a", &1).unwrap_err())
}

fn v1(address: &str) -> Config {
    Config::v1(address, "secret-of-v1")
}

fn v3(address: &str) -> Config {
    Config::v3(address, "key-of-v3")
}

fn v6(address: &str) -> Config {
    Config::v6(address, "key-of-v6")
}

#[test]
fn a_refused_request_is_told_by_its_status_with_what_is_likely_wrong() {
    for (status, config, failure, hint) in [
        (401, v1 as fn(&str) -> Config, Failure::Unauthorized, "check the secret"),
        (401, v6, Failure::Unauthorized, "check the API key"),
        (404, v1, Failure::Status(404), "whether the server is a v1"),
        (404, v6, Failure::Status(404), "whether the server is v5 or later"),
        (301, v3, Failure::Status(301), "it may be a v1"),
        (413, v6, Failure::Status(413), "a proxy before the server"),
    ] {
        let server = Server::new(move |_| Act::Answer(answer(status, "no")));
        let error = fails(&server, config);
        assert_eq!((error.failure, error.in_doubt, error.body.as_str()), (failure, 0, "no"));
        assert!(error.hint.unwrap().contains(hint), "{:?}", error.hint);
        let told = format!("{error} {error:?}");
        assert!(!told.contains("of-v"), "no key in {told}");
    }
    for status in [500, 502, 503] {
        let server = Server::new(move |_| Act::Answer(answer(status, "")));
        let error = fails(&server, v6);
        assert_eq!((error.failure, error.in_doubt), (Failure::Status(status), 1));
        assert!(Error::Request(error).is_retryable());
    }
}

#[test]
fn the_wrong_generation_is_diagnosed() {
    // A v1 request to a v6 is a 404; a v1 that is asked as a v3 sends us to its
    // own path; some proxies answer whatever there is.
    let server = Server::new(|_| ok(r#"[{"method":"publish","error":null,"body":null}]"#));
    let error = fails(&server, v6);
    assert_eq!((error.failure, error.hint), (Failure::Decode, Some("the server may be a v1")));
    let server = Server::new(|_| ok(r#"{"result":{}}"#));
    let error = fails(&server, v1);
    assert!(error.hint.unwrap().contains("later generation than v1"));
    let server = Server::new(|_| ok("<html><body>Welcome</body></html>"));
    assert!(fails(&server, v6).hint.unwrap().contains("check the address"));
}

#[test]
fn nothing_listens() {
    let client = Client::new(v6("http://127.0.0.1:1")).unwrap();
    let error = client.publish("a", &1).unwrap_err();
    assert_eq!((error.kind(), error.is_retryable()), (ErrorKind::Connect, true));
}

#[test]
fn a_server_that_says_nothing_is_left_at_the_deadline() {
    let server = Server::new(|_| Act::Silence);
    let config = v6(&server.address).timeout(Duration::from_millis(100));
    let error = Client::new(config).unwrap().publish("a", &1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(request_error(error).in_doubt, 1);
}

/// Nobody answers there, and nobody refuses: nothing was sent.
#[test]
fn an_address_that_swallows_everything_leaves_nothing_in_doubt() {
    let (address, _full) = crate::sandbox::runtime().block_on(async {
        let socket = tokio::net::TcpSocket::new_v4().unwrap();
        socket.bind("127.0.0.1:0".parse().unwrap()).unwrap();
        // Room for one that nobody accepts.
        let listener = socket.listen(0).unwrap();
        let address = listener.local_addr().unwrap();
        let first = tokio::net::TcpStream::connect(address).await.unwrap();
        (address, (listener, first))
    });
    let config = || v6(&format!("http://{address}")).timeout(Duration::from_millis(100));
    let client = Client::new(config()).unwrap();
    let error = client.publish("a", &1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Timeout);
    assert_eq!(request_error(error).in_doubt, 0);
    #[cfg(feature = "tokio")]
    {
        let client = cent::AsyncClient::new(config()).unwrap();
        let error = crate::sandbox::runtime().block_on(client.publish("a", &1)).unwrap_err();
        assert_eq!(request_error(error).in_doubt, 0);
    }
}

#[test]
fn how_many_commands_of_a_batch_are_in_doubt_is_said() {
    for (status, config, in_doubt) in [
        (400, v1 as fn(&str) -> Config, 4),
        (400, v3, 4),
        (400, v6, 0),
        (401, v3, 0),
        (500, v6, 5),
        (503, v1, 5),
    ] {
        let server = Server::new(move |_| Act::Answer(answer(status, "")));
        let client = Client::new(config(&server.address)).unwrap();
        let mut batch = client.batch();
        for n in 0..5 {
            let _ticket = batch.add(Publish::new("a", &n)).unwrap();
        }
        assert_eq!(request_error(batch.send().unwrap_err()).in_doubt, in_doubt, "{status}");
    }
}

#[test]
fn a_reply_too_few_or_too_many_is_an_error() {
    for body in ["", "{}", "{}\n{}\n{}"] {
        let server = Server::new(move |_| ok(body));
        let client = Client::new(v3(&server.address)).unwrap();
        let mut batch = client.batch();
        for n in 0..2 {
            let _ticket = batch.add(Publish::new("a", &n)).unwrap();
        }
        let error = request_error(batch.send().unwrap_err());
        assert_eq!((error.failure, error.in_doubt), (Failure::Decode, 2), "{body:?}");
    }
}

/// Each call is answered once; one whose connection was closed is in doubt, and
/// never called delivered.
#[test]
fn many_threads_share_a_client_while_connections_are_closed() {
    static REQUESTS: AtomicUsize = AtomicUsize::new(0);
    let server = Server::new(|asked| {
        if REQUESTS.fetch_add(1, Ordering::Relaxed) % 10 == 9 {
            return Act::End(Vec::new());
        }
        // Each publication's number comes back as its offset.
        let body: Value = serde_json::from_str(&asked.body).unwrap();
        let published = |params: &Value| json!({"offset": params["data"]});
        let answer = match asked.path.as_str() {
            "/api/batch" => {
                let commands = body["commands"].as_array().unwrap().iter();
                let replies =
                    commands.map(|command| json!({"publish": published(&command["publish"])}));
                json!({"replies": replies.collect::<Vec<_>>()})
            }
            _ => json!({"result": published(&body)}),
        };
        ok(&answer.to_string())
    });
    let client = Client::new(v6(&server.address)).unwrap();
    let threads: Vec<_> = (0..64_u64)
        .map(|thread| {
            let client = client.clone();
            thread::spawn(move || {
                let (mut delivered, mut in_doubt) = (Vec::new(), 0);
                for n in 0..20 {
                    let number = thread * 1000 + n;
                    match client.publish("a", &number) {
                        Ok(published) => {
                            assert_eq!(published.offset, Some(number), "its own answer");
                            delivered.push(number);
                        }
                        Err(error) => {
                            assert_eq!(request_error(error).in_doubt, 1);
                            in_doubt += 1;
                        }
                    }
                }
                (delivered, in_doubt)
            })
        })
        .collect();
    let (mut delivered, mut in_doubt) = (BTreeSet::new(), 0);
    for thread in threads {
        let (own, doubted) = thread.join().unwrap();
        delivered.extend(own);
        in_doubt += doubted;
    }
    assert_eq!(delivered.len() + in_doubt, 64 * 20);
    let requests = server.asked().len();
    assert!(in_doubt > 0 && in_doubt < 64 * 20 / 2, "{in_doubt} in doubt of {requests} requests");
    assert!(requests < 64 * 20, "some travelled together: {requests} requests");
}

#[test]
fn only_what_may_be_carried_out_twice_is_sent_again() {
    let quick = Backoff::default().first(Duration::from_millis(2)).max(Duration::from_millis(5));
    let tried =
        |attempts: u32, failures: usize, status: u16, call: fn(&Client) -> Result<(), Error>| {
            let count = AtomicUsize::new(0);
            let server =
                Server::new(move |_| match count.fetch_add(1, Ordering::Relaxed) < failures {
                    true => Act::Answer(answer(status, "")),
                    false => ok(r#"{"result":{}}"#),
                });
            let client = Client::new(v6(&server.address).retry(attempts, quick)).unwrap();
            let outcome = call(&client).map_err(|error| error.code());
            (outcome, server.asked().len())
        };
    let ask = |client: &Client| client.history("a").map(drop);
    let publish = |client: &Client| client.publish("a", &1).map(drop);
    let keyed = |client: &Client| client.call(Publish::new("a", &1).idempotency_key("k")).map(drop);
    assert_eq!(tried(5, 2, 503, ask), (Ok(()), 3));
    assert_eq!(tried(5, 2, 503, keyed), (Ok(()), 3));
    assert_eq!(tried(5, 2, 503, publish), (Err("503".into()), 1), "in doubt");
    assert_eq!(tried(5, 2, 429, publish), (Ok(()), 3), "certainly not carried out");
    assert_eq!(tried(3, 9, 503, ask), (Err("503".into()), 3));
    assert_eq!(tried(5, 2, 401, ask), (Err("unauthorized".into()), 1));
    assert_eq!(tried(5, 2, 400, ask), (Err("400".into()), 1));
    // Refused connections are tried again, too, and end with the deadline.
    let config = v6("http://127.0.0.1:1").retry(1000, quick).timeout(Duration::from_millis(50));
    let error = Client::new(config).unwrap().publish("a", &1).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Connect);
}
