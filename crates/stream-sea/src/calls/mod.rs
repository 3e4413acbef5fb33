//! The HTTP calls: what is sent, and what an answer means. Who sends it, and whether
//! it blocks, is of no concern here (docs/protocols/stream-sea.md, 3).

mod endpoints;
mod results;

use client_core::http::{HttpAnswer, HttpError, HttpOptionError, HttpRequest};
use serde::Deserialize;

pub(crate) use endpoints::{
    create_client, create_jail, define, delete_client, delete_jail, describe, publish,
    rotate_client_jwt_public_key, rotate_client_secret, versions_vector,
};
pub use results::{ClientKey, ClientSecret, Defined, Jail};
pub(crate) use results::{before, defined, described, of_length};

use crate::{
    config::{Config, Credentials},
    error::{Error, ProtocolError, Refusal, shortened},
};

/// Most of an answer's body that is read.
pub(crate) const MAX_BODY: usize = 4 << 20;

pub(crate) const USER_AGENT: &str = concat!("stream-sea-rust/", env!("CARGO_PKG_VERSION"));

/// Bodies from here on are compressed.
#[cfg(feature = "gzip")]
const COMPRESS_FROM: usize = 1024;

/// A call whose answer is a `T`.
pub(crate) struct Call<T> {
    /// As errors name it.
    action: &'static str,
    method: &'static str,
    /// After `/api/v1`.
    path: String,
    body: Option<String>,
    /// Whether it asks and changes nothing: then nothing can be in doubt.
    is_read: bool,
    read: fn(&[u8]) -> serde_json::Result<T>,
}

/// A request that is ready.
pub(crate) struct Prepared {
    url: String,
    method: &'static str,
    headers: Vec<(&'static str, String)>,
    body: Option<Vec<u8>>,
    timeout: std::time::Duration,
}

impl<T> Call<T> {
    pub(crate) fn prepare(
        &self,
        config: &Config,
        credentials: &Credentials,
    ) -> Result<Prepared, Error> {
        let json = || "application/json".to_owned();
        #[cfg_attr(not(feature = "gzip"), expect(unused_mut, reason = "one more with gzip"))]
        let mut headers = vec![
            ("Authorization", credentials.authorization()?),
            ("Content-Type", json()),
            ("Accept", json()),
        ];
        let body = self.body.as_ref().map(|text| text.clone().into_bytes());
        #[cfg(feature = "gzip")]
        let mut body = body;
        #[cfg(feature = "gzip")]
        if let Some(plain) = body.as_ref().filter(|b| config.gzip && b.len() >= COMPRESS_FROM) {
            headers.push(("Content-Encoding", "gzip".to_owned()));
            body = Some(compress(plain)?);
        }
        let url = format!("{}{}", config.base(), self.path);
        Ok(Prepared { url, method: self.method, headers, body, timeout: config.request_timeout })
    }

    /// Reads what came of the request.
    pub(crate) fn finish(&self, result: Result<HttpAnswer, HttpError>) -> Result<T, Error> {
        let answer = match result {
            Ok(answer) => answer,
            Err(HttpError::Timeout { is_sent }) => {
                return Err(Error::Timeout { in_doubt: is_sent && !self.is_read });
            }
            Err(HttpError::Network { is_sent, source, .. }) => {
                return Err(Error::Transport { source, in_doubt: is_sent && !self.is_read });
            }
            Err(HttpError::TooLong) => {
                return Err(self.unreadable("the answer is over 4 MiB"));
            }
        };
        if !(200..300).contains(&answer.status) {
            return Err(Error::Refused(self.refusal(&answer)));
        }
        (self.read)(&answer.body)
            .map_err(|_| self.unreadable(&String::from_utf8_lossy(&answer.body)))
    }

    fn unreadable(&self, detail: &str) -> Error {
        let mut error = ProtocolError::new("answer", detail);
        error.in_doubt = !self.is_read;
        Error::Protocol(error)
    }

    fn refusal(&self, answer: &HttpAnswer) -> Refusal {
        #[derive(Deserialize)]
        struct Told {
            message: String,
            #[serde(default)]
            errors: Vec<String>,
        }
        let mut refusal = match serde_json::from_slice::<Told>(&answer.body) {
            Ok(told) => {
                let mut refusal = Refusal::new(self.action, &told.message);
                refusal.errors = told.errors.iter().take(100).map(|e| shortened(e)).collect();
                refusal
            }
            Err(_) => Refusal::new(self.action, &String::from_utf8_lossy(&answer.body)),
        };
        refusal.status = Some(answer.status);
        refusal.in_doubt = answer.status >= 500 && !self.is_read;
        refusal.retry_after = answer.retry_after;
        refusal
    }
}

impl Prepared {
    pub(crate) fn request(&self) -> HttpRequest<'_> {
        HttpRequest {
            method: self.method,
            url: &self.url,
            headers: &self.headers,
            body: self.body.as_deref(),
            timeout: self.timeout,
        }
    }
}

/// An option that HTTP cannot use.
pub(crate) fn refused(error: HttpOptionError) -> Error {
    Error::config(error.option, error.reason)
}

#[cfg(feature = "gzip")]
fn compress(plain: &[u8]) -> Result<Vec<u8>, Error> {
    use std::io::Write;

    use flate2::{Compression, write::GzEncoder};

    let wrong = |e: std::io::Error| Error::misuse("gzip", e.to_string());
    let mut encoder = GzEncoder::new(Vec::new(), Compression::fast());
    encoder.write_all(plain).map_err(wrong)?;
    encoder.finish().map_err(wrong)
}

/// One segment of a path, so that no name breaks out of its place.
fn segment(action: &'static str, name: &str) -> Result<String, Error> {
    if name.is_empty() {
        return Err(Error::misuse("name", format!("{action} needs a name")));
    }
    // Some servers take these two for directories, encoded or not.
    if matches!(name, "." | "..") {
        return Err(Error::misuse("name", format!("{name:?} cannot be named in a path")));
    }
    let mut encoded = String::with_capacity(name.len());
    for byte in name.bytes() {
        match byte {
            b'A'..=b'Z' | b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.' | b'~' => {
                encoded.push(char::from(byte));
            }
            byte => encoded.push_str(&format!("%{byte:02X}")),
        }
    }
    Ok(encoded)
}

#[cfg(test)]
mod tests;
