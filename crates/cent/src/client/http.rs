//! HTTP by `ureq`.

use std::{io::Read, time::Duration};

use ureq::{Agent, http::Response};

use crate::{
    error::Error,
    transport::{Incoming, Outgoing, Transport},
};

/// Most of an answer's body that is read. Histories and presences of large
/// channels take megabytes.
const MAX_BODY: u64 = 64 << 20;

/// Connections that are kept alive.
pub(super) struct Http {
    agent: Agent,
}

impl Http {
    pub(super) fn new() -> Self {
        let config = Agent::config_builder()
            // Credentials never leave the origin, and the environment is not
            // asked for a proxy.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .http_status_as_error(false)
            .user_agent(concat!("cent-rust/", env!("CARGO_PKG_VERSION")))
            .build();
        Self { agent: config.into() }
    }
}

impl Transport for Http {
    fn send(&self, request: Outgoing<'_>) -> Result<Incoming, Error> {
        let mut post = self.agent.post(request.url);
        for (name, value) in request.headers {
            post = post.header(*name, value);
        }
        let post = post.config().timeout_global(Some(request.timeout)).build();
        let mut answer = post.send(request.body).map_err(failed)?;
        let (status, retry_after) = (answer.status().as_u16(), retry_after(&answer));
        let mut body = Vec::new();
        let mut reader = answer.body_mut().as_reader().take(MAX_BODY + 1);
        reader.read_to_end(&mut body).map_err(|e| failed(ureq::Error::from(e)))?;
        if body.len() as u64 > MAX_BODY {
            return Err(Error::network(std::io::Error::other("the answer is over 64 MiB")));
        }
        Ok(Incoming { status, retry_after, body })
    }
}

fn retry_after<B>(answer: &Response<B>) -> Option<Duration> {
    let seconds = answer.headers().get("Retry-After")?.to_str().ok()?;
    // A day is longer than any server remembers.
    seconds.trim().parse().ok().map(|seconds: u64| Duration::from_secs(seconds.min(86_400)))
}

fn failed(error: ureq::Error) -> Error {
    match error {
        ureq::Error::Timeout(_) => Error::timed_out(),
        ureq::Error::Io(error) if error.kind() == std::io::ErrorKind::TimedOut => {
            Error::timed_out()
        }
        other => Error::network(other),
    }
}
