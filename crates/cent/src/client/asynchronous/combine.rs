//! Calls that wait for each other travel together, without a timer: a task sends
//! one request at a time, with all that has gathered while the last one was on its
//! way.

use std::{
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
    time::Duration,
};

use tokio::{
    sync::{mpsc, oneshot},
    time::Instant,
};

use super::Calls;
use crate::{
    client::combine::{MAX_BYTES, MAX_COMMANDS, MAX_WAITING, is_for_one},
    error::Error,
    proto::{Command, Outcome},
};

/// A command that waits for a request to travel in.
pub(super) struct Waiting {
    command: Command,
    deadline: Instant,
    is_sent: Arc<AtomicBool>,
    done: oneshot::Sender<Result<Outcome, Error>>,
}

/// Starts the task; it ends when nobody can call any more.
pub(super) fn start(calls: Arc<Calls>) -> mpsc::Sender<Waiting> {
    let (sender, mut receiver) = mpsc::channel(MAX_WAITING);
    tokio::spawn(async move {
        let mut next = None;
        loop {
            let first = match next.take() {
                Some(first) => first,
                None => match receiver.recv().await {
                    Some(first) => first,
                    None => return,
                },
            };
            let batch = gather(first, &mut receiver, &mut next);
            send(&calls, batch).await;
        }
    });
    sender
}

/// Sends `command` with what else waits, and returns its outcome within `timeout`.
pub(super) async fn call(
    combiner: &mpsc::Sender<Waiting>,
    command: Command,
    timeout: Duration,
) -> Result<Outcome, Error> {
    let (done, outcome) = oneshot::channel();
    let (deadline, is_sent) = (Instant::now() + timeout, Arc::new(AtomicBool::new(false)));
    let waiting = Waiting { command, deadline, is_sent: Arc::clone(&is_sent), done };
    combiner.try_send(waiting).map_err(|error| match error {
        mpsc::error::TrySendError::Full(_) => Error::misuse("full", "65,536 calls wait already"),
        // The runtime on which the first call was made is gone.
        mpsc::error::TrySendError::Closed(_) => {
            Error::misuse("runtime", "a client is used on the runtime of its first call")
        }
    })?;
    match tokio::time::timeout_at(deadline, outcome).await {
        Ok(Ok(result)) => result,
        // Its task is gone with the runtime: what was sent is in doubt.
        Ok(Err(_)) | Err(_) => Err(match is_sent.load(Ordering::Relaxed) {
            true => Error::timed_out(),
            false => Error::never_sent_in_time(),
        }),
    }
}

/// Takes what goes together with `first`; what does not fit goes next.
fn gather(
    first: Waiting,
    receiver: &mut mpsc::Receiver<Waiting>,
    next: &mut Option<Waiting>,
) -> Vec<Waiting> {
    let mut bytes = first.command.params.len();
    let mut batch = vec![first];
    while batch.len() < MAX_COMMANDS
        && let Ok(waiting) = receiver.try_recv()
    {
        bytes += waiting.command.params.len();
        if bytes > MAX_BYTES {
            *next = Some(waiting);
            break;
        }
        batch.push(waiting);
    }
    // Whoever has given up is not sent for.
    batch.retain(|waiting| !waiting.done.is_closed());
    batch
}

async fn send(calls: &Calls, batch: Vec<Waiting>) {
    // Nobody's time is cut short by another's: each waits for his own.
    let Some(deadline) = batch.iter().map(|waiting| waiting.deadline).max() else { return };
    let left = || deadline.saturating_duration_since(Instant::now());
    let (mut commands, mut dones) = (Vec::new(), Vec::new());
    for waiting in batch {
        waiting.is_sent.store(true, Ordering::Relaxed);
        commands.push(waiting.command);
        dones.push(waiting.done);
    }
    match calls.exchange(&commands, false, left()).await {
        Ok(outcomes) => {
            for (done, outcome) in dones.into_iter().zip(outcomes) {
                let _gone = done.send(Ok(outcome));
            }
        }
        Err(error) if commands.len() > 1 && is_for_one(&error) => {
            for (command, done) in commands.into_iter().zip(dones) {
                let outcome = calls.exchange(&[command], false, left()).await;
                let one = |mut all: Vec<Outcome>| all.pop().ok_or_else(Error::timed_out);
                let _gone = done.send(outcome.and_then(one));
            }
        }
        Err(error) => {
            let error = error.each();
            for done in dones {
                let _gone = done.send(Err(error.clone()));
            }
        }
    }
}
