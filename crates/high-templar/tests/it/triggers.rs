//! Triggers and status over HTTP (docs/protocols/high-templar.md, 12).

use high_templar::{Compat, Config};

use crate::support::{Raw, builder, http, post, server};

#[tokio::test]
async fn what_is_no_trigger_is_refused_by_name() {
    let server = server(Compat::Document, &["{}"]);
    let huge = format!(r#"{{"rooms":[],"data":"{}"}}"#, "x".repeat(10 << 20));
    let deep =
        format!(r#"{{"rooms":[{}{{}}{}],"data":1}}"#, r#"{"a":"#.repeat(200), "}".repeat(200));
    for (body, status, told) in [
        (&br#"{"data": 1}"#[..], 400, "rooms not specified"),
        (br#"{"rooms": null, "data": 1}"#, 400, "rooms not specified"),
        (br#"{"rooms": []}"#, 400, "data not specified"),
        (b"[1]", 400, "rooms not specified"),
        (br#"{"rooms": [{}, "x"], "data": 1}"#, 400, "room 1: "),
        (b"{ [ {} ], \"data\": 1 }", 400, "key must be a string"),
        (b"", 400, "EOF"),
        (b"{\"rooms\":[],\"data\":\"\xff\"}", 400, ""),
        (deep.as_bytes(), 400, "room 0: "),
        (huge.as_bytes(), 413, "at most 1048576 bytes"),
    ] {
        let (answered, text) = post(&server, "/trigger/", body).await;
        assert_eq!(answered, status, "{text}");
        assert!(text.contains(told), "{text}");
    }
    for body in [r#"{"rooms": [], "data": null}"#, r#"{"data": 1, "rooms": [{}], "more": 2}"#] {
        let answer = post(&server, "/trigger/", body.as_bytes()).await;
        assert_eq!(answer, (200, "publish success".to_owned()));
    }
}

#[tokio::test]
async fn each_route_takes_its_method() {
    let server = server(Compat::Document, &[]);
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: h:1\r\nConnection: close\r\n\r\n");
    for (path, status) in [
        ("/", 404),
        ("/trigger/", 405),
        ("/ws", 308),
        ("/ws/x", 404),
        ("/ws/", 400),
        ("/ws/?token=1", 400),
        ("/status", 200),
    ] {
        assert_eq!(http(&server, get(path).as_bytes()).await.0, status, "{path}");
    }
    let (_, page) = http(&server, get("/status/").as_bytes()).await;
    let page: serde_json::Value = serde_json::from_str(&page).unwrap();
    assert_eq!((&page["open_connections"], &page["slow_consumers"]), (&0.into(), &0.into()));
    assert_eq!(post(&server, "/status", b"").await.0, 405);
}

#[tokio::test]
async fn a_token_is_asked_for_and_publishers_have_a_door_of_their_own() {
    let config = Config::new().trigger_token("s3cr3t");
    let guarded = builder(&["{}"]).config(config).build().unwrap();
    let body = br#"{"rooms":[{}],"data":1}"#;
    assert_eq!(post(&guarded, "/trigger/", body).await.0, 401);
    for (token, status) in [("Bearer s3cr3t", 200), ("Bearer s3cr3T", 401), ("Bearer s3cr3t1", 401)]
    {
        let head = format!(
            "POST /trigger/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\
             Authorization: {token}\r\nContent-Length: {}\r\n\r\n",
            body.len()
        );
        let answer = http(&guarded, &[head.as_bytes(), body].concat()).await;
        assert_eq!(answer.0, status, "{token}");
    }
    let inner = builder(&["{}"]).config(Config::new().internal_triggers()).build().unwrap();
    assert_eq!(post(&inner, "/trigger/", body).await.0, 404);
    let (mut client, theirs) = tokio::io::duplex(1 << 16);
    let serving = inner.clone();
    tokio::spawn(async move { serving.serve_internal(theirs).await });
    let head = format!(
        "POST /trigger/ HTTP/1.1\r\nHost: h\r\nConnection: close\r\nContent-Length: {}\r\n\r\n",
        body.len()
    );
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    client.write_all(&[head.as_bytes(), body].concat()).await.unwrap();
    let mut answer = String::new();
    client.read_to_string(&mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 200"), "{answer}");
    assert!(answer.ends_with("publish success"));
}

#[tokio::test]
async fn servers_on_one_bus_share_their_triggers() {
    let bus = high_templar::LocalBus::new();
    let [one, two] = [(); 2].map(|()| builder(&["{}"]).bus(bus.clone()).build().unwrap());
    let mut client = Raw::connect(&two).await;
    client.hear().await.unwrap();
    client.enter("{}", "a").await;
    assert_eq!(post(&one, "/trigger/", br#"{"rooms":[{}],"data":7}"#).await.0, 200);
    assert_eq!(client.drain().await.len(), 1);
    assert_eq!([one.status(), two.status()].map(|status| status.triggers_received), [1, 1]);
    drop(one);
    assert_eq!(post(&two, "/trigger/", br#"{"rooms":[{}],"data":7}"#).await.0, 200);
    assert_eq!(client.drain().await.len(), 1);
}

#[tokio::test]
async fn what_a_trigger_names_is_bounded() {
    let server = server(Compat::Document, &[r#"{"a":"*"}"#]);
    let named = |rooms: Vec<String>| format!(r#"{{"rooms":[{}],"data":1}}"#, rooms.join(","));
    let many = |count: usize| named(vec!["{}".to_owned(); count]);
    assert_eq!(post(&server, "/trigger/", many(10_000).as_bytes()).await.0, 200);
    let (status, text) = post(&server, "/trigger/", many(10_001).as_bytes()).await;
    assert_eq!((status, &*text), (400, "a trigger names at most 10000 rooms"));
    let stars =
        |count: usize| named((0..count).map(|n| format!(r#"{{"a":"*","{n}":1}}"#)).collect());
    assert_eq!(post(&server, "/trigger/", stars(100).as_bytes()).await.0, 200);
    let (status, text) = post(&server, "/trigger/", stars(101).as_bytes()).await;
    assert_eq!((status, &*text), (400, "a trigger names at most 100 stars"));
}

#[test]
fn a_token_that_is_none_is_refused() {
    for token in ["", "two words", "line\n"] {
        let config = Config::new().trigger_token(token);
        let error = builder(&[]).config(config).build().unwrap_err();
        assert_eq!(error.option, "trigger_token", "{token:?}");
    }
}
