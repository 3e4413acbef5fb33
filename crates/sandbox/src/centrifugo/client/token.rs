//! Connection tokens: JSON web tokens signed with the server's secret.

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::Deserialize;
use serde_json::value::RawValue;
use sha2::{Sha256, Sha384, Sha512};

use crate::centrifugo::api::users::is_past;

/// What a token says of its client.
#[derive(Debug, Default, Deserialize)]
pub(super) struct Claims {
    #[serde(default)]
    pub(super) sub: String,
    #[serde(default)]
    exp: i64,
    #[serde(default)]
    pub(super) info: Option<Box<RawValue>>,
    #[serde(default)]
    pub(super) channels: Vec<String>,
    /// Only a token for one subscription has it.
    #[serde(default)]
    channel: Option<String>,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Wrong {
    Invalid,
    Expired,
}

#[derive(Debug, Deserialize)]
struct Header {
    alg: String,
}

pub(super) fn read(token: &str, secret: &str) -> Result<Claims, Wrong> {
    let claims = verified(token, secret).ok_or(Wrong::Invalid)?;
    match (claims.channel.is_some(), is_past(claims.exp)) {
        (true, _) => Err(Wrong::Invalid),
        (false, true) => Err(Wrong::Expired),
        (false, false) => Ok(claims),
    }
}

fn verified(token: &str, secret: &str) -> Option<Claims> {
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    let good = match header.alg.as_str() {
        "HS256" => is_signed::<Hmac<Sha256>>(secret, signed, &signature),
        "HS384" => is_signed::<Hmac<Sha384>>(secret, signed, &signature),
        "HS512" => is_signed::<Hmac<Sha512>>(secret, signed, &signature),
        _ => false,
    };
    let claims = good.then(|| URL_SAFE_NO_PAD.decode(claims).ok()).flatten()?;
    serde_json::from_slice(&claims).ok()
}

fn is_signed<M: Mac + KeyInit>(secret: &str, text: &str, signature: &[u8]) -> bool {
    let Ok(mac) = <M as KeyInit>::new_from_slice(secret.as_bytes()) else { return false };
    mac.chain_update(text).verify_slice(signature).is_ok()
}
