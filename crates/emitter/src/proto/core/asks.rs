//! Requests and their answers (docs/protocols/emitter.md, 8.1): matched by a token in
//! the topic, given up by an acknowledgement without an answer.

use bytes::Bytes;
use client_core::{Event, Token};
use rumqttc::QoS;

use super::{Answer, Core, Kind, Notice, What};
use crate::{
    answers::{Head, PresenceEvent, decode},
    error::{Error, Refusal},
    requests::Ask,
};

/// Who wants the answer.
#[derive(Clone, Debug, Eq, PartialEq)]
pub(super) enum Asker {
    /// The application, through the outbox.
    Application(Token),
    /// A watch that begins, or begins again; whether it asks for everybody.
    Watch(u64, bool),
    /// A subscription that fetches what it has missed.
    Fill(u64),
    /// A call that ends all watches of a channel.
    Leave(u64),
    /// Nobody: something is restored, or ended.
    Nobody,
}

/// A request on its way.
#[derive(Clone, Debug)]
pub(super) struct Asking {
    pub(super) by: Asker,
    pub(super) name: &'static str,
    pub(super) token: u64,
}

impl<R> Core<R> {
    pub(super) fn asking_packet(
        &mut self,
        ask: &Ask,
        by: Asker,
        id: u16,
    ) -> (rumqttc::Publish, Asking) {
        self.next_ask += 1;
        let token = self.next_ask;
        self.asking.insert(token, id);
        let name = ask.name();
        let topic = format!("emitter/{name}/?req={}", base36(token));
        let mut packet = rumqttc::Publish::new(topic, QoS::AtLeastOnce, ask.body());
        packet.pkid = id;
        (packet, Asking { by, name, token })
    }

    /// Whether somebody still waits for the answer to a request of the connection's.
    pub(super) fn is_wanted(&self, by: &Asker) -> bool {
        match by {
            Asker::Watch(serial, _) => self.watches.contains_key(serial),
            Asker::Fill(serial) => self.holders.contains_key(serial),
            Asker::Application(_) | Asker::Leave(_) | Asker::Nobody => true,
        }
    }

    /// A message on a topic of the broker's own.
    pub(super) fn handle_control(&mut self, name: &str, query: Option<&str>, payload: Bytes) {
        let token = query.and_then(|query| query.strip_prefix("req="));
        let token = token.and_then(|token| u64::from_str_radix(token, 36).ok());
        let id = token.and_then(|token| self.asking.remove(&token));
        if let Some(id) = id {
            let asking = match self.flying.get(&id).map(|flight| &flight.kind) {
                Some(Kind::Ask(asking)) => asking.clone(),
                _ => return self.stray(),
            };
            return self.answered(&asking, payload);
        }
        match name {
            "error" => self.handle_error(&payload),
            "presence" if query.is_none() => self.handle_change(&payload),
            _ => self.stray(),
        }
    }

    fn answered(&mut self, asking: &Asking, payload: Bytes) {
        let head = decode::<Head>(asking.name, &payload);
        let result = head.and_then(|head| match head.refused() {
            None => Ok(payload),
            Some((status, message)) => {
                Err(Error::Refused(Refusal::new(asking.name, status, message)))
            }
        });
        match &result {
            Ok(payload) if matches!(asking.by, Asker::Application(_)) => {
                self.notify_answer(asking.name, payload);
            }
            Err(Error::Refused(refusal)) => self.notify(Notice::Refused(refusal.clone()), 0),
            Ok(_) | Err(_) => {}
        }
        self.deliver_answer(asking, result);
    }

    /// The handlers hear of it too: a list of who is there goes to those of its
    /// channel.
    fn notify_answer(&mut self, name: &'static str, payload: &Bytes) {
        if name != "presence" {
            return self.notify(Notice::Answer(name, payload.clone()), payload.len());
        }
        if let Ok(event) = decode::<PresenceEvent>(name, payload) {
            self.notify_status(event, payload.len());
        }
    }

    fn deliver_answer(&mut self, asking: &Asking, result: Result<Bytes, Error>) {
        match asking.by {
            Asker::Application(token) => {
                let Some(outgoing) = self.outbox.get_mut(token) else { return self.stray() };
                outgoing.answered = true;
                if let (What::Ask(ask @ Ask::Link { name, .. }), Ok(_)) = (&outgoing.what, &result)
                {
                    drop(self.links.insert(name.clone(), ask.clone()));
                }
                match &result {
                    Ok(_) => self.report.acknowledged += 1,
                    Err(_) => self.report.refused += 1,
                }
                if let Some(to) = outgoing.to.take() {
                    self.reply(to, result.map(Answer::Json));
                }
            }
            Asker::Watch(serial, asked) => self.watch_answered(serial, asked, result),
            Asker::Fill(serial) => self.fill_answered(serial, result),
            Asker::Leave(serial) => self.left(serial, result.map(drop)),
            Asker::Nobody => {
                if let Err(cause) = result {
                    self.monitor.tell(Event::Refused { cause });
                }
            }
        }
    }

    /// The broker has acknowledged a request: without an answer by now, none comes.
    pub(super) fn ask_acknowledged(&mut self, asking: &Asking, refusal: Option<Refusal>) {
        if self.asking.remove(&asking.token).is_some() {
            let error = refusal.map_or(Error::AnswerTooLarge, Error::Refused);
            self.deliver_answer(asking, Err(error));
        }
        if let Asker::Application(token) = asking.by {
            let _settled = self.outbox.settle(token);
            self.count_outbox();
        }
    }

    /// The connection is lost with a request on it.
    pub(super) fn lose_ask(&mut self, asking: &Asking, cause: &Error) {
        let Asker::Application(token) = asking.by else { return };
        let Some(outgoing) = self.outbox.get_mut(token) else { return };
        let repeat = matches!(&outgoing.what, What::Ask(ask) if ask.is_repeatable());
        if outgoing.answered {
            let _settled = self.outbox.settle(token);
        } else if !repeat && let Some(outgoing) = self.outbox.settle(token) {
            self.give_up(token, outgoing, cause.clone());
        }
    }

    /// `emitter/error/`: what is to be acknowledged was refused, or something that
    /// nobody can name.
    fn handle_error(&mut self, payload: &[u8]) {
        let Ok(head) = decode::<Head>("error", payload) else { return self.stray() };
        let (status, message) = head.refused().unwrap_or((500, ""));
        let flight = head.req.and_then(|id| self.flying.get_mut(&id));
        let operation = match flight.as_ref().map(|flight| &flight.kind) {
            Some(Kind::Publish(_)) => "publish",
            Some(Kind::Subscribe { .. }) => "subscribe",
            Some(Kind::Unsubscribe(_)) => "unsubscribe",
            Some(Kind::Ask(asking)) => asking.name,
            None => "",
        };
        let refusal = Refusal::new(operation, status, message);
        match flight {
            Some(flight) => flight.refusal = Some(refusal.clone()),
            None => {
                let cause = Error::Refused(refusal.clone());
                self.monitor.tell(Event::Refused { cause });
            }
        }
        self.notify(Notice::Refused(refusal), 0);
    }

    /// The links of this client, which the broker has forgotten.
    pub(super) fn restore_links(&mut self) {
        let asks: Vec<Ask> = self.links.values().cloned().collect();
        for ask in asks {
            // Whoever holds a subscription to it is told by that; a handler of everything
            // else by this.
            if let Ask::Link { channel, subscribe: true, .. } = &ask {
                let channel = channel.split('?').next().unwrap_or_default().to_owned();
                let mut found = Vec::new();
                self.messages.find(&channel, &mut found);
                if found.is_empty() {
                    self.monitor.count(|stats| stats.gaps += 1);
                    self.monitor.tell(Event::Gap { subscription: channel });
                }
            }
            self.control.push_back(super::Control::Ask(ask, Asker::Nobody));
        }
    }
}

fn base36(mut number: u64) -> String {
    let mut digits = Vec::new();
    loop {
        let digit = u32::try_from(number % 36).unwrap_or_default();
        digits.extend(char::from_digit(digit, 36));
        number /= 36;
        if number == 0 {
            return digits.iter().rev().collect();
        }
    }
}

#[cfg(test)]
mod tests {
    use super::base36;

    #[test]
    fn tokens_are_written_in_36_digits() {
        for (number, text) in [(0, "0"), (35, "z"), (36, "10"), (u64::MAX, "3w5e11264sgsf")] {
            assert_eq!(base36(number), text);
            assert_eq!(u64::from_str_radix(text, 36).unwrap(), number);
        }
    }
}
