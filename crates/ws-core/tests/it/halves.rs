//! Two halves in two tasks: neither waits for the other.

use std::time::Duration;

use tokio::{io::DuplexStream, task::JoinSet, time::timeout};
use ws_core::{CloseCode, CloseFrame, Connection, Error, Limits, Message};

use crate::support::{Dribble, pair, poll_times};

const WAIT: Duration = Duration::from_secs(60);

fn big() -> Message {
    Message::binary(vec![7; 300_000])
}

/// Both ends send large messages at once, in halves, over a pipe that holds
/// little: it only ends if each half is woken for what it waits for.
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn both_directions_are_busy_at_once() {
    let (client, server) = pair(|io| io, Limits::default()).await;
    let mut tasks = JoinSet::new();
    for end in [client, server] {
        let (mut reader, mut writer) = end.split();
        tasks.spawn(async move {
            for _ in 0..50 {
                writer.send(&big()).await.unwrap();
            }
        });
        tasks.spawn(async move {
            for _ in 0..50 {
                assert_eq!(reader.next().await.unwrap(), Some(big()));
            }
        });
    }
    let all = async { while tasks.join_next().await.transpose().unwrap().is_some() {} };
    timeout(WAIT, all).await.expect("no half froze");
}

/// The peer reads nothing: the writer has to wait, and the reader has not.
#[tokio::test(start_paused = true)]
async fn a_writer_that_has_to_wait_does_not_stop_the_reader() {
    let (client, server) = pair(|io| io, Limits::default()).await;
    let (mut reader, mut writer) = client.split();
    let stuck = tokio::spawn(async move {
        for _ in 0..20 {
            writer.send(&big()).await.unwrap();
        }
        writer
    });
    tokio::task::yield_now().await;
    let (mut far_reader, mut far_writer) = server.split();
    for n in 0..1000 {
        let message = Message::text(format!("{n}"));
        far_writer.send(&message).await.unwrap();
        assert_eq!(timeout(WAIT, reader.next()).await.unwrap().unwrap(), Some(message));
    }
    assert!(!stuck.is_finished());
    // Once the peer reads, the writer goes on.
    let reading = async {
        for _ in 0..20 {
            assert_eq!(far_reader.next().await.unwrap(), Some(big()));
        }
    };
    timeout(WAIT, reading).await.unwrap();
    stuck.await.unwrap();
}

/// A reader that has to answer while the writer is idle needs no help from it.
#[tokio::test(start_paused = true)]
async fn pings_are_answered_while_the_writer_does_nothing() {
    let (client, mut server) = pair(Dribble::new, Limits::default()).await;
    let (mut reader, writer) = client.split();
    let reading = tokio::spawn(async move { while let Ok(Some(_)) = reader.next().await {} });
    for n in 0..100_u8 {
        server.send(&Message::Ping(vec![n].into())).await.unwrap();
        let pong = timeout(WAIT, server.next()).await.unwrap().unwrap();
        assert_eq!(pong, Some(Message::Pong(vec![n].into())));
    }
    drop(server);
    reading.await.unwrap();
    drop(writer);
}

/// A writer that waits for room learns from the reader that it is over.
#[tokio::test(start_paused = true)]
async fn a_writer_that_waits_is_told_of_the_end_by_the_reader() {
    let (client, mut server) = pair(|io| io, Limits::default().max_out(1000)).await;
    let (mut reader, mut writer) = client.split();
    let stuck = tokio::spawn(async move {
        loop {
            if let Err(error) = writer.feed(&big()).await {
                return error;
            }
        }
    });
    tokio::task::yield_now().await;
    let frame = CloseFrame::new(CloseCode::NORMAL, "");
    // The close goes out, and is not answered to: the pipe back is full.
    let _closing = poll_times(server.close(Some(&frame), WAIT), 3).await;
    let reading = tokio::spawn(async move { reader.next().await });
    let error = timeout(WAIT, stuck).await.unwrap().unwrap();
    assert!(matches!(error, Error::Closed), "{error:?}");
    reading.abort();
}

async fn halves_of_a_dribble() -> (Connection<Dribble>, Connection<Dribble>) {
    // Little room, so that `feed` has to wait too.
    pair(Dribble::new, Limits::default().max_out(64)).await
}

fn texts() -> Vec<Message> {
    (0..300_usize).map(|n| Message::text(format!("{n} {}", "é".repeat(n % 40)))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_of_either_half_loses_and_tears_nothing() {
    let (client, server) = halves_of_a_dribble().await;
    let ((_near, mut writer), (mut reader, _far)) = (client.split(), server.split());
    let sending = tokio::spawn(async move {
        let mut drops = 0_usize;
        for message in &texts() {
            // Dropped before it is ready, a message was not queued.
            while poll_times(writer.feed(message), drops % 5).await.is_none() {
                drops += 1;
            }
            let _flushed = poll_times(writer.flush(), drops % 3).await;
        }
        while poll_times(writer.close(None), drops % 4).await.is_none() {
            drops += 1;
        }
        assert!(drops > 500, "{drops}");
        writer
    });
    let mut got = Vec::new();
    let mut drops = 0_usize;
    loop {
        match poll_times(reader.next(), drops % 7).await {
            Some(Ok(Some(message))) => got.push(message),
            Some(Ok(None)) => break,
            Some(Err(error)) => panic!("{error:?}"),
            None => drops += 1,
        }
    }
    assert!(drops > 1000, "{drops}");
    assert_eq!(got, texts());
    sending.await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn halves_are_put_together_again() {
    let (client, mut server) = pair(|io: DuplexStream| io, Limits::default()).await;
    let (other, _server) = pair(|io: DuplexStream| io, Limits::default()).await;
    let (reader, writer) = client.split();
    let (strange_reader, strange_writer) = other.split();
    let (reader, _) = reader.reunite(strange_writer).unwrap_err();
    drop(strange_reader);
    let mut client = reader.reunite(writer).unwrap();
    let frame = CloseFrame::new(CloseCode::NORMAL, "bye");
    let (closed, end) =
        tokio::join!(client.close(Some(&frame), WAIT), async { (server.next().await, server) });
    closed.unwrap();
    assert_eq!(end.0.unwrap(), None);
}
