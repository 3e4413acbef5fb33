//! The client of this repository.

use futures_util::stream::{FuturesUnordered, StreamExt};
use satori_rtm::{Client, Config, Delivery, Protocol, Subscribe};

use crate::{Payload, Work, on_a_runtime, sample::cpu_seconds, server::Server};

pub(crate) fn config(server: &Server, cbor: bool) -> Config {
    let protocol = if cbor { Protocol::Cbor } else { Protocol::Json };
    Config::new(format!("ws://127.0.0.1:{}", server.port), &server.appkey).protocol(protocol)
}

/// Messages a CPU second.
pub(crate) fn run(server: &Server, work: Work, count: u64) -> f64 {
    on_a_runtime(async {
        let client = Client::connect(config(server, work.cbor)).await.expect("the sandbox");
        let cpu = cpu_seconds();
        match work.deliveries {
            true => {
                for _ in 0..work.rounds {
                    deliveries(&client, work, count).await;
                }
            }
            false => publishes(&client, work, count).await,
        }
        let rate = (work.rounds * count) as f64 / (cpu_seconds() - cpu);
        client.close(std::time::Duration::from_secs(5)).await;
        rate
    })
}

async fn publishes(client: &Client, work: Work, count: u64) {
    let payload = Payload::of(work.bytes);
    let mut waiting = FuturesUnordered::new();
    for _ in 0..count {
        waiting.push(client.publish("sink", &payload));
        if waiting.len() == 128 {
            waiting.next().await.expect("one").expect("the sandbox takes it");
        }
    }
    while let Some(answer) = waiting.next().await {
        answer.expect("the sandbox takes it");
    }
}

async fn deliveries(client: &Client, work: Work, count: u64) {
    let history = Subscribe::new().history_count(count);
    let mut all = client.subscribe(&work.channel(), history).await.expect("it accepts");
    for _ in 0..count {
        match all.next().await {
            Some(Delivery::Message(message)) => {
                let payload: Payload = message.decode().expect("a payload");
                assert!(payload.level > 1.0);
            }
            other => panic!("{other:?}"),
        }
    }
}
