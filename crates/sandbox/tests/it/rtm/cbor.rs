//! CBOR (docs/protocols/satori-rtm.md, 5), and what JSON subscribers see of it.

use ciborium::{Value as Cbor, cbor};
use realtime_sandbox::{Engine, RtmConfig, RtmRights, RtmServer};
use serde_json::json;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use ws_core::{ClientRequest, Connection, Endpoint, Keys, Limits, Message};

use super::{Raw, hash};

struct Binary(Connection<DuplexStream>);

impl Binary {
    async fn open(server: &RtmServer) -> Self {
        let url = format!("ws://127.0.0.1/v2?appkey={}", server.appkey());
        let endpoint: Endpoint = url.parse().unwrap();
        let request = ClientRequest::new(&endpoint).subprotocol("cbor");
        let keys = Keys::system();
        let opened = ws_core::connect(server.pipe(), request, Limits::default(), keys).await;
        let (socket, response) = opened.unwrap();
        assert_eq!(response.subprotocol.as_deref(), Some("cbor"));
        Self(socket)
    }

    async fn ask(&mut self, request: Cbor) -> Cbor {
        let mut bytes = Vec::new();
        ciborium::into_writer(&request, &mut bytes).unwrap();
        self.0.send(&Message::Binary(bytes.into())).await.unwrap();
        self.receive().await
    }

    async fn receive(&mut self) -> Cbor {
        match self.0.next().await.unwrap() {
            Some(Message::Binary(bytes)) => ciborium::from_reader(&*bytes).unwrap(),
            other => panic!("{other:?}"),
        }
    }
}

fn field<'a>(map: &'a Cbor, name: &str) -> &'a Cbor {
    let mut fields = map.as_map().unwrap().iter();
    fields.find(|(key, _)| key.as_text() == Some(name)).map_or(&Cbor::Null, |(_, value)| value)
}

fn text<'a>(map: &'a Cbor, name: &str) -> &'a str {
    field(map, name).as_text().unwrap_or_default()
}

#[tokio::test(start_paused = true)]
async fn a_message_is_the_same_in_cbor_and_a_byte_string_is_base64_in_json() {
    for engine in Engine::ALL {
        let mut json = Raw::new(engine, RtmConfig::default()).await;
        let mut cbor = Binary::open(&json.server).await;
        json.ask("rtm/subscribe", json!({"channel": "c"})).await;
        let subscribe =
            cbor!({"action" => "rtm/subscribe", "id" => "s", "body" => {"channel" => "c"}});
        let reply = cbor.ask(subscribe.unwrap()).await;
        assert_eq!((text(&reply, "action"), text(&reply, "id")), ("rtm/subscribe/ok", "s"));

        let message = cbor!({"raw" => Cbor::Bytes(vec![0, 255, 16]), "n" => [1, -2, 2.5, null]});
        let message = message.unwrap();
        let publish = cbor!({"action" => "rtm/publish", "id" => 7, "body" => {"channel" => "c", "message" => message}});
        let reply = cbor.ask(publish.unwrap()).await;
        assert_eq!((text(&reply, "action"), field(&reply, "id")), ("rtm/publish/ok", &7.into()));
        let data = cbor.receive().await;
        let body = field(&data, "body");
        assert_eq!(field(body, "messages"), &Cbor::Array(vec![message.clone()]));
        assert_eq!(text(body, "subscription_id"), "c");
        let data = json.receive().await;
        assert_eq!(data["body"]["messages"], json!([{"raw": "AP8Q", "n": [1, -2, 2.5, null]}]));

        json.ask("rtm/write", json!({"channel": "k", "message": {"a": "é"}})).await;
        let read = cbor!({"action" => "rtm/read", "id" => 8, "body" => {"channel" => "k"}});
        let reply = cbor.ask(read.unwrap()).await;
        assert_eq!(field(field(&reply, "body"), "message"), &cbor!({"a" => "é"}).unwrap());
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_no_request_has_its_error() {
    for engine in Engine::ALL {
        let server = RtmServer::new(RtmConfig::default(), engine);
        let mut cbor = Binary::open(&server).await;
        for (bytes, code) in [
            (vec![], "cbor_parse_error"),
            (vec![0x80], "cbor_parse_error"),
            (vec![0xa0, 0], "cbor_parse_error"),
            (vec![0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff], "cbor_parse_error"),
            (vec![0x81; 60_000], "cbor_parse_error"),
            (vec![0xa0], "invalid_format"),
        ] {
            cbor.0.send(&Message::Binary(bytes.into())).await.unwrap();
            let reply = cbor.receive().await;
            assert_eq!(text(&reply, "action"), "/error");
            assert_eq!(text(field(&reply, "body"), "error"), code);
        }
        let key = Cbor::Map(vec![(Cbor::Bytes(vec![1]), 1.into())]);
        let publish = cbor!({"action" => "rtm/publish", "id" => 1, "body" => {"channel" => "c", "message" => [key]}});
        let reply = cbor.ask(publish.unwrap()).await;
        assert_eq!(text(field(&reply, "body"), "error"), "invalid_format");
    }
}

/// The original's Python client sends CBOR so.
#[tokio::test(start_paused = true)]
async fn cbor_in_text_frames_is_taken_by_the_lenient_server_alone() {
    for engine in Engine::ALL {
        for (config, lenient) in
            [(RtmConfig::default(), false), (RtmConfig::default().text_frames(), true)]
        {
            let server = RtmServer::new(config, engine);
            let mut io = server.pipe();
            let appkey = server.appkey();
            let opening = format!(
                "GET /v2?appkey={appkey} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n\
                 Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n\
                 Sec-WebSocket-Protocol: cbor\r\n\
                 Sec-WebSocket-Key: AAECAwQFBgcICQoLDA0ODw==\r\n\r\n"
            );
            let request = cbor!({"action" => "rtm/publish", "id" => 1, "body" => {"channel" => "c", "message" => Cbor::Bytes(vec![255; 200])}});
            let mut bytes = Vec::new();
            ciborium::into_writer(&request.unwrap(), &mut bytes).unwrap();
            io.write_all(opening.as_bytes()).await.unwrap();
            let mut head = Vec::new();
            while !head.ends_with(b"\r\n\r\n") {
                head.push(io.read_u8().await.unwrap());
            }
            let [high, low] = (bytes.len() as u16).to_be_bytes();
            io.write_all(&[0x81, 0x80 | 126, high, low, 0, 0, 0, 0]).await.unwrap();
            io.write_all(&bytes).await.unwrap();
            io.shutdown().await.unwrap();
            let mut answer = Vec::new();
            io.read_to_end(&mut answer).await.unwrap();
            let accepted = answer.windows(14).any(|window| window == b"rtm/publish/ok");
            assert_eq!(accepted, lenient, "{engine}");
        }
    }
}

#[tokio::test(start_paused = true)]
async fn roles_have_their_rights_on_their_channels() {
    let config = RtmConfig::default()
        .role("reader", "reader-secret")
        .restrict("news", "reader", RtmRights::Subscribe)
        .restrict("news", "tester", RtmRights::Publish);
    for engine in Engine::ALL {
        let mut raw = Raw::new(engine, config.clone()).await;
        let (publish, read) =
            (json!({"channel": "news", "message": 1}), json!({"channel": "news"}));
        for (role, secret, may_publish, may_read) in [
            (None, "", false, false),
            (Some("reader"), "reader-secret", false, true),
            (Some("tester"), "sandbox-role-secret", true, true),
        ] {
            if let Some(role) = role {
                let body = json!({"method": "role_secret", "data": {"role": role}});
                let reply = raw.ask("auth/handshake", body).await;
                let nonce = reply["body"]["data"]["nonce"].as_str().unwrap();
                let credentials = json!({"hash": hash(secret, nonce)});
                let body = json!({"method": "role_secret", "credentials": credentials});
                assert_eq!(
                    raw.ask("auth/authenticate", body).await["action"],
                    "auth/authenticate/ok"
                );
            }
            let ok = |reply: &serde_json::Value| reply["action"].as_str().unwrap().ends_with("/ok");
            assert_eq!(ok(&raw.ask("rtm/publish", publish.clone()).await), may_publish);
            assert_eq!(ok(&raw.ask("rtm/read", read.clone()).await), may_read);
        }
    }
}
