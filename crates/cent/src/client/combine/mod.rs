//! Calls that wait for each other travel together, without a timer.
//!
//! ```text
//!   call --few are sending-----> leads: sends all that waits, in one request
//!     \--enough are----------> waits --in the leader's request--> has its answer
//!                                  \--still waiting when it is back--> leads next
//! ```
//!
//! A call that finds nobody sending goes out at once and alone, so that combining
//! never makes it wait. Two requests are on their way at a time; what comes
//! meanwhile goes with the next one.

use std::{
    collections::VecDeque,
    sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError},
    time::{Duration, Instant},
};

use crate::{
    error::{Error, Failure},
    proto::{Command, Outcome},
};

/// Most commands in one request.
const MAX_COMMANDS: usize = 512;

/// Most bytes of parameters in one request; a longer command goes alone.
const MAX_BYTES: usize = 512 << 10;

/// Requests on their way at a time: while the server works at one, the next is
/// made.
pub(super) const LEADERS: usize = 2;

/// Most calls that wait; more of them are refused.
pub(super) const MAX_WAITING: usize = 65_536;

/// Sends commands in one request, within a time.
type Exchange<'a> = dyn Fn(&[Command], Duration) -> Result<Vec<Outcome>, Error> + 'a;

#[derive(Debug)]
pub(super) struct Combiner {
    queue: Mutex<Queue>,
    most_leaders: usize,
}

impl Default for Combiner {
    fn default() -> Self {
        Self { queue: Mutex::default(), most_leaders: LEADERS }
    }
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<Waiting>,
    /// How many are sending.
    leaders: usize,
}

/// A command that waits for a request to travel in.
#[derive(Debug)]
struct Waiting {
    command: Command,
    deadline: Instant,
    call: Arc<Call>,
}

/// The commands of one request, and whose each is; the leader's own has no call.
type Batch = Vec<(Command, Option<Arc<Call>>)>;

/// One call that waits.
#[derive(Debug, Default)]
struct Call {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
enum State {
    #[default]
    Waiting,
    /// Its command is in a request.
    Sent,
    /// It sends this request, in which its own command is.
    Lead(Batch),
    Done(Result<Outcome, Error>),
    /// Its deadline has come.
    GivenUp,
}

impl Combiner {
    /// Sends `command`, with others or alone, and returns its outcome within
    /// `timeout`.
    pub(super) fn call(
        &self,
        command: Command,
        timeout: Duration,
        exchange: &Exchange<'_>,
    ) -> Result<Outcome, Error> {
        let deadline = Instant::now() + timeout;
        let mut queue = lock(&self.queue);
        if queue.leaders < self.most_leaders {
            queue.leaders += 1;
            drop(queue);
            return self.lead(vec![(command, None)], deadline, exchange);
        }
        if queue.waiting.len() >= MAX_WAITING {
            return Err(Error::misuse("full", "65,536 calls wait already"));
        }
        let call = Arc::new(Call::default());
        queue.waiting.push_back(Waiting { command, deadline, call: Arc::clone(&call) });
        drop(queue);
        self.wait(&call, deadline, exchange)
    }

    fn wait(
        &self,
        call: &Call,
        deadline: Instant,
        exchange: &Exchange<'_>,
    ) -> Result<Outcome, Error> {
        let mut state = lock(&call.state);
        loop {
            match std::mem::take(&mut *state) {
                State::Done(result) => return result,
                State::Lead(batch) => {
                    drop(state);
                    return self.lead(batch, deadline, exchange);
                }
                other => *state = other,
            }
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                // What was not sent is not in doubt; its leader will skip it.
                let sent = matches!(*state, State::Sent);
                *state = State::GivenUp;
                return Err(if sent { Error::timed_out() } else { Error::never_sent_in_time() });
            }
            let waited = call.changed.wait_timeout(state, left);
            state = waited.unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    /// Sends `batch`, gives everybody their result, then hands the lead on.
    fn lead(
        &self,
        batch: Batch,
        deadline: Instant,
        exchange: &Exchange<'_>,
    ) -> Result<Outcome, Error> {
        // Whatever happens in between, somebody leads after this one.
        let _hand_over = HandOver(self);
        let (commands, calls): (Vec<Command>, Vec<_>) = batch.into_iter().unzip();
        let exchange = |commands: &[Command]| {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::never_sent_in_time());
            }
            exchange(commands, left)
        };
        let mut own = Err(Error::timed_out());
        let mut give = |call: Option<Arc<Call>>, result| match call {
            Some(call) => call.done(result),
            None => own = result,
        };
        match exchange(&commands) {
            Ok(outcomes) => {
                calls.into_iter().zip(outcomes).for_each(|(call, o)| give(call, Ok(o)));
            }
            Err(error) if commands.len() > 1 && is_for_one(&error) => {
                for (command, call) in commands.into_iter().zip(calls) {
                    if call.as_ref().is_none_or(|call| call.waits()) {
                        give(call, one(exchange(&[command])));
                    }
                }
            }
            Err(error) => {
                let error = error.each();
                calls.into_iter().for_each(|call| give(call, Err(error.clone())));
            }
        }
        own
    }

    /// Gives what waits, oldest first and as much as one request takes, to the call
    /// among it whose deadline is the last: so no call is cut short by its leader's
    /// deadline. With nothing waiting, nobody leads.
    fn hand_over(&self) {
        let mut queue = lock(&self.queue);
        while let Some(mut next) = gather(&mut queue.waiting, |one| one.command.params.len()) {
            while let Some(latest) = latest(&next) {
                let leader = next.remove(latest);
                let mut state = lock(&leader.call.state);
                if matches!(*state, State::GivenUp) {
                    continue;
                }
                let mut batch: Batch = vec![(leader.command, None)];
                let others = next.into_iter().filter(|waiting| waiting.call.mark_sent());
                batch.extend(others.map(|waiting| (waiting.command, Some(waiting.call))));
                *state = State::Lead(batch);
                leader.call.changed.notify_one();
                return;
            }
        }
        queue.leaders -= 1;
    }
}

/// Takes what goes together; a command over the bound of bytes goes alone.
pub(super) fn gather<T>(
    waiting: &mut VecDeque<T>,
    bytes_of: impl Fn(&T) -> usize,
) -> Option<Vec<T>> {
    let first = waiting.pop_front()?;
    let mut bytes = bytes_of(&first);
    let mut all = vec![first];
    while all.len() < MAX_COMMANDS
        && let Some(next) = waiting.front()
        && bytes + bytes_of(next) <= MAX_BYTES
        && let Some(next) = waiting.pop_front()
    {
        bytes += bytes_of(&next);
        all.push(next);
    }
    Some(all)
}

impl Call {
    /// False if nobody waits any more: it is not sent.
    fn mark_sent(&self) -> bool {
        let mut state = lock(&self.state);
        let waits = !matches!(*state, State::GivenUp);
        if waits {
            *state = State::Sent;
        }
        waits
    }

    fn waits(&self) -> bool {
        !matches!(*lock(&self.state), State::GivenUp)
    }

    fn done(&self, result: Result<Outcome, Error>) {
        let mut state = lock(&self.state);
        if !matches!(*state, State::GivenUp) {
            *state = State::Done(result);
            self.changed.notify_one();
        }
    }
}

fn latest(all: &[Waiting]) -> Option<usize> {
    all.iter().enumerate().max_by_key(|(_, waiting)| waiting.deadline).map(|(at, _)| at)
}

/// Whether a request was refused as a whole, with nothing carried out, in a way
/// that its size or one of its commands is to blame for: only that one shall fail.
pub(super) const fn is_for_one(error: &Error) -> bool {
    match error {
        Error::Request(error) => {
            error.in_doubt == 0 && matches!(error.failure, Failure::Status(400 | 404 | 413))
        }
        _ => false,
    }
}

/// Hands the lead on, also when a transport of the application's panics.
struct HandOver<'a>(&'a Combiner);

impl Drop for HandOver<'_> {
    fn drop(&mut self) {
        self.0.hand_over();
    }
}

fn one(result: Result<Vec<Outcome>, Error>) -> Result<Outcome, Error> {
    result.and_then(|mut outcomes| outcomes.pop().ok_or_else(Error::timed_out))
}

/// A panic under one of these locks leaves nothing half done.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
