//! HTTP calls in their callers' tasks, counted, and waited for when a client closes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use client_core::{CloseReport, http::Http};
use tokio::sync::RwLock;

use crate::{
    calls::{Call, MAX_BODY, USER_AGENT, refused},
    config::{Config, Credentials},
    error::Error,
};

pub(super) struct Caller {
    config: Arc<Config>,
    credentials: Arc<Mutex<Credentials>>,
    http: Http,
    /// Calls read, and whether the client is closed is written.
    gate: RwLock<bool>,
    report: Mutex<CloseReport>,
}

impl Caller {
    pub(super) fn new(
        config: Arc<Config>,
        credentials: Arc<Mutex<Credentials>>,
    ) -> Result<Self, Error> {
        let (dialer, base) = (config.dialer.clone().timeout(config.connect_timeout), config.base());
        #[cfg(feature = "tls")]
        let http = Http::with_tls(dialer, &base, USER_AGENT, MAX_BODY, &config.tls);
        #[cfg(not(feature = "tls"))]
        let http = Http::new(dialer, &base, USER_AGENT, MAX_BODY);
        let http = http.map_err(refused)?;
        Ok(Self { config, credentials, http, gate: RwLock::new(false), report: Mutex::default() })
    }

    pub(super) async fn call<T>(&self, call: Call<T>) -> Result<T, Error> {
        let credentials = self.credentials.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let prepared = call.prepare(&self.config, &credentials)?;
        let closed = self.gate.read().await;
        if *closed {
            return Err(Error::Closed);
        }
        // A call that is dropped before its answer is here counts as in doubt.
        let mut counting = Counting { caller: self, outcome: Outcome::Unacknowledged };
        let result = call.finish(self.http.send(prepared.request()).await);
        counting.outcome = match &result {
            Ok(_) => Outcome::Acknowledged,
            Err(error) if error.is_in_doubt() => Outcome::Unacknowledged,
            Err(Error::Refused(_)) => Outcome::Refused,
            Err(_) => Outcome::Unsent,
        };
        result
    }

    /// Lets nobody begin a call, and waits at most `wait` for those on their way.
    pub(super) async fn close(&self, wait: Duration) {
        if let Ok(mut closed) = tokio::time::timeout(wait, self.gate.write()).await {
            *closed = true;
        }
    }

    pub(super) fn report(&self) -> MutexGuard<'_, CloseReport> {
        self.report.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

enum Outcome {
    Acknowledged,
    Refused,
    Unacknowledged,
    Unsent,
}

struct Counting<'a> {
    caller: &'a Caller,
    outcome: Outcome,
}

impl Drop for Counting<'_> {
    fn drop(&mut self) {
        let mut report = self.caller.report();
        match self.outcome {
            Outcome::Acknowledged => report.acknowledged += 1,
            Outcome::Refused => report.refused += 1,
            Outcome::Unacknowledged => report.unacknowledged += 1,
            Outcome::Unsent => report.unsent += 1,
        }
    }
}
