//! Tokens for subscribers, and the keys that sign them
//! (docs/protocols/stream-sea.md, 9).

use std::fmt;

use aws_lc_rs::{
    encoding::AsDer,
    rand::SystemRandom,
    rsa,
    signature::{KeyPair as _, RSA_PKCS1_SHA512, RsaKeyPair},
};
use base64::{
    Engine,
    engine::general_purpose::{STANDARD, URL_SAFE_NO_PAD},
};
use serde::Serialize;

use crate::{error::Error, filter::Filter};

/// What a token says.
///
/// # Examples
///
/// ```
/// use stream_sea::{Claims, Filter, KeyPair};
///
/// let keys = KeyPair::generate()?;
/// // The owner stores the public key once: Client::rotate_client_jwt_public_key.
/// println!("{}", keys.public_pem());
/// let token = keys.sign(&Claims::new(1_893_456_000).filter(Filter::path("$.station").eq("N4")))?;
/// # Ok::<(), stream_sea::Error>(())
/// ```
#[derive(Clone, Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Claims {
    exp: u64,
    must_fanout: bool,
    #[serde(skip_serializing_if = "Option::is_none")]
    filter: Option<Filter>,
}

impl Claims {
    /// Lets its bearer subscribe to every stream of the client's jail until `exp`,
    /// in seconds since 1970, in a group of its own only.
    #[must_use]
    pub const fn new(exp: u64) -> Self {
        Self { exp, must_fanout: true, filter: None }
    }

    /// Lets the bearer share the client's default group: it may then take messages
    /// away from the client's own processes.
    #[must_use]
    pub const fn may_share(mut self) -> Self {
        self.must_fanout = false;
        self
    }

    /// Shows the bearer only the messages for which `filter` holds.
    #[must_use]
    pub fn filter(mut self, filter: Filter) -> Self {
        self.filter = Some(filter);
        self
    }
}

/// An RSA key pair of 2,048 bits or more.
pub struct KeyPair {
    keys: RsaKeyPair,
    private: Vec<u8>,
}

impl KeyPair {
    /// Makes a new pair of 2,048 bits, exponent 65,537.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `key` if the system has no randomness.
    pub fn generate() -> Result<Self, Error> {
        let wrong = |_| Error::misuse("key", "a key cannot be made here");
        let keys = RsaKeyPair::generate(rsa::KeySize::Rsa2048).map_err(wrong)?;
        let document = keys.as_der().map_err(wrong)?;
        // What the tools of this protocol read is inside.
        let private = inner_key(document.as_ref()).unwrap_or_else(|| document.as_ref()).to_vec();
        Ok(Self { keys, private })
    }

    /// Reads a private key, in the PEM forms `RSA PRIVATE KEY` (PKCS#1) and
    /// `PRIVATE KEY` (PKCS#8).
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `key` if it is none.
    pub fn from_private_pem(pem: &str) -> Result<Self, Error> {
        let wrong = || Error::misuse("key", "it is no RSA PRIVATE KEY or PRIVATE KEY in PEM form");
        let der = from_pem(pem, "RSA PRIVATE KEY").or_else(|| from_pem(pem, "PRIVATE KEY"));
        let der = der.ok_or_else(wrong)?;
        let keys = RsaKeyPair::from_der(&der).or_else(|_| RsaKeyPair::from_pkcs8(&der));
        let keys = keys.map_err(|_| wrong())?;
        let private = inner_key(&der).unwrap_or(&der).to_vec();
        Ok(Self { keys, private })
    }

    /// Returns the private key as `RSA PRIVATE KEY`.
    #[must_use]
    pub fn private_pem(&self) -> String {
        to_pem(&self.private, "RSA PRIVATE KEY")
    }

    /// Returns the public key as `RSA PUBLIC KEY`, for
    /// [`rotate_client_jwt_public_key`](crate::Client::rotate_client_jwt_public_key).
    #[must_use]
    pub fn public_pem(&self) -> String {
        to_pem(self.keys.public_key().as_ref(), "RSA PUBLIC KEY")
    }

    /// Signs a token with RS512.
    ///
    /// # Errors
    ///
    /// [`Error::Misuse`] with code `key` if it cannot be signed.
    pub fn sign(&self, claims: &Claims) -> Result<String, Error> {
        let wrong = || Error::misuse("key", "the token cannot be signed");
        let claims = serde_json::to_vec(claims).map_err(|_| wrong())?;
        let header = URL_SAFE_NO_PAD.encode(r#"{"alg":"RS512","typ":"JWT"}"#);
        let mut token = format!("{header}.{}", URL_SAFE_NO_PAD.encode(claims));
        let mut signature = vec![0; self.keys.public_modulus_len()];
        let random = SystemRandom::new();
        self.keys
            .sign(&RSA_PKCS1_SHA512, &random, token.as_bytes(), &mut signature)
            .map_err(|_| wrong())?;
        token.push('.');
        token.push_str(&URL_SAFE_NO_PAD.encode(signature));
        Ok(token)
    }
}

impl fmt::Debug for KeyPair {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("KeyPair").finish_non_exhaustive()
    }
}

impl Drop for KeyPair {
    fn drop(&mut self) {
        self.private.fill(0);
        std::hint::black_box(&self.private);
    }
}

fn to_pem(der: &[u8], label: &str) -> String {
    let text = STANDARD.encode(der);
    let mut pem = format!("-----BEGIN {label}-----\n");
    for line in text.as_bytes().chunks(64) {
        pem.push_str(&String::from_utf8_lossy(line));
        pem.push('\n');
    }
    pem.push_str(&format!("-----END {label}-----\n"));
    pem
}

fn from_pem(pem: &str, label: &str) -> Option<Vec<u8>> {
    let body = pem.split_once(&format!("-----BEGIN {label}-----"))?.1;
    let body = body.split_once(&format!("-----END {label}-----"))?.0;
    STANDARD.decode(body.split_whitespace().collect::<String>()).ok()
}

/// The PKCS#1 key inside a PKCS#8 document: its last element, an octet string.
fn inner_key(pkcs8: &[u8]) -> Option<&[u8]> {
    let (0x30, document, _) = element(pkcs8)? else { return None };
    let (0x02, _, rest) = element(document)? else { return None };
    // In PKCS#1 the modulus stands here.
    let (0x30, _, rest) = element(rest)? else { return None };
    let (0x04, key, _) = element(rest)? else { return None };
    Some(key)
}

/// The first element of DER: its tag, its content, and what follows it.
fn element(der: &[u8]) -> Option<(u8, &[u8], &[u8])> {
    let (tag, rest) = der.split_first()?;
    let (first, rest) = rest.split_first()?;
    let (length, rest) = match first {
        length @ 0..=0x7f => (usize::from(*length), rest),
        long => {
            let (bytes, rest) = rest.split_at_checked(usize::from(long & 0x7f).min(9))?;
            let length = bytes.iter().try_fold(0_usize, |length, byte| {
                Some(length.checked_mul(256)? + usize::from(*byte))
            })?;
            (length, rest)
        }
    };
    let (content, rest) = rest.split_at_checked(length)?;
    Some((*tag, content, rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_written_and_read_in_both_forms() {
        let keys = KeyPair::generate().unwrap();
        assert!(keys.private_pem().starts_with("-----BEGIN RSA PRIVATE KEY-----\nMII"));
        assert!(keys.public_pem().starts_with("-----BEGIN RSA PUBLIC KEY-----\nMII"));
        let again = KeyPair::from_private_pem(&keys.private_pem()).unwrap();
        assert_eq!(again.public_pem(), keys.public_pem());
        assert_eq!(again.private_pem(), keys.private_pem());
        for wrong in
            ["", "x", "-----BEGIN RSA PRIVATE KEY-----\nAA==\n-----END RSA PRIVATE KEY-----"]
        {
            assert_eq!(KeyPair::from_private_pem(wrong).unwrap_err().code(), "key");
        }
        assert!(!format!("{keys:?}").contains("MII"));
    }

    #[test]
    fn a_token_has_the_header_of_the_tools_and_the_claims() {
        let keys = KeyPair::generate().unwrap();
        let claims = Claims::new(1_893_456_000).filter(Filter::path("$.a").eq(1_i64));
        let token = keys.sign(&claims).unwrap();
        let parts: Vec<&str> = token.split('.').collect();
        let part =
            |at: usize| String::from_utf8(URL_SAFE_NO_PAD.decode(parts[at]).unwrap()).unwrap();
        assert_eq!(part(0), r#"{"alg":"RS512","typ":"JWT"}"#);
        assert_eq!(
            part(1),
            r#"{"exp":1893456000,"mustFanout":true,"filter":{"e":[{"e":"$.a","t":"path"},{"e":1,"t":"number"}],"t":"eq"}}"#
        );
        let public = aws_lc_rs::signature::UnparsedPublicKey::new(
            &aws_lc_rs::signature::RSA_PKCS1_2048_8192_SHA512,
            from_pem(&keys.public_pem(), "RSA PUBLIC KEY").unwrap(),
        );
        let signed = format!("{}.{}", parts[0], parts[1]);
        let signature = URL_SAFE_NO_PAD.decode(parts[2]).unwrap();
        public.verify(signed.as_bytes(), &signature).unwrap();
    }
}
