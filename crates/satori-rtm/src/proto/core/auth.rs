//! Authentication: of every new connection, and when the application asks for it
//! (docs/protocols/satori-rtm.md, 6).

use std::{sync::Arc, time::Instant};

use client_core::{ConnectError, ConnectStep, after};

use super::{Control, Core, done};
use crate::{
    auth::{AuthDelegate, AuthNext, AuthReply, AuthStep},
    codec::{Field, Pdu},
    config::Delegate,
    error::{AuthError, Error},
    proto::pdu,
    value::Value,
};

/// An exchange that runs.
pub(super) struct Exchange {
    of: Of,
    /// What to do with the next answer.
    next: Option<AuthNext>,
    /// The request that it answers, once that was written.
    awaits: Option<u64>,
    /// The code of the service's refusal, if there was one.
    code: Option<String>,
    deadline: Instant,
}

#[derive(Clone, Copy, Debug, Eq, PartialEq)]
enum Of {
    /// The delegate of this number, for a new connection.
    Connection(usize),
    /// What the application asked for.
    Application,
}

/// What the application asks for, until it is answered.
pub(super) struct Asked<R> {
    delegate: Delegate,
    to: R,
    deadline: Instant,
}

impl<R> Core<R> {
    /// Authenticates by `delegate`, now or as soon as there is a connection; `to` is
    /// answered when it has succeeded or failed. One that has succeeded runs again on
    /// each later connection.
    pub fn authenticate(&mut self, now: Instant, delegate: Arc<dyn AuthDelegate>, to: R) {
        if self.link.is_closing() {
            return self.reply(to, Err(Error::Closed));
        }
        if self.asked.is_some() {
            let reason = "Authentication is already in progress";
            return self.reply(to, Err(Error::misuse("auth_in_progress", reason)));
        }
        let deadline = after(now, self.config.auth_timeout);
        self.asked = Some(Asked { delegate: Delegate(delegate), to, deadline });
        if self.link.is_live() {
            self.begin_asked(now);
        }
    }

    /// Authenticates a new connection, one delegate after the other; then it is live.
    pub(super) fn authenticate_connection(&mut self, now: Instant, number: usize) {
        match self.delegates.get(number).cloned() {
            Some(delegate) => self.begin(now, Of::Connection(number), &delegate),
            None => self.go_live(now),
        }
    }

    pub(super) fn begin_asked(&mut self, now: Instant) {
        if let Some(delegate) = self.asked.as_ref().map(|asked| asked.delegate.clone()) {
            self.begin(now, Of::Application, &delegate);
        }
    }

    fn begin(&mut self, now: Instant, of: Of, delegate: &Delegate) {
        let deadline = after(now, self.config.auth_timeout);
        self.exchange = Some(Exchange { of, next: None, awaits: None, code: None, deadline });
        self.advance(now, delegate.0.start());
    }

    fn advance(&mut self, now: Instant, step: AuthStep) {
        match step {
            AuthStep::Handshake { method, data, next } => {
                self.ask(now, pdu::AUTH_HANDSHAKE, &method, ("data", &data), next);
            }
            AuthStep::Authenticate { method, credentials, next } => {
                let proof = ("credentials", &credentials);
                self.ask(now, pdu::AUTH_AUTHENTICATE, &method, proof, next);
            }
            AuthStep::Done => self.authenticated(now),
            AuthStep::Error { message } => self.unauthenticated(now, message),
        }
    }

    fn ask(
        &mut self,
        now: Instant,
        action: &'static str,
        method: &str,
        (name, value): (&str, &Value),
        next: AuthNext,
    ) {
        let fields = [("method", Field::Text(method)), (name, Field::Value(value))];
        match self.config.protocol.body(&fields) {
            Ok(body) => {
                if let Some(exchange) = &mut self.exchange {
                    exchange.next = Some(next);
                }
                self.control.push_back(Control::Auth { action, body });
            }
            Err(error) => self.unauthenticated(now, error.to_string()),
        }
    }

    /// The step of the exchange is on its way, as the request `id`.
    pub(super) fn auth_sent(&mut self, id: u64) {
        if let Some(exchange) = &mut self.exchange {
            exchange.awaits = Some(id);
        }
    }

    pub(super) fn handle_auth(
        &mut self,
        now: Instant,
        id: u64,
        action: &str,
        ok: bool,
        pdu: &Pdu<'_>,
    ) {
        let awaited = self.exchange.as_mut().filter(|exchange| exchange.awaits == Some(id));
        // It may answer an exchange that was given up.
        let Some(exchange) = awaited else { return self.stray() };
        let Some(next) = exchange.next.take() else { return self.stray() };
        let reply = if ok {
            let data = pdu.body.and_then(|body| body.field("data"));
            let data = data.and_then(|data| data.decode().ok()).unwrap_or(Value::Null);
            AuthReply::Ok { data }
        } else {
            let refusal = pdu::refusal(pdu, action);
            let message = if refusal.reason.is_empty() { &refusal.code } else { &refusal.reason };
            let message = message.clone();
            exchange.code = Some(refusal.code);
            AuthReply::Error { message }
        };
        self.advance(now, next(reply));
    }

    fn authenticated(&mut self, now: Instant) {
        match self.exchange.take().map(|exchange| exchange.of) {
            None => {}
            Some(Of::Connection(number)) => self.authenticate_connection(now, number + 1),
            Some(Of::Application) => {
                let Some(Asked { delegate, to, .. }) = self.asked.take() else { return };
                // The newest of one name takes the place of the one before.
                let name = delegate.0.name();
                match self.delegates.iter_mut().find(|known| known.0.name() == name) {
                    Some(known) => *known = delegate,
                    None => self.delegates.push(delegate),
                }
                self.reply(to, done());
            }
        }
    }

    fn unauthenticated(&mut self, now: Instant, message: String) {
        let Some(Exchange { of, code, .. }) = self.exchange.take() else { return };
        let code = code.unwrap_or_else(|| "auth_delegate".to_owned());
        let error = Error::Auth(AuthError { code, message });
        match of {
            Of::Connection(_) => self.fail(now, error),
            Of::Application => self.answer_asked(error),
        }
    }

    fn answer_asked(&mut self, error: Error) {
        if let Some(asked) = self.asked.take() {
            self.reply(asked.to, Err(error));
        }
    }

    /// The connection is gone, and with it the exchange that ran on it. One that the
    /// application asked for and that has not begun waits for the next connection.
    pub(super) fn auth_lost(&mut self, cause: Option<&Error>) {
        if let Some(Exchange { of: Of::Application, .. }) = self.exchange.take() {
            self.answer_asked(cause.cloned().unwrap_or(Error::Closed));
        }
    }

    /// The client stands still: nobody will authenticate.
    pub(super) fn auth_given_up(&mut self, error: &Error) {
        self.exchange = None;
        self.answer_asked(error.clone());
    }

    pub(super) fn auth_deadline(&self) -> Option<Instant> {
        let exchange = self.exchange.as_ref().map(|exchange| exchange.deadline);
        let asked = self.asked.as_ref().map(|asked| asked.deadline);
        exchange.into_iter().chain(asked).min()
    }

    pub(super) fn auth_timeout(&mut self, now: Instant) {
        if let Some(exchange) = &self.exchange
            && exchange.deadline <= now
        {
            let of = exchange.of;
            self.exchange = None;
            self.control.retain(|control| !matches!(control, Control::Auth { .. }));
            if let Of::Connection(_) = of {
                let error = ConnectError::new(ConnectStep::Auth, &self.config.endpoint);
                self.fail(now, Error::Connect(error.timed_out()));
            }
        }
        if self.asked.as_ref().is_some_and(|asked| asked.deadline <= now) {
            if matches!(&self.exchange, Some(Exchange { of: Of::Application, .. })) {
                self.exchange = None;
                self.control.retain(|control| !matches!(control, Control::Auth { .. }));
            }
            self.answer_asked(Error::Timeout);
        }
    }
}
