//! The original's document, example by example.

use high_templar::{Compat, Verdict};

use crate::support::{Fixed, Raw, post, server, trigger};

#[tokio::test]
async fn starting_a_connection() {
    let server = server(Compat::Document, &[r#"{"target": "message", "customer": "1"}"#]);
    let mut client = Raw::connect(&server).await;
    assert_eq!(
        client.hear().await.unwrap(),
        "{\"is_authenticated\": true, \"is_authorized\": true, \
         \"allowed_rooms\": [{\"target\": \"message\", \"customer\": \"1\"}]}"
    );
}

#[tokio::test]
async fn when_authentication_can_not_be_done() {
    let backend = Fixed::rooms(&[]);
    backend.say(Ok(Verdict::Refused));
    let server = high_templar::Server::builder(backend).build().unwrap();
    let mut client = Raw::connect(&server).await;
    let refused = r#"{"is_authenticated": false, "is_authorized": false}"#;
    assert_eq!(client.hear().await.unwrap(), refused);
    assert_eq!(client.end().await, Some(1000));
}

#[tokio::test]
async fn subscribing_to_a_room() {
    let server = server(Compat::Document, &[r#"{"target": "message", "customer": "1"}"#]);
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    client.enter(r#"{"target": "message", "customer": "1"}"#, "1").await;
    let other = r#"{"type": "subscribe", "room": {"target": "message", "customer": "2"}, "requestId": "2"}"#;
    let refused = r#"{"code": "error", "message": "room-not-found"}"#;
    assert_eq!(client.ask(other).await, refused);
    // "TODO: document unsubscribe"
    let leave = r#"{"type": "unsubscribe", "requestId": "1"}"#;
    assert_eq!(client.ask(leave).await, r#"{"code": "success"}"#);
}

const LOGIN: &str = r#"{"room": "user-login", "department": "finance"}"#;
const LOGOUT: &str = r#"{"room": "user-logout", "department": "finance"}"#;
const CREATE: &str = r#"{"target": "chat-create", "customer": "*"}"#;
const UPDATE: &str = r#"{"target": "chat-update", "customer": "*"}"#;
const CREATE_1: &str = r#"{"target": "chat-create", "customer": "1"}"#;
const CREATE_2: &str = r#"{"target": "chat-create", "customer": "2"}"#;

#[tokio::test]
async fn room_permissions() {
    let server = server(Compat::Document, &[LOGIN, LOGOUT, CREATE, UPDATE]);
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    for (at, room) in [LOGIN, LOGOUT, CREATE, UPDATE, CREATE_1, CREATE_2].iter().enumerate() {
        client.enter(room, &at.to_string()).await;
    }
}

/// "Using the *, we can cut 2 rooms. So this is the exactly the same as".
#[tokio::test]
async fn sending_data_to_a_room() {
    let server = server(Compat::Document, &[CREATE, UPDATE]);
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    for (room, id) in [(CREATE, "s"), (CREATE_1, "1"), (CREATE_2, "2"), (UPDATE, "u")] {
        client.enter(room, id).await;
    }
    let long =
        format!(r#"{{"rooms": [{CREATE}, {CREATE_1}, {CREATE_2}], "data": "Example text body"}}"#);
    let short = format!(r#"{{"rooms": [{CREATE}], "data": "Example text body"}}"#);
    for body in [long, short] {
        for path in ["/trigger/", "/trigger"] {
            let answer = post(&server, path, body.as_bytes()).await;
            assert_eq!(answer, (200, "publish success".to_owned()));
            let mut heard = client.drain().await;
            heard.sort();
            let publish = |id: &str| {
                format!(
                    r#"{{"type": "publish", "data": "Example text body", "requestId": "{id}"}}"#
                )
            };
            assert_eq!(heard, ["1", "2", "s"].map(publish));
        }
    }
}

#[tokio::test]
async fn a_subscription_gets_a_trigger_once_however_often_it_is_named() {
    let server = server(Compat::Document, &[r#"{"a":"*"}"#]);
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    client.enter(r#"{"a":"1"}"#, "x").await;
    trigger(&server, &[r#"{"a":"1"}"#, r#"{"a":"*"}"#, r#"{"a":"1"}"#], "1").await;
    assert_eq!(client.drain().await.len(), 1);
    // What stands for nobody reaches nobody: other keys, other values.
    trigger(&server, &[r#"{"b":"*"}"#, r#"{"a":"*","b":"*"}"#, r#"{"a":1}"#], "1").await;
    assert!(client.drain().await.is_empty());
}

#[tokio::test]
async fn ping_pong() {
    let server = server(Compat::Document, &[]);
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    assert_eq!(client.ask("ping").await, "pong");
}

/// By default data is what the publisher wrote, to the letter.
#[tokio::test]
async fn data_is_handed_on_as_it_is() {
    let server = server(Compat::Document, &["{}"]);
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    client.enter("{}", "a").await;
    let data = "{\"b\":1.50,\"a\":[\"\u{160}\",100000000000000000000000001]}";
    trigger(&server, &["{}"], data).await;
    let expected = format!(r#"{{"type": "publish", "data": {data}, "requestId": "a"}}"#);
    assert_eq!(client.drain().await, [expected]);
}
