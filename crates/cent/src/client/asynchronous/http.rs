//! HTTP/1.1 by hyper, over connections of ws-core's dialing.

use std::{
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
    header::{HOST, HeaderName, RETRY_AFTER, USER_AGENT},
};
use hyper_util::rt::TokioIo;
use tokio::sync::Semaphore;
use ws_core::Dialer;

use crate::{
    client::limits::{MAX_BODY, retry_after},
    config::Config,
    error::Error,
    transport::{Incoming, Outgoing},
};

/// Connections at a time.
const MAX_CONNECTIONS: usize = 64;

/// How long one waits: servers and proxies close after a minute or more.
const IDLE: Duration = Duration::from_secs(50);

type Sender = SendRequest<Full<Bytes>>;

pub(super) struct Http {
    dialer: Dialer,
    /// As in the URL, with its port.
    authority: String,
    host: String,
    port: u16,
    secure: bool,
    /// A permit for each connection that has a request.
    busy: Semaphore,
    idle: Mutex<Vec<(Sender, Instant)>>,
}

impl Http {
    pub(super) fn new(config: &Config, base: &str) -> Result<Self, Error> {
        let wrong = || Error::config("address", "it is no URL");
        let url: Uri = base.parse().map_err(|_| wrong())?;
        let authority = url.authority().ok_or_else(wrong)?;
        let secure = url.scheme_str() == Some("https");
        let port = authority.port_u16().unwrap_or(if secure { 443 } else { 80 });
        let host = authority.host().trim_matches(['[', ']']).to_owned();
        // The call has a deadline over everything.
        let dialer = secured(Dialer::new().timeout(config.timeout), config, secure)?;
        let (authority, idle) = (authority.to_string(), Mutex::default());
        let busy = Semaphore::new(MAX_CONNECTIONS);
        Ok(Self { dialer, authority, host, port, secure, busy, idle })
    }

    /// Sends a request and reads its answer, within its time.
    pub(super) async fn send(&self, outgoing: Outgoing<'_>) -> Result<Incoming, Error> {
        // Whether the server may have the request.
        let sent = AtomicBool::new(false);
        match tokio::time::timeout(outgoing.timeout, self.exchange(outgoing, &sent)).await {
            Ok(done) => done,
            Err(_) if sent.load(Relaxed) => Err(Error::timed_out()),
            Err(_) => Err(Error::never_sent_in_time()),
        }
    }

    async fn exchange(&self, outgoing: Outgoing<'_>, sent: &AtomicBool) -> Result<Incoming, Error> {
        let _permit = self.busy.acquire().await.map_err(Error::never_sent)?;
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
                Err(error) => return Err(Error::network(error)),
            }
        }
    }

    async fn receive(&self, sender: Sender, response: Response<Body>) -> Result<Incoming, Error> {
        let status = response.status().as_u16();
        let told = response.headers().get(RETRY_AFTER).and_then(|value| value.to_str().ok());
        let retry_after = told.and_then(retry_after);
        let body = Limited::new(response.into_body(), MAX_BODY).collect().await;
        let body = body.map_err(|error| match error.downcast::<LengthLimitError>() {
            Ok(_) => Error::too_long(),
            Err(error) => Error::network(std::io::Error::other(error)),
        })?;
        let mut idle = self.idle();
        if !sender.is_closed() && idle.len() < MAX_CONNECTIONS {
            idle.push((sender, Instant::now()));
        }
        Ok(Incoming { status, retry_after, body: body.to_bytes().into() })
    }

    /// The connection that was used last, if one is left.
    fn take(&self) -> Option<Sender> {
        let mut idle = self.idle();
        idle.retain(|(sender, since)| !sender.is_closed() && since.elapsed() < IDLE);
        idle.pop().map(|(sender, _)| sender)
    }

    async fn connect(&self) -> Result<Sender, Error> {
        let stream = self.dialer.dial(&self.host, self.port, self.secure).await;
        let stream = stream.map_err(|error| match &error {
            ws_core::Error::Timeout(_) => Error::never_sent_in_time(),
            #[cfg(feature = "tls")]
            ws_core::Error::Tls(_) => {
                let hint = "check the server's certificate and whom we trust";
                Error::never_sent(error).hinting(hint)
            }
            _ => Error::never_sent(error),
        })?;
        let (sender, connection) =
            handshake(TokioIo::new(stream)).await.map_err(Error::never_sent)?;
        tokio::spawn(async move {
            // Its end is told to whoever waits for an answer.
            let _ended = connection.await;
        });
        Ok(sender)
    }

    fn request(&self, outgoing: Outgoing<'_>) -> Result<Request<Full<Bytes>>, Error> {
        let path = outgoing.url.splitn(4, '/').nth(3).unwrap_or_default();
        let mut request = Request::post(format!("/{path}"))
            .header(HOST, &self.authority)
            .header(USER_AGENT, concat!("cent-rust/", env!("CARGO_PKG_VERSION")));
        for (name, value) in outgoing.headers {
            request = request
                .header(HeaderName::from_bytes(name.as_bytes()).map_err(Error::never_sent)?, value);
        }
        request.body(Full::from(outgoing.body.to_owned())).map_err(Error::never_sent)
    }

    fn idle(&self) -> MutexGuard<'_, Vec<(Sender, Instant)>> {
        // A panic under this lock leaves nothing half done.
        self.idle.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(feature = "tls")]
fn secured(dialer: Dialer, config: &Config, secure: bool) -> Result<Dialer, Error> {
    Ok(if secure { dialer.tls(config.tls.for_dialing()?) } else { dialer })
}

#[cfg(not(feature = "tls"))]
fn secured(dialer: Dialer, _config: &Config, secure: bool) -> Result<Dialer, Error> {
    match secure {
        true => Err(Error::config("address", "https:// needs the feature tls")),
        false => Ok(dialer),
    }
}
