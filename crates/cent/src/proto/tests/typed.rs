//! From recorded parameters to the typed request that has them.

use std::collections::BTreeMap;

use serde_json::{Value, json, value::RawValue};

use crate::{
    error::Error,
    proto::{Command, Outcome},
    requests::{
        Broadcast, Channels, Disconnect, History, HistoryRemove, Info, Order, Position, Presence,
        PresenceStats, Publish, ReadError, Refresh, Reply, Request, Rpc, Subscribe, Unsubscribe,
        User, command,
    },
    version::Version,
};

pub(super) struct Recorded<'a> {
    version: Version,
    params: &'a RawValue,
    outcome: &'a Outcome,
    all: BTreeMap<String, Box<RawValue>>,
}

/// The command that the type makes, and how the type reads the outcome.
type Typed = (Result<Command, Error>, Result<(), ReadError>);

impl<'a> Recorded<'a> {
    pub(super) fn new(version: Version, params: &'a RawValue, outcome: &'a Outcome) -> Self {
        let all = serde_json::from_str(params.get()).unwrap();
        Self { version, params, outcome, all }
    }

    /// `None` for a method of the commercial server, and for what no typed
    /// request can say.
    pub(super) fn typed(&self, method: &str) -> Option<Typed> {
        let channel = self.text("channel").unwrap_or_default();
        match method {
            "publish" | "broadcast" => self.content(method),
            "subscribe" | "unsubscribe" | "disconnect" | "refresh" => self.of_user(method),
            "presence" => self.of(Presence::new(&channel)),
            "presence_stats" => self.of(PresenceStats::new(&channel)),
            "history" => self.history(&channel),
            "history_remove" => self.of(HistoryRemove::new(&channel)),
            "channels" => match self.text("pattern") {
                Some(pattern) => self.of(Channels::new().pattern(&pattern)),
                None => self.of(Channels::new()),
            },
            "info" => self.of(Info),
            "rpc" => {
                let mut request = Rpc::new(&self.text("method").unwrap_or_default());
                if let Some(with) = self.all.get("params") {
                    request = request.params(with);
                }
                self.of(request)
            }
            _ => None,
        }
    }

    fn value(&self, name: &str) -> Option<Value> {
        serde_json::from_str(self.all.get(name)?.get()).ok()
    }

    fn text(&self, name: &str) -> Option<String> {
        self.value(name).and_then(|value| value.as_str().map(str::to_owned))
    }

    fn of<R: Request>(&self, request: R) -> Option<Typed> {
        let (result, params) = (self.outcome.as_deref(), self.params.get());
        let reply = Reply { version: self.version, result, params };
        Some((command(request, self.version, false), R::read(reply).map(drop)))
    }

    fn content(&self, method: &str) -> Option<Typed> {
        macro_rules! with_options {
            ($request:expr) => {{
                let mut request = $request;
                if self.value("skip_history") == Some(json!(true)) {
                    request = request.skip_history();
                }
                if self.value("delta") == Some(json!(true)) {
                    request = request.delta();
                }
                if let Some(tags) = self.all.get("tags") {
                    request = request.tags(&serde_json::from_str(tags.get()).unwrap());
                }
                if let Some(key) = self.text("idempotency_key") {
                    request = request.idempotency_key(&key);
                }
                if let Some(number) = self.value("version").and_then(|value| value.as_u64()) {
                    request = request.version(number);
                }
                if let Some(epoch) = self.text("version_epoch") {
                    request = request.version_epoch(&epoch);
                }
                self.of(request)
            }};
        }
        use base64::{Engine, engine::general_purpose::STANDARD};
        let channel = self.text("channel").unwrap_or_default();
        let bytes = self.text("b64data").map(|text| STANDARD.decode(text).unwrap());
        let channels: Vec<String> = self
            .all
            .get("channels")
            .map(|list| serde_json::from_str(list.get()).unwrap())
            .unwrap_or_default();
        let channels: Vec<&str> = channels.iter().map(String::as_str).collect();
        match (method, bytes, self.all.get("data")) {
            ("publish", None, Some(data)) => with_options!(Publish::new(&channel, data)),
            ("publish", Some(bytes), None) => with_options!(Publish::base64(&channel, &bytes)),
            ("broadcast", None, Some(data)) => with_options!(Broadcast::new(&channels, data)),
            ("broadcast", Some(bytes), None) => with_options!(Broadcast::base64(&channels, &bytes)),
            // Both, or neither.
            _ => None,
        }
    }

    fn of_user(&self, method: &str) -> Option<Typed> {
        let id = self.text("user").unwrap_or_default();
        let user = if id.is_empty() { User::Anonymous } else { User::Id(&id) };
        let channel = self.text("channel").unwrap_or_default();
        let seconds = self.value("expire_at").and_then(|value| value.as_i64());
        match method {
            "subscribe" => {
                let mut request = Subscribe::new(user, &channel);
                if let Some(info) = self.all.get("info") {
                    request = request.info(info);
                }
                if let Some(data) = self.all.get("data") {
                    request = request.data(data);
                }
                if let Some(seconds) = seconds {
                    request = request.expire_at(seconds);
                }
                self.of(request)
            }
            "unsubscribe" if channel.is_empty() => self.of(Unsubscribe::all(user)),
            "unsubscribe" => self.of(Unsubscribe::new(user, &channel)),
            "refresh" => match seconds {
                Some(seconds) => self.of(Refresh::new(user).expire_at(seconds)),
                None => self.of(Refresh::new(user)),
            },
            _ => self.disconnect(user),
        }
    }

    fn disconnect(&self, user: User<'_>) -> Option<Typed> {
        let mut request = Disconnect::new(user);
        if let Some(client) = self.text("client") {
            request = request.client(&client);
        }
        if let Some(list) = self.value("whitelist") {
            let clients: Vec<&str> =
                list.as_array().unwrap().iter().map(|value| value.as_str().unwrap()).collect();
            request = request.whitelist(&clients);
        }
        if let Some(why) = self.value("disconnect") {
            let code = why["code"].as_u64().unwrap_or_default() as u32;
            request = request.reason(code, why["reason"].as_str().unwrap_or_default());
        }
        self.of(request)
    }

    fn history(&self, channel: &str) -> Option<Typed> {
        let mut request = History::new(channel);
        match self.value("limit").and_then(|value| value.as_i64()) {
            Some(limit) if limit >= 0 => request = request.limit(limit as u32),
            Some(_) => {}
            // Left out, which our request says as 0.
            None => request = request.limit(0),
        }
        if let Some(since) = self.value("since") {
            let epoch = since["epoch"].as_str().unwrap_or_default();
            let offset = since["offset"].as_u64().unwrap_or_default();
            request = request.since(Position::new(offset, epoch));
        }
        if self.value("reverse") == Some(json!(true)) {
            request = request.order(Order::NewestFirst);
        }
        self.of(request)
    }
}
