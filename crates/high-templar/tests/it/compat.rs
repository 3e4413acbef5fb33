//! Recorded transcripts of the Python server of version 3.1, frame by frame
//! (docs/protocols/high-templar.md, 6 to 9).

use high_templar::{BackendError, Compat};

use crate::support::{Fixed, Raw, server, trigger};

const SUCCESS: &str = r#"{"code": "success"}"#;
const NOT_FOUND: &str = r#"{"code": "error", "message": "room-not-found"}"#;

#[tokio::test]
async fn a_complete_session() {
    let server = server(Compat::V3_1, &[r#"{"target": "message", "customer": "1"}"#]);
    let mut client = Raw::connect(&server).await;
    let welcome =
        r#"{"is_authorized": true, "allowed_rooms": [{"target": "message", "customer": "1"}]}"#;
    assert_eq!(client.hear().await.unwrap(), welcome);
    let subscribe = |room: &str, id: &str| {
        format!(r#"{{"type": "subscribe", "room": {room}, "requestId": "{id}"}}"#)
    };
    let room = r#"{"target": "message", "customer": "1"}"#;
    assert_eq!(client.ask(&subscribe(room, "r-1")).await, SUCCESS);
    assert_eq!(client.ask(&subscribe(r#"{"target": "x"}"#, "r-2")).await, NOT_FOUND);
    trigger(&server, &[room], r#"{"id": 7}"#).await;
    let publish = r#"{"type": "publish", "data": {"id": 7}, "requestId": "r-1"}"#;
    assert_eq!(client.hear().await.unwrap(), publish);
    assert_eq!(client.ask("ping").await, "pong");
    let unsubscribe = r#"{"type": "unsubscribe", "requestId": "r-1"}"#;
    assert_eq!(client.ask(unsubscribe).await, SUCCESS);
    let gone = r#"{"code": "error", "message": "not-subscribed"}"#;
    assert_eq!(client.ask(unsubscribe).await, gone);
}

#[tokio::test]
async fn wildcards_are_for_permission_alone() {
    let server = server(Compat::V3_1, &[r#"{"target":"chat-create","customer":"*"}"#]);
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    client.enter(r#"{"target":"chat-create","customer":"*"}"#, "w").await;
    client.enter(r#"{"target":"chat-create","customer":"1"}"#, "one").await;
    client.enter(r#"{"target":"chat-create","customer":2}"#, "int2").await;
    let stranger = r#"{"type":"subscribe","room":{"target":"*","customer":"1"},"requestId":"x"}"#;
    assert_eq!(client.ask(stranger).await, NOT_FOUND);
    let publish = |data: &str, id: &str| {
        format!(r#"{{"type": "publish", "data": {data}, "requestId": "{id}"}}"#)
    };
    trigger(&server, &[r#"{"target":"chat-create","customer":"*"}"#], "\"star\"").await;
    assert_eq!(client.drain().await, [publish("\"star\"", "w")]);
    trigger(&server, &[r#"{"customer":"1","target":"chat-create"}"#], "\"one\"").await;
    assert_eq!(client.drain().await, [publish("\"one\"", "one")]);
    trigger(&server, &[r#"{"target":"chat-create","customer":"2"}"#], "\"str2\"").await;
    assert!(client.drain().await.is_empty());
    let all = ["\"*\"", "\"1\"", "\"1\""]
        .map(|customer| format!(r#"{{"target":"chat-create","customer":{customer}}}"#));
    trigger(&server, &all.each_ref().map(String::as_str), "\"multi\"").await;
    let multi = |id| publish("\"multi\"", id);
    assert_eq!(client.drain().await, [multi("w"), multi("one"), multi("one")]);
}

#[tokio::test]
async fn two_subscriptions_of_one_room_and_one_id_for_two_rooms() {
    let server = server(Compat::V3_1, &[r#"{"r":"*"}"#]);
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    client.enter(r#"{"r":"A"}"#, "a").await;
    client.enter(r#"{"r":"A"}"#, "b").await;
    // The same once more is one subscription still.
    client.enter(r#"{"r":"A"}"#, "b").await;
    trigger(&server, &[r#"{"r":"A"}"#], "1").await;
    let mut heard = client.drain().await;
    heard.sort();
    let publish = |id: &str| format!(r#"{{"type": "publish", "data": 1, "requestId": "{id}"}}"#);
    assert_eq!(heard, [publish("a"), publish("b")]);
    // Not the quirk of the original: one unsubscribe ends all rooms of an id.
    client.enter(r#"{"r":"B"}"#, "a").await;
    assert_eq!(client.ask(r#"{"type":"unsubscribe","requestId":"a"}"#).await, SUCCESS);
    trigger(&server, &[r#"{"r":"A"}"#, r#"{"r":"B"}"#], "1").await;
    assert_eq!(client.drain().await, [publish("b")]);
}

#[tokio::test]
async fn errors_are_answered_or_end_the_connection() {
    let server = server(Compat::V3_1, &["{}"]);
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    let not_allowed = client.ask(r#"{"type": "foobar", "requestId": "z"}"#).await;
    let (prefix, rest) = not_allowed.split_at(15);
    let (name, rest) = rest.split_at(36);
    assert_eq!(prefix, r#"{"requestId": ""#);
    assert_eq!(rest, r#"", "code": "error", "message": "message-type-not-allowed"}"#);
    // A UUID of version 4, the same for the whole connection.
    assert!(name.chars().filter(|c| *c == '-').count() == 4 && name.chars().nth(14) == Some('4'));
    let non_json =
        format!(r#"{{"requestId": "{name}", "code": "error", "message": "non-json-message"}}"#);
    assert_eq!(client.ask("not json").await, non_json);
    let no_id = client.ask(r#"{"type": "subscribe", "room": {}}"#).await;
    assert_eq!(no_id, r#"{"code": "error", "message": "no-request-id"}"#);
    for malformed in [
        r#"{"type": "subscribe", "requestId": "a"}"#,
        r#"{"type": "subscribe", "requestId": "a", "room": "message"}"#,
        r#"{"type": "subscribe", "room": {}, "requestId": {"a": 1}}"#,
        "[1]",
    ] {
        let mut client = Raw::connect(&server).await;
        client.hear().await.unwrap();
        assert_eq!(client.ends_with(malformed).await, Some(1000), "{malformed}");
    }
}

#[tokio::test]
async fn the_counters_come_in_the_order_that_clients_know() {
    let server = server(Compat::V3_1, &["{}"]);
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    client.enter("{}", "a").await;
    trigger(&server, &["{}"], "null").await;
    assert_eq!(client.drain().await.len(), 1);
    let status = client.ask(r#"{"type": "status"}"#).await;
    let (before, after) = status.split_once(r#""online_since": ""#).unwrap();
    assert_eq!(before, r#"{"open_connections": 1, "num_rooms": 1, "#);
    let after = after.split_once("\", ").unwrap().1;
    assert_eq!(
        after,
        "\"rabbitmq_messages_received\": 1, \"ws_messages_received\": 3, \
         \"ws_messages_send\": 1, \"ws_messages_send_error\": 0, \"ws_messages_send_queued\": 0}"
    );
}

#[tokio::test]
async fn who_is_refused_is_told_and_closed() {
    let backend = Fixed::rooms(&[]);
    backend.say(Ok(high_templar::Verdict::Refused));
    let config = high_templar::Config::new().compat(Compat::V3_1);
    let server = high_templar::Server::builder(backend.clone()).config(config).build().unwrap();
    let mut client = Raw::connect(&server).await;
    assert_eq!(client.hear().await.unwrap(), r#"{"is_authorized": false}"#);
    assert_eq!((client.hear().await, client.end().await), (None, Some(1000)));
    assert_eq!(server.status().connections_refused, 1);
    for (error, status) in [
        (BackendError::Unreachable("x".into()), 502),
        (BackendError::Unusable("x".into()), 502),
        (BackendError::Timeout, 504),
    ] {
        backend.say(Err(error));
        let refused = Raw::open(&server, "/ws/", &[]).await.map(drop).unwrap_err();
        assert_eq!(refused.status(), Some(status), "{refused}");
    }
}

/// Python's own form of data: `json.dumps` with its defaults.
#[tokio::test]
async fn data_is_written_as_python_does() {
    let server = server(Compat::V3_1, &["{}"]);
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    client.enter("{}", "a").await;
    trigger(&server, &["{}"], "{\"b\":1.50,\"a\":[\"\u{160}\",1e22]}").await;
    let expected =
        r#"{"type": "publish", "data": {"b": 1.5, "a": ["\u0160", 1e+22]}, "requestId": "a"}"#;
    assert_eq!(client.drain().await, [expected]);
}

#[tokio::test]
async fn a_client_is_forgotten_before_it_knows_that_it_is_gone() {
    let server = server(Compat::V3_1, &["{}"]);
    for _ in 0..50 {
        let mut client = Raw::connect(&server).await;
        client.hear().await.unwrap();
        client.enter("{}", "a").await;
        let frame = ws_core::CloseFrame::new(ws_core::CloseCode::NORMAL, "");
        client.0.close(Some(&frame), std::time::Duration::from_secs(5)).await.unwrap();
        let status = server.status();
        assert_eq!((status.open_connections, status.num_rooms), (0, 0));
    }
}

/// A room that is named twice is served twice, each time in its turn.
#[tokio::test]
async fn rooms_are_served_in_the_order_of_the_trigger() {
    let server = server(Compat::V3_1, &[r#"{"r":"*"}"#]);
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    let (a, b) = (r#"{"r":"a"}"#, r#"{"r":"b"}"#);
    client.enter(a, "a").await;
    client.enter(b, "b").await;
    trigger(&server, &[a, b, a], "1").await;
    for id in ["a", "b", "a"] {
        let wanted = format!(r#"{{"type": "publish", "data": 1, "requestId": "{id}"}}"#);
        assert_eq!(client.hear().await.unwrap(), wanted);
    }
}
