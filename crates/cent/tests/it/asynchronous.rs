//! The async client, on the sandbox and on scripted servers.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use cent::{
    AsyncClient, Backoff, Client, Config, Error, Failure, History, Presence, Publish, RequestError,
};
use realtime_sandbox::{Authority, CentrifugoConfig, CentrifugoServer, Engine, What};

use crate::{
    sandbox::runtime,
    server::{Act, Server, answer, ok},
};

async fn start(config: CentrifugoConfig) -> CentrifugoServer {
    let server = CentrifugoServer::new(config, Engine::WsCore);
    server.listen(0).await.unwrap();
    server
}

fn request_error<T: std::fmt::Debug>(result: Result<T, Error>) -> RequestError {
    match result {
        Err(Error::Request(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn makes_the_calls_of_the_blocking_client_on_every_version() {
    for version in [(0, 8), (1, 8), (2, 4), (3, 2), (4, 1), (5, 4), (6, 1)] {
        let server = start(CentrifugoConfig::default().version(version.0, version.1)).await;
        let (url, key) = (server.url(), server.api_key());
        let config = match version.0 {
            0 => Config::v0(url, server.project(), server.secret()),
            1 => Config::v1(url, server.secret()),
            2 => Config::v2(url, key),
            3 => Config::v3(url, key),
            4 => Config::v4(url, key),
            5 => Config::v5(url, key),
            _ => Config::v6(url, key),
        };
        let client = AsyncClient::new(config.timeout(Duration::from_secs(10))).unwrap();
        for n in 1..=3 {
            client.publish("a", &n).await.unwrap();
        }
        let kept = client.history("a").await.unwrap().publications;
        let data: Vec<&str> = kept.iter().map(|p| p.data.as_ref().unwrap().get()).collect();
        assert_eq!(data, ["1", "2", "3"]);
        assert!(client.presence("a").await.unwrap().is_empty());
        client.unsubscribe("42").await.unwrap();
        client.disconnect("42").await.unwrap();
        let mut batch = client.batch();
        let good = batch.add(Publish::new("b", &1)).unwrap();
        let bad = batch.add(Publish::new("nope:x", &1)).unwrap();
        let who = batch.add(Presence::new("b")).unwrap();
        let replies = batch.send().await.unwrap();
        replies.take(good).unwrap();
        assert_eq!(replies.take(bad).unwrap_err().code(), "102");
        assert!(replies.take(who).unwrap().is_empty());
        assert!(client.batch().send().await.unwrap().is_empty());
        if version.0 > 0 {
            assert_eq!(client.info().await.unwrap().len(), 1);
            assert!(client.channels().await.unwrap().is_empty());
            assert_eq!(client.broadcast(&["a", "b"], &1).await.unwrap().len(), 2);
        }
    }
}

#[tokio::test]
async fn calls_that_wait_travel_together_and_each_has_its_answer() {
    let server = start(CentrifugoConfig::default()).await;
    let client = AsyncClient::new(Config::v6(server.url(), server.api_key())).unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for n in 0..1000 {
        let client = client.clone();
        calls.spawn(async move {
            let channel = format!("c{n}");
            let published = client.publish(&channel, &n).await.unwrap();
            assert_eq!(published.offset, Some(1));
            let kept = client.call(History::new(&channel)).await.unwrap();
            assert_eq!(kept.publications[0].data.as_ref().unwrap().get(), n.to_string());
        });
    }
    while let Some(done) = calls.join_next().await {
        done.unwrap();
    }
    let batches = server.log().count(|what| *what == What::Received("/api/batch".into()));
    let alone = server.log().count(|what| *what == What::Received("/api/publish".into()));
    assert!(batches + alone < 100, "{batches} batches, {alone} alone");
}

#[tokio::test]
async fn a_call_that_is_dropped_while_it_waits_is_not_sent() {
    // Two requests are on their way at a time.
    let held = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&held);
    let server = Server::new(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 | 1 => Act::Silence,
        _ => ok(r#"{"result":{}}"#),
    });
    let config = Config::v6(&*server.address, "k").timeout(Duration::from_millis(300));
    let client = AsyncClient::new(config).unwrap();
    let mut stuck = tokio::task::JoinSet::new();
    for n in 0..2 {
        let own = client.clone();
        stuck.spawn(async move { own.publish("stuck", &n).await });
        while server.asked().len() <= n {
            tokio::task::yield_now().await;
        }
    }
    let dropped = client.publish("dropped", &1);
    assert!(tokio::time::timeout(Duration::ZERO, dropped).await.is_err());
    for result in stuck.join_all().await {
        let error = request_error(result);
        assert_eq!((error.failure, error.in_doubt), (Failure::Timeout, 1));
    }
    client.publish("last", &1).await.unwrap();
    let bodies: Vec<String> = server.asked().into_iter().map(|asked| asked.body).collect();
    assert!(bodies.len() == 3 && bodies[2].contains("last"), "{bodies:?}");
}

/// S7, for calls that travel together.
#[tokio::test]
async fn a_request_that_is_never_answered_leaves_the_others_alone() {
    let held = Arc::new(AtomicUsize::new(0));
    let count = Arc::clone(&held);
    let server = Server::new(move |_| match count.fetch_add(1, Ordering::Relaxed) {
        0 => Act::Silence,
        _ => ok(r#"{"result":{}}"#),
    });
    let client = AsyncClient::new(Config::v6(&*server.address, "k")).unwrap();
    let stuck = tokio::spawn({
        let client = client.clone();
        async move { client.publish("stuck", &1).await }
    });
    while server.asked().is_empty() {
        tokio::task::yield_now().await;
    }
    for n in 0..10 {
        client.publish("a", &n).await.unwrap();
    }
    assert!(!stuck.is_finished());
    stuck.abort();
}

#[test]
fn a_client_outlives_the_runtime_of_its_first_call() {
    let server = Server::new(|_| ok(r#"{"result":{}}"#));
    let client = AsyncClient::new(Config::v6(&*server.address, "k")).unwrap();
    for n in 0..3 {
        let own = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        own.block_on(client.publish("a", &n)).unwrap();
    }
    assert_eq!(server.asked().len(), 3);
}

#[tokio::test]
async fn calls_beyond_64_connections_wait_for_one() {
    let server = Server::new(|_| ok(r#"{"result":{"publications":[]}}"#));
    let client = AsyncClient::new(Config::v6(&*server.address, "k")).unwrap();
    let mut calls = tokio::task::JoinSet::new();
    for _ in 0..300 {
        let client = client.clone();
        calls.spawn(async move { client.history("many").await.unwrap() });
    }
    assert_eq!(calls.join_all().await.len(), 300);
    let last = server.asked().into_iter().map(|asked| asked.connection).max();
    assert!(last < Some(64), "{last:?}");
}

#[tokio::test]
async fn a_connection_that_the_server_closes_is_replaced() {
    let body = r#"{"result":{}}"#;
    let told = format!("HTTP/1.1 200 X\r\nConnection: close\r\nContent-Length: 13\r\n\r\n{body}");
    let server = Server::new(move |_| Act::End(told.clone().into_bytes()));
    let config = |server: &Server| Config::v6(&*server.address, "k").without_combining();
    let client = AsyncClient::new(config(&server)).unwrap();
    for _ in 0..20 {
        client.publish("a", &1).await.unwrap();
    }
    assert_eq!(server.asked().len(), 20);
    // One that closes without a word may do so as the next request comes: that one
    // is in doubt, and never called delivered if it was not.
    let server = Server::new(move |_| Act::End(answer(200, body)));
    let client = AsyncClient::new(config(&server)).unwrap();
    let mut delivered = 0;
    for _ in 0..20 {
        match client.publish("a", &1).await {
            Ok(_) => delivered += 1,
            error => assert_eq!(request_error(error).in_doubt, 1),
        }
    }
    assert!(delivered > 0 && delivered <= server.asked().len());
}

#[tokio::test]
async fn failures_say_what_is_in_doubt() {
    let nobody = AsyncClient::new(Config::v6("http://127.0.0.1:1", "k")).unwrap();
    let error = request_error(nobody.history("a").await);
    assert_eq!((error.failure, error.in_doubt), (Failure::Network, 0));
    let broken =
        Server::new(|_| Act::End(b"HTTP/1.1 200 X\r\nContent-Length: 10\r\n\r\n{".to_vec()));
    let client = AsyncClient::new(Config::v6(&*broken.address, "k")).unwrap();
    let error = request_error(client.history("a").await);
    assert_eq!((error.failure, error.in_doubt), (Failure::Network, 1));
    let busy = Server::new(|_| {
        let body = "HTTP/1.1 503 X\r\nRetry-After: 7\r\nContent-Length: 0\r\n\r\n";
        Act::Answer(body.into())
    });
    let client = AsyncClient::new(Config::v6(&*busy.address, "k")).unwrap();
    let error = request_error(client.history("a").await);
    assert_eq!(error.failure, Failure::Status(503));
    assert_eq!(error.retry_after, Some(Duration::from_secs(7)));
    let error = r#"{"error":{"code":111,"message":"too many requests"}}"#;
    let told = format!("Retry-After: 7\r\nContent-Length: {}\r\n\r\n{error}", error.len());
    let limited = Server::new(move |_| Act::Answer(format!("HTTP/1.1 429 X\r\n{told}").into()));
    let client = AsyncClient::new(Config::v6(&*limited.address, "k")).unwrap();
    match client.history("a").await {
        Err(Error::Response(error)) => {
            assert_eq!((error.code, error.retry_after), (111, Some(Duration::from_secs(7))));
        }
        Err(Error::Request(error)) => assert_eq!(error.retry_after, Some(Duration::from_secs(7))),
        other => panic!("{other:?}"),
    }
    let elsewhere = Server::new(|_| {
        Act::Answer(
            b"HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n"
                .to_vec(),
        )
    });
    let client = AsyncClient::new(Config::v6(&*elsewhere.address, "k")).unwrap();
    let error = request_error(client.history("a").await);
    assert_eq!((error.failure, error.in_doubt), (Failure::Status(307), 0));
}

#[tokio::test]
async fn calls_are_made_again_only_if_that_is_safe() {
    let quick = Backoff::default().first(Duration::from_millis(1)).max(Duration::from_millis(2));
    let server = Server::new(|_| Act::Answer(answer(500, "")));
    let client = AsyncClient::new(Config::v6(&*server.address, "k").retry(3, quick)).unwrap();
    request_error(client.publish("a", &1).await);
    assert_eq!(server.asked().len(), 1);
    request_error(client.call(Publish::new("a", &1).idempotency_key("k")).await);
    assert_eq!(server.asked().len(), 4);
}

#[cfg(feature = "ring")]
#[test]
fn tls_is_spoken_with_whom_the_caller_trusts() {
    let authority = Authority::new().unwrap();
    let server = CentrifugoServer::new(CentrifugoConfig::default(), Engine::WsCore);
    let url = runtime().block_on(server.listen_tls(0, &authority)).unwrap();
    let config = || Config::v6(url.as_str(), server.api_key());
    let clients =
        |config: Config| (Client::new(config.clone()).unwrap(), AsyncClient::new(config).unwrap());
    for good in [config().tls_root(authority.der()), config().dangerous().skip_verification()] {
        let (blocking, client) = clients(good);
        blocking.publish("a", &1).unwrap();
        runtime().block_on(client.publish("a", &1)).unwrap();
    }
    let (blocking, client) = clients(config());
    let errors = [blocking.publish("a", &1), runtime().block_on(client.publish("a", &1))];
    for error in errors.map(request_error) {
        assert_eq!((error.failure, error.in_doubt), (Failure::Network, 0), "{error}");
        assert!(error.hint.is_some());
    }
}
