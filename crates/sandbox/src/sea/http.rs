//! One HTTP request: who asks, for what, with which body.

use std::io::Read;

use base64::{Engine, engine::general_purpose::STANDARD};
use flate2::read::GzDecoder;

use super::{
    api::{Answer, call},
    hub::{Hub, Identity},
};

/// A request, its body read.
pub(super) struct Asked<'a> {
    pub(super) verb: &'a str,
    pub(super) path: &'a str,
    pub(super) headers: &'a hyper::HeaderMap,
    pub(super) body: &'a [u8],
}

/// Answers a request. Credentials come before everything else.
pub(super) fn answer(hub: &Hub, asked: &Asked<'_>) -> Answer {
    let who = match identify(hub, asked) {
        Ok(who) => who,
        Err(refused) => return refused,
    };
    let rest = asked.path.strip_prefix("/api/v1/").unwrap_or_default();
    let segments: Option<Vec<String>> = rest.split('/').map(decode).collect();
    let Some(segments) = segments else {
        return Answer::refused(400, "The path is not percent-encoded UTF-8");
    };
    let segments: Vec<&str> = segments.iter().map(String::as_str).collect();
    match body(asked, hub.config.max_body) {
        Ok(body) => call(hub, &who, asked.verb, &segments, &body),
        Err(refused) => refused,
    }
}

fn identify(hub: &Hub, asked: &Asked<'_>) -> Result<Identity, Answer> {
    let header = asked.headers.get("authorization").and_then(|value| value.to_str().ok());
    let missing = || Answer::refused(401, "The credentials are missing or malformed.");
    let (scheme, encoded) = header.and_then(|text| text.split_once(' ')).ok_or_else(missing)?;
    if !scheme.eq_ignore_ascii_case("basic") {
        return Err(missing());
    }
    let pair = STANDARD.decode(encoded.trim()).ok().and_then(|pair| String::from_utf8(pair).ok());
    let pair = pair.ok_or_else(missing)?;
    let (id, secret) = pair.split_once(':').ok_or_else(missing)?;
    let invalid = "The credentials are present and well formed but invalid.";
    hub.identify(id, secret).ok_or_else(|| Answer::refused(401, invalid))
}

/// The body, inflated if it is compressed.
fn body(asked: &Asked<'_>, most: usize) -> Result<Vec<u8>, Answer> {
    let encoding = asked.headers.get("content-encoding").and_then(|value| value.to_str().ok());
    if asked.body.is_empty() || encoding != Some("gzip") {
        return Ok(asked.body.to_vec());
    }
    let mut inflated = Vec::new();
    GzDecoder::new(asked.body)
        .take(most as u64 + 1)
        .read_to_end(&mut inflated)
        .map_err(|_| Answer::refused(400, "The body is not gzip"))?;
    match inflated.len() <= most {
        true => Ok(inflated),
        false => Err(Answer::refused(413, "The body is too big")),
    }
}

/// A segment of a path without its percent signs.
fn decode(segment: &str) -> Option<String> {
    let mut bytes = Vec::with_capacity(segment.len());
    let mut rest = segment.bytes();
    while let Some(byte) = rest.next() {
        match byte {
            b'%' => {
                let mut digit = || char::from(rest.next()?).to_digit(16);
                let (high, low) = (digit()?, digit()?);
                bytes.push(u8::try_from(high * 16 + low).ok()?);
            }
            byte => bytes.push(byte),
        }
    }
    String::from_utf8(bytes).ok()
}
