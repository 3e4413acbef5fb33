//! Calls that are made again.

use std::time::{Duration, Instant};

use client_core::{Advice, Retry, Rng};

use crate::{config::Config, error::Error};

/// Makes a call, and makes it again as the configuration allows; `once` is given
/// what is left of the call's time.
pub(super) fn run<T>(
    config: &Config,
    idempotent: bool,
    once: impl Fn(Duration) -> Result<T, Error>,
) -> Result<T, Error> {
    let Some((attempts, backoff)) = config.retry else { return once(config.timeout) };
    let deadline = Instant::now() + config.timeout;
    let mut retry = Retry::new(backoff, Rng::from_entropy());
    let mut left = config.timeout;
    loop {
        let error = match once(left) {
            Err(error) if may_be_repeated(&error, idempotent) => error,
            done => return done,
        };
        let now = Instant::now();
        let wait = retry.failed(now, advice(&error));
        if retry.attempt() >= attempts || now + wait >= deadline {
            return Err(error);
        }
        std::thread::sleep(wait);
        left = deadline.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Err(error);
        }
    }
}

/// What may be carried out twice, or was certainly not carried out.
fn may_be_repeated(error: &Error, idempotent: bool) -> bool {
    let untouched = match error {
        Error::Request(error) => error.in_doubt == 0,
        // Too many requests: refused before it was looked at.
        Error::Response(error) => error.code == 111,
        _ => false,
    };
    error.is_retryable() && (idempotent || untouched)
}

fn advice(error: &Error) -> Advice {
    match error {
        Error::Request(error) => error.retry_after.map_or(Advice::None, Advice::AtLeast),
        _ => Advice::None,
    }
}
