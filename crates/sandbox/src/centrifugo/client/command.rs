//! What clients ask for.

use std::sync::Arc;

use serde::Serialize;
use serde_json::{Deserializer, value::RawValue};
use tokio::sync::mpsc;

use super::{
    push::Pub,
    token::{self, Claims, Wrong},
};
use crate::centrifugo::{
    api::Api,
    config::CentrifugoConfig,
    fault::{Code, Fault},
    hub::{Data, Hub, Kept, Order, Place, Publication},
    json::{Fields, WrongType},
};

/// How a connection is to be closed.
#[derive(Debug)]
pub(super) struct Closing {
    pub(super) code: u16,
    pub(super) reason: String,
}

impl Closing {
    pub(super) fn new(code: u16, reason: &str) -> Self {
        Self { code, reason: reason.to_owned() }
    }
}

/// One client, from its connect command on.
pub(super) struct Conversation<'a> {
    hub: &'a Arc<Hub>,
    config: &'a CentrifugoConfig,
    id: Option<String>,
    orders: Option<mpsc::Receiver<Order>>,
}

/// The reply's JSON, or what is against the command.
type Outcome = Result<String, Refusal>;

enum Refusal {
    Error(Code),
    Close(Closing),
}

impl From<WrongType> for Refusal {
    fn from(WrongType: WrongType) -> Self {
        Self::Close(Closing::new(3501, "bad request"))
    }
}

impl From<Fault> for Refusal {
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Error(code) => Self::Error(code),
            Fault::WrongType => WrongType.into(),
            Fault::Unsayable => Self::Error(Code::Internal),
        }
    }
}

impl<'a> Conversation<'a> {
    pub(super) const fn new(hub: &'a Arc<Hub>, config: &'a CentrifugoConfig) -> Self {
        Self { hub, config, id: None, orders: None }
    }

    /// The client's id, once it is connected.
    pub(super) fn id(&self) -> Option<&str> {
        self.id.as_deref()
    }

    /// What the client will be told; given once.
    pub(super) fn orders(&mut self) -> Option<mpsc::Receiver<Order>> {
        self.orders.take()
    }

    /// Answers the commands of one frame in one frame, a line each.
    pub(super) fn handle(&mut self, text: &str) -> Result<Option<String>, Closing> {
        let bad = || Closing::new(3501, "bad request");
        let mut replies = Vec::new();
        for raw in Deserializer::from_str(text).into_iter::<Box<RawValue>>() {
            let raw = raw.map_err(|_| bad())?;
            let command = Fields::parse(raw.get()).map_err(|_| bad())?;
            replies.extend(self.reply(&command)?);
        }
        Ok((!replies.is_empty()).then(|| replies.join("\n")))
    }

    fn reply(&mut self, command: &Fields) -> Result<Option<String>, Closing> {
        let id: u32 = command.get("id").map_err(|_| Closing::new(3501, "bad request"))?;
        // Without a command it is a pong.
        let Some(outcome) = self.carry_out(command) else { return Ok(None) };
        let body = match outcome {
            Ok(body) => body,
            Err(Refusal::Close(closing)) => return Err(closing),
            Err(Refusal::Error(code)) => {
                let (number, text) = (code.number(), code.text(self.config.release));
                format!(r#""error":{{"code":{number},"message":"{text}"}}"#)
            }
        };
        Ok(Some(format!(r#"{{"id":{id},{body}}}"#)))
    }

    fn carry_out(&mut self, command: &Fields) -> Option<Outcome> {
        const KNOWN: [&str; 7] = [
            "connect",
            "subscribe",
            "unsubscribe",
            "publish",
            "presence",
            "presence_stats",
            "history",
        ];
        let Some(name) = KNOWN.into_iter().find(|name| command.has(name)) else {
            return command.has("id").then_some(Err(Refusal::Error(Code::MethodNotFound)));
        };
        let params = match command.object(name) {
            Ok(params) => params.unwrap_or_default(),
            Err(wrong) => return Some(Err(wrong.into())),
        };
        let Some(id) = self.id.clone() else {
            return Some(match name {
                "connect" => self.connect(&params),
                _ => Err(WrongType.into()),
            });
        };
        let result = match name {
            "connect" => Err(WrongType.into()),
            "subscribe" => self.subscribe(&id, &params),
            "unsubscribe" => self.unsubscribe(&id, &params),
            "publish" => self.publish(&id, &params),
            _ => self.ask(name, &params),
        };
        Some(result.map(|result| format!(r#""{name}":{result}"#)))
    }

    fn connect(&mut self, params: &Fields) -> Outcome {
        let token = params.text("token")?;
        let claims = match token.is_empty() {
            true => Claims::default(),
            false => token::read(&token, &self.config.secret).map_err(|wrong| match wrong {
                Wrong::Invalid => Refusal::Close(Closing::new(3500, "invalid token")),
                Wrong::Expired => Refusal::Error(Code::TokenExpired),
            })?,
        };
        let (id, orders) = self.hub.connect(claims.sub, claims.info);
        let subs = claims.channels.iter().map(|channel| {
            self.hub.subscribe(&id, channel, None, None)?;
            let name = serde_json::to_string(channel).unwrap_or_default();
            Ok(format!("{name}:{{}}"))
        });
        let subs: Result<Vec<String>, Fault> = subs.collect();
        let subs = match subs {
            Ok(subs) if subs.is_empty() => String::new(),
            Ok(subs) => format!(r#","subs":{{{}}}"#, subs.join(",")),
            Err(fault) => {
                self.hub.gone(&id);
                return Err(fault.into());
            }
        };
        self.orders = Some(orders);
        let (major, minor) = self.config.release;
        let ping = self.config.ping.as_secs();
        let body = format!(
            r#""connect":{{"client":"{id}","version":"{major}.{minor}.0","ping":{ping},"pong":true{subs}}}"#
        );
        self.id = Some(id);
        Ok(body)
    }

    fn subscribe(&self, id: &str, params: &Fields) -> Outcome {
        let channel = params.text("channel")?;
        let recover: bool = params.get("recover")?;
        let since = Place { offset: params.get("offset")?, epoch: params.text("epoch")? };
        let from = recover.then(|| since.clone());
        let joined = match self.hub.subscribe(id, &channel, None, from) {
            // Another epoch: everything since is gone.
            Err(Fault::Error(Code::UnrecoverablePosition)) => {
                self.hub.subscribe(id, &channel, None, None)?
            }
            joined => joined?,
        };
        let Some((kept, place)) = joined else { return Ok("{}".into()) };
        let reply = Subscribed::new(recover.then_some(&since), &kept, &place);
        Ok(serde_json::to_string(&reply).unwrap_or_default().replace(['\n', '\r'], " "))
    }

    fn unsubscribe(&self, id: &str, params: &Fields) -> Outcome {
        self.hub.unsubscribe(id, &params.text("channel")?);
        Ok("{}".into())
    }

    fn publish(&self, id: &str, params: &Fields) -> Outcome {
        let channel = params.text("channel")?;
        let data = params.raw("data").ok_or(Refusal::Error(Code::BadRequest))?;
        let info = self.hub.info(id, &channel);
        let data = Data::Json(data.to_owned());
        self.hub.publish(&channel, Publication { info, ..Publication::new(data) }, "")?;
        Ok("{}".into())
    }

    /// What clients and the API ask in one way.
    fn ask(&self, name: &str, params: &Fields) -> Outcome {
        let api = Api { hub: self.hub, config: self.config };
        Ok(api.run(name, params)?.unwrap_or_else(|| "{}".into()))
    }
}

/// What a subscriber to a channel with a history is told first.
#[derive(Debug, Serialize)]
struct Subscribed<'a> {
    recoverable: bool,
    epoch: &'a str,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    publications: Vec<Pub<'a>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    recovered: Option<bool>,
    offset: u64,
    positioned: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    was_recovering: Option<bool>,
}

impl<'a> Subscribed<'a> {
    /// Recovered is who gets everything after the place that it knows.
    fn new(since: Option<&Place>, kept: &'a [Kept], place: &'a Place) -> Self {
        let recovered = since.is_some_and(|since| {
            let next = kept.first().map_or(place.offset + 1, |first| first.offset);
            since.epoch == place.epoch && next == since.offset + 1
        });
        let kept = if recovered { kept } else { &[] };
        let publications = kept.iter().filter_map(|k| Pub::new(&k.publication, k.offset));
        Self {
            recoverable: true,
            epoch: &place.epoch,
            publications: publications.collect(),
            recovered: since.map(|_| recovered),
            offset: place.offset,
            positioned: true,
            was_recovering: since.map(|_| true),
        }
    }
}
