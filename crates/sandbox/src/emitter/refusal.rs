//! What the broker says when it does not do something (docs/protocols/emitter.md, 10).

use serde::Serialize;

/// A refusal. Texts are free: nobody may compare them.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) struct Refusal {
    pub(super) status: u16,
    pub(super) message: &'static str,
}

#[derive(Serialize)]
struct Written {
    #[serde(skip_serializing_if = "is_zero")]
    req: u16,
    status: u16,
    message: &'static str,
}

impl Refusal {
    pub(super) const BAD_REQUEST: Self =
        Self { status: 400, message: "the request is not understood: look at key and channel" };
    pub(super) const UNAUTHORIZED: Self =
        Self { status: 401, message: "the key does not allow this" };
    pub(super) const FORBIDDEN: Self =
        Self { status: 403, message: "messages go to a channel without wildcards" };
    pub(super) const NOT_FOUND: Self = Self { status: 404, message: "no request has this name" };
    pub(super) const FULL: Self = Self { status: 500, message: "this development server is full" };

    /// The JSON for the request of packet `req`, 0 for none.
    pub(super) fn json(self, req: u16) -> String {
        json(&Written { req, status: self.status, message: self.message })
    }
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "serde asks by reference")]
pub(super) const fn is_zero(number: &u16) -> bool {
    *number == 0
}

/// JSON as the broker writes it: safe inside a page.
pub(super) fn json(value: &impl Serialize) -> String {
    // Strings, numbers and lists: there is nothing that could fail.
    let text = serde_json::to_string(value).unwrap_or_default();
    text.replace('&', "\\u0026").replace('<', "\\u003c").replace('>', "\\u003e")
}
