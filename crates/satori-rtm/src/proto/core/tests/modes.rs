//! What the three modes do after a loss and when they fall behind
//! (docs/protocols/satori-rtm.md, 12), and changes on the fly.

use super::*;
use crate::{config::Mode, delivery::Position};

fn subscribed(mode: Mode) -> (Bench, Reader<Delivery>) {
    let mut bench = Bench::live();
    let options = Subscribe::new().mode(mode).from(Position::from("1:7")).history_count(2);
    let reader = bench.subscribe_as(0, options, 'u');
    let first = bench.sent();
    assert!(first[0].contains(r#""position":"1:7","history":{"count":2}"#), "{first:?}");
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"1:40"}}"#);
    (bench, reader)
}

const OUT_OF_SYNC: &str = r#"{"action":"rtm/subscription/error","body":{"error":"out_of_sync","subscription_id":"c","missed_message_count":3}}"#;

#[test]
fn reliable_goes_on_at_its_position_and_skips_ahead_when_it_must() {
    let (mut bench, mut reader) = subscribed(Mode::Reliable);
    bench.reconnect();
    let body = r#"{"channel":"c","fast_forward":true,"position":"1:40"}"#;
    assert_eq!(bench.sent(), [format!(r#"{{"action":"rtm/subscribe","id":0,"body":{body}}}"#)]);
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"1:40"}}"#);
    assert_eq!(take(&mut reader), [""; 0]);
    bench.receive(OUT_OF_SYNC);
    // The position is gone: no null stands for it.
    let body = r#"{"channel":"c","fast_forward":true}"#;
    assert_eq!(bench.sent(), [format!(r#"{{"action":"rtm/subscribe","id":1,"body":{body}}}"#)]);
    assert_eq!(take(&mut reader), ["OutOfSync Some(3)"]);
}

#[test]
fn simple_goes_on_live_and_says_that_messages_are_missing() {
    let (mut bench, mut reader) = subscribed(Mode::Simple);
    bench.reconnect();
    let body = r#"{"channel":"c","fast_forward":true}"#;
    assert_eq!(bench.sent(), [format!(r#"{{"action":"rtm/subscribe","id":0,"body":{body}}}"#)]);
    assert_eq!(take(&mut reader), ["Unknown None"]);
}

#[test]
fn advanced_goes_on_at_its_position_and_ends_when_it_is_too_slow() {
    let (mut bench, mut reader) = subscribed(Mode::Advanced);
    bench.reconnect();
    let body = r#"{"channel":"c","position":"1:40"}"#;
    assert_eq!(bench.sent(), [format!(r#"{{"action":"rtm/subscribe","id":0,"body":{body}}}"#)]);
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"1:40"}}"#);
    bench.receive(OUT_OF_SYNC);
    assert_eq!(take(&mut reader), ["OutOfSync Some(3)", "ended out_of_sync"]);
    bench.reconnect();
    assert_eq!(bench.sent(), [""; 0], "a failed subscription is not tried again");
}

#[test]
fn a_filter_is_changed_on_the_fly_and_a_refused_change_changes_nothing() {
    let mut bench = Bench::live();
    let filter = |text: &str| Subscribe::new().filter(text);
    let _reader = bench.subscribe_as(0, filter("one"), 'u');
    bench.sent();
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"1:1"}}"#);
    bench.core.change(bench.now, "c", 0, filter("two"), 'x');
    bench.core.change(bench.now, "c", 0, filter("three"), 'y');
    assert_eq!(bench.effects(), ["u ok", "y already_changing"]);
    let body = |filter: &str, position: &str, force: &str| {
        let fields = r#""subscription_id":"c","filter":"#;
        format!(r#"{{{fields}"{filter}","fast_forward":true,"position":"{position}"{force}}}"#)
    };
    let force = r#","force":true"#;
    assert!(bench.sent()[0].contains(&body("two", "1:1", force)));
    bench.receive(
        r#"{"action":"rtm/subscribe/error","id":1,"body":{"error":"invalid_filter","reason":"no"}}"#,
    );
    assert_eq!(bench.effects(), ["x invalid_filter"]);
    bench.core.change(bench.now, "c", 0, filter("three"), 'x');
    assert!(bench.sent()[0].contains(&body("three", "1:1", force)));
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":2,"body":{"position":"1:2"}}"#);
    assert_eq!(bench.effects(), ["x ok"]);
    bench.reconnect();
    assert!(bench.sent()[0].contains(&body("three", "1:2", "")));
}

#[test]
fn a_change_waits_for_its_subscription_and_is_lost_with_the_connection() {
    let mut bench = Bench::live();
    let _reader = bench.subscribe('u');
    bench.core.change(bench.now, "c", 0, Subscribe::new().filter("two"), 'x');
    assert_eq!(bench.sent().len(), 1);
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"1:1"}}"#);
    assert_eq!(bench.sent().len(), 1);
    bench.effects();
    bench.core.disconnected(bench.now, lost());
    assert_eq!(bench.effects(), ["x connection_lost"]);
    bench.core.change(bench.now, "c", 1, Subscribe::new(), 'y');
    assert_eq!(bench.effects(), ["y closed"]);
    bench.core.change(bench.now, "c", 0, Subscribe::new(), 'z');
    bench.advance(Duration::from_secs(10));
    assert!(bench.effects().contains(&"z timeout".to_owned()));
}
