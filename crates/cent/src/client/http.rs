//! Our requests, over the HTTP that all clients share.

use client_core::http::{HttpAnswer, HttpError, HttpOptionError, HttpRequest};

use crate::{
    error::Error,
    transport::{Incoming, Outgoing},
};

/// Most of an answer's body that is read. Histories and presences of large
/// channels take megabytes.
pub(super) const MAX_BODY: usize = 64 << 20;

pub(super) const USER_AGENT: &str = concat!("cent-rust/", env!("CARGO_PKG_VERSION"));

#[cfg(feature = "blocking")]
impl crate::transport::Transport for client_core::http::BlockingHttp {
    fn send(&self, outgoing: Outgoing<'_>) -> Result<Incoming, Error> {
        received(Self::send(self, request(&outgoing)))
    }
}

pub(super) const fn request<'a>(outgoing: &Outgoing<'a>) -> HttpRequest<'a> {
    HttpRequest {
        method: "POST",
        url: outgoing.url,
        headers: outgoing.headers,
        body: Some(outgoing.body.as_bytes()),
        timeout: outgoing.timeout,
    }
}

pub(super) fn received(answer: Result<HttpAnswer, HttpError>) -> Result<Incoming, Error> {
    match answer {
        Ok(HttpAnswer { status, retry_after, body }) => Ok(Incoming { status, retry_after, body }),
        Err(HttpError::Timeout { is_sent: true }) => Err(Error::timed_out()),
        Err(HttpError::Timeout { is_sent: false }) => Err(Error::never_sent_in_time()),
        Err(HttpError::Network { is_sent: true, source, .. }) => Err(Error::network(source)),
        Err(HttpError::Network { source, hint, .. }) => Err(match Error::never_sent(source) {
            Error::Request(mut error) => {
                error.hint = hint;
                Error::Request(error)
            }
            other => other,
        }),
        Err(HttpError::TooLong) => Err(Error::too_long()),
    }
}

pub(super) fn refused(error: HttpOptionError) -> Error {
    Error::config(error.option, error.reason)
}
