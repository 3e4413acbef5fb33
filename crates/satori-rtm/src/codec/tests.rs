//! Both encodings against the vectors of the original, each other, and another
//! library.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde::Serialize;

use super::*;

fn hex(text: &str) -> Vec<u8> {
    let digits: Vec<u8> = text.bytes().filter(u8::is_ascii_hexdigit).collect();
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).unwrap(), 16).unwrap();
    digits.chunks(2).map(byte).collect()
}

fn cbor(value: &Value) -> Vec<u8> {
    match Protocol::Cbor.message(value).unwrap() {
        Payload::Cbor(bytes) => bytes,
        Payload::Json(_) => panic!("not CBOR"),
    }
}

/// docs/protocols/satori-rtm.md, 5.
#[test]
fn cbor_requests_are_the_vectors_of_the_protocol() {
    let protocol = Protocol::Cbor;
    let van = Value::from([("van", Value::from(7)), ("raw", Value::Bytes(vec![0, 255, 16]))]);
    let message = protocol.message(&van).unwrap();
    let fields = [("channel", Field::Text("fleet")), ("message", Field::Message(&message))];
    let body = protocol.body(&fields).unwrap();
    let expected = hex(
        "a366616374696f6e6b72746d2f7075626c6973686269640464626f6479a2676368616e6e656c65666c656574
         676d657373616765a26376616e07637261774300ff10",
    );
    assert_eq!(body.pdu("rtm/publish", Some(4)), Transmit::Binary(expected));
    let body = protocol.body(&[("subscription_id", Field::Text("fleet"))]).unwrap();
    let expected = hex(
        "a266616374696f6e6f72746d2f756e73756273637269626564626f6479a16f737562736372697074696f6e
         5f696465666c656574",
    );
    assert_eq!(body.pdu("rtm/unsubscribe", None), Transmit::Binary(expected));
}

#[test]
fn cbor_answers_are_read_from_the_vectors_of_the_protocol() {
    let ok =
        hex("a366616374696f6e6e72746d2f7075626c6973682f6f6b6269640464626f6479a168706f736974696f6e
         6d313730303030303030303a3431");
    let pdu = Protocol::Cbor.pdu(Input::Binary(&ok)).unwrap();
    assert_eq!(pdu.action, "rtm/publish/ok");
    assert!(matches!(pdu.id, Some(Id::Number(4))));
    let body: Value = pdu.body.unwrap().decode().unwrap();
    assert_eq!(body.to_string(), r#"{"position":"1700000000:41"}"#);
    let data = hex(
        "a266616374696f6e7572746d2f737562736372697074696f6e2f6461746164626f6479a368706f73697469
         6f6e6d313730303030303030303a3433686d6573736167657385f622fb400400000000000062c3a941016f
         737562736372697074696f6e5f696465666c656574",
    );
    let mut pdu = Protocol::Cbor.pdu(Input::Binary(&data)).unwrap();
    let data = pdu.data().unwrap();
    assert_eq!(
        (&*data.subscription_id, data.position.as_deref()),
        ("fleet", Some("1700000000:43"))
    );
    let messages: Vec<Value> = data.messages.iter().map(|raw| raw.decode().unwrap()).collect();
    assert_eq!(Value::List(messages).to_string(), r#"[null,-3,2.5,"é",h'01']"#);
}

#[test]
fn json_requests_have_an_id_or_not() {
    let protocol = Protocol::Json;
    let message = protocol.message("p").unwrap();
    let fields = [("channel", Field::Text("fl\"eet")), ("message", Field::Message(&message))];
    let body = protocol.body(&fields).unwrap();
    let with = r#"{"action":"rtm/publish","id":3,"body":{"channel":"fl\"eet","message":"p"}}"#;
    assert_eq!(body.pdu("rtm/publish", Some(3)), Transmit::Text(with.into()));
    let without = r#"{"action":"rtm/publish","body":{"channel":"fl\"eet","message":"p"}}"#;
    assert_eq!(body.pdu("rtm/publish", None), Transmit::Text(without.into()));
}

#[test]
fn json_answers_have_ids_of_both_types_and_may_have_no_body() {
    let read = |text| Protocol::Json.pdu(Input::Text(text)).unwrap();
    let pdu = read(r#"{"action":"rtm/publish/ok","id":3}"#);
    assert!(matches!(pdu.id, Some(Id::Number(3))) && pdu.body.is_none());
    let pdu = read(r#"{"id":"a","body":{},"action":"x\u002fok","more":[]}"#);
    assert!(matches!(pdu.id, Some(Id::Text(_))));
    assert_eq!(pdu.action, "x/ok");
}

/// However it is written: in one pass, and in two.
#[test]
fn a_delivery_is_the_same_in_any_order_of_its_fields() {
    let body = r#"{"position":"1:2","messages":[1,{"a":"}"}],"subscription_id":"c"}"#;
    let action = r#""action":"rtm/subscription/data""#;
    for text in [
        format!("{{{action},\"body\":{body}}}"),
        format!("{{ {action}, \"body\": {body} }}"),
        format!("{{\"body\":{body},{action}}}"),
        format!("{{{action},\"body\":{body},\"more\":{{}}}}"),
    ] {
        let mut pdu = Protocol::Json.pdu(Input::Text(&text)).unwrap();
        let data = pdu.data().unwrap();
        assert_eq!(data.messages, [Raw::Json("1"), Raw::Json("{\"a\":\"}\"}")], "{text}");
        let value: Value = serde_json::from_str(&text).unwrap();
        let bytes = cbor(&value);
        let mut pdu = Protocol::Cbor.pdu(Input::Binary(&bytes)).unwrap();
        let data = pdu.data().unwrap();
        assert_eq!((&*data.subscription_id, data.messages.len()), ("c", 2), "{text}");
        assert_eq!(data.position.as_deref(), Some("1:2"));
    }
}

#[test]
fn what_is_missing_in_a_pdu_is_named() {
    for (text, code) in [
        ("", "invalid_json"),
        ("[]", "invalid_json"),
        ("{\"action\":\"a\",\"body\":{}} x", "invalid_json"),
        ("{\"action\":1,\"body\":{}}", "invalid_json"),
        ("{\"action\":\"a\",\"id\":-1,\"body\":{}}", "invalid_json"),
        ("{\"body\":{}}", "no_action"),
        ("{\"action\":\"\",\"body\":{}}", "no_action"),
        ("{\"action\":\"rtm/publish/error\",\"id\":1}", "no_body"),
        ("{\"action\":\"rtm/subscription/data\",\"body\":null}", "no_body"),
    ] {
        let error = Protocol::Json.pdu(Input::Text(text)).unwrap_err();
        assert_eq!(error.code(), code, "{text}");
    }
    for (bytes, code) in [
        ("", "invalid_cbor"),
        ("80", "invalid_cbor"),
        ("a1", "invalid_cbor"),
        ("a1 66616374696f6e 6161 f6", "invalid_cbor"),
        ("a1 66616374696f6e 01", "invalid_cbor"),
        ("a1 46616374696f6e 6161", "invalid_cbor"),
        ("a0", "no_action"),
        ("bfff", "no_action"),
        ("a1 66616374696f6e 6161", "no_body"),
        ("a2 66616374696f6e 6161 64626f6479 f6", "no_body"),
    ] {
        let error = Protocol::Cbor.pdu(Input::Binary(&hex(bytes))).unwrap_err();
        assert_eq!(error.code(), code, "{bytes}");
    }
    let wrong_kind = Protocol::Cbor.pdu(Input::Text("{}")).unwrap_err();
    assert_eq!(wrong_kind.code(), "text_message");
    let wrong_kind = Protocol::Json.pdu(Input::Binary(b"{}")).unwrap_err();
    assert_eq!(wrong_kind.code(), "binary_message");
}

/// A type with a byte string wherever it is asked for.
#[derive(Serialize)]
enum Deep {
    List(Vec<Self>),
    Some(Option<Box<Self>>),
    Struct {
        inner: Box<Self>,
    },
    Map(BTreeMap<String, Self>),
    #[serde(serialize_with = "bytes")]
    Bytes,
}

fn bytes<S: serde::Serializer>(serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_bytes(&[1, 2])
}

#[test]
fn a_byte_string_anywhere_in_json_is_an_error() {
    let wraps: [fn(Deep) -> Deep; 4] = [
        |deep| Deep::List(vec![deep]),
        |deep| Deep::Some(Some(Box::new(deep))),
        |deep| Deep::Struct { inner: Box::new(deep) },
        |deep| Deep::Map(BTreeMap::from([("k".into(), deep)])),
    ];
    for depth in 0..10 {
        for first in 0..wraps.len() {
            let wrap = |deep, n: usize| wraps[(first + n) % wraps.len()](deep);
            let message = (0..depth).fold(Deep::Bytes, wrap);
            let error = Protocol::Json.message(&message).unwrap_err();
            assert_eq!(error.code(), "byte_string", "{depth} {first}");
            Protocol::Cbor.message(&message).unwrap();
        }
    }
    let value = Value::from([("raw", Value::Bytes(vec![1]))]);
    assert_eq!(Protocol::Json.message(&value).unwrap_err().code(), "byte_string");
}

/// Serialises as a map with one key, a byte string.
struct ByteKey(usize);

impl Serialize for ByteKey {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        if self.0 > 0 {
            return serializer.collect_seq([Self(self.0 - 1)]);
        }
        struct Key;
        impl Serialize for Key {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_bytes(b"key")
            }
        }
        serializer.collect_map([(Key, 1)])
    }
}

#[test]
fn a_byte_string_as_a_key_is_an_error_at_any_depth_and_a_number_is_its_text() {
    for depth in 0..10 {
        let error = Protocol::Cbor.message(&ByteKey(depth)).unwrap_err();
        assert_eq!(error.code(), "byte_string");
        assert_eq!(
            Protocol::Json.message(&ByteKey(depth)).unwrap_err().kind(),
            client_core::ErrorKind::Misuse
        );
    }
    let numbers = BTreeMap::from([(1, "one"), (-2, "two")]);
    let Payload::Json(json) = Protocol::Json.message(&numbers).unwrap() else { panic!() };
    let value: Value = Protocol::Cbor.message(&numbers).unwrap().raw().decode().unwrap();
    assert_eq!(value.to_string(), *json);
}

#[test]
fn what_is_sent_has_told_lengths() {
    /// Serialises as lists and maps of lengths that are not known ahead.
    struct Untold;
    impl Serialize for Untold {
        fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
            use serde::ser::{SerializeMap, SerializeSeq};
            struct List;
            impl Serialize for List {
                fn serialize<S: serde::Serializer>(&self, s: S) -> Result<S::Ok, S::Error> {
                    let mut list = s.serialize_seq(None)?;
                    list.serialize_element(&1)?;
                    list.end()
                }
            }
            let mut map = serializer.serialize_map(None)?;
            map.serialize_entry("list", &List)?;
            map.end()
        }
    }
    let Payload::Cbor(bytes) = Protocol::Cbor.message(&Untold).unwrap() else { panic!() };
    assert_eq!(&*bytes, hex("a1 646c697374 81 01"));
}

#[test]
fn what_is_nested_too_deep_is_refused_in_both() {
    let nested = |depth| (1..depth).fold(Value::List(vec![]), |inner, _| Value::List(vec![inner]));
    for protocol in [Protocol::Json, Protocol::Cbor] {
        protocol.message(&nested(127)).unwrap();
        let error = protocol.message(&nested(128)).unwrap_err();
        assert_eq!(error.code(), "encode", "{protocol:?}");
    }
}

#[test]
fn a_field_is_found_where_it_lies() {
    let value = Value::from([("a", Value::from(1)), ("b", Value::from("x"))]);
    for protocol in [Protocol::Json, Protocol::Cbor] {
        let payload = protocol.message(&value).unwrap();
        let field = payload.raw().field("b").unwrap();
        assert_eq!(field.decode::<String>().unwrap(), "x");
        assert!(payload.raw().field("c").is_none());
    }
}

fn values() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        any::<f64>().prop_filter("finite", |x| x.is_finite()).prop_map(Value::Float),
        ".{0,12}".prop_map(Value::Text),
        prop::collection::vec(any::<u8>(), 0..40).prop_map(Value::Bytes),
    ];
    leaf.prop_recursive(4, 40, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::List),
            prop::collection::btree_map(".{0,6}", inner, 0..6)
                .prop_map(|map| Value::Map(map.into_iter().collect())),
        ]
    })
}

/// The same value as another library sees it.
fn oracle(value: &Value) -> ciborium::Value {
    use ciborium::Value as Theirs;
    match value {
        Value::Null => Theirs::Null,
        Value::Bool(value) => Theirs::Bool(*value),
        Value::Integer(value) => Theirs::Integer((*value).try_into().unwrap()),
        Value::Float(value) => Theirs::Float(*value),
        Value::Text(text) => Theirs::Text(text.clone()),
        Value::Bytes(bytes) => Theirs::Bytes(bytes.clone()),
        Value::List(items) => Theirs::Array(items.iter().map(oracle).collect()),
        Value::Map(fields) => {
            let field = |(name, value): &(String, Value)| (name.as_str().into(), oracle(value));
            Theirs::Map(fields.iter().map(field).collect())
        }
    }
}

proptest! {
    #[test]
    fn another_library_reads_what_is_written(value in values()) {
        let read: ciborium::Value = ciborium::from_reader(cbor(&value).as_slice()).unwrap();
        prop_assert_eq!(read, oracle(&value));
    }

    #[test]
    fn what_another_library_writes_is_read(value in values()) {
        let mut bytes = Vec::new();
        ciborium::into_writer(&oracle(&value), &mut bytes).unwrap();
        prop_assert_eq!(Raw::Cbor(&bytes).decode::<Value>().unwrap(), value);
    }

    #[test]
    fn json_says_what_cbor_says_but_for_byte_strings(value in values()) {
        if let Ok(payload) = Protocol::Json.message(&value) {
            let read: Value = payload.raw().decode().unwrap();
            prop_assert_eq!(read.to_string(), value.to_string());
        }
    }

    /// Whatever comes, reading it ends, and both libraries agree on what is a message.
    #[test]
    fn any_bytes_are_read_or_refused(bytes in prop::collection::vec(any::<u8>(), 0..64)) {
        let _pdu = Protocol::Cbor.pdu(Input::Binary(&bytes));
        if let Ok(value) = Raw::Cbor(&bytes).decode::<Value>() {
            let theirs: Result<ciborium::Value, _> = ciborium::from_reader(bytes.as_slice());
            prop_assert!(theirs.is_ok(), "{value} is read here alone");
        }
    }
}

/// What a program has as JSON already is not written anew.
#[test]
fn raw_json_is_sent_as_it_is() {
    let text = "{\"b\":1.50, \"a\":[ ]}";
    let raw = serde_json::value::RawValue::from_string(text.to_owned()).unwrap();
    match Protocol::Json.message(&raw).unwrap() {
        Payload::Json(written) => assert_eq!(&*written, text),
        Payload::Cbor(_) => panic!("not JSON"),
    }
}
