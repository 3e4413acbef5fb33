//! Rows R7, R8, R9 and R12: services that turn clients away, flap, restart, and come
//! back without what they knew.

use std::{
    io::Write,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use futures_util::future::join_all;
use realtime_sandbox::{Engine, RtmConfig, RtmServer};
use satori_rtm::{Client, Connector, Delivery, ErrorKind, Event, GapReason, State, Subscribe};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::Instant,
};

use crate::support::{config, connect, on_both_engines, scripted, take, within};

/// Opens a WebSocket, then sends a close frame with these two bytes.
async fn close_with(io: DuplexStream, code: u16) {
    let Ok(socket) = tokio_tungstenite::accept_async(io).await else { return };
    let mut io = socket.into_inner();
    let [high, low] = code.to_be_bytes();
    let _sent = io.write_all(&[0x88, 2, high, low]).await;
    let mut rest = [0; 64];
    while let Ok(1..) = io.read(&mut rest).await {}
}

#[tokio::test(start_paused = true)]
async fn r7_a_service_that_closes_with_any_code_is_tried_again() {
    for code in (1000..=1015).chain([2999, 3000, 3999, 4000, 4999, 5000, 0, 999]) {
        let attempts = Arc::new(AtomicUsize::new(0));
        let counted = Arc::clone(&attempts);
        let client = Client::new(scripted(move |io| {
            counted.fetch_add(1, Ordering::Relaxed);
            close_with(io, code)
        }));
        let client = client.unwrap();
        // The connection is open for a moment: that is a success.
        within(client.start()).await.unwrap();
        let mut events = client.events();
        let cause = within(async {
            loop {
                if let Some(Event::Waiting { cause, .. }) = events.next().await {
                    return cause;
                }
            }
        })
        .await;
        // Codes that must not be sent are an error of the protocol.
        let sendable = matches!(code, 1000..=1003 | 1007..=1014 | 3000..=4999);
        let expected = if sendable { ErrorKind::Transport } else { ErrorKind::Protocol };
        assert_eq!(cause.kind(), expected, "{code}: {cause}");
        while attempts.load(Ordering::Relaxed) < 3 {
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        assert_ne!(client.state(), State::Stopped, "{code}");
    }
}

#[tokio::test(start_paused = true)]
async fn r7_a_service_that_accepts_and_goes_is_tried_again() {
    let client = Client::new(scripted(|io| async move { drop(io) }).retry_first_connect()).unwrap();
    let start = tokio::time::timeout(Duration::from_secs(100), client.start()).await;
    assert!(start.is_err() && client.state() != State::Stopped);
    assert_eq!(client.stats().last_error.unwrap().kind(), ErrorKind::Connect);
}

#[tokio::test(start_paused = true)]
async fn r8_flaps_do_not_reset_the_waits() {
    let opened = Arc::new(Mutex::new(Vec::new()));
    let (start, seen) = (Instant::now(), Arc::clone(&opened));
    let client = Client::new(scripted(move |io| {
        seen.lock().unwrap().push(start.elapsed().as_secs_f64());
        // Open for a tenth of a second, a hundred times in ten seconds at most.
        async move {
            let Ok(socket) = tokio_tungstenite::accept_async(io).await else { return };
            tokio::time::sleep(Duration::from_millis(100)).await;
            drop(socket);
        }
    }));
    let client = client.unwrap();
    within(client.start()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(120)).await;
    let opened = opened.lock().unwrap().clone();
    let waits: Vec<f64> = opened.windows(2).map(|pair| pair[1] - pair[0] - 0.1).collect();
    assert!(waits[0] <= 1.0, "{waits:?}");
    for (n, wait) in waits.iter().enumerate().skip(1) {
        let base = 1.6_f64.powi(n as i32).min(10.0);
        assert!((base / 2.0 - 0.001..=base + 0.005).contains(wait), "{n}: {waits:?}");
    }
    assert!((12..25).contains(&waits.len()), "{waits:?}");
}

/// A server in whose place another one can be put, which ends all connections.
#[derive(Clone)]
struct Place(Arc<Mutex<RtmServer>>);

impl Place {
    fn new(engine: Engine) -> Self {
        Self(Arc::new(Mutex::new(RtmServer::new(RtmConfig::default(), engine))))
    }

    fn server(&self) -> RtmServer {
        self.0.lock().unwrap().clone()
    }

    fn restart(&self, engine: Engine) {
        *self.0.lock().unwrap() = RtmServer::new(RtmConfig::default(), engine);
    }

    fn connector(&self) -> Connector {
        let place = self.clone();
        Connector::new(move |_| {
            let pipe = place.server().pipe();
            async { Ok(pipe) }
        })
    }
}

#[tokio::test(start_paused = true)]
async fn r9_a_thousand_clients_return_spread_over_the_first_second() {
    const CLIENTS: usize = 1000;
    let place = Place::new(Engine::WsCore);
    let clients = join_all((0..CLIENTS as u64).map(|n| {
        let config = config(&place.server()).seed(n).connector(place.connector());
        async move { Client::connect(config).await.unwrap() }
    }))
    .await;
    let mut events: Vec<_> = clients.iter().map(Client::events).collect();
    let start = Instant::now();
    place.restart(Engine::WsCore);
    let back = join_all(events.iter_mut().map(|events| async move {
        while !matches!(within(events.next()).await, Some(Event::Connected)) {}
        start.elapsed()
    }))
    .await;
    let mut bins = [0_usize; 12];
    for after in &back {
        bins[after.as_millis() as usize / 100] += 1;
    }
    let _best_effort = writeln!(
        std::io::stderr(),
        "{{\"test\":\"R9 a thousand clients\",\"back per 100 ms\":{bins:?}}}"
    );
    let peak = bins.iter().max().copied().unwrap_or_default();
    assert!(peak <= CLIENTS * 15 / 100, "{bins:?}");
    assert_eq!(bins[..11].iter().sum::<usize>(), CLIENTS);
}

#[tokio::test(start_paused = true)]
async fn r12_a_service_that_forgot_everything_is_one_gap_a_subscription() {
    on_both_engines(|server| async move {
        let place = Place(Arc::new(Mutex::new(server)));
        let first = place.server();
        let client = Client::connect(config(&first).connector(place.connector())).await.unwrap();
        drop(first);
        let mut subscriptions = Vec::new();
        for n in 0..10 {
            let channel = format!("c{n}");
            subscriptions.push(client.subscribe(&channel, Subscribe::new()).await.unwrap());
            client.publish(&channel, &n).await.unwrap();
        }
        for (n, subscription) in subscriptions.iter_mut().enumerate() {
            assert_eq!(take(subscription, 1).await, [n.to_string()]);
        }
        place.restart(Engine::WsCore);
        for subscription in &mut subscriptions {
            let Some(Delivery::Gap(gap)) = within(subscription.next()).await else { panic!() };
            assert_eq!(gap.reason, GapReason::Expired);
        }
        let publisher = connect(&place.server()).await;
        for subscription in &mut subscriptions {
            publisher.publish(subscription.id(), "live").await.unwrap();
            assert_eq!(take(subscription, 1).await, ["\"live\""]);
        }
        assert_eq!(client.stats().gaps, 10);
    })
    .await;
}
