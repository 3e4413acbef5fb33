//! The core, as the task of a client drives it.

use std::{
    sync::{Arc, Mutex, PoisonError},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use client_core::{
    ConnectError, ConnectStep, Input, LinkOrder, Transmit,
    driver::{Broken, Ended, Machine, OpenError, Opening, open},
};
use ws_core::{ClientRequest, Endpoint};

use super::command::{Command, Reply};
use crate::{
    config::{Config, Credentials, Giver, Protocol},
    error::{Error, Refusal},
    proto::{Answer, Core, Effect},
    room::AllowedRooms,
};

/// What the driver and its handles share.
#[derive(Debug)]
pub(super) struct Shared {
    /// Those of the next connection.
    pub(super) credentials: Mutex<Giver>,
    pub(super) allowed: Mutex<Arc<AllowedRooms>>,
    pub(super) ended: Ended<u64>,
}

pub(super) struct Templar {
    config: Arc<Config>,
    core: Core<Reply>,
    shared: Arc<Shared>,
    /// Who waits for the end.
    closing: Vec<Reply>,
}

impl Templar {
    pub(super) const fn new(config: Arc<Config>, core: Core<Reply>, shared: Arc<Shared>) -> Self {
        Self { config, core, shared, closing: Vec::new() }
    }
}

/// The opening request of a user.
fn request(config: &Config, user: &Credentials) -> Result<(Endpoint, ClientRequest), Error> {
    let mut url = config.address();
    if let Some(query) = user.query() {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(&query);
    }
    let url: Endpoint =
        url.parse().map_err(|e: ws_core::Error| Error::config("url", e.to_string()))?;
    let cannot = |e: ws_core::Error| Error::config("header", e.to_string());
    let mut request = ClientRequest::new(&url);
    request = request.header("User-Agent", &config.user_agent).map_err(cannot)?;
    let dummy = (config.protocol == Protocol::V2).then_some("ht=1");
    if let Some(cookies) = user.cookies().or(dummy) {
        request = request.header("Cookie", cookies).map_err(cannot)?;
    }
    for (name, value) in user.headers() {
        request = request.header(name, value).map_err(cannot)?;
    }
    Ok((url, request))
}

impl Machine for Templar {
    type Command = Command;
    type Error = Error;
    type Greeting = ();

    fn open(&self, deadline: Instant) -> Opening<(), Error> {
        let config = Arc::clone(&self.config);
        let lock = self.shared.credentials.lock();
        let credentials = lock.unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async move {
            let shown = config.shown();
            let given = tokio::time::timeout_at(deadline.into(), credentials.give()).await;
            let failure = || ConnectError::new(ConnectStep::Auth, &shown);
            let user = match given {
                Ok(Ok(user)) => user,
                Ok(Err(cause)) => {
                    let cause = std::io::Error::other(cause);
                    return Err(Error::Connect(failure().because(cause)));
                }
                Err(_) => return Err(Error::Connect(failure().timed_out())),
            };
            let (url, request) = request(&config, &user)?;
            let dialer = config.dialer.clone();
            #[cfg(feature = "tls")]
            let dialer = match url.is_secure() {
                true => dialer.tls(config.tls.for_dialing().map_err(crate::publisher::unusable)?),
                false => dialer,
            };
            let most = config.max_message_bytes;
            match open(dialer, &url, request, most, deadline, &shown).await {
                Ok((socket, _)) => Ok((socket, ())),
                Err(error) => Err(told(error)),
            }
        })
    }

    fn close_timeout(&self) -> Duration {
        self.config.close_timeout
    }

    fn handle_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Start(to) => self.core.start(now, to),
            Command::Stop(to) => {
                self.core.stop();
                to.send(Ok(Answer::Done));
            }
            Command::Subscribe { room, serial, id, out, to } => {
                let to = Reply::Subscribed { to, serial };
                self.core.subscribe(now, serial, room, id, out, to);
            }
            Command::Unsubscribe { serial, to } => self.core.unsubscribe(now, serial, Some(to)),
            Command::Status(to) => self.core.status(now, to),
            Command::Close(to) => self.core.close(now, to),
        }
    }

    fn handle_dropped(&mut self, now: Instant) {
        for serial in self.shared.ended.take() {
            self.core.unsubscribe(now, serial, None);
        }
    }

    fn connected(&mut self, now: Instant, (): ()) {
        self.core.connected(now);
    }

    fn refused(&mut self, now: Instant, cause: Error) {
        self.core.disconnected(now, cause);
    }

    fn broken(&mut self, now: Instant, cause: Broken) {
        let cause = match cause {
            Broken::Closed(frame) => {
                return self.core.closed(now, frame.map(|frame| frame.code.as_u16()));
            }
            Broken::Violation(error) => Error::protocol("websocket", &error.to_string()),
            Broken::Failed(error) => Error::transport(error),
        };
        self.core.disconnected(now, cause);
    }

    fn handle_input(&mut self, now: Instant, input: Input<'_>) {
        self.core.handle_input(now, input);
    }

    fn poll_timeout(&self) -> Option<Instant> {
        self.core.poll_timeout()
    }

    fn handle_timeout(&mut self, now: Instant) {
        self.core.handle_timeout(now);
    }

    fn poll_order(&mut self, now: Instant) -> Option<LinkOrder> {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Connect { deadline } => return Some(LinkOrder::Connect { deadline }),
                Effect::Disconnect { graceful } => {
                    return Some(LinkOrder::Disconnect { graceful });
                }
                Effect::Allowed(allowed) => {
                    let lock = self.shared.allowed.lock();
                    *lock.unwrap_or_else(PoisonError::into_inner) = Arc::new(allowed);
                }
                Effect::Reply { to, result } => {
                    if let Some(serial) = to.send(result) {
                        self.core.unsubscribe(now, serial, None);
                    }
                }
                Effect::Closed { to } => self.closing.extend(to),
            }
        }
        None
    }

    fn has_order(&self) -> bool {
        self.core.has_effect()
    }

    fn poll_transmit(&mut self, now: Instant) -> Option<Transmit> {
        self.core.poll_transmit(now)
    }

    fn is_blocked(&self) -> bool {
        self.core.is_blocked()
    }

    fn poll_room(&mut self, now: Instant, cx: &mut Context<'_>) -> Poll<()> {
        self.core.poll_room(now, cx)
    }

    fn abort(&mut self) {
        self.core.abort();
    }

    fn is_closed(&self) -> bool {
        self.core.is_closed()
    }

    fn finish(&mut self) {
        self.shared.ended.close();
        for to in self.closing.drain(..) {
            to.send(Ok(Answer::Done));
        }
    }
}

fn told(error: OpenError) -> Error {
    match error {
        OpenError::Refused { status, reason, retry_after } => {
            let mut refusal = Refusal::answered("upgrade", status, &reason);
            refusal.retry_after = retry_after;
            Error::Refused(refusal)
        }
        OpenError::Failed(error) => Error::Connect(error),
        OpenError::Proxy(error) => Error::config("proxy", error.to_string()),
    }
}
