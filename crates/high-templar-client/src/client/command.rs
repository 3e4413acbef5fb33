//! What handles ask of their driver, and how they are answered.

use client_core::Writer;
use tokio::sync::oneshot;

use crate::{delivery::Delivery, error::Error, proto::Answer, room::Room};

pub(super) type Replied = Result<Answer, Error>;

/// Who waits for an answer.
#[derive(Debug)]
pub(super) enum Reply {
    Answer(oneshot::Sender<Replied>),
    /// A subscription: if nobody is left to take it, it is undone.
    Subscribed {
        to: oneshot::Sender<Replied>,
        serial: u64,
    },
}

/// What a handle asks of its driver.
#[derive(Debug)]
pub(super) enum Command {
    Start(Reply),
    Stop(Reply),
    Subscribe {
        room: Room,
        serial: u64,
        id: String,
        out: Writer<Delivery>,
        to: oneshot::Sender<Replied>,
    },
    Unsubscribe {
        serial: u64,
        to: Reply,
    },
    Status(Reply),
    Close(Reply),
}

impl Reply {
    /// Answers. Returns the subscription that nobody is left to take.
    pub(super) fn send(self, result: Replied) -> Option<u64> {
        match self {
            // Who has gone does not want the answer.
            Self::Answer(to) => {
                let _gone = to.send(result);
                None
            }
            Self::Subscribed { to, serial } => {
                let subscribed = result.is_ok();
                let gone = to.send(result).is_err();
                (subscribed && gone).then_some(serial)
            }
        }
    }
}
