//! One subscription, over any number of connections.
//!
//! ```text
//!   Waiting --request written--> Subscribing --accepted--> Active
//!      ^                              |                      |
//!      '------- connection lost ------+----------------------'
//! ```

use std::{task::Context, time::Instant};

use client_core::Writer;
use serde_json::value::RawValue;

use super::message;
use crate::{
    config::Subscribe,
    delivery::{Delivery, Gap, GapReason, Message},
    error::Error,
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// The service does not know it on this connection.
    Waiting,
    /// Asked for under this id; the answer is overdue at that time.
    Subscribing { id: u64, overdue: Instant },
    /// Accepted under this id.
    Active { id: u64 },
}

/// `R` names somebody who waits for an answer.
#[derive(Debug)]
pub(super) struct Sub<R> {
    pub(super) stream: String,
    pub(super) options: Subscribe,
    pub(super) phase: Phase,
    out: Writer<Delivery>,
    /// Who waits for the first acceptance, and until when.
    pub(super) subscribing: Option<(R, Instant)>,
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
    pub(super) const fn new(
        stream: String,
        options: Subscribe,
        out: Writer<Delivery>,
        subscribing: (R, Instant),
    ) -> Self {
        Self { stream, options, phase: Phase::Waiting, out, subscribing: Some(subscribing) }
    }

    /// The id on this connection, if it has one.
    pub(super) const fn id(&self) -> Option<u64> {
        match self.phase {
            Phase::Waiting => None,
            Phase::Subscribing { id, .. } | Phase::Active { id } => Some(id),
        }
    }

    /// When something about it is due. Who is `blocked` from reading cannot say that
    /// an answer is overdue.
    pub(super) fn due(&self, blocked: bool) -> Option<Instant> {
        let overdue = match self.phase {
            Phase::Subscribing { overdue, .. } if !blocked => Some(overdue),
            Phase::Subscribing { .. } | Phase::Waiting | Phase::Active { .. } => None,
        };
        let deadline = self.subscribing.as_ref().map(|(_, deadline)| *deadline);
        [overdue, deadline].into_iter().flatten().min()
    }

    /// Hands a payload to the consumer, or its elements if it is a batch.
    pub(super) fn deliver(&self, payload: &RawValue) -> Delivered {
        let mut delivered = Delivered::default();
        let elements = match self.options.flatten {
            true => message::elements(payload),
            false => None,
        };
        for raw in elements.unwrap_or_else(|| vec![payload]) {
            let message = Delivery::Message(Message::new(raw.to_owned()));
            match self.out.push(message, raw.get().len()) {
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
    pub(super) fn gap(&self) {
        let gap = Gap { reason: GapReason::Reconnected, missed: None };
        // Two in a row are one.
        let is_gap = |last: &mut Delivery, _: &Delivery| matches!(last, Delivery::Gap(_));
        self.out.push_notice(Delivery::Gap(gap), is_gap);
    }

    /// Whether a consumer that is waited for has as much as it may have.
    pub(super) fn is_full(&self) -> bool {
        self.out.is_full()
    }

    pub(super) fn poll_room(&self, cx: &mut Context<'_>) -> std::task::Poll<()> {
        self.out.poll_room(cx)
    }

    /// Ends the consumer's stream with an error.
    pub(super) fn end(&self, error: Error) {
        self.out.push_notice(Delivery::Ended(error), |_, _| false);
    }
}
