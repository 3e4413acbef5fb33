//! The Satori RTM server, PDU by PDU (docs/protocols/satori-rtm.md, 2 to 6).

mod cbor;
mod kv;
mod views;

use realtime_sandbox::{Engine, RtmConfig, RtmServer, What};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use ws_core::{ClientRequest, Connection, Endpoint, Keys, Limits, Message};

struct Raw {
    socket: Connection<DuplexStream>,
    server: RtmServer,
}

impl Raw {
    async fn new(engine: Engine, config: RtmConfig) -> Self {
        let server = RtmServer::new(config, engine);
        Self { socket: Self::open(&server).await, server }
    }

    async fn open(server: &RtmServer) -> Connection<DuplexStream> {
        let url = format!("ws://127.0.0.1/v2?appkey={}", server.appkey());
        let endpoint: Endpoint = url.parse().unwrap();
        let request = ClientRequest::new(&endpoint);
        let limits = Limits::default();
        ws_core::connect(server.pipe(), request, limits, Keys::system()).await.unwrap().0
    }

    async fn send(&mut self, text: &str) {
        self.socket.send(&Message::text(text)).await.unwrap();
    }

    async fn receive(&mut self) -> Value {
        match self.socket.next().await.unwrap() {
            Some(Message::Text(text)) => serde_json::from_str(&text).unwrap(),
            other => panic!("{other:?}"),
        }
    }

    async fn ask(&mut self, action: &str, body: Value) -> Value {
        self.send(&json!({"action": action, "id": 1, "body": body}).to_string()).await;
        self.receive().await
    }

    /// Asks, and expects an error of this code.
    async fn refused(&mut self, action: &str, body: Value) -> String {
        let reply = self.ask(action, body).await;
        assert_eq!(reply["action"], format!("{action}/error"), "{reply}");
        reply["body"]["error"].as_str().unwrap().to_owned()
    }

    async fn authenticate(&mut self, secret: &str) -> Value {
        let role = self.server.role().to_owned();
        let body = json!({"method": "role_secret", "data": {"role": role}});
        let reply = self.ask("auth/handshake", body).await;
        let nonce = reply["body"]["data"]["nonce"].as_str().unwrap();
        let hash = hash(secret, nonce);
        let body = json!({"method": "role_secret", "credentials": {"hash": hash}});
        self.ask("auth/authenticate", body).await
    }
}

fn hash(secret: &str, nonce: &str) -> String {
    use base64::{Engine as _, engine::general_purpose::STANDARD};
    use hmac::{Hmac, KeyInit, Mac};
    let mut mac = Hmac::<md5::Md5>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(nonce.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

async fn on_both<F: Future<Output = ()>>(test: impl Fn(Raw) -> F) {
    for engine in Engine::ALL {
        test(Raw::new(engine, RtmConfig::default()).await).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_reply_carries_the_id_with_its_type_and_a_request_without_one_gets_none() {
    on_both(|mut raw| async move {
        let body = json!({"channel": "c", "message": 1});
        for id in [json!(7), json!("seven"), json!(0)] {
            let request = json!({"action": "rtm/publish", "id": id, "body": body});
            raw.send(&request.to_string()).await;
            let reply = raw.receive().await;
            assert_eq!((&reply["action"], &reply["id"]), (&json!("rtm/publish/ok"), &id));
        }
        raw.send(&json!({"action": "rtm/publish", "body": {}}).to_string()).await;
        raw.send(&json!({"action": "rtm/publish", "body": body}).to_string()).await;
        // The next reply is the one of the next request with an id.
        let reply = raw.ask("rtm/read", json!({"channel": "c"})).await;
        assert_eq!(reply["action"], "rtm/read/ok");
        assert_eq!(raw.server.log().count(|w| *w == What::Sent("rtm/publish/ok".into())), 3);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_error_has_its_code() {
    on_both(|mut raw| async move {
        for (action, body, code) in [
            ("rtm/dance", json!({}), "invalid_operation"),
            ("shop/buy", json!({}), "invalid_service"),
            ("rtm/publish", json!({}), "invalid_format"),
            ("rtm/publish", json!({"channel": "", "message": 1}), "invalid_format"),
            ("rtm/publish", json!({"channel": "$sys", "message": 1}), "invalid_format"),
            ("rtm/publish", json!({"channel": "x".repeat(257), "message": 1}), "invalid_format"),
            ("rtm/publish", json!({"channel": "c", "message": "x".repeat(65_536)}), "invalid_format"),
            ("rtm/publish", json!({"channel": "restricted", "message": 1}), "authorization_denied"),
            ("rtm/read", json!({"channel": "c", "position": "x"}), "invalid_format"),
            ("rtm/read", json!({"channel": "c", "position": "1:0"}), "expired_position"),
            ("rtm/subscribe", json!({}), "invalid_format"),
            ("rtm/subscribe", json!({"channel": "c", "subscription_id": "d"}), "invalid_format"),
            ("rtm/subscribe", json!({"channel": "c", "position": "x"}), "invalid_format"),
            ("rtm/subscribe", json!({"channel": "c", "position": "1:0"}), "expired_position"),
            ("rtm/subscribe", json!({"channel": "c", "history": {"count": 1, "age": 1}}), "invalid_format"),
            ("rtm/subscribe", json!({"subscription_id": "v", "filter": "select *"}), "invalid_filter"),
            ("rtm/subscribe", json!({"filter": "select * from c"}), "invalid_format"),
            ("rtm/subscribe", json!({"channel": "c", "period": 61}), "invalid_format"),
            ("rtm/subscribe", json!({"channel": "c", "prefix": true}), "invalid_format"),
            ("rtm/unsubscribe", json!({}), "invalid_format"),
            ("rtm/unsubscribe", json!({"subscription_id": "c"}), "not_subscribed"),
            ("auth/handshake", json!({"method": "x", "data": {"role": "r"}}), "auth_method_not_allowed"),
            (
                "auth/authenticate",
                json!({"method": "role_secret", "credentials": {"hash": "x"}}),
                "authentication_failed",
            ),
        ] {
            assert_eq!(raw.refused(action, body.clone()).await, code, "{action} {body}");
        }
        raw.ask("rtm/subscribe", json!({"channel": "c"})).await;
        assert_eq!(
            raw.ask("rtm/subscribe", json!({"channel": "c"})).await["body"],
            json!({"error": "already_subscribed", "reason": "Already subscribed", "subscription_id": "c"})
        );
        let forced = raw.ask("rtm/subscribe", json!({"channel": "c", "force": true})).await;
        assert_eq!(forced["action"], "rtm/subscribe/ok");
        for (garbage, code, id) in [
            ("", "json_parse_error", Value::Null),
            ("nonsense", "json_parse_error", Value::Null),
            ("[\"rtm/read\", 1, {}]", "json_parse_error", Value::Null),
            ("{}", "invalid_format", Value::Null),
            ("{\"action\": 1, \"id\": 7}", "invalid_format", json!(7)),
        ] {
            raw.send(garbage).await;
            let reply = raw.receive().await;
            assert_eq!((&reply["action"], &reply["id"]), (&json!("/error"), &id));
            assert_eq!(reply["body"]["error"], code, "{garbage}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn authentication_opens_the_restricted_channel_and_a_nonce_serves_once() {
    on_both(|mut raw| async move {
        let refused = raw.authenticate("wrong").await;
        let words = json!({"error": "authentication_failed", "reason": "Unauthenticated"});
        assert_eq!(
            (&refused["action"], &refused["body"]),
            (&json!("auth/authenticate/error"), &words)
        );
        let denied = json!({"channel": "restricted", "message": 1});
        assert_eq!(raw.refused("rtm/publish", denied.clone()).await, "authorization_denied");
        let secret = raw.server.role_secret().to_owned();
        let opened = raw.authenticate(&secret).await;
        assert_eq!(opened["action"], "auth/authenticate/ok");
        assert_eq!(raw.ask("rtm/publish", denied).await["action"], "rtm/publish/ok");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn positions_are_inclusive_and_data_names_the_one_after_the_batch() {
    on_both(|mut raw| async move {
        let mut positions = Vec::new();
        for n in 0..3 {
            let reply = raw.ask("rtm/publish", json!({"channel": "c", "message": n})).await;
            positions.push(reply["body"]["position"].as_str().unwrap().to_owned());
        }
        let body = json!({"channel": "c", "position": positions[1]});
        let reply = raw.ask("rtm/subscribe", body).await;
        assert_eq!(reply["body"], json!({"position": positions[1], "subscription_id": "c"}));
        let data = raw.receive().await;
        assert_eq!(data["body"]["messages"], json!([1, 2]));
        let next = data["body"]["position"].clone();
        let reply = raw.ask("rtm/unsubscribe", json!({"subscription_id": "c"})).await;
        assert_eq!(reply["body"], json!({"position": next, "subscription_id": "c"}));
        let reply = raw.ask("rtm/subscribe", json!({"channel": "c", "position": next})).await;
        assert_eq!(reply["action"], "rtm/subscribe/ok");
        let reply = raw.ask("rtm/publish", json!({"channel": "c", "message": 3})).await;
        assert_eq!(reply["body"]["position"], next);
        assert_eq!(raw.receive().await["body"]["messages"], json!([3]));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn values_are_read_written_deleted_and_compared() {
    on_both(|mut raw| async move {
        let read = json!({"channel": "k"});
        assert_eq!(raw.ask("rtm/read", read.clone()).await["body"]["message"], Value::Null);
        let first = raw.ask("rtm/write", json!({"channel": "k", "message": {"v": 1.50}})).await;
        let first = first["body"]["position"].clone();
        let reply = raw.ask("rtm/read", read.clone()).await;
        assert_eq!(reply["body"], json!({"position": first, "message": {"v": 1.5}}));
        let set = |position: &Value| json!({"channel": "k", "message": 2, "position": position});
        let second = raw.ask("rtm/write", set(&first)).await["body"]["position"].clone();
        assert_eq!(raw.refused("rtm/write", set(&first)).await, "position_mismatch");
        assert_eq!(raw.refused("rtm/write", set(&json!("x"))).await, "invalid_format");
        let reply = raw.ask("rtm/read", json!({"channel": "k", "position": first})).await;
        assert_eq!(reply["body"]["message"], json!({"v": 1.5}));
        let reply = raw.ask("rtm/delete", read.clone()).await;
        assert_ne!(reply["body"]["position"], second);
        assert_eq!(raw.ask("rtm/read", read.clone()).await["body"]["message"], Value::Null);
        let purge = json!({"channel": "k", "purge": true});
        assert_eq!(raw.ask("rtm/delete", purge).await["body"], json!({}));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn who_falls_out_of_the_history_is_told_how_far() {
    for engine in Engine::ALL {
        let mut raw = Raw::new(engine, RtmConfig::default().history(3)).await;
        let mut fast = Raw::open(&raw.server).await;
        let subscribe = json!({"channel": "c", "fast_forward": true});
        raw.ask("rtm/subscribe", subscribe).await;
        let request = json!({"action": "rtm/subscribe", "id": 1, "body": {"channel": "c"}});
        fast.send(&Message::text(request.to_string())).await.unwrap();
        fast.next().await.unwrap();
        // The pipes hold so much that neither falls behind before it is full.
        let big = "x".repeat(60_000);
        let mut other = Raw { socket: Raw::open(&raw.server).await, server: raw.server.clone() };
        for n in 0..12 {
            let message = json!({"n": n, "big": big});
            other.ask("rtm/publish", json!({"channel": "c", "message": message})).await;
        }
        let mut told = Vec::new();
        loop {
            let pdu = raw.receive().await;
            if pdu["action"] == "rtm/subscription/info" {
                told.push(pdu["body"].clone());
            } else if pdu["body"]["messages"].as_array().unwrap().iter().any(|m| m["n"] == 11) {
                break;
            }
        }
        assert_eq!(told.len(), 1, "{told:?}");
        assert_eq!(told[0]["info"], "fast_forward");
        assert!(told[0]["missed_message_count"].as_u64().unwrap() > 0);
        loop {
            let Some(Message::Text(text)) = fast.next().await.unwrap() else { panic!("no text") };
            let pdu: Value = serde_json::from_str(&text).unwrap();
            if pdu["action"] == "rtm/subscription/error" {
                assert_eq!(pdu["body"]["error"], "out_of_sync");
                assert!(pdu["body"]["missed_message_count"].as_u64().unwrap() > 0);
                break;
            }
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_the_right_path_appkey_and_host_open_a_connection() {
    for engine in Engine::ALL {
        let server = RtmServer::new(RtmConfig::default(), engine);
        let appkey = server.appkey();
        let right = format!("/v2?appkey={appkey}");
        for (path, host, status) in [
            (right.as_str(), "localhost:80", "101"),
            (right.as_str(), "[::1]:80", "101"),
            (right.as_str(), "[::1]", "101"),
            ("/v2?appkey=wrong", "localhost", "403"),
            ("/v2", "localhost", "404"),
            ("/v3?appkey=wrong", "localhost", "404"),
            (right.as_str(), "evil.example", "403"),
        ] {
            let mut io = server.pipe();
            let request = format!(
                "GET {path} HTTP/1.1\r\nHost: {host}\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n"
            );
            io.write_all(request.as_bytes()).await.unwrap();
            let mut line = [0; 12];
            io.read_exact(&mut line).await.unwrap();
            let line = String::from_utf8_lossy(&line).into_owned();
            assert_eq!(line, format!("HTTP/1.1 {status}"), "{path} {host} {engine}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn an_offered_json_is_selected_and_an_unknown_name_is_not() {
    for engine in Engine::ALL {
        let server = RtmServer::new(RtmConfig::default(), engine);
        let url = format!("ws://127.0.0.1/v2?appkey={}", server.appkey());
        let endpoint: Endpoint = url.parse().unwrap();
        for (offers, selected) in
            [(vec![], None), (vec!["cobra"], None), (vec!["cobra", "json"], Some("json"))]
        {
            let request = offers
                .iter()
                .fold(ClientRequest::new(&endpoint), |request, name| request.subprotocol(*name));
            let keys = Keys::system();
            let opened = ws_core::connect(server.pipe(), request, Limits::default(), keys).await;
            assert_eq!(opened.unwrap().1.subprotocol.as_deref(), selected, "{offers:?} {engine}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn only_value_changes_leaves_out_what_repeats() {
    on_both(|mut raw| async move {
        let body = json!({"channel": "c", "only": "value_changes"});
        assert_eq!(raw.ask("rtm/subscribe", body).await["action"], "rtm/subscribe/ok");
        for message in [1, 1, 2, 2, 2, 1] {
            let publish =
                json!({"action": "rtm/publish", "body": {"channel": "c", "message": message}});
            raw.send(&publish.to_string()).await;
        }
        let mut got = Vec::new();
        while got.len() < 3 {
            let data = raw.receive().await;
            got.extend(data["body"]["messages"].as_array().unwrap().iter().cloned());
        }
        assert_eq!(got, [1, 2, 1]);
        let odd = json!({"channel": "d", "only": "odd"});
        assert_eq!(raw.refused("rtm/subscribe", odd).await, "invalid_format");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_was_read_can_be_compared_and_set_after_a_purge_too() {
    on_both(|mut raw| async move {
        raw.ask("rtm/write", json!({"channel": "k", "message": 1})).await;
        raw.ask("rtm/delete", json!({"channel": "k", "purge": true})).await;
        let read = raw.ask("rtm/read", json!({"channel": "k"})).await;
        let set = json!({"channel": "k", "message": 2, "position": read["body"]["position"]});
        assert_eq!(raw.ask("rtm/write", set.clone()).await["action"], "rtm/write/ok");
        // The place before all is taken once.
        assert_eq!(raw.refused("rtm/write", set).await, "position_mismatch");
        let read = raw.ask("rtm/read", json!({"channel": "new"})).await;
        let set = json!({"channel": "new", "message": 1, "position": read["body"]["position"]});
        assert_eq!(raw.ask("rtm/write", set.clone()).await["action"], "rtm/write/ok");
        assert_eq!(raw.refused("rtm/write", set).await, "position_mismatch");
        let empty = raw.ask("rtm/read", json!({"channel": "empty"})).await;
        let from = json!({"channel": "empty", "position": empty["body"]["position"]});
        assert_eq!(raw.ask("rtm/subscribe", from).await["action"], "rtm/subscribe/ok");
    })
    .await;
}

#[tokio::test]
async fn who_publishes_without_a_pause_still_gets_deliveries() {
    on_both(|mut raw| async move {
        raw.ask("rtm/subscribe", json!({"channel": "c"})).await;
        let server = raw.server.clone();
        let (mut sent, mut got) = (0, 0);
        while got < 20_000 {
            // Reading writes what is queued, as far as the server takes it.
            while sent < 20_000 && raw.socket.has_room() {
                let body = json!({"channel": "c", "message": sent});
                let publish = json!({"action": "rtm/publish", "body": body}).to_string();
                raw.socket.queue(&Message::text(publish)).unwrap();
                sent += 1;
            }
            let data = raw.receive().await;
            assert_eq!(data["action"], "rtm/subscription/data", "{data}");
            got += data["body"]["messages"].as_array().unwrap().len();
        }
        assert_eq!(
            server.log().count(|what| matches!(what, What::Sent(a) if a.ends_with("error"))),
            0
        );
    })
    .await;
}

#[tokio::test]
async fn dropping_the_server_ends_its_connections_and_frees_its_port() {
    for engine in Engine::ALL {
        let server = RtmServer::new(RtmConfig::default(), engine);
        server.listen(0).await.unwrap();
        let address = server.address().unwrap();
        let mut tcp = tokio::net::TcpStream::connect(address).await.unwrap();
        let mut pipe = Raw::open(&server).await;
        // The accept task has seen the connection when it answers on it.
        tcp.write_all(b"nonsense\r\n\r\n").await.unwrap();
        tcp.readable().await.unwrap();
        drop(server);
        assert!(matches!(pipe.next().await, Ok(None) | Err(_)));
        let _rest = tcp.read_to_end(&mut Vec::new()).await;
        while tokio::net::TcpStream::connect(address).await.is_ok() {
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_position_of_one_server_means_nothing_to_the_next() {
    for engine in Engine::ALL {
        let mut first = Raw::new(engine, RtmConfig::default()).await;
        let reply = first.ask("rtm/publish", json!({"channel": "c", "message": 1})).await;
        let position = reply["body"]["position"].clone();
        let mut next = Raw::new(engine, RtmConfig::default()).await;
        next.ask("rtm/publish", json!({"channel": "c", "message": 1})).await;
        let body = json!({"channel": "c", "position": position});
        assert_eq!(next.refused("rtm/subscribe", body).await, "expired_position");
    }
}
