//! Why TLS could not be opened, in words that a program can match.

use std::{error::Error as StdError, fmt, io, sync::Arc};

use rustls::CertificateError;

/// TLS could not be opened.
#[derive(Clone, Debug)]
pub struct TlsError {
    reason: TlsReason,
    source: Option<Arc<dyn StdError + Send + Sync>>,
}

/// What was wrong.
#[derive(Clone, Copy, Debug, Eq, Hash, PartialEq)]
#[non_exhaustive]
pub enum TlsReason {
    /// A root certificate of the caller cannot be read.
    BadRoot,
    /// The server's certificate is broken in another way.
    BadCertificate,
    /// The server's certificate has expired.
    Expired,
    /// The stream failed or ended during the handshake.
    Io,
    /// No protocol version or cipher that both sides know.
    Incompatible,
    /// No provider of cryptography: enable the feature `ring` or `aws-lc-rs`.
    NoProvider,
    /// Nobody to trust: enable `webpki-roots` or `platform-verifier`, or give
    /// a root certificate.
    NoRoots,
    /// What answers does not speak TLS.
    NotTls,
    /// The server's certificate is not valid yet.
    NotYetValid,
    /// The server refused, or broke a rule of TLS.
    Refused,
    /// The server's certificate was revoked.
    Revoked,
    /// The server's certificate comes from nobody that is trusted.
    UnknownIssuer,
    /// The server's certificate is for another name.
    WrongName,
}

impl TlsReason {
    /// Returns whether the next attempt will meet the same unless somebody acts:
    /// the certificate, or how TLS is set up.
    #[must_use]
    pub const fn is_lasting(self) -> bool {
        !matches!(self, Self::Io | Self::NotTls | Self::Refused)
    }

    /// Returns the reason in one word that does not change.
    #[must_use]
    pub const fn code(self) -> &'static str {
        match self {
            Self::BadRoot => "bad_root",
            Self::BadCertificate => "bad_certificate",
            Self::Expired => "certificate_expired",
            Self::Io => "tls_io",
            Self::Incompatible => "tls_incompatible",
            Self::NoProvider => "no_tls_provider",
            Self::NoRoots => "no_tls_roots",
            Self::NotTls => "not_tls",
            Self::NotYetValid => "certificate_not_yet_valid",
            Self::Refused => "tls_refused",
            Self::Revoked => "certificate_revoked",
            Self::UnknownIssuer => "unknown_issuer",
            Self::WrongName => "wrong_name",
        }
    }
}

impl TlsError {
    pub(super) fn new(reason: TlsReason, source: Option<Box<dyn StdError + Send + Sync>>) -> Self {
        Self { reason, source: source.map(Arc::from) }
    }

    /// Reads the reason out of what the handshake failed with.
    pub(super) fn of_handshake(error: io::Error) -> Self {
        let inner = error.get_ref().and_then(|inner| inner.downcast_ref::<rustls::Error>());
        Self::new(inner.map_or(TlsReason::Io, reason), Some(error.into()))
    }

    /// Returns what was wrong.
    #[must_use]
    pub const fn reason(&self) -> TlsReason {
        self.reason
    }
}

fn reason(error: &rustls::Error) -> TlsReason {
    use rustls::Error as E;
    match error {
        E::InvalidCertificate(certificate) => of_certificate(certificate),
        E::InvalidMessage(_) => TlsReason::NotTls,
        E::PeerIncompatible(_) | E::NoApplicationProtocol => TlsReason::Incompatible,
        E::AlertReceived(_) | E::PeerMisbehaved(_) => TlsReason::Refused,
        _ => TlsReason::Refused,
    }
}

fn of_certificate(error: &CertificateError) -> TlsReason {
    use CertificateError as C;
    match error {
        C::Expired | C::ExpiredContext { .. } => TlsReason::Expired,
        C::NotValidYet | C::NotValidYetContext { .. } => TlsReason::NotYetValid,
        C::Revoked => TlsReason::Revoked,
        C::UnknownIssuer => TlsReason::UnknownIssuer,
        C::NotValidForName | C::NotValidForNameContext { .. } => TlsReason::WrongName,
        // What signs itself has no issuer to trust.
        C::Other(other) if other.to_string().contains("CaUsedAsEndEntity") => {
            TlsReason::UnknownIssuer
        }
        _ => TlsReason::BadCertificate,
    }
}

impl fmt::Display for TlsError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.reason {
            TlsReason::BadRoot => "a root certificate cannot be read",
            TlsReason::BadCertificate => "the server's certificate cannot be accepted",
            TlsReason::Expired => "the server's certificate has expired",
            TlsReason::Io => "the connection failed during the TLS handshake",
            TlsReason::Incompatible => "no TLS version or cipher in common",
            TlsReason::NoProvider => "no TLS provider: enable the feature ring or aws-lc-rs",
            TlsReason::NoRoots => {
                "nobody to trust: enable webpki-roots or platform-verifier, or give a root"
            }
            TlsReason::NotTls => "what answers does not speak TLS",
            TlsReason::NotYetValid => "the server's certificate is not valid yet",
            TlsReason::Refused => "the server refused the TLS handshake",
            TlsReason::Revoked => "the server's certificate was revoked",
            TlsReason::UnknownIssuer => "the server's certificate comes from nobody trusted",
            TlsReason::WrongName => "the server's certificate is for another name",
        })
    }
}

impl StdError for TlsError {
    fn source(&self) -> Option<&(dyn StdError + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
