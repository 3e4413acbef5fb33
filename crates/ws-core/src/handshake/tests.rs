use super::*;
use crate::{endpoint::Endpoint, error::Error};

fn begin() -> (String, ClientHandshake) {
    let endpoint: Endpoint = "ws://127.0.0.1:8801/v2?appkey=KEY".parse().unwrap();
    let request = ClientRequest::new(&endpoint)
        .header("Origin", &endpoint.origin())
        .unwrap()
        .subprotocol("cbor");
    let (bytes, handshake) = ClientHandshake::begin(request, Limits::default()).unwrap();
    (String::from_utf8(bytes).unwrap(), handshake)
}

fn server_side(request: &str) -> Result<Option<ServerRequest>, HandshakeError> {
    ServerRequest::parse(&mut BytesMut::from(request), &Limits::default())
}

#[test]
fn the_request_is_what_a_server_expects() {
    let (request, _) = begin();
    assert!(request.starts_with("GET /v2?appkey=KEY HTTP/1.1\r\nHost: 127.0.0.1:8801\r\n"));
    assert!(request.contains("\r\nOrigin: ws://127.0.0.1:8801\r\n"));
    let parsed = server_side(&request).unwrap().unwrap();
    assert_eq!((parsed.path(), parsed.query()), ("/v2", Some("appkey=KEY")));
    assert_eq!(parsed.header("host"), Some("127.0.0.1:8801"));
    assert_eq!(parsed.subprotocols().collect::<Vec<_>>(), ["cbor"]);
}

#[test]
fn the_answer_opens_and_the_first_frame_behind_it_is_kept_in_any_segments() {
    let (request, handshake) = begin();
    let mut wire = server_side(&request).unwrap().unwrap().accept(Some("cbor"));
    wire.extend_from_slice(b"\x81\x05Hello");
    for size in 1..=wire.len() {
        let (mut input, mut response) = (BytesMut::new(), None);
        for piece in wire.chunks(size) {
            input.extend_from_slice(piece);
            if response.is_none() {
                response = handshake.handle_input(&mut input).unwrap();
            }
        }
        assert_eq!(response.unwrap().subprotocol.as_deref(), Some("cbor"));
        assert_eq!(input[..], b"\x81\x05Hello"[..]);
    }
}

#[test]
fn the_accept_key_is_the_one_of_the_rfc() {
    let request = "GET /chat HTTP/1.1\r\nHost: server.example.com\r\nUpgrade: WebSocket\r\n\
        Connection: keep-alive, Upgrade\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n\
        Sec-WebSocket-Version: 13\r\n\r\n";
    let answer = server_side(request).unwrap().unwrap().accept(None);
    let answer = String::from_utf8(answer).unwrap();
    assert!(answer.contains("\r\nSec-WebSocket-Accept: s3pPLMBiTxaQ9kYGzzhZRbK+xOo=\r\n"));
}

#[test]
fn wrong_answers_are_told_apart() {
    let (request, handshake) = begin();
    let right = server_side(&request).unwrap().unwrap().accept(None);
    let right = String::from_utf8(right).unwrap();
    let judge = |answer: String| handshake.handle_input(&mut BytesMut::from(answer.as_str()));
    assert!(matches!(judge(right.clone()), Ok(Some(Response { subprotocol: None }))));
    assert!(judge(right.replace("Upgrade\r", "keep-alive, uPGRADE\r")).is_ok());

    let status = |code, reason: &str| HandshakeError::Status {
        code,
        reason: reason.into(),
        retry_after: None,
    };
    let refused = "HTTP/1.1 403 Nope\r\nContent-Length: 0\r\n\r\n".to_owned();
    assert_eq!(judge(refused), Err(status(403, "Forbidden")));
    let http = "HTTP/1.1 200 OK\r\nContent-Length: 5\r\n\r\nhello".to_owned();
    assert_eq!(judge(http), Err(status(200, "OK")));

    let with = |line: &str| right.replace("\r\n\r\n", &format!("\r\n{line}\r\n\r\n"));
    for (answer, error) in [
        (right.replace("Connection: Upgrade\r\n", ""), HandshakeError::NotUpgrade("Connection")),
        (
            right.replace("Upgrade: websocket", "Upgrade: h2c"),
            HandshakeError::NotUpgrade("Upgrade"),
        ),
        (right.replace("Accept: ", "Accept: x"), HandshakeError::Accept),
        (with("Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA="), HandshakeError::Accept),
        (with("Sec-WebSocket-Protocol: json"), HandshakeError::Subprotocol("json".into())),
        (
            with("Sec-WebSocket-Extensions: permessage-deflate"),
            HandshakeError::Extension("permessage-deflate".into()),
        ),
    ] {
        assert_eq!(judge(answer), Err(error));
    }
    assert!(matches!(judge("SSH-2.0-x\r\n\r\n".into()), Err(HandshakeError::Malformed(_))));
}

#[test]
fn a_head_is_bounded_by_bytes_and_by_lines() {
    let (_, handshake) = begin();
    let mut endless = BytesMut::from(&b"HTTP/1.1 101 x\r\nA: "[..]);
    endless.resize(16 << 10, b'a');
    assert_eq!(handshake.handle_input(&mut endless), Err(HandshakeError::HeadTooBig));
    for lines in [65, 200] {
        let head = format!("HTTP/1.1 101 x\r\n{}\r\n", "A: b\r\n".repeat(lines));
        let result = handshake.handle_input(&mut BytesMut::from(head.as_str()));
        assert_eq!(result, Err(HandshakeError::TooManyHeaders), "{lines}");
    }
}

#[test]
fn headers_that_would_break_the_request_are_refused() {
    let endpoint: Endpoint = "ws://127.0.0.1:1/".parse().unwrap();
    for (name, value) in
        [("a b", "c"), ("a", "b\r\nc: d"), ("Host", "other"), ("Sec-WebSocket-Key", "k")]
    {
        let request = ClientRequest::new(&endpoint).header(name, value);
        assert!(matches!(request, Err(Error::Config(_))), "{name}: {value}");
    }
}

#[test]
fn requests_that_ask_for_no_websocket_are_refused() {
    let (request, _) = begin();
    for (from, to, header) in [
        ("Upgrade: websocket", "Upgrade: h2c", "Upgrade"),
        ("Connection: Upgrade", "Connection: close", "Connection"),
        ("Sec-WebSocket-Version: 13", "Sec-WebSocket-Version: 8", "Sec-WebSocket-Version"),
        ("Sec-WebSocket-Key: ", "Sec-WebSocket-Key: short", "Sec-WebSocket-Key"),
    ] {
        let result = server_side(&request.replace(from, to)).map(|_| ());
        assert_eq!(result, Err(HandshakeError::NotUpgrade(header)));
    }
    assert!(server_side("POST / HTTP/1.1\r\nHost: x\r\n\r\n").is_err());
}
