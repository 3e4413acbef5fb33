//! The WebSocket protocol of clients, as v4 and later speak it in JSON: commands
//! with ids, replies to them, and pushes in between.

mod command;
pub(super) mod push;
mod token;

use std::{sync::Arc, time::Duration};

use tokio::{
    sync::mpsc,
    time::{Instant, sleep_until},
};

use super::{
    config::CentrifugoConfig,
    hub::{Hub, Order},
};
use crate::engine::{Incoming, Socket};
use command::{Closing, Conversation};

/// Serves one client to its end.
pub(super) async fn converse(hub: &Arc<Hub>, config: &CentrifugoConfig, mut socket: Socket) {
    let mut conversation = Conversation::new(hub, config);
    let closing = run(config, &mut conversation, &mut socket).await;
    if let Some(id) = conversation.id() {
        hub.gone(id);
    }
    if let Some(Closing { code, reason }) = closing {
        // A client that does not take its close frame has gone by itself.
        let _closed = tokio::time::timeout(config.pong, socket.close(code, &reason)).await;
    }
}

/// Runs until the client goes, or must go.
async fn run(
    config: &CentrifugoConfig,
    conversation: &mut Conversation<'_>,
    socket: &mut Socket,
) -> Option<Closing> {
    let mut orders: Option<mpsc::Receiver<Order>> = None;
    let mut beat = Beat::new(config);
    loop {
        let text = tokio::select! {
            incoming = socket.next() => match incoming {
                Ok(Incoming::Text(text)) => {
                    beat.heard();
                    match conversation.handle(&text) {
                        Ok(reply) => {
                            orders = orders.or_else(|| conversation.orders());
                            reply
                        }
                        Err(closing) => return Some(closing),
                    }
                }
                Ok(Incoming::Control) => None,
                Ok(Incoming::Binary(_)) => return Some(Closing::new(3501, "bad request")),
                Err(_) => return None,
            },
            order = next(&mut orders) => match order {
                Some(Order::Send(text)) => Some(text),
                Some(Order::Close(code, reason)) => return Some(Closing { code, reason }),
                // The hub has let go of who does not read.
                None => return Some(Closing::new(3008, "slow")),
            },
            () = sleep_until(beat.at) => match beat.strike() {
                Some(ping) => Some(ping),
                None => return Some(Closing::new(3012, "no pong")),
            },
        };
        if let Some(text) = text {
            let sent = tokio::time::timeout(config.send, socket.send(text)).await;
            if !matches!(sent, Ok(Ok(()))) {
                return None;
            }
        }
    }
}

/// Before a client has connected it is told nothing.
async fn next(orders: &mut Option<mpsc::Receiver<Order>>) -> Option<Order> {
    match orders {
        Some(orders) => orders.recv().await,
        None => std::future::pending().await,
    }
}

/// Pings, and waits for what must come back.
struct Beat {
    at: Instant,
    waiting: bool,
    ping: Duration,
    pong: Duration,
}

impl Beat {
    fn new(config: &CentrifugoConfig) -> Self {
        let (ping, pong) = (config.ping, config.pong);
        Self { at: Instant::now() + ping, waiting: false, ping, pong }
    }

    fn heard(&mut self) {
        self.waiting = false;
        self.at = Instant::now() + self.ping;
    }

    /// A ping, or nothing if the last one was not answered.
    fn strike(&mut self) -> Option<String> {
        if self.waiting {
            return None;
        }
        self.waiting = true;
        self.at = Instant::now() + self.pong;
        Some("{}".to_owned())
    }
}
