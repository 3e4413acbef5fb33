//! Commands one after the other: v2 to v4, and still taken by v5 and v6.

use serde_json::{Deserializer, value::RawValue};

use super::Reply;
use crate::centrifugo::{
    api::{Api, METHODS},
    fault::{Code, Fault},
    json::{Fields, WrongType},
};

/// A command; `None` as a method is a number that nobody has.
struct Command {
    id: u32,
    method: Option<String>,
    params: Option<Box<RawValue>>,
}

/// Carries out commands until one is none: what came before it is done.
pub(in crate::centrifugo) fn stream(api: &Api<'_>, body: &str) -> Reply {
    if body.is_empty() {
        return Reply::Status(400);
    }
    let mut replies = Vec::new();
    for raw in Deserializer::from_str(body).into_iter::<Box<RawValue>>() {
        let Some(command) = raw.ok().and_then(|raw| parse(api, &raw).ok()) else {
            return Reply::Status(400);
        };
        match reply(api, &command) {
            Ok(reply) => replies.push(reply),
            Err(Unsayable) => return Reply::Status(500),
        }
    }
    let end = if api.release().0 < 3 { "\n" } else { "" };
    Reply::Json(replies.join("\n") + end)
}

fn parse(api: &Api<'_>, raw: &RawValue) -> Result<Command, WrongType> {
    let fields = Fields::parse(raw.get())?;
    let method = match fields.raw("method").map(RawValue::get) {
        // Nothing is number 0.
        None | Some("null") => Some("publish".to_owned()),
        Some(text) if text.starts_with('"') => {
            let name = fields.text("method")?.to_ascii_lowercase();
            match api.has(&name) || api.knows_of(&name) {
                true => Some(name),
                false => return Err(WrongType),
            }
        }
        Some(_) => {
            let number: u32 = fields.get("method")?;
            let found = METHODS.iter().find(|(_, n)| *n == number);
            found.map(|(name, _)| (*name).to_owned())
        }
    };
    let params = fields.raw("params").map(ToOwned::to_owned);
    Ok(Command { id: fields.get("id")?, method, params })
}

/// Nothing can answer the request.
struct Unsayable;

fn reply(api: &Api<'_>, command: &Command) -> Result<String, Unsayable> {
    let id = match command.id {
        0 => String::new(),
        id => format!("\"id\":{id},"),
    };
    let result = match run(api, command) {
        Ok(Some(result)) => format!("\"result\":{result}"),
        // From 4.1 on there is always a result.
        Ok(None) if api.release() >= (4, 1) => "\"result\":{}".to_owned(),
        Ok(None) => String::new(),
        Err(Fault::Unsayable) => return Err(Unsayable),
        Err(fault) => {
            let code = match fault {
                Fault::Error(code) => code,
                _ => Code::BadRequest,
            };
            let (number, text) = (code.number(), code.text(api.release()));
            format!("\"error\":{{\"code\":{number},\"message\":\"{text}\"}}")
        }
    };
    let fields = format!("{id}{result}");
    Ok(format!("{{{}}}", fields.trim_end_matches(',')))
}

fn run(api: &Api<'_>, command: &Command) -> Result<Option<String>, Fault> {
    let Some(method) = command.method.as_deref() else {
        return Err(Fault::Error(Code::MethodNotFound));
    };
    let params = match command.params.as_deref() {
        Some(raw) => Fields::parse(raw.get())?,
        // What needs no parameters may come without; `channels` only in v2.
        None if method == "info" || (method == "channels" && api.release().0 < 3) => {
            Fields::default()
        }
        None => return Err(Fault::WrongType),
    };
    api.run(method, &params)
}
