//! How connections end, well and badly.

use std::time::Duration;

use tokio::io::AsyncWriteExt;
use ws_core::{CloseCode, CloseFrame, Error, Limits, Message, ProtocolError, Step};

use crate::support::pair;

const WAIT: Duration = Duration::from_secs(3);

#[tokio::test(start_paused = true)]
async fn a_closing_handshake_ends_both_sides_in_peace() {
    let (mut client, mut server) = pair(|io| io, Limits::default()).await;
    let frame = CloseFrame::new(CloseCode::NORMAL, "done");
    let (closed, got) = tokio::join!(client.close(Some(&frame), WAIT), server.next());
    closed.unwrap();
    assert_eq!(got.unwrap(), None);
    assert_eq!(server.close_frame(), Some(&frame));
    assert!(matches!(server.send(&Message::text("late")).await, Err(Error::Closed)));
    assert_eq!(server.next().await.unwrap(), None);
}

#[tokio::test(start_paused = true)]
async fn an_answer_to_a_close_may_be_held_back() {
    let (mut client, mut server) = pair(|io| io, Limits::default()).await;
    server.hold_close();
    let closing = tokio::spawn(async move { client.close(None, WAIT).await });
    assert_eq!(server.next().await.unwrap(), None);
    tokio::time::sleep(WAIT / 2).await;
    assert!(!closing.is_finished());
    server.close(None, WAIT).await.unwrap();
    closing.await.unwrap().unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_does_not_answer_a_close_is_left_at_the_deadline() {
    let (mut client, server) = pair(|io| io, Limits::default()).await;
    let start = tokio::time::Instant::now();
    let closed = client.close(None, WAIT).await;
    assert!(matches!(closed, Err(Error::Timeout(Step::Close))));
    assert_eq!(start.elapsed(), WAIT);
    drop(server);
}

#[tokio::test(start_paused = true)]
async fn a_stream_that_ends_without_a_close_is_an_error() {
    let (mut client, server) = pair(|io| io, Limits::default()).await;
    drop(server);
    assert!(matches!(client.next().await, Err(Error::UnexpectedEof)));
    assert!(matches!(client.next().await, Err(Error::UnexpectedEof)));

    // Inside a frame, too.
    let (mut client, server) = pair(|io| io, Limits::default()).await;
    let (mut io, _) = server.into_parts();
    io.write_all(b"\x81\x05Hel").await.unwrap();
    drop(io);
    assert!(matches!(client.next().await, Err(Error::UnexpectedEof)));
}

#[tokio::test(start_paused = true)]
async fn a_broken_rule_is_told_to_both_sides() {
    let (mut client, server) = pair(|io| io, Limits::default()).await;
    let (mut io, _) = server.into_parts();
    io.write_all(b"\x81\x02\xc3\x28").await.unwrap();
    let error = client.next().await;
    let bad = ProtocolError::InvalidUtf8 { at: 1 };
    assert!(matches!(error, Err(Error::Protocol(e)) if e == bad), "{error:?}");
    assert_eq!(client.next().await.unwrap(), None);
    // Its close frame: FIN and opcode 8, masked, code 1007.
    let mut close = [0; 8];
    tokio::io::AsyncReadExt::read_exact(&mut io, &mut close).await.unwrap();
    assert_eq!(close[..2], [0x88, 0x82]);
    let code = [close[6] ^ close[2], close[7] ^ close[3]];
    assert_eq!(u16::from_be_bytes(code), 1007);
}

#[tokio::test(start_paused = true)]
async fn pings_are_answered_while_a_message_is_awaited() {
    let (mut client, mut server) = pair(|io| io, Limits::default()).await;
    let ping = Message::Ping("are you there".into());
    server.send(&ping).await.unwrap();
    let (got, pong) = tokio::join!(client.next(), async {
        tokio::time::sleep(Duration::from_secs(1)).await;
        server.send(&Message::text("go on")).await.unwrap();
        server.next().await
    });
    assert_eq!(got.unwrap(), Some(ping));
    // The answer went out with the call that waits for the next message.
    let (got, pong) = match pong {
        Ok(Some(pong)) => (client.next().await.unwrap(), pong),
        other => panic!("{other:?}"),
    };
    assert_eq!(got, Some(Message::text("go on")));
    assert_eq!(pong, Message::Pong("are you there".into()));
}

#[tokio::test(start_paused = true)]
async fn a_request_that_is_none_is_answered_with_400() {
    let (mut near, far) = tokio::io::duplex(4096);
    near.write_all(b"GET / HTTP/1.1\r\nHost: x\r\n\r\n").await.unwrap();
    let refused = ws_core::accept(far, Limits::default()).await;
    assert!(matches!(refused, Err(Error::Handshake(_))));
    let mut answer = String::new();
    tokio::io::AsyncReadExt::read_to_string(&mut near, &mut answer).await.unwrap();
    assert!(answer.starts_with("HTTP/1.1 400 Bad Request\r\n"), "{answer}");
}
