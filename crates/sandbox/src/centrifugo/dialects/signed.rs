//! Signed requests: v1, and v0 with a project in the path.

use std::collections::BTreeMap;

use serde::Serialize;
use serde_json::value::RawValue;

use super::Reply;
use crate::centrifugo::{
    api::{Api, metrics},
    fault::{Code, Fault},
    hub::{ClientInfo, Data, Kept, Publication, Span, Target},
    json::{Fields, WrongType, write},
};

/// How the items of an answer look.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(in crate::centrifugo) enum Item {
    /// Results inside an object.
    V1,
    /// Results bare, and `true` for none.
    V0,
}

/// What a v1 method has to say: the body, with what is against it.
type Outcome = Result<(String, Option<Code>), WrongType>;

/// Carries out commands until one is none: what came before it is done.
pub(in crate::centrifugo) fn signed(api: &Api<'_>, body: &str, item: Item) -> Reply {
    let commands: Vec<Box<RawValue>> = match body.as_bytes().first() {
        Some(b'[') => match serde_json::from_str(body) {
            Ok(commands) => commands,
            Err(_) => return Reply::Status(400),
        },
        Some(b'{') => match RawValue::from_string(body.to_owned()) {
            Ok(command) => vec![command],
            Err(_) => return Reply::Status(400),
        },
        _ => return Reply::Status(400),
    };
    let mut items = Vec::new();
    for command in commands {
        match answer(api, &command, item) {
            Ok(item) => items.push(item),
            Err(WrongType) => return Reply::Status(400),
        }
    }
    Reply::Json(format!("[{}]", items.join(",")))
}

fn answer(api: &Api<'_>, command: &RawValue, item: Item) -> Result<String, WrongType> {
    let fields = Fields::parse(command.get())?;
    let (uid, method) = (fields.text("uid")?, fields.text("method")?);
    let params = fields.object("params")?.unwrap_or_default();
    let outcome = run(api, &method, &params, item);
    let (body, code) = match (outcome, item) {
        (Ok(outcome), _) => outcome,
        // The older server says of each command what is wrong with it.
        (Err(WrongType), Item::V0) => ("null".to_owned(), Some(Code::BadRequest)),
        (Err(WrongType), Item::V1) => return Err(WrongType),
    };
    let uid = match uid.is_empty() {
        true => String::new(),
        false => format!("\"uid\":{},", write(&uid)),
    };
    let (error, advice) = match code {
        None => ("null", ""),
        Some(Code::UnknownChannel) => ("\"namespace not found\"", "\"advice\":\"fix\","),
        Some(Code::BadRequest) => ("\"invalid message\"", "\"advice\":\"fix\","),
        Some(Code::NotAvailable) => ("\"not available\"", ""),
        Some(Code::MethodNotFound) => ("\"method not found\"", ""),
        Some(_) => ("\"internal server error\"", "\"advice\":\"retry\","),
    };
    let method = write(&method);
    Ok(format!("{{{uid}\"method\":{method},\"error\":{error},{advice}\"body\":{body}}}"))
}

fn run(api: &Api<'_>, method: &str, params: &Fields, item: Item) -> Outcome {
    let nothing = if item == Item::V0 { "true" } else { "null" };
    let none = |done: Result<(), Fault>| settle(done.map(|()| nothing.to_owned()), "null");
    let channel = params.text("channel")?;
    let wrap = |data: Result<String, Fault>| {
        let data = match item {
            Item::V0 => return settle(data, "null"),
            Item::V1 => data,
        };
        let name = write(&channel);
        let body = |data: String| format!("{{\"channel\":{name},\"data\":{data}}}");
        settle(data.map(body), &body("null".into()))
    };
    match method {
        "publish" => none(publish(api, &channel, params)?),
        "broadcast" => none(broadcast(api, params)?),
        "unsubscribe" | "disconnect" => {
            let target = Target { user: params.text("user")?, ..Target::default() };
            if target.user.is_empty() {
                return Ok(("null".into(), Some(Code::BadRequest)));
            }
            if method == "disconnect" {
                api.hub.disconnect_user(&target, &[], 3503, "force disconnect");
                return none(Ok(()));
            }
            none(api.hub.unsubscribe_user(&target, &channel))
        }
        "presence" => wrap(presence(api, &channel)),
        "history" => wrap(history(api, &channel)),
        "channels" => {
            let names: Vec<String> = api.hub.channels().into_keys().collect();
            let names = write(&names);
            Ok((if item == Item::V0 { names } else { format!("{{\"data\":{names}}}") }, None))
        }
        "stats" if item == Item::V1 => {
            let node = write(&node(api));
            Ok((format!("{{\"data\":{{\"nodes\":[{node}],\"metrics_interval\":60}}}}"), None))
        }
        "node" if item == Item::V1 => Ok((format!("{{\"data\":{}}}", write(&node(api))), None)),
        _ if item == Item::V0 => Ok(("null".into(), Some(Code::MethodNotFound))),
        _ => Err(WrongType),
    }
}

/// A fault of the hub beside the body that goes with it.
fn settle(done: Result<String, Fault>, otherwise: &str) -> Outcome {
    match done {
        Ok(body) => Ok((body, None)),
        Err(Fault::Error(code)) => Ok((otherwise.to_owned(), Some(code))),
        Err(_) => Err(WrongType),
    }
}

/// Without a channel or data, the whole request is bad.
fn publish(api: &Api<'_>, channel: &str, params: &Fields) -> Result<Result<(), Fault>, WrongType> {
    if channel.is_empty() {
        return Err(WrongType);
    }
    let publication = publication(params)?.ok_or(WrongType)?;
    Ok(api.hub.publish(channel, publication, "").map(drop))
}

/// It stops at the first channel that it refuses.
fn broadcast(api: &Api<'_>, params: &Fields) -> Result<Result<(), Fault>, WrongType> {
    let channels: Vec<String> = params.get("channels")?;
    let publication = publication(params)?;
    let (Some(publication), false) = (publication, channels.is_empty()) else {
        return Ok(Err(Fault::Error(Code::BadRequest)));
    };
    let publish = |name: &String| api.hub.publish(name, publication.clone(), "").map(drop);
    Ok(channels.iter().try_for_each(publish))
}

fn publication(params: &Fields) -> Result<Option<Publication>, WrongType> {
    let Some(data) = params.raw("data") else { return Ok(None) };
    let (uid, client) = (params.text("uid")?, params.text("client")?);
    Ok(Some(Publication { uid, client, ..Publication::new(Data::Json(data.to_owned())) }))
}

/// v1's names of what is known of a client.
#[derive(Debug, Serialize)]
struct Known {
    user: String,
    client: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    default_info: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    channel_info: Option<Box<RawValue>>,
}

impl From<ClientInfo> for Known {
    fn from(info: ClientInfo) -> Self {
        let (default_info, channel_info) = (info.conn_info, info.chan_info);
        Self { user: info.user, client: info.client, default_info, channel_info }
    }
}

fn presence(api: &Api<'_>, channel: &str) -> Result<String, Fault> {
    let presence = api.hub.presence(channel)?;
    let known: BTreeMap<String, Known> =
        presence.into_iter().map(|(id, info)| (id, info.into())).collect();
    Ok(write(&known))
}

#[derive(Debug, Serialize)]
struct Message {
    uid: String,
    channel: String,
    data: Box<RawValue>,
    #[serde(skip_serializing_if = "String::is_empty")]
    client: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<Known>,
}

/// All that is kept, newest first.
fn history(api: &Api<'_>, channel: &str) -> Result<String, Fault> {
    let (kept, place) = api.hub.history(channel, &Span { reverse: true, ..Span::all() })?;
    let message = |kept: Kept| {
        let Data::Json(data) = kept.publication.data else { return Err(Fault::Unsayable) };
        let uid = match kept.publication.uid.is_empty() {
            true => format!("{}{:018}", place.epoch, kept.offset),
            false => kept.publication.uid,
        };
        let (client, info) = (kept.publication.client, kept.publication.info.map(Known::from));
        Ok(Message { uid, channel: channel.to_owned(), data, client, info })
    };
    let all: Vec<Message> = kept.into_iter().map(message).collect::<Result<_, _>>()?;
    Ok(write(&all))
}

#[derive(Debug, Serialize)]
struct Node {
    uid: String,
    name: String,
    started_at: u64,
    metrics: BTreeMap<String, u64>,
    version: &'static str,
}

fn node(api: &Api<'_>) -> Node {
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    let started_at = now.unwrap_or_default().saturating_sub(api.hub.started.elapsed()).as_secs();
    let metrics = metrics(api);
    let metrics = metrics.into_iter().map(|(name, n)| (name.replace("centrifugo.", ""), n));
    Node {
        uid: api.hub.uid.clone(),
        name: api.config.name.clone(),
        started_at,
        metrics: metrics.map(|(name, n)| (name.replace('.', "_"), n)).collect(),
        version: "1.8.0",
    }
}
