//! v1 and v0: signed arrays of commands (docs/protocols/cent.md, 3).

use hmac::{Hmac, KeyInit, Mac};
use realtime_sandbox::{CentrifugoConfig, CentrifugoServer, Engine};
use serde_json::{Value, json};
use sha2::Sha256;

use super::support::{Client, post, request, server};

fn sign(secret: &str, text: &str) -> String {
    let mac = <Hmac<Sha256> as KeyInit>::new_from_slice(secret.as_bytes()).unwrap();
    let bytes = mac.chain_update(text).finalize().into_bytes();
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

async fn send(server: &CentrifugoServer, body: &str) -> (u16, String) {
    let sign = sign(server.secret(), body);
    let headers = [("Content-Type", "application/json"), ("X-API-Sign", sign.as_str())];
    post(server, "/api/", &headers, body).await
}

#[tokio::test]
async fn answers_as_v1_did() {
    let server = server(CentrifugoConfig::default().version(1, 8), Engine::WsCore);
    // From the record of 1.8.0.
    for (body, answer) in [
        ("[]", "[]"),
        (
            r#"[{"method":"publish","params":{"channel":"a","data":1}},{"method":"publish","params":{"channel":"nope:b","data":2}},{"method":"channels"}]"#,
            r#"[{"method":"publish","error":null,"body":null},{"method":"publish","error":"namespace not found","advice":"fix","body":null},{"method":"channels","error":null,"body":{"data":[]}}]"#,
        ),
        (
            r#"[{"uid":"7","method":"publish","params":{"channel":"public:chat","data":{"n":1},"client":"c-1","uid":"my-uid"}}]"#,
            r#"[{"uid":"7","method":"publish","error":null,"body":null}]"#,
        ),
        (
            r#"[{"method":"history","params":{"channel":"public:chat"}}]"#,
            r#"[{"method":"history","error":null,"body":{"channel":"public:chat","data":[{"uid":"my-uid","channel":"public:chat","data":{"n":1},"client":"c-1"}]}}]"#,
        ),
        (
            r#"{"method":"history","params":{"channel":"bare:chat"}}"#,
            r#"[{"method":"history","error":"not available","body":{"channel":"bare:chat","data":null}}]"#,
        ),
        (
            r#"[{"method":"broadcast","params":{"channels":[],"data":{}}}]"#,
            r#"[{"method":"broadcast","error":"invalid message","advice":"fix","body":null}]"#,
        ),
    ] {
        assert_eq!(send(&server, body).await, (200, answer.into()), "{body}");
    }
    let (_, answer) = send(&server, r#"[{"method":"disconnect","params":{}}]"#).await;
    assert!(answer.contains("invalid message"), "{answer}");
    let (_, stats) = send(&server, r#"[{"method":"stats","params":{}},{"method":"node"}]"#).await;
    let stats: Value = serde_json::from_str(&stats).unwrap();
    assert_eq!(stats[0]["body"]["data"]["nodes"][0]["version"], "1.8.0");
    assert_eq!(stats[1]["body"]["data"]["version"], "1.8.0");
}

#[tokio::test]
async fn refuses_as_v1_did() {
    let server = server(CentrifugoConfig::default().version(1, 8), Engine::WsCore);
    for body in [
        "",
        " []",
        "[",
        "x",
        r#"[{"method":"nope"}]"#,
        r#"[{"method":"publish","params":{"channel":"","data":1}}]"#,
        r#"[{"method":"publish","params":{"channel":"a"}}]"#,
        r#"[{"method":"publish","params":{"channel":7,"data":1}}]"#,
        r#"[{"uid":7,"method":"channels"}]"#,
    ] {
        assert_eq!(send(&server, body).await.0, 400, "{body}");
    }
    // What came before a bad command is done.
    let body = r#"[{"method":"publish","params":{"channel":"p","data":1}},{"method":"nope"}]"#;
    assert_eq!(send(&server, body).await.0, 400);
    let (_, kept) = send(&server, r#"[{"method":"history","params":{"channel":"p"}}]"#).await;
    assert!(kept.contains(r#""data":1"#), "{kept}");
    let json = ("Content-Type", "application/json");
    assert_eq!(post(&server, "/api/", &[json], "[]").await.0, 400);
    let upper = sign(server.secret(), "[]").to_uppercase();
    for wrong in ["0", upper.as_str()] {
        let headers = [json, ("X-API-Sign", wrong)];
        assert_eq!(post(&server, "/api/", &headers, "[]").await.0, 401);
    }
    let (status, head, _) = request(&server, "POST", "/api", &[json], "[]").await;
    assert!((status, head.contains("Location: /api/")) == (301, true), "{head}");
    assert_eq!(post(&server, "/else", &[json], "[]").await.0, 404);
}

#[tokio::test]
async fn takes_the_forms_of_the_first_clients() {
    let server = server(CentrifugoConfig::default(), Engine::WsCore);
    let data = r#"[{"method": "publish", "params": {"channel": "é+ ", "data": {"a b": "&="}}}]"#;
    let sign = sign(server.secret(), data);
    let encoded: String = form(&[("sign", &sign), ("data", data)]);
    let headers = [("Content-Type", "application/x-www-form-urlencoded")];
    let (status, answer) = post(&server, "/api/", &headers, &encoded).await;
    assert_eq!((status, answer.contains(r#""error":null"#)), (200, true), "{answer}");
    let insecure =
        CentrifugoServer::new(CentrifugoConfig::default().insecure(true), Engine::WsCore);
    let encoded = form(&[("sign", ""), ("data", data)]);
    assert_eq!(post(&insecure, "/api/", &headers, &encoded).await.0, 200);
    assert_eq!(post(&insecure, "/api/", &headers, "sign=").await.0, 400);
}

fn form(pairs: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(pairs).finish()
}

#[tokio::test]
async fn answers_as_the_older_server_did() {
    let server = server(CentrifugoConfig::default().version(0, 8), Engine::WsCore);
    let project = server.project().to_owned();
    let send = async |body: &str| {
        let sign = sign(server.secret(), &format!("{project}{body}"));
        let headers = [("Content-Type", "application/json"), ("X-API-Sign", sign.as_str())];
        let (status, body) = post(&server, &format!("/api/{project}"), &headers, body).await;
        (status, serde_json::from_str::<Value>(&body).unwrap_or_default())
    };
    let (_, answer) = send(r#"[{"method":"publish","params":{"channel":"a","data":1}}]"#).await;
    assert_eq!(answer[0]["body"], true);
    let (_, answer) = send(r#"[{"method":"history","params":{"channel":"a"}}]"#).await;
    assert_eq!(answer[0]["body"][0]["data"], 1);
    let (_, answer) = send(r#"[{"method":"nope","params":{}}]"#).await;
    assert_eq!(answer[0]["error"], "method not found");
    assert_eq!(post(&server, "/api/another", &[], "[]").await.0, 404);
}

#[tokio::test]
async fn one_address_takes_every_generation_and_all_meet() {
    let server = server(CentrifugoConfig::default(), Engine::WsCore);
    let mut client = Client::connect(&server).await;
    client.ask("subscribe", json!({"channel": "all"})).await;
    assert_eq!(
        send(&server, r#"[{"method":"publish","params":{"channel":"all","data":1}}]"#).await.0,
        200
    );
    let key = format!("apikey {}", server.api_key());
    let body = r#"{"method":"publish","params":{"channel":"all","data":2}}"#;
    assert_eq!(post(&server, "/api", &[("Authorization", &key)], body).await.0, 200);
    let body = r#"{"channel":"all","data":3}"#;
    let key = [("X-API-Key", server.api_key())];
    assert_eq!(post(&server, "/api/publish", &key, body).await.0, 200);
    for n in 1..=3 {
        assert_eq!(client.receive().await["push"]["pub"]["data"], n);
    }
}
