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

fn filter(text: &str) -> Subscribe {
    Subscribe::new().filter(text)
}

/// Subscribed to a view, at 1:1.
fn viewing() -> (Bench, Reader<Delivery>) {
    let mut bench = Bench::live();
    let reader = bench.subscribe_as(0, filter("one"), 'u');
    bench.sent();
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"1:1"}}"#);
    bench.effects();
    (bench, reader)
}

fn subscribes(sent: &[String], filter: &str, position: &str) -> bool {
    let body = format!(r#""filter":"{filter}","fast_forward":true,"position":"{position}""#);
    matches!(sent, [one] if one.contains("rtm/subscribe") && one.contains(&body))
}

#[test]
fn a_filter_is_changed_on_the_fly_without_overlap() {
    let (mut bench, mut reader) = viewing();
    bench.core.change(bench.now, "c", 0, filter("two"), 'x');
    bench.core.change(bench.now, "c", 0, filter("three"), 'y');
    assert_eq!(bench.effects(), ["y already_changing"]);
    assert!(bench.sent()[0].contains("rtm/unsubscribe"));
    // What was on its way comes by the old filter, and moves the position.
    bench.receive(
        r#"{"action":"rtm/subscription/data","body":{"position":"1:5","messages":[4],"subscription_id":"c"}}"#,
    );
    bench.receive(r#"{"action":"rtm/unsubscribe/ok","id":1,"body":{"position":"1:5"}}"#);
    assert!(subscribes(&bench.sent(), "two", "1:5"));
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":2,"body":{"position":"1:5"}}"#);
    assert_eq!((bench.effects(), take(&mut reader)), (vec!["x ok".into()], vec!["4".into()]));
    bench.reconnect();
    assert!(subscribes(&bench.sent(), "two", "1:5"));
}

#[test]
fn a_refused_change_changes_nothing() {
    let (mut bench, mut reader) = viewing();
    bench.core.change(bench.now, "c", 0, filter("two"), 'x');
    bench.sent();
    bench.receive(r#"{"action":"rtm/unsubscribe/ok","id":1,"body":{"position":"1:1"}}"#);
    bench.sent();
    bench.receive(
        r#"{"action":"rtm/subscribe/error","id":2,"body":{"error":"invalid_filter","reason":"no"}}"#,
    );
    assert_eq!(bench.effects(), ["x invalid_filter"]);
    assert!(subscribes(&bench.sent(), "one", "1:1"));
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":3,"body":{"position":"1:1"}}"#);
    assert_eq!(take(&mut reader), [""; 0]);
}

/// The service ends what it is just asked to leave.
#[test]
fn an_error_of_the_channel_during_a_change_leaves_a_subscription_that_lives() {
    for (error, gap) in [("maintenance", vec![]), ("out_of_sync", vec!["OutOfSync None"])] {
        let (mut bench, mut reader) = viewing();
        bench.core.change(bench.now, "c", 0, filter("two"), 'x');
        bench.sent();
        bench.receive(&format!(
            r#"{{"action":"rtm/subscription/error","body":{{"error":"{error}","subscription_id":"c"}}}}"#
        ));
        assert_eq!(
            (bench.sent(), take(&mut reader)),
            (vec![], gap.iter().map(|g| (*g).to_owned()).collect())
        );
        bench.receive(
            r#"{"action":"rtm/unsubscribe/error","id":1,"body":{"error":"not_subscribed"}}"#,
        );
        assert!(bench.sent()[0].contains("\"two\""));
        bench.receive(r#"{"action":"rtm/subscribe/ok","id":2,"body":{"position":"1:9"}}"#);
        assert_eq!(bench.effects().last().unwrap(), "x ok");
        bench.receive(
            r#"{"action":"rtm/subscription/data","body":{"position":"1:10","messages":[9],"subscription_id":"c"}}"#,
        );
        assert_eq!(take(&mut reader).last().unwrap(), "9");
    }
}

#[test]
fn a_change_to_live_messages_forgets_the_position() {
    let (mut bench, mut reader) = viewing();
    bench.core.change(bench.now, "c", 0, filter("two").mode(Mode::Simple), 'x');
    bench.sent();
    bench.receive(r#"{"action":"rtm/unsubscribe/ok","id":1,"body":{}}"#);
    assert!(subscribes(&bench.sent(), "two", "1:1"));
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":2,"body":{"position":"1:1"}}"#);
    bench.reconnect();
    assert!(!bench.sent()[0].contains("position"));
    assert_eq!(take(&mut reader), ["Unknown None"]);
}

/// A view's position moves with what is shown; where it was left may be far ahead.
#[test]
fn a_change_goes_on_where_delivery_stopped() {
    let (mut bench, mut reader) = viewing();
    bench.core.change(bench.now, "c", 0, filter("two"), 'x');
    bench.sent();
    bench.receive(r#"{"action":"rtm/unsubscribe/ok","id":1,"body":{"position":"1:2000"}}"#);
    assert!(subscribes(&bench.sent(), "two", "1:2000"));
    // What comes late belongs to nothing.
    bench.receive(
        r#"{"action":"rtm/subscription/data","body":{"position":"1:3","messages":[3],"subscription_id":"c"}}"#,
    );
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":2,"body":{"position":"1:2000"}}"#);
    assert_eq!((bench.effects(), take(&mut reader)), (vec!["x ok".into()], vec![]));
}

#[test]
fn a_position_that_is_refused_during_a_change_is_a_gap_and_no_refusal() {
    let (mut bench, mut reader) = viewing();
    bench.core.change(bench.now, "c", 0, filter("two"), 'x');
    bench.sent();
    bench.receive(r#"{"action":"rtm/unsubscribe/ok","id":1,"body":{"position":"1:1"}}"#);
    bench.sent();
    bench.receive(
        r#"{"action":"rtm/subscribe/error","id":2,"body":{"error":"expired_position","reason":"gone"}}"#,
    );
    let sent = bench.sent();
    assert!(sent[0].contains("\"two\"") && !sent[0].contains("position"), "{sent:?}");
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":3,"body":{"position":"1:9"}}"#);
    assert_eq!(
        (bench.effects(), take(&mut reader)),
        (vec!["x ok".into()], vec!["Expired None".into()])
    );
}

#[test]
fn a_live_subscription_that_is_lost_during_a_change_stays_live() {
    let mut bench = Bench::live();
    let (out, mut reader) = inbox(InboxLimits::default(), Overflow::Block);
    bench.core.subscribe(bench.now, "c", 0, filter("one").mode(Mode::Simple), out, 'u');
    bench.sent();
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"1:1"}}"#);
    bench.core.change(bench.now, "c", 0, filter("two").mode(Mode::Simple), 'x');
    bench.sent();
    bench.receive(r#"{"action":"rtm/unsubscribe/ok","id":1,"body":{"position":"1:1"}}"#);
    assert!(subscribes(&bench.sent(), "two", "1:1"));
    bench.reconnect();
    assert!(!bench.sent()[0].contains("position"));
    assert_eq!(take(&mut reader), ["Unknown None"]);
}

#[test]
fn a_late_answer_to_a_change_counts_and_another_change_waits_for_it() {
    let (mut bench, _reader) = viewing();
    bench.core.change(bench.now, "c", 0, filter("two"), 'x');
    bench.sent();
    bench.receive(r#"{"action":"rtm/unsubscribe/ok","id":1,"body":{"position":"1:1"}}"#);
    bench.sent();
    bench.advance(Duration::from_secs(10));
    assert_eq!(bench.effects(), ["x timeout"]);
    bench.core.change(bench.now, "c", 0, filter("three"), 'y');
    assert_eq!(bench.effects(), ["y already_changing"]);
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":2,"body":{"position":"1:1"}}"#);
    bench.reconnect();
    assert!(subscribes(&bench.sent(), "two", "1:1"));
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

/// Whoever does not read cannot say that nothing was answered.
#[test]
fn a_slow_consumer_is_no_reason_to_take_the_service_for_lost() {
    let mut bench = Bench::live();
    let (out, mut slow) = inbox(InboxLimits::default().max_messages(1), Overflow::Block);
    bench.core.subscribe(bench.now, "slow", 0, Subscribe::new(), out, 'u');
    bench.sent();
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"1:1"}}"#);
    bench.receive(
        r#"{"action":"rtm/subscription/data","body":{"position":"1:2","messages":[1],"subscription_id":"slow"}}"#,
    );
    let _other = bench.subscribe('v');
    bench.sent();
    bench.advance(Duration::from_secs(60));
    assert_eq!(bench.core.monitor.state(), State::Connected);
    assert_eq!(take(&mut slow), ["1"]);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(bench.core.poll_room(bench.now, &mut cx).is_ready());
    bench.advance(Duration::from_secs(19));
    bench.core.handle_input(bench.now, Input::Control);
    assert_eq!(bench.core.monitor.state(), State::Connected);
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.core.monitor.state(), State::Waiting);
}
