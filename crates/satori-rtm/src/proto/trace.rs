//! Tells each step to whoever listens, in the order of the original's callbacks.

use std::sync::Arc;

use client_core::{Listeners, State};

use crate::transition::{Phase, Step, Subject, Transition};

#[derive(Debug)]
pub(super) struct Trace {
    listeners: Listeners<Transition>,
    client: Phase,
    /// The client has left its state and not entered the next.
    between: bool,
}

impl Trace {
    pub(super) fn new(listeners: Listeners<Transition>) -> Self {
        Self { listeners, client: Phase::Stopped, between: false }
    }

    /// The client leaves its state, for one that is told next.
    pub(super) fn leave(&mut self) {
        if !self.between {
            self.between = true;
            self.tell(Subject::Client, Step::Leave(self.client));
        }
    }

    /// The client is in `state` now.
    pub(super) fn enter(&mut self, state: State) {
        let phase = match state {
            State::Connecting => Phase::Connecting,
            State::Connected => Phase::Connected,
            State::Waiting => Phase::Awaiting,
            State::Closed => Phase::Disposed,
            _ => Phase::Stopped,
        };
        if phase != self.client {
            self.leave();
        }
        if self.between {
            (self.client, self.between) = (phase, false);
            self.tell(Subject::Client, Step::Enter(phase));
        }
    }

    /// The client passes through `phase`.
    pub(super) fn pass(&mut self, phase: Phase) {
        self.leave();
        self.tell(Subject::Client, Step::Enter(phase));
        self.tell(Subject::Client, Step::Leave(phase));
    }

    /// A step of a subscription.
    pub(super) fn step(&self, id: &str, number: u64, step: Step) {
        if !self.listeners.is_empty() {
            let id: Arc<str> = id.into();
            self.tell(Subject::Subscription { id, number }, step);
        }
    }

    pub(super) fn end(&self) {
        self.listeners.end();
    }

    fn tell(&self, subject: Subject, step: Step) {
        self.listeners.tell(&Transition { subject, step });
    }
}
