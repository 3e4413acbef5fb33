//! Streams, and who shares them.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use serde_json::{Value, value::RawValue};

use super::{Hub, Identity, Outlet};
use crate::sea::{
    filter,
    schema::{self, Field, Schema, compare, same_fields},
};

/// A group: the client's default one, or one with a name, which is that client's own.
pub(super) type GroupKey = (String, Option<String>);

#[derive(Debug)]
pub(super) struct Stream {
    schema: Schema,
    groups: BTreeMap<GroupKey, VecDeque<Member>>,
}

/// A subscription. The first one is the next to get a message.
#[derive(Clone, Debug)]
struct Member {
    connection: u64,
    /// The id of its request.
    id: u64,
    filter: Option<Value>,
    outlet: Outlet,
}

/// What a definition came to.
pub(crate) enum Defined {
    /// The definition that is stored now.
    Stored(Schema),
    /// What is against it.
    Refused(String),
}

/// What a publication came to.
pub(crate) enum Published {
    Delivered,
    /// The payload does not fit.
    Invalid(Vec<String>),
    /// There is no such stream.
    Unknown,
}

#[derive(Serialize)]
#[serde(rename_all = "camelCase")]
struct Delivery<'a> {
    id: u64,
    action: &'static str,
    stream_name: &'a str,
    payload: &'a RawValue,
}

impl Stream {
    pub(super) const fn new(schema: Schema) -> Self {
        Self { schema, groups: BTreeMap::new() }
    }

    pub(super) fn leave(&mut self, key: &GroupKey, connection: u64) {
        let Some(members) = self.groups.get_mut(key) else { return };
        members.retain(|member| member.connection != connection);
        if members.is_empty() {
            self.groups.remove(key);
        }
    }
}

impl Member {
    /// Delivers what the member's filter leaves; false if nothing is left, or the
    /// member does not read, which is said by its connection.
    fn deliver(&self, name: &str, raw: &RawValue, payload: &Value) -> Result<bool, u64> {
        let left = match &self.filter {
            None => None,
            Some(filter) => match filter::pass(filter, name, payload) {
                // As it was written, unless something is left out.
                Some(left) if left == *payload => None,
                Some(left) => serde_json::value::to_raw_value(&left).ok(),
                None => return Ok(false),
            },
        };
        let payload = left.as_deref().unwrap_or(raw);
        let delivery = Delivery { id: self.id, action: "subscription", stream_name: name, payload };
        let text = serde_json::to_string(&delivery).unwrap_or_default();
        self.outlet.send(text).map(|()| true).map_err(|_| self.connection)
    }
}

impl Hub {
    /// Stores a definition, if its version allows it.
    pub(in crate::sea) fn define(&self, who: &Identity, new: Schema) -> Result<Defined, ()> {
        let mut state = self.lock();
        let most = self.config.max_entries;
        let jail = state.jails.get_mut(&who.jail).ok_or(())?;
        let Some(stream) = jail.streams.get_mut(&new.name) else {
            if jail.streams.len() >= most {
                return Err(());
            }
            jail.streams.insert(new.name.clone(), Stream::new(new.clone()));
            return Ok(Defined::Stored(new));
        };
        let stored = &stream.schema;
        let (name, version) = (&new.name, schema::shown(&new.version));
        match compare(&new.version, &stored.version) {
            std::cmp::Ordering::Less => Ok(Defined::Refused(format!(
                "The version pushed for the schema [{name}] is [{version}] but there is already \
                 an older version defined [{}]",
                schema::shown(&stored.version)
            ))),
            std::cmp::Ordering::Equal if same_fields(&new.fields, &stored.fields) => {
                Ok(Defined::Stored(stored.clone()))
            }
            std::cmp::Ordering::Equal => Ok(Defined::Refused(format!(
                "The version [{version}] of the schema [{name}] is already defined with other fields"
            ))),
            std::cmp::Ordering::Greater => {
                stream.schema = new.clone();
                Ok(Defined::Stored(new))
            }
        }
    }

    /// The definition of a stream.
    pub(in crate::sea) fn describe(&self, who: &Identity, name: &str) -> Option<Schema> {
        let state = self.lock();
        state.jails.get(&who.jail)?.streams.get(name).map(|stream| stream.schema.clone())
    }

    /// Publishes a payload: one member of each group gets it.
    pub(in crate::sea) fn publish(
        &self,
        who: &Identity,
        name: &str,
        raw: &RawValue,
        payload: &Value,
    ) -> Published {
        let mut state = self.lock();
        let stream = state.jails.get_mut(&who.jail).and_then(|jail| jail.streams.get_mut(name));
        let Some(stream) = stream else { return Published::Unknown };
        let fields: &[Field] = &stream.schema.fields;
        let errors = schema::errors(fields, payload);
        if !errors.is_empty() {
            return Published::Invalid(errors);
        }
        // Under the lock, so that the auditor sees the server's order.
        if let Some(auditor) = &self.config.auditor {
            auditor.received(name, raw.get());
        }
        let mut slow = Vec::new();
        for members in stream.groups.values_mut() {
            for _ in 0..members.len() {
                let Some(member) = members.pop_front() else { break };
                let delivered = member.deliver(name, raw, payload);
                members.push_back(member);
                match delivered {
                    Ok(true) => break,
                    Ok(false) => {}
                    Err(connection) => slow.push(connection),
                }
            }
        }
        // Their connections notice by the end of their orders.
        for connection in slow {
            state.forget(connection);
        }
        Published::Delivered
    }

    /// Adds a subscription, and says `reply` before anything is delivered to it.
    /// `false` if there is no such stream.
    pub(in crate::sea) fn subscribe(
        &self,
        connection: u64,
        id: u64,
        name: &str,
        group: Option<String>,
        filter: Option<Value>,
        reply: String,
    ) -> bool {
        let mut state = self.lock();
        let state = &mut *state;
        let Some(live) = state.sockets.get_mut(&connection) else { return false };
        let jail = state.jails.get_mut(&live.jail);
        let stream = jail.and_then(|jail| jail.streams.get_mut(name));
        let Some(stream) = stream else { return false };
        // One who does not read is found out by the next delivery.
        let _told = live.outlet.send(reply);
        let key = (live.client_id.clone(), group);
        let outlet = live.outlet.clone();
        live.places.push((name.to_owned(), key.clone()));
        stream.groups.entry(key).or_default().push_back(Member { connection, id, filter, outlet });
        true
    }

    /// How many subscriptions a connection has.
    pub(in crate::sea) fn subscriptions(&self, connection: u64) -> usize {
        self.lock().sockets.get(&connection).map_or(0, |live| live.places.len())
    }
}
