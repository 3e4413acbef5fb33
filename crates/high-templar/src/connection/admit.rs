//! From the opening request to an open connection, or a refusal.

use std::sync::Arc;

use high_templar_client::AllowedRooms;
use ws_core::{CloseCode, CloseFrame, Connection, Limits, Message, ServerHandshake};

use crate::{
    backend::{Verdict, Visitor},
    frames,
    hooks::within,
    log,
    parts::Parts,
    rewind::Rewind,
};

/// Bytes on their way to the network, beside those that wait.
const MAX_OUT: usize = 64 << 10;

/// Asks who a user is, and opens the connection; nothing if that is its end.
pub(super) async fn admit(
    parts: &Parts,
    io: Rewind,
) -> Option<(Connection<Rewind>, Option<Arc<Visitor>>, AllowedRooms)> {
    let config = &parts.config;
    let limits = Limits::default().max_message(config.max_message).max_out(MAX_OUT);
    let handshake = tokio::time::timeout(config.handshake_timeout, ws_core::accept(io, limits));
    let handshake = handshake.await.ok()?.ok()?;
    let visitor = Visitor::new(handshake.request().clone(), config.compat);
    let asked = async {
        let bootstrap = parts.backend.bootstrap(&visitor);
        match &parts.hooks {
            Some(hooks) => tokio::join!(bootstrap, hooks.on_connect(&visitor)),
            None => (bootstrap.await, Ok(())),
        }
    };
    let verdict = match tokio::time::timeout(config.bootstrap_timeout, asked).await {
        Ok((Ok(verdict), Ok(()))) => Ok(verdict),
        Ok((Err(error), _)) => Err((error.status(), error.to_string())),
        Ok((_, Err(error))) => Err((502, error.to_string())),
        Err(_) => Err((504, "the backend takes too long".to_owned())),
    };
    let admitted = match verdict {
        Ok(verdict) => open(parts, handshake, verdict).await,
        Err((status, reason)) => {
            log::bootstrap_failed(status, &reason);
            // Whoever does not take the answer has gone by himself.
            let _answered = handshake.reject(status, "no answer of use from the backend\n").await;
            None
        }
    };
    match (admitted, &parts.hooks) {
        (Some((socket, allowed)), hooks) => {
            let visitor = hooks.as_ref().map(|_| Arc::new(visitor));
            Some((socket, visitor, allowed))
        }
        (None, Some(hooks)) => {
            let _gone = within(config, hooks.on_disconnect(&visitor)).await;
            None
        }
        (None, None) => None,
    }
}

/// Opens the connection; one that is refused is closed again.
async fn open(
    parts: &Parts,
    handshake: ServerHandshake<Rewind>,
    verdict: Verdict,
) -> Option<(Connection<Rewind>, AllowedRooms)> {
    let mut socket = handshake.accept(None).await.ok()?;
    socket.hold_close();
    match verdict {
        Verdict::Allowed(rooms) => Some((socket, rooms.into_iter().collect())),
        Verdict::Refused => {
            refuse(parts, socket).await;
            None
        }
    }
}

/// Tells a user that he is not let in.
async fn refuse(parts: &Parts, mut socket: Connection<Rewind>) {
    log::refused();
    parts.hub.counters.refused.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let text = Message::text(frames::refusal(parts.config.compat));
    let frame = CloseFrame::new(CloseCode::NORMAL, "");
    if socket.queue(&text).is_ok() {
        // Whoever does not answer is gone all the same.
        let _closed = socket.close(Some(&frame), parts.config.close_timeout).await;
    }
}
