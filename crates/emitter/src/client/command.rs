//! What handles ask of their driver, and how they are answered.

use std::time::Duration;

use client_core::Reserved;
use tokio::sync::oneshot;

use crate::{
    answers::PresenceEvent,
    delivery::Message,
    error::Error,
    proto::{self, Answered, Ask, Out, Publish, Watcher},
};

/// Who waits for an answer.
#[derive(Debug)]
pub(super) enum Reply {
    Answer(oneshot::Sender<Answered>),
    /// A subscription or a watch: if nobody is left to take it, it is undone.
    Begun {
        to: oneshot::Sender<Answered>,
        serial: u64,
    },
}

/// What a handle asks of its driver.
pub(super) enum Command {
    Start(Reply),
    Stop(Reply),
    Publish {
        publish: Publish,
        to: Option<Reply>,
    },
    Ask {
        ask: Ask,
        reserved: Reserved,
        to: Reply,
    },
    Subscribe {
        serial: u64,
        subscription: proto::Subscription,
        out: Out<Message>,
        to: Reply,
    },
    Unsubscribe {
        subscription: proto::Subscription,
        to: Reply,
    },
    Watch {
        serial: u64,
        watcher: Watcher,
        out: Out<PresenceEvent>,
        to: Reply,
    },
    /// Ends every watch of a channel.
    Unwatch {
        serial: u64,
        watcher: Watcher,
        to: Reply,
    },
    /// Tells listeners of something that went wrong elsewhere.
    Warn(Error),
    Close {
        wait: Duration,
        to: Reply,
    },
}

/// What becomes of a subscription or a watch without a call.
#[derive(Debug)]
pub(super) enum Fate {
    /// Nobody holds it any more.
    Dropped(u64),
    /// A handler has been taken: it has the place of an older one.
    Taken(u64),
}

impl Reply {
    /// Answers. Returns the subscription that nobody is left to take.
    pub(super) fn send(self, result: Answered) -> Option<u64> {
        match self {
            // Who has gone does not want the answer.
            Self::Answer(to) => {
                let _gone = to.send(result);
                None
            }
            Self::Begun { to, serial } => {
                let begun = result.is_ok();
                let gone = to.send(result).is_err();
                (begun && gone).then_some(serial)
            }
        }
    }
}
