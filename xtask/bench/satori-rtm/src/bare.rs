//! The same work by ws-core and serde alone: no outbox, no heartbeat, no return.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;
use tokio::net::TcpStream;
use ws_core::{ClientRequest, Connection, Endpoint, Keys, Limits, Message};

use crate::{Payload, Work, on_a_runtime, sample::cpu_seconds, server::Server};

#[derive(Serialize)]
struct Request<B> {
    action: &'static str,
    id: u64,
    body: B,
}

#[derive(Serialize)]
struct Publish<'a> {
    channel: &'a str,
    message: &'a Payload,
}

#[derive(Serialize)]
struct Subscribe<'a> {
    channel: &'a str,
    history: History,
    force: bool,
}

#[derive(Serialize)]
struct History {
    count: u64,
}

#[derive(Deserialize)]
struct Answer<'a> {
    action: &'a str,
    #[serde(default)]
    id: Option<u64>,
}

#[derive(Deserialize)]
struct Json<'a> {
    #[serde(borrow)]
    body: JsonBody<'a>,
}

#[derive(Deserialize)]
struct JsonBody<'a> {
    #[serde(borrow)]
    messages: Vec<&'a RawValue>,
}

/// serde_cbor has no raw values: the messages are read where they lie.
#[derive(Deserialize)]
struct Cbor {
    body: CborBody,
}

#[derive(Deserialize)]
struct CborBody {
    messages: Vec<Payload>,
}

struct Bare {
    socket: Connection<TcpStream>,
    cbor: bool,
}

impl Bare {
    fn message<B: Serialize>(&self, request: &Request<B>) -> Message {
        match self.cbor {
            true => Message::Binary(serde_cbor::to_vec(request).expect("CBOR").into()),
            false => Message::text(serde_json::to_string(request).expect("JSON")),
        }
    }

    /// Receives; returns whether it is an acknowledgement.
    async fn answer(&mut self) -> bool {
        let message = self.socket.next().await.expect("open").expect("open");
        let is_ok = |answer: Answer<'_>| answer.id.is_some() && answer.action.ends_with("/ok");
        match &message {
            Message::Text(text) => is_ok(serde_json::from_str(text).expect("JSON")),
            Message::Binary(bytes) => is_ok(serde_cbor::from_slice(bytes).expect("CBOR")),
            _ => false,
        }
    }

    async fn publishes(&mut self, work: Work, count: u64) {
        let payload = Payload::of(work.bytes);
        let (mut sent, mut answered) = (0, 0);
        while answered < count {
            while sent < count && sent - answered < 128 {
                let body = Publish { channel: "sink", message: &payload };
                let message = self.message(&Request { action: "rtm/publish", id: sent, body });
                self.socket.feed(&message).await.expect("open");
                sent += 1;
            }
            self.socket.flush().await.expect("open");
            // As many as have come, and one at least.
            answered += u64::from(self.answer().await);
            while answered < sent {
                let next = futures_util::FutureExt::now_or_never(self.answer());
                match next {
                    Some(is_ok) => answered += u64::from(is_ok),
                    None => break,
                }
            }
        }
    }

    async fn deliveries(&mut self, work: Work, count: u64, round: u64) {
        // In the place of the one before.
        let force = round > 0;
        let body = Subscribe { channel: &work.channel(), history: History { count }, force };
        let message = self.message(&Request { action: "rtm/subscribe", id: 0, body });
        self.socket.send(&message).await.expect("open");
        assert!(self.answer().await);
        let mut got = 0;
        while got < count {
            match self.socket.next().await.expect("open").expect("open") {
                Message::Text(text) => {
                    let pdu: Json<'_> = serde_json::from_str(&text).expect("JSON");
                    for raw in pdu.body.messages {
                        let payload: Payload = serde_json::from_str(raw.get()).expect("JSON");
                        got += u64::from(payload.level > 1.0);
                    }
                }
                Message::Binary(bytes) => {
                    let pdu: Cbor = serde_cbor::from_slice(&bytes).expect("CBOR");
                    got += pdu.body.messages.iter().filter(|p| p.level > 1.0).count() as u64;
                }
                _ => {}
            }
        }
    }
}

/// Messages a CPU second.
pub(crate) fn run(server: &Server, work: Work, count: u64) -> f64 {
    on_a_runtime(async {
        let url = format!("ws://127.0.0.1:{}/v2?appkey={}", server.port, server.appkey);
        let url: Endpoint = url.parse().expect("a URL");
        let request = ClientRequest::new(&url);
        let request = if work.cbor { request.subprotocol("cbor") } else { request };
        let stream = TcpStream::connect(("127.0.0.1", server.port)).await.expect("the sandbox");
        stream.set_nodelay(true).expect("a socket");
        let limits = Limits::default().max_message(2 << 20);
        let opened = ws_core::connect(stream, request, limits, Keys::system()).await;
        let mut bare = Bare { socket: opened.expect("an upgrade").0, cbor: work.cbor };
        let cpu = cpu_seconds();
        match work.deliveries {
            true => {
                for round in 0..work.rounds {
                    bare.deliveries(work, count, round).await;
                }
            }
            false => bare.publishes(work, count).await,
        }
        (work.rounds * count) as f64 / (cpu_seconds() - cpu)
    })
}
