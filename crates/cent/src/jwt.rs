//! Tokens with which browsers connect and subscribe, from v2 on
//! (docs/protocols/cent.md, 9.2).

use std::collections::BTreeMap;

use base64::{Engine, engine::general_purpose::URL_SAFE_NO_PAD};
use hmac::{Hmac, KeyInit, Mac};
use serde::Serialize;
use serde_json::value::RawValue;
use sha2::{Sha256, Sha384, Sha512};

use crate::{error::Error, proto::Params};

/// How a token is signed.
#[derive(Clone, Copy, Debug, Default, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum Algorithm {
    /// HMAC with SHA-256.
    #[default]
    Hs256,
    /// HMAC with SHA-384.
    Hs384,
    /// HMAC with SHA-512.
    Hs512,
}

/// What a token says. The claims stand in the order in which they are set.
///
/// # Examples
///
/// ```
/// use cent::{Algorithm, Claims};
///
/// let token = Claims::connection("42").expires_at(1_893_456_000).sign("s3cr3t-key", Algorithm::Hs256)?;
/// assert!(token.starts_with("eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9."));
/// # Ok::<(), cent::Error>(())
/// ```
#[derive(Clone, Debug)]
#[must_use = "claims become a token by sign()"]
pub struct Claims {
    params: Params,
    connection: bool,
}

impl Claims {
    /// To connect as `user`, empty for nobody.
    pub fn connection(user: &str) -> Self {
        Self { params: Params::default(), connection: true }.put("sub", user)
    }

    /// To subscribe `user` to `channel`, from v4 on.
    pub fn subscription(user: &str, channel: &str) -> Self {
        let claims = Self { params: Params::default(), connection: false };
        claims.put("sub", user).put("channel", channel)
    }

    /// To subscribe the connection with the id `client` to `channel`, for v2 and
    /// v3.
    pub fn client_subscription(client: &str, channel: &str) -> Self {
        let claims = Self { params: Params::default(), connection: false };
        claims.put("client", client).put("channel", channel)
    }

    /// Ends the token's life at this second since 1970; by default it lives for
    /// ever.
    pub fn expires_at(self, seconds: u64) -> Self {
        self.put("exp", &seconds)
    }

    /// Says when the token was made, in seconds since 1970.
    pub fn issued_at(self, seconds: u64) -> Self {
        self.put("iat", &seconds)
    }

    /// What others see of the connection or subscription.
    pub fn info<T: Serialize + ?Sized>(self, info: &T) -> Self {
        self.put("info", info)
    }

    /// What the connection is subscribed to by the server. v2.4 and later.
    pub fn channels(self, channels: &[&str]) -> Self {
        self.put("channels", channels)
    }

    /// Sets any claim, in the words of the server's documentation.
    pub fn claim<T: Serialize + ?Sized>(self, name: &'static str, value: &T) -> Self {
        self.put(name, value)
    }

    fn put<T: Serialize + ?Sized>(mut self, name: &'static str, value: &T) -> Self {
        self.params.put(name, value);
        self
    }

    /// Signs the claims with the server's HMAC secret: `secret` up to v2.2,
    /// `token_hmac_secret_key` after it.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] if a claim has no JSON form, or a connection's claims
    /// name a `channel`, which v4 and later take for an invalid token.
    pub fn sign(self, secret: &str, algorithm: Algorithm) -> Result<String, Error> {
        if self.connection && self.params.names().any(|name| name == "channel") {
            let reason = "a connection's token has no channel: use Claims::subscription";
            return Err(Error::misuse("channel", reason));
        }
        let header = format!(r#"{{"alg":"{}","typ":"JWT"}}"#, algorithm.name());
        let claims = self.params.into_object()?;
        let signed =
            format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
        let signature = URL_SAFE_NO_PAD.encode(algorithm.mac(secret, signed.as_bytes()));
        Ok(format!("{signed}.{signature}"))
    }
}

/// Returns the claims of a token that was signed with `secret` by `algorithm`;
/// `None` for any other. The signature is compared in a time that does not depend
/// on where it differs; times in the claims are not looked at.
#[must_use]
pub fn verify_jwt(
    secret: &str,
    algorithm: Algorithm,
    token: &str,
) -> Option<BTreeMap<String, Box<RawValue>>> {
    #[derive(serde::Deserialize)]
    struct Header {
        alg: String,
    }
    let (signed, signature) = token.rsplit_once('.')?;
    let (header, claims) = signed.split_once('.')?;
    let header: Header = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(header).ok()?).ok()?;
    let signature = URL_SAFE_NO_PAD.decode(signature).ok()?;
    // The algorithm is the caller's: a token must not choose a weaker one.
    if header.alg != algorithm.name() || !algorithm.verify(secret, signed.as_bytes(), &signature) {
        return None;
    }
    serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims).ok()?).ok()
}

impl Algorithm {
    const fn name(self) -> &'static str {
        match self {
            Self::Hs256 => "HS256",
            Self::Hs384 => "HS384",
            Self::Hs512 => "HS512",
        }
    }

    fn mac(self, secret: &str, signed: &[u8]) -> Vec<u8> {
        match self {
            Self::Hs256 => mac::<Hmac<Sha256>>(secret, signed).finalize().into_bytes().to_vec(),
            Self::Hs384 => mac::<Hmac<Sha384>>(secret, signed).finalize().into_bytes().to_vec(),
            Self::Hs512 => mac::<Hmac<Sha512>>(secret, signed).finalize().into_bytes().to_vec(),
        }
    }

    fn verify(self, secret: &str, signed: &[u8], signature: &[u8]) -> bool {
        match self {
            Self::Hs256 => mac::<Hmac<Sha256>>(secret, signed).verify_slice(signature).is_ok(),
            Self::Hs384 => mac::<Hmac<Sha384>>(secret, signed).verify_slice(signature).is_ok(),
            Self::Hs512 => mac::<Hmac<Sha512>>(secret, signed).verify_slice(signature).is_ok(),
        }
    }
}

fn mac<M: Mac + KeyInit>(secret: &str, signed: &[u8]) -> M {
    // HMAC takes keys of every length.
    let mut mac = match <M as KeyInit>::new_from_slice(secret.as_bytes()) {
        Ok(mac) => mac,
        Err(_) => M::new(&Default::default()),
    };
    mac.update(signed);
    mac
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const SECRET: &str = "s3cr3t-key";

    #[test]
    fn tokens_are_those_that_real_servers_take() {
        const HEADER: &str = "eyJhbGciOiJIUzI1NiIsInR5cCI6IkpXVCJ9";
        let exp = 1_893_456_000;
        for (claims, rest) in [
            (
                Claims::connection("42"),
                "eyJzdWIiOiI0MiJ9.C1UhcsLHaP0i8QknMd9vJ2Cex7bO3mzsqr-jkJhybb8",
            ),
            (
                Claims::connection("42").expires_at(exp),
                "eyJzdWIiOiI0MiIsImV4cCI6MTg5MzQ1NjAwMH0.bLJRSK-IT_4QMaF9OqcX39WbiV04OajsqDk2tK2_LK0",
            ),
            (
                Claims::connection("42")
                    .expires_at(exp)
                    .issued_at(1_700_000_000)
                    .info(&json!({"name": "José"})),
                "eyJzdWIiOiI0MiIsImV4cCI6MTg5MzQ1NjAwMCwiaWF0IjoxNzAwMDAwMDAwLCJpbmZvIjp7Im5hbWUiOiJKb3PDqSJ9fQ.qXpzUWF3Bzn4-ZwmqL8WGmsZqzx68lWv4QnsSivgzuk",
            ),
            (
                Claims::subscription("42", "$room:1").expires_at(exp),
                "eyJzdWIiOiI0MiIsImNoYW5uZWwiOiIkcm9vbToxIiwiZXhwIjoxODkzNDU2MDAwfQ.dbrDugAMYdoklLscq9TeC6F0qldzriVyG-3PJ9Q4DUQ",
            ),
            (
                Claims::client_subscription("c-1", "$room:1").expires_at(exp),
                "eyJjbGllbnQiOiJjLTEiLCJjaGFubmVsIjoiJHJvb206MSIsImV4cCI6MTg5MzQ1NjAwMH0.CMDFzuGi9T5k6aEDHMxXO-bg7ZRk0G-fFJVWxjo_3Es",
            ),
        ] {
            let token = claims.sign(SECRET, Algorithm::Hs256).unwrap();
            assert_eq!(token, format!("{HEADER}.{rest}"));
            assert!(verify_jwt(SECRET, Algorithm::Hs256, &token).is_some());
        }
        let token = Claims::connection("42").sign(SECRET, Algorithm::Hs512).unwrap();
        assert_eq!(
            token,
            "eyJhbGciOiJIUzUxMiIsInR5cCI6IkpXVCJ9.eyJzdWIiOiI0MiJ9.y2mP8kItPigIsfiLt2HEOY4a41foqfGU40-IEXN7xGpMP4RdFVuymO4Omhq6ZiHZ6kL1zN5k4oj5fc1TdzBX7g"
        );
    }

    #[test]
    fn a_token_is_taken_only_as_it_was_signed() {
        for algorithm in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
            let claims = Claims::connection("42").claim("meta", &json!({"n": 1.0}));
            let token = claims.sign(SECRET, algorithm).unwrap();
            let read = verify_jwt(SECRET, algorithm, &token).unwrap();
            assert_eq!((read["sub"].get(), read["meta"].get()), (r#""42""#, r#"{"n":1.0}"#));
            assert!(verify_jwt("other", algorithm, &token).is_none());
            for other in [Algorithm::Hs256, Algorithm::Hs384, Algorithm::Hs512] {
                assert_eq!(verify_jwt(SECRET, other, &token).is_some(), other == algorithm);
            }
            for at in 0..token.len() {
                let mut bytes = token.clone().into_bytes();
                bytes[at] = if bytes[at] == b'A' { b'B' } else { b'A' };
                let changed = String::from_utf8(bytes).unwrap();
                let same = URL_SAFE_NO_PAD.decode(changed.rsplit('.').next().unwrap())
                    == URL_SAFE_NO_PAD.decode(token.rsplit('.').next().unwrap());
                let taken = verify_jwt(SECRET, algorithm, &changed).is_some();
                // The last digit of a base64 text may have bits that say nothing.
                assert!(!taken || (same && at == token.len() - 1), "{at}");
            }
        }
        for nonsense in ["", ".", "..", "a.b", "a.b.c", "eyJhbGciOiJub25lIn0.e30."] {
            assert!(verify_jwt(SECRET, Algorithm::Hs256, nonsense).is_none());
        }
    }

    #[test]
    fn a_connections_token_has_no_channel() {
        let claims = Claims::connection("42").claim("channel", "a");
        assert_eq!(claims.sign(SECRET, Algorithm::Hs256).unwrap_err().code(), "channel");
    }
}
