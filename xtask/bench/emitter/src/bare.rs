//! Bare rumqttc: its client and its event loop, as its documentation has it.

use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Event, EventLoop, Incoming, MqttOptions, QoS};

use crate::{PAYLOAD, Place, Rate, Stopwatch, WINDOW, Work, on_a_runtime};

fn open(place: &Place) -> (AsyncClient, EventLoop) {
    let mut options = MqttOptions::new("bench", "127.0.0.1", place.port);
    options.set_inflight(WINDOW).set_keep_alive(Duration::from_secs(30));
    options.set_max_packet_size(1 << 20, 1 << 20);
    AsyncClient::new(options, usize::from(WINDOW))
}

/// Polls until `count` packets were seen that `counts`.
async fn until(events: &mut EventLoop, count: u64, counts: impl Fn(&Incoming) -> bool) {
    let mut seen = 0;
    while seen < count {
        if let Event::Incoming(packet) = events.poll().await.expect("a connection") {
            seen += u64::from(counts(&packet));
        }
    }
}

pub(crate) fn run(work: Work, place: &Place, messages: u64) -> Rate {
    on_a_runtime(async {
        let (client, mut events) = open(place);
        until(&mut events, 1, |packet| matches!(packet, Incoming::ConnAck(_))).await;
        let topic = format!("{}/bench/", place.key);
        let stopwatch = Stopwatch::start();
        let acked = |packet: &Incoming| matches!(packet, Incoming::PubAck(_));
        match work {
            Work::Qos0 => {
                let publishing = tokio::spawn(async move {
                    for _ in 0..messages {
                        let once = client.publish(&topic, QoS::AtMostOnce, false, PAYLOAD).await;
                        once.expect("it takes it");
                    }
                    let last = client.publish(&topic, QoS::AtLeastOnce, false, PAYLOAD).await;
                    last.expect("it takes it");
                    client
                });
                until(&mut events, 1, acked).await;
                drop(publishing.await);
            }
            Work::Qos1 => {
                let publishing = tokio::spawn(async move {
                    for _ in 0..messages {
                        let sent = client.publish(&topic, QoS::AtLeastOnce, false, PAYLOAD).await;
                        sent.expect("it takes it");
                    }
                    client
                });
                let timed = messages - u64::from(WINDOW);
                until(&mut events, timed, acked).await;
                let rate = stopwatch.rate(timed);
                until(&mut events, u64::from(WINDOW), acked).await;
                drop(publishing.await);
                return rate;
            }
            Work::Deliveries => {
                let topic = format!("{}/{messages}/", place.key);
                client.subscribe(topic, QoS::AtMostOnce).await.expect("it takes it");
                let full = |packet: &Incoming| matches!(packet, Incoming::Publish(publish) if publish.payload.len() == 100);
                until(&mut events, messages, full).await;
            }
        }
        stopwatch.rate(messages)
    })
}

/// The median, in microseconds.
pub(crate) fn round_trip(place: &Place, times: usize) -> f64 {
    on_a_runtime(async {
        let (client, mut events) = open(place);
        let topic = format!("{}/echo/", place.key);
        client.subscribe(format!("{topic}?last=0"), QoS::AtMostOnce).await.expect("it takes it");
        until(&mut events, 1, |packet| matches!(packet, Incoming::SubAck(_))).await;
        let mut took = Vec::with_capacity(times);
        for _ in 0..times {
            let start = Instant::now();
            let sent = client.publish(&topic, QoS::AtMostOnce, false, PAYLOAD).await;
            sent.expect("it takes it");
            until(&mut events, 1, |packet| matches!(packet, Incoming::Publish(_))).await;
            took.push(start.elapsed());
        }
        took.sort_unstable();
        took[times / 2].as_secs_f64() * 1e6
    })
}
