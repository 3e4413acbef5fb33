//! What is written next, and under which packet id.

use std::time::Instant;

use bytes::BytesMut;
use client_core::{Token, Transmit};
use rumqttc::{Connect, Login, PingReq, QoS, Subscribe, SubscribeFilter, Unsubscribe};

use super::{Answer, Core, Flight, Kind, What, asks::Asker};
use crate::requests::Ask;

/// Packets are handed over in pieces of this size, or one larger packet.
const PIECE: usize = 16 << 10;

/// What the connection itself has to say.
pub(super) enum Control<R> {
    Connect,
    Ping,
    Subscribe(Vec<u64>),
    Unsubscribe { topic: String, to: Option<R> },
    Ask(Ask, Asker),
}

impl<R> Control<R> {
    /// Who waits for it.
    pub(super) fn into_waiter(self) -> Option<R> {
        match self {
            Self::Unsubscribe { to, .. } => to,
            _ => None,
        }
    }
}

impl<R> Core<R> {
    /// Returns the next bytes for the broker, one or more whole packets; only
    /// meaningful between [`connected`](Self::connected) and the end of that
    /// connection. Look at the effects again afterwards: writing the last request may
    /// end a client that is closing.
    pub fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        let mut out = BytesMut::new();
        let mut packets = 0;
        while out.len() < PIECE && (self.next_control(&mut out) || self.next_outgoing(&mut out)) {
            packets += 1;
        }
        if out.is_empty() {
            self.finish_close();
            return None;
        }
        self.sent_at = Some(now);
        let bytes = out.len() as u64;
        self.monitor.count(|stats| {
            stats.messages_out += packets;
            stats.bytes_out += bytes;
        });
        self.count_outbox();
        Some(Transmit::Binary(out.into()))
    }

    /// What is said to a broker that is left in peace: it publishes the last will
    /// all the same.
    #[must_use]
    pub fn farewell(&self) -> Transmit {
        Transmit::Binary(vec![0xe0, 0])
    }

    /// Writes the next packet of the connection's own, if there is one.
    fn next_control(&mut self, out: &mut BytesMut) -> bool {
        let may_speak = self.link.is_live()
            || (self.link.is_authenticating()
                && matches!(self.control.front(), Some(Control::Connect | Control::Ping)));
        if !may_speak {
            return false;
        }
        if let Some(id) = self.acks.pop_front() {
            return rumqttc::PubAck::new(id).write(out).is_ok();
        }
        loop {
            // Without a free packet id everything that needs one waits.
            let needs_none = matches!(self.control.front(), Some(Control::Connect | Control::Ping));
            let id = if needs_none { Some(0) } else { self.free_id() };
            let Some(id) = id else { return false };
            let Some(control) = self.control.pop_front() else { return false };
            if self.write_control(control, id, out) {
                return true;
            }
        }
    }

    /// Writes what is said, under `id` if it is to be acknowledged. False if there is
    /// no need any more. What the codec refuses was checked when it was accepted.
    fn write_control(&mut self, control: Control<R>, id: u16, out: &mut BytesMut) -> bool {
        let (written, kind) = match control {
            Control::Connect => return self.connect().write(out).is_ok(),
            Control::Ping => return PingReq.write(out).is_ok(),
            Control::Subscribe(serials) => {
                let Some((topic, kind)) = self.subscribing(serials) else { return false };
                let filter = SubscribeFilter::new(topic, QoS::AtMostOnce);
                let packet = Subscribe { pkid: id, filters: vec![filter] };
                (packet.write(out).is_ok(), kind)
            }
            Control::Unsubscribe { topic, to } => {
                let packet = Unsubscribe { pkid: id, topics: vec![topic] };
                (packet.write(out).is_ok(), Kind::Unsubscribe(to))
            }
            Control::Ask(ask, by) => {
                if !self.is_wanted(&by) {
                    return false;
                }
                let (packet, asking) = self.asking_packet(&ask, by, id);
                (packet.write(out).is_ok(), Kind::Ask(asking))
            }
        };
        // A fetch has a deadline of its own.
        let is_fill = matches!(&kind, Kind::Ask(asking) if matches!(asking.by, Asker::Fill(_)));
        if self.restoring.until.is_some() && !is_fill {
            self.restoring.ids.insert(id);
        }
        self.flying.insert(id, Flight { kind, refusal: None });
        written
    }

    /// Writes the next packet of the outbox.
    fn next_outgoing(&mut self, out: &mut BytesMut) -> bool {
        if !self.link.is_live() {
            return false;
        }
        // Taken before it is known whether it is needed: ids are plenty.
        let Some(id) = self.free_id() else { return false };
        let Some((token, outgoing)) = self.outbox.launch() else { return false };
        outgoing.sent = true;
        let kind = match &mut outgoing.what {
            What::Publish(publish) if publish.qos == QoS::AtMostOnce => {
                let _written = publish.write(out);
                self.written(token);
                return true;
            }
            What::Publish(publish) => {
                publish.pkid = id;
                let _written = publish.write(out);
                Kind::Publish(token)
            }
            What::Ask(ask) => {
                let ask = ask.clone();
                let (packet, asking) = self.asking_packet(&ask, Asker::Application(token), id);
                let _written = packet.write(out);
                Kind::Ask(asking)
            }
        };
        self.flying.insert(id, Flight { kind, refusal: None });
        true
    }

    /// A message that nobody acknowledges is settled by being written.
    fn written(&mut self, token: Token) {
        let Some(outgoing) = self.outbox.settle(token) else { return };
        self.report.written += 1;
        if let Some(to) = outgoing.to {
            self.reply(to, Ok(Answer::Done));
        }
    }

    fn connect(&self) -> Connect {
        let config = &self.config;
        let mut connect = Connect::new(config.client_id.clone().unwrap_or_default());
        connect.keep_alive = u16::try_from(config.keepalive.as_secs()).unwrap_or(u16::MAX);
        let password = config.password.as_ref().map(|secret| secret.reveal());
        let password = password.map(String::from_utf8_lossy).unwrap_or_default();
        if config.username.is_some() || !password.is_empty() {
            let username = config.username.clone().unwrap_or_default();
            connect.login = Some(Login::new(username, password));
        }
        // The will was checked along with the other options.
        if let Some((will, Ok(topic))) = config.last_will.as_ref().map(|will| (will, will.topic()))
        {
            let mut last_will =
                rumqttc::LastWill::new(topic, Vec::new(), QoS::AtMostOnce, will.retain);
            last_will.message = will.payload();
            connect.last_will = Some(last_will);
        }
        connect
    }

    /// A packet id that nothing on this connection has: one counter for all kinds.
    fn free_id(&mut self) -> Option<u16> {
        if self.flying.len() >= usize::from(u16::MAX) {
            return None;
        }
        loop {
            self.next_id = self.next_id.checked_add(1).unwrap_or(1);
            if !self.flying.contains_key(&self.next_id) {
                return Some(self.next_id);
            }
        }
    }
}
