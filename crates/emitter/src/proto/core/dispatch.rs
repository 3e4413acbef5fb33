//! What an incoming packet means (docs/protocols/emitter.md, 5 to 7).

use std::time::Instant;

use bytes::Bytes;

use super::{Answer, Core, Input, Kind};
use crate::{delivery::Message, error::Error, proto::packet::Incoming};

/// Topics under `emitter/` that are the broker's own; a channel of another name is a
/// channel.
const CONTROL: [&str; 7] = ["error", "presence", "keygen", "keyban", "link", "me", "history"];

/// Acknowledgements that may wait to be written.
const MAX_ACKS: usize = 1024;

impl<R> Core<R> {
    /// Takes what the broker sent, in pieces of any size.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        if !self.link.heard(now) {
            return;
        }
        if self.link.is_live() {
            // What comes before says nothing of messages.
            self.heard.at(now);
        }
        match input {
            Input::Control => {}
            Input::Text(_) => self.fail(now, Error::protocol("text_message", "a text message")),
            Input::Binary(bytes) => {
                self.monitor.count(|stats| stats.bytes_in += bytes.len() as u64);
                self.decoder.feed(bytes);
                self.decode(now);
            }
        }
    }

    /// Reads packets until there is no whole one, or a consumer is full.
    pub(super) fn decode(&mut self, now: Instant) {
        while self.blocked.is_none() && self.link.has_connection() {
            match self.decoder.next() {
                Ok(None) => return,
                Ok(Some(packet)) => self.handle_packet(now, packet),
                Err(error) => return self.fail(now, error),
            }
        }
    }

    fn handle_packet(&mut self, now: Instant, packet: Incoming) {
        if let Incoming::ConnAck(code) = packet {
            return self.handle_connack(now, code);
        }
        if !self.link.is_live() {
            return self.fail(now, Error::protocol("connack", "something else came first"));
        }
        match packet {
            Incoming::ConnAck(_) | Incoming::Pong => {}
            Incoming::Publish { topic, payload, acknowledge } => {
                self.handle_publish(topic, payload);
                self.acknowledge(now, acknowledge);
            }
            Incoming::PubAck(id) => self.handle_puback(id),
            Incoming::SubAck { id, accepted } => self.handle_suback(id, accepted),
            Incoming::UnsubAck(id) => self.handle_unsuback(id),
        }
        self.finish_close();
    }

    fn handle_publish(&mut self, topic: String, payload: Bytes) {
        let control = topic.strip_prefix("emitter/").and_then(|rest| {
            let (name, query) = rest.split_once('/')?;
            CONTROL.iter().find(|known| **known == name).map(|name| (*name, query))
        });
        match control {
            Some((name, "")) => self.handle_control(name, None, payload),
            Some((name, query)) if query.starts_with('?') => {
                self.handle_control(name, query.get(1..), payload);
            }
            _ => self.handle_message(Message::new(topic, payload)),
        }
    }

    /// Acknowledges a message at QoS 1, which an emitter broker never sends. Who sends
    /// them and does not read is left.
    fn acknowledge(&mut self, now: Instant, id: Option<u16>) {
        self.acks.extend(id);
        if self.acks.len() > MAX_ACKS {
            self.fail(now, Error::protocol("flood", "nobody reads our acknowledgements"));
        }
    }

    fn handle_puback(&mut self, id: u16) {
        let is_ours = |kind: &Kind<R>| matches!(kind, Kind::Publish(_) | Kind::Ask(_));
        let Some(flight) = self.take_flight(id, is_ours) else { return self.stray() };
        match flight.kind {
            Kind::Publish(token) => {
                let Some(outgoing) = self.outbox.settle(token) else { return self.stray() };
                self.count_outbox();
                let result = match flight.refusal {
                    None => {
                        self.report.acknowledged += 1;
                        Ok(Answer::Done)
                    }
                    Some(refusal) => {
                        self.report.refused += 1;
                        Err(Error::Refused(refusal))
                    }
                };
                if let Some(to) = outgoing.to {
                    self.reply(to, result);
                }
            }
            Kind::Ask(asking) => self.ask_acknowledged(&asking, flight.refusal),
            Kind::Subscribe { .. } | Kind::Unsubscribe(_) => {}
        }
    }

    fn handle_suback(&mut self, id: u16, accepted: bool) {
        let is_ours = |kind: &Kind<R>| matches!(kind, Kind::Subscribe { .. });
        let Some(flight) = self.take_flight(id, is_ours) else { return self.stray() };
        let Kind::Subscribe { serials, filter, key } = flight.kind else { return };
        match accepted {
            true => self.holders_accepted(&serials, filter, key),
            false => self.holders_refused(&serials, flight.refusal),
        }
    }

    fn handle_unsuback(&mut self, id: u16) {
        let is_ours = |kind: &Kind<R>| matches!(kind, Kind::Unsubscribe(_));
        let Some(flight) = self.take_flight(id, is_ours) else { return self.stray() };
        let Kind::Unsubscribe(Some(to)) = flight.kind else { return };
        let result = flight.refusal.map_or(Ok(Answer::Done), |r| Err(Error::Refused(r)));
        self.reply(to, result);
    }

    /// The packet that is acknowledged, if it is one that is acknowledged so.
    fn take_flight(
        &mut self,
        id: u16,
        is_ours: impl Fn(&Kind<R>) -> bool,
    ) -> Option<super::Flight<R>> {
        self.flying.get(&id).filter(|flight| is_ours(&flight.kind))?;
        self.restoring.ids.remove(&id);
        self.flying.remove(&id)
    }
}
