//! The core, as the task of a client drives it.

use std::{
    sync::{Arc, OnceLock},
    task::{Context, Poll},
    time::{Duration, Instant},
};

use client_core::{
    CloseReport, ConnectError, ConnectStep, Input, LinkOrder, Transmit,
    driver::{Broken, Ended, Machine, OpenError, Opening, open},
};
use ws_core::{ClientRequest, Endpoint};

use super::command::{Command, Reply};
use crate::{
    answer::Answer,
    codec::Protocol,
    config::Config,
    error::{Error, Refusal},
    proto::{Core, Effect},
};

pub(super) struct Rtm {
    config: Arc<Config>,
    url: Arc<Endpoint>,
    core: Core<Reply>,
    ended: Arc<Ended<(Arc<str>, u64)>>,
    /// What every later call of `close` returns.
    report: Arc<OnceLock<CloseReport>>,
    /// Who waits for the end.
    reports: Vec<(Reply, CloseReport)>,
}

impl Rtm {
    pub(super) fn new(
        config: Config,
        url: Endpoint,
        core: Core<Reply>,
        ended: Arc<Ended<(Arc<str>, u64)>>,
        report: Arc<OnceLock<CloseReport>>,
    ) -> Self {
        let (config, url) = (Arc::new(config), Arc::new(url));
        Self { config, url, core, ended, report, reports: Vec::new() }
    }
}

impl Machine for Rtm {
    type Command = Command;
    type Error = Error;
    type Greeting = ();

    fn open(&self, deadline: Instant) -> Opening<(), Error> {
        let (config, url) = (Arc::clone(&self.config), Arc::clone(&self.url));
        Box::pin(async move {
            let mut request = ClientRequest::new(&url)
                .header("Origin", &url.origin())
                .map_err(|e| Error::config("endpoint", e.to_string()))?;
            // JSON is what is spoken without a choice, and the original offers nothing.
            let cbor = config.protocol == Protocol::Cbor;
            if cbor {
                request = request.subprotocol("cbor");
            }
            let dialer = config.dialer.clone();
            #[cfg(feature = "tls")]
            let dialer = dialer.tls(config.tls.clone());
            let (most, shown) = (config.max_message_bytes, &config.endpoint);
            match open(dialer, &url, request, most, deadline, shown).await {
                Ok((_, response)) if cbor && response.subprotocol.is_none() => {
                    let no_cbor = std::io::Error::other("the service does not speak CBOR");
                    let mut error = ConnectError::new(ConnectStep::Upgrade, shown);
                    error.is_lasting = true;
                    Err(Error::Connect(error.because(no_cbor)))
                }
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
                to.send(Ok(Answer::new(None)));
            }
            // A refusal reaches the caller through its reply.
            Command::Request { request, to } => {
                let _replied = self.core.request(now, request, Some(to));
            }
            Command::Post { request, to } => {
                let taken = self.core.request(now, request, None);
                to.send(taken.map(|()| Answer::new(None)));
            }
            Command::Authenticate { delegate, to } => self.core.authenticate(now, delegate, to),
            Command::Subscribe { id, serial, options, out, to } => {
                let to = match to {
                    Reply::Answer(to) => Reply::Subscribed { to, id: Arc::clone(&id), serial },
                    other => other,
                };
                self.core.subscribe(now, &id, serial, *options, out, to);
            }
            Command::Change { id, serial, options, to } => {
                self.core.change(now, &id, serial, *options, to);
            }
            Command::Unsubscribe { id, serial, to } => {
                self.core.unsubscribe(now, &id, serial, Some(to));
            }
            Command::Close { wait, to } => self.core.close(now, wait, to),
        }
    }

    fn handle_dropped(&mut self, now: Instant) {
        for (id, serial) in self.ended.take() {
            self.core.unsubscribe(now, &id, serial, None);
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
                    if let Some((id, serial)) = to.send(result) {
                        self.core.unsubscribe(now, &id, serial, None);
                    }
                }
                Effect::Closed { to, report } => {
                    let _first = self.report.set(report);
                    self.reports.extend(to.into_iter().map(|to| (to, report)));
                }
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
        for (to, report) in self.reports.drain(..) {
            to.report(report);
        }
    }
}

fn told(error: OpenError) -> Error {
    match error {
        OpenError::Refused { status, reason, retry_after } => {
            let mut refusal = Refusal::new("upgrade", &status.to_string(), &reason);
            refusal.retry_after = retry_after;
            Error::Refused(refusal)
        }
        OpenError::Failed(error) => Error::Connect(error),
        OpenError::Proxy(error) => Error::config("proxy", error.to_string()),
    }
}
