//! A subscriber's WebSocket: what it says, what it is told, pings, and its end.

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until, timeout},
};

use super::{
    hub::{Hub, Order},
    session::{Closing, Session, Then},
};
use crate::{
    engine::{Incoming, Socket},
    log::{EventLog, What},
};

/// Serves one subscriber to its end.
pub(super) async fn converse(hub: &Arc<Hub>, log: &EventLog, number: u64, mut socket: Socket) {
    let leaving = Leaving { hub, number };
    let end = run(hub, log, number, &mut socket).await;
    drop(leaving);
    let Some(Closing { code, reason, patient }) = end else { return };
    if patient {
        // The client has to close now, and the originals do not.
        let closes = async { while let Ok(_ignored) = socket.next().await {} };
        if timeout(Duration::from_secs(1), closes).await.is_ok() {
            return;
        }
    }
    // A client that does not take its close frame has gone by itself.
    let _closed = timeout(hub.config.handshake, socket.close(code, reason)).await;
}

/// Takes the subscriber out of its groups, whatever ends it.
struct Leaving<'h> {
    hub: &'h Hub,
    number: u64,
}

impl Drop for Leaving<'_> {
    fn drop(&mut self) {
        self.hub.leave(self.number);
    }
}

const SLOW: Closing = Closing { code: 1013, reason: "the client does not read", patient: false };

/// Runs until the client goes, or must go.
async fn run(hub: &Arc<Hub>, log: &EventLog, number: u64, socket: &mut Socket) -> Option<Closing> {
    let mut session = Session::new(Arc::clone(hub), number);
    let mut orders: Option<mpsc::Receiver<Order>> = None;
    // First for authentication, then for a token.
    let mut until = Some(Instant::now() + hub.config.authenticate);
    let mut ping = Ping { at: Instant::now() + hub.config.ping, unanswered: 0 };
    loop {
        let end = tokio::select! {
            // Deliveries do not wait for requests, nor these for those.
            incoming = socket.next() => {
                ping.unanswered = 0;
                match incoming {
                    Ok(Incoming::Text(text)) => {
                        let outcome = session.handle(&text);
                        log.add(number, What::Received(outcome.action));
                        if let Some(reply) = outcome.reply {
                            send(hub, log, number, socket, reply, until).await?;
                        }
                        match outcome.then {
                            Then::GoOn => None,
                            Then::Enter(receiver, left) => {
                                orders = Some(receiver);
                                // One that ends after the end of the clock never does.
                                until = left.and_then(|left| Instant::now().checked_add(left));
                                None
                            }
                            Then::Close(closing) => Some(closing),
                        }
                    }
                    Ok(Incoming::Control) => None,
                    Ok(Incoming::Binary(_)) => {
                        let reason = "binary messages are not spoken here";
                        Some(Closing { code: 1003, reason, patient: false })
                    }
                    Err(_) => return None,
                }
            }
            order = next(&mut orders) => match order {
                Some(Order::Send(sent)) => {
                    send(hub, log, number, socket, sent.text.clone(), until).await?;
                    None
                }
                Some(Order::Close(code, reason)) => {
                    Some(Closing { code, reason, patient: false })
                }
                Some(Order::Abort) => return None,
                // The hub has let go of who does not read.
                None => Some(SLOW),
            },
            () = at(until) => {
                let reason = if orders.is_some() { "the token has expired" } else { "not authenticated" };
                Some(Closing { code: 1008, reason, patient: false })
            }
            () = sleep_until(ping.at) => {
                if ping.unanswered == 2 {
                    return None;
                }
                ping = Ping { at: Instant::now() + hub.config.ping, unanswered: ping.unanswered + 1 };
                timeout(hub.config.send, socket.ping()).await.ok()?.ok()?;
                None
            }
        };
        if end.is_some() {
            return end;
        }
    }
}

struct Ping {
    at: Instant,
    unanswered: u32,
}

/// `None` if the client is gone, takes nothing, or may not stay.
async fn send(
    hub: &Hub,
    log: &EventLog,
    number: u64,
    socket: &mut Socket,
    text: String,
    until: Option<Instant>,
) -> Option<()> {
    log.add(number, What::Sent("message".into()));
    tokio::select! {
        sent = timeout(hub.config.send, socket.send(text)) => sent.ok()?.ok(),
        () = at(until) => None,
    }
}

/// Before a client is in it is told nothing.
async fn next(orders: &mut Option<mpsc::Receiver<Order>>) -> Option<Order> {
    match orders {
        Some(orders) => orders.recv().await,
        None => std::future::pending().await,
    }
}

async fn at(until: Option<Instant>) {
    match until {
        Some(until) => sleep_until(until).await,
        None => std::future::pending().await,
    }
}
