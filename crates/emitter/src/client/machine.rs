//! The core, as the task of a client drives it.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicUsize, Ordering::Relaxed},
    },
    task::{Context, Poll},
    time::{Duration, Instant, SystemTime, UNIX_EPOCH},
};

use client_core::{
    CloseReport, Event, Input, LinkOrder, Monitor, Target, Transmit,
    driver::{Broken, Ended, Machine, OpenError, Opening, Wire, open, open_bytes},
};
use ws_core::ClientRequest;

use super::command::{Command, Fate, Reply};
use crate::{
    config::{Address, Config},
    error::{Error, Refusal},
    proto::{Answer, Core, Effect},
};

pub(super) struct Broker {
    config: Arc<Config>,
    core: Core<Reply>,
    monitor: Monitor<Error>,
    ended: Arc<Ended<Fate>>,
    /// Counts attempts: each begins with the next address.
    attempts: AtomicUsize,
    /// The system's clock and the runtime's, at the beginning.
    began: (u64, Instant),
    /// What every call of `close` returns.
    report: Arc<Mutex<CloseReport>>,
    /// Who waits for the end.
    closing: Vec<Reply>,
}

impl Broker {
    pub(super) fn new(
        config: Arc<Config>,
        core: Core<Reply>,
        monitor: Monitor<Error>,
        ended: Arc<Ended<Fate>>,
        report: Arc<Mutex<CloseReport>>,
    ) -> Self {
        let began = (system_seconds(), tokio::time::Instant::now().into_std());
        let attempts = AtomicUsize::new(0);
        Self { config, core, monitor, ended, attempts, began, report, closing: Vec::new() }
    }

    /// Seconds since 1970. The runtime's clock, which tests pause, counts as well; the
    /// system's goes on while the machine sleeps.
    fn unix(&self, now: Instant) -> u64 {
        let (began, at) = self.began;
        system_seconds().max(began + now.saturating_duration_since(at).as_secs())
    }

    /// Nobody is left to take this subscription or watch.
    fn undo(&mut self, serial: u64) {
        self.core.drop_subscription(serial);
        self.core.drop_watch(serial);
    }
}

impl Machine for Broker {
    type Command = Command;
    type Error = Error;
    type Greeting = ();

    fn open(&self, deadline: Instant) -> Opening<(), Error> {
        let config = Arc::clone(&self.config);
        let attempt = self.attempts.fetch_add(1, Relaxed);
        Box::pin(async move {
            let addresses = config.addresses.len();
            let mut failure = Error::config("host", "there is no address");
            for (place, left) in (0..addresses).zip((1..=addresses).rev()) {
                let Some(address) = config.addresses.get((attempt + place) % addresses) else {
                    break;
                };
                // Those that are left have their share of the time.
                let now = tokio::time::Instant::now().into_std();
                let share = deadline.saturating_duration_since(now) / share_of(left);
                match reach(&config, address, now + share).await {
                    Ok(wire) => return Ok((wire, ())),
                    Err(error) => failure = error,
                }
            }
            Err(failure)
        })
    }

    fn close_timeout(&self) -> Duration {
        self.config.close_timeout
    }

    fn farewell(&self) -> Option<Transmit> {
        Some(self.core.farewell())
    }

    fn handle_command(&mut self, now: Instant, command: Command) {
        match command {
            Command::Start(to) => self.core.start(now, to),
            Command::Stop(to) => {
                self.core.stop();
                to.send(Ok(Answer::Done));
            }
            Command::Publish { publish, to } => self.core.publish(now, publish, to),
            Command::Ask { ask, reserved, to } => self.core.ask(now, ask, Some(reserved), to),
            Command::Subscribe { serial, subscription, out, to } => {
                self.core.subscribe(now, serial, subscription, out, to);
            }
            Command::Unsubscribe { subscription, to } => self.core.unsubscribe(&subscription, to),
            Command::Watch { serial, watcher, out, to } => {
                self.core.watch(now, serial, watcher, out, to);
            }
            Command::Unwatch { serial, watcher, to } => {
                self.core.unwatch(now, serial, watcher, to);
            }
            Command::Warn(cause) => self.monitor.tell(Event::Warning { cause }),
            Command::Close { wait, to } => self.core.close(now, wait, to),
        }
    }

    fn handle_dropped(&mut self, _now: Instant) {
        for fate in self.ended.take() {
            match fate {
                Fate::Dropped(serial) => self.undo(serial),
                Fate::Taken(serial) => self.core.taken(serial),
            }
        }
    }

    fn connected(&mut self, now: Instant, (): ()) {
        self.core.connected(now, self.unix(now));
    }

    fn refused(&mut self, now: Instant, cause: Error) {
        self.core.disconnected(now, cause);
    }

    fn broken(&mut self, now: Instant, cause: Broken) {
        let cause = match cause {
            Broken::Closed(frame) => {
                let text = match frame {
                    Some(frame) => format!("closed by the broker with code {}", frame.code),
                    None => "closed by the broker".to_owned(),
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

    fn poll_order(&mut self, _now: Instant) -> Option<LinkOrder> {
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Connect { deadline } => return Some(LinkOrder::Connect { deadline }),
                Effect::Disconnect { graceful } => {
                    return Some(LinkOrder::Disconnect { graceful });
                }
                Effect::Reply { to, result } => {
                    if let Some(serial) = to.send(result) {
                        self.undo(serial);
                    }
                }
                Effect::Closed { to, report } => {
                    *self.report.lock().unwrap_or_else(PoisonError::into_inner) = report;
                    self.closing.extend(to);
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
        for to in self.closing.drain(..) {
            to.send(Ok(Answer::Done));
        }
    }
}

fn share_of(addresses: usize) -> u32 {
    u32::try_from(addresses).unwrap_or(1).max(1)
}

/// Opens a connection to one address.
async fn reach(config: &Config, address: &Address, deadline: Instant) -> Result<Wire, Error> {
    let (dialer, shown) = (config.dialer.clone(), address.to_string());
    #[cfg(feature = "tls")]
    let dialer = match address.secure {
        true if address.websocket => dialer.tls(config.tls.clone()),
        true => dialer.tls(config.tls.clone().without_alpn()),
        false => dialer,
    };
    let opened = if address.websocket {
        let url = address.websocket_url().parse();
        let url = url.map_err(|e: ws_core::Error| Error::config("host", e.to_string()))?;
        let request = ClientRequest::new(&url).subprotocol("mqtt");
        // A broker may put more than one packet into a message.
        let most = 2 * config.max_packet_bytes;
        open(dialer, &url, request, most, deadline, &shown).await.map(|(wire, _)| wire)
    } else {
        let target = Target::new(&address.host, address.effective_port());
        open_bytes(dialer, &target, address.secure, deadline, &shown).await
    };
    opened.map_err(told)
}

fn told(error: OpenError) -> Error {
    match error {
        OpenError::Refused { status, reason, retry_after } => {
            let mut refusal = Refusal::new("upgrade", status, &reason);
            refusal.retry_after = retry_after;
            Error::Refused(refusal)
        }
        OpenError::Failed(error) => Error::Connect(error),
        OpenError::Proxy(error) => Error::config("proxy", error.to_string()),
    }
}

fn system_seconds() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}
