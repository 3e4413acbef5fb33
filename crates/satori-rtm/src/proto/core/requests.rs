//! Requests of the application: taken, written, answered, sent again, given up.

use std::{any::Any, borrow::Cow, time::Instant};

use client_core::{Dropped, Event, Overflow, Token, Transmit, after};

use super::{Core, Pending, Request};
use crate::{
    answer::Answer,
    codec::{Payload, Pdu, Raw},
    error::Error,
    proto::pdu::{self, Outcome},
};

/// A request of the application, kept until it is settled.
pub(super) struct Outgoing<R> {
    action: Cow<'static, str>,
    body: Payload,
    /// `None` asks for no acknowledgement.
    to: Option<R>,
    /// The id on this connection.
    id: Option<u64>,
    /// Written at least once: the service may have acted.
    sent: bool,
    at_most_once: bool,
    _hold: Option<Box<dyn Any + Send>>,
}

impl<R> Core<R> {
    /// Takes a request; with `to` it is acknowledged, without it is written and
    /// forgotten.
    ///
    /// # Errors
    ///
    /// [`Error::Full`] or [`Error::Closed`] by an [`Effect::Reply`](super::Effect::Reply)
    /// to `to`; returned as well, for a request that nobody waits for.
    pub fn request(&mut self, now: Instant, request: Request, to: Option<R>) -> Result<(), Error> {
        let deadline = Some(after(now, self.config.request_timeout));
        let bytes = request.bytes();
        if let Err(error) = self.make_room(bytes) {
            if let Some(to) = to {
                self.reply(to, Err(error.clone()));
            }
            return Err(error);
        }
        let Request { action, body, at_most_once, hold, .. } = request;
        let outgoing =
            Outgoing { action, body, to, id: None, sent: false, at_most_once, _hold: hold };
        // There is room now.
        let _token = self.outbox.push(outgoing, bytes, deadline);
        self.count_outbox();
        Ok(())
    }

    fn make_room(&mut self, bytes: usize) -> Result<(), Error> {
        if self.link.is_closing() {
            return Err(Error::Closed);
        }
        if bytes > self.config.outbox.max_bytes {
            let reason = format!("a request of {bytes} bytes is over the outbox's bound");
            return Err(Error::misuse("message_too_big", reason));
        }
        while !self.outbox.has_room(bytes) {
            // Nothing is dropped in vain.
            if self.config.outbox_overflow != Overflow::DropOldest
                || !self.outbox.would_have_room(bytes)
            {
                return Err(Error::Full);
            }
            // Everything is in flight: the newest must wait for an answer.
            let Some((token, oldest)) = self.outbox.pop_waiting() else { return Err(Error::Full) };
            self.give_up(token, oldest, Error::Dropped);
        }
        Ok(())
    }

    pub(super) fn next_request(&mut self) -> Option<Transmit> {
        let (token, outgoing) = self.outbox.launch()?;
        outgoing.sent = true;
        if outgoing.to.is_some() {
            let id = self.next_id;
            outgoing.id = Some(id);
            let transmit = outgoing.body.pdu(&outgoing.action, Some(id));
            let _allotted = self.allot(Pending::Request(token));
            return Some(transmit);
        }
        let outgoing = self.outbox.settle(token)?;
        self.report.written += 1;
        self.count_outbox();
        Some(outgoing.body.pdu(&outgoing.action, None))
    }

    pub(super) fn handle_answer(&mut self, now: Instant, id: u64, pdu: &Pdu<'_>) {
        let Some(pending) = self.pending.get(&id) else { return self.stray() };
        let asked = match pending {
            Pending::Auth(action) => action,
            Pending::Subscribe(_) | Pending::SwapJoin(_) => pdu::SUBSCRIBE,
            Pending::Unsubscribe(_) | Pending::SwapLeave(_) => pdu::UNSUBSCRIBE,
            Pending::Request(token) => match self.outbox.get_mut(*token) {
                Some(outgoing) => &*outgoing.action,
                None => return self.stray(),
            },
        };
        let ok = match pdu::outcome(asked, &pdu.action) {
            Some(Outcome::Ok) => true,
            Some(Outcome::Error) => false,
            // A request that is answered in parts stays until the last one.
            Some(Outcome::Data) => return self.stray(),
            None => return self.fail(now, Error::protocol("unexpected_action", &pdu.action)),
        };
        self.overdue.remove(&id);
        match self.pending.remove(&id) {
            None => {}
            Some(Pending::Auth(action)) => self.handle_auth(now, id, action, ok, pdu),
            Some(Pending::Subscribe(id)) if ok => self.subscribed(now, &id, pdu),
            Some(Pending::Subscribe(id)) => self.subscribe_refused(&id, pdu),
            Some(Pending::SwapLeave(id)) => self.swap_left(now, &id, ok, pdu),
            Some(Pending::SwapJoin(id)) => self.swap_joined(now, &id, ok, pdu),
            Some(Pending::Unsubscribe(id)) => self.unsubscribed(&id, ok, pdu),
            Some(Pending::Request(token)) => self.answered(token, ok, pdu),
        }
        self.finish_close();
    }

    fn answered(&mut self, token: Token, ok: bool, pdu: &Pdu<'_>) {
        let Some(outgoing) = self.outbox.settle(token) else { return self.stray() };
        self.count_outbox();
        let result = if ok {
            self.report.acknowledged += 1;
            Ok(Answer::new(pdu.body.map(Raw::to_payload)))
        } else {
            self.report.refused += 1;
            Err(Error::Refused(pdu::refusal(pdu, &outgoing.action)))
        };
        if let Some(to) = outgoing.to {
            self.reply(to, result);
        }
    }

    /// The connection is lost: what was sent waits again, but for what may be sent only
    /// once. Whether the service acted on that is not known.
    pub(super) fn rewind(&mut self, cause: Option<&Error>) {
        for (id, pending) in std::mem::take(&mut self.pending) {
            let Pending::Request(token) = pending else { continue };
            if self.outbox.get_mut(token).is_some_and(|o| o.at_most_once && o.id == Some(id))
                && let Some(outgoing) = self.outbox.settle(token)
            {
                // Whatever the cause: the request is in doubt.
                let error = match cause {
                    Some(Error::Transport { source }) => {
                        Error::Transport { source: std::sync::Arc::clone(source) }
                    }
                    Some(other) => Error::transport(other.clone()),
                    None => Error::transport(std::io::Error::other("the client was stopped")),
                };
                self.give_up(token, outgoing, error);
            }
        }
        self.overdue.clear();
        self.outbox.rewind();
        self.count_outbox();
    }

    /// Counts a request that will not be answered, and says so to who waits.
    pub(super) fn give_up(&mut self, token: Token, outgoing: Outgoing<R>, error: Error) {
        // The id may be of an earlier connection, and somebody else's by now.
        if let Some(id) = outgoing.id
            && matches!(self.pending.get(&id), Some(Pending::Request(of)) if *of == token)
        {
            self.pending.remove(&id);
        }
        match outgoing.sent {
            true => self.report.unacknowledged += 1,
            false => self.report.unsent += 1,
        }
        match outgoing.to {
            Some(to) => self.reply(to, Err(error)),
            None => {
                self.monitor.count(|stats| stats.dropped += 1);
                self.monitor.tell(Event::Dropped { what: Dropped::Requests, count: 1 });
            }
        }
    }

    pub(super) fn settle_all(&mut self, error: &Error) {
        while let Some((token, outgoing)) = self.outbox.pop() {
            self.give_up(token, outgoing, error.clone());
        }
        self.count_outbox();
    }

    pub(super) fn count_outbox(&self) {
        let (len, bytes) = (self.outbox.len(), self.outbox.bytes());
        self.monitor.count(|stats| {
            stats.outbox_len = len;
            stats.outbox_bytes = bytes;
        });
    }
}
