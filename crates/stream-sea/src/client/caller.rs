//! HTTP calls in their callers' tasks, counted, and waited for when a client closes.

use std::{
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use client_core::{CloseReport, http::Http};
use tokio::sync::Notify;

use crate::{
    calls::{Call, MAX_BODY, USER_AGENT, refused},
    config::{Config, Credentials},
    error::Error,
};

pub(super) struct Caller {
    config: Arc<Config>,
    credentials: Arc<Mutex<Credentials>>,
    http: Http,
    book: Mutex<Book>,
    /// A call has ended.
    ended: Notify,
}

#[derive(Default)]
struct Book {
    is_closed: bool,
    /// Calls on their way.
    open: u64,
    report: CloseReport,
    /// What every call of `close` returns.
    last: Option<CloseReport>,
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
        let (book, ended) = (Mutex::default(), Notify::new());
        Ok(Self { config, credentials, http, book, ended })
    }

    pub(super) async fn call<T>(&self, call: Call<T>) -> Result<T, Error> {
        let credentials = self.credentials.lock().unwrap_or_else(PoisonError::into_inner).clone();
        let prepared = call.prepare(&self.config, &credentials)?;
        let mut counting = self.begin()?;
        let result = call.finish(self.http.send(prepared.request()).await);
        counting.outcome = match &result {
            Ok(_) => Outcome::Acknowledged,
            Err(error) if error.is_in_doubt() => Outcome::Unacknowledged,
            Err(Error::Refused(_)) => Outcome::Refused,
            Err(_) => Outcome::Unsent,
        };
        result
    }

    fn begin(&self) -> Result<Counting<'_>, Error> {
        let mut book = self.book();
        if book.is_closed {
            return Err(Error::Closed);
        }
        book.open += 1;
        // A call that is dropped before its answer is here counts as in doubt.
        Ok(Counting { caller: self, outcome: Outcome::Unacknowledged })
    }

    /// Lets nobody begin a call from now on, and waits at most `wait` for those on
    /// their way. Those that are not back by then are in doubt.
    pub(super) async fn close(&self, wait: Duration) -> CloseReport {
        self.book().is_closed = true;
        let all_ended = async {
            loop {
                // Registered before it is looked, so that no end is missed.
                let ended = self.ended.notified();
                if self.book().open == 0 {
                    return;
                }
                ended.await;
            }
        };
        let _in_time = tokio::time::timeout(wait, all_ended).await;
        let mut book = self.book();
        let mut report = book.report;
        report.unacknowledged += book.open;
        *book.last.get_or_insert(report)
    }

    fn book(&self) -> MutexGuard<'_, Book> {
        // A panic under this lock leaves numbers that are whole.
        self.book.lock().unwrap_or_else(PoisonError::into_inner)
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
        let mut book = self.caller.book();
        book.open -= 1;
        match self.outcome {
            Outcome::Acknowledged => book.report.acknowledged += 1,
            Outcome::Refused => book.report.refused += 1,
            Outcome::Unacknowledged => book.report.unacknowledged += 1,
            Outcome::Unsent => book.report.unsent += 1,
        }
        drop(book);
        self.caller.ended.notify_waiters();
    }
}
