//! Every example of the original's document, translated.

use cent::{Client, Config, Error, generate_token, get_timestamp};
use serde_json::{Value, json};

use crate::server::{Asked, Server, ok};

/// Answers as a v1 does, with as many items as there are commands.
fn v1(asked: &Asked) -> crate::server::Act {
    let commands: Vec<Value> = serde_json::from_str(&asked.body).unwrap();
    let items: Vec<Value> = commands
        .iter()
        .map(|command| {
            let body = match command["method"].as_str().unwrap() {
                "history" => json!({"channel": "public:chat", "data": []}),
                "presence" => json!({"channel": "public:chat", "data": {}}),
                "channels" => json!({"data": ["public:chat"]}),
                "stats" => json!({"data": {"nodes": [], "metrics_interval": 60}}),
                _ => Value::Null,
            };
            json!({"method": command["method"], "error": null, "body": body})
        })
        .collect();
    ok(&Value::Array(items).to_string())
}

#[test]
fn the_high_level_calls_of_the_document() {
    let server = Server::new(v1);
    let client = Client::new(Config::v1(&server.address, "secret")).unwrap();
    client.publish("public:chat", &json!({"input": "test"})).unwrap();
    client.unsubscribe("USER_ID").unwrap();
    client.disconnect("USER_ID").unwrap();
    assert!(client.history("public:chat").unwrap().publications.is_empty());
    assert!(client.presence("public:chat").unwrap().is_empty());
    assert!(client.channels().unwrap().contains_key("public:chat"));
    assert!(client.info().unwrap().is_empty());
    let methods: Vec<String> = server
        .asked()
        .iter()
        .map(|asked| {
            let commands: Value = serde_json::from_str(&asked.body).unwrap();
            commands[0]["method"].as_str().unwrap().to_owned()
        })
        .collect();
    assert_eq!(
        methods,
        ["publish", "unsubscribe", "disconnect", "history", "presence", "channels", "stats"]
    );
}

#[test]
fn the_low_level_calls_of_the_document() {
    let server = Server::new(v1);
    let client = Client::new(Config::v1(&server.address, "SECRET")).unwrap();
    client.add("publish", &json!({"channel": "python", "data": "hello world"})).unwrap();
    // High-level calls do not mix with a buffer that waits.
    assert!(matches!(client.publish("python", &1), Err(Error::Misuse { code: "not_empty", .. })));
    let result = client.send().unwrap();
    assert_eq!(result.len(), 1);
    assert_eq!((result[0].method.as_str(), &result[0].error), ("publish", &None));
    assert!(result[0].body.is_none());
    client.add("publish", &json!({})).unwrap();
    client.reset();
    assert!(client.send().unwrap().is_empty(), "an empty buffer is an empty list");
    assert_eq!(server.asked().len(), 1);
}

#[test]
fn an_item_that_failed_raises_nothing() {
    let server = Server::new(|_| {
        ok(
            r#"[{"method":"publish","error":null,"body":null},{"method":"publish","error":"namespace not found","advice":"fix","body":null}]"#,
        )
    });
    let client = Client::new(Config::v1(&server.address, "SECRET")).unwrap();
    client.add("publish", &json!({"channel": "a", "data": 1})).unwrap();
    client.add("publish", &json!({"channel": "nope:a", "data": 1})).unwrap();
    let result = client.send().unwrap();
    assert!(result[0].error.is_none());
    assert_eq!(result[1].error.as_ref().unwrap().message, "namespace not found");
}

#[test]
fn the_helpers_of_the_document() {
    let info = r#"{"first_name": "Alexander", "last_name": "Emelin"}"#;
    let timestamp = get_timestamp();
    assert!(timestamp.len() >= 10 && timestamp.bytes().all(|b| b.is_ascii_digit()));
    assert_eq!(generate_token("SECRET", "app user ID", &timestamp, info).len(), 64);
}
