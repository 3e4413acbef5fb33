//! Every exchange that was recorded from a real broker.

use std::collections::BTreeMap;

use realtime_sandbox::{EmitterConfig, EmitterServer};
use rumqttc::{Packet, PingReq, Publish, QoS, SubscribeReasonCode, Unsubscribe};
use serde_json::Value;

use super::support::{LINES, Line, Peer};

const LINES_OF_VECTORS: &str = include_str!("vectors.jsonl");

/// What a placeholder stands for.
struct Names {
    /// Ids of connections.
    ids: BTreeMap<String, String>,
}

impl Names {
    fn fill(&self, text: &str) -> String {
        let mut text = text.replace("{secret}", "secret");
        for (name, id) in &self.ids {
            text = text.replace(&format!("{{conn:{name}}}"), id);
        }
        while let Some(at) = text.find("{key:") {
            let end = at + text[at..].find('}').unwrap();
            let key = text[at + 5..end].to_owned();
            text.replace_range(at..=end, &key);
        }
        text
    }

    fn matches(&self, expected: &Value, found: &Value) -> bool {
        match (expected, found) {
            (Value::String(text), found) if text == "{time}" => found.is_u64(),
            (Value::String(text), Value::String(found)) => match text.as_str() {
                "{text}" | "{msgid}" => !found.is_empty(),
                "{newkey}" => found.len() == 32,
                text => self.fill(text) == *found,
            },
            (Value::Object(expected), Value::Object(found)) => {
                expected.keys().eq(found.keys())
                    && expected.iter().all(|(name, value)| self.matches(value, &found[name]))
            }
            (Value::Array(expected), Value::Array(found)) => {
                expected.len() == found.len()
                    && expected.iter().zip(found).all(|(a, b)| self.matches(a, b))
            }
            (expected, found) => expected == found,
        }
    }

    fn check(&self, step: &str, expected: &Value, packet: &Packet) {
        let matches = match (expected["type"].as_str().unwrap(), packet) {
            ("PUBLISH", Packet::Publish(publish)) => {
                let payload = std::str::from_utf8(&publish.payload).unwrap();
                let wanted = expected["payload"].as_str().unwrap();
                let same = match (serde_json::from_str(wanted), serde_json::from_str(payload)) {
                    (Ok(wanted), Ok(payload)) => self.matches(&wanted, &payload),
                    _ => wanted == payload,
                };
                same && expected["topic"] == publish.topic.as_str()
                    && (publish.qos, publish.retain) == (QoS::AtMostOnce, false)
            }
            ("PUBACK", Packet::PubAck(ack)) => expected["pid"] == ack.pkid,
            ("UNSUBACK", Packet::UnsubAck(ack)) => expected["pid"] == ack.pkid,
            ("SUBACK", Packet::SubAck(ack)) => {
                let code = |code: &SubscribeReasonCode| match code {
                    SubscribeReasonCode::Success(qos) => *qos as u8,
                    SubscribeReasonCode::Failure => 0x80,
                };
                let codes: Vec<u8> = ack.return_codes.iter().map(code).collect();
                expected["pid"] == ack.pkid && expected["codes"] == Value::from(codes)
            }
            _ => false,
        };
        assert!(matches, "{step}: {expected} and not {packet:?}");
    }
}

fn settings(meta: &Value) -> EmitterConfig {
    let keys = meta["keys"].as_object().unwrap();
    keys.iter().fold(EmitterConfig::default().secret_key("secret"), |config, (name, key)| {
        config.key(name, key[0].as_str().unwrap(), key[1].as_str().unwrap())
    })
}

async fn play(peer: &mut Peer, step: &Value, names: &Names) {
    let topics: Vec<String> = match &step["topic"] {
        Value::Array(topics) => topics.iter().map(|t| names.fill(t.as_str().unwrap())).collect(),
        topic => vec![names.fill(topic.as_str().unwrap_or_default())],
    };
    let pkid = u16::try_from(step["pid"].as_u64().unwrap_or_default()).unwrap();
    match step["send"].as_str().unwrap() {
        "publish" => {
            let payload = names.fill(step["payload"].as_str().unwrap());
            let qos = rumqttc::qos(u8::try_from(step["qos"].as_u64().unwrap()).unwrap()).unwrap();
            let mut publish = Publish::new(&topics[0], qos, payload);
            (publish.pkid, publish.retain) = (pkid, step["retain"] == true);
            peer.send(&Packet::Publish(publish)).await;
        }
        "subscribe" => {
            let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
            peer.subscribe(&topics, pkid).await;
        }
        "unsubscribe" => peer.send(&Packet::Unsubscribe(Unsubscribe { pkid, topics })).await,
        other => panic!("{other}"),
    }
}

async fn replay(line: Line) -> usize {
    let mut steps = LINES_OF_VECTORS.lines().map(|line| serde_json::from_str(line).unwrap());
    let meta: Value = steps.next().unwrap();
    let broker = EmitterServer::new(settings(&meta["meta"]), line.engine());
    let (mut names, mut peers) = (Names { ids: BTreeMap::new() }, BTreeMap::new());
    let mut count = 0;
    for step in steps {
        count += 1;
        let (conn, name) = (step["conn"].as_str().unwrap(), step["step"].as_str().unwrap());
        if name == "connect" {
            let mut peer = Peer::join(&broker, line, step["username"].as_str(), None).await;
            peer.publish("emitter/me/", "", 0).await;
            let Some(Packet::Publish(me)) = peer.next().await else { panic!() };
            let me: Value = serde_json::from_slice(&me.payload).unwrap();
            names.ids.insert(conn.to_owned(), me["id"].as_str().unwrap().to_owned());
            peers.insert(conn.to_owned(), peer);
            continue;
        }
        let peer = peers.get_mut(conn).unwrap();
        if name == "ping" {
            let mut out = bytes::BytesMut::new();
            PingReq.write(&mut out).unwrap();
            peer.send_raw(&out).await;
            assert!(matches!(peer.next().await, Some(Packet::PingResp)));
            continue;
        }
        play(peer, &step, &names).await;
        // Who has spoken first: what it has caused is there then.
        let mut got = BTreeMap::from([(conn.to_owned(), peer.drain().await)]);
        for (other, peer) in peers.iter_mut().filter(|(other, _)| *other != conn) {
            got.insert(other.clone(), peer.drain().await);
        }
        for (conn, packets) in got {
            let none = Vec::new();
            let expected = step["expect"][&conn].as_array().unwrap_or(&none);
            assert_eq!(expected.len(), packets.len(), "{name} for {conn}: {packets:?}");
            for (expected, packet) in expected.iter().zip(&packets) {
                names.check(name, expected, packet);
            }
        }
        if name.starts_with("store") {
            // Stored messages are ordered by whole seconds.
            tokio::time::sleep(std::time::Duration::from_secs(1)).await;
        }
    }
    count
}

#[tokio::test(start_paused = true)]
async fn every_recorded_exchange_is_answered_alike() {
    for line in LINES {
        assert_eq!(replay(line).await, 63, "{line:?}");
    }
}
