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
    config::{Config, Credentials},
    error::{Error, Refusal},
    proto::{Core, Effect, Greeting},
};

pub(super) struct Sea {
    config: Arc<Config>,
    /// Those of the next connection.
    credentials: Arc<Mutex<Credentials>>,
    url: Arc<Endpoint>,
    core: Core<Reply>,
    ended: Arc<Ended<u64>>,
    /// Who waits for the end.
    closing: Vec<Reply>,
}

impl Sea {
    pub(super) fn new(
        config: Arc<Config>,
        credentials: Arc<Mutex<Credentials>>,
        url: Endpoint,
        core: Core<Reply>,
        ended: Arc<Ended<u64>>,
    ) -> Self {
        Self { config, credentials, url: Arc::new(url), core, ended, closing: Vec::new() }
    }
}

impl Machine for Sea {
    type Command = Command;
    type Error = Error;
    type Greeting = Greeting;

    fn open(&self, deadline: Instant) -> Opening<Greeting, Error> {
        let (config, url) = (Arc::clone(&self.config), Arc::clone(&self.url));
        let credentials = self.credentials.lock().unwrap_or_else(PoisonError::into_inner).clone();
        Box::pin(async move {
            let shown = config.origin("ws");
            let given = tokio::time::timeout_at(deadline.into(), credentials.give()).await;
            let failure = || ConnectError::new(ConnectStep::Auth, &shown);
            let given = match given {
                Ok(Ok(given)) => given,
                Ok(Err(cause)) => {
                    let cause = std::io::Error::other(cause);
                    return Err(Error::Connect(failure().because(cause)));
                }
                Err(_) => return Err(Error::Connect(failure().timed_out())),
            };
            let dialer = config.dialer.clone();
            #[cfg(feature = "tls")]
            let dialer = match config.secure {
                true => dialer.tls(config.tls.for_dialing().map_err(crate::calls::refused)?),
                false => dialer,
            };
            let (request, most) = (ClientRequest::new(&url), config.max_message_bytes);
            match open(dialer, &url, request, most, deadline, &shown).await {
                Ok((socket, _)) => Ok((socket, Greeting(given))),
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
                to.send(Ok(()));
            }
            Command::Subscribe { stream, serial, options, out, to } => {
                let to = Reply::Subscribed { to, serial };
                self.core.subscribe(now, serial, &stream, options, out, to);
            }
            Command::Close(to) => self.core.close(now, to),
        }
    }

    fn handle_dropped(&mut self, now: Instant) {
        for serial in self.ended.take() {
            self.core.unsubscribe(now, serial);
        }
    }

    fn connected(&mut self, now: Instant, greeting: Greeting) {
        self.core.connected(now, &greeting);
    }

    fn refused(&mut self, now: Instant, cause: Error) {
        self.core.disconnected(now, cause);
    }

    fn broken(&mut self, now: Instant, cause: Broken) {
        let cause = match cause {
            Broken::Closed(frame) => {
                let text = match frame {
                    Some(frame) => format!("closed by the service with code {}", frame.code),
                    None => "closed by the service".to_owned(),
                };
                Error::transport(std::io::Error::other(text))
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
                Effect::Reply { to, result } => {
                    if let Some(serial) = to.send(result) {
                        self.core.unsubscribe(now, serial);
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
        self.ended.close();
        for to in self.closing.drain(..) {
            to.send(Ok(()));
        }
    }
}

fn told(error: OpenError) -> Error {
    match error {
        OpenError::Refused { status, reason, retry_after } => {
            let mut refusal = Refusal::new("upgrade", &reason);
            refusal.status = Some(status);
            refusal.retry_after = retry_after;
            Error::Refused(refusal)
        }
        OpenError::Failed(error) => Error::Connect(error),
        OpenError::Proxy(error) => Error::config("proxy", error.to_string()),
    }
}
