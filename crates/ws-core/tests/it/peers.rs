//! tokio-tungstenite on the other side of the socket, as server and as client:
//! thousands of random messages must arrive equal.

use std::io::Write;

use futures_util::{SinkExt, StreamExt};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio_tungstenite::{
    WebSocketStream,
    tungstenite::{
        Message as Theirs,
        protocol::frame::{
            Frame,
            coding::{Data, OpCode},
        },
    },
};
use ws_core::{ClientRequest, Connection, Endpoint, Keys, Limits, Message};

const MESSAGES: usize = 10_000;
const SEED: u64 = 0x5eed_0002;

/// SplitMix64, so that a seed names the whole conversation.
struct Rng(u64);

impl Rng {
    fn below(&mut self, n: usize) -> usize {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        ((z ^ (z >> 31)) % n as u64) as usize
    }

    /// A text or a binary message of 0 to 3,000 bytes, mostly short.
    fn message(&mut self) -> Message {
        const CHARS: [char; 8] = ['a', '7', '"', 'é', 'ж', '水', '🦓', '\u{10ffff}'];
        let len = match self.below(20) {
            0 => self.below(3000),
            1..=3 => self.below(300),
            _ => self.below(40),
        };
        match self.below(2) {
            0 => Message::text((0..len / 4).map(|_| CHARS[self.below(8)]).collect::<String>()),
            _ => Message::binary((0..len).map(|_| self.below(256) as u8).collect::<Vec<_>>()),
        }
    }
}

/// The conversation of one side: what it says.
fn script(seed: u64) -> Vec<Message> {
    let mut rng = Rng(seed);
    (0..MESSAGES).map(|_| rng.message()).collect()
}

/// Sends all by ours, 1 to 50 a flush, and receives as many; pings between.
async fn ours<S>(socket: &mut Connection<S>, seed: u64) -> Vec<Message>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let mut rng = Rng(seed ^ 7);
    let mut got = Vec::new();
    let (mut sent, all) = (0, script(seed));
    while got.len() < MESSAGES || sent < MESSAGES {
        for message in all.iter().skip(sent).take(1 + rng.below(50)) {
            socket.feed(message).await.unwrap();
            sent += 1;
            if rng.below(20) == 0 {
                socket.feed(&Message::Ping("ours".into())).await.unwrap();
            }
        }
        socket.flush().await.unwrap();
        // As many as have come; all, when there is nothing left to say.
        while got.len() < MESSAGES {
            let next = match sent < MESSAGES {
                false => Some(socket.next().await),
                true => tokio::select! {
                    biased;
                    message = socket.next() => Some(message),
                    () = tokio::task::yield_now() => None,
                },
            };
            match next {
                Some(message) => match message.unwrap().unwrap() {
                    Message::Ping(_) | Message::Pong(_) => {}
                    message => got.push(message),
                },
                None => break,
            }
        }
    }
    got
}

/// The same by theirs, with 1 to 20 fragments a message and pings between them.
async fn theirs<S>(socket: WebSocketStream<S>, seed: u64) -> Vec<Message>
where
    S: AsyncRead + AsyncWrite + Unpin,
{
    let (mut sink, mut stream) = socket.split();
    let sending = async {
        let mut rng = Rng(seed ^ 9);
        let all = script(seed);
        let mut rest = all.as_slice();
        while !rest.is_empty() {
            let (now, later) = rest.split_at(rest.len().min(1 + rng.below(50)));
            for message in now {
                for frame in fragments(message, &mut rng) {
                    sink.feed(frame).await.unwrap();
                }
            }
            sink.flush().await.unwrap();
            rest = later;
        }
    };
    let receiving = async {
        let mut got = Vec::new();
        while got.len() < MESSAGES {
            match stream.next().await.unwrap().unwrap() {
                Theirs::Text(text) => got.push(Message::text(text.as_str())),
                Theirs::Binary(bytes) => got.push(Message::Binary(bytes)),
                _ => {}
            }
        }
        got
    };
    tokio::join!(sending, receiving).1
}

fn fragments(message: &Message, rng: &mut Rng) -> Vec<Theirs> {
    let (first, payload): (_, &[u8]) = match message {
        Message::Text(text) => (Data::Text, text.as_ref()),
        Message::Binary(bytes) => (Data::Binary, bytes),
        other => panic!("{other:?}"),
    };
    // A message in one piece, or in up to 20 fragments.
    let count = 1 + rng.below(20);
    let mut cuts: Vec<usize> = (1..count).map(|_| rng.below(payload.len() + 1)).collect();
    cuts.sort_unstable();
    cuts.push(payload.len());
    let (mut from, mut frames) = (0, Vec::new());
    for (at, cut) in cuts.iter().enumerate() {
        let opcode = OpCode::Data(if at == 0 { first } else { Data::Continue });
        let piece = payload[from..*cut].to_vec();
        frames.push(Theirs::Frame(Frame::message(piece, opcode, at + 1 == cuts.len())));
        from = *cut;
        if rng.below(10) == 0 {
            frames.push(Theirs::Ping("theirs".into()));
        }
    }
    frames
}

/// The largest frame that ours sends: messages of up to 3,000 bytes go out in up
/// to 20 fragments.
const FRAGMENT: usize = 150;

fn limits() -> Limits {
    Limits::default().max_frame_out(FRAGMENT)
}

fn say_the_seed() {
    let _best_effort = writeln!(std::io::stderr(), "seed {SEED:#x}");
}

/// Our client on `near`, their server on `far`.
async fn our_client<N, F>(near: N, far: F)
where
    N: AsyncRead + AsyncWrite + Unpin,
    F: AsyncRead + AsyncWrite + Unpin,
{
    say_the_seed();
    let endpoint: Endpoint = "ws://127.0.0.1/chat".parse().unwrap();
    let request = ClientRequest::new(&endpoint);
    let client = ws_core::connect(near, request, limits(), Keys::system());
    let (client, server) = tokio::join!(client, tokio_tungstenite::accept_async(far));
    let (mut client, server) = (client.unwrap().0, server.unwrap());
    let (got, sent) = tokio::join!(ours(&mut client, SEED), theirs(server, SEED + 1));
    assert_eq!(got, script(SEED + 1));
    assert_eq!(sent, script(SEED));
}

/// Our server on `far`, their client on `near`.
async fn our_server<N, F>(near: N, far: F)
where
    N: AsyncRead + AsyncWrite + Unpin,
    F: AsyncRead + AsyncWrite + Unpin,
{
    say_the_seed();
    let server =
        async { ws_core::accept(far, limits()).await.unwrap().accept(None).await.unwrap() };
    let client = tokio_tungstenite::client_async("ws://127.0.0.1/chat", near);
    let (mut server, client) = tokio::join!(server, client);
    let client = client.unwrap().0;
    let (got, sent) = tokio::join!(ours(&mut server, SEED), theirs(client, SEED + 1));
    assert_eq!(got, script(SEED + 1));
    assert_eq!(sent, script(SEED));
}

#[tokio::test]
async fn agrees_with_a_tungstenite_server_on_10_000_messages() {
    let (near, far) = tokio::io::duplex(1 << 16);
    our_client(near, far).await;
}

#[tokio::test]
async fn agrees_with_a_tungstenite_client_on_10_000_messages() {
    let (near, far) = tokio::io::duplex(1 << 16);
    our_server(near, far).await;
}

#[cfg(feature = "ring")]
mod over_tls {
    use super::*;
    use crate::certificates::Authority;

    #[tokio::test]
    async fn agrees_with_a_tungstenite_server_on_10_000_messages_over_tls() {
        let authority = Authority::new("ours");
        let (near, far) = tokio::io::duplex(1 << 16);
        let (tls, acceptor) = (authority.tls(), authority.server("127.0.0.1"));
        let (near, far) = tokio::join!(tls.connect(near, "127.0.0.1"), acceptor.accept(far));
        our_client(near.unwrap(), far.unwrap()).await;
    }

    #[tokio::test]
    async fn agrees_with_a_tungstenite_client_on_10_000_messages_over_tls() {
        let authority = Authority::new("ours");
        let (near, far) = tokio::io::duplex(1 << 16);
        let (connector, acceptor) = (authority.connector(), authority.server("127.0.0.1"));
        let name = "127.0.0.1".try_into().unwrap();
        let (near, far) = tokio::join!(connector.connect(name, near), acceptor.accept(far));
        our_server(near.unwrap(), far.unwrap()).await;
    }
}
