//! What an incoming message means (docs/protocols/satori-rtm.md, 2.2). The
//! order of the rules matters.

use std::time::Instant;

use super::{Core, Input};
use crate::{
    codec::{Data, Id},
    delivery::{GapReason, Position},
    error::Error,
    proto::pdu::{Info, Problem, refusal},
};

impl<R> Core<R> {
    /// Takes what the service sent.
    pub fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        if !self.link.heard(now) {
            return;
        }
        let bytes = match input {
            Input::Control => return,
            Input::Binary(bytes) => bytes.len(),
            Input::Text(text) => text.len(),
        };
        self.monitor.count(|stats| stats.bytes_in += bytes as u64);
        if let Err(error) = self.dispatch(now, input) {
            self.fail(now, error);
        }
    }

    /// An error here is the service's: the connection is given up.
    fn dispatch(&mut self, now: Instant, input: Input<'_>) -> Result<(), Error> {
        let mut pdu = self.config.protocol.pdu(input)?;
        match pdu.action.as_ref() {
            "rtm/subscription/data" => self.subscription_data(pdu.data()?),
            "rtm/subscription/error" => self.subscription_error(&pdu.body()?),
            "rtm/subscription/info" => self.subscription_info(&pdu.body()?),
            _ => match pdu.id {
                Some(Id::Number(id)) => self.handle_answer(now, id, &pdu),
                Some(Id::Text(_)) => self.stray(),
                None if pdu.action == "/error" => {
                    let detail = refusal(&pdu, "/error").to_string();
                    return Err(Error::protocol("general_error", &detail));
                }
                None => return Err(Error::protocol("no_id", &pdu.action)),
            },
        }
        Ok(())
    }

    fn subscription_data(&mut self, data: Data<'_>) {
        let position = data.position.map(|text| Position::from(text.into_owned()));
        self.deliver(&data.subscription_id, &data.messages, position);
    }

    fn subscription_error(&mut self, problem: &Problem<'_>) {
        let reason = match problem.error.as_deref() {
            Some("out_of_sync") => Some(GapReason::OutOfSync),
            Some("expired_position") => Some(GapReason::Expired),
            // The service ended the subscription for a reason of its own; the
            // tracked position goes on where it stopped.
            _ => None,
        };
        self.subscription_dropped(problem, reason);
    }

    /// Infos of other kinds say nothing that a client has to act on.
    fn subscription_info(&mut self, info: &Info<'_>) {
        if info.info == "fast_forward" {
            let (reason, missed) = (GapReason::FastForward, info.missed_message_count);
            self.tell_gap(&info.subscription_id, reason, missed);
        }
    }
}
