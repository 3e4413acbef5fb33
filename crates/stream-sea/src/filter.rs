//! Filters: which messages the bearer of a token sees
//! (docs/protocols/stream-sea.md, 9.3).

use serde::Serialize;
use serde_json::{Value, json};

/// An expression that is evaluated on every message; what is not true, or cannot be
/// evaluated, is not delivered.
///
/// # Examples
///
/// ```
/// use stream_sea::Filter;
///
/// let north = Filter::path("$.station").eq("N4")
///     .and(Filter::path("$.level").eq(1.5).not());
/// ```
#[derive(Clone, Debug, Serialize)]
#[serde(transparent)]
pub struct Filter(Value);

impl Filter {
    /// The value at a path of the message, such as `$.position.lat` or
    /// `$.gauges[0].code`.
    #[must_use]
    pub fn path(path: &str) -> Self {
        Self(json!({"t": "path", "e": path}))
    }

    /// The name of the stream.
    #[must_use]
    pub fn stream_name() -> Self {
        Self(json!({"t": "meta", "e": "streamName"}))
    }

    /// Nothing.
    #[must_use]
    pub fn null() -> Self {
        Self(json!({"t": "null"}))
    }

    /// Whether both are the same.
    #[must_use]
    pub fn eq(self, other: impl Into<Self>) -> Self {
        Self(json!({"t": "eq", "e": [self.0, other.into().0]}))
    }

    /// Whether both hold.
    #[must_use]
    pub fn and(self, other: impl Into<Self>) -> Self {
        Self(json!({"t": "and", "e": [self.0, other.into().0]}))
    }

    /// Whether one of them holds.
    #[must_use]
    pub fn or(self, other: impl Into<Self>) -> Self {
        Self(json!({"t": "or", "e": [self.0, other.into().0]}))
    }

    /// Whether it does not hold.
    #[expect(clippy::should_implement_trait, reason = "the protocol's own word")]
    #[must_use]
    pub fn not(self) -> Self {
        Self(json!({"t": "not", "e": self.0}))
    }
}

impl From<&str> for Filter {
    fn from(text: &str) -> Self {
        Self(json!({"t": "string", "e": text}))
    }
}

impl From<f64> for Filter {
    fn from(number: f64) -> Self {
        Self(json!({"t": "number", "e": number}))
    }
}

impl From<i64> for Filter {
    fn from(number: i64) -> Self {
        Self(json!({"t": "number", "e": number}))
    }
}

impl From<bool> for Filter {
    fn from(value: bool) -> Self {
        Self(json!({"t": "bool", "e": value}))
    }
}
