//! HTTP by `ureq`.

use std::io::{ErrorKind, Read};

use ureq::{Agent, Timeout, config::ConfigBuilder, http, typestate::AgentScope};

#[cfg(feature = "tls")]
use super::Tls;
use super::{
    HttpAnswer, HttpError, HttpOptionError, HttpRequest, MAX_CONNECTIONS, is_secure, retry_after,
};

/// An HTTP client that blocks its caller.
#[derive(Debug)]
pub struct BlockingHttp {
    agent: Agent,
    max_body: usize,
}

impl BlockingHttp {
    /// A client of the origin of `base`, `http://` only. At most `max_body` bytes of
    /// an answer are read.
    ///
    /// # Errors
    ///
    /// [`HttpOptionError`]: `address` if `base` is no URL of HTTP, or needs TLS.
    pub fn new(
        base: &str,
        user_agent: &'static str,
        max_body: usize,
    ) -> Result<Self, HttpOptionError> {
        if is_secure(base)? {
            return Err(HttpOptionError::new("address", "https:// needs the feature tls"));
        }
        Ok(Self { agent: options(user_agent).build().into(), max_body })
    }

    /// The same, `https://` as well.
    ///
    /// # Errors
    ///
    /// [`HttpOptionError`]: `address`, `tls_provider` or `tls_root`.
    #[cfg(feature = "tls")]
    pub fn with_tls(
        base: &str,
        user_agent: &'static str,
        max_body: usize,
        tls: &Tls,
    ) -> Result<Self, HttpOptionError> {
        let options = match is_secure(base)? {
            true => options(user_agent).tls_config(tls.for_ureq()?),
            false => options(user_agent),
        };
        Ok(Self { agent: options.build().into(), max_body })
    }

    /// Sends a request and reads its answer, within its time.
    ///
    /// # Errors
    ///
    /// [`HttpError`], which says whether the server may have the request.
    pub fn send(&self, request: HttpRequest<'_>) -> Result<HttpAnswer, HttpError> {
        let mut head = http::Request::builder().method(request.method).uri(request.url);
        for (name, value) in request.headers {
            head = head.header(*name, value);
        }
        let answer = match request.body {
            Some(body) => head.body(body).map(|whole| self.run(whole, &request)),
            None => head.body(()).map(|whole| self.run(whole, &request)),
        };
        let mut answer = answer.map_err(HttpError::never_sent)?.map_err(failed)?;
        let told = answer.headers().get("Retry-After").and_then(|value| value.to_str().ok());
        let (status, retry_after) = (answer.status().as_u16(), told.and_then(retry_after));
        let mut body = Vec::new();
        let mut reader = answer.body_mut().as_reader().take(self.max_body as u64 + 1);
        reader.read_to_end(&mut body).map_err(|e| failed(ureq::Error::from(e)))?;
        if body.len() > self.max_body {
            return Err(HttpError::TooLong);
        }
        Ok(HttpAnswer { status, retry_after, body })
    }

    fn run<B: ureq::AsSendBody>(
        &self,
        whole: http::Request<B>,
        request: &HttpRequest<'_>,
    ) -> Result<http::Response<ureq::Body>, ureq::Error> {
        // What comes before the request ends first, so that a request which was not
        // sent is not in doubt.
        let before = request.timeout.mul_f64(0.95);
        let whole = self.agent.configure_request(whole);
        let whole = whole.timeout_resolve(Some(before)).timeout_connect(Some(before));
        self.agent.run(whole.timeout_global(Some(request.timeout)).build())
    }
}

fn options(user_agent: &'static str) -> ConfigBuilder<AgentScope> {
    Agent::config_builder()
        // Credentials never leave the origin, and the environment is not asked for
        // a proxy.
        .max_redirects(0)
        .max_redirects_will_error(false)
        .proxy(None)
        .http_status_as_error(false)
        // As many as threads that call at once, usually.
        .max_idle_connections(MAX_CONNECTIONS)
        .max_idle_connections_per_host(MAX_CONNECTIONS)
        .user_agent(user_agent)
}

fn failed(error: ureq::Error) -> HttpError {
    match error {
        ureq::Error::Timeout(Timeout::Resolve | Timeout::Connect) => {
            HttpError::Timeout { is_sent: false }
        }
        ureq::Error::Timeout(_) => HttpError::Timeout { is_sent: true },
        ureq::Error::BadUri(_) | ureq::Error::Http(_) => HttpError::never_sent(error),
        ureq::Error::Io(error) if error.kind() == ErrorKind::TimedOut => {
            HttpError::Timeout { is_sent: true }
        }
        #[cfg(feature = "tls")]
        ureq::Error::Io(error) if super::tls::is_refusal(&error) => {
            // The handshake comes before the request.
            HttpError::refused(error)
        }
        ureq::Error::ConnectionFailed | ureq::Error::HostNotFound => HttpError::never_sent(error),
        ureq::Error::Io(error) if is_unreachable(error.kind()) => HttpError::never_sent(error),
        other => HttpError::lost(other),
    }
}

/// Whether a connection never came about.
const fn is_unreachable(kind: ErrorKind) -> bool {
    matches!(
        kind,
        ErrorKind::ConnectionRefused | ErrorKind::HostUnreachable | ErrorKind::NetworkUnreachable
    )
}
