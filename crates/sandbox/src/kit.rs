//! What tests of clients need again and again.

use std::{
    future::Future,
    pin::pin,
    task::{Context, Poll, Waker},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, DuplexStream},
    sync::mpsc,
    time::Instant,
};

/// Numbers without a pattern, and the same ones in every run.
#[derive(Clone, Debug)]
pub struct Random(u64);

impl Random {
    /// Begins anywhere.
    #[must_use]
    pub const fn new(seed: u64) -> Self {
        Self(seed)
    }

    /// Returns a number below `limit`, 0 for a limit of 0.
    pub fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (self.0 >> 33).checked_rem(limit).unwrap_or_default()
    }
}

/// Polls `future` at most `polls` times and lets others run in between; then drops it.
pub async fn poll_times<F: Future>(future: F, polls: usize) -> Option<F::Output> {
    let mut future = pin!(future);
    for _ in 0..polls {
        if let Poll::Ready(output) = future.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            return Some(output);
        }
        tokio::task::yield_now().await;
    }
    None
}

/// Runs `operation` with a drop after its 0th, 1st, 2nd, .. poll, until it is
/// ready before it is dropped. Returns how often it was dropped, at most 1,000 times.
pub async fn dropped_at_each_poll<T, F>(mut operation: impl FnMut(usize) -> F) -> usize
where
    F: Future<Output = Option<T>>,
{
    let mut polls = 0;
    while polls < 1000 && operation(polls).await.is_none() {
        polls += 1;
    }
    polls
}

/// Carries what passes through `line` at 1 KB/s, each piece with a latency of its own
/// up to 2 s, in order. Must be called inside a tokio runtime.
#[must_use]
pub fn slow(line: impl AsyncRead + AsyncWrite + Send + Unpin + 'static, seed: u64) -> DuplexStream {
    let (near, far) = tokio::io::duplex(1 << 16);
    let (from_client, to_client) = tokio::io::split(far);
    let (from_server, to_server) = tokio::io::split(line);
    tokio::spawn(carry(from_client, to_server, Random::new(seed)));
    tokio::spawn(carry(from_server, to_client, Random::new(seed + 1)));
    near
}

async fn carry(
    mut from: impl AsyncRead + Send + Unpin + 'static,
    mut to: impl AsyncWrite + Send + Unpin + 'static,
    mut random: Random,
) {
    // What is under way: two seconds of it at most.
    let (pieces, mut due) = mpsc::channel::<(Instant, Vec<u8>)>(1024);
    tokio::spawn(async move {
        while let Some((at, piece)) = due.recv().await {
            tokio::time::sleep_until(at).await;
            if to.write_all(&piece).await.is_err() {
                return;
            }
        }
        let _ended = to.shutdown().await;
    });
    let mut piece = [0; 100];
    while let Ok(read @ 1..) = from.read(&mut piece).await {
        tokio::time::sleep(Duration::from_millis(read as u64)).await;
        let at = Instant::now() + Duration::from_millis(random.below(2000));
        let piece = piece.iter().take(read).copied().collect();
        if pieces.send((at, piece)).await.is_err() {
            return;
        }
    }
}
