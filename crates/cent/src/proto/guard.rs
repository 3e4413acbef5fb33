//! What each version of the server knows. A server drops what it does not know
//! without a word, so the client refuses it before anything is sent
//! (docs/protocols/cent.md, 6 and 7).

use crate::{
    error::{Error, Unsupported},
    version::Version,
};

/// A method or a field of one, and the versions that have it.
struct Row {
    method: &'static str,
    /// Empty for the method itself.
    field: &'static str,
    from: Version,
    /// The first version that has it no more.
    until: Version,
}

const FOREVER: Version = Version::newest(u8::MAX);

const fn since(method: &'static str, field: &'static str, from: [u8; 3]) -> Row {
    Row { method, field, from: Version::new(from[0], from[1], from[2]), until: FOREVER }
}

const fn between(method: &'static str, field: &'static str, from: [u8; 3], until: [u8; 3]) -> Row {
    let until = Version::new(until[0], until[1], until[2]);
    Row { method, field, from: Version::new(from[0], from[1], from[2]), until }
}

/// Rows of one method stand together.
static ROWS: &[Row] = &[
    since("publish", "", [0, 0, 0]),
    since("publish", "channel", [0, 0, 0]),
    since("publish", "data", [0, 0, 0]),
    between("publish", "client", [1, 0, 0], [2, 0, 0]),
    between("publish", "uid", [1, 7, 7], [2, 2, 0]),
    since("publish", "b64data", [4, 0, 2]),
    since("publish", "skip_history", [3, 0, 0]),
    since("publish", "tags", [3, 2, 0]),
    since("publish", "idempotency_key", [5, 2, 0]),
    since("publish", "delta", [5, 4, 0]),
    since("publish", "version", [6, 2, 0]),
    since("publish", "version_epoch", [6, 2, 0]),
    since("broadcast", "", [1, 2, 0]),
    since("broadcast", "channels", [1, 2, 0]),
    since("broadcast", "data", [1, 2, 0]),
    between("broadcast", "client", [1, 2, 0], [2, 0, 0]),
    between("broadcast", "uid", [2, 0, 0], [2, 2, 0]),
    since("broadcast", "b64data", [3, 0, 0]),
    since("broadcast", "skip_history", [3, 0, 0]),
    since("broadcast", "tags", [3, 2, 0]),
    since("broadcast", "idempotency_key", [5, 2, 0]),
    since("broadcast", "delta", [5, 4, 0]),
    since("broadcast", "version", [6, 2, 0]),
    since("broadcast", "version_epoch", [6, 2, 0]),
    since("subscribe", "", [3, 0, 0]),
    since("subscribe", "user", [3, 0, 0]),
    since("subscribe", "channel", [3, 0, 0]),
    since("subscribe", "expire_at", [3, 0, 0]),
    since("subscribe", "info", [3, 0, 0]),
    since("subscribe", "b64info", [6, 9, 0]),
    since("subscribe", "client", [3, 0, 0]),
    since("subscribe", "session", [3, 2, 0]),
    since("subscribe", "data", [3, 0, 0]),
    since("subscribe", "b64data", [6, 9, 0]),
    since("subscribe", "recover_since", [3, 0, 0]),
    since("subscribe", "override.force_positioning", [4, 0, 0]),
    since("subscribe", "override.force_push_join_leave", [4, 0, 0]),
    since("subscribe", "override.force_recovery", [4, 0, 0]),
    since("subscribe", "override.join_leave", [3, 0, 0]),
    between("subscribe", "override.position", [3, 0, 0], [4, 0, 0]),
    since("subscribe", "override.presence", [3, 0, 0]),
    between("subscribe", "override.recover", [3, 0, 0], [4, 0, 0]),
    since("unsubscribe", "", [0, 0, 0]),
    since("unsubscribe", "user", [0, 0, 0]),
    since("unsubscribe", "channel", [0, 0, 0]),
    since("unsubscribe", "client", [3, 0, 0]),
    since("unsubscribe", "session", [3, 2, 0]),
    since("disconnect", "", [0, 0, 0]),
    since("disconnect", "user", [0, 0, 0]),
    since("disconnect", "client", [3, 0, 0]),
    since("disconnect", "session", [3, 2, 0]),
    since("disconnect", "whitelist", [3, 0, 0]),
    since("disconnect", "disconnect", [3, 0, 0]),
    since("refresh", "", [3, 0, 0]),
    since("refresh", "user", [3, 0, 0]),
    since("refresh", "client", [3, 0, 0]),
    since("refresh", "session", [3, 2, 0]),
    since("refresh", "expired", [3, 0, 0]),
    since("refresh", "expire_at", [3, 0, 0]),
    since("refresh", "info", [3, 0, 0]),
    since("presence", "", [0, 0, 0]),
    since("presence", "channel", [0, 0, 0]),
    since("presence_stats", "", [2, 0, 0]),
    since("presence_stats", "channel", [2, 0, 0]),
    since("history", "", [0, 0, 0]),
    since("history", "channel", [0, 0, 0]),
    since("history", "limit", [3, 0, 0]),
    since("history", "since", [3, 0, 0]),
    since("history", "reverse", [3, 0, 0]),
    since("history_remove", "", [2, 0, 0]),
    since("history_remove", "channel", [2, 0, 0]),
    since("batch", "", [0, 0, 0]),
    since("batch", "parallel", [5, 2, 0]),
    since("channels", "", [0, 3, 0]),
    since("channels", "pattern", [3, 0, 0]),
    between("stats", "", [1, 0, 0], [2, 0, 0]),
    between("node", "", [1, 4, 0], [2, 0, 0]),
    since("info", "", [2, 0, 0]),
    since("rpc", "", [2, 6, 0]),
    since("rpc", "method", [2, 6, 0]),
    since("rpc", "params", [2, 6, 0]),
    // Map channels and shared polls.
    since("map_publish", ANY, [6, 8, 0]),
    since("map_remove", ANY, [6, 8, 0]),
    since("map_read_state", ANY, [6, 8, 0]),
    since("map_read_stream", ANY, [6, 8, 0]),
    since("map_stats", ANY, [6, 8, 0]),
    since("map_clear", ANY, [6, 8, 0]),
    since("shared_poll_publish", ANY, [6, 8, 0]),
    // The commercial server.
    between("user_connections", "", [3, 0, 0], [4, 0, 0]),
    between("user_connections", "user", [3, 0, 0], [4, 0, 0]),
    since("connections", ANY, [4, 0, 0]),
    since("connections", "label_filter", [6, 8, 2]),
    since("update_user_status", ANY, [3, 0, 0]),
    since("update_user_status", "state", [5, 1, 1]),
    since("get_user_status", ANY, [3, 0, 0]),
    since("delete_user_status", ANY, [3, 0, 0]),
    since("block_user", ANY, [3, 1, 0]),
    since("unblock_user", ANY, [3, 1, 0]),
    since("revoke_token", ANY, [3, 1, 0]),
    since("invalidate_user_tokens", ANY, [3, 1, 0]),
    since("invalidate_user_tokens", "channel", [3, 2, 1]),
    // v4.1.3 has them with other fields.
    since("device_register", ANY, [5, 0, 0]),
    since("device_update", ANY, [5, 0, 0]),
    since("device_remove", ANY, [5, 0, 0]),
    since("device_list", ANY, [5, 0, 0]),
    since("device_list", "include_webpush_keys", [6, 8, 2]),
    since("device_topic_list", ANY, [5, 0, 0]),
    since("device_topic_update", ANY, [5, 0, 0]),
    since("device_topic_update", "user", [6, 8, 2]),
    since("user_topic_list", ANY, [5, 0, 0]),
    since("user_topic_update", ANY, [5, 0, 0]),
    since("send_push_notification", ANY, [5, 0, 0]),
    since("update_push_status", ANY, [5, 0, 0]),
    since("cancel_push", ANY, [5, 0, 3]),
];

/// The method itself, and each of its fields that has no row of its own.
const ANY: &str = "*";

/// Refuses a method, or a field of one, that `version` does not know.
pub(crate) fn check(
    version: Version,
    method: &'static str,
    fields: impl IntoIterator<Item = &'static str>,
) -> Result<(), Error> {
    let begins = ROWS.iter().position(|row| row.method == method).unwrap_or(ROWS.len());
    let rows = || ROWS.iter().skip(begins).take_while(|row| row.method == method);
    for field in std::iter::once("").chain(fields) {
        let row_of = |field| rows().find(|row| row.field == field);
        let row = row_of(field).or_else(|| row_of(ANY));
        // A field without a row is one that this crate should not send at all.
        let known = row.is_some_and(|row| row.from <= version && version < row.until);
        if !known {
            let span = row.map(|row| (row.from, (row.until != FOREVER).then_some(row.until)));
            return Err(Error::Unsupported(Unsupported { version, method, field, span }));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn known(version: Version, method: &'static str, field: &'static str) -> bool {
        let fields = (!field.is_empty()).then_some(field);
        check(version, method, fields).is_ok()
    }

    /// The tables of methods and fields by generation, written a second time as
    /// the generations that have each.
    #[test]
    fn each_generation_has_what_its_table_says() {
        for (method, field, generations) in [
            ("publish", "", "123456"),
            ("publish", "client", "1"),
            ("publish", "uid", "1"),
            ("publish", "b64data", "456"),
            ("publish", "skip_history", "3456"),
            ("publish", "tags", "3456"),
            ("publish", "idempotency_key", "56"),
            ("publish", "delta", "56"),
            ("publish", "version", "6"),
            ("publish", "version_epoch", "6"),
            ("broadcast", "", "123456"),
            ("broadcast", "b64data", "3456"),
            ("subscribe", "", "3456"),
            ("unsubscribe", "", "123456"),
            ("unsubscribe", "client", "3456"),
            ("disconnect", "", "123456"),
            ("disconnect", "whitelist", "3456"),
            ("refresh", "", "3456"),
            ("presence", "", "123456"),
            ("presence_stats", "", "23456"),
            ("history", "", "123456"),
            ("history", "limit", "3456"),
            ("history", "since", "3456"),
            ("history_remove", "", "23456"),
            ("channels", "", "123456"),
            ("channels", "pattern", "3456"),
            ("stats", "", "1"),
            ("node", "", "1"),
            ("info", "", "23456"),
            ("rpc", "", "23456"),
            ("batch", "parallel", "56"),
        ] {
            for major in 1..=6 {
                let has = generations.contains(char::from(b'0' + major));
                assert_eq!(
                    known(Version::newest(major), method, field),
                    has,
                    "v{major} {method}.{field}"
                );
            }
        }
    }

    #[test]
    fn rows_of_one_method_stand_together() {
        let mut seen: Vec<&str> = Vec::new();
        for row in ROWS {
            if seen.last() != Some(&row.method) {
                assert!(!seen.contains(&row.method), "{}", row.method);
                seen.push(row.method);
            }
        }
    }

    #[test]
    fn a_release_before_a_field_does_not_have_it() {
        for (method, field, before, first) in [
            ("publish", "uid", [1, 7, 6], [1, 7, 7]),
            ("publish", "tags", [3, 1, 9], [3, 2, 0]),
            ("publish", "b64data", [4, 0, 1], [4, 0, 2]),
            ("publish", "idempotency_key", [5, 1, 9], [5, 2, 0]),
            ("publish", "delta", [5, 3, 9], [5, 4, 0]),
            ("publish", "version", [6, 1, 0], [6, 2, 0]),
            ("rpc", "", [2, 5, 9], [2, 6, 0]),
            ("node", "", [1, 3, 0], [1, 4, 0]),
            ("unsubscribe", "session", [3, 1, 2], [3, 2, 0]),
        ] {
            let version = |[a, b, c]: [u8; 3]| Version::new(a, b, c);
            assert!(!known(version(before), method, field), "{method}.{field}");
            assert!(known(version(first), method, field), "{method}.{field}");
        }
        let refused = check(Version::new(2, 2, 0), "publish", ["channel", "uid"]).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Centrifugo 2.2.0 has no publish.uid: it came with 1.7.7 and went with 2.2.0"
        );
        assert!(!known(Version::newest(6), "nonsense", ""));
    }
}
