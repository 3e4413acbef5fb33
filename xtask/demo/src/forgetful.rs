//! What the demos of services that keep nothing for who is away have in common: calls
//! that are made again by hand, and a gap for what was missed.

use std::time::Duration;

use realtime_sandbox::Auditor;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::report::Narrator;

const MESSAGES: usize = 200;
const PAUSE: Duration = Duration::from_millis(5);
/// How long the last delivery is waited for.
const PATIENCE: Duration = Duration::from_secs(8);

pub(crate) struct Forgetful<'d> {
    pub(crate) narrator: &'d Narrator,
    pub(crate) auditor: &'d Auditor,
    /// The stream or room, as the auditor's books call it.
    pub(crate) channel: &'static str,
}

/// A call has failed.
pub(crate) struct Failed {
    pub(crate) is_in_doubt: bool,
    pub(crate) text: String,
}

/// What comes out of a subscription.
pub(crate) enum Seen {
    Message(String),
    /// With how many were missed, if that is known.
    Gap(Option<u64>),
    End(String),
}

impl Forgetful<'_> {
    /// Publishes; a call that was cut off is in doubt, and made again here. Returns how
    /// long that took.
    pub(crate) async fn publish(
        &self,
        call: impl AsyncFn(&Value) -> Result<(), Failed>,
    ) -> Result<Vec<Duration>, String> {
        let mut recovered = Vec::new();
        for n in 1..=MESSAGES {
            let payload = json!({"n": n});
            self.auditor.accepted(self.channel, &payload.to_string());
            let start = Instant::now();
            match call(&payload).await {
                Ok(()) => {}
                Err(failed) if failed.is_in_doubt => {
                    self.narrator
                        .say(&format!("publisher was cut off in call {n}; it calls again"));
                    call(&payload).await.map_err(publishing_failed)?;
                    recovered.push(start.elapsed());
                }
                Err(failed) => return Err(publishing_failed(failed)),
            }
            self.auditor.acknowledged(self.channel, &payload.to_string());
            if n % 50 == 0 {
                self.narrator.say(&format!("{n} of {MESSAGES} published and acknowledged"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(recovered)
    }

    /// Receives until the last message; returns how long it took from each gap to the
    /// next message.
    pub(crate) async fn receive(
        &self,
        mut next: impl AsyncFnMut() -> Seen,
    ) -> Result<Vec<Duration>, String> {
        let (mut recovered, mut is_over) = (Vec::new(), false);
        let mut lost: Option<Instant> = None;
        let last = json!({"n": MESSAGES}).to_string();
        loop {
            // When all is there, a moment more: nothing may come twice.
            let patience = if is_over { Duration::from_millis(300) } else { PATIENCE };
            match tokio::time::timeout(patience, next()).await {
                Ok(Seen::Message(message)) => {
                    self.auditor.delivered("subscriber", &message);
                    is_over |= message == last;
                    if let Some(lost) = lost.take() {
                        recovered.push(lost.elapsed());
                        self.narrator.say("the first message after it has come");
                    }
                }
                Ok(Seen::Gap(missed)) => {
                    self.auditor.gap("subscriber", missed);
                    self.narrator.say("subscriber was cut off, and is told of a gap");
                    lost = Some(Instant::now());
                }
                Ok(Seen::End(how)) => return Err(format!("the subscription has ended: {how}")),
                Err(_) => return Ok(recovered),
            }
        }
    }
}

fn publishing_failed(failed: Failed) -> String {
    format!("publishing failed: {}", failed.text)
}
