//! Role-secret authentication (docs/protocols/satori-rtm.md, 6).
//!
//! ```text
//!   > auth/handshake     role
//!   < auth/handshake/ok  nonce
//!   > auth/authenticate  hash
//!   < auth/authenticate/ok
//! ```

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

/// Returns the hash that proves knowledge of a role's secret:
/// base64 of HMAC-MD5 over the nonce's literal text, 24 characters.
///
/// # Examples
///
/// ```
/// let hash = satori_rtm::proto::role_secret_hash(b"fleet-role-secret", "q7Zk2m0V");
/// assert_eq!(hash, "1cgo46J9j1sCo1wIe8FqMg==");
/// ```
#[must_use]
pub fn role_secret_hash(secret: &[u8], nonce: &str) -> String {
    // HMAC takes a key of any length; the error of this constructor is for
    // ciphers that do not.
    let Ok(mut mac) = Hmac::<Md5>::new_from_slice(secret) else { return String::new() };
    mac.update(nonce.as_bytes());
    STANDARD.encode(mac.finalize().into_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hashes_are_those_of_the_reference() {
        for (secret, nonce, hash) in [
            ("fleet-role-secret", "q7Zk2m0V", "1cgo46J9j1sCo1wIe8FqMg=="),
            ("secret-key", "nonce", "G12A8Dt0RdjHNx8P0lci9w=="),
            ("B37Ab888CAB4343434bAE98AAAAAABC1", "nonce", "B510MG+AsMpvUDlm7oFsRg=="),
            ("world", "hello", "GnXQHVYdUXdr82yZa4Jtaw=="),
            ("tester-role-secret-0001", "c2F0b3JpLW5vbmNlLTAwMDE=", "Gf6beEwkXtItxKkwFafFaQ=="),
            ("ключ", "нонс", "fq7z31b+m6S8Nvog+P07xg=="),
        ] {
            assert_eq!(role_secret_hash(secret.as_bytes(), nonce), hash);
        }
    }

    #[test]
    fn hmac_md5_is_the_one_of_the_rfc_for_keys_of_every_length() {
        let hex = |secret: &[u8], nonce: &str| {
            let bytes = STANDARD.decode(role_secret_hash(secret, nonce)).unwrap();
            bytes.iter().map(|b| format!("{b:02x}")).collect::<String>()
        };
        assert_eq!(hex(&[0x0b; 16], "Hi There"), "9294727a3638bb1c13f48ef8158bfc9d");
        let question = "what do ya want for nothing?";
        assert_eq!(hex(b"Jefe", question), "750c783e6ab0b503eaa86e310a5db738");
        let long = "Test Using Larger Than Block-Size Key - Hash Key First";
        assert_eq!(hex(&[0xaa; 80], long), "6b1ab7fe4bd7bf8f0b62e6ce61b9d0cd");
    }
}
