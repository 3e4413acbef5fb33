//! What the API does to the connections of users.

use serde_json::value::RawValue;

use super::{
    Hub, Place, Span, State,
    channel::{Channel, Kept},
    session::{Order, Session},
};
use crate::centrifugo::{
    client::push,
    fault::{Code, Fault},
};

/// Whose connections: those of a user, narrowed by client or session.
#[derive(Clone, Debug, Default)]
pub(crate) struct Target {
    pub(crate) user: String,
    pub(crate) client: String,
    pub(crate) session: String,
}

impl Hub {
    /// Subscribes the connections; says it to their clients.
    pub(crate) fn subscribe_user(
        &self,
        target: &Target,
        channel: &str,
        info: Option<Box<RawValue>>,
        data: Option<&RawValue>,
    ) -> Result<(), Fault> {
        self.options(channel)?;
        let ids = self.lock().matching(target);
        for id in ids {
            match self.subscribe(&id, channel, info.clone(), None) {
                Ok(_) | Err(Fault::Error(Code::AlreadySubscribed)) => {}
                Err(fault) => return Err(fault),
            }
            self.lock().tell(&id, Order::Send(push::subscribe(channel, data)));
        }
        Ok(())
    }

    /// Subscribes one connection; where the channel keeps a history, also gives
    /// what came after `since`, and where it ends: what comes later is sent.
    pub(crate) fn subscribe(
        &self,
        id: &str,
        channel: &str,
        info: Option<Box<RawValue>>,
        since: Option<Place>,
    ) -> Result<Option<(Vec<Kept>, Place)>, Fault> {
        let options = self.options(channel)?;
        let mut state = self.lock();
        let Some(session) = state.sessions.get(id) else { return Ok(None) };
        if session.channels.contains(channel) {
            return Err(Fault::Error(Code::AlreadySubscribed));
        }
        if session.channels.len() >= self.config.max_subscriptions {
            return Err(Fault::Error(Code::LimitExceeded));
        }
        if !state.channels.contains_key(channel) {
            self.make_room(&mut state)?;
        }
        let history = match options.keeps_history() {
            true => {
                let limit = if since.is_some() { -1 } else { 0 };
                let span = Span { limit, since, reverse: false };
                Some(state.history(channel, options, &span)?)
            }
            false => None,
        };
        if let Some(session) = state.sessions.get_mut(id) {
            session.channels.insert(channel.to_owned());
        }
        let found = state.channels.entry(channel.to_owned()).or_insert_with(Channel::new);
        found.subscribers.insert(id.to_owned(), info);
        Ok(history)
    }

    /// Ends one subscription of one connection.
    pub(crate) fn unsubscribe(&self, id: &str, channel: &str) {
        self.lock().end_subscription(id, channel);
    }

    /// Ends subscriptions, of all channels if `channel` is empty; says it.
    pub(crate) fn unsubscribe_user(&self, target: &Target, channel: &str) -> Result<(), Fault> {
        if !channel.is_empty() {
            self.options(channel)?;
        }
        let mut state = self.lock();
        for id in state.matching(target) {
            let Some(session) = state.sessions.get(&id) else { continue };
            let wanted = session.channels.iter().filter(|n| channel.is_empty() || *n == channel);
            for name in wanted.cloned().collect::<Vec<_>>() {
                state.end_subscription(&id, &name);
                state.tell(&id, Order::Send(push::unsubscribe(&name)));
            }
        }
        Ok(())
    }

    /// Closes connections, but for the clients of `whitelist`.
    pub(crate) fn disconnect_user(
        &self,
        target: &Target,
        whitelist: &[String],
        code: u16,
        reason: &str,
    ) {
        let mut state = self.lock();
        for id in state.matching(target) {
            if !whitelist.contains(&id) {
                state.tell(&id, Order::Close(code, reason.to_owned()));
                state.forget(&id);
            }
        }
    }

    /// Sets what connections say of themselves.
    pub(crate) fn refresh_user(&self, target: &Target, info: &RawValue) {
        let mut state = self.lock();
        for id in state.matching(target) {
            if let Some(session) = state.sessions.get_mut(&id) {
                session.info = Some(info.to_owned());
            }
        }
    }

    /// How many connections a target has.
    pub(crate) fn count(&self, target: &Target) -> usize {
        self.lock().matching(target).len()
    }
}

impl State {
    /// No connection here has a session id: these are of one-way transports.
    fn matching(&self, target: &Target) -> Vec<String> {
        let of_user = |session: &Session| session.user == target.user;
        let narrow = |id: &String| target.client.is_empty() || *id == target.client;
        let all = self.sessions.iter().filter(|(id, session)| of_user(session) && narrow(id));
        match target.session.is_empty() {
            true => all.map(|(id, _)| id.clone()).collect(),
            false => Vec::new(),
        }
    }

    fn tell(&mut self, id: &str, order: Order) {
        let slow = self.sessions.get(id).is_some_and(|session| session.order(order).is_err());
        if slow {
            self.forget(id);
        }
    }

    fn end_subscription(&mut self, id: &str, channel: &str) {
        if let Some(session) = self.sessions.get_mut(id) {
            session.channels.remove(channel);
        }
        self.leave(id, channel);
    }
}
