//! Calls that wait for each other travel together, without a timer.
//!
//! ```text
//!   call --nobody is sending--> leads: sends all that waits, in one request
//!     \--somebody is----------> waits --in the leader's request--> has its answer
//!                                  \--still waiting when it is back--> leads next
//! ```
//!
//! A call that finds nobody sending goes out at once and alone, so that combining
//! never makes it wait. What comes meanwhile goes with the next request.

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

/// Most calls that wait; more of them are refused.
const MAX_WAITING: usize = 65_536;

/// Sends commands in one request, within a time.
type Exchange<'a> = dyn Fn(&[Command], Duration) -> Result<Vec<Outcome>, Error> + 'a;

#[derive(Debug, Default)]
pub(super) struct Combiner {
    queue: Mutex<Queue>,
}

#[derive(Debug, Default)]
struct Queue {
    waiting: VecDeque<(Command, Arc<Call>)>,
    /// Somebody is sending.
    led: bool,
}

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
    /// It leads the next request, in which its own command is the last.
    Lead(Command),
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
        if !queue.led {
            queue.led = true;
            drop(queue);
            return self.lead(command, deadline, exchange);
        }
        if queue.waiting.len() >= MAX_WAITING {
            return Err(Error::misuse("full", "65,536 calls wait already"));
        }
        let call = Arc::new(Call::default());
        queue.waiting.push_back((command, Arc::clone(&call)));
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
                State::Lead(command) => {
                    drop(state);
                    return self.lead(command, deadline, exchange);
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

    /// Sends what waits and `own`, then hands the lead on.
    fn lead(
        &self,
        own: Command,
        deadline: Instant,
        exchange: &Exchange<'_>,
    ) -> Result<Outcome, Error> {
        // Whatever happens in between, somebody leads after this one.
        let _hand_over = HandOver(self);
        let (commands, calls) = self.gather(own);
        let exchange = |commands: &[Command]| {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Err(Error::never_sent_in_time());
            }
            exchange(commands, left)
        };
        let mut results: Vec<Result<Outcome, Error>> = match exchange(&commands) {
            Ok(outcomes) => outcomes.into_iter().map(Ok).collect(),
            // Refused as a whole, with nothing carried out: only the command that
            // is to blame shall fail.
            Err(Error::Request(error))
                if commands.len() > 1
                    && error.failure == Failure::Status(400)
                    && error.in_doubt == 0 =>
            {
                commands.into_iter().map(|command| one(exchange(&[command]))).collect()
            }
            Err(error) => vec![Err(error.each()); commands.len()],
        };
        let own = results.pop().unwrap_or_else(|| Err(Error::timed_out()));
        for (call, result) in calls.into_iter().zip(results) {
            let mut state = lock(&call.state);
            if !matches!(*state, State::GivenUp) {
                *state = State::Done(result);
                call.changed.notify_one();
            }
        }
        own
    }

    /// Takes what waits, oldest first and within the bounds, and `own` behind it.
    fn gather(&self, own: Command) -> (Vec<Command>, Vec<Arc<Call>>) {
        let mut queue = lock(&self.queue);
        let mut bytes = own.params.len();
        let (mut commands, mut calls) = (Vec::new(), Vec::new());
        while commands.len() + 1 < MAX_COMMANDS
            && let Some((next, _)) = queue.waiting.front()
            && bytes + next.params.len() <= MAX_BYTES
            && let Some((command, call)) = queue.waiting.pop_front()
        {
            let mut state = lock(&call.state);
            if !matches!(*state, State::GivenUp) {
                *state = State::Sent;
                bytes += command.params.len();
                commands.push(command);
                drop(state);
                calls.push(call);
            }
        }
        commands.push(own);
        (commands, calls)
    }

    /// Lets the newest that waits lead, or nobody: its deadline is the last of all,
    /// so that no other call is cut short by its leader's.
    fn hand_over(&self) {
        let mut queue = lock(&self.queue);
        while let Some((command, call)) = queue.waiting.pop_back() {
            let mut state = lock(&call.state);
            if !matches!(*state, State::GivenUp) {
                *state = State::Lead(command);
                call.changed.notify_one();
                return;
            }
        }
        queue.led = false;
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
