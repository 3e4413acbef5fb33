//! HTTP by `ureq`.

use std::io::{ErrorKind, Read};

use ureq::{Agent, Timeout, config::ConfigBuilder, typestate::AgentScope};

use super::limits::{MAX_BODY, retry_after};
use crate::{
    config::Config,
    error::Error,
    transport::{Incoming, Outgoing, Transport},
};

/// Connections that are kept alive.
pub(super) struct Http {
    agent: Agent,
}

impl Http {
    pub(super) fn new(config: &Config) -> Result<Self, Error> {
        let builder = Agent::config_builder()
            // Credentials never leave the origin, and the environment is not
            // asked for a proxy.
            .max_redirects(0)
            .max_redirects_will_error(false)
            .proxy(None)
            .http_status_as_error(false)
            // As many as threads that call at once, usually.
            .max_idle_connections(64)
            .max_idle_connections_per_host(64)
            .user_agent(concat!("cent-rust/", env!("CARGO_PKG_VERSION")));
        Ok(Self { agent: secure(builder, config)?.build().into() })
    }
}

type Builder = ConfigBuilder<AgentScope>;

#[cfg(feature = "tls")]
fn secure(builder: Builder, config: &Config) -> Result<Builder, Error> {
    match config.address.starts_with("https://") {
        true => Ok(builder.tls_config(config.tls.for_ureq()?)),
        false => Ok(builder),
    }
}

#[cfg(not(feature = "tls"))]
fn secure(builder: Builder, config: &Config) -> Result<Builder, Error> {
    match config.address.starts_with("https://") {
        true => Err(Error::config("address", "https:// needs the feature tls")),
        false => Ok(builder),
    }
}

impl Transport for Http {
    fn send(&self, request: Outgoing<'_>) -> Result<Incoming, Error> {
        let mut post = self.agent.post(request.url);
        for (name, value) in request.headers {
            post = post.header(*name, value);
        }
        // What comes before the request ends first, so that a request which was not
        // sent is not in doubt.
        let before = request.timeout.mul_f64(0.95);
        let post = post.config();
        let post = post.timeout_resolve(Some(before)).timeout_connect(Some(before));
        let post = post.timeout_global(Some(request.timeout)).build();
        let mut answer = post.send(request.body).map_err(failed)?;
        let told = answer.headers().get("Retry-After").and_then(|value| value.to_str().ok());
        let (status, retry_after) = (answer.status().as_u16(), told.and_then(retry_after));
        let mut body = Vec::new();
        let mut reader = answer.body_mut().as_reader().take(MAX_BODY as u64 + 1);
        reader.read_to_end(&mut body).map_err(|e| failed(ureq::Error::from(e)))?;
        if body.len() > MAX_BODY {
            return Err(Error::too_long());
        }
        Ok(Incoming { status, retry_after, body })
    }
}

fn failed(error: ureq::Error) -> Error {
    match error {
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => Error::never_sent_in_time(),
        ureq::Error::Timeout(_) => Error::timed_out(),
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => Error::never_sent(error),
        ureq::Error::Io(error) if error.kind() == ErrorKind::TimedOut => Error::timed_out(),
        #[cfg(feature = "tls")]
        ureq::Error::Io(error) if crate::tls::is_refusal(&error) => {
            // The handshake comes before the request.
            Error::never_sent(error).hinting("check the server's certificate and whom we trust")
        }
        ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => Error::never_sent(error),
        ureq::Error::Io(error) if is_unreachable(error.kind()) => Error::never_sent(error),
        other => Error::network(other),
    }
}

/// Whether a connection never came about.
const fn is_unreachable(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
    )
}
