//! Calls that wait for each other travel together, without a timer: while requests
//! are on their way, what comes gathers for the next one.

use std::{
    collections::VecDeque,
    sync::{
        Arc, Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::Duration,
};

use tokio::{sync::oneshot, time::Instant};

use super::Calls;
use crate::{
    client::combine::{LEADERS, MAX_WAITING, gather, is_for_one},
    error::Error,
    proto::{Command, Outcome},
};

/// How long a call whose time is up waits for its request, whose time is up as well:
/// that one knows whether it was sent.
const VERDICT: Duration = Duration::from_millis(5);

type Done = oneshot::Sender<Result<Outcome, Error>>;

/// A command that waits for a request to travel in.
struct Waiting {
    command: Command,
    deadline: Instant,
    /// Set by who is first: the request that takes the command, or the caller who
    /// gives up.
    is_settled: Arc<AtomicBool>,
    done: Done,
}

#[derive(Clone, Default)]
pub(super) struct Combiner(Arc<Mutex<Queue>>);

#[derive(Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// How many tasks are sending. They end when nothing waits, so that a client
    /// outlives the runtime of its first calls.
    leaders: usize,
}

impl Combiner {
    /// Sends `command` with what else waits, and returns its outcome within
    /// `timeout`.
    pub(super) async fn call(
        &self,
        calls: &Arc<Calls>,
        command: Command,
        timeout: Duration,
    ) -> Result<Outcome, Error> {
        let (done, mut outcome) = oneshot::channel();
        let (deadline, is_settled) = (Instant::now() + timeout, Arc::new(AtomicBool::new(false)));
        let waiting = Waiting { command, deadline, is_settled: Arc::clone(&is_settled), done };
        if let Some(lead) = self.wait(waiting)? {
            tokio::spawn(lead.send_all(Arc::clone(calls)));
        }
        if let Ok(Ok(result)) = tokio::time::timeout_at(deadline, &mut outcome).await {
            return result;
        }
        // Not answered in time, or its task is gone with the runtime. What no request
        // has taken will not be sent.
        if !is_settled.swap(true, Relaxed) {
            return Err(Error::never_sent_in_time());
        }
        match tokio::time::timeout(VERDICT, outcome).await {
            Ok(Ok(result)) => result,
            Ok(Err(_)) | Err(_) => Err(Error::timed_out()),
        }
    }

    /// Adds a command; returns the lead if somebody has to take it.
    fn wait(&self, waiting: Waiting) -> Result<Option<Lead>, Error> {
        let mut queue = self.lock();
        if queue.waiting.len() >= MAX_WAITING {
            return Err(Error::misuse("full", "65,536 calls wait already"));
        }
        queue.waiting.push_back(waiting);
        if queue.leaders == LEADERS {
            return Ok(None);
        }
        queue.leaders += 1;
        Ok(Some(Lead { combiner: self.clone(), is_over: false }))
    }

    fn lock(&self) -> MutexGuard<'_, Queue> {
        // A panic under this lock leaves nothing half done.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The right to send what waits.
struct Lead {
    combiner: Combiner,
    is_over: bool,
}

impl Lead {
    async fn send_all(mut self, calls: Arc<Calls>) {
        while let Some(batch) = self.next() {
            send(&calls, batch).await;
        }
    }

    /// Takes what goes together, but nothing that nobody waits for any more. When
    /// nothing waits, the lead is over.
    fn next(&mut self) -> Option<Vec<Waiting>> {
        let mut queue = self.combiner.lock();
        loop {
            let Some(mut batch) = gather(&mut queue.waiting, |one| one.command.params.len()) else {
                queue.leaders -= 1;
                self.is_over = true;
                return None;
            };
            let now = Instant::now();
            batch.retain(|one| {
                !one.done.is_closed() && one.deadline > now && !one.is_settled.swap(true, Relaxed)
            });
            if !batch.is_empty() {
                return Some(batch);
            }
        }
    }
}

impl Drop for Lead {
    /// A task that ends early, with its runtime, leaves the lead to the next call.
    fn drop(&mut self) {
        if !self.is_over {
            self.combiner.lock().leaders -= 1;
        }
    }
}

async fn send(calls: &Calls, batch: Vec<Waiting>) {
    // Nobody's time is cut short by another's: each waits for his own.
    let Some(deadline) = batch.iter().map(|waiting| waiting.deadline).max() else { return };
    let (commands, mut dones): (Vec<Command>, Vec<Done>) =
        batch.into_iter().map(|waiting| (waiting.command, waiting.done)).unzip();
    let result = tokio::select! {
        result = exchange(calls, &commands, deadline) => result,
        () = all_gone(&mut dones) => return,
    };
    match result {
        Ok(outcomes) => {
            for (done, outcome) in dones.into_iter().zip(outcomes) {
                let _gone = done.send(Ok(outcome));
            }
        }
        Err(error) if commands.len() > 1 && is_for_one(&error) => {
            for (command, done) in commands.into_iter().zip(dones) {
                if done.is_closed() {
                    continue;
                }
                let outcome = exchange(calls, &[command], deadline).await;
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

async fn exchange(
    calls: &Calls,
    commands: &[Command],
    deadline: Instant,
) -> Result<Vec<Outcome>, Error> {
    let left = deadline.saturating_duration_since(Instant::now());
    if left.is_zero() {
        return Err(Error::never_sent_in_time());
    }
    calls.exchange(commands, false, left).await
}

/// Ready when nobody waits for an answer any more.
async fn all_gone(dones: &mut [Done]) {
    for done in dones {
        done.closed().await;
    }
}
