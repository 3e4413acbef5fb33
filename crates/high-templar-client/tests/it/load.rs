//! Many clients, slow lines, stuck consumers, futures that are dropped at random; all
//! in paused time.

use std::{io::Write, time::Duration};

use futures_util::future::join_all;
use high_templar_client::{Client, Connector, Delivery, Event, InboxLimits, Subscribe};
use realtime_sandbox::{
    Engine,
    kit::{Random, slow},
};
use tokio::time::Instant;

use crate::support::{config, connect, room, server, subscribe, take, trigger, within};

/// R9: a thousand clients lose one server, and do not come back at once.
#[tokio::test(start_paused = true)]
async fn r9_a_thousand_clients_return_spread_over_the_first_second() {
    const CLIENTS: usize = 1000;
    let server = server(Engine::WsCore);
    let clients = join_all((0..CLIENTS as u64).map(|n| {
        let config = config(&server).seed(n);
        async move { Client::connect(config).await.unwrap() }
    }))
    .await;
    let mut events: Vec<_> = clients.iter().map(Client::events).collect();
    let start = Instant::now();
    server.close_connections();
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
    assert_eq!(server.status().open_connections, CLIENTS as u64);
}

/// S5: latency up to 2 s, 1 KB/s.
#[tokio::test(start_paused = true)]
async fn s5_a_slow_line_is_no_lost_one() {
    for engine in Engine::ALL {
        for seed in 0..20 {
            let server = server(engine);
            let pipes = server.clone();
            let connector = Connector::new(move |_| {
                let line = slow(pipes.pipe(), seed * 2);
                async { Ok(line) }
            });
            let patient = config(&server).connector(connector);
            let client = Client::connect(patient.connect_timeout(Duration::from_secs(30))).await;
            let client = client.unwrap();
            let mut one = subscribe(&client, "1").await;
            for n in 0..10 {
                trigger(&server, "1", &n).await;
            }
            assert_eq!(take(&mut one, 10).await.len(), 10);
            // Quiet for a while: pings, and their answers, are slow as well.
            tokio::time::sleep(Duration::from_secs(300)).await;
            assert_eq!(client.stats().connects, 1, "seed {seed} on {engine}");
        }
    }
}

/// Q4: one of a hundred subscriptions is stuck, and asked to be waited for.
#[tokio::test(start_paused = true)]
async fn q4_a_stuck_subscription_stops_the_others_and_loses_nothing() {
    for engine in Engine::ALL {
        let server = server(engine);
        let client = connect(&server).await;
        let few = Subscribe::new().inbox(InboxLimits::default().max_messages(2));
        let mut stuck = client.subscribe(room("1"), few).await.unwrap();
        let mut others = Vec::new();
        for _ in 0..99 {
            others.push(subscribe(&client, "1").await);
        }
        for n in 0..8 {
            trigger(&server, "1", &n).await;
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(take(&mut stuck, 8).await.len(), 8);
        for other in &mut others {
            assert_eq!(take(other, 8).await.len(), 8);
        }
        assert_eq!(client.stats().connects, 1);
    }
}

/// Ten thousand rooms on one connection, all restored after it is lost.
#[tokio::test(start_paused = true)]
async fn ten_thousand_subscriptions_are_restored() {
    let server = server(Engine::WsCore);
    let client = connect(&server).await;
    let rooms: Vec<String> = (0..10_000).map(|n| n.to_string()).collect();
    let mut all = join_all(rooms.iter().map(|customer| subscribe(&client, customer))).await;
    server.close_connections();
    for one in &mut all {
        assert!(matches!(within(one.next()).await, Some(Delivery::Gap(_))));
    }
    for customer in &rooms {
        trigger(&server, customer, customer).await;
    }
    for (one, customer) in all.iter_mut().zip(&rooms) {
        assert_eq!(take(one, 1).await, [format!("{customer:?}")]);
    }
    assert_eq!(client.stats().gaps, 10_000);
}

/// X2: `next` is dropped 100,000 times, at random polls.
#[tokio::test(start_paused = true)]
async fn x2_a_hundred_thousand_dropped_futures_lose_nothing() {
    const MESSAGES: usize = 5000;
    let server = server(Engine::WsCore);
    let client = connect(&server).await;
    let mut one = subscribe(&client, "1").await;
    let sending = tokio::spawn(async move {
        for n in 0..MESSAGES {
            trigger(&server, "1", &n).await;
            tokio::task::yield_now().await;
        }
        server
    });
    let (mut random, mut got, mut dropped) = (Random::new(7), 0, 0);
    while got < MESSAGES || dropped < 100_000 {
        let polls = random.below(4);
        let yields = async {
            for _ in 0..polls {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            delivery = one.next() => match delivery {
                Some(Delivery::Message(message)) => {
                    assert_eq!(message.json(), got.to_string());
                    got += 1;
                }
                other => panic!("{other:?}"),
            },
            () = yields => dropped += 1,
        }
    }
    let _server = sending.await.unwrap();
    assert_eq!((got, client.stats().connects), (MESSAGES, 1));
}
