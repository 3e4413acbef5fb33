//! Signatures of Centrifugo 1: what a browser shows, and what a request carries
//! (docs/protocols/cent.md, 9.1).
//!
//! The parts of a message are signed back to back, without anything between
//! them, so that other parts with the same text have the same signature:
//! `("42", "1472482903")` and `("421", "472482903")`. That is the protocol's.

use std::time::{SystemTime, UNIX_EPOCH};

use hmac::{Hmac, KeyInit, Mac};
use sha2::{Digest, Sha256};

/// Returns the seconds since 1970 as Centrifugo wants them.
#[must_use]
pub fn get_timestamp() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    now.as_secs().to_string()
}

/// Signs what a client connects with: 64 hexadecimal digits.
///
/// `user` is the application's id of the user, empty for nobody; `timestamp` and
/// `info` are the exact texts that the client will send, `info` the JSON text or
/// empty. Text is signed as UTF-8, which is what the server verifies.
///
/// # Examples
///
/// ```
/// let token = cent::generate_token("s3cr3t-key", "42", "1472482903", "");
/// assert!(token.starts_with("24f5c0ab") && token.len() == 64);
/// ```
#[must_use]
pub fn generate_token(secret: &str, user: &str, timestamp: &str, info: &str) -> String {
    sign(secret, &[user.as_bytes(), timestamp.as_bytes(), info.as_bytes()])
}

/// Signs a client's subscription to a private channel: 64 hexadecimal digits.
///
/// `client` is the connection's client id, `info` a JSON text or empty.
#[must_use]
pub fn generate_channel_sign(secret: &str, client: &str, channel: &str, info: &str) -> String {
    sign(secret, &[client.as_bytes(), channel.as_bytes(), info.as_bytes()])
}

/// Signs the body of a request: 64 hexadecimal digits. The client does this by
/// itself.
#[must_use]
pub fn generate_api_sign(secret: &str, encoded_data: &[u8]) -> String {
    sign(secret, &[encoded_data])
}

/// Signs a subscription to keys of a shared-poll channel, v6.8 and later:
/// `iat:exp:` and 64 hexadecimal digits.
///
/// `iat` and `exp` are seconds since 1970, `exp` 0 for never.
#[must_use]
pub fn generate_shared_poll_sign(
    secret: &str,
    iat: u64,
    exp: u64,
    user: &str,
    channel: &str,
    keys: &[&str],
) -> String {
    let keys = hex(&Sha256::digest(keys.join("\0")));
    let text = format!("{iat}\0{exp}\0{user}\0{channel}\0{keys}");
    format!("{iat}:{exp}:{}", sign(secret, &[text.as_bytes()]))
}

/// Returns whether `signature` is the one of [`generate_token`], in a time that
/// does not depend on where they differ.
#[must_use]
pub fn verify_token(
    secret: &str,
    user: &str,
    timestamp: &str,
    info: &str,
    signature: &str,
) -> bool {
    verify(secret, &[user.as_bytes(), timestamp.as_bytes(), info.as_bytes()], signature)
}

/// Returns whether `signature` is the one of [`generate_channel_sign`], in a
/// time that does not depend on where they differ.
#[must_use]
pub fn verify_channel_sign(
    secret: &str,
    client: &str,
    channel: &str,
    info: &str,
    signature: &str,
) -> bool {
    verify(secret, &[client.as_bytes(), channel.as_bytes(), info.as_bytes()], signature)
}

/// Returns whether `signature` is the one of [`generate_api_sign`], in a time
/// that does not depend on where they differ.
#[must_use]
pub fn verify_api_sign(secret: &str, encoded_data: &[u8], signature: &str) -> bool {
    verify(secret, &[encoded_data], signature)
}

pub(crate) fn sign(secret: &str, parts: &[&[u8]]) -> String {
    hex(&mac(secret, parts).finalize().into_bytes())
}

fn hex(bytes: &[u8]) -> String {
    let mut hex = String::with_capacity(2 * bytes.len());
    for byte in bytes {
        for digit in [byte >> 4, byte & 15] {
            hex.extend(char::from_digit(u32::from(digit), 16));
        }
    }
    hex
}

fn verify(secret: &str, parts: &[&[u8]], signature: &str) -> bool {
    // Servers refuse upper case, and so does this.
    let digit = |byte: u8| match byte {
        b'0'..=b'9' => Some(byte - b'0'),
        b'a'..=b'f' => Some(byte - b'a' + 10),
        _ => None,
    };
    let (pairs, rest) = signature.as_bytes().as_chunks::<2>();
    let bytes: Option<Vec<u8>> =
        pairs.iter().map(|[high, low]| Some(digit(*high)? << 4 | digit(*low)?)).collect();
    bytes.is_some_and(|bytes| rest.is_empty() && mac(secret, parts).verify_slice(&bytes).is_ok())
}

fn mac(secret: &str, parts: &[&[u8]]) -> Hmac<Sha256> {
    // HMAC takes keys of every length.
    let mut mac = match Hmac::<Sha256>::new_from_slice(secret.as_bytes()) {
        Ok(mac) => mac,
        Err(_) => Hmac::<Sha256>::new(&Default::default()),
    };
    for part in parts {
        mac.update(part);
    }
    mac
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECRET: &str = "s3cr3t-key";
    const CLIENT: &str = "1b3d1c6e-1d3b-4d1f-9c55-1e6c9a3b7a11";

    #[test]
    fn tokens_are_those_of_the_original() {
        let info = r#"{"first_name": "Alexander", "last_name": "Emelin"}"#;
        for (secret, user, timestamp, info, token) in [
            (
                SECRET,
                "42",
                "1472482903",
                "",
                "24f5c0ab02a0d16264e5d50467d04505fa41e49d83f369738a7b76f3efaf8e19",
            ),
            (
                SECRET,
                "42",
                "1472482903",
                info,
                "bfb6aaadb3c00b42e2d0bc56c94a1e2815d5d890750d2dba80d7cdeb5c5e2a3a",
            ),
            (
                SECRET,
                "",
                "1472482903",
                "",
                "9ed5aabdaba0fda43c548653900bde7e011e3521a062808036d07832ef1be9ce",
            ),
            (
                SECRET,
                "421",
                "472482903",
                "",
                "24f5c0ab02a0d16264e5d50467d04505fa41e49d83f369738a7b76f3efaf8e19",
            ),
            (
                "",
                "42",
                "1472482903",
                "",
                "b527dcff16bae53626bff6ea51bdb486ac239c5a91f5bddfdbc3216575bef794",
            ),
            (
                "12345",
                "42",
                "1472482903",
                "",
                "45c79989d56b7c38ae29bed666bb7cb6850e9cea006ba0ae17edd2aebd5532f3",
            ),
            (
                SECRET,
                "José",
                "1472482903",
                "",
                "ea4d95e116a0aebb5e7d459db5d6e399414fff3fcd464e4d1c108acf8d593092",
            ),
            (
                SECRET,
                "Иван",
                "1472482903",
                "",
                "e4dc552d6840944dbd8bdf0e528e419cf83028dc927b813283d29cba07f5aa03",
            ),
        ] {
            assert_eq!(generate_token(secret, user, timestamp, info), token, "{user}");
            assert!(verify_token(secret, user, timestamp, info, token));
        }
    }

    #[test]
    fn channel_signs_are_those_of_the_original() {
        for (channel, info, sign) in [
            (
                "$private:room",
                "",
                "025dc60496ed99ba0e8b00c3478ad26f61e568ae26fdb57dbc227c1100899ac0",
            ),
            (
                "$private:room",
                r#"{"role": "admin"}"#,
                "d47fd424f938f22cc89f2b9369abfb20ef4d8a9ffc7ff78c4fa27dce67a67995",
            ),
            ("$комната", "", "0b8fb1d4446b325122c91b977b202d4b0a36a792f819c560f7a0930d7f41b15d"),
        ] {
            assert_eq!(generate_channel_sign(SECRET, CLIENT, channel, info), sign);
            assert!(verify_channel_sign(SECRET, CLIENT, channel, info, sign));
        }
    }

    #[test]
    fn a_shared_poll_is_signed_over_its_keys() {
        let (iat, exp) = (1_700_000_000, 1_700_003_600);
        let keys = ["AAPL", "GOOG"];
        assert_eq!(
            generate_shared_poll_sign("sp-secret", iat, exp, "42", "poll:prices", &keys),
            "1700000000:1700003600:\
             4af7abb00e790c4c94ffa1a2e89f174b774ad2e2adce211ab6ca04133cc56c7b"
        );
    }

    #[test]
    fn api_signs_are_those_of_the_original() {
        for (body, sign) in [
            ("[]", "7830a233d03f696b7e3df5af8dc32b7b2aa5bdd0da8dfcc04bc92f3099d60fd3"),
            (
                r#"[{"method":"publish","params":{"channel":"news","data":{"title":"hi"}}}]"#,
                "8de0b2891c446a71b405bc34a8f68634e7d9ea9e559fc745ed8c472c41613041",
            ),
            (
                r#"[{"method": "publish", "params": {"channel": "news", "data": {"title": "hi"}}}]"#,
                "2bfbdd9fde80b99f5db9f02321128466a81452d76e8640a65f678e13bedf91e0",
            ),
            (
                r#"[{"method":"publish","params":{"channel":"news","data":{"t":"café €"}}}]"#,
                "3757b847882ddba2fd2593ff27175938c1295bf01bcc2c16fdc579fafc97c960",
            ),
        ] {
            assert_eq!(generate_api_sign(SECRET, body.as_bytes()), sign);
            assert!(verify_api_sign(SECRET, body.as_bytes(), sign));
        }
    }

    #[test]
    fn what_is_not_the_signature_is_refused() {
        let sign = generate_api_sign(SECRET, b"[]");
        let upper = sign.to_uppercase();
        let short = &sign[..62];
        let long = format!("{sign}00");
        let odd = format!("{sign}0");
        for wrong in ["", &upper, short, &long, &odd, "zz", &sign.replace('7', "8")] {
            assert!(!verify_api_sign(SECRET, b"[]", wrong), "{wrong}");
        }
    }

    #[test]
    fn a_timestamp_is_seconds_in_decimal() {
        let seconds: u64 = get_timestamp().parse().unwrap();
        assert!(seconds > 1_700_000_000);
    }
}
