//! The core alone: what it writes, tells and waits for, in made-up time.

mod modes;
mod requests;
mod roles;
mod traces;

use std::time::Duration;

use client_core::{Event, InboxLimits, Overflow, Reader, Received, State, inbox};

use super::*;
use crate::{
    config::Subscribe,
    delivery::{Delivery, Gap, GapReason},
    options::Options,
    transition::Transitions,
};

/// A core and its clock; replies are named by letters.
struct Bench {
    core: Core<char>,
    now: Instant,
    steps: Transitions,
}

impl Bench {
    fn new(config: Config) -> Self {
        let listeners = Listeners::new();
        let steps = Transitions::new(listeners.listen());
        let core = Core::new(config.seed(1), Monitor::new(), listeners).unwrap();
        Self { core, now: Instant::now(), steps }
    }

    /// Connected, as the default role.
    fn live() -> Self {
        let mut bench = Self::new(Config::new("ws://rtm", "K"));
        bench.core.start(bench.now, 's');
        bench.connect();
        bench.effects();
        bench
    }

    fn connect(&mut self) {
        self.core.connected(self.now);
    }

    fn receive(&mut self, text: &str) {
        self.core.handle_input(self.now, Input::Text(text));
    }

    fn sent(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.core.poll_transmit(self.now))
            .map(|transmit| match transmit {
                Transmit::Text(text) => text,
                Transmit::Ping => "PING".into(),
                Transmit::Binary(_) => "BINARY".into(),
            })
            .collect()
    }

    /// What the driver is asked to do, in short.
    fn effects(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.core.poll_effect())
            .map(|effect| match effect {
                Effect::Connect { .. } => "connect".into(),
                Effect::Disconnect { .. } => "disconnect".into(),
                Effect::Reply { to, result: Ok(_) } => format!("{to} ok"),
                Effect::Reply { to, result: Err(error) } => format!("{to} {}", error.code()),
                Effect::Closed { .. } => "closed".into(),
            })
            .collect()
    }

    fn publish(&mut self, to: char) {
        self.publish_with(to, &Options::new());
    }

    fn publish_with(&mut self, to: char, options: &Options) {
        let request = Request::publish(self.core.config.protocol, "c", &to, options).unwrap();
        let _taken = self.core.request(self.now, request, Some(to));
    }

    fn subscribe(&mut self, to: char) -> Reader<Delivery> {
        self.subscribe_as(0, Subscribe::new(), to)
    }

    fn subscribe_as(&mut self, serial: u64, options: Subscribe, to: char) -> Reader<Delivery> {
        let (out, reader) = inbox(InboxLimits::default(), Overflow::Block);
        self.core.subscribe(self.now, "c", serial, options, out, to);
        reader
    }

    /// Loses the connection and makes the next.
    fn reconnect(&mut self) {
        self.core.disconnected(self.now, lost());
        self.advance(Duration::from_secs(1));
        self.connect();
    }

    fn advance(&mut self, by: Duration) {
        self.now += by;
        self.core.handle_timeout(self.now);
    }
}

fn take(reader: &mut Reader<Delivery>) -> Vec<String> {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut got = Vec::new();
    while let Poll::Ready(Some(Received::Item(delivery))) = reader.poll_recv(&mut cx) {
        got.push(match delivery {
            Delivery::Message(message) => message.to_string(),
            Delivery::Gap(Gap { reason, missed }) => format!("{reason:?} {missed:?}"),
            Delivery::Ended(error) => format!("ended {}", error.code()),
        });
    }
    got
}

fn lost() -> Error {
    Error::transport(std::io::Error::other("cut"))
}

#[test]
fn authenticates_first_with_ids_0_and_1_and_subscribes_then() {
    let mut bench = Bench::new(Config::new("ws://rtm", "K").role("driver", "fleet-role-secret"));
    let _reader = bench.subscribe('u');
    bench.publish('p');
    bench.core.start(bench.now, 's');
    assert_eq!(bench.effects(), ["connect"]);
    bench.connect();
    assert_eq!(
        bench.sent(),
        [
            r#"{"action":"auth/handshake","id":0,"body":{"method":"role_secret","data":{"role":"driver"}}}"#
        ]
    );
    bench.receive(r#"{"action":"auth/handshake/ok","id":0,"body":{"data":{"nonce":"q7Zk2m0V"}}}"#);
    assert_eq!(
        bench.sent(),
        [concat!(
            r#"{"action":"auth/authenticate","id":1,"body":"#,
            r#"{"method":"role_secret","credentials":{"hash":"1cgo46J9j1sCo1wIe8FqMg=="}}}"#
        )]
    );
    assert_eq!(bench.effects(), [""; 0]);
    bench.receive(r#"{"action":"auth/authenticate/ok","id":1,"body":{}}"#);
    assert_eq!(bench.effects(), ["s ok"]);
    assert_eq!(
        bench.sent(),
        [
            r#"{"action":"rtm/subscribe","id":2,"body":{"channel":"c","fast_forward":true}}"#,
            r#"{"action":"rtm/publish","id":3,"body":{"channel":"c","message":"p"}}"#
        ]
    );
}

#[test]
fn resumes_at_the_tracked_position_with_ids_from_0() {
    let mut bench = Bench::live();
    let mut reader = bench.subscribe('u');
    bench.sent();
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"1:40"}}"#);
    bench.receive(
        r#"{"action":"rtm/subscription/data","body":{"position":"1:41","messages":[{"van": 7}],"subscription_id":"c"}}"#,
    );
    assert_eq!(take(&mut reader), [r#"{"van": 7}"#]);
    bench.core.disconnected(bench.now, lost());
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.effects(), ["connect", "u ok"]);
    bench.connect();
    assert_eq!(
        bench.sent(),
        [
            r#"{"action":"rtm/subscribe","id":0,"body":{"channel":"c","fast_forward":true,"position":"1:41"}}"#
        ]
    );
    assert_eq!(take(&mut reader), [""; 0]);
}

#[test]
fn a_lost_connection_sends_again_what_was_not_answered_in_the_old_order() {
    let mut bench = Bench::live();
    for to in ['a', 'b', 'c'] {
        bench.publish(to);
    }
    assert_eq!(bench.sent().len(), 3);
    bench.receive(r#"{"action":"rtm/publish/ok","id":1}"#);
    bench.core.disconnected(bench.now, lost());
    bench.publish('d');
    bench.advance(Duration::from_secs(1));
    bench.connect();
    let sent = bench.sent();
    let messages: Vec<bool> = ["\"a\"", "\"c\"", "\"d\""]
        .iter()
        .zip(&sent)
        .map(|(message, text)| text.contains(message))
        .collect();
    assert_eq!((messages, sent.len()), (vec![true; 3], 3));
    assert_eq!(bench.effects(), ["connect", "b ok"]);
}

#[test]
fn answers_are_matched_by_id_in_any_order() {
    let mut bench = Bench::live();
    for to in 'a'..='z' {
        bench.publish(to);
    }
    bench.sent();
    for id in (0..26).rev() {
        bench.receive(&format!(r#"{{"action":"rtm/publish/ok","id":{id},"body":{{}}}}"#));
    }
    let expected: Vec<String> = ('a'..='z').rev().map(|to| format!("{to} ok")).collect();
    assert_eq!(bench.effects(), expected);
}

#[test]
fn c13_what_answers_nothing_is_counted_and_changes_nothing() {
    let mut bench = Bench::live();
    bench.publish('a');
    bench.sent();
    for stray in [
        r#"{"action":"rtm/publish/ok","id":7,"body":{}}"#,
        r#"{"action":"rtm/publish/ok","id":"0","body":{}}"#,
        r#"{"action":"auth/authenticate/ok","id":9,"body":{}}"#,
        r#"{"action":"rtm/subscription/data","body":{"position":"1:1","messages":[1],"subscription_id":"x"}}"#,
        r#"{"action":"rtm/subscription/error","body":{"error":"out_of_sync","subscription_id":"x"}}"#,
    ] {
        bench.receive(stray);
    }
    assert_eq!(bench.effects(), [""; 0]);
    assert_eq!(bench.core.monitor.stats().strays, 5);
    bench.receive(r#"{"action":"rtm/publish/ok","id":0,"body":{}}"#);
    bench.receive(r#"{"action":"rtm/publish/ok","id":0,"body":{}}"#);
    assert_eq!(bench.effects(), ["a ok"]);
    assert_eq!(bench.core.monitor.stats().strays, 6);
}

#[test]
fn an_information_of_an_unknown_kind_is_no_reason_to_hang_up() {
    let mut bench = Bench::live();
    bench.receive(r#"{"action":"rtm/subscription/info","body":{"info":"weather"}}"#);
    assert_eq!((bench.effects().len(), bench.core.monitor.state()), (0, State::Connected));
}

#[test]
fn every_kind_of_missing_messages_is_a_gap_and_the_subscription_goes_on() {
    let mut bench = Bench::live();
    let mut reader = bench.subscribe('u');
    bench.sent();
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"1:40"}}"#);
    let pdu = |kind: &str, what: &str| {
        format!(
            r#"{{"action":"rtm/subscription/{kind}","body":{{"{kind}":"{what}","subscription_id":"c","missed_message_count":12}}}}"#
        )
    };
    bench.receive(&pdu("info", "fast_forward"));
    assert_eq!((bench.sent(), take(&mut reader)), (vec![], vec!["FastForward Some(12)".into()]));
    bench.receive(&pdu("info", "fast_forward"));
    bench.receive(&pdu("error", "out_of_sync"));
    // Gaps in a row are one, with the sum of what is missing.
    assert_eq!(take(&mut reader), ["FastForward Some(24)"]);
    assert_eq!(
        bench.sent(),
        [r#"{"action":"rtm/subscribe","id":1,"body":{"channel":"c","fast_forward":true}}"#]
    );
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":1,"body":{"position":"1:90"}}"#);
    // Another reason is the service's own: nothing is missing.
    bench.receive(&pdu("error", "maintenance"));
    assert_eq!(take(&mut reader), [""; 0]);
    assert_eq!(
        bench.sent(),
        [
            r#"{"action":"rtm/subscribe","id":2,"body":{"channel":"c","fast_forward":true,"position":"1:90"}}"#
        ]
    );
    bench.receive(r#"{"action":"rtm/subscribe/error","id":2,"body":{"error":"expired_position"}}"#);
    assert_eq!(take(&mut reader), [format!("{:?} None", GapReason::Expired)]);
    assert_eq!(
        bench.sent(),
        [r#"{"action":"rtm/subscribe","id":3,"body":{"channel":"c","fast_forward":true}}"#]
    );
}

#[test]
fn a_subscription_that_cannot_be_restored_ends_with_the_words_of_the_service() {
    let mut bench = Bench::live();
    let mut reader = bench.subscribe('u');
    bench.sent();
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"1:40"}}"#);
    bench.core.disconnected(bench.now, lost());
    bench.advance(Duration::from_secs(1));
    bench.connect();
    bench.sent();
    bench.receive(
        r#"{"action":"rtm/subscribe/error","id":0,"body":{"error":"authorization_denied"}}"#,
    );
    assert_eq!(take(&mut reader), ["ended authorization_denied"]);
}

/// A compatible server may give a position that it does not take itself, and say
/// so in words of its own.
#[test]
fn a_position_that_the_service_does_not_take_is_given_up_once() {
    let mut bench = Bench::live();
    let mut reader = bench.subscribe('u');
    bench.sent();
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"1:40"}}"#);
    bench.core.disconnected(bench.now, lost());
    bench.advance(Duration::from_secs(1));
    bench.connect();
    bench.sent();
    let refused = |id| {
        format!(
            r#"{{"action":"rtm/subscribe/error","id":{id},"body":{{"error":"Invalid: 1:40"}}}}"#
        )
    };
    bench.receive(&refused(0));
    assert_eq!(take(&mut reader), [format!("{:?} None", GapReason::Expired)]);
    assert_eq!(
        bench.sent(),
        [r#"{"action":"rtm/subscribe","id":1,"body":{"channel":"c","fast_forward":true}}"#]
    );
    bench.receive(&refused(1));
    assert_eq!(take(&mut reader), ["ended Invalid: 1:40"]);
}

#[test]
fn a_refused_appkey_stops_the_client_and_tells_everyone() {
    let mut bench = Bench::live();
    let mut reader = bench.subscribe('u');
    bench.sent();
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"1:40"}}"#);
    bench.publish('p');
    bench.core.disconnected(bench.now, lost());
    bench.advance(Duration::from_secs(1));
    bench.effects();
    let refusal = crate::error::Refusal::new("upgrade", "403", "Forbidden");
    bench.core.disconnected(bench.now, Error::Refused(refusal));
    assert_eq!(bench.effects(), ["p 403"]);
    assert_eq!(take(&mut reader), ["ended 403"]);
    assert_eq!((bench.core.monitor.state(), bench.core.poll_timeout()), (State::Stopped, None));
}

#[test]
fn events_are_told_in_the_order_of_what_happens() {
    let mut bench = Bench::new(Config::new("ws://rtm", "K"));
    let mut events = bench.core.monitor.events();
    bench.core.start(bench.now, 's');
    bench.core.disconnected(bench.now, lost());
    assert_eq!(bench.effects(), ["connect", "s connection_lost"]);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let stream = std::pin::Pin::new(&mut events);
    let first = futures_core::Stream::poll_next(stream, &mut cx);
    assert!(matches!(first, Poll::Ready(Some(Event::Connecting { attempt: 0 }))));
}

/// Subscribed, told to leave, and the next one waits for that.
fn one_leaving_one_waiting(bench: &mut Bench) -> Reader<Delivery> {
    let _old = bench.subscribe('u');
    bench.sent();
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"1:40"}}"#);
    bench.core.unsubscribe(bench.now, "c", 0, None);
    let (out, new) = inbox(InboxLimits::default(), Overflow::Block);
    bench.core.subscribe(bench.now, "c", 1, Subscribe::new(), out, 'n');
    assert_eq!(bench.sent().len(), 1);
    bench.effects();
    new
}

#[test]
fn a_late_answer_to_an_unsubscribe_does_not_end_the_next_subscription() {
    let mut bench = Bench::live();
    let _new = one_leaving_one_waiting(&mut bench);
    bench.receive(
        r#"{"action":"rtm/subscription/error","body":{"error":"out_of_sync","subscription_id":"c"}}"#,
    );
    assert_eq!(bench.sent(), [""; 0]);
    bench.receive(
        r#"{"action":"rtm/unsubscribe/error","id":1,"body":{"error":"not_subscribed","reason":null}}"#,
    );
    assert_eq!(
        bench.sent(),
        [r#"{"action":"rtm/subscribe","id":2,"body":{"channel":"c","fast_forward":true}}"#]
    );
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":2,"body":{"position":"1:41"}}"#);
    assert_eq!(bench.effects(), ["n ok"]);
}

#[test]
fn a_subscription_that_waited_for_another_is_not_sent_before_authentication() {
    let mut bench = Bench::new(Config::new("ws://rtm", "K").role("r", "s"));
    bench.core.start(bench.now, 's');
    let authenticate = |bench: &mut Bench| {
        bench.connect();
        let first = bench.sent();
        assert!(first.len() == 1 && first[0].contains("auth/handshake"), "{first:?}");
        bench.receive(r#"{"action":"auth/handshake/ok","id":0,"body":{"data":{"nonce":"n"}}}"#);
        bench.sent();
        bench.receive(r#"{"action":"auth/authenticate/ok","id":1,"body":{}}"#);
    };
    authenticate(&mut bench);
    let _old = bench.subscribe('u');
    bench.sent();
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":2,"body":{"position":"1:40"}}"#);
    bench.core.unsubscribe(bench.now, "c", 0, None);
    let (out, _new) = inbox(InboxLimits::default(), Overflow::Block);
    bench.core.subscribe(bench.now, "c", 1, Subscribe::new(), out, 'n');
    bench.sent();
    bench.core.disconnected(bench.now, lost());
    bench.advance(Duration::from_secs(1));
    authenticate(&mut bench);
    assert_eq!(
        bench.sent(),
        [r#"{"action":"rtm/subscribe","id":2,"body":{"channel":"c","fast_forward":true}}"#]
    );
}

#[test]
fn a_service_that_does_not_answer_a_subscription_in_time_has_lost_track_of_it() {
    let mut bench = Bench::live();
    let _reader = bench.subscribe('u');
    bench.sent();
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"1:40"}}"#);
    bench.core.disconnected(bench.now, lost());
    bench.advance(Duration::from_secs(1));
    bench.connect();
    bench.effects();
    assert_eq!(bench.sent().len(), 1);
    for _ in 0..3 {
        bench.advance(Duration::from_secs(5));
        bench.core.handle_input(bench.now, Input::Control);
        assert_eq!(bench.effects(), [""; 0]);
    }
    bench.advance(Duration::from_secs(5));
    assert_eq!(bench.effects(), ["disconnect"]);
    assert_eq!(bench.core.monitor.state(), State::Waiting);
}

#[test]
fn an_answer_that_is_neither_ok_nor_error_is_a_broken_protocol() {
    let mut bench = Bench::live();
    bench.publish('p');
    bench.sent();
    bench.receive(r#"{"action":"rtm/publish/maybe","id":0,"body":{}}"#);
    assert_eq!(bench.effects(), ["disconnect"]);
    let error = bench.core.monitor.stats().last_error.unwrap();
    assert_eq!(error.code(), "unexpected_action");
}

#[test]
fn a_request_given_up_does_not_take_the_answer_of_another() {
    let mut bench = Bench::live();
    bench.publish('p');
    bench.sent();
    // Ids begin again: the subscription takes the one that the publish had.
    bench.core.disconnected(bench.now, lost());
    bench.advance(Duration::from_secs(9));
    bench.effects();
    let mut reader = bench.subscribe('u');
    bench.connect();
    let first = bench.core.poll_transmit(bench.now);
    assert!(matches!(first, Some(Transmit::Text(text)) if text.contains("rtm/subscribe")));
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.effects(), ["p timeout"]);
    bench.receive(r#"{"action":"rtm/subscribe/ok","id":0,"body":{"position":"1:40"}}"#);
    assert_eq!(bench.effects(), ["u ok"]);
    bench.receive(
        r#"{"action":"rtm/subscription/data","body":{"position":"1:41","messages":[1],"subscription_id":"c"}}"#,
    );
    assert_eq!(take(&mut reader), ["1"]);
}

#[test]
fn closing_for_ever_waits() {
    let mut bench = Bench::live();
    bench.publish('p');
    bench.sent();
    bench.core.close(bench.now, Duration::MAX, 'c');
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.effects(), [""; 0]);
    bench.receive(r#"{"action":"rtm/publish/ok","id":0,"body":{}}"#);
    assert_eq!(bench.effects(), ["disconnect", "p ok", "closed"]);
}
