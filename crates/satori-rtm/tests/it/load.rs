//! Much of everything: answers in any order, slow lines, stuck consumers, sixteen
//! publishers, a hundred thousand dropped futures; all in paused time.

use std::{
    sync::atomic::{AtomicUsize, Ordering},
    time::Duration,
};

use futures_util::future::join_all;
use realtime_sandbox::kit::{Random, slow};
use satori_rtm::{
    Client, Connector, Delivery, GapReason, InboxLimits, OutboxLimits, Overflow, Protocol,
    Subscribe,
};
use tokio::time::Instant;

use crate::support::{config, connect, on_both_engines, scripted, take, within};

/// S4: the service stops reading for a minute; the outbox fills, and its policy decides.
#[tokio::test(start_paused = true)]
async fn s4_a_service_that_does_not_read_fills_the_outbox_and_no_more() {
    for (policy, accepted, code) in [
        (Overflow::Error, 1000, "outbox_full"),
        (Overflow::DropOldest, 1500, "outbox_dropped"),
        (Overflow::Block, 1000, "outbox_full"),
    ] {
        let limits = OutboxLimits::default().max_messages(1000);
        // It opens the connection, answers pings by its engine's reading, and no more:
        // the pipe is full soon.
        let deaf = scripted(|io| async move {
            let Ok(_socket) = tokio_tungstenite::accept_async(io).await else { return };
            std::future::pending::<()>().await;
        });
        let config = deaf.outbox(limits).outbox_overflow(policy);
        let config = config.heartbeat(Duration::from_secs(600), Duration::from_secs(10));
        let client =
            Client::connect(config.request_timeout(Duration::from_secs(60))).await.unwrap();
        let publishes: Vec<_> = (0..1500)
            .map(|n| {
                let client = client.clone();
                let message = "x".repeat(1000);
                tokio::spawn(async move { client.publish("c", &(n, message)).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(client.stats().outbox_len, 1000, "{policy:?}");
        let mut codes = std::collections::BTreeMap::<String, usize>::new();
        for publish in publishes {
            let error = within(publish).await.unwrap().unwrap_err();
            *codes.entry(error.code().to_owned()).or_default() += 1;
        }
        let timeouts = if policy == Overflow::DropOldest { accepted - 500 } else { accepted };
        let expected = [(code.to_owned(), 500), ("timeout".to_owned(), timeouts)];
        assert_eq!(codes.into_iter().collect::<Vec<_>>(), expected, "{policy:?}");
    }
}

/// A call that waits for room has it when there is some.
#[tokio::test(start_paused = true)]
async fn s4_calls_that_wait_for_room_go_on_in_their_order() {
    on_both_engines(|server| async move {
        let limits = OutboxLimits::default().max_messages(10).window(2);
        let config = config(&server).outbox(limits).outbox_overflow(Overflow::Block);
        let client = Client::new(config).unwrap();
        let publishes = (0..1000).map(|n| {
            let client = client.clone();
            async move { client.publish("c", &n).await }
        });
        let all = tokio::spawn(join_all(publishes));
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(client.stats().outbox_len, 10);
        client.start().await.unwrap();
        assert!(within(all).await.unwrap().iter().all(Result::is_ok));
        let history = Subscribe::new().history_count(1000);
        let mut c = client.subscribe("c", history).await.unwrap();
        let expected: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        assert_eq!(take(&mut c, 1000).await, expected);
    })
    .await;
}

/// S5: latency up to 2 s, 1 KB/s.
#[tokio::test(start_paused = true)]
async fn s5_a_slow_line_is_no_lost_one() {
    on_both_engines(|server| async move {
        for seed in 0..10 {
            let pipes = server.clone();
            let connector = Connector::new(move |_| {
                let line = slow(pipes.pipe(), seed * 2);
                async { Ok(line) }
            });
            let patient = config(&server).connector(connector);
            let patient = patient.connect_timeout(Duration::from_secs(60));
            let client = Client::connect(patient.request_timeout(Duration::from_secs(60))).await;
            let client = client.unwrap();
            let channel = format!("c{seed}");
            let mut c = client.subscribe(&channel, Subscribe::new()).await.unwrap();
            for n in 0..10 {
                client.publish(&channel, &n).await.unwrap();
            }
            assert_eq!(take(&mut c, 10).await.len(), 10);
            // Quiet for a while: pings, and their answers, are slow as well.
            tokio::time::sleep(Duration::from_secs(300)).await;
            assert_eq!(client.stats().connects, 1, "seed {seed}");
        }
    })
    .await;
}

/// S6: answers come in any order.
#[tokio::test(start_paused = true)]
async fn s6_ten_thousand_answers_in_random_order_find_their_callers() {
    const REQUESTS: usize = 10_000;
    use futures_util::{SinkExt, StreamExt};
    let config = scripted(|io| async move {
        let Ok(mut socket) = tokio_tungstenite::accept_async(io).await else { return };
        let mut ids = Vec::new();
        while let Some(Ok(message)) = socket.next().await {
            let Ok(text) = message.to_text() else { continue };
            let pdu: serde_json::Value = serde_json::from_str(text).unwrap();
            ids.push((pdu["id"].clone(), pdu["body"]["message"].clone()));
            if ids.len() == REQUESTS {
                let mut random = Random::new(3);
                while !ids.is_empty() {
                    let (id, message) = ids.swap_remove(random.below(ids.len() as u64) as usize);
                    let body = serde_json::json!({"position": message.to_string()});
                    let answer =
                        serde_json::json!({"action": "rtm/publish/ok", "id": id, "body": body});
                    socket.send(answer.to_string().into()).await.unwrap();
                }
            }
        }
    });
    let limits = OutboxLimits::default().max_messages(REQUESTS).window(REQUESTS);
    let client = Client::connect(config.outbox(limits)).await.unwrap();
    let publishes = (0..REQUESTS).map(|n| {
        let client = client.clone();
        async move { client.publish("c", &n).await.unwrap().unwrap().to_string() == n.to_string() }
    });
    assert!(within(join_all(publishes)).await.into_iter().all(|right| right));
}

/// S7: one request is never answered; others are.
#[tokio::test(start_paused = true)]
async fn s7_a_request_that_is_never_answered_times_out_alone() {
    use futures_util::{SinkExt, StreamExt};
    let config = scripted(|io| async move {
        let Ok(mut socket) = tokio_tungstenite::accept_async(io).await else { return };
        while let Some(Ok(message)) = socket.next().await {
            let Ok(text) = message.to_text() else { continue };
            let Ok(pdu) = serde_json::from_str::<serde_json::Value>(text) else { continue };
            if pdu["id"] != 0 {
                let answer = format!(r#"{{"action":"rtm/publish/ok","id":{}}}"#, pdu["id"]);
                let _sent = socket.send(answer.into()).await;
            }
        }
    });
    let client = Client::connect(config.request_timeout(Duration::from_secs(5))).await.unwrap();
    let start = Instant::now();
    let slow = client.publish("c", &1);
    let fast = async {
        tokio::task::yield_now().await;
        for n in 0..100 {
            client.publish("d", &n).await.unwrap();
        }
        start.elapsed()
    };
    let (slow, fast) = tokio::join!(slow, fast);
    assert_eq!((slow.unwrap_err().code(), start.elapsed().as_secs()), ("timeout", 5));
    assert!(fast < Duration::from_secs(1), "{fast:?}");
    assert_eq!(client.stats().connects, 1);
}

/// Deliveries of `count` numbers, a hundred at a time.
fn flood(count: usize) -> satori_rtm::Config {
    use futures_util::{SinkExt, StreamExt};
    scripted(move |io| async move {
        let Ok(mut socket) = tokio_tungstenite::accept_async(io).await else { return };
        // Two subscriptions are accepted first.
        for id in 0..2 {
            let Some(Ok(_)) = socket.next().await else { return };
            let ok =
                format!(r#"{{"action":"rtm/subscribe/ok","id":{id},"body":{{"position":"0"}}}}"#);
            socket.send(ok.into()).await.unwrap();
        }
        for first in (0..count).step_by(100) {
            let messages: Vec<String> = (first..first + 100).map(|n| n.to_string()).collect();
            let (messages, next) = (messages.join(","), first + 100);
            let body =
                format!(r#"{{"position":"{next}","messages":[{messages}],"subscription_id":"c"}}"#);
            let data = format!(r#"{{"action":"rtm/subscription/data","body":{body}}}"#);
            if socket.send(data.into()).await.is_err() {
                return;
            }
        }
        let body = r#"{"position":"1","messages":["end"],"subscription_id":"d"}"#;
        let data = format!(r#"{{"action":"rtm/subscription/data","body":{body}}}"#);
        let _sent = socket.send(data.into()).await;
        while let Some(Ok(_)) = socket.next().await {}
    })
}

const MILLION: usize = 1_000_000;

/// Q2: the consumer sleeps, and what is too much is dropped and counted.
#[tokio::test(start_paused = true)]
async fn q2_of_a_million_messages_a_sleeper_is_told_exactly_what_it_missed() {
    let client = Client::connect(flood(MILLION)).await.unwrap();
    let options = Subscribe::new().overflow(Overflow::DropOldest);
    let mut c = client.subscribe("c", options).await.unwrap();
    let mut d = client.subscribe("d", Subscribe::new()).await.unwrap();
    assert_eq!(take(&mut d, 1).await, ["\"end\""]);
    let Some(Delivery::Gap(gap)) = within(c.next()).await else { panic!("no gap") };
    assert_eq!((gap.reason, gap.missed), (GapReason::Overflow, Some(MILLION as u64 - 1024)));
    let rest = take(&mut c, 1024).await;
    assert_eq!(rest[1023], (MILLION - 1).to_string());
}

/// Q3: the same, and the sleeper wants an error.
#[tokio::test(start_paused = true)]
async fn q3_a_sleeper_that_asks_for_an_error_ends_and_others_go_on() {
    let client = Client::connect(flood(MILLION)).await.unwrap();
    let options = Subscribe::new().overflow(Overflow::Error);
    let mut c = client.subscribe("c", options).await.unwrap();
    let mut d = client.subscribe("d", Subscribe::new()).await.unwrap();
    assert_eq!(take(&mut d, 1).await, ["\"end\""]);
    assert_eq!(take(&mut c, 1024).await.len(), 1024);
    let Some(Delivery::Ended(error)) = within(c.next()).await else { panic!("no end") };
    assert_eq!(error.code(), "slow_consumer");
}

/// Q4: one of a hundred subscriptions is stuck, and asked to be waited for.
#[tokio::test(start_paused = true)]
async fn q4_a_stuck_subscription_stops_the_others_and_loses_nothing() {
    on_both_engines(|server| async move {
        let (client, publisher) = (connect(&server).await, connect(&server).await);
        let few = Subscribe::new().inbox(InboxLimits::default().max_messages(2));
        let mut stuck = client.subscribe("stuck", few).await.unwrap();
        let mut others = Vec::new();
        for n in 0..99 {
            let channel = format!("c{n}");
            others.push(client.subscribe(&channel, Subscribe::new()).await.unwrap());
        }
        for n in 0..8 {
            publisher.publish("stuck", &n).await.unwrap();
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
        for other in &others {
            publisher.publish(other.id(), &1).await.unwrap();
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(take(&mut stuck, 8).await.len(), 8);
        for other in &mut others {
            assert_eq!(take(other, 1).await, ["1"]);
        }
        assert_eq!(client.stats().connects, 1);
    })
    .await;
}

/// Q5: sixteen publishers, ten times as fast as the link.
#[tokio::test(start_paused = true)]
async fn q5_sixteen_publishers_share_the_outbox_fairly() {
    on_both_engines(|server| async move {
        let pipes = server.clone();
        let connector = Connector::new(move |_| {
            let line = slow(pipes.pipe(), 4);
            async { Ok(line) }
        });
        let config = config(&server).connector(connector).outbox_overflow(Overflow::Block);
        let config = config.connect_timeout(Duration::from_secs(60));
        let config = config.outbox(OutboxLimits::default().max_messages(64).window(32));
        let client =
            Client::connect(config.request_timeout(Duration::from_secs(600))).await.unwrap();
        let done = join_all((0..16).map(|n| {
            let client = client.clone();
            async move {
                let end = Instant::now() + Duration::from_secs(300);
                let mut done = 0_u64;
                while Instant::now() < end {
                    client.publish("c", &n).await.unwrap();
                    done += 1;
                }
                done as f64
            }
        }))
        .await;
        let (sum, squares) = (done.iter().sum::<f64>(), done.iter().map(|n| n * n).sum::<f64>());
        let jain = sum * sum / (16.0 * squares);
        assert!(jain >= 0.95 && sum > 500.0, "{jain} {done:?}");
    })
    .await;
}

/// One by one, with two seconds of way for each, these would take 200 s.
#[tokio::test(start_paused = true)]
async fn subscriptions_are_restored_in_one_round_trip() {
    on_both_engines(|server| async move {
        let (pipes, lines) = (server.clone(), AtomicUsize::new(0));
        let connector = Connector::new(move |_| {
            let line = match lines.fetch_add(1, Ordering::Relaxed) {
                0 => pipes.pipe(),
                _ => slow(pipes.pipe(), 4),
            };
            async { Ok(line) }
        });
        let config = config(&server).connector(connector).connect_timeout(Duration::from_secs(60));
        let config = config.request_timeout(Duration::from_secs(600));
        let client = Client::connect(config).await.unwrap();
        let ids: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        let mut all = Vec::new();
        for id in &ids {
            all.push(client.subscribe(id, Subscribe::new()).await.unwrap());
        }
        client.stop().await.unwrap();
        let start = Instant::now();
        client.start().await.unwrap();
        // Answered after everything that was asked before it.
        client.publish("99", &1).await.unwrap();
        assert_eq!(take(&mut all[99], 1).await, ["1"]);
        let took = start.elapsed();
        assert!(took < Duration::from_secs(60), "{took:?}");
        assert_eq!(client.stats().gaps, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_subscriptions_are_restored() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let ids: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        let subscribing = ids.iter().map(|id| client.subscribe(id, Subscribe::new()));
        let mut all = Vec::new();
        for subscription in join_all(subscribing).await {
            all.push(subscription.unwrap());
        }
        client.stop().await.unwrap();
        client.start().await.unwrap();
        for id in &ids {
            client.publish(id, &1).await.unwrap();
        }
        for one in &mut all {
            assert_eq!(take(one, 1).await, ["1"]);
        }
        assert_eq!(client.stats().gaps, 0);
    })
    .await;
}

/// X2: `next` is dropped 100,000 times, at random polls.
#[tokio::test(start_paused = true)]
async fn x2_a_hundred_thousand_dropped_futures_lose_nothing() {
    on_both_engines(|server| async move {
        const MESSAGES: usize = 900;
        let client = connect(&server).await;
        let mut c = client.subscribe("c", Subscribe::new()).await.unwrap();
        let publisher = client.clone();
        let sending = tokio::spawn(async move {
            for n in 0..MESSAGES {
                publisher.publish("c", &n).await.unwrap();
            }
        });
        let (mut random, mut got, mut dropped) = (Random::new(7), 0, 0);
        while got < MESSAGES || dropped < 25_000 {
            let polls = random.below(4);
            let yields = async {
                for _ in 0..polls {
                    tokio::task::yield_now().await;
                }
            };
            tokio::select! {
                biased;
                delivery = c.next() => match delivery {
                    Some(Delivery::Message(message)) => {
                        assert_eq!(message.to_string(), got.to_string());
                        got += 1;
                    }
                    other => panic!("{other:?}"),
                },
                () = yields => dropped += 1,
            }
        }
        sending.await.unwrap();
        assert_eq!(client.stats().connects, 1);
    })
    .await;
}

/// A JSON subscriber sees what a CBOR publisher sends, and the other way round.
#[tokio::test(start_paused = true)]
async fn texts_and_numbers_are_equal_in_both_encodings() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let other = config(&server);
        for protocol in [Protocol::Json, Protocol::Cbor] {
            let other = Client::connect(other.clone().protocol(protocol)).await.unwrap();
            let mut c = client.subscribe("c", Subscribe::new()).await.unwrap();
            let value = serde_json::json!({"n": [0, -1, 2.5, 1e100, u64::MAX, i64::MIN], "t": "é\u{1f600}", "b": [true, null]});
            other.publish("c", &value).await.unwrap();
            let Some(Delivery::Message(message)) = within(c.next()).await else { panic!() };
            assert_eq!(message.decode::<serde_json::Value>().unwrap(), value);
            c.unsubscribe().await.unwrap();
        }
    })
    .await;
}
