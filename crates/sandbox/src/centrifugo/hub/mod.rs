//! Channels, and who is connected. All dialects and all clients meet here.

mod channel;
mod history;
mod repeats;
mod session;
mod users;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::value::RawValue;
use tokio::{sync::mpsc, time::Instant};
use uuid::Uuid;

pub(super) use channel::{ClientInfo, Data, Kept, Publication};
pub(super) use history::Span;
pub(super) use session::Order;
pub(super) use users::Target;

use channel::Channel;
use repeats::Repeats;
use session::Session;

use super::{
    client::push,
    config::{CentrifugoConfig, ChannelOptions},
    fault::{Code, Fault},
};

#[derive(Debug)]
pub(super) struct Hub {
    config: CentrifugoConfig,
    pub(super) uid: String,
    pub(super) started: Instant,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    channels: BTreeMap<String, Channel>,
    /// By client id.
    sessions: BTreeMap<String, Session>,
    repeats: Repeats,
}

/// Where a publication, or a history's end, is. Offset 0 and no epoch: nowhere.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    pub(super) offset: u64,
    pub(super) epoch: String,
}

/// What a node counts.
#[derive(Clone, Copy, Debug)]
pub(super) struct Counts {
    pub(super) clients: usize,
    pub(super) users: usize,
    pub(super) channels: usize,
    pub(super) subscriptions: usize,
}

impl Hub {
    pub(super) fn new(config: CentrifugoConfig) -> Self {
        let state = Mutex::default();
        Self { config, uid: Uuid::new_v4().to_string(), started: Instant::now(), state }
    }

    /// Publishes, once per idempotency key if there is one.
    pub(super) fn publish(
        &self,
        channel: &str,
        publication: Publication,
        key: &str,
    ) -> Result<Place, Fault> {
        let options = self.options(channel)?;
        let mut state = self.lock();
        if let Some(place) = state.repeats.find(channel, key) {
            return Ok(place);
        }
        if !state.channels.contains_key(channel) && options.keeps_history() {
            self.make_room(&mut state)?;
        }
        if let (Some(auditor), Data::Json(json)) = (&self.config.auditor, &publication.data) {
            auditor.received(channel, json.get());
        }
        let place = match options.keeps_history() && !publication.skip_history {
            true => {
                let kept = state.channels.entry(channel.to_owned()).or_insert_with(Channel::new);
                let offset = kept.keep(publication.clone(), options);
                Place { offset, epoch: kept.epoch.clone() }
            }
            false => Place::default(),
        };
        state.deliver(channel, &publication, place.offset);
        if !key.is_empty() {
            state.repeats.remember(channel, key, place.clone(), self.config.max_keys);
        }
        Ok(place)
    }

    /// Who is subscribed, by client id.
    pub(super) fn presence(&self, channel: &str) -> Result<BTreeMap<String, ClientInfo>, Fault> {
        if !self.options(channel)?.presence {
            return Err(Fault::Error(Code::NotAvailable));
        }
        let state = self.lock();
        let Some(found) = state.channels.get(channel) else { return Ok(BTreeMap::new()) };
        let known = found.subscribers.keys().filter_map(|id| {
            let info = state.info(id, channel)?;
            Some((id.clone(), info))
        });
        Ok(known.collect())
    }

    /// The channels with subscribers, and how many each has.
    pub(super) fn channels(&self) -> BTreeMap<String, usize> {
        let state = self.lock();
        let busy = state.channels.iter().filter(|(_, channel)| !channel.subscribers.is_empty());
        busy.map(|(name, channel)| (name.clone(), channel.subscribers.len())).collect()
    }

    pub(super) fn counts(&self) -> Counts {
        let state = self.lock();
        let users: std::collections::BTreeSet<_> =
            state.sessions.values().map(|session| &session.user).collect();
        let subscribers = state.channels.values().map(|channel| channel.subscribers.len());
        Counts {
            clients: state.sessions.len(),
            users: users.len(),
            channels: subscribers.clone().filter(|count| *count > 0).count(),
            subscriptions: subscribers.sum(),
        }
    }

    /// Lets a client in; returns its id and what it will be told.
    pub(super) fn connect(
        &self,
        user: String,
        info: Option<Box<RawValue>>,
    ) -> (String, mpsc::Receiver<Order>) {
        let id = Uuid::new_v4().to_string();
        let (session, orders) = Session::new(user, info, self.config.max_queue);
        self.lock().sessions.insert(id.clone(), session);
        (id, orders)
    }

    /// A client has gone.
    pub(super) fn gone(&self, id: &str) {
        self.lock().forget(id);
    }

    /// What the connection says of itself.
    pub(super) fn info(&self, id: &str, channel: &str) -> Option<ClientInfo> {
        self.lock().info(id, channel)
    }

    /// What the channel may do, if its name and namespace are good.
    pub(super) fn options(&self, channel: &str) -> Result<&ChannelOptions, Fault> {
        if channel.is_empty() {
            return Err(Fault::Error(Code::BadRequest));
        }
        self.config.options(channel).ok_or(Fault::Error(Code::UnknownChannel))
    }

    fn make_room(&self, state: &mut State) -> Result<(), Fault> {
        if state.channels.len() < self.config.max_channels {
            return Ok(());
        }
        state.channels.retain(|name, channel| {
            let ttl = self.config.options(name).map(|options| options.history_ttl);
            !channel.is_forgotten(ttl.unwrap_or_default())
        });
        match state.channels.len() < self.config.max_channels {
            true => Ok(()),
            false => Err(Fault::Error(Code::Internal)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under this lock leaves a state that is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn deliver(&mut self, channel: &str, publication: &Publication, offset: u64) {
        let Some(subscribers) = self.channels.get(channel).map(|found| &found.subscribers) else {
            return;
        };
        if subscribers.is_empty() {
            return;
        }
        let order = |session: &Session| match push::publication(channel, publication, offset) {
            Some(text) => session.order(Order::Send(text)),
            // What is no JSON cannot be said to a client of JSON.
            None => session.order(Order::Close(3506, "inappropriate protocol".into())),
        };
        let all = subscribers.keys().filter_map(|id| Some((id, self.sessions.get(id)?)));
        let slow: Vec<String> =
            all.filter(|(_, s)| order(s).is_err()).map(|(id, _)| id.clone()).collect();
        for id in slow {
            self.forget(&id);
        }
    }

    /// Ends a session; its connection notices by the end of its orders.
    fn forget(&mut self, id: &str) {
        let Some(session) = self.sessions.remove(id) else { return };
        for name in session.channels {
            self.leave(id, &name);
        }
    }

    fn leave(&mut self, id: &str, name: &str) {
        let Some(channel) = self.channels.get_mut(name) else { return };
        channel.subscribers.remove(id);
        if channel.is_unused() {
            self.channels.remove(name);
        }
    }

    fn info(&self, id: &str, channel: &str) -> Option<ClientInfo> {
        let session = self.sessions.get(id)?;
        let subscribers = self.channels.get(channel).map(|found| &found.subscribers);
        Some(ClientInfo {
            user: session.user.clone(),
            client: id.to_owned(),
            conn_info: session.info.clone(),
            chan_info: subscribers.and_then(|all| all.get(id).cloned().flatten()),
        })
    }
}
