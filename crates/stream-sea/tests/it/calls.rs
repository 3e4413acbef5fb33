//! HTTP calls, async and blocking.

use std::{sync::OnceLock, time::Duration};

use realtime_sandbox::{Engine, StreamSeaServer};
use serde_json::json;
use stream_sea::{
    BlockingClient, Client, Config, Credentials, Defined, Error, ErrorKind, Field, FieldType,
    SchemaDefinition,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    runtime::Runtime,
};

use crate::support::{connect, credentials, on_both_engines, server};

fn tides(version: &str) -> SchemaDefinition {
    SchemaDefinition::new("moods", version)
        .field(Field::new("level", FieldType::Float))
        .field(Field::one_of("quality", ["good", "suspect"]))
}

#[tokio::test(start_paused = true)]
async fn a_definition_is_stored_once_and_never_overwritten() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        assert_eq!(client.describe_stream("moods").await.unwrap(), None);
        assert_eq!(client.define_stream(&tides("1.0.0")).await.unwrap(), Defined::Stored);
        assert_eq!(client.define_stream(&tides("1.0.0")).await.unwrap(), Defined::Unchanged);
        let mut turned = tides("1.0.0");
        turned.fields.reverse();
        assert_eq!(client.define_stream(&turned).await.unwrap(), Defined::Unchanged);
        let other = tides("1.0.0").field(Field::new("more", FieldType::String));
        let error = client.define_stream(&other).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, "define"));
        assert_eq!(client.describe_stream("moods").await.unwrap(), Some(tides("1.0.0")));
        assert!(client.define_stream(&tides("0.9")).await.is_err());
        assert_eq!(client.define_stream(&tides("1.1")).await.unwrap(), Defined::Stored);
        let versions = client.get_schema_versions_vector(&["moods", "nobody"]).await.unwrap();
        assert_eq!(versions, [Some("1.1".into()), None]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn clients_secrets_and_keys_are_administered() {
    on_both_engines(|server| async move {
        let owner = connect(&server).await;
        let made = owner.create_client("reader", "who reads").await.unwrap();
        assert_eq!(made.given_id, "reader");
        assert!(!format!("{made:?}").contains(&made.secret));
        assert!(owner.create_client("reader", "again").await.is_err());
        let rotated = owner.rotate_client_secret("reader").await.unwrap();
        assert_ne!(rotated.secret, made.secret);
        let config = crate::support::config_as(&server, Credentials::basic("reader", made.secret));
        let reader = Client::new(config).unwrap();
        assert!(reader.describe_stream("tides").await.is_err());
        reader.set_credentials(Credentials::basic("reader", rotated.secret)).unwrap();
        assert!(reader.describe_stream("tides").await.unwrap().is_some());
        let key = owner.rotate_client_jwt_public_key("reader", None).await.unwrap();
        assert_eq!((key.given_id.as_str(), key.jwt_public_key), ("reader", None));
        assert!(owner.rotate_client_jwt_public_key("reader", Some("junk")).await.is_err());
        owner.delete_client("reader").await.unwrap();
        let error = owner.delete_client("reader").await.unwrap_err();
        assert!(matches!(&error, Error::Refused(refusal) if refusal.status == Some(404)));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn calls_need_no_start_and_end_with_close() {
    let server = server(Engine::WsCore);
    let client = Client::new(crate::support::config(&server)).unwrap();
    client.publish("tides", &json!({"n": 1})).await.unwrap();
    assert!(client.publish("nobody", &json!({})).await.is_err());
    let report = client.close(Duration::from_secs(5)).await;
    assert_eq!((report.acknowledged, report.refused, report.unacknowledged), (1, 1, 0));
    assert_eq!(client.close(Duration::from_secs(5)).await, report);
    assert!(matches!(client.publish("tides", &json!({})).await, Err(Error::Closed)));
    assert!(matches!(client.start().await, Err(Error::Closed)));
}

#[tokio::test(start_paused = true)]
async fn names_are_carried_to_the_letter() {
    let server = server(Engine::WsCore);
    let client = connect(&server).await;
    for name in ["a b", "a/b", "ключ", "q?x=1#y", "100%"] {
        client.define_stream(&SchemaDefinition::new(name, 1)).await.unwrap();
        let found = client.describe_stream(name).await.unwrap().unwrap();
        assert_eq!(found.name, name);
    }
}

/// What answers while a test blocks.
fn runtime() -> &'static Runtime {
    static RUNTIME: OnceLock<Runtime> = OnceLock::new();
    RUNTIME.get_or_init(|| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder.worker_threads(2).enable_all().build().unwrap()
    })
}

fn listening() -> StreamSeaServer {
    let server = server(Engine::WsCore);
    runtime().block_on(server.listen(0)).unwrap();
    server
}

#[test]
fn the_blocking_client_makes_the_same_calls() {
    let server = listening();
    let config = Config::new("127.0.0.1", server.port(), credentials(&server));
    let client = BlockingClient::new(config).unwrap();
    client.publish("tides", &json!({"n": 1})).unwrap();
    assert_eq!(client.define_stream(&tides("1")).unwrap(), Defined::Stored);
    assert_eq!(client.define_stream(&tides("1")).unwrap(), Defined::Unchanged);
    assert_eq!(client.describe_stream("moods").unwrap(), Some(tides("1")));
    assert_eq!(client.get_schema_versions_vector(&["x"]).unwrap(), [None]);
    let made = client.create_client("blocked", "d").unwrap();
    assert_ne!(client.rotate_client_secret("blocked").unwrap().secret, made.secret);
    client.rotate_client_jwt_public_key("blocked", None).unwrap();
    client.delete_client("blocked").unwrap();
    client.create_jail("j", "n", "c").unwrap();
    client.delete_jail("j").unwrap();
    let long = json!({"text": "x".repeat(100_000)});
    client.publish("tides", &long).unwrap();
    let error = client.publish("nobody", &json!({})).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::Refused);
}

/// A server that answers each request by these bytes, and goes.
fn scripted(answer: Vec<u8>) -> u16 {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    listener.set_nonblocking(true).unwrap();
    let port = listener.local_addr().unwrap().port();
    runtime().spawn(async move {
        let listener = tokio::net::TcpListener::from_std(listener).unwrap();
        while let Ok((mut stream, _)) = listener.accept().await {
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(stream.read_u8().await.unwrap_or(b'\n'));
            }
            // What is left unread would turn the end of the stream into a reset.
            let text = String::from_utf8_lossy(&head).to_lowercase();
            let length = text.split_once("content-length: ").map_or("0", |(_, rest)| rest);
            let length = length.split("\r\n").next().unwrap().parse().unwrap();
            let mut body = vec![0; length];
            let _gone = stream.read_exact(&mut body).await;
            let _gone = stream.write_all(&answer).await;
        }
    });
    port
}

fn both(answer: &[u8]) -> Vec<Error> {
    let port = scripted(answer.to_vec());
    let config = || {
        let config = Config::new("127.0.0.1", port, Credentials::basic("a", "s3cr3t"));
        config.request_timeout(Duration::from_secs(5))
    };
    let blocking = BlockingClient::new(config()).unwrap().create_client("a", "b");
    let client = runtime().block_on(async { Client::new(config()) }).unwrap();
    let asynchronous = runtime().block_on(client.create_client("a", "b"));
    // What asks and changes nothing is never in doubt.
    let asked = runtime().block_on(client.get_schema_versions_vector(&["a"]));
    assert!(!asked.unwrap_err().is_in_doubt());
    vec![blocking.unwrap_err(), asynchronous.unwrap_err()]
}

#[test]
fn c12_bodies_that_are_wrong_are_typed_errors() {
    let whole = b"HTTP/1.1 200 X\r\nContent-Length: 28\r\n\r\n{\"givenId\":\"a\",\"secret\":\"b\"}";
    for cut in 0..whole.len() {
        for error in both(&whole[..cut]) {
            assert!(error.is_in_doubt(), "cut at {cut}: {error:?}");
        }
    }
    for (answer, code) in [
        ("HTTP/1.1 200 X\r\nContent-Length: 6\r\n\r\n<html>", "answer"),
        ("HTTP/1.1 200 X\r\nContent-Length: 15\r\n\r\n{\"givenId\":\"a\"}", "answer"),
        ("HTTP/1.1 502 X\r\nContent-Length: 6\r\n\r\n<html>", "create_client"),
        (
            "HTTP/1.1 307 X\r\nLocation: http://127.0.0.1:1/\r\nContent-Length: 0\r\n\r\n",
            "create_client",
        ),
        ("HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n8000000000000000\r\n{}", ""),
        ("HTTP/1.1 200 X\r\nContent-Length: 99999999999999999999\r\n\r\n{}", ""),
    ] {
        for error in both(answer.as_bytes()) {
            assert!(code.is_empty() || error.code() == code, "{answer}: {error:?}");
            assert!(!format!("{error} {error:?}").contains("s3cr3t"));
        }
    }
    let page = "x".repeat(5 << 20);
    let long = format!("HTTP/1.1 200 X\r\nContent-Length: {}\r\n\r\n{page}", page.len());
    for error in both(long.as_bytes()) {
        assert_eq!(error.code(), "answer");
    }
}

#[test]
fn nothing_listens_is_certain_not_to_have_arrived() {
    let config = || Config::new("127.0.0.1", 1, Credentials::basic("a", "b"));
    let error = BlockingClient::new(config()).unwrap().publish("a", &json!({})).unwrap_err();
    assert!(!error.is_in_doubt() && error.is_retryable(), "{error:?}");
    let client = runtime().block_on(async { Client::new(config()) }).unwrap();
    let error = runtime().block_on(client.publish("a", &json!({}))).unwrap_err();
    assert!(!error.is_in_doubt() && error.is_retryable(), "{error:?}");
}
