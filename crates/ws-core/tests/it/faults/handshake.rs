//! C11: answers to the opening request.

use std::time::Duration;

use bytes::BytesMut;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use ws_core::{
    ClientRequest, Connection, Dialer, Endpoint, Error, HandshakeError, Keys, Limits, Message,
    ServerRequest, Step, Stream,
};

/// Reads the opening request off `io`; returns the answer that a server gives
/// to it.
pub(super) async fn right_answer(io: &mut DuplexStream) -> String {
    let mut request = BytesMut::new();
    loop {
        io.read_buf(&mut request).await.unwrap();
        if let Some(request) = ServerRequest::parse(&mut request, &Limits::default()).unwrap() {
            return String::from_utf8(request.accept(None)).unwrap();
        }
    }
}

/// Connects to a server that answers what `answer` makes of the right answer,
/// in pieces of `size` bytes.
async fn open(
    answer: impl FnOnce(String) -> Vec<u8> + Send + 'static,
    size: usize,
) -> Result<Connection<Stream>, Error> {
    let (near, mut far) = tokio::io::duplex(1 << 17);
    tokio::spawn(async move {
        let answer = answer(right_answer(&mut far).await);
        for piece in answer.chunks(size) {
            if far.write_all(piece).await.is_err() {
                return;
            }
            tokio::task::yield_now().await;
        }
        let _rest = far.read_to_end(&mut Vec::new()).await;
    });
    let near = std::sync::Mutex::new(Some(near));
    let dialer = Dialer::new().open_with(move |_, _| {
        let near = near.lock().unwrap().take().unwrap();
        async { Ok(near) }
    });
    let url: Endpoint = "ws://rtm.example/v2".parse().unwrap();
    let request = ClientRequest::new(&url).subprotocol("json");
    let opened = dialer.connect(&url, request, Limits::default(), Keys::system()).await;
    opened.map(|(socket, _)| socket)
}

async fn refused(answer: impl FnOnce(String) -> Vec<u8> + Send + 'static) -> HandshakeError {
    match open(answer, usize::MAX).await.map(drop) {
        Err(Error::Handshake(error)) => error,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn c11_each_status_is_told_and_retry_after_with_it() {
    for code in [200, 301, 401, 403, 404, 407, 408, 425, 426, 429, 500, 502, 503] {
        let answer = move |_| format!("HTTP/1.1 {code} X\r\nLocation: /y\r\n\r\nbody").into_bytes();
        let error = refused(answer).await;
        assert_eq!(error.status(), Some(code), "{error:?}");
    }
    for (header, seconds) in [
        ("Retry-After: 120", Some(120)),
        ("retry-after:  0 ", Some(0)),
        ("Retry-After: 99999999999999999999999", Some(24 * 60 * 60)),
        ("Retry-After: -5", None),
        ("Retry-After: soon", None),
        ("Retry-After: Fri, 31 Dec 1999 23:59:59 GMT", None),
        ("X-Other: 120", None),
    ] {
        let answer = move |_| format!("HTTP/1.1 503 Busy\r\n{header}\r\n\r\n").into_bytes();
        let error = Error::Handshake(refused(answer).await);
        assert_eq!(error.retry_after(), seconds.map(Duration::from_secs), "{header}");
        assert_eq!((error.step(), error.status()), (Some(Step::Upgrade), Some(503)));
    }
}

#[tokio::test(start_paused = true)]
async fn c11_an_answer_that_is_not_right_is_refused_with_the_reason() {
    let with = |line: &'static str| {
        move |right: String| right.replace("\r\n\r\n", &format!("\r\n{line}\r\n\r\n")).into_bytes()
    };
    let other_key = |right: String| right.replace("Accept: ", "Accept: x").into_bytes();
    assert_eq!(refused(other_key).await, HandshakeError::Accept);
    let twice = with("Sec-WebSocket-Accept: AAAAAAAAAAAAAAAAAAAAAAAAAAA=");
    assert_eq!(refused(twice).await, HandshakeError::Accept);
    let same_twice = |right: String| {
        let line = right.lines().find(|line| line.starts_with("Sec-WebSocket-Accept")).unwrap();
        right.replace("\r\n\r\n", &format!("\r\n{line}\r\n\r\n")).into_bytes()
    };
    assert_eq!(refused(same_twice).await, HandshakeError::Accept);
    let extension = with("Sec-WebSocket-Extensions: permessage-deflate; x=1");
    assert!(matches!(refused(extension).await, HandshakeError::Extension(_)));
    let protocol = with("Sec-WebSocket-Protocol: cbor");
    assert_eq!(refused(protocol).await, HandshakeError::Subprotocol("cbor".into()));
    let no_upgrade = |right: String| right.replace("Upgrade: websocket\r\n", "").into_bytes();
    assert_eq!(refused(no_upgrade).await, HandshakeError::NotUpgrade("Upgrade"));
    let http_2 = |right: String| right.replace("HTTP/1.1", "HTTP/2.0").into_bytes();
    assert!(matches!(refused(http_2).await, HandshakeError::Malformed(_)));
    let eof = |_| b"HTTP/1.1 101 Switching".to_vec();
    let (near, mut far) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        let answer = eof(right_answer(&mut far).await);
        far.write_all(&answer).await.unwrap();
    });
    let url: Endpoint = "ws://rtm.example/".parse().unwrap();
    let opened =
        ws_core::connect(near, ClientRequest::new(&url), Limits::default(), Keys::system()).await;
    assert!(matches!(opened.map(drop), Err(Error::Handshake(HandshakeError::Eof))));
}

#[tokio::test(start_paused = true)]
async fn c11_a_head_over_the_limits_is_refused_and_one_within_them_is_not() {
    let long = |bytes: usize| {
        move |right: String| {
            let fill = "x".repeat(bytes - right.len() - "X: \r\n".len());
            right.replace("\r\n\r\n", &format!("\r\nX: {fill}\r\n\r\n")).into_bytes()
        }
    };
    assert!(open(long(16 << 10), usize::MAX).await.is_ok());
    assert_eq!(refused(long((16 << 10) + 1)).await, HandshakeError::HeadTooBig);
    let lines = |count: usize| {
        move |right: String| {
            let own = right.lines().count() - 2;
            let more = "\r\nA: b".repeat(count - own);
            right.replace("\r\n\r\n", &format!("{more}\r\n\r\n")).into_bytes()
        }
    };
    assert!(open(lines(64), usize::MAX).await.is_ok());
    assert_eq!(refused(lines(65)).await, HandshakeError::TooManyHeaders);
}

#[tokio::test(start_paused = true)]
async fn c11_lines_may_end_in_a_bare_line_feed() {
    // RFC 9112, section 2.2, lets a recipient take a bare LF for the end of a
    // line; so does the parser, and no bound depends on it.
    let bare = |right: String| right.replace("\r\n", "\n").into_bytes();
    assert!(open(bare, usize::MAX).await.is_ok());
}

#[tokio::test(start_paused = true)]
async fn c11_the_first_frame_glued_to_the_answer_is_not_lost_in_any_segments() {
    for size in 1..200 {
        let glued = |right: String| [right.as_bytes(), b"\x81\x05Hello\x81\x02yo"].concat();
        let mut socket = open(glued, size).await.unwrap();
        assert_eq!(socket.next().await.unwrap(), Some(Message::text("Hello")));
        assert_eq!(socket.next().await.unwrap(), Some(Message::text("yo")));
    }
}
