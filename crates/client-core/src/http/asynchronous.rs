//! HTTP/1.1 by hyper, over connections of ws-core's dialing.

use std::{
    fmt,
    sync::{
        Mutex, MutexGuard, PoisonError,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    time::{Duration, Instant},
};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Request, Response, Uri,
    body::{Bytes, Incoming as Body},
    client::conn::http1::{SendRequest, handshake},
    header::{CONTENT_LENGTH, HOST, RETRY_AFTER, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use ws_core::Dialer;

#[cfg(feature = "tls")]
use super::Tls;
use super::{
    HttpAnswer, HttpError, HttpOptionError, HttpRequest, MAX_CONNECTIONS, is_secure, retry_after,
};

/// How long an idle connection is kept: servers and proxies close after a minute
/// or more.
const IDLE: Duration = Duration::from_secs(50);

type Sender = SendRequest<Full<Bytes>>;

/// An HTTP client of one origin.
pub struct Http {
    dialer: Dialer,
    /// As in the URL, with its port.
    authority: String,
    host: String,
    port: u16,
    secure: bool,
    user_agent: &'static str,
    max_body: usize,
    /// A permit for each connection that has a request.
    busy: Semaphore,
    idle: Mutex<Vec<(Sender, Instant)>>,
}

impl Http {
    /// A client of the origin of `base`, `http://` only, over connections of
    /// `dialer`. At most `max_body` bytes of an answer are read.
    ///
    /// # Errors
    ///
    /// [`HttpOptionError`]: `address` if `base` is no URL or needs TLS.
    pub fn new(
        dialer: Dialer,
        base: &str,
        user_agent: &'static str,
        max_body: usize,
    ) -> Result<Self, HttpOptionError> {
        let http = Self::of(dialer, base, user_agent, max_body)?;
        match http.secure {
            true => Err(HttpOptionError::new("address", "https:// needs the feature tls")),
            false => Ok(http),
        }
    }

    /// The same, `https://` as well.
    ///
    /// # Errors
    ///
    /// [`HttpOptionError`]: `address`, `tls_provider` or `tls_root`.
    #[cfg(feature = "tls")]
    pub fn with_tls(
        dialer: Dialer,
        base: &str,
        user_agent: &'static str,
        max_body: usize,
        tls: &Tls,
    ) -> Result<Self, HttpOptionError> {
        let mut http = Self::of(dialer, base, user_agent, max_body)?;
        if http.secure {
            http.dialer = http.dialer.tls(tls.for_dialing()?);
        }
        Ok(http)
    }

    fn of(
        dialer: Dialer,
        base: &str,
        user_agent: &'static str,
        max_body: usize,
    ) -> Result<Self, HttpOptionError> {
        let wrong = || HttpOptionError::new("address", "it is no URL");
        let url: Uri = base.parse().map_err(|_| wrong())?;
        let authority = url.authority().ok_or_else(wrong)?;
        let secure = is_secure(base)?;
        let port = match authority.port_u16() {
            Some(port) => port,
            // What follows the host is no port.
            None if !authority.as_str().ends_with(authority.host()) => return Err(wrong()),
            None if secure => 443,
            None => 80,
        };
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        let (authority, idle) = (authority.to_string(), Mutex::default());
        let busy = Semaphore::new(MAX_CONNECTIONS);
        Ok(Self { dialer, authority, host, port, secure, user_agent, max_body, busy, idle })
    }

    /// Sends a request and reads its answer, within its time.
    ///
    /// # Errors
    ///
    /// [`HttpError`], which says whether the server may have the request.
    ///
    /// # Cancel safety
    ///
    /// Dropped before it is ready, the request may have been carried out.
    pub async fn send(&self, request: HttpRequest<'_>) -> Result<HttpAnswer, HttpError> {
        // Whether the server may have the request.
        let sent = AtomicBool::new(false);
        match tokio::time::timeout(request.timeout, self.exchange(request, &sent)).await {
            Ok(done) => done,
            Err(_) => Err(HttpError::Timeout { is_sent: sent.load(Relaxed) }),
        }
    }

    async fn exchange(
        &self,
        outgoing: HttpRequest<'_>,
        sent: &AtomicBool,
    ) -> Result<HttpAnswer, HttpError> {
        let _permit = self.busy.acquire().await.map_err(HttpError::never_sent)?;
        loop {
            let (mut sender, is_fresh) = match self.take() {
                Some(sender) => (sender, false),
                None => (self.connect().await?, true),
            };
            // One that is about to close takes no request any more.
            if sender.ready().await.is_err() && !is_fresh {
                continue;
            }
            let request = self.request(outgoing)?;
            sent.store(true, Relaxed);
            match sender.send_request(request).await {
                Ok(response) => return self.receive(sender, response).await,
                // It was closed while it waited, and nothing was written to it.
                Err(error) if error.is_canceled() && !is_fresh => sent.store(false, Relaxed),
                Err(error) => return Err(HttpError::lost(error)),
            }
        }
    }

    async fn receive(
        &self,
        sender: Sender,
        response: Response<Body>,
    ) -> Result<HttpAnswer, HttpError> {
        let status = response.status().as_u16();
        let told = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = told.and_then(retry_after);
        let body = Limited::new(response.into_body(), self.max_body).collect().await;
        let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
            Ok(_) => HttpError::TooLong,
            Err(error) => HttpError::lost(std::io::Error::other(error)),
        })?;
        let mut idle = self.idle();
        if !sender.is_closed() && idle.len() < MAX_CONNECTIONS {
            idle.push((sender, Instant::now()));
        }
        Ok(HttpAnswer { status, retry_after, body: body.to_bytes().into() })
    }

    /// The connection that was used last, if one is left.
    fn take(&self) -> Option<Sender> {
        let mut idle = self.idle();
        idle.retain(|(sender, since)| !sender.is_closed() && since.elapsed() < IDLE);
        idle.pop().map(|(sender, _)| sender)
    }

    async fn connect(&self) -> Result<Sender, HttpError> {
        let stream = self.dialer.dial(&self.host, self.port, self.secure).await;
        let stream = stream.map_err(|error| match &error {
            ws_core::Error::Timeout(_) => HttpError::Timeout { is_sent: false },
            #[cfg(feature = "tls")]
            ws_core::Error::Tls(_) => HttpError::refused(error),
            _ => HttpError::never_sent(error),
        })?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(HttpError::never_sent)?;
        tokio::spawn(async move {
            // Its end is told to whoever waits for an answer.
            let _ended = connection.await;
        });
        Ok(sender)
    }

    fn request(&self, outgoing: HttpRequest<'_>) -> Result<Request<Full<Bytes>>, HttpError> {
        let path = outgoing.url.splitn(4, '/').nth(3).unwrap_or_default();
        let mut request = Request::builder()
            .method(outgoing.method)
            .uri(format!("/{path}"))
            .header(HOST, &self.authority);
        let has_own = |(name, _): &(&str, String)| name.eq_ignore_ascii_case(USER_AGENT.as_str());
        if !outgoing.headers.iter().any(has_own) {
            request = request.header(USER_AGENT, self.user_agent);
        }
        for (name, value) in outgoing.headers {
            request = request.header(*name, value);
        }
        let body = outgoing.body.unwrap_or_default();
        if body.is_empty() && matches!(outgoing.method, "PUT" | "POST" | "DELETE") {
            request = request.header(CONTENT_LENGTH, "0");
        }
        request.body(Full::from(body.to_owned())).map_err(HttpError::never_sent)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Sender, Instant)>> {
        // A panic under this lock leaves nothing half done.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Http {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Http").field("authority", &self.authority).finish_non_exhaustive()
    }
}
