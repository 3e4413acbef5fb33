//! Rows C8, C9 and C13: what a service must not send, in JSON and in CBOR. Each is a
//! typed error or a message whose decoding is one; the stack is one of 512 KiB.

use std::time::Duration;

use futures_util::{SinkExt, StreamExt};
use satori_rtm::{Client, Delivery, Protocol, Subscribe, Value};
use tokio_tungstenite::tungstenite::{
    Message,
    handshake::server::{ErrorResponse, Request, Response},
};

use crate::support::{scripted, within};

/// What became of what was sent.
#[derive(Debug, PartialEq)]
enum Became {
    /// A protocol error of this code, and a new connection.
    Broken(&'static str),
    /// A message that decodes to this.
    Decoded(String),
    /// A message that does not decode.
    Undecoded,
    /// Nothing.
    Ignored,
}

/// Lets a service accept a subscription and then send `bytes`.
fn sent(protocol: Protocol, bytes: Vec<u8>) -> Became {
    let thread = std::thread::Builder::new().stack_size(512 << 10);
    let run = move || {
        let mut runtime = tokio::runtime::Builder::new_current_thread();
        let runtime = runtime.enable_time().start_paused(true).build().unwrap();
        runtime.block_on(received(protocol, bytes))
    };
    thread.spawn(run).unwrap().join().unwrap()
}

async fn received(protocol: Protocol, bytes: Vec<u8>) -> Became {
    let config = scripted(move |io| {
        let bytes = bytes.clone();
        async move {
            #[expect(clippy::result_large_err, reason = "the callback's shape is the library's")]
            let select = |request: &Request, mut response: Response| {
                if let Some(offered) = request.headers().get("sec-websocket-protocol") {
                    response.headers_mut().insert("sec-websocket-protocol", offered.clone());
                }
                Ok::<_, ErrorResponse>(response)
            };
            let Ok(mut socket) = tokio_tungstenite::accept_hdr_async(io, select).await else {
                return;
            };
            let Some(Ok(_subscribe)) = socket.next().await else { return };
            for bytes in [ok(protocol), bytes] {
                let message = match protocol {
                    Protocol::Cbor => Message::Binary(bytes.into()),
                    _ => Message::text(String::from_utf8_lossy(&bytes).into_owned()),
                };
                let _sent = socket.send(message).await;
            }
            while let Some(Ok(_)) = socket.next().await {}
        }
    });
    let client = Client::connect(config.protocol(protocol)).await.unwrap();
    let mut c = within(client.subscribe("c", Subscribe::new())).await.unwrap();
    match tokio::time::timeout(Duration::from_millis(10), c.next()).await {
        Ok(Some(Delivery::Message(message))) => match message.decode::<Value>() {
            Ok(value) => Became::Decoded(value.to_string()),
            Err(error) => {
                assert_eq!(error.code(), "decode");
                // Showing it is no problem either.
                let _shown = message.to_string();
                Became::Undecoded
            }
        },
        Ok(other) => panic!("{other:?}"),
        Err(_) => match client.stats().last_error {
            Some(error) => {
                let codes = [
                    "invalid_json",
                    "invalid_cbor",
                    "no_id",
                    "no_action",
                    "no_body",
                    "general_error",
                    "text_message",
                ];
                Became::Broken(codes.iter().find(|code| **code == error.code()).unwrap())
            }
            None => Became::Ignored,
        },
    }
}

fn ok(protocol: Protocol) -> Vec<u8> {
    match protocol {
        Protocol::Cbor => {
            let position = [&[0xa1][..], &text("position"), &text("1:1")].concat();
            let (action, ok) = (text("action"), text("rtm/subscribe/ok"));
            [&[0xa3][..], &action, &ok, &text("id"), &[0], &text("body"), &position].concat()
        }
        _ => br#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"1:1"}}"#.to_vec(),
    }
}

fn json(text: &str) -> Became {
    sent(Protocol::Json, text.as_bytes().to_vec())
}

/// A delivery of one message.
fn json_message(message: &str) -> Became {
    json(&format!(
        r#"{{"action":"rtm/subscription/data","body":{{"position":"1:2","messages":[{message}],"subscription_id":"c"}}}}"#
    ))
}

fn nested(depth: usize) -> String {
    "[".repeat(depth) + &"]".repeat(depth)
}

#[test]
fn c8_json_that_is_wrong_is_a_typed_error() {
    for depth in [127, 128] {
        let expected = Became::Decoded(nested(depth));
        let got = json_message(&nested(depth));
        assert!(got == expected || (depth > 127 && got == Became::Undecoded), "{depth} {got:?}");
    }
    assert_eq!(json_message(&nested(900_000)), Became::Undecoded);
    for (message, expected) in [
        ("1e400", Became::Undecoded),
        ("18446744073709551616", Became::Decoded("1.8446744073709552e+19".into())),
        ("-18446744073709551616", Became::Decoded("-1.8446744073709552e+19".into())),
        ("\"\\ud800\"", Became::Undecoded),
        ("{\"a\":1,\"a\":2}", Became::Decoded("{\"a\":1,\"a\":2}".into())),
        ("\"\\u0000\"", Became::Decoded("\"\\u0000\"".into())),
    ] {
        assert_eq!(json_message(message), expected, "{message}");
    }
    for pdu in [
        nested(900_000).as_str(),
        "[]",
        "7",
        "\"text\"",
        "{\"action\":\"rtm/publish/ok\",\"id\":0,\"body\":{}} x",
        "{\"action\":\"a\",\"action\":\"b\",\"id\":0,\"body\":{}}",
        "{\"action\":\"rtm/publish/ok\",\"id\":true,\"body\":{}}",
        "{\"action\":\"rtm/publish/ok\",\"id\":1.5,\"body\":{}}",
        "{\"action\":\"rtm/publish/ok\",\"id\":18446744073709551616,\"body\":{}}",
        "\u{feff}{\"action\":\"rtm/publish/ok\",\"id\":0,\"body\":{}}",
        "{\"action\":\"rtm/publish/ok\",\0\"id\":0,\"body\":{}}",
        "",
    ] {
        let start: String = pdu.chars().take(60).collect();
        assert_eq!(json(pdu), Became::Broken("invalid_json"), "{start}");
    }
    for (pdu, code) in [
        ("{\"id\":0,\"body\":{}}", "no_action"),
        ("{\"action\":\"rtm/publish/ok\",\"body\":{}}", "no_id"),
        ("{\"action\":\"rtm/subscription/data\",\"body\":{}}", "no_body"),
        ("{\"action\":\"rtm/subscription/data\",\"body\":[\"1:2\",[1],\"c\"]}", "no_body"),
        (
            "{\"action\":\"rtm/subscription/data\",\"body\":{\"messages\":7,\"subscription_id\":\"c\",\"position\":\"1\"}}",
            "no_body",
        ),
        ("{\"action\":\"/error\",\"body\":{\"error\":\"x\"}}", "general_error"),
    ] {
        assert_eq!(json(pdu), Became::Broken(code), "{pdu}");
    }
}

fn cbor(bytes: Vec<u8>) -> Became {
    sent(Protocol::Cbor, bytes)
}

fn text(text: &str) -> Vec<u8> {
    let mut bytes = vec![0x78, text.len() as u8];
    bytes.extend(text.as_bytes());
    bytes
}

/// A delivery of one message.
fn cbor_message(message: &[u8]) -> Became {
    let (action, data) = (text("action"), text("rtm/subscription/data"));
    let (body, position) = (text("body"), text("position"));
    let (messages, id) = (text("messages"), text("subscription_id"));
    let parts = [
        &[0xa2][..],
        &action,
        &data,
        &body,
        &[0xa3],
        &position,
        &text("1:2"),
        &messages,
        &[0x81],
        message,
        &id,
        &text("c"),
    ];
    cbor(parts.concat())
}

#[test]
fn c9_cbor_that_is_wrong_is_a_typed_error() {
    let nested = |depth: usize| [vec![0x81; depth - 1], vec![0x80]].concat();
    assert_eq!(cbor_message(&nested(127)), Became::Decoded(self::nested(127)));
    let broken = || Became::Broken("invalid_cbor");
    for depth in [128, 5000] {
        assert_eq!(cbor_message(&nested(depth)), Became::Undecoded, "{depth}");
    }
    for depth in [20_000, 1_000_000] {
        // What cannot be passed over is no PDU.
        assert_eq!(cbor_message(&nested(depth)), broken(), "{depth}");
        assert_eq!(cbor_message(&[vec![0xc1; depth], vec![0]].concat()), broken(), "{depth}");
        assert_eq!(cbor(nested(depth)), broken(), "{depth}");
    }
    for (message, expected) in [
        (&[0xf7][..], Became::Decoded("null".into())),
        (&[0xf9, 0x7e, 0x00], Became::Decoded("NaN".into())),
        (&[0xf9, 0x3e, 0x00], Became::Decoded("1.5".into())),
        (
            &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            Became::Decoded(u64::MAX.to_string()),
        ),
        (
            &[0x3b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
            Became::Decoded("-18446744073709551616".into()),
        ),
        (&[0xa2, 0x61, b'a', 1, 0x61, b'a', 2], Became::Decoded("{\"a\":1,\"a\":2}".into())),
        (&[0xa1, 1, 2], Became::Decoded("{\"1\":2}".into())),
        (&[0xa1, 0x41, b'a', 2], Became::Undecoded),
        (&[0xa1, 0x80, 2], Became::Undecoded),
        (&[0x9f, 1, 2, 0xff], Became::Decoded("[1,2]".into())),
        (&[0x7f, 0x61, b'a', 0x61, b'b', 0xff], Became::Decoded("\"ab\"".into())),
        (&[0x5f, 0x41, 1, 0x41, 2, 0xff], Became::Decoded("h'0102'".into())),
        (&[0xc1, 0x1a, 0, 0, 0, 1], Became::Decoded("1".into())),
    ] {
        assert_eq!(cbor_message(message), expected, "{message:02x?}");
    }
    for message in [
        &[0x9f, 1][..],
        &[0xbf, 0x61, b'a', 1],
        &[0x5b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x7b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x9b, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0xbb, 0x7f, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff],
        &[0x62, 0xff, 0xfe],
        &[0x1c],
        &[0xff],
        &[0xf8, 0x20],
    ] {
        assert_eq!(cbor_message(message), broken(), "{message:02x?}");
    }
    let answer = |id: &[u8]| {
        [
            &[0xa3][..],
            &text("action"),
            &text("rtm/publish/ok"),
            &text("id"),
            id,
            &text("body"),
            &[0xa0],
        ]
        .concat()
    };
    for id in [&[0xf5][..], &[0xf9, 0x3e, 0x00], &[0x20], &[0x80]] {
        assert_eq!(cbor(answer(id)), broken(), "{id:02x?}");
    }
    // A reply to nobody, with ids that can be read.
    for id in [&[7][..], &[0x61, b'x'], &[0x1b, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 0xff]] {
        assert_eq!(cbor(answer(id)), Became::Ignored, "{id:02x?}");
    }
    assert_eq!(cbor([answer(&[7]), vec![0]].concat()), broken());
    assert_eq!(cbor(vec![]), broken());
    assert_eq!(cbor(vec![0xa0]), Became::Broken("no_action"));
}

#[test]
fn c13_what_answers_nothing_is_ignored_on_the_wire_as_well() {
    for pdu in [
        r#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"1:1"}}"#,
        r#"{"action":"rtm/publish/ok","id":77,"body":{}}"#,
        r#"{"action":"auth/handshake/ok","id":3,"body":{"data":{"nonce":"n"}}}"#,
        r#"{"action":"auth/authenticate/ok","id":"x","body":{}}"#,
        r#"{"action":"rtm/unsubscribe/ok","id":5,"body":{"subscription_id":"c"}}"#,
        r#"{"action":"rtm/subscription/data","body":{"position":"1:2","messages":[1],"subscription_id":"d"}}"#,
        r#"{"action":"rtm/subscription/error","body":{"error":"out_of_sync","subscription_id":"d"}}"#,
        r#"{"action":"rtm/subscription/info","body":{"info":"fast_forward","subscription_id":"d"}}"#,
        r#"{"action":"rtm/subscription/info","body":{"info":"weather","subscription_id":"c"}}"#,
        r#"{"action":"/error","id":9,"body":{"error":"x"}}"#,
    ] {
        assert_eq!(json(pdu), Became::Ignored, "{pdu}");
    }
}
