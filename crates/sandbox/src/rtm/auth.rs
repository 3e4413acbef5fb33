//! Role-secret authentication (docs/protocols/satori-rtm.md, 6).

use base64::{Engine, engine::general_purpose::STANDARD};
use hmac::{Hmac, KeyInit, Mac};
use md5::Md5;

/// A fresh nonce: 16 random bytes in base64.
pub(super) fn nonce() -> String {
    let mut bytes = [0; 16];
    // A nonce that stays zero authenticates nobody falsely: the secret is
    // still needed. The sandbox is a development server.
    let _filled = getrandom::fill(&mut bytes);
    STANDARD.encode(bytes)
}

/// Whether `hash` proves knowledge of `secret`; compares in constant time.
pub(super) fn is_proof(secret: &str, nonce: &str, hash: &str) -> bool {
    let Ok(mut mac) = Hmac::<Md5>::new_from_slice(secret.as_bytes()) else { return false };
    mac.update(nonce.as_bytes());
    STANDARD.decode(hash).is_ok_and(|hash| mac.verify_slice(&hash).is_ok())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn accepts_the_reference_vector_and_nothing_else() {
        let (secret, nonce) = ("fleet-role-secret", "q7Zk2m0V");
        assert!(is_proof(secret, nonce, "1cgo46J9j1sCo1wIe8FqMg=="));
        for wrong in ["", "1cgo46J9j1sCo1wIe8FqMQ==", "1cgo46J9j1sCo1wIe8Fq", "%"] {
            assert!(!is_proof(secret, nonce, wrong));
        }
        assert_ne!(super::nonce(), super::nonce());
    }
}
