//! A connection that a task owns.

use std::time::Duration;

use tokio::{
    io::DuplexStream,
    task::JoinSet,
    time::{Instant, timeout},
};
use ws_core::{
    CloseCode, CloseFrame, Connection, Error, Handle, Limits, Message, ProtocolError, Queues,
    Receiver, Step, TrySendError,
};

use crate::support::{Dribble, pair, poll_times};

const WAIT: Duration = Duration::from_secs(3);

fn text(n: usize) -> Message {
    Message::text(n.to_string())
}

#[tokio::test(start_paused = true)]
async fn many_send_and_one_receives() {
    let (client, server) = pair(|io| io, Limits::default()).await;
    let (client, _) = client.spawn(Queues::default().messages(4));
    let (_server, mut receiver) = server.spawn(Queues::default().messages(3).bytes(100));
    let mut senders = JoinSet::new();
    for part in 0..8_usize {
        let client = client.clone();
        senders.spawn(async move {
            for n in 0..100 {
                client.send(text(part * 100 + n)).await.unwrap();
            }
        });
    }
    let mut got = Vec::new();
    while got.len() < 800 {
        match receiver.next().await.unwrap() {
            Some(Message::Text(text)) => got.push(text.parse::<usize>().unwrap()),
            other => panic!("{other:?}"),
        }
    }
    for part in 0..8 {
        let own: Vec<_> = got.iter().filter(|n| *n / 100 == part).collect();
        assert!(own.is_sorted() && own.len() == 100, "each sender's order is kept");
    }
}

#[tokio::test(start_paused = true)]
async fn closing_sends_what_is_queued_and_ends_the_receiver_in_peace() {
    let (client, server) = pair(|io| io, Limits::default()).await;
    let (client, mut closed) = client.spawn(Queues::default());
    let (server, mut receiver) = server.spawn(Queues::default());
    for n in 0..100 {
        client.send(text(n)).await.unwrap();
    }
    client.close(Some(CloseFrame::new(CloseCode::NORMAL, "")), WAIT).await.unwrap();
    for n in 0..100 {
        assert_eq!(receiver.next().await.unwrap(), Some(text(n)));
    }
    assert_eq!(receiver.next().await.unwrap(), None);
    assert_eq!(closed.next().await.unwrap(), None);
    assert!(matches!(client.send(text(0)).await, Err(Error::Closed)));
    assert_eq!(server.try_send(text(0)), Err(TrySendError::Closed(text(0))));
    assert!(matches!(client.close(None, WAIT).await, Err(Error::Closed)));
}

#[tokio::test(start_paused = true)]
async fn both_queues_are_bounded_by_messages_and_by_bytes() {
    let (client, server) = pair(|io| io, Limits::default().max_out(1000)).await;
    // Nobody reads at the far end, and its queue holds two.
    let (_far, mut receiver) = server.spawn(Queues::default().messages(2));
    let (client, _near) = client.spawn(Queues::default().messages(10).bytes(50_000));
    let chunk = Message::binary(vec![1; 10_000]);
    let mut sent = 0;
    loop {
        match client.try_send(chunk.clone()) {
            Ok(()) => sent += 1,
            Err(TrySendError::Full(back)) => {
                assert_eq!(back, chunk);
                // Whatever can move has moved after a while of paused time.
                match timeout(WAIT, client.send(chunk.clone())).await {
                    Ok(sending) => {
                        sending.unwrap();
                        sent += 1;
                    }
                    Err(_) => break,
                }
            }
            Err(other) => panic!("{other:?}"),
        }
    }
    // Five queued by bytes, two delivered and one held, the rest on its way
    // through a pipe of 64 KiB.
    assert!((8..=16).contains(&sent), "{sent}");
    for _ in 0..sent {
        assert_eq!(receiver.next().await.unwrap(), Some(chunk.clone()));
    }
    let huge = Message::binary(vec![2; 200_000]);
    client.send(huge.clone()).await.unwrap();
    assert_eq!(receiver.next().await.unwrap(), Some(huge), "let through alone");
}

/// A receiver that takes nothing stops the reading, not the writing.
#[tokio::test(start_paused = true)]
async fn a_slow_receiver_does_not_stop_what_is_sent() {
    let (client, mut server) = pair(|io| io, Limits::default()).await;
    let (client, mut slow) = client.spawn(Queues::default().messages(1));
    for n in 0..10 {
        server.send(&text(n)).await.unwrap();
    }
    for n in 0..100 {
        client.send(text(n)).await.unwrap();
        assert_eq!(timeout(WAIT, server.next()).await.unwrap().unwrap(), Some(text(n)));
    }
    for n in 0..10 {
        assert_eq!(slow.next().await.unwrap(), Some(text(n)));
    }
}

#[tokio::test(start_paused = true)]
async fn the_receiver_is_told_the_reason_and_the_senders_that_it_is_over() {
    let (client, server) = pair(|io| io, Limits::default()).await;
    let (client, mut receiver) = client.spawn(Queues::default());
    let (mut io, _) = server.into_parts();
    tokio::io::AsyncWriteExt::write_all(&mut io, b"\x83\x00").await.unwrap();
    let error = receiver.next().await.unwrap_err();
    assert!(matches!(error, Error::Protocol(ProtocolError::UnknownOpCode)), "{error:?}");
    assert_eq!(receiver.next().await.unwrap(), None);
    assert!(matches!(client.send(text(0)).await, Err(Error::Closed)));
}

#[tokio::test(start_paused = true)]
async fn without_handles_and_receiver_the_stream_ends() {
    let (client, mut server) = pair(|io| io, Limits::default()).await;
    let (handle, receiver) = client.spawn(Queues::default());
    drop(handle);
    server.send(&text(1)).await.unwrap();
    tokio::time::sleep(WAIT).await;
    server.send(&text(2)).await.unwrap();
    drop(receiver);
    let end = timeout(WAIT, server.next()).await.unwrap();
    assert!(matches!(end, Err(Error::UnexpectedEof)), "{end:?}");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_of_handle_or_receiver_loses_and_doubles_nothing() {
    let (client, server) = pair(Dribble::new, Limits::default().max_out(64)).await;
    let (client, _near) = client.spawn(Queues::default().messages(2).bytes(64));
    let (_far, mut receiver) = server.spawn(Queues::default().messages(1).bytes(16));
    let sending = tokio::spawn(async move {
        let (mut drops, mut tries) = (0, 0_usize);
        for n in 0..500 {
            tries += 1;
            while poll_times(client.send(text(n)), tries % 3).await.is_none() {
                (drops, tries) = (drops + 1, tries + 1);
            }
        }
        client.close(None, WAIT).await.unwrap();
        drops
    });
    let (mut got, mut drops, mut tries) = (0, 0, 0_usize);
    loop {
        tries += 1;
        match poll_times(receiver.next(), tries % 3).await {
            Some(Ok(Some(message))) => {
                assert_eq!(message, text(got));
                got += 1;
            }
            Some(Ok(None)) => break,
            Some(Err(error)) => panic!("{error:?}"),
            None => drops += 1,
        }
    }
    assert_eq!(got, 500);
    let sent = sending.await.unwrap();
    assert!(drops > 150 && sent > 150, "{drops} of next, {sent} of send");
}

#[tokio::test(start_paused = true)]
async fn a_dropped_close_of_a_handle_closes_all_the_same() {
    for polls in 0..2 {
        let (client, server) = pair(Dribble::new, Limits::default()).await;
        let (client, mut near) = client.spawn(Queues::default());
        let (_server, mut receiver) = server.spawn(Queues::default());
        client.send(text(1)).await.unwrap();
        let closing = poll_times(client.close(None, WAIT), polls).await;
        assert!(closing.is_none(), "it takes more than {polls} polls");
        assert_eq!(receiver.next().await.unwrap(), Some(text(1)));
        match polls {
            // Nothing was asked yet.
            0 => client.close(None, WAIT).await.unwrap(),
            _ => assert!(matches!(client.close(None, WAIT).await, Err(Error::Closed) | Ok(()))),
        }
        assert_eq!(receiver.next().await.unwrap(), None);
        assert_eq!(near.next().await.unwrap(), None);
    }
}

/// A handle whose peer reads nothing, with all the room there is taken; and the
/// peer.
async fn stalled() -> (Handle, Receiver, Connection<DuplexStream>) {
    let (client, server) = pair(|io| io, Limits::default().max_out(100)).await;
    let (handle, receiver) = client.spawn(Queues::default().messages(2).bytes(1 << 20));
    let long = || Message::binary(vec![7; 100_000]);
    while timeout(WAIT, handle.send(long())).await.is_ok() {}
    (handle, receiver, server)
}

#[tokio::test(start_paused = true)]
async fn closing_takes_no_longer_than_it_may_with_a_peer_that_does_not_read() {
    let (handle, mut receiver, _server) = stalled().await;
    let before = Instant::now();
    let closed = handle.close(None, WAIT).await;
    assert!(matches!(closed, Err(Error::Timeout(Step::Close))), "{closed:?}");
    assert_eq!(before.elapsed(), WAIT);
    assert_eq!(receiver.next().await.unwrap(), None);
    assert!(matches!(handle.send(text(0)).await, Err(Error::Closed)));
}

#[tokio::test(start_paused = true)]
async fn a_task_that_nobody_holds_ends_with_a_peer_that_does_not_read() {
    let (handle, receiver, mut server) = stalled().await;
    drop((handle, receiver));
    // Only its end makes the peer's reading end.
    let ended = timeout(WAIT, async { while let Ok(Some(_)) = server.next().await {} }).await;
    assert!(ended.is_ok());
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_closes_and_does_not_read_ends_the_task_and_who_waits_for_room() {
    let (handle, mut receiver, mut server) = stalled().await;
    let frame = CloseFrame::new(CloseCode::new(4001), "go");
    let waiting = tokio::spawn({
        let handle = handle.clone();
        async move { handle.send(Message::binary(vec![7; 100_000])).await }
    });
    tokio::task::yield_now().await;
    // It says that it closes, and waits for nothing.
    let _unanswered = poll_times(server.close(Some(&frame), WAIT), 1).await;
    assert_eq!(receiver.next().await.unwrap(), None);
    assert_eq!(receiver.close_frame().map(|frame| frame.code.as_u16()), Some(4001));
    assert!(matches!(waiting.await.unwrap(), Err(Error::Closed)));
    assert!(matches!(handle.send(text(0)).await, Err(Error::Closed)));
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_sent_is_refused_and_harms_nobody_else() {
    let (client, mut server) = pair(|io| io, Limits::default()).await;
    let (handle, _receiver) = client.spawn(Queues::default());
    let long = Message::Ping(vec![0; 126].into());
    assert!(matches!(handle.send(long.clone()).await, Err(Error::Config(_))));
    assert_eq!(handle.try_send(long.clone()), Err(TrySendError::Invalid(long)));
    let unsendable = CloseFrame::new(CloseCode::new(1005), "");
    assert!(matches!(handle.close(Some(unsendable), WAIT).await, Err(Error::Config(_))));
    handle.send(text(1)).await.unwrap();
    assert_eq!(server.next().await.unwrap(), Some(text(1)));
}
