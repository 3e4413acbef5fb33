//! The outbox: what makes room, what is sent once, what each caller is told.

use client_core::OutboxLimits;

use super::*;

#[test]
fn what_is_sent_at_most_once_is_not_sent_again() {
    let mut bench = Bench::live();
    bench.publish('a');
    bench.publish_with('b', &Options::new().at_most_once());
    bench.publish_with('c', &Options::new().at_most_once());
    // The last one was not sent yet.
    assert!(bench.core.poll_transmit(bench.now).is_some());
    assert!(bench.core.poll_transmit(bench.now).is_some());
    bench.reconnect();
    assert_eq!(bench.effects(), ["connect", "b connection_lost"]);
    let sent = bench.sent();
    assert_eq!(sent.len(), 2);
    assert!(sent[0].contains("\"a\"") && sent[1].contains("\"c\""), "{sent:?}");
    bench.receive(r#"{"action":"rtm/publish/ok","id":0,"body":{}}"#);
    bench.receive(r#"{"action":"rtm/publish/ok","id":1,"body":{}}"#);
    assert_eq!(bench.effects(), ["a ok", "c ok"]);
}

#[test]
fn what_was_sent_once_is_in_doubt_when_the_client_is_stopped() {
    let mut bench = Bench::live();
    bench.publish_with('b', &Options::new().at_most_once());
    bench.sent();
    bench.core.stop();
    assert_eq!(bench.effects(), ["disconnect", "b connection_lost"]);
}

#[test]
fn a_full_outbox_refuses_the_newest_or_drops_the_oldest_and_says_so() {
    let config =
        || Config::new("ws://rtm", "K").outbox(OutboxLimits::default().max_messages(3).window(1));
    let mut bench = Bench::new(config());
    for to in ['a', 'b', 'c', 'd'] {
        bench.publish(to);
    }
    assert_eq!(bench.effects(), ["d outbox_full"]);

    let mut bench = Bench::new(config().outbox_overflow(Overflow::DropOldest));
    bench.core.start(bench.now, 's');
    bench.connect();
    bench.publish('a');
    assert_eq!(bench.sent().len(), 1);
    for to in ['b', 'c', 'd', 'e'] {
        bench.publish(to);
    }
    // What is in flight is answered; what waits makes room.
    assert_eq!(bench.effects(), ["connect", "s ok", "b outbox_dropped", "c outbox_dropped"]);
    bench.core.close(bench.now, Duration::ZERO, 'x');
    bench.advance(Duration::ZERO);
    let effects = bench.effects();
    assert!(effects.ends_with(&["closed".to_owned()]), "{effects:?}");
    assert_eq!((bench.core.report.unacknowledged, bench.core.report.unsent), (1, 4));
}

#[test]
fn the_ring_of_the_original_keeps_the_newest_thousand_and_tells_the_rest() {
    let mut bench = Bench::new(Config::reference("ws://rtm", "K"));
    for _ in 0..1500 {
        bench.publish('p');
    }
    assert_eq!(bench.effects(), ["p outbox_dropped"; 500]);
    bench.core.start(bench.now, 's');
    bench.connect();
    assert_eq!(bench.sent().len(), 1000);
}

#[test]
fn an_answer_to_something_else_is_a_broken_protocol_and_a_general_error_is_an_answer() {
    let mut bench = Bench::live();
    bench.publish('p');
    bench.sent();
    bench.receive(r#"{"action":"/error","id":0,"body":{"error":"json_parse_error"}}"#);
    assert_eq!(bench.effects(), ["p json_parse_error"]);
    let _reader = bench.subscribe('u');
    bench.sent();
    bench.receive(r#"{"action":"rtm/publish/ok","id":1,"body":{}}"#);
    assert_eq!(bench.effects(), ["disconnect"]);
    let error = bench.core.monitor.stats().last_error.unwrap();
    assert_eq!(error.code(), "unexpected_action");
}

#[test]
fn an_answer_in_parts_is_its_last_part() {
    let mut bench = Bench::live();
    let body = crate::value::Value::from([("prefix", "fl".into())]);
    let request = Request::action(bench.core.config.protocol, "rtm/search", &body).unwrap();
    let _taken = bench.core.request(bench.now, request, Some('a'));
    assert_eq!(bench.sent(), [r#"{"action":"rtm/search","id":0,"body":{"prefix":"fl"}}"#]);
    for _ in 0..2 {
        bench.receive(r#"{"action":"rtm/search/data","id":0,"body":{"channels":["fleet"]}}"#);
    }
    assert_eq!(bench.effects(), [""; 0]);
    bench.receive(r#"{"action":"rtm/search/ok","id":0,"body":{"channels":[]}}"#);
    assert_eq!(bench.effects(), ["a ok"]);
}
