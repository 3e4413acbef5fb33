//! The value of a channel by plain HTTP (docs/protocols/satori-rtm.md, 16).

use std::{fmt::Write, time::Duration};

use client_core::{
    ConnectError, ConnectStep,
    http::{BlockingHttp, HttpError, HttpOptionError, HttpRequest},
};
use serde::{Deserialize, Serialize, de::DeserializeOwned};

use crate::{
    answer::Answer,
    codec::{Payload, Protocol, Raw},
    config::{base, check_appkey},
    delivery::Position,
    error::{Error, Refusal},
};

/// Most bytes of an answer that are read.
const MAX_BODY: usize = 2 << 20;
const USER_AGENT: &str = concat!("satori-rtm/", env!("CARGO_PKG_VERSION"));

/// What a key-value client needs to know.
#[derive(Clone, Debug)]
pub struct KvConfig {
    endpoint: String,
    appkey: String,
    timeout: Duration,
    #[cfg(feature = "tls")]
    tls: client_core::http::Tls,
}

impl KvConfig {
    /// Names the service as [`Config::new`](crate::Config::new) does: `ws://` is then
    /// reached by `http://`, and `wss://` by `https://`.
    #[must_use]
    pub fn new(endpoint: impl Into<String>, appkey: impl Into<String>) -> Self {
        Self {
            endpoint: endpoint.into(),
            appkey: appkey.into(),
            timeout: Duration::from_secs(10),
            #[cfg(feature = "tls")]
            tls: client_core::http::Tls::default(),
        }
    }

    /// Sets the deadline of one call. Default 10 s; taken as it is.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Trusts this certificate authority (one certificate in DER form), and no
    /// longer the default ones; may be called for several.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_root(mut self, der: impl Into<Vec<u8>>) -> Self {
        self.tls.add_root(der);
        self
    }

    /// Takes the cryptography of TLS from `provider`. By default it is the one
    /// installed in the process, or that of the feature `ring` or `aws-lc-rs`.
    #[cfg(feature = "tls")]
    #[must_use]
    pub fn tls_provider(
        mut self,
        provider: std::sync::Arc<rustls::crypto::CryptoProvider>,
    ) -> Self {
        self.tls.set_provider(provider);
        self
    }
}

/// Reads and writes the values of channels by HTTP, in the application's default role.
/// Each call blocks until it is answered; nothing is tried again.
///
/// Few services offer this interface. Values are JSON.
///
/// Wire: docs/protocols/satori-rtm.md, 16.
///
/// # Examples
///
/// ```no_run
/// use satori_rtm::{Kv, KvConfig};
///
/// # fn example() -> Result<(), satori_rtm::Error> {
/// let kv = Kv::new(KvConfig::new("ws://127.0.0.1:8080", "appkey"))?;
/// kv.write("zebras", &7)?;
/// assert_eq!(kv.read::<u64>("zebras")?, 7);
/// # Ok(()) }
/// ```
#[derive(Debug)]
pub struct Kv {
    http: BlockingHttp,
    base: String,
    appkey: String,
    timeout: Duration,
}

impl Kv {
    /// Makes a client; nothing is sent yet.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming an option that cannot be used.
    pub fn new(config: KvConfig) -> Result<Self, Error> {
        check_appkey(&config.appkey)?;
        let base = base(&config.endpoint)?.replacen("ws", "http", 1);
        #[cfg(feature = "tls")]
        let http = BlockingHttp::with_tls(&base, USER_AGENT, MAX_BODY, &config.tls);
        #[cfg(not(feature = "tls"))]
        let http = BlockingHttp::new(&base, USER_AGENT, MAX_BODY);
        let unusable = |error: HttpOptionError| match error.option {
            "address" => Error::config("endpoint", error.reason),
            option => Error::config(option, error.reason),
        };
        let http = http.map_err(unusable)?;
        Ok(Self { http, base, appkey: config.appkey, timeout: config.timeout })
    }

    /// Reads the value of `key`: the last message of that channel, `null` if there is
    /// none.
    ///
    /// # Errors
    ///
    /// - [`Error::Refused`] with the service's code, or the HTTP status.
    /// - [`Error::Connect`] if nothing was sent, [`Error::Transport`] and
    ///   [`Error::Timeout`] if the service may have acted.
    /// - [`Error::Protocol`] if the answer is none.
    /// - [`Error::Misuse`] with code `decode` if the value is not a `T`.
    pub fn read<T: DeserializeOwned>(&self, key: &str) -> Result<T, Error> {
        self.read_with_position(key)?.message().decode()
    }

    /// Reads the value of `key` and its position.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn read_with_position(&self, key: &str) -> Result<Answer, Error> {
        self.call("GET", "rtm/read", key, None)
    }

    /// Writes the value of `key`; returns its position.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read), and [`Error::Misuse`] if `value` has no JSON form.
    pub fn write<T>(&self, key: &str, value: &T) -> Result<Option<Position>, Error>
    where
        T: Serialize + ?Sized,
    {
        let value = Protocol::Json.message(value)?;
        self.call("PUT", "rtm/write", key, Some(&value)).map(|answer| answer.position())
    }

    /// Deletes the value of `key`.
    ///
    /// # Errors
    ///
    /// As [`read`](Self::read).
    pub fn delete(&self, key: &str) -> Result<(), Error> {
        self.call("DELETE", "rtm/delete", key, None).map(drop)
    }

    fn call(
        &self,
        method: &str,
        action: &str,
        key: &str,
        value: Option<&Payload>,
    ) -> Result<Answer, Error> {
        let url = format!("{}/v2/kv/{}?id=0&appkey={}", self.base, encoded(key), self.appkey);
        let body = value.and_then(|value| match value {
            Payload::Json(text) => Some(text.as_bytes()),
            Payload::Cbor(_) => None,
        });
        let headers = [("Content-Type", "application/json".to_owned())];
        let headers = if body.is_some() { headers.as_slice() } else { &[] };
        let request = HttpRequest { method, url: &url, headers, body, timeout: self.timeout };
        let answer = self.http.send(request).map_err(|error| self.failed(error))?;
        read(action, answer.status, &answer.body)
    }

    fn failed(&self, error: HttpError) -> Error {
        match error {
            HttpError::Timeout { is_sent: true } => Error::Timeout,
            HttpError::Timeout { is_sent: false } => {
                Error::Connect(ConnectError::new(ConnectStep::Tcp, &self.base).timed_out())
            }
            HttpError::Network { is_sent: true, source, .. } => {
                Error::transport(std::io::Error::other(source))
            }
            HttpError::Network { is_sent: false, source, hint } => {
                // Only TLS has a hint of its own.
                let step = if hint.is_some() { ConnectStep::Tls } else { ConnectStep::Tcp };
                let error = ConnectError::new(step, &self.base);
                Error::Connect(error.because(std::io::Error::other(source)))
            }
            HttpError::TooLong => Error::protocol("invalid_json", "an answer of more than 2 MiB"),
        }
    }
}

/// Reads an answer: a PDU, or what a server says that has no such interface.
fn read(action: &str, status: u16, body: &[u8]) -> Result<Answer, Error> {
    #[derive(Deserialize)]
    struct Problem {
        // The original's client reads `code`; the protocol says `error`.
        #[serde(alias = "code")]
        error: String,
        #[serde(default)]
        reason: String,
    }
    let text = std::str::from_utf8(body).unwrap_or_default();
    let raw = Raw::Json(text);
    let said: Option<String> = raw.field("action").and_then(|said| said.decode().ok());
    let outcome = said.as_deref().and_then(|said| said.strip_prefix(action));
    match outcome {
        Some("/ok") => Ok(Answer::new(raw.field("body").map(Raw::to_payload))),
        Some("/error") => {
            let problem: Option<Problem> = raw.field("body").and_then(|body| body.decode_map());
            let problem = problem.unwrap_or_else(|| Problem {
                error: "unknown_error".to_owned(),
                reason: String::new(),
            });
            Err(Error::Refused(Refusal::new(action, &problem.error, &problem.reason)))
        }
        _ if (400..500).contains(&status) => {
            let reason: String = text.trim().chars().take(200).collect();
            Err(Error::Refused(Refusal::new(action, &status.to_string(), &reason)))
        }
        _ => Err(Error::protocol("invalid_json", text)),
    }
}

/// A key as it stands in the path, encoded as forms are.
fn encoded(key: &str) -> String {
    let mut text = String::with_capacity(key.len());
    for byte in key.bytes() {
        match byte {
            b' ' => text.push('+'),
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'_' | b'.' | b'~' | b'-' => {
                text.push(char::from(byte));
            }
            // A text takes everything.
            byte => drop(write!(text, "%{byte:02X}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_encoded_as_the_original_does() {
        assert_eq!(encoded("a b/c?d"), "a+b%2Fc%3Fd");
        assert_eq!(encoded("é~*"), "%C3%A9~%2A");
    }

    #[test]
    fn an_answer_is_read_by_its_action_and_otherwise_by_its_status() {
        let answer = read(
            "rtm/read",
            200,
            br#"{"action":"rtm/read/ok","body":{"message":7,"position":"1:1"}}"#,
        );
        let answer = answer.unwrap();
        assert_eq!(
            (answer.message().to_string(), answer.position()),
            ("7".into(), Some(Position::from("1:1")))
        );
        for (status, body, code) in [
            (
                400,
                r#"{"action":"rtm/read/error","body":{"error":"invalid_format"}}"#,
                "invalid_format",
            ),
            (200, r#"{"action":"rtm/read/error","body":{"code":"old_words"}}"#, "old_words"),
            (200, r#"{"action":"rtm/read/error"}"#, "unknown_error"),
            (404, "<html>", "404"),
            (200, "<html>", "invalid_json"),
            (500, r#"{"action":"rtm/write/ok"}"#, "invalid_json"),
        ] {
            assert_eq!(
                read("rtm/read", status, body.as_bytes()).unwrap_err().code(),
                code,
                "{body}"
            );
        }
    }
}
