//! Jails, clients, streams and groups. Calls and subscribers meet here, under one
//! lock: what a subscriber is told comes in the order in which it happened.

mod outlet;
mod streams;

use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard, PoisonError},
};

use serde_json::Value;
use tokio::sync::mpsc;
use uuid::Uuid;

pub(super) use outlet::{Order, Outlet, Sent};
pub(super) use streams::{Defined, Published};

use streams::{GroupKey, Stream};

use super::{config::StreamSeaConfig, schema::Schema, token};

#[derive(Debug)]
pub(super) struct Hub {
    pub(super) config: StreamSeaConfig,
    state: Mutex<State>,
}

#[derive(Debug, Default)]
struct State {
    jails: BTreeMap<String, Jail>,
    clients: BTreeMap<String, Client>,
    /// Authenticated WebSockets, by the number of their connection.
    sockets: BTreeMap<u64, Live>,
}

#[derive(Debug, Default)]
struct Jail {
    streams: BTreeMap<String, Stream>,
}

#[derive(Debug)]
struct Client {
    jail: String,
    secret: String,
    jwt_public_key: Option<String>,
}

/// A WebSocket that has authenticated.
#[derive(Debug)]
struct Live {
    client_id: String,
    jail: String,
    outlet: Outlet,
    /// Where it is a member.
    places: Vec<(String, GroupKey)>,
}

/// Who calls, or subscribes.
#[derive(Clone, Debug)]
pub(super) struct Identity {
    pub(super) client_id: String,
    pub(super) jail: String,
}

/// Why something about clients and jails was not done.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Denied {
    Unknown,
    Taken,
    Full,
    NoKey,
}

impl Hub {
    pub(super) fn new(config: StreamSeaConfig) -> Self {
        let mut state = State::default();
        let fixed = Value::from(1);
        let named = |name: &String| {
            let schema = Schema { name: name.clone(), version: fixed.clone(), fields: Vec::new() };
            (name.clone(), Stream::new(schema))
        };
        let jail = Jail { streams: config.streams.iter().map(named).collect() };
        state.jails.insert(config.jail.clone(), jail);
        let (jail, secret) = (config.jail.clone(), config.client_secret.clone());
        let client = Client { jail, secret, jwt_public_key: None };
        state.clients.insert(config.client_id.clone(), client);
        Self { config, state: Mutex::new(state) }
    }

    /// Who a client id and its secret are.
    pub(super) fn identify(&self, client_id: &str, secret: &str) -> Option<Identity> {
        let state = self.lock();
        let client = state.clients.get(client_id).filter(|client| client.secret == secret)?;
        Some(Identity { client_id: client_id.to_owned(), jail: client.jail.clone() })
    }

    /// Who the bearer of a token is, and what the token allows.
    pub(super) fn identify_bearer(
        &self,
        client_id: &str,
        jwt: &str,
    ) -> Result<(Identity, token::Claims), &'static str> {
        let (jail, key) = {
            let state = self.lock();
            let client = state.clients.get(client_id).ok_or("the client is unknown")?;
            (client.jail.clone(), client.jwt_public_key.clone())
        };
        let key = key.ok_or("the client has no public key")?;
        let claims = token::verify(jwt, &key)?;
        Ok((Identity { client_id: client_id.to_owned(), jail }, claims))
    }

    pub(super) fn create_client(&self, of: &Identity, id: &str) -> Result<String, Denied> {
        let mut state = self.lock();
        let secret = state.add_client(id, &of.jail, self.config.max_entries)?;
        Ok(secret)
    }

    pub(super) fn delete_client(&self, of: &Identity, id: &str) -> Result<(), Denied> {
        let mut state = self.lock();
        state.client(of, id)?;
        state.clients.remove(id);
        state.expel(|live| live.client_id == id);
        Ok(())
    }

    pub(super) fn rotate_secret(&self, of: &Identity, id: &str) -> Result<String, Denied> {
        let mut state = self.lock();
        let client = state.client(of, id)?;
        client.secret = secret();
        Ok(client.secret.clone())
    }

    pub(super) fn set_key(
        &self,
        of: &Identity,
        id: &str,
        key: Option<String>,
    ) -> Result<(), Denied> {
        if key.as_deref().is_some_and(|key| !token::is_key(key)) {
            return Err(Denied::NoKey);
        }
        let mut state = self.lock();
        state.client(of, id)?.jwt_public_key = key;
        Ok(())
    }

    /// Makes a jail with its first client; returns that client's secret.
    pub(super) fn create_jail(&self, id: &str, client_id: &str) -> Result<String, Denied> {
        let mut state = self.lock();
        if state.jails.contains_key(id) {
            return Err(Denied::Taken);
        }
        if state.jails.len() >= self.config.max_entries {
            return Err(Denied::Full);
        }
        let secret = state.add_client(client_id, id, self.config.max_entries)?;
        state.jails.insert(id.to_owned(), Jail::default());
        Ok(secret)
    }

    /// Its clients, streams and sockets go with it.
    pub(super) fn delete_jail(&self, id: &str) -> Result<(), Denied> {
        let mut state = self.lock();
        state.jails.remove(id).ok_or(Denied::Unknown)?;
        state.clients.retain(|_, client| client.jail != id);
        state.expel(|live| live.jail == id);
        Ok(())
    }

    /// Lets a subscriber in; returns what it will be told.
    pub(super) fn enter(&self, connection: u64, who: &Identity) -> mpsc::Receiver<Order> {
        let (outlet, orders) = Outlet::new(self.config.max_queue, self.config.max_queue_bytes);
        let (client_id, jail) = (who.client_id.clone(), who.jail.clone());
        let live = Live { client_id, jail, outlet, places: Vec::new() };
        self.lock().sockets.insert(connection, live);
        orders
    }

    /// A subscriber has gone.
    pub(super) fn leave(&self, connection: u64) {
        self.lock().forget(connection);
    }

    /// Tells every subscriber the same; returns how many there are.
    pub(super) fn tell_all(&self, order: impl Fn() -> Order) -> usize {
        let state = self.lock();
        let told = state.sockets.values().filter(|live| live.outlet.order(order()).is_ok());
        told.count()
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        // A panic under this lock leaves a state that is whole.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    /// A client of the caller's jail.
    fn client(&mut self, of: &Identity, id: &str) -> Result<&mut Client, Denied> {
        let found = self.clients.get_mut(id).filter(|client| client.jail == of.jail);
        found.ok_or(Denied::Unknown)
    }

    fn add_client(&mut self, id: &str, jail: &str, most: usize) -> Result<String, Denied> {
        if self.clients.contains_key(id) {
            return Err(Denied::Taken);
        }
        if self.clients.len() >= most {
            return Err(Denied::Full);
        }
        let secret = secret();
        let client = Client { jail: jail.to_owned(), secret: secret.clone(), jwt_public_key: None };
        self.clients.insert(id.to_owned(), client);
        Ok(secret)
    }

    /// Closes the sockets of who may be here no longer.
    fn expel(&mut self, who: impl Fn(&Live) -> bool) {
        let gone = self.sockets.iter().filter(|(_, live)| who(live));
        let gone: Vec<u64> = gone.map(|(connection, _)| *connection).collect();
        for connection in gone {
            if let Some(live) = self.sockets.get(&connection) {
                // One whose queue is full finds it closed instead.
                let _told = live.outlet.order(Order::Close(1008, "the client is deleted"));
            }
            self.forget(connection);
        }
    }

    fn forget(&mut self, connection: u64) {
        let Some(live) = self.sockets.remove(&connection) else { return };
        let Some(jail) = self.jails.get_mut(&live.jail) else { return };
        for (name, key) in live.places {
            if let Some(stream) = jail.streams.get_mut(&name) {
                stream.leave(&key, connection);
            }
        }
    }
}

/// A secret as the service makes them.
fn secret() -> String {
    Uuid::new_v4().simple().to_string()
}
