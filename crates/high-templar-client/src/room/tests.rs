use proptest::prelude::*;

use super::*;

fn room(text: &str) -> Room {
    text.parse().unwrap()
}

#[test]
fn the_identity_has_its_keys_in_order_and_keeps_numbers_apart() {
    for (text, identity) in [
        (r#"{"t":"m","c":"1"}"#, r#"{"c": "1", "t": "m"}"#),
        (
            r#"{"b":{"z":1,"a":2},"a":[{"y":1,"x":2}]}"#,
            r#"{"a": [{"x": 2, "y": 1}], "b": {"a": 2, "z": 1}}"#,
        ),
        (r#"{"n":1}"#, r#"{"n": 1}"#),
        (r#"{"n":1.0}"#, r#"{"n": 1.0}"#),
        (r#"{"n":1e0}"#, r#"{"n": 1.0}"#),
        (r#"{"n":true}"#, r#"{"n": true}"#),
        (r#"{"n":"1"}"#, r#"{"n": "1"}"#),
        (r#"{"n":1e22}"#, r#"{"n": 1e+22}"#),
        (r#"{"n":10000000000000000000000}"#, r#"{"n": 10000000000000000000000}"#),
        (r#"{"n":-0}"#, r#"{"n": 0}"#),
        (r#"{"n":-0.0}"#, r#"{"n": -0.0}"#),
        (r#"{"n":0.00001}"#, r#"{"n": 1e-05}"#),
        (r#"{"n":0.0001}"#, r#"{"n": 0.0001}"#),
        (r#"{"n":123456789012345680.0}"#, r#"{"n": 1.2345678901234568e+17}"#),
        (r#"{"a":1,"a":2}"#, r#"{"a": 2}"#),
        ("{}", "{}"),
    ] {
        assert_eq!(room(text).identity(), identity, "{text}");
    }
}

#[test]
fn the_text_form_keeps_the_order_and_escapes_what_is_not_ascii() {
    let text =
        r#"{"z": "\u0160\ud83d\ude00", "a": "\"\\\n\r\t\b\f\u0001\u007f", "a b": [null, false]}"#;
    assert_eq!(room(text).to_string(), text);
    assert_eq!(room("{\"z\":\"Š😀\"}").to_string(), r#"{"z": "\u0160\ud83d\ude00"}"#);
}

#[test]
fn what_is_no_room_is_refused() {
    let deep = format!("{}1{}", r#"{"a":"#.repeat(129), "}".repeat(129));
    for text in ["", "[]", "null", "\"x\"", "1", "{", r#"{"a":1e999}"#, r#"{"a":"\ud800"}"#, &deep]
    {
        assert_eq!(text.parse::<Room>().unwrap_err().code(), "room", "{text}");
    }
}

/// docs/protocols/high-templar.md, 9.2, line by line.
#[test]
fn permission_compares_keys_values_and_stars() {
    for (allowed, requested, result) in [
        (r#"{"t":"m","c":"1"}"#, r#"{"c":"1","t":"m"}"#, true),
        (r#"{"t":"m","c":"*"}"#, r#"{"t":"m","c":"1"}"#, true),
        (r#"{"t":"m","c":"*"}"#, r#"{"t":"m","c":7}"#, true),
        (r#"{"t":"m","c":"*"}"#, r#"{"t":"m","c":null}"#, true),
        (r#"{"t":"m","c":"*"}"#, r#"{"t":"m","c":{"x":[1]}}"#, true),
        (r#"{"t":"m","c":"*"}"#, r#"{"t":"m","c":"*"}"#, true),
        (r#"{"t":"m","c":"1"}"#, r#"{"t":"m","c":"*"}"#, false),
        (r#"{"t":"*","c":"1"}"#, r#"{"t":"x","c":"*"}"#, false),
        (r#"{"t":"*","c":"*"}"#, r#"{"t":"x","c":"*"}"#, true),
        (r#"{"t":"m"}"#, r#"{"t":"m","c":"1"}"#, false),
        (r#"{"t":"m","c":"*"}"#, r#"{"t":"m"}"#, false),
        ("{}", "{}", true),
        ("{}", r#"{"t":"m"}"#, false),
        (r#"{"c":1}"#, r#"{"c":"1"}"#, false),
        (r#"{"c":1}"#, r#"{"c":1.0}"#, true),
        (r#"{"c":1}"#, r#"{"c":true}"#, true),
        (r#"{"c":0}"#, r#"{"c":false}"#, true),
        (r#"{"c":0}"#, r#"{"c":-0.0}"#, true),
        (r#"{"c":0}"#, r#"{"c":null}"#, false),
        (r#"{"c":10000000000000000000000}"#, r#"{"c":1e22}"#, true),
        (r#"{"c":1.5}"#, r#"{"c":1}"#, false),
        (r#"{"c":[1,{"a":true}]}"#, r#"{"c":[1.0,{"a":1}]}"#, true),
        (r#"{"c":"1*"}"#, r#"{"c":"12"}"#, false),
        (r#"{"c":["*"]}"#, r#"{"c":["a"]}"#, false),
        (r#"{"c":{"d":"*"}}"#, r#"{"c":{"d":"a"}}"#, false),
        (r#"{"c":"M"}"#, r#"{"c":"m"}"#, false),
    ] {
        let rooms: AllowedRooms = [room(allowed)].into_iter().collect();
        assert_eq!(rooms.is_allowed(&room(requested)), result, "{allowed} {requested}");
    }
}

#[test]
fn a_published_star_covers_by_the_exact_value() {
    let star = room(r#"{"t":"*","c":1}"#);
    assert!(star.has_star() && star.covers(&room(r#"{"c":1,"t":{"x":1}}"#)));
    assert!(!star.covers(&room(r#"{"c":1.0,"t":"m"}"#)));
    assert!(!room(r#"{"c":["*"]}"#).has_star());
    // The order of keys says nothing, on no level.
    let nested = room(r#"{"t":"*","o":{"a":1,"b":[{"x":1,"y":2}]}}"#);
    assert!(nested.covers(&room(r#"{"o":{"b":[{"y":2,"x":1}],"a":1},"t":"1"}"#)));
    assert!(!nested.covers(&room(r#"{"o":{"b":[{"y":2}],"a":1},"t":"1"}"#)));
}

#[test]
fn rooms_that_are_named_twice_are_allowed_once() {
    let allowed: AllowedRooms = [r#"{"a":1,"b":2}"#, r#"{"b":2,"a":1}"#, r#"{"a":1.0,"b":2}"#]
        .map(room)
        .into_iter()
        .collect();
    assert_eq!(allowed.rooms().len(), 2);
}

proptest! {
    /// Whatever is in it: the text form is JSON, means the same, and stays as it is.
    #[test]
    fn the_text_form_is_stable(text in r#"\PC{0,8}"#, number: f64, integer: i64) {
        prop_assume!(number.is_finite());
        let number = Value::Float(number);
        let written = Room::new().with(text.clone(), integer).with("n", number).with("t", text);
        let read: Room = written.to_string().parse().unwrap();
        prop_assert_eq!(written.to_string(), read.to_string());
        prop_assert_eq!(written.identity(), read.identity());
        prop_assert!(written.to_string().is_ascii());
    }
}
