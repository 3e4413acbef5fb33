//! Close codes (RFC 6455, section 7.4).

use std::fmt;

/// A close code: a number on the wire, 1000 to 4999.
#[derive(Clone, Copy, Debug, Eq, Hash, Ord, PartialEq, PartialOrd)]
pub struct CloseCode(u16);

impl CloseCode {
    /// 1000: the purpose is fulfilled.
    pub const NORMAL: Self = Self(1000);
    /// 1001: the peer goes away.
    pub const GOING_AWAY: Self = Self(1001);
    /// 1002: a rule of the protocol was broken.
    pub const PROTOCOL: Self = Self(1002);
    /// 1003: data of a kind that cannot be accepted.
    pub const UNSUPPORTED: Self = Self(1003);
    /// 1007: a text message is not UTF-8.
    pub const INVALID_DATA: Self = Self(1007);
    /// 1008: a rule of the application was broken.
    pub const POLICY: Self = Self(1008);
    /// 1009: a message is too big.
    pub const TOO_BIG: Self = Self(1009);
    /// 1011: the peer failed unexpectedly.
    pub const INTERNAL: Self = Self(1011);

    /// Takes a code as it stands, allowed or not; see
    /// [`is_allowed_on_wire`](Self::is_allowed_on_wire).
    #[must_use]
    pub const fn new(code: u16) -> Self {
        Self(code)
    }

    /// Returns the number.
    #[must_use]
    pub const fn as_u16(self) -> u16 {
        self.0
    }

    /// Returns whether an endpoint may send the code: 1000 to 1003, 1007 to
    /// 1014 and 3000 to 4999.
    #[must_use]
    pub const fn is_allowed_on_wire(self) -> bool {
        matches!(self.0, 1000..=1003 | 1007..=1014 | 3000..=4999)
    }
}

impl fmt::Display for CloseCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}
