//! An API that says what it is told.

use std::{
    collections::VecDeque,
    convert::Infallible,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use http_body_util::{BodyExt, Full, Limited};
use hyper::{
    Method, Request, Response,
    body::{Bytes, Incoming},
    header::CONTENT_TYPE,
    service::service_fn,
};
use hyper_util::rt::TokioIo;
use serde::Deserialize;

use crate::{
    door::{LOOPBACK_ONLY, Serve, is_loopback},
    engine::Io,
};

/// Most bytes of an answer that is set over HTTP.
const MAX_STATE: usize = 16 << 20;

/// Requests that are remembered.
const REMEMBERED: usize = 10_000;

/// The API behind the server: answers every request alike. A clone is the same.
///
/// Over HTTP, `POST /__state` with `{"status","body","delay"}` sets the answer, the body
/// as JSON or, if it is a string, as it is.
#[derive(Clone, Debug)]
pub struct FakeBackend(Arc<Mutex<State>>);

#[derive(Debug)]
struct State {
    answer: Answer,
    asked: VecDeque<Asked>,
}

#[derive(Clone, Debug)]
struct Answer {
    status: u16,
    body: Bytes,
    delay: Duration,
}

/// A request that the backend got.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub struct Asked {
    /// `GET` or `POST`.
    pub method: String,
    /// With its query.
    pub path: String,
    /// Names in lower case.
    pub headers: Vec<(String, String)>,
}

impl Asked {
    /// Returns the value of a header.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }
}

#[derive(Deserialize)]
struct Told {
    status: Option<u16>,
    body: Option<serde_json::Value>,
    /// Seconds.
    delay: Option<f64>,
}

impl FakeBackend {
    pub(super) fn new(body: String) -> Self {
        let answer = Answer { status: 200, body: body.into(), delay: Duration::ZERO };
        Self(Arc::new(Mutex::new(State { answer, asked: VecDeque::new() })))
    }

    /// Sets the answer from now on.
    pub fn say(&self, status: u16, body: impl Into<Vec<u8>>) {
        let body = body.into().into();
        let mut state = self.state();
        (state.answer.status, state.answer.body) = (status, body);
    }

    /// Sets how long it takes to answer.
    pub fn delay(&self, delay: Duration) {
        self.state().answer.delay = delay;
    }

    /// Returns what was asked so far, the latest 10,000 requests.
    #[must_use]
    pub fn asked(&self) -> Vec<Asked> {
        self.state().asked.iter().cloned().collect()
    }

    async fn answer(&self, request: Request<Incoming>) -> Response<Full<Bytes>> {
        let header = |name: &str| request.headers().get(name).and_then(|v| v.to_str().ok());
        if !header("host").is_some_and(is_loopback) {
            return response(403, LOOPBACK_ONLY.into());
        }
        if (request.method(), request.uri().path()) == (&Method::POST, "/__state") {
            let told = Limited::new(request.into_body(), MAX_STATE).collect().await;
            let told = told.map(|body| body.to_bytes());
            let told = told.ok().and_then(|body| serde_json::from_slice(&body).ok());
            return self.set(told);
        }
        let headers = request.headers().iter().map(|(name, value)| {
            (name.as_str().to_owned(), String::from_utf8_lossy(value.as_bytes()).into_owned())
        });
        let asked = Asked {
            method: request.method().to_string(),
            path: request.uri().to_string(),
            headers: headers.collect(),
        };
        let answer = {
            let mut state = self.state();
            if state.asked.len() == REMEMBERED {
                state.asked.pop_front();
            }
            state.asked.push_back(asked);
            state.answer.clone()
        };
        tokio::time::sleep(answer.delay).await;
        response(answer.status, answer.body)
    }

    fn set(&self, told: Option<Told>) -> Response<Full<Bytes>> {
        let Some(told) = told else { return response(400, "it takes JSON\n".into()) };
        let mut state = self.state();
        state.answer.status = told.status.unwrap_or(state.answer.status);
        match told.body {
            None => {}
            Some(serde_json::Value::String(text)) => state.answer.body = text.into(),
            Some(body) => state.answer.body = body.to_string().into(),
        }
        if let Some(delay) = told.delay.and_then(|d| Duration::try_from_secs_f64(d).ok()) {
            state.answer.delay = delay;
        }
        response(200, "ok\n".into())
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn response(status: u16, body: Bytes) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::new(body));
    *response.status_mut() = status.try_into().unwrap_or_default();
    let json = hyper::header::HeaderValue::from_static("application/json");
    response.headers_mut().insert(CONTENT_TYPE, json);
    response
}

impl Serve for FakeBackend {
    fn max_connections(&self) -> usize {
        1100
    }

    fn handshake(&self) -> Duration {
        Duration::from_secs(10)
    }

    async fn serve(&self, io: Io) {
        let service =
            service_fn(|request| async { Ok::<_, Infallible>(self.answer(request).await) });
        let serving =
            hyper::server::conn::http1::Builder::new().serve_connection(TokioIo::new(io), service);
        // Whoever breaks off has no answer to be told.
        let _ended = serving.await;
    }
}
