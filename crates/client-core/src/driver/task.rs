//! The task itself.

use std::{
    future::{Future, poll_fn},
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
};

use super::{Broken, Machine, Opening, Wire};
use crate::{link::LinkOrder, traffic::Input};
use tokio::{
    sync::{Notify, mpsc},
    time::Instant,
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
        wire: Slot::Empty,
        heard: Heard::default(),
        parting: None,
    };
    driver.run().await;
}

struct Driver<M: Machine> {
    machine: M,
    commands: mpsc::Receiver<M::Command>,
    dropped: Arc<Notify>,
    wire: Slot<M>,
    heard: Heard,
    /// The closing handshake of a connection that is no longer wanted.
    parting: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
}

/// Where a connection is, if there is one.
enum Slot<M: Machine> {
    Empty,
    Opening(Opening<M::Greeting, M::Error>),
    Open(Wire),
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
    Opened(Result<(Wire, M::Greeting), M::Error>),
    /// The wire gives nothing more: it is closed, or has failed.
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
                    self.handle_commands(command);
                }
                Wake::Command(None) => self.machine.abort(),
                Wake::Dropped => self.machine.handle_dropped(now()),
                Wake::Timeout => self.handle_timeout(),
                Wake::Opened(Ok((wire, greeting))) => {
                    self.wire = Slot::Open(wire);
                    self.heard = Heard::default();
                    self.machine.connected(now(), greeting);
                }
                Wake::Opened(Err(error)) => {
                    self.wire = Slot::Empty;
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
    /// there is more to send than the wire has room for.
    async fn wait(&mut self, starved: bool) -> Wake<M> {
        let timeout = self.machine.poll_timeout().map(Instant::from_std);
        let sleep = async move {
            match timeout {
                Some(at) => tokio::time::sleep_until(at).await,
                None => std::future::pending().await,
            }
        };
        let (machine, wire, heard) = (&mut self.machine, &mut self.wire, &mut self.heard);
        let wire = poll_fn(move |cx| match wire {
            Slot::Empty => Poll::Pending,
            Slot::Opening(attempt) => attempt.as_mut().poll(cx).map(Wake::Opened),
            Slot::Open(wire) => poll_wire(machine, wire, heard, starved, cx),
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
            wake = wire => wake,
            () = parted => Wake::Parted,
        }
    }

    /// Takes a command, and those that wait behind it, but not for ever.
    fn handle_commands(&mut self, first: M::Command) {
        self.machine.handle_command(now(), first);
        for _ in 1..AT_ONE_GO {
            match self.commands.try_recv() {
                Ok(next) => self.machine.handle_command(now(), next),
                Err(_) => return,
            }
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
            Ok(()) => match std::mem::replace(&mut self.wire, Slot::Empty) {
                Slot::Open(wire) => Broken::Closed(wire.close_frame()),
                Slot::Empty | Slot::Opening(_) => return,
            },
            Err(ws_core::Error::Protocol(error)) => {
                // The service learns what it did wrong.
                self.part();
                Broken::Violation(error)
            }
            Err(error) => {
                self.wire = Slot::Empty;
                Broken::Failed(error)
            }
        };
        self.machine.broken(now(), cause);
    }

    fn carry_out(&mut self) {
        while let Some(order) = self.machine.poll_order(now()) {
            match order {
                LinkOrder::Connect { deadline } => {
                    self.wire = Slot::Opening(self.machine.open(deadline));
                }
                LinkOrder::Disconnect { graceful } => {
                    if graceful {
                        self.part();
                    }
                    self.wire = Slot::Empty;
                }
            }
        }
    }

    /// Leaves the connection, which is closed in its own time.
    fn part(&mut self) {
        if let Slot::Open(mut wire) = std::mem::replace(&mut self.wire, Slot::Empty) {
            if let Some(farewell) = self.machine.farewell() {
                // What cannot be said any more need not be.
                let _best_effort = wire.queue(farewell);
            }
            let wait = self.machine.close_timeout();
            self.parting = Some(Box::pin(wire.hang_up(wait)));
        }
    }

    /// Hands messages to the wire, as many as it has room for; returns whether
    /// there may be more.
    fn transmit(&mut self) -> bool {
        let Slot::Open(wire) = &mut self.wire else { return false };
        // A wire that is closing takes nothing; its end is received next.
        while wire.is_open() && wire.has_room() {
            let Some(transmit) = self.machine.poll_transmit(now()) else { return false };
            // Without a mask key nothing can be sent, now or later.
            if let Err(error) = wire.queue(transmit) {
                self.wire = Slot::Empty;
                self.machine.broken(now(), Broken::Failed(error));
                return false;
            }
        }
        wire.is_open()
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

/// Messages, or commands, that are taken at one go, before others have their turn.
const AT_ONE_GO: usize = 64;

/// Reads, unless a slow consumer keeps us from it, and writes in any case.
fn poll_wire<M: Machine>(
    machine: &mut M,
    wire: &mut Wire,
    heard: &mut Heard,
    starved: bool,
    cx: &mut Context<'_>,
) -> Poll<Wake<M>> {
    if machine.is_blocked() && machine.poll_room(now(), cx).is_ready() {
        return Poll::Ready(Wake::Room);
    }
    if starved && let Poll::Ready(room) = wire.poll_room(cx) {
        return Poll::Ready(room.map_or_else(|e| Wake::Ended(Err(e)), |()| Wake::Room));
    }
    let mut now_of_all = None;
    for _ in 0..AT_ONE_GO {
        if machine.is_blocked() || machine.has_order() {
            break;
        }
        let input = match wire.poll_next(cx) {
            Poll::Ready(Ok(Some(input))) => input,
            Poll::Ready(Ok(None)) => return Poll::Ready(Wake::Ended(Ok(()))),
            Poll::Ready(Err(error)) => return Poll::Ready(Wake::Ended(Err(error))),
            Poll::Pending => {
                // Those of a message that is still arriving.
                if heard.bytes != wire.received() {
                    *heard = Heard { bytes: wire.received(), at: Some(now()) };
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
    match wire.poll_flush(cx) {
        Poll::Ready(Err(error)) => Poll::Ready(Wake::Ended(Err(error))),
        Poll::Ready(Ok(())) | Poll::Pending => Poll::Pending,
    }
}

/// The time of the runtime, which tests may pause.
fn now() -> std::time::Instant {
    Instant::now().into_std()
}
