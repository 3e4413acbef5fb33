//! One request with its commands, whoever carries it.

use std::time::Duration;

use crate::{
    config::Config,
    error::Error,
    proto::{Command, HttpAnswer, HttpRequest, Outcome, decode, encode},
    transport::{Incoming, Outgoing},
    version::Dialect,
};

/// A request that is ready, and what is needed to read its answer.
pub(super) struct Exchange<'a> {
    dialect: Dialect,
    commands: &'a [Command],
    url: String,
    request: HttpRequest,
}

pub(super) fn begin<'a>(
    config: &Config,
    base: &str,
    commands: &'a [Command],
    parallel: bool,
) -> Exchange<'a> {
    let dialect = config.dialect();
    let request = encode(dialect, &config.credential, commands, parallel);
    Exchange { dialect, commands, url: format!("{base}{}", request.path), request }
}

impl Exchange<'_> {
    pub(super) fn outgoing(&self, timeout: Duration) -> Outgoing<'_> {
        let HttpRequest { headers, body, .. } = &self.request;
        Outgoing { url: &self.url, headers, body, timeout }
    }

    pub(super) fn end(&self, incoming: Result<Incoming, Error>) -> Result<Vec<Outcome>, Error> {
        let count = self.commands.len();
        let incoming = incoming.map_err(|error| error.with_doubt(count))?;
        let answer = HttpAnswer { status: incoming.status, body: &incoming.body };
        let mut outcomes =
            decode(self.dialect, self.commands, count != 1, answer).map_err(|mut error| {
                error.retry_after = incoming.retry_after;
                Error::Request(error)
            })?;
        for refused in outcomes.iter_mut().filter_map(|outcome| outcome.as_mut().err()) {
            refused.retry_after = incoming.retry_after;
        }
        Ok(outcomes)
    }
}
