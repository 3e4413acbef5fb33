//! One client: its role, its subscriptions, its requests.

use std::{
    collections::{BTreeMap, BTreeSet, VecDeque},
    sync::Arc,
    time::Duration,
};

use serde_json::{Value, json};
use tokio::{sync::Notify, time::Instant};

use super::{
    auth,
    config::{RtmConfig, RtmRights},
    hub::{Hub, MovedOn, Position, Start},
    message::Message,
    reply::{Content, Problem, Reply, answer},
    request,
    subscription::Subscription,
    view::{self, View},
    wire::{Protocol, Request},
};

/// Longest channel name in bytes.
const MAX_CHANNEL: usize = 256;

/// The state of one connection, without its socket.
pub(super) struct Connection {
    number: u64,
    config: RtmConfig,
    hub: Arc<Hub>,
    pub(super) notify: Arc<Notify>,
    /// The nonce of an exchange that has begun, and the role it is for.
    nonce: Option<(String, String)>,
    /// The roles that it has proved.
    roles: BTreeSet<String>,
    subscriptions: BTreeMap<String, Subscription>,
    /// Takes its turn after the others, so that one busy subscription does not
    /// silence the rest.
    turn: VecDeque<String>,
}

type Outcome = Result<Content, Problem>;

impl Connection {
    pub(super) fn new(number: u64, config: RtmConfig, hub: Arc<Hub>) -> Self {
        Self {
            number,
            config,
            hub,
            notify: Arc::default(),
            nonce: None,
            roles: BTreeSet::new(),
            subscriptions: BTreeMap::new(),
            turn: VecDeque::new(),
        }
    }

    /// Answers a message of the client: the action as it is logged, and what to
    /// send. A request without an id is carried out in silence.
    pub(super) fn handle(&mut self, protocol: Protocol, bytes: &[u8]) -> (String, Option<Reply>) {
        let request = match protocol.request(bytes) {
            Ok(request) => request,
            Err(reply) => return ("?".into(), Some(*reply)),
        };
        let result = self.carry_out(&request);
        let id = request.id;
        let reply = id.map(|id| answer(&request.action, Some(id), result));
        (request.action, reply)
    }

    /// Returns when a view that counts has something to say.
    pub(super) fn deadline(&self) -> Option<Instant> {
        self.subscriptions.values().filter_map(Subscription::deadline).min()
    }

    /// Returns the next delivery of any subscription.
    pub(super) fn next_delivery(&mut self) -> Option<Reply> {
        for _ in 0..self.turn.len() {
            let id = self.turn.pop_front()?;
            let Some(subscription) = self.subscriptions.get_mut(&id) else { continue };
            let step = subscription.step(&id, &self.hub);
            match step {
                Some(step) if step.ended => {
                    self.end(&id);
                    return Some(step.reply);
                }
                Some(step) => {
                    self.turn.push_back(id);
                    return Some(step.reply);
                }
                None => self.turn.push_back(id),
            }
        }
        None
    }

    fn carry_out(&mut self, request: &Request) -> Outcome {
        match request.action.as_str() {
            "auth/handshake" => self.handshake(request),
            "auth/authenticate" => self.authenticate(request),
            "rtm/publish" | "rtm/write" => self.publish(request),
            "rtm/read" => self.read(request),
            "rtm/delete" => self.delete(request),
            "rtm/subscribe" => self.subscribe(request),
            "rtm/unsubscribe" => self.unsubscribe(request),
            action if action.starts_with("rtm/") || action.starts_with("auth/") => {
                Err(Problem::new("invalid_operation", "Invalid operation"))
            }
            _ => Err(Problem::new("invalid_service", "Invalid service")),
        }
    }

    fn handshake(&mut self, request: &Request) -> Outcome {
        let body: request::Handshake =
            request.body().map_err(|()| Problem::invalid_format("body"))?;
        role_secret(&body.method)?;
        let nonce = auth::nonce();
        let answer = json!({"data": {"nonce": nonce}});
        self.nonce = Some((nonce, body.data.role));
        Ok(Content::Fields(answer))
    }

    /// An unknown role fails here, not at the handshake: a client learns
    /// nothing about which roles exist.
    fn authenticate(&mut self, request: &Request) -> Outcome {
        let body: request::Authenticate =
            request.body().map_err(|()| Problem::invalid_format("body"))?;
        role_secret(&body.method)?;
        let (nonce, role) = self.nonce.take().ok_or_else(Problem::unauthenticated)?;
        let secret = self.config.roles.get(&role).ok_or_else(Problem::unauthenticated)?;
        if !auth::is_proof(secret, &nonce, &body.credentials.hash) {
            return Err(Problem::unauthenticated());
        }
        self.roles.insert(role);
        Ok(Content::Fields(json!({})))
    }

    fn publish(&self, request: &Request) -> Outcome {
        let body: request::Publish =
            request.body().map_err(|()| Problem::invalid_format("body"))?;
        let message = request.message().ok_or_else(|| Problem::invalid_format("message"))?;
        self.check_channel(&body.channel, RtmRights::Publish)?;
        if message.len() > self.config.max_message {
            return Err(Problem::new("invalid_format", "The message is too big"));
        }
        let expected = body.position.filter(|_| request.action == "rtm/write");
        let expected = expected.map(|text| self.hub.parse(&text)).transpose()?;
        self.store(&body.channel, &message, expected, body.read.as_deref())
    }

    fn store(
        &self,
        channel: &str,
        message: &Message,
        expected: Option<Position>,
        read: Option<&str>,
    ) -> Outcome {
        let wanted = matches!(read, Some("previous_message" | "previous_message_on_ok"));
        if wanted {
            // To see the value is to read it.
            self.check_channel(channel, RtmRights::Subscribe)?;
        }
        let previous = if wanted { self.hub.read(channel, None).ok() } else { None };
        match self.hub.publish(channel, message, expected) {
            None => Err(too_many_channels()),
            Some(Err(MovedOn)) => {
                Err(Problem::new("position_mismatch", "The channel has moved on"))
            }
            Some(Ok(position)) => {
                let mut fields = json!({"position": position.to_string()});
                if let (Some((position, message)), Some(fields)) =
                    (previous, fields.as_object_mut())
                {
                    let message: Value = serde_json::from_str(message.json()).unwrap_or_default();
                    let previous = json!({"position": position.to_string(), "message": message});
                    fields.insert("previous".to_owned(), previous);
                }
                Ok(Content::Fields(fields))
            }
        }
    }

    fn read(&self, request: &Request) -> Outcome {
        let body: request::Value = request.body().map_err(|()| Problem::invalid_format("body"))?;
        self.check_channel(&body.channel, RtmRights::Subscribe)?;
        let (position, message) = self.hub.read(&body.channel, body.position.as_deref())?;
        Ok(Content::Stored(json!({"position": position.to_string()}), message))
    }

    fn delete(&self, request: &Request) -> Outcome {
        let body: request::Value = request.body().map_err(|()| Problem::invalid_format("body"))?;
        self.check_channel(&body.channel, RtmRights::Publish)?;
        if body.purge {
            self.hub.purge(&body.channel);
            return Ok(Content::Fields(json!({})));
        }
        self.store(&body.channel, &Message::null(), None, body.read.as_deref())
    }

    fn subscribe(&mut self, request: &Request) -> Outcome {
        let body: request::Subscribe =
            request.body().map_err(|()| Problem::invalid_format("body"))?;
        let id = body.subscription_id.clone().or_else(|| body.channel.clone());
        let id = id.ok_or_else(|| Problem::invalid_format("channel"))?;
        self.try_subscribe(&id, body).map_err(|problem| problem.of_subscription(&id))
    }

    /// The channel of a subscription, and the view through which it is seen.
    fn target(id: &str, body: &request::Subscribe) -> Result<(String, Option<View>), Problem> {
        if body.prefix {
            return Err(Problem::new("invalid_format", "This server has no prefixes"));
        }
        match body.filter.as_deref().filter(|filter| !filter.is_empty()) {
            Some(filter) => {
                let view = view::parse(filter).map_err(|e| Problem::new("invalid_filter", e))?;
                Ok((view.channel.clone(), Some(view)))
            }
            None => {
                let channel = body.channel.clone();
                let channel = channel.ok_or_else(|| Problem::invalid_format("channel"))?;
                match channel == id {
                    true => Ok((channel, None)),
                    false => Err(Problem::invalid_format("subscription_id")),
                }
            }
        }
    }

    fn try_subscribe(&mut self, id: &str, body: request::Subscribe) -> Outcome {
        let (channel, view) = Self::target(id, &body)?;
        self.check_channel(&channel, RtmRights::Subscribe)?;
        let period = match body.period {
            None => 1,
            Some(period @ 1..=60) => period,
            Some(_) => return Err(Problem::invalid_format("period")),
        };
        let replaced = self.subscriptions.contains_key(id);
        if replaced && !body.force {
            return Err(Problem::new("already_subscribed", "Already subscribed"));
        }
        if !replaced && self.subscriptions.len() >= self.config.max_subscriptions {
            return Err(Problem::new("subscription_quota_exceeded", "Too many subscriptions"));
        }
        let changes_only = match body.only.as_deref() {
            None => false,
            Some("value_changes") => true,
            Some(_) => return Err(Problem::invalid_format("only")),
        };
        let (count, age) = body.history.map_or((None, None), |h| (h.count, h.age));
        if count.is_some() && age.is_some() {
            return Err(Problem::invalid_format("history"));
        }
        let start = Start { position: body.position, count, age };
        let position = self.hub.start(&channel, &start).ok_or_else(|| {
            let reason = "The server holds as many channels as it may";
            Problem::new("subscription_quota_exceeded", reason)
        })??;
        self.end(id);
        self.hub.watch(&channel, self.number, &self.notify);
        let mut subscription = Subscription::new(channel, position.index);
        if let Some(view) = view {
            subscription = subscription.through(view, Duration::from_secs(period));
        }
        subscription.fast_forward = body.fast_forward;
        subscription.changes_only = changes_only;
        self.subscriptions.insert(id.to_owned(), subscription);
        self.turn.push_back(id.to_owned());
        // What the history holds is delivered after this answer.
        self.notify.notify_one();
        Ok(Content::Fields(json!({"position": position.to_string(), "subscription_id": id})))
    }

    fn unsubscribe(&mut self, request: &Request) -> Outcome {
        let body: request::Unsubscribe =
            request.body().map_err(|()| Problem::invalid_format("subscription_id"))?;
        let id = body.subscription_id;
        let Some(subscription) = self.end(&id) else {
            let problem = Problem::new("not_subscribed", "Not subscribed");
            return Err(problem.of_subscription(&id));
        };
        let position = self.hub.at(subscription.next).to_string();
        Ok(Content::Fields(json!({"position": position, "subscription_id": id})))
    }

    fn end(&mut self, id: &str) -> Option<Subscription> {
        let subscription = self.subscriptions.remove(id)?;
        self.turn.retain(|other| other != id);
        // Views of one channel share its watch.
        if self.subscriptions.values().all(|other| other.channel != subscription.channel) {
            self.hub.unwatch(&subscription.channel, self.number);
        }
        Some(subscription)
    }

    fn check_channel(&self, channel: &str, needed: RtmRights) -> Result<(), Problem> {
        check_name(channel)?;
        match self.config.allows(channel, self.roles.iter(), needed) {
            true => Ok(()),
            false => Err(Problem::unauthorized()),
        }
    }
}

/// Names that begin with `$` are the service's own.
pub(super) fn check_name(channel: &str) -> Result<(), Problem> {
    if channel.is_empty() || channel.len() > MAX_CHANNEL || channel.starts_with('$') {
        return Err(Problem::invalid_format("channel"));
    }
    Ok(())
}

impl Drop for Connection {
    fn drop(&mut self) {
        for subscription in self.subscriptions.values() {
            self.hub.unwatch(&subscription.channel, self.number);
        }
    }
}

fn role_secret(method: &str) -> Result<(), Problem> {
    match method {
        "role_secret" => Ok(()),
        _ => Err(Problem::new("auth_method_not_allowed", "The method must be role_secret")),
    }
}

fn too_many_channels() -> Problem {
    Problem::new("invalid_format", "The server holds as many channels as it may")
}
