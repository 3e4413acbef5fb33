//! One subscription, over any number of connections.
//!
//! ```text
//!   Waiting --request written--> Subscribing --success--> Active
//!      ^                              |                     |
//!      '------- connection lost ------+---------------------'
//! ```

use std::task::Context;

use client_core::Writer;
use serde_json::value::RawValue;

use crate::{
    delivery::{Delivery, Gap, GapReason, Message},
    error::Error,
    room::Room,
};

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Phase {
    /// The server does not know it on this connection.
    Waiting,
    /// Asked for.
    Subscribing,
    /// Accepted.
    Active,
}

/// `R` names somebody who waits for an answer.
#[derive(Debug)]
pub(super) struct Sub<R> {
    pub(super) room: Room,
    /// The same on every connection.
    pub(super) id: String,
    pub(super) phase: Phase,
    /// It was active on an earlier connection, and the consumer has not been told yet
    /// that messages may be missing.
    pub(super) owes_gap: bool,
    out: Writer<Delivery>,
    /// Who waits for the first acceptance.
    pub(super) subscribing: Option<R>,
}

/// What a delivery did.
#[derive(Debug, Default)]
pub(super) struct Delivered {
    pub(super) dropped: u64,
    /// The consumer is slow and asked for an error: the subscription is over.
    pub(super) overflow: bool,
}

impl<R> Sub<R> {
    pub(super) fn new(room: Room, id: String, out: Writer<Delivery>, subscribing: R) -> Self {
        let (phase, subscribing) = (Phase::Waiting, Some(subscribing));
        Self { room, id, phase, owes_gap: false, out, subscribing }
    }

    /// Hands a message to the consumer.
    pub(super) fn deliver(&self, data: &RawValue) -> Delivered {
        let message = Delivery::Message(Message::new(data.to_owned()));
        match self.out.push(message, data.get().len()) {
            Ok(dropped) => Delivered { dropped, overflow: false },
            Err(_) => Delivered { dropped: 0, overflow: true },
        }
    }

    /// Tells the consumer that messages may be missing, if that is owed.
    pub(super) fn pay_gap(&mut self) -> bool {
        let owed = std::mem::take(&mut self.owes_gap);
        if owed {
            let gap = Gap { reason: GapReason::Reconnected, missed: None };
            // Two in a row are one.
            let is_gap = |last: &mut Delivery, _: &Delivery| matches!(last, Delivery::Gap(_));
            self.out.push_notice(Delivery::Gap(gap), is_gap);
        }
        owed
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
