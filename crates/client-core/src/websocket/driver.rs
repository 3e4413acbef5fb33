//! The task itself.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
};
use ws_core::{Message, MessageRef};

use super::{Broken, Machine, Opening, Socket};
use crate::{
    link::LinkOrder,
    traffic::{Input, Transmit},
};

/// Drives `machine` until it is closed or the last handle is dropped. `dropped`
/// wakes it when it has to look for handles that are gone.
pub async fn drive<M: Machine>(
    machine: M,
    commands: mpsc::Receiver<M::Command>,
    dropped: Arc<Notify>,
) {
    let driver = Driver {
        machine,
        commands,
        dropped,
        socket: Slot::Empty,
        heard: Heard::default(),
        parting: None,
    };
    driver.run().await;
}

struct Driver<M: Machine> {
    machine: M,
    commands: mpsc::Receiver<M::Command>,
    dropped: Arc<Notify>,
    socket: Slot<M>,
    heard: Heard,
    /// The closing handshake of a connection that is no longer wanted.
    parting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// Where a connection is, if there is one.
enum Slot<M: Machine> {
    Empty,
    Opening(Opening<M::Greeting, M::Error>),
    Open(Socket),
}

/// When bytes last came, those of a message that is still arriving included.
#[derive(Default)]
struct Heard {
    bytes: u64,
    /// Not yet told to the machine.
    at: Option<std::time::Instant>,
}

/// What woke the task.
enum Wake<M: Machine> {
    Command(Option<M::Command>),
    Dropped,
    Timeout,
    Opened(Result<(Socket, M::Greeting), M::Error>),
    /// The socket gives nothing more: it is closed, or has failed.
    Ended(Result<(), ws_core::Error>),
    Room,
    Parted,
}

impl<M: Machine> Driver<M> {
    async fn run(mut self) {
        loop {
            self.carry_out();
            if self.machine.is_closed() {
                return self.end().await;
            }
            let starved = self.transmit();
            if self.machine.has_order() {
                continue;
            }
            match self.wait(starved).await {
                Wake::Command(Some(command)) => {
                    // A handle that was dropped makes room for the one that this
                    // command may ask for.
                    self.machine.handle_dropped(now());
                    self.machine.handle_command(now(), command);
                }
                Wake::Command(None) => self.machine.abort(),
                Wake::Dropped => self.machine.handle_dropped(now()),
                Wake::Timeout => self.handle_timeout(),
                Wake::Opened(Ok((socket, greeting))) => {
                    self.socket = Slot::Open(socket);
                    self.heard = Heard::default();
                    self.machine.connected(now(), greeting);
                }
                Wake::Opened(Err(error)) => {
                    self.socket = Slot::Empty;
                    self.machine.refused(now(), error);
                }
                Wake::Ended(ended) => self.handle_end(ended),
                Wake::Room => {}
                Wake::Parted => self.parting = None,
            }
        }
    }

    /// Waits for whatever comes first, in no fixed order: neither a flood of
    /// calls nor a flood of messages may silence the other. `starved` says that
    /// there is more to send than the socket has room for.
    async fn wait(&mut self, starved: bool) -> Wake<M> {
        let timeout = self.machine.poll_timeout().map(Instant::from_std);
        let sleep = async move {
            match timeout {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let (machine, socket, heard) = (&mut self.machine, &mut self.socket, &mut self.heard);
        let socket = poll_fn(move |cx| match socket {
            Slot::Empty => Poll::Pending,
            Slot::Opening(attempt) => attempt.as_mut().poll(cx).map(Wake::Opened),
            Slot::Open(socket) => poll_socket(machine, socket, heard, starved, cx),
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
            () = self.dropped.notified() => Wake::Dropped,
            () = sleep => Wake::Timeout,
            wake = socket => wake,
            () = parted => Wake::Parted,
        }
    }

    fn handle_timeout(&mut self) {
        // A message that is still arriving is a sign of life.
        if let Some(at) = self.heard.at.take() {
            self.machine.handle_input(at, Input::Control);
        }
        self.machine.handle_timeout(now());
    }

    fn handle_end(&mut self, ended: Result<(), ws_core::Error>) {
        self.heard.at = None;
        let cause = match ended {
            Ok(()) => match std::mem::replace(&mut self.socket, Slot::Empty) {
                Slot::Open(socket) => Broken::Closed(socket.close_frame().cloned()),
                Slot::Empty | Slot::Opening(_) => return,
            },
            Err(ws_core::Error::Protocol(error)) => {
                // The service learns what it did wrong.
                self.part();
                Broken::Violation(error)
            }
            Err(error) => {
                self.socket = Slot::Empty;
                Broken::Failed(error)
            }
        };
        self.machine.broken(now(), cause);
    }

    fn carry_out(&mut self) {
        while let Some(order) = self.machine.poll_order(now()) {
            match order {
                LinkOrder::Connect { deadline } => {
                    self.socket = Slot::Opening(self.machine.open(deadline));
                }
                LinkOrder::Disconnect { graceful } => {
                    if graceful {
                        self.part();
                    }
                    self.socket = Slot::Empty;
                }
            }
        }
    }

    /// Leaves the connection, which is closed in its own time.
    fn part(&mut self) {
        if let Slot::Open(socket) = std::mem::replace(&mut self.socket, Slot::Empty) {
            let wait = self.machine.close_timeout();
            self.parting = Some(Box::pin(hang_up(socket, wait)));
        }
    }

    /// Hands messages to the socket, as many as it has room for; returns whether
    /// there may be more.
    fn transmit(&mut self) -> bool {
        let Slot::Open(socket) = &mut self.socket else { return false };
        // A socket that is closing takes nothing; its end is received next.
        while socket.is_open() && socket.has_room() {
            let message = match self.machine.poll_transmit(now()) {
                Some(Transmit::Text(text)) => Message::text(text),
                Some(Transmit::Binary(bytes)) => Message::Binary(bytes.into()),
                Some(Transmit::Ping) => Message::Ping(bytes::Bytes::from_static(b"py")),
                None => return false,
            };
            // Without a mask key nothing can be sent, now or later.
            if let Err(error) = socket.queue(&message) {
                self.socket = Slot::Empty;
                self.machine.broken(now(), Broken::Failed(error));
                return false;
            }
        }
        socket.is_open()
    }

    /// Completes the closing handshake before anyone is told that the client
    /// is closed, and answers the calls that were on their way.
    async fn end(mut self) {
        if let Some(parting) = self.parting.take() {
            parting.await;
        }
        self.commands.close();
        while let Ok(command) = self.commands.try_recv() {
            self.machine.handle_command(now(), command);
        }
        self.carry_out();
        self.machine.finish();
    }
}

/// Messages that are taken at one go, before commands and time have their turn.
const AT_ONE_GO: usize = 64;

/// Reads, unless a slow consumer keeps us from it, and writes in any case.
fn poll_socket<M: Machine>(
    machine: &mut M,
    socket: &mut Socket,
    heard: &mut Heard,
    starved: bool,
    cx: &mut Context<'_>,
) -> Poll<Wake<M>> {
    if machine.is_blocked() && machine.poll_room(now(), cx).is_ready() {
        return Poll::Ready(Wake::Room);
    }
    if starved && let Poll::Ready(room) = socket.poll_room(cx) {
        return Poll::Ready(room.map_or_else(|e| Wake::Ended(Err(e)), |()| Wake::Room));
    }
    let mut now_of_all = None;
    for _ in 0..AT_ONE_GO {
        if machine.is_blocked() || machine.has_order() {
            break;
        }
        let input = match socket.poll_next_ref(cx) {
            Poll::Ready(Ok(Some(MessageRef::Text(text)))) => Input::Text(text),
            Poll::Ready(Ok(Some(MessageRef::Binary(bytes)))) => Input::Binary(bytes),
            Poll::Ready(Ok(Some(_))) => Input::Control,
            Poll::Ready(Ok(None)) => return Poll::Ready(Wake::Ended(Ok(()))),
            Poll::Ready(Err(error)) => return Poll::Ready(Wake::Ended(Err(error))),
            Poll::Pending => {
                // Those of a message that is still arriving.
                if heard.bytes != socket.received() {
                    *heard = Heard { bytes: socket.received(), at: Some(now()) };
                }
                return match now_of_all {
                    Some(_) => Poll::Ready(Wake::Room),
                    None => Poll::Pending,
                };
            }
        };
        machine.handle_input(*now_of_all.get_or_insert_with(now), input);
        heard.at = None;
    }
    if now_of_all.is_some() {
        return Poll::Ready(Wake::Room);
    }
    match socket.poll_flush(cx) {
        Poll::Ready(Err(error)) => Poll::Ready(Wake::Ended(Err(error))),
        Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
    }
}

/// Closes a socket that is no longer wanted, for at most `wait`.
async fn hang_up(mut socket: Socket, wait: std::time::Duration) {
    let frame = ws_core::CloseFrame::new(ws_core::CloseCode::NORMAL, "");
    // Nobody is left to tell: the peer that does not answer is dropped.
    let _ended = socket.close(Some(&frame), wait).await;
}

/// The time of the runtime, which tests may pause.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
