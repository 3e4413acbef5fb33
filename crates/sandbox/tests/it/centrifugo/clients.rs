//! What clients are told, on either engine.

use std::time::Duration;

use realtime_sandbox::{CentrifugoConfig, ChannelOptions, Engine};
use serde_json::json;

use super::support::{Client, call, server};

#[tokio::test]
async fn a_publication_by_http_reaches_its_subscribers() {
    for engine in Engine::ALL {
        let server = server(CentrifugoConfig::default(), engine);
        let mut client = Client::connect(&server).await;
        let reply = client.ask("subscribe", json!({"channel": "news"})).await;
        assert_eq!(reply["subscribe"]["recoverable"], true, "{reply}");
        let text = r#"{"n":1.0,"s":"<é>"}"#;
        let params = serde_json::from_str(&format!(r#"{{"channel":"news","data":{text}}}"#));
        call(&server, "publish", params.unwrap()).await;
        let push = client.receive().await;
        assert_eq!(push["push"]["channel"], "news");
        assert_eq!(push["push"]["pub"]["data"], json!({"n": 1.0, "s": "<é>"}));
        assert_eq!(push["push"]["pub"]["offset"], 1);
        // A channel without a history has no offsets.
        let reply = client.ask("subscribe", json!({"channel": "bare:x"})).await;
        assert_eq!(reply["subscribe"], json!({}));
        call(&server, "publish", json!({"channel": "bare:x", "data": 7})).await;
        assert_eq!(client.receive().await["push"]["pub"], json!({"data": 7}));
    }
}

#[tokio::test]
async fn who_comes_back_gets_what_was_missed_or_is_told_so() {
    let config = CentrifugoConfig::default()
        .without_namespace(ChannelOptions::default().history(3, Duration::from_secs(60)));
    let server = server(config, Engine::WsCore);
    let mut client = Client::connect(&server).await;
    let place = client.ask("subscribe", json!({"channel": "a"})).await["subscribe"].clone();
    assert_eq!(place["offset"], 0);
    drop(client);
    for n in 1..=3 {
        call(&server, "publish", json!({"channel": "a", "data": n})).await;
    }
    let from = json!({"channel": "a", "recover": true, "epoch": place["epoch"], "offset": 0});
    let mut client = Client::connect(&server).await;
    let back = client.ask("subscribe", from.clone()).await["subscribe"].clone();
    assert_eq!(back["recovered"], true, "{back}");
    let missed: Vec<_> =
        back["publications"].as_array().unwrap().iter().map(|p| &p["data"]).collect();
    assert_eq!(missed, [1, 2, 3]);
    // One more, and the first is gone: nothing is given that has a hole.
    call(&server, "publish", json!({"channel": "a", "data": 4})).await;
    let mut late = Client::connect(&server).await;
    let back = late.ask("subscribe", from).await["subscribe"].clone();
    assert_eq!((back["recovered"].clone(), back.get("publications")), (json!(false), None));
    // Another epoch is another history.
    let from = json!({"channel": "a", "recover": true, "epoch": "zzzz", "offset": 4});
    let mut stranger = Client::connect(&server).await;
    let back = stranger.ask("subscribe", from).await["subscribe"].clone();
    assert_eq!((back["recovered"].clone(), back["offset"].clone()), (json!(false), json!(4)));
}

#[tokio::test]
async fn the_api_subscribes_unsubscribes_and_disconnects() {
    for engine in Engine::ALL {
        let server = server(CentrifugoConfig::default(), engine);
        let mut client = Client::connect(&server).await;
        let nobody = json!({"user": "", "channel": "srv", "data": {"d": 1}, "info": {"i": 1}});
        call(&server, "subscribe", nobody.clone()).await;
        let told = client.receive().await;
        assert_eq!(told, json!({"push": {"channel": "srv", "subscribe": {"data": {"d": 1}}}}));
        let presence = call(&server, "presence", json!({"channel": "srv"})).await;
        let known = presence["presence"].as_object().unwrap().values().next().unwrap().clone();
        assert_eq!(known["chan_info"], json!({"i": 1}));
        call(&server, "unsubscribe", json!({"user": "", "channel": "srv"})).await;
        let told = client.receive().await;
        assert_eq!(told["push"]["unsubscribe"]["code"], 2000, "{told}");
        // Another user's connections are not touched.
        call(&server, "disconnect", json!({"user": "42"})).await;
        call(&server, "disconnect", json!({"disconnect": {"code": 4000, "reason": "bye"}})).await;
        assert_eq!(client.closed().await, (4000, "bye".into()));
        assert_eq!(call(&server, "info", json!({})).await["nodes"][0]["num_clients"], 0);
    }
}

#[tokio::test]
async fn bad_clients_are_told_why_and_closed() {
    for engine in Engine::ALL {
        let server = server(CentrifugoConfig::default(), engine);
        for (text, code) in [
            ("not json", 3501),
            ("[]", 3501),
            (r#"{"id":1,"subscribe":{"channel":"a"}}"#, 3501),
            (r#"{"id":1,"connect":{"token":"a.b.c"}}"#, 3500),
        ] {
            let mut client = Client::open(&server).await;
            client.send(text).await;
            assert_eq!(client.closed().await.0, code, "{text}");
        }
        let mut client = Client::connect(&server).await;
        client.ask("subscribe", json!({"channel": "a"})).await;
        let codes = [("a", 105), ("nope:x", 102), ("", 107)];
        for (channel, code) in codes {
            let reply = client.ask("subscribe", json!({"channel": channel})).await;
            assert_eq!(reply["error"]["code"], code, "{reply}");
        }
        assert_eq!(client.ask("nonsense", json!({})).await["error"]["code"], 104);
    }
}

#[tokio::test]
async fn what_is_no_json_closes_clients_of_json() {
    let server = server(CentrifugoConfig::default(), Engine::WsCore);
    let mut client = Client::connect(&server).await;
    client.ask("subscribe", json!({"channel": "a"})).await;
    call(&server, "publish", json!({"channel": "a", "b64data": "bm90IGpzb24="})).await;
    assert_eq!(client.closed().await.0, 3506);
}

#[tokio::test(start_paused = true)]
async fn who_does_not_answer_a_ping_is_closed() {
    for engine in Engine::ALL {
        let server = server(CentrifugoConfig::default(), engine);
        let mut client = Client::connect(&server).await;
        for _ in 0..3 {
            assert_eq!(client.receive().await, json!({}));
            client.send("{}").await;
        }
        assert_eq!(client.receive().await, json!({}));
        assert_eq!(client.closed().await, (3012, "no pong".into()));
    }
}

#[tokio::test]
async fn who_does_not_read_is_let_go_and_the_rest_is_served() {
    let server = server(CentrifugoConfig::default(), Engine::WsCore);
    let mut slow = Client::connect(&server).await;
    slow.ask("subscribe", json!({"channel": "bare:a"})).await;
    let data = "x".repeat(1000);
    // More than pipe and queue hold.
    for _ in 0..60 {
        let one = json!({"channels": vec!["bare:a"; 100], "data": data});
        call(&server, "broadcast", one).await;
    }
    let presence = call(&server, "channels", json!({})).await;
    assert_eq!(presence, json!({"channels": {}}));
}
