//! A path for each method: v5 and v6.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::value::RawValue;

use super::Reply;
use crate::centrifugo::{
    api::{Api, METHODS},
    fault::{Code, Fault},
    json::Fields,
};

/// Carries out one method. `transport` is the transport error mode.
pub(in crate::centrifugo) fn method(
    api: &Api<'_>,
    name: &str,
    body: &str,
    transport: bool,
) -> Reply {
    let Ok(params) = Fields::parse(body) else { return Reply::Status(400) };
    match api.run(name, &params) {
        Ok(result) => {
            let result = result.as_deref().unwrap_or("{}");
            Reply::Json(format!("{{\"result\":{result}}}"))
        }
        Err(Fault::Error(code)) => {
            let error = error(api, code);
            match transport {
                true => Reply::Failed(code.status(), error),
                false => Reply::Json(format!("{{\"error\":{error}}}")),
            }
        }
        Err(Fault::WrongType) => Reply::Status(400),
        Err(Fault::Unsayable) => Reply::Status(500),
    }
}

#[derive(Debug, Deserialize)]
struct Batch {
    #[serde(default)]
    commands: Option<Vec<Option<Command>>>,
}

/// Parameters by the name of their method.
type Command = BTreeMap<String, Box<RawValue>>;

/// What a command of a batch asks for; nothing that is known is 104.
type Asked = Option<(&'static str, Fields)>;

/// Carries out a batch, in order also where another order is allowed.
pub(in crate::centrifugo) fn batch(api: &Api<'_>, body: &str) -> Reply {
    let Ok(batch) = serde_json::from_str::<Option<Batch>>(body) else {
        return Reply::Status(400);
    };
    let commands = batch.and_then(|batch| batch.commands).unwrap_or_default();
    if commands.is_empty() {
        return Reply::Json("{}".into());
    }
    // Everything is read before anything is done.
    let mut all: Vec<Asked> = Vec::new();
    for command in commands {
        // A real server does not survive this one; ours refuses it.
        let Some(command) = command else { return Reply::Status(400) };
        match asked(api, &command) {
            Ok(asked) => all.push(asked),
            Err(()) => return Reply::Status(400),
        }
    }
    let mut replies = Vec::new();
    for asked in all {
        let outcome = match &asked {
            Some((name, params)) => (*name, api.run(name, params)),
            None => ("", Err(Fault::Error(Code::MethodNotFound))),
        };
        replies.push(match outcome {
            (name, Ok(result)) => {
                format!("{{\"{name}\":{}}}", result.as_deref().unwrap_or("{}"))
            }
            (_, Err(Fault::Error(code))) => format!("{{\"error\":{}}}", error(api, code)),
            (_, Err(Fault::WrongType)) => return Reply::Status(400),
            (_, Err(Fault::Unsayable)) => return Reply::Status(500),
        });
    }
    Reply::Json(format!("{{\"replies\":[{}]}}", replies.join(",")))
}

fn asked(api: &Api<'_>, command: &Command) -> Result<Asked, ()> {
    for (name, _) in METHODS {
        let Some(raw) = command.get(name).filter(|raw| raw.get() != "null") else { continue };
        let params = Fields::parse(raw.get()).map_err(|_| ())?;
        check_types(name, &params)?;
        return Ok(api.has(name).then_some((name, params)));
    }
    Ok(None)
}

/// Nothing of a batch is carried out if a parameter of it is of a wrong kind.
fn check_types(name: &str, params: &Fields) -> Result<(), ()> {
    type Check = fn(&Fields, &str) -> bool;
    let text: Check = |fields, name| fields.text(name).is_ok();
    let flag: Check = |fields, name| fields.get::<bool>(name).is_ok();
    let texts: Check = |fields, name| fields.get::<Vec<String>>(name).is_ok();
    let place: Check = |fields, name| match fields.object(name) {
        Ok(Some(place)) => place.get::<u64>("offset").is_ok() && place.text("epoch").is_ok(),
        absent => absent.is_ok(),
    };
    let closing: Check = |fields, name| match fields.object(name) {
        Ok(Some(with)) => with.get::<u32>("code").is_ok() && with.text("reason").is_ok(),
        absent => absent.is_ok(),
    };
    let tags: Check = |fields, name| fields.get::<BTreeMap<String, String>>(name).is_ok();
    let all = [
        (text, &["channel", "user", "client", "session", "b64data", "idempotency_key"][..]),
        (flag, &["skip_history", "delta", "reverse", "expired"]),
        (texts, &["channels", "whitelist"]),
        (|fields, name| fields.get::<i32>(name).is_ok(), &["limit"]),
        (|fields, name| fields.get::<i64>(name).is_ok(), &["expire_at"]),
        (place, &["since"]),
        (closing, &["disconnect"]),
        (tags, &["tags"]),
    ];
    let good = all.iter().all(|(check, names)| names.iter().all(|name| check(params, name)));
    // Two names mean something else elsewhere.
    let other = match name {
        "rpc" => text(params, "method"),
        "channels" => text(params, "pattern"),
        _ => true,
    };
    (good && other).then_some(()).ok_or(())
}

fn error(api: &Api<'_>, code: Code) -> String {
    format!("{{\"code\":{},\"message\":\"{}\"}}", code.number(), code.text(api.release()))
}
