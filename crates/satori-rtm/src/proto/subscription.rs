//! One subscription, over any number of connections
//! (docs/protocols/satori-rtm.md, 11 and 12).
//!
//! ```text
//!   Unsubscribed --asked--> Subscribing --ok--> Subscribed --ended--> Unsubscribing
//!      ^    ^                    |  ^               |  |                   | ok
//!      |    |                    |  '--- again -----'  |                   v
//!      |    '-- connection lost -+---------------------+------------> Unsubscribed, gone
//!      |                         v refused             v out of sync
//!      '------ dropped ------- Failed <----------------'
//! ```

use std::time::Instant;

use client_core::Writer;

use super::trace::Trace;
use crate::{
    codec::Raw,
    config::Subscribe,
    delivery::{Delivery, Gap, GapReason, Message, Position},
    error::Error,
    transition::{Phase, Step},
};

/// `R` names somebody who waits for an answer.
#[derive(Debug)]
pub(super) struct Sub<R> {
    /// Tells subscriptions that follow each other on one id apart.
    pub(super) serial: u64,
    pub(super) phase: Phase,
    pub(super) options: Subscribe,
    /// Where to go on; `None` means with the next message, or where the options say.
    pub(super) position: Option<Position>,
    /// Accepted at least once.
    pub(super) started: bool,
    /// The consumer; gone when the application has ended the subscription.
    pub(super) out: Option<Writer<Delivery>>,
    pub(super) subscribing: Option<Waiter<R>>,
    pub(super) unsubscribing: Option<Waiter<R>>,
    /// Other options that are wanted, until they are asked for.
    pub(super) change: Option<Subscribe>,
    /// Who waits for them.
    pub(super) changing: Option<Waiter<R>>,
    pub(super) swap: Swap,
    /// A new subscription that waits for this one to be gone.
    pub(super) next: Option<Box<Self>>,
}

/// A change of options on the fly: the subscription is left, and made again with the
/// others from where it was left, so that nothing comes twice and nothing is missed.
#[derive(Debug, Default)]
pub(super) enum Swap {
    #[default]
    None,
    /// Asked to be left.
    Leaving,
    /// Left, and asked for with these options.
    Joining(Box<Subscribe>),
}

/// What a message holds besides its bytes: its place in the inbox, which may be one of
/// twice as many as are used.
const HELD: usize = 2 * (size_of::<Delivery>() + 16);

#[derive(Debug)]
pub(super) struct Waiter<R> {
    pub(super) to: R,
    pub(super) deadline: Instant,
}

/// What a delivery did.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    pub(super) messages: u64,
    pub(super) dropped: u64,
    /// The consumer is slow and asked for an error: the subscription is over.
    pub(super) overflow: bool,
}

impl<R> Sub<R> {
    pub(super) fn new(serial: u64, options: Subscribe, out: Writer<Delivery>) -> Self {
        Self {
            serial,
            phase: Phase::Unsubscribed,
            options,
            position: None,
            started: false,
            out: Some(out),
            subscribing: None,
            unsubscribing: None,
            change: None,
            changing: None,
            swap: Swap::None,
            next: None,
        }
    }

    /// Whether the application has ended it.
    pub(super) const fn is_leaving(&self) -> bool {
        self.out.is_none()
    }

    /// Moves on, and says so.
    pub(super) fn enter(&mut self, id: &str, phase: Phase, trace: &Trace) {
        trace.step(id, self.serial, Step::Leave(self.phase));
        self.phase = phase;
        trace.step(id, self.serial, Step::Enter(phase));
    }

    /// The service accepted; returns who waited for it.
    pub(super) fn accepted(&mut self, position: Option<Position>) -> Option<Waiter<R>> {
        self.started = true;
        self.options.started();
        if !self.options.mode.tracks() {
            self.position = None;
        }
        self.track(position);
        self.subscribing.take()
    }

    /// Follows the position, unless the mode is to go on live.
    fn track(&mut self, position: Option<Position>) {
        if position.is_some() && self.options.mode.tracks() {
            self.position = position;
        }
    }

    /// Hands a batch to the consumer; the position moves with it.
    pub(super) fn deliver(
        &mut self,
        messages: &[Raw<'_>],
        position: Option<Position>,
    ) -> Delivered {
        let mut delivered = Delivered::default();
        self.track(position.clone());
        let Some(out) = &self.out else { return delivered };
        let mut next = position;
        let last = messages.len().saturating_sub(1);
        for (at, raw) in messages.iter().enumerate() {
            let next = if at == last { next.take() } else { None };
            let message = Message::new(raw.to_payload(), next);
            match out.push(Delivery::Message(message), raw.len() + HELD) {
                Ok(dropped) => delivered.dropped += dropped,
                Err(_) => {
                    delivered.overflow = true;
                    return delivered;
                }
            }
            delivered.messages += 1;
        }
        delivered
    }

    /// Tells the consumer that messages are missing.
    pub(super) fn gap(&self, reason: GapReason, missed: Option<u64>) {
        if let Some(out) = &self.out {
            out.push_notice(Delivery::Gap(Gap { reason, missed }), merge_gaps);
        }
    }

    /// Whether a consumer that is waited for has as much as it may have.
    pub(super) fn is_full(&self) -> bool {
        self.out.as_ref().is_some_and(Writer::is_full)
    }

    /// Ends the consumer's stream, with an error unless the application asked.
    pub(super) fn end(&mut self, error: Option<Error>) {
        if let (Some(out), Some(error)) = (self.out.take(), error) {
            out.push_notice(Delivery::Ended(error), |_, _| false);
        }
    }
}

/// Two gaps in a row are one: the first reason, and the sum if both are known.
fn merge_gaps(last: &mut Delivery, notice: &Delivery) -> bool {
    match (last, notice) {
        (Delivery::Gap(last), Delivery::Gap(next)) => {
            last.missed = last.missed.zip(next.missed).map(|(a, b)| a.saturating_add(b));
            true
        }
        _ => false,
    }
}
