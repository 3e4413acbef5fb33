//! Other options for a subscription on the fly: it is left, and made again from where it
//! was left, so that nothing comes twice and nothing is missed
//! (docs/protocols/satori-rtm.md, 3.5 and 3.7).
//!
//! ```text
//!   > rtm/unsubscribe                 deliveries come by the old options
//!   < rtm/unsubscribe/ok   position
//!   > rtm/subscribe        position   with the new options
//!   < rtm/subscribe/ok                or an error: then with the old ones again
//! ```

use std::time::Instant;

use client_core::after;

use super::{Control, Core, done};
use crate::{
    codec::{Payload, Pdu},
    config::Subscribe,
    delivery::GapReason,
    error::{Error, Refusal},
    proto::{
        pdu::{self, Positioned},
        subscription::{Swap, Waiter},
    },
    transition::Phase,
};

impl<R> Core<R> {
    /// Asks the service for other options; `to` is answered when it accepts or refuses.
    /// Refused, the subscription goes on as it was.
    pub fn change(&mut self, now: Instant, id: &str, serial: u64, options: Subscribe, to: R) {
        if let Err(error) = options.body(self.config.protocol, id, None, true) {
            return self.reply(to, Err(error));
        }
        let deadline = after(now, self.config.request_timeout);
        let sub = self.subscriptions.get_mut(id).filter(|sub| sub.serial == serial);
        match sub.filter(|sub| !sub.is_leaving()) {
            None => self.reply(to, Err(Error::Closed)),
            Some(sub) if sub.change.is_some() || !matches!(sub.swap, Swap::None) => {
                let reason = "another change of this subscription is under way";
                self.reply(to, Err(Error::misuse("already_changing", reason)));
            }
            Some(sub) => {
                sub.change = Some(options);
                sub.changing = Some(Waiter { to, deadline });
                self.waits.insert((deadline, id.to_owned()));
                if sub.phase == Phase::Subscribed {
                    self.control.push_back(Control::SwapLeave(id.to_owned()));
                }
            }
        }
    }

    /// Whether the change is wanted still, as its first request is written.
    pub(super) fn swap_begins(&mut self, id: &str) -> bool {
        let Some(sub) = self.subscriptions.get_mut(id) else { return false };
        let begins = sub.phase == Phase::Subscribed
            && sub.change.is_some()
            && matches!(sub.swap, Swap::None);
        if begins {
            sub.swap = Swap::Leaving;
        }
        begins
    }

    /// The service has left the subscription, or refuses to.
    pub(super) fn swap_left(&mut self, now: Instant, id: &str, ok: bool, pdu: &Pdu<'_>) {
        let position = match pdu.body::<Positioned<'_>>() {
            Ok(body) => body.into_position(),
            Err(error) => return self.fail(now, error),
        };
        let Some(sub) = self.subscriptions.get_mut(id) else { return self.stray() };
        if sub.phase != Phase::Subscribed || !matches!(sub.swap, Swap::Leaving) {
            return self.stray();
        }
        let refusal = if ok { None } else { Some(pdu::refusal(pdu, pdu::UNSUBSCRIBE)) };
        // Ended by the service itself, it is left just as well.
        if let Some(refusal) = refusal.filter(|refusal| refusal.code != "not_subscribed") {
            (sub.swap, sub.change) = (Swap::None, None);
            if let Some(waiter) = sub.changing.take() {
                self.answer(id, waiter, Err(Error::Refused(refusal)));
            }
            return;
        }
        // From here it goes on, whatever the mode: where delivery stopped. What a view with
        // a period has counted and not said yet is behind the position of its last rows.
        // Without a position, there is a gap.
        if sub.position.is_none() || !sub.options.has_period() {
            sub.position = position.or_else(|| sub.position.take());
        }
        let unknown = sub.position.is_none();
        if unknown {
            self.tell_gap(id, GapReason::Unknown, None);
        }
        let Some(sub) = self.subscriptions.get_mut(id) else { return };
        match sub.change.take() {
            Some(options) => {
                sub.swap = Swap::Joining(Box::new(options));
                self.control.push_back(Control::SwapJoin(id.to_owned()));
            }
            // Given up meanwhile.
            None => self.swap_back(id),
        }
    }

    /// Writes the request for the new options.
    pub(super) fn swap_request(&self, id: &str) -> Option<Payload> {
        let sub = self.subscriptions.get(id)?;
        let Swap::Joining(options) = &sub.swap else { return None };
        let tracked = sub.position.as_ref().filter(|_| !options.has_start());
        options.body(self.config.protocol, id, tracked, true).ok()
    }

    /// The service has accepted the new options, or refused them.
    pub(super) fn swap_joined(&mut self, now: Instant, id: &str, ok: bool, pdu: &Pdu<'_>) {
        let position = match pdu.body::<Positioned<'_>>() {
            Ok(body) => body.into_position(),
            Err(error) => return self.fail(now, error),
        };
        let Some(sub) = self.subscriptions.get_mut(id) else { return self.stray() };
        let Swap::Joining(options) = std::mem::take(&mut sub.swap) else { return self.stray() };
        let refusal = if ok { None } else { Some(pdu::refusal(pdu, pdu::SUBSCRIBE)) };
        // Our position was refused, not the options: they are asked for once more.
        let of_position = |refusal: &Refusal| {
            refusal.code.contains("position") || refusal.reason.contains("osition")
        };
        if refusal.as_ref().is_some_and(of_position)
            && !options.has_start()
            && sub.position.take().is_some()
        {
            sub.swap = Swap::Joining(options);
            self.control.push_back(Control::SwapJoin(id.to_owned()));
            return self.tell_gap(id, GapReason::Expired, None);
        }
        let waiter = sub.changing.take();
        let result = match refusal {
            None => {
                sub.options = *options;
                let _nobody = sub.accepted(position);
                done()
            }
            Some(refusal) => {
                self.swap_back(id);
                Err(Error::Refused(refusal))
            }
        };
        if let Some(waiter) = waiter {
            self.answer(id, waiter, result);
        }
    }

    /// Makes the subscription again as it was.
    fn swap_back(&mut self, id: &str) {
        let Some(sub) = self.subscriptions.get_mut(id) else { return };
        sub.swap = Swap::None;
        if sub.phase == Phase::Subscribed {
            sub.enter(id, Phase::Subscribing, &self.trace);
            self.control.push_back(Control::Subscribe(id.to_owned()));
        }
    }
}
