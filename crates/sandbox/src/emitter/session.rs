//! One connection, from CONNECT to its end.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use rumqttc::{
    ConnAck, ConnectReturnCode, LastWill, Packet, PingResp, Protocol, PubAck, Publish, QoS, SubAck,
    Subscribe, SubscribeReasonCode, UnsubAck, Unsubscribe,
};

use super::{
    hub::{Hub, Outlet, delivery},
    line::{Reader, Writer},
    refusal::Refusal,
    requests::answer,
};
use crate::log::{EventLog, What};

/// The connection is to be ended.
struct Ended;

/// Serves a connection to its end. What it leaves behind is published then.
pub(super) async fn serve(
    hub: &Hub,
    log: &EventLog,
    number: u64,
    (reader, mut writer): (Reader, Writer),
) {
    let mut packets = Packets { reader, bytes: BytesMut::new(), max: hub.config.max_packet };
    let connect = tokio::time::timeout(hub.config.handshake, packets.next()).await;
    let Ok(Ok(Packet::Connect(connect))) = connect else { return };
    if connect.protocol != Protocol::V4 {
        return;
    }
    log.add(number, What::Opened);
    let username = connect.login.map(|login| login.username).filter(|name| !name.is_empty());
    let outlet = hub.join(number, username);
    let mut session = Session { hub, log, number, outlet: Arc::clone(&outlet) };
    session.write(|out| ConnAck::new(ConnectReturnCode::Success, false).write(out));
    let reading = session.read(&mut packets);
    let writing = write(hub, &outlet, &mut writer);
    tokio::select! {
        _ended = reading => {}
        () = writing => {}
    }
    hub.leave(number);
    if let Some(LastWill { topic, message, retain, .. }) = connect.last_will {
        // A will that is refused is refused in silence.
        let _silent = hub.publish(number, &topic, &message, retain);
    }
}

/// Writes what waits, until nothing more comes or the client does not take it.
async fn write(hub: &Hub, outlet: &Outlet, writer: &mut Writer) {
    while let Some(bytes) = outlet.take().await {
        let sending = tokio::time::timeout(hub.config.send, writer.send(bytes));
        if !matches!(sending.await, Ok(Ok(()))) {
            return;
        }
    }
}

/// Packets out of bytes.
struct Packets {
    reader: Reader,
    bytes: BytesMut,
    max: usize,
}

impl Packets {
    async fn next(&mut self) -> Result<Packet, Ended> {
        loop {
            match Packet::read(&mut self.bytes, self.max) {
                Ok(packet) => return Ok(packet),
                Err(rumqttc::Error::InsufficientBytes(_)) => {
                    let piece = self.reader.next().await.map_err(|_| Ended)?;
                    self.bytes.extend_from_slice(&piece);
                }
                Err(_) => return Err(Ended),
            }
        }
    }
}

struct Session<'a> {
    hub: &'a Hub,
    log: &'a EventLog,
    number: u64,
    outlet: Arc<Outlet>,
}

impl Session<'_> {
    async fn read(&mut self, packets: &mut Packets) -> Result<(), Ended> {
        loop {
            let next = tokio::time::timeout(self.hub.config.idle, packets.next()).await;
            match next.map_err(|_| Ended)?? {
                Packet::Publish(publish) => self.publish(publish).await,
                Packet::Subscribe(subscribe) => self.subscribe(&subscribe),
                Packet::Unsubscribe(unsubscribe) => self.unsubscribe(&unsubscribe),
                Packet::PingReq => self.write(|out| PingResp.write(out)),
                // Nothing is delivered that could be acknowledged.
                Packet::PubAck(_) | Packet::PubRec(_) | Packet::PubRel(_) | Packet::PubComp(_) => {}
                _ => return Err(Ended),
            }
            // Who asks and does not read waits for himself.
            let room = tokio::time::timeout(self.hub.config.send, self.outlet.room());
            room.await.map_err(|_| Ended)?;
        }
    }

    async fn publish(&mut self, publish: Publish) {
        let mut over = Vec::new();
        let control = publish.topic.strip_prefix("emitter/").and_then(|rest| rest.split_once('/'));
        match control {
            Some((name, query)) if query.is_empty() || query.starts_with('?') => {
                self.received("PUBLISH", &publish.topic);
                let answer = answer(self.hub, self.number, name, &publish.payload, publish.pkid);
                self.say(&publish.topic, answer);
            }
            _ => {
                let (number, topic) = (self.number, &publish.topic);
                let word = if publish.dup { "PUBLISH again" } else { "PUBLISH" };
                self.received(word, without_key(topic));
                match self.hub.publish(number, topic, &publish.payload, publish.retain) {
                    Ok(slow) => over = slow,
                    Err(refusal) => self.refuse(refusal, publish.pkid),
                }
            }
        }
        if publish.qos != QoS::AtMostOnce {
            // Also what asked for exactly once, and what was refused.
            self.write(|out| PubAck::new(publish.pkid).write(out));
        }
        for outlet in over {
            // Who does not read in this time is ended.
            if tokio::time::timeout(self.hub.config.send, outlet.room()).await.is_err() {
                outlet.close();
            }
        }
    }

    fn subscribe(&mut self, subscribe: &Subscribe) {
        let codes = subscribe.filters.iter().map(|filter| {
            self.received("SUBSCRIBE", without_key(&filter.path));
            match self.hub.subscribe(self.number, &filter.path) {
                Ok(()) => SubscribeReasonCode::Success(filter.qos),
                Err(refusal) => {
                    self.refuse(refusal, subscribe.pkid);
                    SubscribeReasonCode::Failure
                }
            }
        });
        let codes = codes.collect();
        self.write(|out| SubAck::new(subscribe.pkid, codes).write(out));
    }

    fn unsubscribe(&mut self, unsubscribe: &Unsubscribe) {
        for topic in &unsubscribe.topics {
            self.received("UNSUBSCRIBE", without_key(topic));
            if let Err(refusal) = self.hub.unsubscribe(self.number, topic) {
                self.refuse(refusal, unsubscribe.pkid);
            }
        }
        self.write(|out| UnsubAck::new(unsubscribe.pkid).write(out));
    }

    fn refuse(&self, refusal: Refusal, req: u16) {
        self.log.add(self.number, What::Refused(refusal.status));
        self.say("emitter/error/", refusal.json(req));
    }

    /// Writes an answer, unless no packet is large enough for it: then it is dropped
    /// without a word, as the broker does.
    fn say(&self, topic: &str, text: String) {
        if 2 + topic.len() + text.len() <= self.hub.config.max_packet {
            self.outlet.push(&delivery(topic, &Bytes::from(text)));
        }
    }

    fn write<E>(&self, packet: impl FnOnce(&mut BytesMut) -> Result<usize, E>) {
        let mut out = BytesMut::new();
        // Acknowledgements of fixed form.
        if packet(&mut out).is_ok() {
            self.outlet.push(&out);
        }
    }

    fn received(&self, what: &str, about: &str) {
        self.log.add(self.number, What::Received(format!("{what} {about}")));
    }
}

/// A topic as it may be shown.
fn without_key(topic: &str) -> &str {
    topic.split_once('/').map_or(topic, |(_, rest)| rest)
}
