//! Values by plain HTTP (docs/protocols/satori-rtm.md, 16).

use realtime_sandbox::{Engine, RtmConfig, RtmServer};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

/// Asks once; returns the status and the answer.
async fn ask(server: &RtmServer, verb: &str, target: &str, body: &str) -> (String, Value) {
    let mut io = server.pipe();
    let length = body.len();
    let request = format!(
        "{verb} {target} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n\
         Content-Length: {length}\r\n\r\n{body}"
    );
    io.write_all(request.as_bytes()).await.unwrap();
    let mut answer = String::new();
    io.read_to_string(&mut answer).await.unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let status = head.split(' ').nth(1).unwrap().to_owned();
    (status, serde_json::from_str(body).unwrap_or_default())
}

#[tokio::test(start_paused = true)]
async fn a_value_is_read_written_and_deleted_under_any_key() {
    let server = RtmServer::new(RtmConfig::default(), Engine::WsCore);
    let query = format!("?id=0&appkey={}", server.appkey());
    for key in ["fleet", "a+b%2Fc%3Fd", "%3B.%26%25", "x%2B1"] {
        let target = format!("/v2/kv/{key}{query}");
        let (status, reply) = ask(&server, "GET", &target, "").await;
        assert_eq!((status.as_str(), &reply["action"]), ("200", &json!("rtm/read/ok")));
        assert_eq!((&reply["id"], &reply["body"]["message"]), (&json!(0), &Value::Null));
        let (_, written) = ask(&server, "PUT", &target, "{\"v\": 1}").await;
        assert_eq!(written["action"], "rtm/write/ok");
        let (_, read) = ask(&server, "GET", &target, "").await;
        assert_eq!(read["body"]["position"], written["body"]["position"]);
        assert_eq!(read["body"]["message"], json!({"v": 1}));
        assert_eq!(ask(&server, "DELETE", &target, "").await.1["action"], "rtm/delete/ok");
        assert_eq!(ask(&server, "GET", &target, "").await.1["body"]["message"], Value::Null);
    }
}

#[tokio::test(start_paused = true)]
async fn what_may_not_be_is_refused() {
    let server = RtmServer::new(RtmConfig::default(), Engine::WsCore);
    let query = format!("?id=0&appkey={}", server.appkey());
    for (verb, target, body, status, code) in [
        ("GET", "/v2/kv/restricted", "", "400", "authorization_denied"),
        ("GET", "/v2/kv/$sys", "", "400", "invalid_format"),
        ("GET", "/v2/kv/", "", "400", "invalid_format"),
        ("PUT", "/v2/kv/k", "nonsense", "400", "invalid_format"),
        ("POST", "/v2/kv/k", "1", "405", ""),
        ("GET", "/v2/other", "", "404", ""),
    ] {
        let (got, reply) = ask(&server, verb, &format!("{target}{query}"), body).await;
        assert_eq!(got, status, "{verb} {target}");
        assert_eq!(reply["body"]["error"].as_str().unwrap_or_default(), code, "{reply}");
    }
    let stranger = ask(&server, "GET", "/v2/kv/k?appkey=wrong", "").await;
    assert_eq!(stranger.0, "403");
}
