//! What calls send, and what they make of answers.

use std::time::Duration;

use super::*;
use crate::schema::{Field, FieldType, SchemaDefinition};

fn config() -> Config {
    Config::new("localhost", 3104, Credentials::basic("app123", "a:b"))
}

fn prepared<T>(call: Result<Call<T>, Error>) -> Prepared {
    let config = config();
    call.unwrap().prepare(&config, &config.credentials).unwrap()
}

fn shape(prepared: &Prepared) -> (&str, &str, &str) {
    let path = prepared.url.strip_prefix("http://localhost:3104/api/v1").unwrap();
    let body = prepared.body.as_deref().unwrap_or_default();
    (prepared.method, path, std::str::from_utf8(body).unwrap())
}

#[test]
fn every_endpoint_is_asked_as_the_wire_has_it() {
    let schema = SchemaDefinition::new("tides", 1).field(Field::new("level", FieldType::Float));
    for (prepared, wanted) in [
        (
            prepared(publish("tides", &serde_json::json!({"level": 1.75}))),
            ("POST", "/streams/tides/publish", r#"{"payload":{"level":1.75}}"#),
        ),
        (
            prepared(define(&schema)),
            (
                "POST",
                "/streams/tides/define",
                r#"{"name":"tides","version":1,"fields":[{"name":"level","type":"float"}]}"#,
            ),
        ),
        (prepared(describe("tides")), ("GET", "/streams/tides/schema", "")),
        (
            prepared(Ok(versions_vector(&["a", "b"]))),
            ("POST", "/schema-versions-vector", r#"{"schemaNames":["a","b"]}"#),
        ),
        (
            prepared(Ok(create_client("c", "d"))),
            ("POST", "/client", r#"{"clientId":"c","description":"d"}"#),
        ),
        (prepared(delete_client("c")), ("DELETE", "/client/c", "")),
        (prepared(rotate_client_secret("c")), ("PUT", "/client/c", "")),
        (
            prepared(rotate_client_jwt_public_key("c", Some("PEM"))),
            ("PUT", "/client/c/jwt-public-key", r#"{"jwtPublicKey":"PEM"}"#),
        ),
        (
            prepared(rotate_client_jwt_public_key("c", None)),
            ("PUT", "/client/c/jwt-public-key", r#"{"jwtPublicKey":null}"#),
        ),
        (
            prepared(Ok(create_jail("j", "n", "c"))),
            ("POST", "/jails", r#"{"newClientId":"c","newJailId":"j","newJailName":"n"}"#),
        ),
        (prepared(delete_jail("j")), ("DELETE", "/jails/j", "")),
    ] {
        assert_eq!(shape(&prepared), wanted);
        let authorization = ("Authorization", "Basic YXBwMTIzOmE6Yg==".to_owned());
        assert!(prepared.headers.contains(&authorization));
    }
}

#[test]
fn a_name_never_leaves_its_segment() {
    for (name, path) in [
        ("a b", "/streams/a%20b/schema"),
        ("a/../b?c#d", "/streams/a%2F..%2Fb%3Fc%23d/schema"),
        ("ключ", "/streams/%D0%BA%D0%BB%D1%8E%D1%87/schema"),
        ("%2e", "/streams/%252e/schema"),
    ] {
        assert_eq!(shape(&prepared(describe(name))).1, path);
    }
    for name in ["", ".", ".."] {
        assert_eq!(describe(name).map(drop).unwrap_err().code(), "name");
    }
}

#[cfg(feature = "gzip")]
#[test]
fn long_bodies_are_compressed_unless_told_otherwise() {
    let long = serde_json::json!({"text": "x".repeat(10_000)});
    let call = publish("s", &long).unwrap();
    let packed = call.prepare(&config(), &config().credentials).unwrap();
    assert!(packed.headers.contains(&("Content-Encoding", "gzip".into())));
    assert!(packed.body.unwrap().len() < 1000);
    let config = config().without_gzip();
    let plain = call.prepare(&config, &config.credentials).unwrap();
    assert!(plain.body.unwrap().len() > 10_000);
    assert!(!plain.headers.iter().any(|(name, _)| *name == "Content-Encoding"));
}

#[test]
fn what_is_no_payload_and_who_has_no_secret_is_told_before_anything_is_sent() {
    for payload in [serde_json::json!(1), serde_json::json!("x"), serde_json::Value::Null] {
        assert_eq!(publish("s", &payload).map(drop).unwrap_err().code(), "encode");
    }
    let jwt = Credentials::jwt("c", "t0k3n");
    let error = publish("s", &[1; 0]).unwrap().prepare(&config(), &jwt).map(drop).unwrap_err();
    assert_eq!(error.code(), "jwt");
}

fn answered(status: u16, body: &str) -> Result<HttpAnswer, HttpError> {
    Ok(HttpAnswer { status, retry_after: Some(Duration::from_secs(3)), body: body.into() })
}

#[test]
fn refusals_keep_status_message_and_errors() {
    let call = publish("s", &[1; 0]).unwrap();
    let body = r#"{"message":"no","errors":["level: x","y"]}"#;
    let Err(Error::Refused(refusal)) = call.finish(answered(400, body)) else { panic!() };
    assert_eq!((refusal.status, refusal.message.as_str()), (Some(400), "no"));
    assert_eq!(refusal.errors, ["level: x", "y"]);
    assert_eq!(refusal.retry_after, Some(Duration::from_secs(3)));
    // A proxy's page, at most 1 KiB of it.
    let page = "é".repeat(10_000);
    let Err(Error::Refused(refusal)) = call.finish(answered(502, &page)) else { panic!() };
    assert!((1000..=1024).contains(&refusal.message.len()));
    assert!(Error::Refused(refusal).is_in_doubt());
    let Err(error) = call.finish(answered(301, "")) else { panic!() };
    assert!(!error.is_in_doubt() && !error.is_retryable());
    call.finish(answered(201, "")).unwrap();
}

#[test]
fn answers_are_read_and_others_are_told() {
    let vector = versions_vector(&["a", "b"]);
    let versions = vector.finish(answered(200, r#"{"versionsVector":[1,null]}"#)).unwrap();
    assert_eq!(versions, [Some(1.into()), None]);
    for body in ["", "[]", "<html>", r#"{"versionsVector":1}"#] {
        let error = vector.finish(answered(200, body)).unwrap_err();
        assert_eq!((error.code(), error.is_in_doubt()), ("answer", false), "{body}");
    }
    let described = describe("tides").unwrap();
    let body = r#"{"version":"1.0.0","fields":[],"more":1}"#;
    assert_eq!(described.finish(answered(200, body)).unwrap().version, "1.0.0".into());
    let lost = vector.finish(Err(HttpError::Timeout { is_sent: false })).unwrap_err();
    assert!(!lost.is_in_doubt() && lost.is_retryable());
}
