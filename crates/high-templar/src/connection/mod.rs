//! One client, from its opening request to its end.

mod admit;
mod member;

use std::{
    future::Future,
    pin::Pin,
    sync::{Arc, atomic::Ordering::Relaxed},
    task::{Context, Poll},
    time::Duration,
};

use high_templar_client::AllowedRooms;
use tokio::time::{Instant, Sleep};
use ws_core::{CloseCode, CloseFrame, Connection, Message};

use self::{admit::admit, member::Member};
use crate::{
    backend::{BoxFuture, Visitor},
    config::{Compat, Config},
    end::End,
    frames,
    hooks::{HookError, within},
    hub::{Ended, Hub, Outgoing, Outlet, Subscribed},
    log,
    parts::Parts,
    request::Request,
    rewind::Rewind,
};

/// Messages of a client that are answered before others get their turn.
const AT_ONCE: usize = 32;

/// Serves a client to its end.
pub(crate) async fn serve(parts: &Arc<Parts>, io: Rewind) {
    // The questions to the backend are long gone when a client stays for hours: they are
    // kept in a future of their own, which is let go.
    let Some((socket, visitor, allowed)) = Box::pin(admit(parts, io)).await else { return };
    let member = Member::new(parts);
    let idle = Box::pin(tokio::time::sleep(parts.config.idle_timeout));
    let mut client = Client { parts, socket, allowed, idle, visitor, pinging: None, member };
    client.say(frames::welcome(parts.config.compat, client.allowed.rooms()));
    let end = client.run().await;
    client.member.leave();
    // A hook that is not over keeps nothing that the next one needs.
    client.pinging = None;
    log::gone(client.outlet().number, &end);
    Box::pin(client.end(&end)).await;
}

struct Client<'a> {
    parts: &'a Arc<Parts>,
    socket: Connection<Rewind>,
    allowed: AllowedRooms,
    /// When the client has said nothing for too long.
    idle: Pin<Box<Sleep>>,
    /// Kept for hooks only.
    visitor: Option<Arc<Visitor>>,
    /// The hook of a ping, while it runs: nothing is read meanwhile.
    pinging: Option<BoxFuture<'static, Result<(), HookError>>>,
    /// What makes it known, until it is gone.
    member: Member<'a>,
}

/// What wakes a connection.
enum Wake {
    Message(Message),
    End(End),
}

impl Client<'_> {
    async fn run(&mut self) -> End {
        let mut at_once = 0;
        loop {
            let message = match std::future::poll_fn(|cx| self.poll_wake(cx)).await {
                Wake::Message(message) => message,
                Wake::End(end) => return end,
            };
            let request = match &message {
                Message::Text(text) => Request::text(text.as_str(), self.config().max_room),
                Message::Binary(bytes) => Request::json(bytes, self.config().max_room),
                // A sign of life, which does not count.
                _ => continue,
            };
            self.hub().counters.received.fetch_add(1, Relaxed);
            self.rest();
            if let Err(end) = self.answer(request) {
                return end;
            }
            at_once += 1;
            if at_once == AT_ONCE {
                at_once = 0;
                tokio::task::yield_now().await;
            }
        }
    }

    /// Sends what waits, and receives. A client that does not take what it is sent is not
    /// read either: it cannot have more answers made.
    fn poll_wake(&mut self, cx: &mut Context<'_>) -> Poll<Wake> {
        let has_room = match self.send(cx) {
            Ok(has_room) => has_room,
            Err(end) => return Poll::Ready(Wake::End(end)),
        };
        if self.pinging.is_some() {
            // The pong goes first, and what waits with it, as far as it goes.
            let _best_effort = self.socket.poll_flush(cx);
            if let Some(end) = self.poll_hook(cx) {
                return Poll::Ready(Wake::End(end));
            }
        }
        if !has_room || self.pinging.is_some() {
            return self.poll_idle(cx);
        }
        match self.socket.poll_next(cx) {
            Poll::Ready(Ok(Some(message))) => Poll::Ready(Wake::Message(message)),
            // What exactly ended it is not our concern: the client is gone.
            Poll::Ready(Ok(None) | Err(_)) => Poll::Ready(Wake::End(End::Gone)),
            Poll::Pending => self.poll_idle(cx),
        }
    }

    /// Hands over what waits, until nothing does or the network takes no more; returns
    /// whether there is room left.
    fn send(&mut self, cx: &mut Context<'_>) -> Result<bool, End> {
        loop {
            self.pass_on(cx)?;
            if self.socket.has_room() {
                return Ok(true);
            }
            if self.outlet().poll_slow(cx).is_ready() {
                return Err(End::Slow);
            }
            match self.socket.poll_flush(cx) {
                Poll::Ready(Ok(())) => {}
                Poll::Ready(Err(_)) => return Err(End::Gone),
                Poll::Pending if self.socket.has_room() => {}
                Poll::Pending => return Ok(false),
            }
        }
    }

    /// Hands over what waits, as far as there is room.
    fn pass_on(&mut self, cx: &mut Context<'_>) -> Result<(), End> {
        while self.socket.has_room() {
            match self.outlet().poll_take(cx) {
                Poll::Ready(Ok(outgoing)) => self.hand_over(outgoing),
                Poll::Ready(Err(Ended::Slow)) => return Err(End::Slow),
                Poll::Ready(Err(Ended::Shutdown)) => return Err(End::Shutdown),
                Poll::Pending => break,
            }
        }
        Ok(())
    }

    /// Drives the hook of a ping, whether or not there is room for more to be sent.
    fn poll_hook(&mut self, cx: &mut Context<'_>) -> Option<End> {
        let Poll::Ready(over) = self.pinging.as_mut()?.as_mut().poll(cx) else { return None };
        self.pinging = None;
        self.rest();
        let error = over.err()?;
        log::hook_failed(self.outlet().number, &error);
        Some(End::Hook)
    }

    /// The client is silent from now on.
    fn rest(&mut self) {
        let until = Instant::now() + self.config().idle_timeout;
        self.idle.as_mut().reset(until);
    }

    /// Whether it has been silent for too long; while it is not read, nobody can tell.
    fn poll_idle(&mut self, cx: &mut Context<'_>) -> Poll<Wake> {
        if self.pinging.is_some() {
            return Poll::Pending;
        }
        self.idle.as_mut().poll(cx).map(|()| Wake::End(End::Idle))
    }

    fn hand_over(&mut self, outgoing: Outgoing) {
        let is_publish = outgoing.is_publish();
        // A close has come meanwhile: it is the next thing that is received.
        let sent = self.socket.queue(&Message::text(outgoing.into_text())).is_ok();
        if is_publish && sent {
            self.hub().counters.sent.fetch_add(1, Relaxed);
            self.hub().counters.queued.fetch_sub(1, Relaxed);
        } else if is_publish {
            self.hub().lost(1);
        }
    }

    fn answer(&mut self, request: Request) -> Result<(), End> {
        match request {
            Request::Ping => {
                self.say(frames::PONG.to_owned());
                if let Some(visitor) = &self.visitor {
                    let (parts, visitor) = (Arc::clone(self.parts), Arc::clone(visitor));
                    self.pinging = Some(Box::pin(async move {
                        let Some(hooks) = &parts.hooks else { return Ok(()) };
                        within(&parts.config, hooks.on_ping(&visitor)).await
                    }));
                }
            }
            Request::Status => self.say(self.hub().status().reply()),
            Request::Subscribe { room, id } => {
                let named = |answer: String| self.named(&id, answer);
                if !self.allowed.is_allowed(&room) {
                    self.say(named(frames::error("room-not-found")));
                    return Ok(());
                }
                let most = self.config().max_subscriptions;
                self.hub().subscribe(self.outlet(), &room, &id, most, |subscribed| {
                    named(match subscribed {
                        Subscribed::Done => frames::SUCCESS.to_owned(),
                        Subscribed::TooMany => frames::error("too-many-subscriptions"),
                    })
                });
            }
            Request::Unsubscribe { id } => {
                let answer = match self.hub().unsubscribe(self.outlet(), &id) {
                    true => frames::SUCCESS.to_owned(),
                    false => frames::error("not-subscribed"),
                };
                self.say(self.named(&id, answer));
            }
            Request::Wrong(wrong) => self.say(match wrong.is_stray() {
                true => {
                    frames::stray_error(&self.parts.name_of(self.outlet().number), wrong.message())
                }
                false => frames::error(wrong.message()),
            }),
            Request::Malformed if self.config().compat == Compat::V3_1 => {
                return Err(End::Malformed);
            }
            Request::Malformed => self.say(frames::error("malformed-message")),
        }
        Ok(())
    }

    /// The answer with the id of its request, if that is wanted.
    fn named(&self, id: &str, answer: String) -> String {
        match self.config().echo_request_id {
            true => frames::with_id(id, &answer),
            false => answer,
        }
    }

    fn say(&self, answer: String) {
        self.hub().queue(self.outlet(), Outgoing::Answer(answer));
    }

    /// Ends the connection as its end wants it.
    async fn end(mut self, end: &End) {
        let code = match end {
            // The peer's own close is answered; one that is gone does not mind.
            End::Gone => None,
            End::Idle | End::Malformed | End::Hook => Some(CloseCode::NORMAL),
            End::Shutdown if self.config().compat == Compat::V3_1 => Some(CloseCode::NORMAL),
            End::Shutdown => Some(CloseCode::GOING_AWAY),
            // It does not read: nothing reaches it.
            End::Slow => return self.gone().await,
        };
        let frame = code.map(|code| CloseFrame::new(code, ""));
        let wait: Duration = self.config().close_timeout;
        // Whoever does not answer is gone all the same.
        let _closed = self.socket.close(frame.as_ref(), wait).await;
        self.gone().await;
    }

    async fn gone(self) {
        // The socket first: the hook may take its time.
        let Self { socket, parts, visitor, .. } = self;
        drop(socket);
        if let (Some(hooks), Some(visitor)) = (&parts.hooks, &visitor) {
            let _gone = within(&parts.config, hooks.on_disconnect(visitor)).await;
        }
    }

    const fn outlet(&self) -> &Arc<Outlet> {
        self.member.outlet()
    }

    fn hub(&self) -> &Hub {
        &self.parts.hub
    }

    fn config(&self) -> &Config {
        &self.parts.config
    }
}
