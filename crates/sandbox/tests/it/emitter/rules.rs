//! Rules of the broker that the recorded exchanges do not show.

use std::time::Duration;

use bytes::Bytes;
use realtime_sandbox::{EmitterConfig, EmitterServer, What};
use rumqttc::{LastWill, Packet, QoS};
use serde_json::Value;

use super::support::{LINES, Line, Peer};

fn broker(line: Line) -> EmitterServer {
    let config = EmitterConfig::default().secret_key("secret").key("all", "#/", "rwslp");
    EmitterServer::new(config, line.engine())
}

async fn join(broker: &EmitterServer, line: Line) -> Peer {
    Peer::join(broker, line, None, None).await
}

fn texts(packets: &[Packet]) -> Vec<String> {
    let text = |packet: &Packet| match packet {
        Packet::Publish(publish) => {
            Some(format!("{} {}", publish.topic, String::from_utf8_lossy(&publish.payload)))
        }
        _ => None,
    };
    packets.iter().filter_map(text).collect()
}

#[tokio::test(start_paused = true)]
async fn the_last_will_is_published_however_the_connection_ends() {
    for line in LINES {
        for gracefully in [true, false] {
            let broker = broker(line);
            let mut heir = join(&broker, line).await;
            heir.subscribe(&["all/gone/?last=0"], 1).await;
            heir.drain().await;
            let will = LastWill::new("all/gone/", "bye", QoS::AtMostOnce, false);
            let mut dying = Peer::join(&broker, line, None, Some(will)).await;
            if gracefully {
                dying.send(&Packet::Disconnect).await;
            }
            drop(dying);
            assert!(matches!(
                heir.next().await,
                Some(Packet::Publish(p)) if p.topic == "gone/" && p.payload.as_ref() == b"bye"
            ));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_packet_may_have_65536_bytes_and_no_more() {
    for line in LINES {
        let broker = broker(line);
        let mut peer = join(&broker, line).await;
        let topic = "all/big/";
        let most = "x".repeat(65_536 - 2 - topic.len());
        peer.publish(topic, &most, 0).await;
        assert!(peer.drain().await.is_empty());
        peer.publish(topic, &(most + "x"), 0).await;
        assert!(peer.next().await.is_none(), "{line:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_that_fits_no_packet_is_never_sent() {
    let line = Line::Tcp;
    let broker = broker(line);
    let mut peer = join(&broker, line).await;
    for n in 0..4 {
        peer.publish("all/h/?ttl=60", &"x".repeat(15_000), n + 1).await;
    }
    peer.drain().await;
    for (last, comes) in [(3, true), (4, false)] {
        let ask = format!("{{\"channel\":\"all/h/?last={last}\"}}");
        peer.publish("emitter/history/?req=1", &ask, 9).await;
        let packets = peer.drain().await;
        assert_eq!(packets.len(), if comes { 2 } else { 1 });
        assert!(matches!(packets.last(), Some(Packet::PubAck(_))));
    }
}

#[tokio::test(start_paused = true)]
async fn subscriptions_are_a_set_and_some_collide() {
    let line = Line::Tcp;
    let broker = broker(line);
    let mut peer = join(&broker, line).await;
    let mut other = join(&broker, line).await;
    // Twice subscribed, once unsubscribed: gone.
    peer.subscribe(&["all/a/?last=0", "all/a/?last=0"], 1).await;
    peer.drain().await;
    other.publish("all/a/", "once", 0).await;
    other.drain().await;
    assert_eq!(texts(&peer.drain().await), ["a/ once"]);
    let topics = vec!["all/a/".to_owned()];
    peer.send(&Packet::Unsubscribe(rumqttc::Unsubscribe { pkid: 2, topics })).await;
    peer.drain().await;
    other.publish("all/a/", "none", 0).await;
    other.drain().await;
    assert!(texts(&peer.drain().await).is_empty());
    // The broker takes x/y for y/x on one connection.
    peer.subscribe(&["all/x/y/?last=0", "all/y/x/?last=0"], 3).await;
    peer.drain().await;
    other.publish("all/x/y/", "first", 0).await;
    other.publish("all/y/x/", "second", 0).await;
    other.drain().await;
    assert_eq!(texts(&peer.drain().await), ["x/y/ first"]);
}

#[tokio::test(start_paused = true)]
async fn presence_lists_at_most_a_thousand() {
    let line = Line::Tcp;
    let broker = broker(line);
    let mut peers = Vec::new();
    for _ in 0..1050 {
        let mut peer = join(&broker, line).await;
        peer.subscribe(&["all/crowd/?last=0"], 1).await;
        peer.drain().await;
        peers.push(peer);
    }
    let ask = "{\"key\":\"all\",\"channel\":\"crowd\",\"status\":true}";
    let mut asking = join(&broker, line).await;
    asking.publish("emitter/presence/", ask, 0).await;
    let Some(Packet::Publish(answer)) = asking.next().await else { panic!() };
    let answer: Value = serde_json::from_slice(&answer.payload).unwrap();
    assert_eq!(answer["who"].as_array().unwrap().len(), 1000);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_mqtt_is_hung_up_on() {
    for line in LINES {
        let broker = broker(line);
        for bytes in [&b"\xff\xff\xff\xff\xff"[..], b"\x30\x03\x00\x01a", b"\x10\x00"] {
            let mut peer = Peer::open(&broker, line).await;
            peer.send_raw(bytes).await;
            assert!(peer.next().await.is_none(), "{bytes:?} on {line:?}");
        }
        // A second CONNECT, and nothing at all for two minutes.
        let mut peer = join(&broker, line).await;
        peer.send(&Packet::Connect(rumqttc::Connect::new(""))).await;
        assert!(peer.next().await.is_none());
        let mut idle = join(&broker, line).await;
        let end = tokio::time::timeout(Duration::from_secs(121), idle.next()).await;
        assert!(end.unwrap().is_none());
    }
}

#[tokio::test(start_paused = true)]
async fn the_matcher_of_mqtt_can_be_asked_for() {
    let line = Line::Tcp;
    let config = EmitterConfig::default().key("all", "#/", "rw").mqtt_matcher();
    let broker = EmitterServer::new(config, line.engine());
    let mut peer = join(&broker, line).await;
    peer.subscribe(&["all/m/?last=0", "all/n/#/?last=0"], 1).await;
    peer.drain().await;
    for channel in ["m/", "m/a/", "n/", "n/a/b/"] {
        peer.publish(&format!("all/{channel}"), "x", 0).await;
    }
    assert_eq!(texts(&peer.drain().await), ["m/ x", "n/a/b/ x"]);
}

#[tokio::test]
async fn health_is_asked_over_http() {
    let broker = broker(Line::Tcp);
    let mut pipe = broker.pipe();
    tokio::io::AsyncWriteExt::write_all(&mut pipe, b"GET /health HTTP/1.1\r\n\r\n").await.unwrap();
    let mut answer = Vec::new();
    tokio::io::AsyncReadExt::read_to_end(&mut pipe, &mut answer).await.unwrap();
    assert!(answer.starts_with(b"HTTP/1.1 200"), "{:?}", Bytes::from(answer));
}

#[tokio::test(start_paused = true)]
async fn the_log_shows_packets_without_their_keys() {
    let broker = broker(Line::Tcp);
    let mut peer = join(&broker, Line::Tcp).await;
    peer.publish("all/a/?ttl=1", "x", 0).await;
    peer.drain().await;
    let log = broker.log();
    assert_eq!(log.count(|what| *what == What::Received("PUBLISH a/?ttl=1".to_owned())), 1);
}
