//! What both transports keep to.

use std::time::Duration;

/// Most of an answer's body that is read. Histories and presences of large
/// channels take megabytes.
pub(super) const MAX_BODY: usize = 64 << 20;

/// The seconds of a `Retry-After` header.
pub(super) fn retry_after(seconds: &str) -> Option<Duration> {
    // A day is longer than any server remembers.
    seconds.trim().parse().ok().map(|seconds: u64| Duration::from_secs(seconds.min(86_400)))
}
