//! What happens, for whoever listens: events of `tracing` with the target
//! `high_templar`. No cookie, no token and no message is ever among it.

#[cfg(feature = "tracing")]
use tracing::{debug, info, warn};

use crate::{end::End, hooks::HookError};

/// Names arguments that nobody listens to.
#[cfg(not(feature = "tracing"))]
macro_rules! unheard {
    ($($argument:expr),*) => { $(let _unheard = &$argument;)* };
}

pub(crate) fn bootstrap_failed(status: u16, reason: &str) {
    #[cfg(feature = "tracing")]
    warn!(target: "high_templar", status, reason, "a user could not be let in or refused");
    #[cfg(not(feature = "tracing"))]
    unheard!(status, reason);
}

pub(crate) fn refused() {
    #[cfg(feature = "tracing")]
    info!(target: "high_templar", "a user is refused by the backend");
}

pub(crate) fn gone(number: u64, end: &End) {
    #[cfg(feature = "tracing")]
    match end {
        End::Slow => warn!(target: "high_templar", number, "a connection ends: it does not read"),
        end => debug!(target: "high_templar", number, ?end, "a connection ends"),
    }
    #[cfg(not(feature = "tracing"))]
    unheard!(number, end);
}

pub(crate) fn hook_failed(number: u64, error: &HookError) {
    #[cfg(feature = "tracing")]
    warn!(target: "high_templar", number, %error, "a connection ends: a hook has failed");
    #[cfg(not(feature = "tracing"))]
    unheard!(number, error);
}

pub(crate) fn trigger_refused(status: u16, reason: &str) {
    #[cfg(feature = "tracing")]
    warn!(target: "high_templar", status, reason, "a trigger is refused");
    #[cfg(not(feature = "tracing"))]
    unheard!(status, reason);
}

pub(crate) fn cannot_accept(error: &std::io::Error) {
    #[cfg(feature = "tracing")]
    warn!(target: "high_templar", %error, "a connection cannot be accepted");
    #[cfg(not(feature = "tracing"))]
    unheard!(error);
}
