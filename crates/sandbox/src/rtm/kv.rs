//! The value of a channel by plain HTTP (docs/protocols/satori-rtm.md, 16):
//!
//! ```text
//!   GET | PUT | DELETE  /v2/kv/KEY?id=0&appkey=APPKEY
//! ```
//!
//! It has the rights of the default role. An error has the status 4xx; the original's
//! client reads the answer's action alone.

use std::convert::Infallible;

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response, Uri,
    body::{Bytes, Incoming},
    header::{CONTENT_TYPE, HOST, HeaderValue},
    server::conn::http1,
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use serde_json::{json, value::RawValue};

use super::{
    config::{RtmConfig, RtmRights},
    connection::check_name,
    hub::Hub,
    message::Message,
    reply::{Content, Problem, Reply, answer},
    wire::{Frame, Id, Protocol},
};
use crate::{
    door,
    engine::Io,
    log::{EventLog, What},
};

pub(super) async fn serve(config: &RtmConfig, hub: &Hub, log: &EventLog, number: u64, io: Io) {
    let service = service_fn(|request| async move {
        let (status, text) = respond(config, hub, log, number, request).await;
        let mut response = Response::new(Full::new(Bytes::from(text)));
        *response.status_mut() = status.try_into().unwrap_or_default();
        let kind = HeaderValue::from_static("application/json");
        response.headers_mut().insert(CONTENT_TYPE, kind);
        if status != 200 {
            log.add(number, What::Refused(status));
        }
        Ok::<_, Infallible>(response)
    });
    let served = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(config.handshake)
        .serve_connection(TokioIo::new(io), service)
        .await;
    // Whoever breaks a request off has gone by himself.
    drop(served);
}

async fn respond(
    config: &RtmConfig,
    hub: &Hub,
    log: &EventLog,
    number: u64,
    request: Request<Incoming>,
) -> (u16, String) {
    let (parts, body) = request.into_parts();
    let host = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    if !door::is_loopback(host.unwrap_or_default()) {
        return (403, door::LOOPBACK_ONLY.to_owned());
    }
    let operation = match parts.method {
        Method::GET => "rtm/read",
        Method::PUT => "rtm/write",
        Method::DELETE => "rtm/delete",
        _ => return (405, "a value is read, written and deleted by GET, PUT and DELETE\n".into()),
    };
    log.add(number, What::Received(operation.to_owned()));
    let Some(key) = key(&parts.uri) else {
        return (404, "the endpoint is /v2?appkey=KEY, or /v2/kv/KEY?id=0&appkey=KEY\n".into());
    };
    let (mut appkey, mut id) = (None, None);
    for (name, value) in form_urlencoded::parse(parts.uri.query().unwrap_or_default().as_bytes()) {
        match &*name {
            "appkey" => appkey = Some(value.into_owned()),
            "id" => id = RawValue::from_string(value.into_owned()).ok().map(Id::Json),
            _ => {}
        }
    }
    if appkey.as_deref() != Some(config.appkey.as_str()) {
        return (403, "unknown appkey\n".to_owned());
    }
    let reading = Limited::new(body, config.max_message).collect();
    let body = match tokio::time::timeout(config.handshake, reading).await {
        Ok(Ok(body)) => body.to_bytes(),
        Ok(Err(_)) => return (413, "the value is too big\n".to_owned()),
        Err(_) => return (408, "the value does not come\n".to_owned()),
    };
    let result = carry_out(config, hub, operation, &key, &body);
    let status = if result.is_ok() { 200 } else { 400 };
    (status, text(&answer(operation, id, result)))
}

fn carry_out(
    config: &RtmConfig,
    hub: &Hub,
    operation: &str,
    key: &str,
    body: &[u8],
) -> Result<Content, Problem> {
    check_name(key)?;
    let reading = operation == "rtm/read";
    let needed = if reading { RtmRights::Subscribe } else { RtmRights::Publish };
    if !config.allows(key, std::iter::empty(), needed) {
        return Err(Problem::unauthorized());
    }
    if reading {
        let (position, message) = hub.read(key, None)?;
        return Ok(Content::Stored(json!({"position": position.to_string()}), message));
    }
    let message = match operation {
        "rtm/write" => {
            let value: Box<RawValue> =
                serde_json::from_slice(body).map_err(|_| Problem::invalid_format("message"))?;
            Message::from_json(value.get())
        }
        _ => Message::null(),
    };
    match hub.publish(key, &message, None) {
        Some(Ok(position)) => Ok(Content::Fields(json!({"position": position.to_string()}))),
        _ => Err(Problem::new("invalid_format", "The server holds as many channels as it may")),
    }
}

/// The key in the path, which is encoded as forms are: a space is a plus sign.
fn key(uri: &Uri) -> Option<String> {
    let key = uri.path().strip_prefix("/v2/kv/")?;
    // Parsed as the name of a field without a value.
    let mut fields = form_urlencoded::parse(key.as_bytes());
    let name = fields.next().map(|(name, _)| name.into_owned());
    Some(name.unwrap_or_default())
}

fn text(reply: &Reply) -> String {
    match Protocol::Json.write(reply) {
        Frame::Text(text) => text,
        Frame::Binary(_) => String::new(),
    }
}
