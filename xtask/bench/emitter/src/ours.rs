//! This crate.

use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering},
    },
    time::{Duration, Instant},
};

use emitter::{Address, Client, Config, Delivery, OutboxLimits, PublishOptions, SubscribeOptions};

use crate::{PAYLOAD, Place, Rate, Stopwatch, WINDOW, Work, on_a_runtime};

async fn connect(place: &Place) -> Client {
    let address = Address::new("127.0.0.1").port(place.port).insecure();
    let window = usize::from(WINDOW);
    let outbox = OutboxLimits::default().window(window).max_messages(2 * window);
    let config = Config::new(address).outbox(outbox).request_timeout(Duration::from_secs(60));
    Client::connect(config).await.expect("it answers")
}

pub(crate) fn run(work: Work, place: &Place, messages: u64) -> Rate {
    on_a_runtime(async {
        let client = connect(place).await;
        let stopwatch = Stopwatch::start();
        match work {
            Work::Qos0 => qos_0(&client, place, messages).await,
            Work::Qos1 => return qos_1(&client, place, messages, stopwatch).await,
            Work::Deliveries => deliveries(&client, place, messages).await,
        }
        stopwatch.rate(messages)
    })
}

async fn qos_0(client: &Client, place: &Place, messages: u64) {
    for _ in 0..messages {
        let once = PublishOptions::new().at_most_once();
        // A full outbox: the socket takes no more just now.
        while client.publish(&place.key, "bench", PAYLOAD, once.clone()).await.is_err() {
            tokio::task::yield_now().await;
        }
    }
    // The broker has all of it when it acknowledges what comes behind.
    let options = PublishOptions::new();
    client.publish(&place.key, "bench", PAYLOAD, options).await.expect("it accepts");
}

/// The clock stops a window before the end, see `Stopwatch`.
async fn qos_1(client: &Client, place: &Place, messages: u64, stopwatch: Stopwatch) -> Rate {
    let callers = u64::from(WINDOW);
    let (acked, timed) = (Arc::new(AtomicU64::new(0)), messages - callers);
    let calls = (0..callers).map(|_| {
        let (client, key, acked) = (client.clone(), place.key.clone(), Arc::clone(&acked));
        tokio::spawn(async move {
            let mut rate = None;
            for _ in 0..messages / callers {
                let options = PublishOptions::new();
                client.publish(&key, "bench", PAYLOAD, options).await.expect("it accepts");
                if acked.fetch_add(1, Ordering::Relaxed) + 1 == timed {
                    rate = Some(stopwatch.rate(timed));
                }
            }
            rate
        })
    });
    let mut rate = None;
    for call in calls.collect::<Vec<_>>() {
        rate = call.await.expect("no panic").or(rate);
    }
    rate.expect("one of them was the last that counts")
}

async fn deliveries(client: &Client, place: &Place, messages: u64) {
    let channel = messages.to_string();
    let options = SubscribeOptions::new();
    let mut bench = client.subscribe(&place.key, &channel, options).await.expect("it accepts");
    let mut got = 0;
    while got < messages {
        match bench.next().await {
            Some(Delivery::Message(message)) => got += u64::from(message.as_binary().len() == 100),
            other => panic!("{other:?}"),
        }
    }
}

/// The median, in microseconds.
pub(crate) fn round_trip(place: &Place, times: usize) -> f64 {
    on_a_runtime(async {
        let client = connect(place).await;
        let options = SubscribeOptions::new().last(0);
        let mut echo = client.subscribe(&place.key, "echo", options).await.expect("it accepts");
        let mut took = Vec::with_capacity(times);
        for _ in 0..times {
            let start = Instant::now();
            let once = PublishOptions::new().at_most_once();
            client.publish(&place.key, "echo", PAYLOAD, once).await.expect("room");
            echo.next().await.expect("an echo");
            took.push(start.elapsed());
        }
        took.sort_unstable();
        took[times / 2].as_secs_f64() * 1e6
    })
}
