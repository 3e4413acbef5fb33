//! What a client holds when its consumer or its service is slow, counted by the
//! allocator (rows Q1, Q6, Q8 and S4 of the fault catalogue). Only the client's thread is
//! counted; the service has one of its own.

#![allow(
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    clippy::unwrap_used,
    reason = "test helpers fail by panicking, as tests do"
)]

use std::{
    io::Write,
    net::{TcpListener, TcpStream},
    time::Duration,
};

use satori_rtm::{Client, Config, Delivery, Protocol, Subscribe, Subscription};
use tokio_tungstenite::tungstenite::{
    Message, WebSocket,
    handshake::server::{ErrorResponse, Request, Response},
};

type Socket = WebSocket<TcpStream>;

/// Runs `serve` for one client on a thread of its own; returns the URL.
fn service(serve: impl FnOnce(Socket) + Send + 'static) -> String {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("ws://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (stream, _) = listener.accept().unwrap();
        #[expect(clippy::result_large_err, reason = "the callback's shape is the library's")]
        let select = |request: &Request, mut response: Response| {
            if let Some(offered) = request.headers().get("sec-websocket-protocol") {
                response.headers_mut().insert("sec-websocket-protocol", offered.clone());
            }
            Ok::<_, ErrorResponse>(response)
        };
        serve(tokio_tungstenite::tungstenite::accept_hdr(stream, select).unwrap());
    });
    url
}

/// A PDU in the encoding of the client.
fn message(protocol: Protocol, json: &str) -> Message {
    match protocol {
        Protocol::Cbor => {
            let value: ciborium::Value = serde_json::from_str(json).unwrap();
            let mut bytes = Vec::new();
            ciborium::into_writer(&value, &mut bytes).unwrap();
            Message::Binary(bytes.into())
        }
        _ => Message::text(json),
    }
}

/// Accepts a subscription to `c` and delivers `count` messages of `size` bytes, ten a
/// PDU.
fn flood(protocol: Protocol, count: usize, size: usize) -> String {
    service(move |mut socket| {
        let _subscribe = socket.read().unwrap();
        let ok = r#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"0"}}"#;
        socket.send(message(protocol, ok)).unwrap();
        let text = "x".repeat(size);
        for first in (0..count).step_by(10) {
            let messages: Vec<String> =
                (first..first + 10).map(|n| format!("[{n},\"{text}\"]")).collect();
            let (messages, next) = (messages.join(","), first + 10);
            let body =
                format!(r#"{{"position":"{next}","messages":[{messages}],"subscription_id":"c"}}"#);
            let data = format!(r#"{{"action":"rtm/subscription/data","body":{body}}}"#);
            if socket.send(message(protocol, &data)).is_err() {
                return;
            }
        }
        while socket.read().is_ok() {}
    })
}

async fn subscribed(url: String, protocol: Protocol) -> (Client, Subscription) {
    let client = Client::connect(Config::new(url, "K").protocol(protocol)).await.unwrap();
    let c = client.subscribe("c", Subscribe::new()).await.unwrap();
    (client, c)
}

async fn number(c: &mut Subscription) -> u64 {
    match c.next().await {
        Some(Delivery::Message(message)) => message.decode::<(u64, String)>().unwrap().0,
        other => panic!("{other:?}"),
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap()
}

fn report(test: &str, protocol: Protocol, bytes: u64) {
    let _best_effort = writeln!(
        std::io::stderr(),
        "{{\"test\":\"{test}\",\"protocol\":\"{protocol:?}\",\"bytes\":{bytes}}}"
    );
}

const KIB: u64 = 1 << 10;
const MIB: u64 = 1 << 20;

/// Q1: the consumer sleeps; reading stops, memory stays, and nothing is lost.
#[test]
fn q1_a_sleeping_consumer_holds_its_bounds_and_loses_nothing() {
    for protocol in [Protocol::Json, Protocol::Cbor] {
        for (count, size) in [(1_000_000, 1), (20_000, 4 << 10)] {
            let url = flood(protocol, count, size);
            let runtime = runtime();
            let counted = allocation_counter::measure(|| {
                runtime.block_on(async {
                    let (client, mut c) = subscribed(url, protocol).await;
                    while client.stats().messages_in < 900 {
                        tokio::task::yield_now().await;
                    }
                    // Asleep: whatever comes is left where it is.
                    for _ in 0..10_000 {
                        tokio::task::yield_now().await;
                    }
                    let taken = client.stats().messages_in;
                    assert!(taken <= 1024 + 10, "{taken}");
                    for n in 0..count as u64 {
                        assert_eq!(number(&mut c).await, n);
                    }
                });
            });
            report("Q1 a sleeping consumer", protocol, counted.bytes_max);
            // And the one PDU that was on its way.
            let pdu = 10 * (size as u64 + 16);
            let most = 4 * MIB + 64 * KIB + pdu;
            assert!(counted.bytes_max <= most, "{} bytes", counted.bytes_max);
        }
    }
}

/// S4: the service reads nothing; the outbox is full, and so much is held and no more.
#[test]
fn s4_a_service_that_does_not_read_costs_the_outbox_and_no_more() {
    for protocol in [Protocol::Json, Protocol::Cbor] {
        let (end, until) = std::sync::mpsc::channel::<()>();
        let url = service(move |_socket| {
            let _ended = until.recv();
        });
        let runtime = runtime();
        let counted = allocation_counter::measure(|| {
            runtime.block_on(async {
                let client = Client::connect(Config::new(url, "K").protocol(protocol)).await;
                let client = client.unwrap();
                let text = "x".repeat(32 << 10);
                let mut refused = 0;
                let mut waiting = tokio::task::JoinSet::new();
                while refused < 1000 {
                    let (client, message) = (client.clone(), text.clone());
                    waiting.spawn(async move { client.publish("c", &message).await });
                    tokio::task::yield_now().await;
                    while let Some(answer) = waiting.try_join_next() {
                        assert_eq!(answer.unwrap().unwrap_err().code(), "outbox_full");
                        refused += 1;
                    }
                }
                let stats = client.stats();
                assert!((240..=256).contains(&stats.outbox_len), "{}", stats.outbox_len);
                client.close(Duration::ZERO).await;
            });
        });
        drop(end);
        report("S4 a service that does not read", protocol, counted.bytes_max);
        // The callers' own copies of what they publish, and what is on its way to the
        // socket.
        let callers = 256 * 33 * KIB;
        assert!(counted.bytes_max <= 8 * MIB + callers + 512 * KIB, "{}", counted.bytes_max);
    }
}

/// Q6: what a client holds that has nothing to do.
#[test]
fn q6_an_idle_client_holds_little() {
    const CLIENTS: usize = 50;
    for protocol in [Protocol::Json, Protocol::Cbor] {
        let urls: Vec<String> =
            (0..CLIENTS).map(|_| service(|mut socket| while socket.read().is_ok() {})).collect();
        let runtime = runtime();
        let mut clients = Vec::with_capacity(CLIENTS);
        let counted = allocation_counter::measure(|| {
            runtime.block_on(async {
                for url in urls {
                    let config = Config::new(url, "K").protocol(protocol);
                    clients.push(Client::connect(config).await.unwrap());
                }
            });
        });
        let each = counted.bytes_current.unsigned_abs() / CLIENTS as u64;
        report("Q6 an idle client", protocol, each);
        assert!((1..=20 * KIB).contains(&each), "{each} bytes");
    }
}

/// Q8: what a message costs, in allocations.
#[test]
fn q8_a_message_costs_two_allocations_in() {
    for protocol in [Protocol::Json, Protocol::Cbor] {
        let url = flood(protocol, 20_000, 100);
        let runtime = runtime();
        let (client, mut c) = runtime.block_on(async {
            let (client, mut c) = subscribed(url, protocol).await;
            for n in 0..5000 {
                assert_eq!(number(&mut c).await, n);
            }
            (client, c)
        });
        let counted = allocation_counter::measure(|| {
            runtime.block_on(async {
                for _ in 0..10_000 {
                    let delivery = c.next().await;
                    assert!(matches!(delivery, Some(Delivery::Message(_))));
                }
            });
        });
        let each = counted.count_total as f64 / 10_000.0;
        report("Q8 allocations of 1,000 messages in", protocol, (each * 1000.0) as u64);
        assert!(each <= 2.0, "{each}");
        drop(client);
    }
}
