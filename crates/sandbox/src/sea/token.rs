//! Tokens of subscribers: JWTs that RSA signs with SHA-512, and nothing else.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use ring::signature::{RSA_PKCS1_2048_8192_SHA512, UnparsedPublicKey};
use serde::Deserialize;
use serde_json::Value;

/// What a token allows.
#[derive(Clone, Debug)]
pub(super) struct Claims {
    /// Until it ends.
    pub(super) left: Duration,
    pub(super) must_fanout: bool,
    pub(super) filter: Option<Value>,
}

/// Reads a token that `key` has signed; otherwise says why not.
pub(super) fn verify(token: &str, key: &str) -> Result<Claims, &'static str> {
    #[derive(Deserialize)]
    struct Header {
        alg: String,
    }
    #[derive(Deserialize)]
    #[serde(rename_all = "camelCase")]
    struct Payload {
        exp: f64,
        #[serde(default)]
        must_fanout: bool,
        #[serde(default)]
        filter: Option<Value>,
    }
    let parts: Vec<&str> = token.split('.').collect();
    let [head, body, signature] = parts.as_slice() else { return Err("the token is malformed") };
    let part = |part: &str| URL_SAFE_NO_PAD.decode(part).map_err(|_| "the token is malformed");
    let header: Header =
        serde_json::from_slice(&part(head)?).map_err(|_| "the token is malformed")?;
    if header.alg != "RS512" {
        return Err("the token must be signed with RS512");
    }
    let key = public_key(key).ok_or("the stored key cannot be read")?;
    let signed = format!("{head}.{body}");
    UnparsedPublicKey::new(&RSA_PKCS1_2048_8192_SHA512, key)
        .verify(signed.as_bytes(), &part(signature)?)
        .map_err(|_| "the signature is wrong")?;
    let payload: Payload =
        serde_json::from_slice(&part(body)?).map_err(|_| "the token has no exp")?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let end = Duration::try_from_secs_f64(payload.exp).map_err(|_| "the token has no exp")?;
    match end.checked_sub(now) {
        Some(left) if !left.is_zero() => {
            Ok(Claims { left, must_fanout: payload.must_fanout, filter: payload.filter })
        }
        _ => Err("the token has expired"),
    }
}

/// Whether `pem` is a key that tokens can be checked with.
pub(super) fn is_key(pem: &str) -> bool {
    public_key(pem).is_some()
}

/// The key in its PKCS#1 form, of `RSA PUBLIC KEY` or `PUBLIC KEY`.
fn public_key(pem: &str) -> Option<Vec<u8>> {
    let body = |label: &str| -> Option<Vec<u8>> {
        let rest = pem.split_once(&format!("-----BEGIN {label}-----"))?.1;
        let body = rest.split_once(&format!("-----END {label}-----"))?.0;
        STANDARD.decode(body.split_whitespace().collect::<String>()).ok()
    };
    if let Some(key) = body("RSA PUBLIC KEY") {
        return Some(key);
    }
    // SEQUENCE { algorithm SEQUENCE, BIT STRING { 0 unused bits, key } }
    let spki = body("PUBLIC KEY")?;
    let (content, _) = element(&spki, 0x30)?;
    let (_, rest) = element(content, 0x30)?;
    let (bits, _) = element(rest, 0x03)?;
    bits.strip_prefix(&[0]).map(<[u8]>::to_vec)
}

/// The content of an element of DER with this tag, and what follows it.
fn element(der: &[u8], wanted: u8) -> Option<(&[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        0x00..=0x7f => (usize::from(*first), rest),
        0x81 => (usize::from(*rest.first()?), rest.get(1..)?),
        0x82 => {
            let (bytes, rest) = rest.split_first_chunk::<2>()?;
            (usize::from(u16::from_be_bytes(*bytes)), rest)
        }
        _ => return None,
    };
    (*tag == wanted).then(|| rest.split_at_checked(length)).flatten()
}
