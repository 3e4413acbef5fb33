//! Functions that are called with what happens, as the original does it.

use std::{
    fmt,
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{Arc, Mutex, PoisonError},
};

use client_core::{Reader, Received};
use serde::de::DeserializeOwned;
use tokio::sync::mpsc;

use super::command::Command;
use crate::{
    answers::{GeneratedKey, KeyBan, Link, Me, PresenceEvent, decode},
    delivery::Message,
    error::{Error, Refusal},
    proto::{Handler, Notice},
};

/// The handlers of a client. Each can be read, and replaced at any time.
///
/// They are called one after the other, in the order of what happens, in a task of
/// their own. What is slow holds the next one up, and then, under
/// [`Overflow::Block`](crate::Overflow::Block), the connection.
///
/// A handler that holds a client keeps it alive: such a client ends by being closed.
///
/// # Examples
///
/// ```no_run
/// # async fn example(client: emitter::Client) {
/// client.handlers().on_message.set(|message| {
///     println!("{}: {:?}", message.channel(), message.as_str());
/// });
/// # }
/// ```
#[derive(Debug, Default)]
#[non_exhaustive]
pub struct Handlers {
    /// Connected, for the first time or again.
    pub on_connect: Slot<()>,
    /// The connection has ended.
    pub on_disconnect: Slot<()>,
    /// The broker refused something. Who waits for that gets the error as well.
    pub on_error: Slot<Refusal>,
    /// A message that no subscription and no handler of its own is there for.
    pub on_message: Slot<Message>,
    /// A presence event that no handler of its own is there for, and the answer to
    /// [`Client::presence`](crate::Client::presence).
    pub on_presence: Slot<PresenceEvent>,
    /// A key that was made.
    pub on_keygen: Slot<GeneratedKey>,
    /// A key that was banned, or is no longer.
    pub on_keyban: Slot<KeyBan>,
    /// A link that was made.
    pub on_link: Slot<Link>,
    /// What the broker calls this connection.
    pub on_me: Slot<Me>,
}

/// The place of one handler.
pub struct Slot<T>(Mutex<Option<Handler<T>>>);

impl<T> Slot<T> {
    /// Puts a handler here, in the place of another.
    pub fn set(&self, handler: impl Fn(T) + Send + Sync + 'static) {
        self.replace(Some(Arc::new(handler)));
    }

    /// Takes the handler away.
    pub fn clear(&self) {
        self.replace(None);
    }

    /// Returns the handler that is here.
    #[must_use]
    pub fn get(&self) -> Option<Handler<T>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn replace(&self, handler: Option<Handler<T>>) {
        let mut slot = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *slot, handler);
        drop(slot);
        // What the old one held may have a destructor that runs anything.
        drop(old);
    }
}

impl<T> Default for Slot<T> {
    fn default() -> Self {
        Self(Mutex::new(None))
    }
}

impl<T> fmt::Debug for Slot<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(if self.get().is_some() { "set" } else { "empty" })
    }
}

/// Calls handlers.
pub(crate) struct Runner {
    notices: Reader<Notice>,
    handlers: Arc<Handlers>,
    commands: mpsc::WeakSender<Command>,
}

impl Runner {
    pub(super) const fn new(
        notices: Reader<Notice>,
        handlers: Arc<Handlers>,
        commands: mpsc::WeakSender<Command>,
    ) -> Self {
        Self { notices, handlers, commands }
    }

    /// Calls until the client is closed.
    pub(super) async fn run(mut self) {
        while let Some(notice) = self.next().await {
            if let Err(panic) = self.call(notice) {
                self.warn(panic).await;
            }
        }
    }

    /// The next thing to call a handler with; `None` when the client is closed.
    pub(crate) async fn next(&mut self) -> Option<Notice> {
        loop {
            match std::future::poll_fn(|cx| self.notices.poll_recv(cx)).await? {
                Received::Item(notice) => return Some(notice),
                // Counted and told by the driver.
                Received::Dropped(_) => {}
            }
        }
    }

    /// Calls the handler that is there for it, if any; says what it panicked with.
    pub(crate) fn call(&self, notice: Notice) -> Result<(), Error> {
        let handlers = &self.handlers;
        let called = catch_unwind(AssertUnwindSafe(|| match notice {
            Notice::Connected => hand(&handlers.on_connect, ()),
            Notice::Disconnected => hand(&handlers.on_disconnect, ()),
            Notice::Refused(refusal) => hand(&handlers.on_error, refusal),
            Notice::Message(Some(handler), message) => handler(message),
            Notice::Message(None, message) => hand(&handlers.on_message, message),
            Notice::Presence(Some(handler), event) => handler(event),
            Notice::Presence(None, event) => hand(&handlers.on_presence, event),
            Notice::Answer(name, payload) => match name {
                "keygen" => hand_answer(&handlers.on_keygen, name, &payload),
                "keyban" => hand_answer(&handlers.on_keyban, name, &payload),
                "link" => hand_answer(&handlers.on_link, name, &payload),
                "me" => hand_answer(&handlers.on_me, name, &payload),
                _ => {}
            },
        }));
        called.map_err(|panic| {
            let text = panic.downcast_ref::<&str>().map(|text| (*text).to_owned());
            let text = text.or_else(|| panic.downcast_ref::<String>().cloned());
            let text = text.unwrap_or_else(|| "something that is no text".to_owned());
            Error::misuse("handler_panicked", format!("a handler panicked: {text}"))
        })
    }

    /// Tells the client's listeners.
    pub(crate) async fn warn(&self, error: Error) {
        if let Some(commands) = self.commands.upgrade() {
            // A client that is gone has no listeners.
            let _gone = commands.send(Command::Warn(error)).await;
        }
    }
}

fn hand<T>(slot: &Slot<T>, value: T) {
    if let Some(handler) = slot.get() {
        handler(value);
    }
}

/// An answer that is not understood is told to who waits for it.
fn hand_answer<T: DeserializeOwned>(slot: &Slot<T>, name: &str, payload: &[u8]) {
    if let Some(handler) = slot.get()
        && let Ok(answer) = decode(name, payload)
    {
        handler(answer);
    }
}
