//! What is queued goes out in one write.

use std::{
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll},
};

use tokio::io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf};
use ws_core::{Connection, Limits, Message, Queues};

use crate::support::pair;

/// A stream that counts its writes.
#[derive(Debug)]
struct Counted {
    io: DuplexStream,
    writes: Arc<AtomicUsize>,
}

impl AsyncRead for Counted {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_read(cx, buf)
    }
}

impl AsyncWrite for Counted {
    fn poll_write(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        self.writes.fetch_add(1, Ordering::Relaxed);
        Pin::new(&mut self.io).poll_write(cx, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<std::io::Result<()>> {
        Pin::new(&mut self.io).poll_shutdown(cx)
    }
}

/// Two ends that share a counter of writes, set to 0 after the handshake.
async fn counted() -> (Connection<Counted>, Connection<Counted>, Arc<AtomicUsize>) {
    let writes = Arc::new(AtomicUsize::new(0));
    let wrap = |io| Counted { io, writes: Arc::clone(&writes) };
    let (client, server) = pair(wrap, Limits::default()).await;
    writes.store(0, Ordering::Relaxed);
    (client, server, writes)
}

fn messages() -> Vec<Message> {
    (0..64).map(|n| Message::text(format!("message {n}"))).collect()
}

#[tokio::test(start_paused = true)]
async fn messages_that_are_queued_go_out_in_one_write() {
    let (mut client, mut server, writes) = counted().await;
    for message in &messages() {
        client.feed(message).await.unwrap();
    }
    assert_eq!(writes.load(Ordering::Relaxed), 0);
    client.flush().await.unwrap();
    assert_eq!(writes.load(Ordering::Relaxed), 1);
    client.send_batch(messages()).await.unwrap();
    assert_eq!(writes.load(Ordering::Relaxed), 2);
    for message in messages().iter().chain(&messages()) {
        assert_eq!(server.next().await.unwrap().as_ref(), Some(message));
    }
}

#[tokio::test(start_paused = true)]
async fn a_task_writes_what_waits_for_it_at_once() {
    let (client, mut server, writes) = counted().await;
    let (handle, _receiver) = client.spawn(Queues::default());
    for message in messages() {
        handle.try_send(message).unwrap();
    }
    for message in messages() {
        assert_eq!(server.next().await.unwrap(), Some(message));
    }
    assert_eq!(writes.load(Ordering::Relaxed), 1);
}
