//! The conformance list (docs/protocols/stream-sea.md, 14), row by row, on both
//! engines. Rows of tokens are in `tokens`.

use std::{io::Write, time::Duration};

use flate2::{Compression, write::GzEncoder};
use realtime_sandbox::{Engine, StreamSeaConfig, StreamSeaServer, What};
use serde_json::json;
use stream_sea::{
    Client, Credentials, Delivery, Error, Event, GapReason, InboxLimits, Overflow, State, Subscribe,
};

use crate::{
    raw::{Raw, call, call_as, post},
    support::{config_as, connect, nothing_comes, on_both_engines, take, within},
};

fn gzip(text: &str) -> Vec<u8> {
    let mut encoder = GzEncoder::new(Vec::new(), Compression::best());
    encoder.write_all(text.as_bytes()).unwrap();
    encoder.finish().unwrap()
}

#[tokio::test(start_paused = true)]
async fn row_01_plain_and_gzip_define() {
    on_both_engines(|server| async move {
        let body = json!({"version": 1, "fields": [{"name": "level", "type": "float"}]});
        assert_eq!(post(&server, "/streams/a/define", body.clone()).await.0, 200);
        let packed = gzip(&body.to_string());
        let headers = [("Content-Encoding", "gzip")];
        let defined = call(&server, "POST", "/streams/b/define", &packed, &headers).await;
        assert_eq!(defined.0, 200);
        let broken = call(&server, "POST", "/streams/b/define", b"junk", &headers).await;
        assert_eq!(broken.0, 400);
        let bomb = gzip(&" ".repeat(11 << 20));
        assert_eq!(call(&server, "POST", "/streams/b/define", &bomb, &headers).await.0, 413);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_02_row_03_schema_without_a_body_has_three_keys() {
    on_both_engines(|server| async move {
        let headers = [("Content-Encoding", "gzip"), ("Content-Type", "application/json")];
        let (status, body) = call(&server, "GET", "/streams/tides/schema", b"", &headers).await;
        assert_eq!((status, body), (200, json!({"name": "tides", "version": 1, "fields": []})));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_04_row_05_row_06_versions_decide_and_keep_their_type() {
    on_both_engines(|server| async move {
        let define = |version, fields| {
            let body = json!({"version": version, "fields": fields});
            let server = &server;
            async move { post(server, "/streams/v/define", body).await }
        };
        let a = json!({"name": "a", "type": "float"});
        let b = json!({"name": "b", "type": "enum", "enum": ["x", "y"]});
        let b_turned = json!({"name": "b", "type": "enum", "enum": ["y", "x"]});
        assert_eq!(define(json!("1.0.0"), json!([a, b])).await.0, 200);
        assert_eq!(define(json!("1.0.0"), json!([b_turned, a])).await.0, 200);
        let (status, body) = define(json!("1.0.0"), json!([a])).await;
        assert_eq!(status, 400);
        assert!(body["message"].is_string());
        let (status, body) = define(json!("0.9.0"), json!([a])).await;
        assert_eq!(status, 400);
        assert_eq!(
            body["message"],
            "The version pushed for the schema [v] is [0.9.0] but there is already an older \
             version defined [1.0.0]"
        );
        let stored = call(&server, "GET", "/streams/v/schema", b"", &[]).await.1;
        assert_eq!(stored, json!({"name": "v", "version": "1.0.0", "fields": [a, b]}));
        assert_eq!(define(json!(2), json!([a])).await.0, 200);
        let stored = call(&server, "GET", "/streams/v/schema", b"", &[]).await.1;
        assert_eq!(stored["version"], json!(2));
        for wrong in [
            json!([{"name": "a", "type": "array<enum>"}]),
            json!([a, a]),
            json!([{"name": "e", "type": "enum", "enum": []}]),
            json!([{"name": "o", "type": "object"}]),
        ] {
            assert_eq!(define(json!(3), wrong).await.0, 400);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_07_a_missing_name_is_null_in_its_place() {
    on_both_engines(|server| async move {
        let body = json!({"schemaNames": ["nobody", "tides", "nobody"]});
        let (status, body) = post(&server, "/schema-versions-vector", body).await;
        assert_eq!((status, body), (200, json!({"versionsVector": [null, 1, null]})));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_08_a_wrong_secret_is_401_everywhere() {
    on_both_engines(|server| async move {
        for (verb, path) in [
            ("POST", "/streams/nobody/publish"),
            ("GET", "/streams/nobody/schema"),
            ("POST", "/jails"),
            ("PUT", "/client/app123"),
            ("GET", "/nowhere"),
        ] {
            let (status, body) = call_as(&server, "app123:wrong", verb, path, b"{}", &[]).await;
            assert_eq!(status, 401, "{path}");
            let message = "The credentials are present and well formed but invalid.";
            assert_eq!(body, json!({"message": message}));
            assert_eq!(call_as(&server, "nobody", verb, path, b"{}", &[]).await.0, 401);
        }
        assert_eq!(call(&server, "GET", "/nowhere", b"", &[]).await.0, 404);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_09_an_invalid_payload_is_told_error_by_error() {
    on_both_engines(|server| async move {
        let fields = json!([{"name": "level", "type": "float"}, {"name": "at", "type": "date"}]);
        post(&server, "/streams/s/define", json!({"version": 1, "fields": fields})).await;
        let payload = json!({"payload": {"level": "high", "at": "2026-02-30T00:00:00Z"}});
        let (status, body) = post(&server, "/streams/s/publish", payload).await;
        assert_eq!(status, 400);
        assert!(body["message"].is_string());
        let errors = body["errors"].as_array().unwrap();
        assert!(errors.len() == 2 && errors.iter().all(serde_json::Value::is_string), "{body}");
        let client = connect(&server).await;
        let error = client.publish("s", &json!({"level": "high"})).await.unwrap_err();
        let Error::Refused(refusal) = error else { panic!("{error:?}") };
        assert_eq!((refusal.status, refusal.errors.len()), (Some(400), 1));
        assert_eq!(post(&server, "/streams/s/publish", json!({})).await.0, 400);
        assert_eq!(post(&server, "/streams/nobody/publish", json!({"payload": {}})).await.0, 404);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_10_objects_and_batches_arrive_as_they_were_published() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut raw = client.subscribe("tides", Subscribe::new().fanout()).await.unwrap();
        let flat = Subscribe::new().fanout().flatten();
        let mut flat = client.subscribe("tides", flat).await.unwrap();
        client.publish("tides", &json!({"level": 1.75})).await.unwrap();
        client.publish("tides", &json!([{"level": 1.8}, {"level": 1.9}])).await.unwrap();
        let batch = r#"[{"level":1.8},{"level":1.9}]"#;
        assert_eq!(take(&mut raw, 2).await, [r#"{"level":1.75}"#, batch]);
        let one_by_one = [r#"{"level":1.75}"#, r#"{"level":1.8}"#, r#"{"level":1.9}"#];
        assert_eq!(take(&mut flat, 3).await, one_by_one);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_11_authentication_is_answered_once_and_then_closed_if_bad() {
    on_both_engines(|server| async move {
        let mut good = Raw::inside(&server).await;
        good.say(json!({"id": 2, "action": "authenticate", "payload": {}})).await;
        let again = good.hear().await;
        assert_eq!((&again["id"], &again["success"]), (&json!(2), &json!(false)));
        let mut bad = Raw::open(&server).await;
        let proof = json!({"type": "basic", "clientId": "app123", "clientSecret": "wrong"});
        bad.say(json!({"id": 1, "action": "authenticate", "payload": proof})).await;
        let reply = bad.hear().await;
        assert_eq!((&reply["id"], &reply["action"]), (&json!(1), &json!("authenticate")));
        assert_eq!(reply["success"], false);
        assert!(reply["error"]["message"].is_string());
        assert_eq!(bad.closed().await, 1008);
        let mut silent = Raw::open(&server).await;
        assert_eq!(silent.closed().await, 1008);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_12_a_subscription_is_answered_as_the_clients_need_it() {
    on_both_engines(|server| async move {
        let mut raw = Raw::inside(&server).await;
        let reply = raw.subscribe(2, None).await;
        let wanted = json!({"id": 2, "action": "subscription", "success": true,
            "streamName": "tides", "payload": 2});
        assert_eq!(reply, wanted);
        raw.say(json!({"id": 3, "action": "subscribe", "payload": "nobody"})).await;
        assert_eq!(raw.hear().await["success"], false);
        raw.say(json!({"id": 4, "action": "subscribe", "payload": "tides", "groupId": "x"})).await;
        assert_eq!(raw.hear().await["success"], false);
        raw.say(json!({"id": 5, "action": "dance"})).await;
        let reply = raw.hear().await;
        assert_eq!((&reply["action"], &reply["success"]), (&json!("dance"), &json!(false)));
        raw.say(json!({"id": 7, "action": "subscribe", "payload": "tides"})).await;
        assert_eq!(raw.hear().await["success"], false);
        assert_eq!(raw.closed().await, 1002);
        let mut junk = Raw::inside(&server).await;
        junk.say_text("[1]").await;
        assert_eq!(junk.closed().await, 1007);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_13_no_delivery_comes_before_the_reply() {
    on_both_engines(|server| async move {
        let publisher = connect(&server).await;
        let busy = tokio::spawn(async move {
            for n in 0.. {
                publisher.publish("tides", &json!({"n": n})).await.unwrap();
            }
        });
        let mut raw = Raw::inside(&server).await;
        for id in 2..30 {
            let group = format!("00000000-0000-4000-8000-0000000000{id:02}");
            let message =
                json!({"id": id, "action": "subscribe", "payload": "tides", "groupId": group});
            raw.say(message).await;
            let first = loop {
                let heard = raw.hear().await;
                if heard["id"] == id {
                    break heard;
                }
            };
            assert_eq!(first["success"], true, "{first}");
        }
        busy.abort();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_14_two_groups_on_one_connection_each_get_everything() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut one = client.subscribe("tides", Subscribe::new().fanout()).await.unwrap();
        let mut two = client.subscribe("tides", Subscribe::new().fanout()).await.unwrap();
        for n in 0..10 {
            client.publish("tides", &json!({"n": n})).await.unwrap();
        }
        assert_eq!(take(&mut one, 10).await, take(&mut two, 10).await);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_15_the_default_group_gets_each_message_once() {
    on_both_engines(|server| async move {
        let (a, b) = (connect(&server).await, connect(&server).await);
        let mut one = a.subscribe("tides", Subscribe::new()).await.unwrap();
        let mut two = b.subscribe("tides", Subscribe::new()).await.unwrap();
        let mut sent = Vec::new();
        for n in 0..10 {
            sent.push(format!(r#"{{"n":{n}}}"#));
            a.publish("tides", &json!({"n": n})).await.unwrap();
        }
        let mut got = [take(&mut one, 5).await, take(&mut two, 5).await].concat();
        got.sort();
        assert_eq!(got, sent);
        nothing_comes(&mut one).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_16_pings_come_within_30_s_and_are_answered() {
    on_both_engines(|server| async move {
        let mut raw = Raw::inside(&server).await;
        let start = tokio::time::Instant::now();
        loop {
            match within(raw.socket.next()).await.unwrap() {
                Some(ws_core::Message::Ping(_)) => break,
                Some(_) => {}
                None => panic!("closed"),
            }
        }
        assert!(start.elapsed() <= Duration::from_secs(30));
        let ping = ws_core::Message::Ping(vec![7].into());
        raw.socket.send(&ping).await.unwrap();
        loop {
            if let Some(ws_core::Message::Pong(bytes)) = within(raw.socket.next()).await.unwrap() {
                assert_eq!(&*bytes, [7]);
                break;
            }
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_21_a_lost_connection_is_made_again_with_new_ids() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut tides = client.subscribe("tides", Subscribe::new().fanout()).await.unwrap();
        for how in ["close", "abort"] {
            let told = match how {
                "close" => server.close_sockets(1001),
                _ => server.drop_sockets(),
            };
            assert_eq!(told, 1);
            let gap = within(tides.next()).await;
            let Some(Delivery::Gap(gap)) = gap else { panic!("{how}: {gap:?}") };
            assert_eq!((gap.reason, gap.missed), (GapReason::Reconnected, None));
            // What is published until the subscription is made again is missed.
            let mut n = 0;
            let first = loop {
                client.publish("tides", &json!({"n": n})).await.unwrap();
                n += 1;
                let next = tokio::time::timeout(Duration::from_secs(1), tides.next()).await;
                if let Ok(delivery) = next {
                    break delivery;
                }
            };
            assert!(matches!(first, Some(Delivery::Message(_))), "{first:?}");
        }
        let ids = server.log().count(|what| matches!(what, What::Received(a) if a == "subscribe"));
        assert_eq!(ids, 3);
        assert_eq!(client.stats().connects, 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_22_refused_credentials_are_final_and_the_socket_is_closed() {
    on_both_engines(|server| async move {
        let wrong = Credentials::basic(server.client_id(), "wrong");
        let client = Client::new(config_as(&server, wrong).retry_first_connect()).unwrap();
        let waiting = {
            let client = client.clone();
            tokio::spawn(async move { client.subscribe("tides", Subscribe::new()).await })
        };
        let error = client.start().await.unwrap_err();
        let Error::Refused(refusal) = &error else { panic!("{error:?}") };
        assert_eq!(refusal.action, "authenticate");
        assert!(error.hint().is_some());
        assert_eq!(client.state(), State::Stopped);
        let refused = waiting.await.unwrap().map(drop).unwrap_err();
        assert_eq!(refused.code(), "authenticate");
        tokio::time::sleep(Duration::from_secs(600)).await;
        assert_eq!(server.log().count(|what| *what == What::Opened), 1);
        assert_eq!(server.log().count(|what| *what == What::Ended), 1);
        client.set_credentials(crate::support::credentials(&server)).unwrap();
        client.start().await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_23_what_means_nothing_is_a_warning_and_no_more() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut tides = client.subscribe("tides", Subscribe::new()).await.unwrap();
        let mut events = client.events();
        for text in [r#"{"id":99,"payload":1}"#, "junk", "null", "[1,2]", "7", r#"{"id":2}"#] {
            assert_eq!(server.send_raw(text), 1);
            let event = within(events.next()).await.unwrap();
            assert!(matches!(&event, Event::Warning { .. }), "{text}: {event:?}");
        }
        client.publish("tides", &json!({"n": 1})).await.unwrap();
        assert_eq!(take(&mut tides, 1).await, [r#"{"n":1}"#]);
        assert_eq!(client.stats().connects, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_24_a_slow_consumer_leaves_the_others_alone() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let few = InboxLimits::default().max_messages(2);
        let dropping = Subscribe::new().fanout().inbox(few).overflow(Overflow::DropOldest);
        let ending = Subscribe::new().fanout().inbox(few).overflow(Overflow::Error);
        let mut slow = client.subscribe("tides", dropping).await.unwrap();
        let mut ended = client.subscribe("tides", ending).await.unwrap();
        let mut good = client.subscribe("tides", Subscribe::new().fanout()).await.unwrap();
        for n in 0..10 {
            client.publish("tides", &json!({"n": n})).await.unwrap();
        }
        assert_eq!(take(&mut good, 10).await.len(), 10);
        let Some(Delivery::Gap(gap)) = slow.next().await else { panic!() };
        assert_eq!((gap.reason, gap.missed), (GapReason::Overflow, Some(8)));
        assert_eq!(take(&mut slow, 2).await, [r#"{"n":8}"#, r#"{"n":9}"#]);
        assert_eq!(take(&mut ended, 2).await.len(), 2);
        let Some(Delivery::Ended(error)) = ended.next().await else { panic!() };
        assert_eq!(error.code(), "slow_consumer");
        assert!(ended.next().await.is_none());
        assert_eq!(client.stats().connects, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn row_25_jails_do_not_see_each_other() {
    on_both_engines(|server| async move {
        let owner = connect(&server).await;
        let jail = owner.create_jail("other", "the other", "newcomer").await.unwrap();
        assert_eq!((jail.id.as_str(), jail.client_id.as_str()), ("other", "newcomer"));
        let stranger = Credentials::basic(&*jail.client_id, &*jail.client_secret);
        let stranger = Client::connect(config_as(&server, stranger)).await.unwrap();
        assert!(stranger.describe_stream("tides").await.unwrap().is_none());
        let error = stranger.subscribe("tides", Subscribe::new()).await.unwrap_err();
        assert_eq!(error.code(), "subscribe");
        let schema = stream_sea::SchemaDefinition::new("tides", 7);
        stranger.define_stream(&schema).await.unwrap();
        let mut theirs = stranger.subscribe("tides", Subscribe::new()).await.unwrap();
        owner.publish("tides", &json!({"ours": 1})).await.unwrap();
        stranger.publish("tides", &json!({"theirs": 1})).await.unwrap();
        assert_eq!(take(&mut theirs, 1).await, [r#"{"theirs":1}"#]);
        // With a jail go its clients and their sockets.
        owner.delete_jail("other").await.unwrap();
        assert!(matches!(within(theirs.next()).await, Some(Delivery::Gap(_))));
        let Some(Delivery::Ended(error)) = within(theirs.next()).await else { panic!() };
        assert_eq!(error.code(), "authenticate");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_subscriber_who_does_not_read_is_closed_and_does_not_hold_up_others() {
    for engine in Engine::ALL {
        let config = StreamSeaConfig::default().stream("tides").queue(10, 1 << 20);
        let server = StreamSeaServer::new(config, engine);
        let mut stuck = Raw::inside(&server).await;
        stuck.subscribe(2, Some("00000000-0000-4000-8000-000000000001")).await;
        let client = connect(&server).await;
        let mut good = client.subscribe("tides", Subscribe::new().fanout()).await.unwrap();
        let text = "x".repeat(60_000);
        for n in 0..40 {
            client.publish("tides", &json!({"n": n, "text": text})).await.unwrap();
            assert_eq!(take(&mut good, 1).await.len(), 1);
        }
        assert_eq!(stuck.closed().await, 1013);
    }
}
