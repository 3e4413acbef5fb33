//! Calls that are made again.

use std::time::{Duration, Instant};

use client_core::{Advice, Retry, Rng};

use crate::{
    config::Config,
    error::{ApiError, Error, RequestError},
};

/// What a configuration allows one call.
pub(super) struct Attempts {
    retry: Retry,
    most: u32,
    deadline: Instant,
    is_idempotent: bool,
}

impl Attempts {
    /// `None` if a call is made once, and no clock is asked.
    pub(super) fn new(config: &Config, is_idempotent: bool) -> Option<Self> {
        let (most, backoff) = config.retry?;
        let deadline = Instant::now() + config.timeout;
        Some(Self {
            retry: Retry::new(backoff, Rng::from_entropy()),
            most,
            deadline,
            is_idempotent,
        })
    }

    /// How long to wait before the next attempt, if there is one.
    pub(super) fn wait(&mut self, error: &Error) -> Option<Duration> {
        if !may_be_repeated(error, self.is_idempotent) {
            return None;
        }
        let now = Instant::now();
        let wait = self.retry.failed(now, advice(error));
        let is_in_time = now.checked_add(wait).is_some_and(|then| then < self.deadline);
        (self.retry.attempt() < self.most && is_in_time).then_some(wait)
    }

    /// What is left of the call's time.
    pub(super) fn left(&self) -> Duration {
        self.deadline.saturating_duration_since(Instant::now())
    }
}

/// Makes a call, and makes it again as the configuration allows; `once` is given
/// what is left of the call's time.
pub(super) fn run<T>(
    config: &Config,
    is_idempotent: bool,
    once: impl Fn(Duration) -> Result<T, Error>,
) -> Result<T, Error> {
    let mut attempts = Attempts::new(config, is_idempotent);
    let mut result = once(config.timeout);
    while let (Err(error), Some(attempts)) = (&result, &mut attempts) {
        let Some(wait) = attempts.wait(error) else { break };
        std::thread::sleep(wait);
        let left = attempts.left();
        if left.is_zero() {
            break;
        }
        result = once(left);
    }
    result
}

/// What may be carried out twice, or was certainly not carried out.
fn may_be_repeated(error: &Error, is_idempotent: bool) -> bool {
    let untouched = match error {
        Error::Request(error) => error.in_doubt == 0,
        // Too many requests: refused before it was looked at.
        Error::Response(error) => error.code == 111,
        _ => false,
    };
    error.is_retryable() && (is_idempotent || untouched)
}

fn advice(error: &Error) -> Advice {
    match error {
        Error::Request(RequestError { retry_after: Some(wait), .. })
        | Error::Response(ApiError { retry_after: Some(wait), .. }) => Advice::AtLeast(*wait),
        _ => Advice::None,
    }
}
