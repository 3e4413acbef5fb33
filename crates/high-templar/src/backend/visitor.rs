//! The opening request of a user.

use std::fmt;

use crate::config::Compat;

/// Who wants to be let in, by what his opening request says. Its `Debug` shows nothing of
/// it.
#[derive(Clone)]
pub struct Visitor {
    request: ws_core::ServerRequest,
    /// How the server that asks behaves.
    pub(super) compat: Compat,
}

impl Visitor {
    pub(crate) const fn new(request: ws_core::ServerRequest, compat: Compat) -> Self {
        Self { request, compat }
    }

    /// Returns the first header of that name, if it is visible ASCII.
    #[must_use]
    pub fn header(&self, name: &str) -> Option<&str> {
        self.request.header(name)
    }

    /// Returns the value of a cookie.
    #[must_use]
    pub fn cookie(&self, name: &str) -> Option<&str> {
        let pairs = self.header("cookie")?.split(';');
        let mut pairs = pairs.filter_map(|pair| pair.trim().split_once('='));
        pairs.find(|(key, _)| *key == name).map(|(_, value)| value.trim_matches('"'))
    }

    /// Returns the first value of a query parameter, decoded; an empty one counts as
    /// none.
    #[must_use]
    pub fn query(&self, name: &str) -> Option<String> {
        let pairs = form_urlencoded::parse(self.request.query()?.as_bytes());
        let mut values = pairs.filter(|(key, _)| key == name).map(|(_, value)| value.into_owned());
        values.next().filter(|value| !value.is_empty())
    }
}

impl fmt::Debug for Visitor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Visitor")
    }
}
