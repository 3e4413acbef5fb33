//! The task that owns the socket: it moves bytes, time and wake-ups, and
//! decides nothing.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use client_core::CloseReport;
use tokio::{sync::mpsc, time::Instant};
use ws_core::{Endpoint, Message};

use super::{
    command::{Command, Reply},
    connect::{Socket, connect, hang_up},
    subscription::Ended,
};
use crate::{
    config::Config,
    error::Error,
    proto::{Core, Effect, Input, Transmit},
};

type Attempt = Pin<Box<dyn Future<Output = Result<Socket, Error>> + Send>>;

/// What the driver has of a connection.
enum Link {
    Down,
    Opening(Attempt),
    Open(Socket),
}

pub(super) struct Driver {
    config: Arc<Config>,
    url: Arc<Endpoint>,
    core: Core<Reply>,
    commands: mpsc::Receiver<Command>,
    ended: Arc<Ended>,
    link: Link,
    heard: Heard,
    /// What every later call of `close` returns.
    report: Arc<OnceLock<CloseReport>>,
    /// The closing handshake of a connection that is no longer wanted.
    parting: Option<Parting>,
}

/// When bytes last came, those of a message that is still arriving included.
#[derive(Default)]
struct Heard {
    bytes: u64,
    /// Not yet told to the core.
    at: Option<std::time::Instant>,
}

type Parting = Pin<Box<dyn Future<Output = ()> + Send>>;

/// What woke the driver.
enum Wake {
    Command(Option<Command>),
    Ended,
    Timeout,
    Opened(Result<Socket, Error>),
    Received(Result<Option<Message>, ws_core::Error>),
    Room,
    Parted,
}

impl Driver {
    pub(super) fn new(
        config: Config,
        url: Endpoint,
        core: Core<Reply>,
        commands: mpsc::Receiver<Command>,
        ended: Arc<Ended>,
        report: Arc<OnceLock<CloseReport>>,
    ) -> Self {
        let (config, url) = (Arc::new(config), Arc::new(url));
        Self {
            config,
            url,
            core,
            commands,
            ended,
            link: Link::Down,
            heard: Heard::default(),
            report,
            parting: None,
        }
    }

    /// Runs until the client is closed or its last handle is dropped.
    pub(super) async fn run(mut self) {
        loop {
            let reports = self.carry_out();
            if self.core.is_closed() {
                return self.end(reports).await;
            }
            let starved = self.transmit();
            if self.core.has_effect() {
                continue;
            }
            match self.wait(starved).await {
                Wake::Command(Some(command)) => {
                    // A subscription that was dropped makes room for the one that
                    // this command may ask for.
                    self.end_dropped();
                    self.handle_command(command);
                }
                Wake::Command(None) => self.core.abort(),
                Wake::Ended => self.end_dropped(),
                Wake::Timeout => self.handle_timeout(),
                Wake::Opened(Ok(socket)) => {
                    self.link = Link::Open(socket);
                    self.heard = Heard::default();
                    self.core.connected(now());
                }
                Wake::Opened(Err(error)) => {
                    self.link = Link::Down;
                    self.core.disconnected(now(), error);
                }
                Wake::Received(received) => self.handle_received(received),
                Wake::Room => {}
                Wake::Parted => self.parting = None,
            }
        }
    }

    /// Waits for whatever comes first, in no fixed order: neither a flood of
    /// calls nor a flood of messages may silence the other. `starved` says that
    /// there is more to send than the socket has room for.
    async fn wait(&mut self, starved: bool) -> Wake {
        let timeout = self.core.poll_timeout().map(Instant::from_std);
        let sleep = async move {
            match timeout {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let (core, link, heard) = (&mut self.core, &mut self.link, &mut self.heard);
        let socket = poll_fn(move |cx| match link {
            Link::Down => Poll::Pending,
            Link::Opening(attempt) => attempt.as_mut().poll(cx).map(Wake::Opened),
            Link::Open(socket) => poll_socket(core, socket, heard, starved, cx),
        });
        let parting = self.parting.as_mut();
        let parted = async move {
            match parting {
                Some(parting) => parting.await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            command = self.commands.recv() => Wake::Command(command),
            () = self.ended.notify.notified() => Wake::Ended,
            () = sleep => Wake::Timeout,
            wake = socket => wake,
            () = parted => Wake::Parted,
        }
    }

    fn handle_timeout(&mut self) {
        // A message that is still arriving is a sign of life.
        if let Some(at) = self.heard.at.take() {
            self.core.handle_input(at, Input::Control);
        }
        self.core.handle_timeout(now());
    }

    fn end_dropped(&mut self) {
        for (channel, serial) in self.ended.take() {
            self.core.unsubscribe(now(), &channel, serial, None);
        }
    }

    fn handle_command(&mut self, command: Command) {
        let now = now();
        match command {
            Command::Start(to) => self.core.start(now, to),
            Command::Stop(to) => {
                self.core.stop();
                to.send(Ok(None));
            }
            // A refusal reaches the caller through its reply.
            Command::Request { request, to } => {
                let _replied = self.core.request(now, request, Some(to));
            }
            Command::Post { request, to } => {
                let taken = self.core.request(now, request, None);
                to.send(taken.map(|()| None));
            }
            Command::Subscribe { channel, serial, options, out, to } => {
                let to = match to {
                    Reply::Answer(to) => {
                        Reply::Subscribed { to, channel: Arc::clone(&channel), serial }
                    }
                    other => other,
                };
                self.core.subscribe(now, &channel, serial, options, out, to);
            }
            Command::Unsubscribe { channel, serial, to } => {
                self.core.unsubscribe(now, &channel, serial, Some(to));
            }
            Command::Close { wait, to } => self.core.close(now, wait, to),
        }
    }

    fn handle_received(&mut self, received: Result<Option<Message>, ws_core::Error>) {
        let now = now();
        self.heard.at = None;
        match received {
            Ok(Some(Message::Text(text))) => self.core.handle_input(now, Input::Text(&text)),
            Ok(Some(Message::Binary(_))) => self.core.handle_input(now, Input::Binary),
            Ok(Some(_)) => self.core.handle_input(now, Input::Control),
            Ok(None) => {
                let Link::Open(socket) = std::mem::replace(&mut self.link, Link::Down) else {
                    return;
                };
                let frame = socket.close_frame().cloned();
                let text = match frame {
                    Some(frame) => format!("closed by the service with code {}", frame.code),
                    None => "closed by the service".to_owned(),
                };
                self.core.disconnected(now, Error::transport(std::io::Error::other(text)));
            }
            Err(ws_core::Error::Protocol(error)) => {
                // The service learns what it did wrong.
                self.part();
                self.core.disconnected(now, Error::protocol("websocket", &error.to_string()));
            }
            Err(error) => {
                self.link = Link::Down;
                self.core.disconnected(now, Error::transport(error));
            }
        }
    }

    /// Does what the core asks; returns the reports that wait for the end.
    fn carry_out(&mut self) -> Vec<(Reply, CloseReport)> {
        let mut reports = Vec::new();
        while let Some(effect) = self.core.poll_effect() {
            match effect {
                Effect::Connect { deadline } => {
                    let (config, url) = (Arc::clone(&self.config), Arc::clone(&self.url));
                    let deadline = Instant::from_std(deadline);
                    self.link =
                        Link::Opening(Box::pin(
                            async move { connect(&config, &url, deadline).await },
                        ));
                }
                Effect::Disconnect { graceful } => {
                    if graceful {
                        self.part();
                    }
                    self.link = Link::Down;
                }
                Effect::Reply { to, result } => {
                    if let Some((channel, serial)) = to.send(result) {
                        self.core.unsubscribe(now(), &channel, serial, None);
                    }
                }
                Effect::Closed { to, report } => {
                    let _first = self.report.set(report);
                    reports.extend(to.into_iter().map(|to| (to, report)));
                }
            }
        }
        reports
    }

    /// Leaves the connection, which is closed in its own time.
    fn part(&mut self) {
        if let Link::Open(socket) = std::mem::replace(&mut self.link, Link::Down) {
            self.parting = Some(Box::pin(hang_up(socket, self.config.close_timeout)));
        }
    }

    /// Hands the core's messages to the socket, as many as it has room for;
    /// returns whether there may be more.
    fn transmit(&mut self) -> bool {
        let Link::Open(socket) = &mut self.link else { return false };
        // A socket that is closing takes nothing; its end is received next.
        while socket.is_open() && socket.has_room() {
            let message = match self.core.poll_transmit(now()) {
                Some(Transmit::Text(text)) => Message::text(text),
                Some(Transmit::Ping) => Message::Ping(bytes::Bytes::from_static(b"py")),
                None => return false,
            };
            // Without a mask key nothing can be sent, now or later.
            if let Err(error) = socket.queue(&message) {
                self.link = Link::Down;
                self.core.disconnected(now(), Error::transport(error));
                return false;
            }
        }
        socket.is_open()
    }

    /// Completes the closing handshake before anyone is told that the client
    /// is closed, and answers the calls that were on their way.
    async fn end(mut self, mut reports: Vec<(Reply, CloseReport)>) {
        if let Some(parting) = self.parting.take() {
            parting.await;
        }
        self.commands.close();
        self.ended.close();
        while let Ok(command) = self.commands.try_recv() {
            self.handle_command(command);
        }
        reports.extend(self.carry_out());
        for (to, report) in reports {
            to.report(report);
        }
    }
}

/// Reads, unless a slow consumer keeps us from it, and writes in any case.
fn poll_socket(
    core: &mut Core<Reply>,
    socket: &mut Socket,
    heard: &mut Heard,
    starved: bool,
    cx: &mut Context<'_>,
) -> Poll<Wake> {
    let blocked = core.is_blocked();
    if blocked && core.poll_room(now(), cx).is_ready() {
        return Poll::Ready(Wake::Room);
    }
    if starved && let Poll::Ready(room) = socket.poll_room(cx) {
        return Poll::Ready(room.map_or_else(|e| Wake::Received(Err(e)), |()| Wake::Room));
    }
    if !blocked {
        let received = socket.poll_next(cx).map(Wake::Received);
        if heard.bytes != socket.received() {
            *heard = Heard { bytes: socket.received(), at: Some(now()) };
        }
        return received;
    }
    match socket.poll_flush(cx) {
        Poll::Ready(Err(error)) => Poll::Ready(Wake::Received(Err(error))),
        Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
    }
}

/// The time of the runtime, which tests may pause.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
