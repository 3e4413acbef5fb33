//! What a client of this protocol has to show, as far as no other module does: the
//! choice of the encoding, the frames of each, every code of an error. docs/TESTING.md
//! has the whole list.

use futures_util::{SinkExt, StreamExt};
use realtime_sandbox::{Engine, RtmConfig, RtmServer};
use satori_rtm::{Client, ErrorKind, Protocol, Subscribe};
use tokio_tungstenite::tungstenite::{
    Message,
    handshake::server::{ErrorResponse, Request, Response},
};

use crate::support::{PROTOCOLS, config, connect, scripted, speak, within};

#[tokio::test(start_paused = true)]
async fn a_service_that_does_not_select_cbor_is_an_error_of_the_upgrade() {
    for engine in Engine::ALL {
        speak(Protocol::Cbor);
        let server = RtmServer::new(RtmConfig::default().without_cbor(), engine);
        let error = within(Client::connect(config(&server))).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Connect, "upgrade"));
        let source = std::error::Error::source(&error).unwrap().to_string();
        assert!(source.contains("CBOR"), "{source}");
        // One that knows it is spoken to.
        let server = RtmServer::new(RtmConfig::default(), engine);
        connect(&server).await.publish("c", &1).await.unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn each_encoding_has_its_subprotocol_and_its_opcode() {
    for protocol in PROTOCOLS {
        let (seen, mut first) = tokio::sync::mpsc::unbounded_channel();
        let config = scripted(move |io| {
            let seen = seen.clone();
            async move {
                let mut offered = None;
                #[expect(
                    clippy::result_large_err,
                    reason = "the callback's shape is the library's"
                )]
                let select = |request: &Request, mut response: Response| {
                    let header = request.headers().get("sec-websocket-protocol");
                    offered = header.map(|name| name.to_str().unwrap().to_owned());
                    if let Some(name) = header {
                        response.headers_mut().insert("sec-websocket-protocol", name.clone());
                    }
                    Ok::<_, ErrorResponse>(response)
                };
                let accepted = tokio_tungstenite::accept_hdr_async(io, select).await;
                let mut socket = accepted.unwrap();
                let message = socket.next().await.unwrap().unwrap();
                let _told = seen.send((offered, message));
                let _closed = socket.close(None).await;
            }
        });
        let client = Client::connect(config.protocol(protocol)).await.unwrap();
        client.publish_unacknowledged("c", &1).await.unwrap();
        let (offered, message) = first.recv().await.unwrap();
        match protocol {
            Protocol::Cbor => {
                assert_eq!(offered.as_deref(), Some("cbor"));
                assert!(matches!(message, Message::Binary(_)));
            }
            _ => {
                assert_eq!(offered, None);
                assert!(matches!(message, Message::Text(_)));
            }
        }
    }
}

/// A service that answers every request with this error.
async fn refusing(code: &'static str) -> Client {
    let config = scripted(move |io| async move {
        let Ok(mut socket) = tokio_tungstenite::accept_async(io).await else { return };
        while let Some(Ok(message)) = socket.next().await {
            let Ok(text) = message.to_text() else { continue };
            let Ok(pdu) = serde_json::from_str::<serde_json::Value>(text) else { continue };
            let (action, id) = (pdu["action"].as_str().unwrap_or_default(), &pdu["id"]);
            let answer = format!(
                r#"{{"action":"{action}/error","id":{id},"body":{{"error":"{code}","reason":"for people"}}}}"#
            );
            let _sent = socket.send(answer.into()).await;
        }
    });
    Client::connect(config).await.unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_code_of_an_error_reaches_its_caller() {
    for code in [
        "authorization_denied",
        "invalid_format",
        "invalid_operation",
        "invalid_service",
        "json_parse_error",
        "cbor_parse_error",
        "already_subscribed",
        "expired_position",
        "invalid_filter",
        "subscription_quota_exceeded",
        "something_new",
    ] {
        let client = refusing(code).await;
        let subscribed = client.subscribe("c", Subscribe::new()).await.map(drop);
        for error in [
            client.publish("c", &1).await.unwrap_err(),
            client.write("c", &1).await.unwrap_err(),
            client.read::<u64>("c").await.unwrap_err(),
            client.delete("c").await.unwrap_err(),
            subscribed.unwrap_err(),
        ] {
            assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, code));
            assert!(error.to_string().contains("for people"), "{error}");
        }
    }
}
