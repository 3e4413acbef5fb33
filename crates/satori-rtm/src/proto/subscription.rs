//! One subscription, over any number of connections
//! (docs/protocols/satori-rtm.md, 11 and 12).
//!
//! ```text
//!   Waiting --request written--> Subscribing --ok--> Subscribed
//!      ^                              |                  | the application
//!      |                              v                  v ends it
//!      '--------- connection lost ----+------------ Unsubscribing --ok--> gone
//! ```

use std::time::Instant;

use client_core::Writer;
use serde_json::value::RawValue;

use crate::{
    config::Subscribe,
    delivery::{Delivery, Gap, GapReason, Message, Position},
    error::Error,
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// Nothing is known to the service on this connection.
    Waiting,
    Subscribing,
    Subscribed,
    Unsubscribing,
}

/// `R` names somebody who waits for an answer.
#[derive(Debug)]
pub(super) struct Sub<R> {
    /// Tells subscriptions that follow each other on one channel apart.
    pub(super) serial: u64,
    pub(super) phase: Phase,
    /// Where to start; gone once the service has accepted it.
    pub(super) options: Option<Subscribe>,
    /// Where to go on; `None` means with the next message.
    pub(super) position: Option<Position>,
    /// The consumer; gone when the application has ended the subscription.
    pub(super) out: Option<Writer<Delivery>>,
    pub(super) subscribing: Option<Waiter<R>>,
    pub(super) unsubscribing: Option<Waiter<R>>,
    /// A new subscription that waits for this one to be gone.
    pub(super) next: Option<Box<Self>>,
    /// When the answer to what was asked of the service is overdue.
    pub(super) overdue: Option<Instant>,
}

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
            phase: Phase::Waiting,
            options: Some(options),
            position: None,
            out: Some(out),
            subscribing: None,
            unsubscribing: None,
            next: None,
            overdue: None,
        }
    }

    /// Whether the application has ended it.
    pub(super) const fn is_leaving(&self) -> bool {
        self.out.is_none()
    }

    /// The service accepted; returns who waited for it.
    pub(super) fn accepted(&mut self, position: Option<Position>) -> Option<Waiter<R>> {
        self.phase = Phase::Subscribed;
        self.options = None;
        self.position = position.or_else(|| self.position.take());
        self.subscribing.take()
    }

    /// Hands a batch to the consumer; the position moves with it.
    pub(super) fn deliver(
        &mut self,
        messages: &[&RawValue],
        position: Option<Position>,
    ) -> Delivered {
        let mut delivered = Delivered::default();
        if position.is_some() {
            self.position.clone_from(&position);
        }
        let Some(out) = &self.out else { return delivered };
        let last = messages.len().saturating_sub(1);
        for (at, raw) in messages.iter().enumerate() {
            let next = position.clone().filter(|_| at == last);
            let bytes = raw.get().len();
            let message = Message::new((*raw).to_owned(), next);
            match out.push(Delivery::Message(message), bytes) {
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
