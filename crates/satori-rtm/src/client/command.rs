//! What handles ask of their driver, and how they are answered.

use std::{sync::Arc, time::Duration};

use client_core::{CloseReport, Writer};
use tokio::sync::oneshot;

use crate::{
    answer::Answer, auth::AuthDelegate, config::Subscribe, delivery::Delivery, error::Error,
    proto::Request,
};

pub(super) type Replied = Result<Answer, Error>;

/// Who waits for an answer.
#[derive(Debug)]
pub(super) enum Reply {
    Answer(oneshot::Sender<Replied>),
    Report(oneshot::Sender<CloseReport>),
    /// A subscription: if nobody is left to take it, it is undone.
    Subscribed {
        to: oneshot::Sender<Replied>,
        id: Arc<str>,
        serial: u64,
    },
}

/// What a handle asks of its driver.
pub(super) enum Command {
    Start(Reply),
    Stop(Reply),
    Authenticate {
        delegate: Arc<dyn AuthDelegate>,
        to: Reply,
    },
    Request {
        request: Request,
        to: Reply,
    },
    /// A request that is not acknowledged; `to` learns that it was taken.
    Post {
        request: Request,
        to: Reply,
    },
    Subscribe {
        id: Arc<str>,
        serial: u64,
        options: Box<Subscribe>,
        out: Writer<Delivery>,
        to: Reply,
    },
    Change {
        id: Arc<str>,
        serial: u64,
        options: Box<Subscribe>,
        to: Reply,
    },
    Unsubscribe {
        id: Arc<str>,
        serial: u64,
        to: Reply,
    },
    Close {
        wait: Duration,
        to: Reply,
    },
}

impl Reply {
    /// Answers. Returns the subscription that nobody is left to take.
    pub(super) fn send(self, result: Replied) -> Option<(Arc<str>, u64)> {
        match self {
            // Who has gone does not want the answer.
            Self::Answer(to) => {
                let _gone = to.send(result);
                None
            }
            Self::Report(_) => None,
            Self::Subscribed { to, id, serial } => {
                let subscribed = result.is_ok();
                let gone = to.send(result).is_err();
                (subscribed && gone).then_some((id, serial))
            }
        }
    }

    pub(super) fn report(self, report: CloseReport) {
        if let Self::Report(to) = self {
            let _gone = to.send(report);
        }
    }
}
