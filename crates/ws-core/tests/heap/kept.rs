//! What a connection keeps when nothing happens.

use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::{TcpListener, TcpStream},
};
use ws_core::{ClientRequest, Connection, Endpoint, Keys, Limits, Message};

use crate::script::run;

const PAIRS: usize = 32;

/// Connections over loopback sockets; both ends are ours and on this thread.
async fn pairs() -> Vec<Connection<TcpStream>> {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let port = listener.local_addr().unwrap().port();
    let url: Endpoint = format!("ws://127.0.0.1:{port}/").parse().unwrap();
    let mut ends = Vec::with_capacity(2 * PAIRS);
    for _ in 0..PAIRS {
        let connecting = async {
            let io = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
            let request = ClientRequest::new(&url);
            ws_core::connect(io, request, Limits::default(), Keys::system()).await.unwrap().0
        };
        let accepting = async {
            let (io, _) = listener.accept().await.unwrap();
            let handshake = ws_core::accept(io, Limits::default()).await.unwrap();
            handshake.accept(None).await.unwrap()
        };
        let (client, server) = tokio::join!(connecting, accepting);
        ends.extend([client, server]);
    }
    ends
}

/// Bytes on the heap a connection, as `block` leaves them.
fn kept(block: impl AsyncFn(&mut [Connection<TcpStream>])) -> u64 {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    // What the runtime itself sets up at its first use is not a connection's.
    drop(runtime.block_on(pairs()));
    let mut ends = Vec::new();
    let counted = allocation_counter::measure(|| {
        ends = runtime.block_on(async {
            let mut ends = pairs().await;
            block(&mut ends).await;
            ends
        });
    });
    assert_eq!(ends.len(), 2 * PAIRS);
    counted.bytes_current.unsigned_abs() / (2 * PAIRS as u64)
}

/// Sends `message` from each end of each pair to the other.
async fn exchange(ends: &mut [Connection<TcpStream>], message: &Message) {
    for pair in ends.chunks_mut(2) {
        let [client, server] = pair else { panic!("pairs") };
        hand_over(client, server, message).await;
        hand_over(server, client, message).await;
    }
}

async fn hand_over<S: AsyncRead + AsyncWrite + Unpin>(
    from: &mut Connection<S>,
    to: &mut Connection<S>,
    message: &Message,
) {
    let (sent, got) = tokio::join!(from.send(message), to.next());
    sent.unwrap();
    assert_eq!(got.unwrap().as_ref(), Some(message));
}

#[test]
fn an_idle_connection_holds_10_kib_at_most() {
    let idle = kept(async |_| {});
    assert!((1..=10 << 10).contains(&idle), "{idle} bytes");
    let small = kept(async |ends| exchange(ends, &Message::text("hello")).await);
    assert!(small <= 10 << 10, "{small} bytes");
    report("idle", idle);
    report("after a small message each way", small);
}

#[test]
fn a_connection_keeps_32_kib_at_most_after_1_mb_each_way() {
    for message in [Message::text("x".repeat(1_000_000)), Message::binary(vec![7; 1_000_000])] {
        let large = kept(async |ends| exchange(ends, &message).await);
        assert!(large <= 32 << 10, "{large} bytes");
        report("after 1 MB each way", large);
    }
}

/// An idle connection in halves, or in a task.
#[test]
fn halves_and_tasks_add_little() {
    let halves = run(async {
        let ends = pairs().await;
        let counted = allocation_counter::measure(|| {
            std::mem::forget(ends.into_iter().map(Connection::split).collect::<Vec<_>>());
        });
        counted.bytes_current.unsigned_abs() / (2 * PAIRS as u64)
    });
    assert!(halves <= 1 << 10, "{halves} bytes");
    report("split, beside the connection", halves);
}

fn report(what: &str, bytes: u64) {
    use std::io::Write;
    let _best_effort = writeln!(std::io::stderr(), "heap of a connection, {what}: {bytes} bytes");
}
