//! User status, blocking and revoking.

use serde::Deserialize;

use crate::requests::{ReadError, Reply, channel::or_default, define::request};

request! {
    /// Says that users are active now. The commercial server, v3 and later.
    ///
    /// Wire: `update_user_status`, docs/protocols/cent.md, 7.18.
    UpdateUserStatus("update_user_status", Yes) -> () = Reply::nothing;
    /// Names the users.
    new(users: &[&str]);
    /// Sets a state of the application's own. v5.1.1 and later.
    state: &str;
}

request! {
    /// Asks when users were active. The commercial server, v3 and later.
    ///
    /// Wire: `get_user_status`, docs/protocols/cent.md, 7.18.
    GetUserStatus("get_user_status", Yes) -> Vec<UserStatus> = statuses;
    /// Names the users.
    new(users: &[&str]);
}

/// When a user was active.
#[derive(Clone, Debug, Default, Deserialize, Eq, PartialEq)]
#[non_exhaustive]
#[serde(default)]
pub struct UserStatus {
    /// The user's id.
    #[serde(deserialize_with = "or_default")]
    pub user: String,
    /// When the user was active last, in seconds since 1970; 0 for never.
    #[serde(deserialize_with = "or_default")]
    pub active: i64,
    /// When the user was online last.
    #[serde(deserialize_with = "or_default")]
    pub online: i64,
    /// The application's own state. v5.1.1 and later.
    pub state: Option<String>,
}

fn statuses(reply: Reply<'_>) -> Result<Vec<UserStatus>, ReadError> {
    #[derive(Default, Deserialize)]
    #[serde(default)]
    struct Statuses {
        #[serde(deserialize_with = "or_default")]
        statuses: Vec<UserStatus>,
    }
    reply.parse::<Statuses>().map(|found| found.statuses)
}

request! {
    /// Forgets when users were active. The commercial server, v3 and later.
    ///
    /// Wire: `delete_user_status`, docs/protocols/cent.md, 7.18.
    DeleteUserStatus("delete_user_status", Yes) -> () = Reply::nothing;
    /// Names the users.
    new(users: &[&str]);
}

request! {
    /// Lets a user connect no more. The commercial server, v3.1 and later.
    ///
    /// Wire: `block_user`, docs/protocols/cent.md, 7.18.
    BlockUser("block_user", Yes) -> () = Reply::nothing;
    /// Names the user.
    new(user: &str);
    /// Until this second since 1970.
    expire_at: i64;
}

request! {
    /// Lets a user connect again. The commercial server, v3.1 and later.
    ///
    /// Wire: `unblock_user`, docs/protocols/cent.md, 7.18.
    UnblockUser("unblock_user", Yes) -> () = Reply::nothing;
    /// Names the user.
    new(user: &str);
}

request! {
    /// Makes a token worthless. The commercial server, v3.1 and later.
    ///
    /// Wire: `revoke_token`, docs/protocols/cent.md, 7.18.
    RevokeToken("revoke_token", Yes) -> () = Reply::nothing;
    /// Names the token by its `jti`.
    new(uid: &str);
    /// Until this second since 1970.
    expire_at: i64;
}

request! {
    /// Makes a user's tokens worthless. The commercial server, v3.1 and later.
    ///
    /// Wire: `invalidate_user_tokens`, docs/protocols/cent.md, 7.18.
    InvalidateUserTokens("invalidate_user_tokens", Yes) -> () = Reply::nothing;
    /// Names the user.
    new(user: &str);
    /// Those that were issued before this second since 1970.
    issued_before: i64;
    /// Until this second since 1970.
    expire_at: i64;
    /// Only tokens for this channel. v3.2.1 and later.
    channel: &str;
}
