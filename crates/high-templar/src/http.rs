//! What is not a WebSocket: triggers and status (docs/protocols/high-templar.md, 12 and
//! 13).

use std::{collections::HashSet, convert::Infallible, sync::Arc};

use http_body_util::{BodyExt, Full, LengthLimitError, Limited};
use hyper::{
    Method, Request, Response, StatusCode,
    body::{Bytes, Incoming},
    header::{ALLOW, AUTHORIZATION, CONTENT_TYPE, HOST, LOCATION},
    service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};

use high_templar_client::Trigger;

use crate::{bus::BusError, config::Compat, log, parts::Parts, rewind::Rewind};

/// Most different rooms with a star of one trigger: each is held against all rooms.
const MAX_STARS: usize = 100;

type Answer = Response<Full<Bytes>>;

/// Serves the requests of one connection. Triggers are taken if `internal`, or if clients
/// and publishers come in at one place.
pub(crate) async fn serve(parts: &Arc<Parts>, io: Rewind, internal: bool) {
    let takes_triggers = internal || parts.config.triggers_here;
    let service = service_fn(move |request| async move {
        Ok::<_, Infallible>(route(parts, request, takes_triggers).await)
    });
    let serving = hyper::server::conn::http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(parts.config.handshake_timeout)
        .serve_connection(TokioIo::new(io), service);
    let mut serving = std::pin::pin!(serving);
    // Whoever breaks off has no answer to be told.
    tokio::select! {
        _ended = &mut serving => {}
        () = parts.ended() => {
            serving.as_mut().graceful_shutdown();
            let _ended = serving.await;
        }
    }
}

async fn route(parts: &Parts, request: Request<Incoming>, takes_triggers: bool) -> Answer {
    match (request.uri().path(), request.method()) {
        ("/trigger" | "/trigger/" | "/status" | "/status/", _) if !takes_triggers => not_found(),
        ("/trigger" | "/trigger/" | "/status" | "/status/", _) if !is_let_in(parts, &request) => {
            answer(StatusCode::UNAUTHORIZED, "Authorization: Bearer .. is missing or wrong\n")
        }
        ("/trigger" | "/trigger/", &Method::POST) => trigger(parts, request).await,
        ("/trigger" | "/trigger/", _) => not_allowed("POST"),
        ("/status" | "/status/", &Method::GET) => {
            let mut page = answer(StatusCode::OK, parts.hub.status().page());
            page.headers_mut()
                .insert(CONTENT_TYPE, hyper::header::HeaderValue::from_static("application/json"));
            page
        }
        ("/status" | "/status/", _) => not_allowed("GET"),
        ("/ws", &Method::GET) => moved(&request),
        _ => not_found(),
    }
}

/// Whether a publisher has the token, if there is one.
fn is_let_in(parts: &Parts, request: &Request<Incoming>) -> bool {
    let Some(token) = &parts.config.trigger_token else { return true };
    let given = request.headers().get(AUTHORIZATION).map(|value| value.as_bytes());
    let Some(given) = given.and_then(|value| value.strip_prefix(b"Bearer ")) else { return false };
    // Each byte is looked at, wherever the first difference is.
    let differences = given.iter().zip(token.reveal()).fold(0, |all, (a, b)| all | (a ^ b));
    differences == 0 && given.len() == token.reveal().len()
}

async fn trigger(parts: &Parts, request: Request<Incoming>) -> Answer {
    let body = Limited::new(request.into_body(), parts.config.max_trigger).collect();
    let refusal = match tokio::time::timeout(parts.config.bootstrap_timeout, body).await {
        Ok(Ok(body)) => match Trigger::parse(&body.to_bytes()) {
            Ok(trigger) => match publish(parts, trigger).await {
                Ok(()) => return answer(StatusCode::OK, "publish success"),
                Err(refusal) => refusal,
            },
            Err(error) => {
                parts.hub.received();
                (StatusCode::BAD_REQUEST, error.to_string())
            }
        },
        Ok(Err(error)) if error.is::<LengthLimitError>() => {
            let most = parts.config.max_trigger;
            (StatusCode::PAYLOAD_TOO_LARGE, format!("a trigger has at most {most} bytes"))
        }
        Ok(Err(error)) => (StatusCode::BAD_REQUEST, error.to_string()),
        Err(_) => (StatusCode::REQUEST_TIMEOUT, "the body does not come".to_owned()),
    };
    let (status, reason) = refusal;
    log::trigger_refused(status.as_u16(), &reason);
    answer(status, reason)
}

async fn publish(parts: &Parts, trigger: Trigger) -> Result<(), (StatusCode, String)> {
    if let Some(reason) = too_much(parts, &trigger) {
        parts.hub.received();
        return Err((StatusCode::BAD_REQUEST, reason));
    }
    let unavailable = |error: BusError| (StatusCode::SERVICE_UNAVAILABLE, error.to_string());
    parts.bus.publish(trigger).await.map_err(unavailable)
}

/// What a trigger names too much of, if it does.
fn too_much(parts: &Parts, trigger: &Trigger) -> Option<String> {
    let most = parts.config.max_trigger_rooms;
    if trigger.rooms().len() > most {
        return Some(format!("a trigger names at most {most} rooms"));
    }
    if parts.config.compat == Compat::V3_1 {
        // There they are rooms as any other.
        return None;
    }
    let stars = trigger.rooms().iter().filter(|room| room.has_star());
    let stars: HashSet<&str> = stars.map(|room| room.identity()).collect();
    (stars.len() > MAX_STARS).then(|| format!("a trigger names at most {MAX_STARS} stars"))
}

/// Where WebSockets are opened.
fn moved(request: &Request<Incoming>) -> Answer {
    let host = request.headers().get(HOST).and_then(|host| host.to_str().ok());
    let location = format!("ws://{}/ws/", host.unwrap_or_default());
    let mut moved = answer(StatusCode::PERMANENT_REDIRECT, "it is /ws/, with a slash\n");
    if let Ok(location) = location.parse() {
        moved.headers_mut().insert(LOCATION, location);
    }
    moved
}

fn not_found() -> Answer {
    answer(StatusCode::NOT_FOUND, "there are /ws/, /trigger/ and /status\n")
}

fn not_allowed(method: &'static str) -> Answer {
    let mut answer = answer(StatusCode::METHOD_NOT_ALLOWED, format!("it takes {method}\n"));
    answer.headers_mut().insert(ALLOW, hyper::header::HeaderValue::from_static(method));
    answer
}

fn answer(status: StatusCode, text: impl Into<Bytes>) -> Answer {
    let mut answer = Response::new(Full::new(text.into()));
    *answer.status_mut() = status;
    let plain = hyper::header::HeaderValue::from_static("text/plain; charset=utf-8");
    answer.headers_mut().insert(CONTENT_TYPE, plain);
    answer
}
