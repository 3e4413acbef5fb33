//! v2, whose answers have no record, and limits of our own.

use realtime_sandbox::{CentrifugoConfig, Engine};

use super::support::{post, request, server};

#[tokio::test]
async fn answers_as_v2_did() {
    let server = server(CentrifugoConfig::default().version(2, 4), Engine::WsCore);
    let key = format!("apikey {}", server.api_key());
    let key = [("Authorization", key.as_str())];
    // From the record of 2.4.0.
    for (body, answer) in [
        (
            "{\"id\":1,\"method\":\"publish\",\"params\":{\"channel\":\"x\",\"data\":1}}\n\
             {\"id\":2,\"method\":\"publish\",\"params\":{\"channel\":\"nope:x\",\"data\":1}}",
            "{\"id\":1}\n{\"id\":2,\"error\":{\"code\":102,\"message\":\"namespace not found\"}}\n",
        ),
        (
            r#"{"method":"publish","params":{"channel":"public:chat","data":{"input": "test <b>&"}}}"#,
            "{}\n",
        ),
        (
            r#"{"method":"history","params":{"channel":"public:chat"}}"#,
            "{\"result\":{\"publications\":[{\"data\":{\"input\":\"test \\u003cb\\u003e\\u0026\"}}]}}\n",
        ),
        (r#"{"method":99}"#, "{\"error\":{\"code\":104,\"message\":\"method not found\"}}\n"),
        (r#"{"method":"channels"}"#, "{\"result\":{\"channels\":[]}}\n"),
        (
            r#"{"method":"broadcast","params":{"channels":["b1","nope:1","b2"],"data":1}}"#,
            "{\"error\":{\"code\":102,\"message\":\"namespace not found\"}}\n",
        ),
        // It stopped at the bad channel, and did not say which one that is.
        (
            r#"{"method":"history","params":{"channel":"b1"}}"#,
            "{\"result\":{\"publications\":[{\"data\":1}]}}\n",
        ),
        (
            r#"{"method":"history","params":{"channel":"b2"}}"#,
            "{\"result\":{\"publications\":[]}}\n",
        ),
    ] {
        assert_eq!(post(&server, "/api", &key, body).await, (200, answer.into()), "{body}");
    }
    let subscribe = r#"{"method":"subscribe","params":{"user":"1","channel":"x"}}"#;
    assert_eq!(post(&server, "/api", &key, subscribe).await.0, 400);
    assert_eq!(post(&server, "/api/publish", &key, "{}").await.0, 404);
}

/// What is wrong with one command of a batch is known before any is carried out.
#[tokio::test]
async fn nothing_of_a_batch_with_a_wrong_type_is_carried_out() {
    let server = server(CentrifugoConfig::default(), Engine::WsCore);
    let key = [("X-API-Key", server.api_key())];
    for wrong in [
        r#"{"history":{"channel":"public:a","limit":3000000000}}"#,
        r#"{"history":{"channel":"public:a","since":{"offset":"x"}}}"#,
        r#"{"disconnect":{"user":"1","disconnect":{"code":-1}}}"#,
    ] {
        let publish = r#"{"publish":{"channel":"public:a","data":1}}"#;
        let body = format!(r#"{{"commands":[{publish},{wrong}]}}"#);
        assert_eq!(post(&server, "/api/batch", &key, &body).await.0, 400, "{wrong}");
    }
    let history = r#"{"channel":"public:a","limit":-1}"#;
    let (status, body) = post(&server, "/api/history", &key, history).await;
    assert!(status == 200 && body.contains(r#""publications":[]"#), "{body}");
    let odd = r#"{"user":"1","disconnect":{"code":70000,"reason":"far"}}"#;
    assert_eq!(post(&server, "/api/disconnect", &key, odd).await.0, 200);
}

#[tokio::test]
async fn a_v1_channel_may_be_called_true() {
    let server = server(CentrifugoConfig::default().insecure(true), Engine::WsCore);
    let body = r#"{"method":"history","params":{"channel":"bare:trueblue"}}"#;
    let (status, body) = post(&server, "/api/", &JSON, body).await;
    assert!(status == 200 && body.contains("bare:trueblue"), "{body}");
}

const JSON: [(&str, &str); 1] = [("Content-Type", "application/json")];

#[tokio::test]
async fn only_loopback_names_are_answered_and_bodies_are_bounded() {
    let server = server(CentrifugoConfig::default(), Engine::WsCore);
    let key = ("X-API-Key", server.api_key());
    for (host, status) in [("localhost:80", 200), ("[::1]:80", 200), ("example.com", 403)] {
        let headers = [key, ("Host", host)];
        assert_eq!(request(&server, "POST", "/api/info", &headers, "{}").await.0, status, "{host}");
    }
    let long = format!(r#"{{"channel":"a","data":"{}"}}"#, "x".repeat(33 << 20));
    let mut pipe = server.pipe();
    let head = format!(
        "POST /api/publish HTTP/1.1\r\nHost: localhost\r\nX-API-Key: {}\r\nContent-Length: {}\r\n\r\n",
        server.api_key(),
        long.len()
    );
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    pipe.write_all(head.as_bytes()).await.unwrap();
    let mut answer = [0; 12];
    // The length alone is enough to refuse it.
    pipe.read_exact(&mut answer).await.unwrap();
    assert_eq!(&answer, b"HTTP/1.1 413");
}
