//! The core alone: what it writes, tells and waits for, in made-up time.

use std::time::Duration;

use client_core::{Event, Events, InboxLimits, Overflow, Reader, Received, State, inbox};
use futures_core::Stream;

use super::*;
use crate::{
    config::Subscribe,
    delivery::{Delivery, GapReason},
    room::Room,
};

const FIRST: &str =
    r#"{"is_authorized": true, "allowed_rooms": [{"target": "message", "customer": "1"}]}"#;
const FIRST_OF_V2: &str = r#"{"allowed_rooms": [{"target": "message", "customer": "1"}]}"#;
const SUCCESS: &str = r#"{"code": "success"}"#;

/// A core and its clock; calls are named by letters.
struct Bench {
    core: Core<char>,
    now: Instant,
    events: Events<Error>,
}

fn config() -> Config {
    Config::new("ws://localhost:8000").seed(1)
}

impl Bench {
    fn with(config: Config) -> Self {
        let monitor = Monitor::new();
        let events = monitor.events();
        let mut core = Core::new(config, monitor).unwrap();
        let now = Instant::now();
        core.start(now, 's');
        core.connected(now);
        Self { core, now, events }
    }

    /// Connected and let in by a 3.x server.
    fn live() -> Self {
        Self::let_in(config(), FIRST)
    }

    fn let_in(config: Config, first: &str) -> Self {
        let mut bench = Self::with(config);
        bench.receive(first);
        assert_eq!(bench.effects(), ["connect", "allowed 1", "s ok"]);
        bench
    }

    fn receive(&mut self, text: &str) {
        self.core.handle_input(self.now, Input::Text(text));
    }

    fn sent(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.core.poll_transmit(self.now))
            .map(|transmit| match transmit {
                Transmit::Text(text) => text,
                other => format!("{other:?}"),
            })
            .collect()
    }

    fn effects(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.core.poll_effect())
            .map(|effect| match effect {
                Effect::Connect { .. } => "connect".into(),
                Effect::Disconnect { graceful: true } => "close".into(),
                Effect::Disconnect { .. } => "disconnect".into(),
                Effect::Allowed(rooms) => format!("allowed {}", rooms.rooms().len()),
                Effect::Reply { to, result: Ok(Answer::Done) } => format!("{to} ok"),
                Effect::Reply { to, result: Ok(Answer::Status(status)) } => {
                    format!("{to} {} connections", status.open_connections)
                }
                Effect::Reply { to, result: Err(error) } => {
                    format!("{to} {} {:?}", error.code(), error.reason())
                }
                Effect::Closed { .. } => "closed".into(),
            })
            .collect()
    }

    fn subscribe(&mut self, serial: u64, to: char, options: Subscribe) -> Reader<Delivery> {
        let (out, reader) = inbox(options.inbox, options.overflow);
        let room = Room::new().with("target", "message").with("customer", "1");
        self.core.subscribe(self.now, serial, room, format!("r-{serial}"), out, to);
        reader
    }

    /// A subscription that a 3.x server has accepted.
    fn active(&mut self, serial: u64, options: Subscribe) -> Reader<Delivery> {
        let reader = self.subscribe(serial, 'x', options);
        assert_eq!(self.sent(), [asked(serial)]);
        self.receive(SUCCESS);
        assert_eq!(self.effects(), ["x ok"]);
        reader
    }

    fn publish(&mut self, serial: u64, data: &str) {
        self.receive(&format!(
            r#"{{"type": "publish", "data": {data}, "requestId": "r-{serial}"}}"#
        ));
    }

    /// The connection is lost, and made again after the wait.
    fn reconnect(&mut self) {
        self.core.disconnected(self.now, Error::transport(std::io::Error::other("cut")));
        self.advance(Duration::from_secs(2));
        assert_eq!(self.effects().last().unwrap(), "connect");
        self.core.connected(self.now);
        self.receive(FIRST);
        assert_eq!(self.effects(), ["allowed 1"]);
    }

    fn advance(&mut self, by: Duration) {
        self.now += by;
        self.core.handle_timeout(self.now);
    }

    fn state(&self) -> State {
        self.core.monitor.state()
    }

    /// The codes of the warnings since the last call.
    fn warnings(&mut self) -> Vec<String> {
        let mut codes = Vec::new();
        let mut cx = Context::from_waker(std::task::Waker::noop());
        while let Poll::Ready(Some(event)) = std::pin::Pin::new(&mut self.events).poll_next(&mut cx)
        {
            if let Event::Warning { cause } = event {
                codes.push(cause.code().to_owned());
            }
        }
        codes
    }
}

/// What asks for the room of the tests, with its keys in the order of the caller.
fn asked(serial: u64) -> String {
    let room = r#"{"target": "message", "customer": "1"}"#;
    format!(r#"{{"type": "subscribe", "room": {room}, "requestId": "r-{serial}"}}"#)
}

fn take(reader: &mut Reader<Delivery>) -> Vec<String> {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut taken = Vec::new();
    while let Poll::Ready(Some(received)) = reader.poll_recv(&mut cx) {
        taken.push(match received {
            Received::Item(Delivery::Message(message)) => message.json().to_owned(),
            Received::Item(Delivery::Gap(gap)) if gap.reason == GapReason::Reconnected => {
                "gap".into()
            }
            Received::Item(Delivery::Gap(gap)) => format!("{gap:?}"),
            Received::Item(Delivery::Ended(error)) => format!("ended {}", error.code()),
            Received::Dropped(count) => format!("dropped {count}"),
        });
    }
    taken
}

#[test]
fn the_transcript_of_a_whole_session() {
    let mut bench = Bench::live();
    let mut reader = bench.active(1, Subscribe::new());
    let _refused = bench.subscribe(2, 'b', Subscribe::new());
    assert_eq!(bench.sent(), [asked(2)]);
    bench.receive(r#"{"code": "error", "message": "room-not-found"}"#);
    assert_eq!(bench.effects(), ["b subscribe Some(RoomNotFound)"]);
    bench.publish(1, r#"{"id": 7}"#);
    assert_eq!(take(&mut reader), [r#"{"id": 7}"#]);
    bench.core.unsubscribe(bench.now, 1, Some('u'));
    assert_eq!(bench.sent(), [r#"{"type": "unsubscribe", "requestId": "r-1"}"#]);
    bench.receive(SUCCESS);
    assert_eq!(bench.effects(), ["u ok"]);
    // Nobody has it any more: it is done already.
    bench.core.unsubscribe(bench.now, 1, Some('v'));
    assert_eq!((bench.sent().len(), bench.effects()), (0, vec!["v ok".to_owned()]));
    assert_eq!(bench.warnings(), [""; 0]);
}

#[test]
fn the_first_frame_tells_who_speaks_and_who_is_let_in() {
    for (frame, effects) in [
        (FIRST, &["connect", "allowed 1", "s ok"][..]),
        (FIRST_OF_V2, &["connect", "allowed 1", "s ok"]),
        (r#"{"is_authenticated": true, "is_authorized": true, "allowed_rooms": []}"#, {
            &["connect", "allowed 0", "s ok"]
        }),
        (r#"{"is_authorized": true}"#, &["connect", "allowed 0", "s ok"]),
        (r#"{"is_authorized": false}"#, &["connect", "close", "s connect Some(NotAuthorized)"]),
        (r#"{"is_authenticated": false, "is_authorized": true}"#, {
            &["connect", "close", "s connect Some(NotAuthorized)"]
        }),
        (r#"{"code": "success"}"#, &["connect", "close", "s first_frame None"]),
        ("pong", &["connect", "close", "s first_frame None"]),
        (r#"{"allowed_rooms": ["message"]}"#, &["connect", "close", "s first_frame None"]),
    ] {
        let mut bench = Bench::with(config());
        bench.receive(frame);
        assert_eq!(bench.effects(), effects, "{frame}");
    }
}

#[test]
fn a_refused_user_stops_the_client_unless_it_is_to_be_tried_again() {
    let refusal = r#"{"is_authorized": false}"#;
    let mut bench = Bench::live();
    let mut reader = bench.active(1, Subscribe::new());
    bench.core.disconnected(bench.now, Error::transport(std::io::Error::other("cut")));
    bench.advance(Duration::from_secs(60));
    bench.core.connected(bench.now);
    bench.receive(refusal);
    assert_eq!(take(&mut reader), ["ended connect"]);
    assert_eq!(bench.state(), State::Stopped);
    let mut bench = Bench::let_in(config().retry_refused(), FIRST);
    let mut reader = bench.active(1, Subscribe::new());
    bench.core.disconnected(bench.now, Error::transport(std::io::Error::other("cut")));
    bench.advance(Duration::from_secs(60));
    bench.core.connected(bench.now);
    bench.receive(refusal);
    assert_eq!((take(&mut reader).len(), bench.state()), (0, State::Waiting));
}

/// A 2.x server refuses by closing without a word.
#[test]
fn an_empty_close_before_the_first_frame_is_a_refusal_of_2_x_only() {
    for (protocol, code, wanted) in [
        (Protocol::Auto, None, "s connect Some(NotAuthorized)"),
        (Protocol::V2, None, "s connect Some(NotAuthorized)"),
        (Protocol::V3, None, "s connection_lost None"),
        (Protocol::Auto, Some(1000), "s connection_lost None"),
    ] {
        let mut bench = Bench::with(config().protocol(protocol));
        bench.core.closed(bench.now, code);
        assert_eq!(bench.effects().last().unwrap(), wanted, "{protocol:?} {code:?}");
    }
}

#[test]
fn answers_of_2_x_are_matched_by_their_id_in_any_order() {
    let mut bench = Bench::let_in(config(), FIRST_OF_V2);
    bench.advance(Duration::from_secs(20));
    let _one = bench.subscribe(1, 'a', Subscribe::new());
    let _two = bench.subscribe(2, 'b', Subscribe::new());
    assert_eq!(bench.sent(), ["ping".to_owned(), asked(1), asked(2)]);
    bench.receive(r#"{"requestId": "r-2", "code": "error", "message": "room-not-found"}"#);
    bench.receive(r#"{"requestId": "r-1", "code": "success"}"#);
    bench.receive("pong");
    assert_eq!(bench.effects(), ["b subscribe Some(RoomNotFound)", "a ok"]);
    // Late, or of nobody: kept out, and told.
    bench.receive(r#"{"requestId": "r-9", "code": "success"}"#);
    bench.receive(r#"{"requestId": null, "code": "error", "message": "message-type-not-allowed"}"#);
    assert_eq!(bench.warnings(), ["reply", "reply"]);
    assert_eq!(bench.state(), State::Connected);
    // Which has no status, and would not say so.
    bench.core.status(bench.now, 't');
    assert_eq!(bench.effects(), ["t status Some(MessageTypeNotAllowed)"]);
}

#[test]
fn an_answer_to_something_else_ends_the_connection() {
    for (ask, answer) in [("subscribe", "pong"), ("ping", SUCCESS), ("nothing", SUCCESS)] {
        let mut bench = Bench::live();
        match ask {
            "subscribe" => drop(bench.subscribe(1, 'a', Subscribe::new())),
            "ping" => bench.advance(Duration::from_secs(20)),
            _ => {}
        }
        bench.sent();
        bench.receive(answer);
        assert_eq!(bench.effects(), ["close"], "{ask} {answer}");
        assert_eq!(bench.state(), State::Waiting);
    }
}

#[test]
fn status_comes_through_the_same_queue() {
    let mut bench = Bench::live();
    bench.core.status(bench.now, 't');
    let _one = bench.subscribe(1, 'a', Subscribe::new());
    assert_eq!(bench.sent()[0], r#"{"type": "status"}"#);
    bench.receive(
        r#"{"open_connections": 3, "num_rooms": 1, "online_since": "2026-11-20T22:19:40.942823",
            "rabbitmq_messages_received": 0, "ws_messages_received": 0, "ws_messages_send": 0,
            "ws_messages_send_error": 0, "ws_messages_send_queued": 0}"#,
    );
    bench.receive(SUCCESS);
    assert_eq!(bench.effects(), ["t 3 connections", "a ok"]);
}

#[test]
fn a_text_ping_goes_out_after_20_s_and_wants_its_pong_within_10() {
    let mut bench = Bench::live();
    for _ in 0..20 {
        bench.advance(Duration::from_secs(20));
        assert_eq!(bench.sent(), ["ping"]);
        bench.receive("pong");
    }
    // What the server says does not spare it: its limit counts what we say.
    let _reader = bench.active(1, Subscribe::new());
    for _ in 0..4 {
        bench.advance(Duration::from_secs(5));
        bench.publish(1, "1");
    }
    assert_eq!(bench.sent(), ["ping"]);
    bench.advance(Duration::from_secs(9));
    assert_eq!(bench.effects(), [""; 0]);
    bench.advance(Duration::from_secs(1));
    assert_eq!(bench.effects(), ["disconnect"]);
    assert_eq!(bench.state(), State::Waiting);
}

#[test]
fn a_request_without_an_answer_ends_the_connection_and_then_the_call() {
    let mut bench = Bench::live();
    let _one = bench.subscribe(1, 'a', Subscribe::new());
    bench.advance(Duration::from_secs(4));
    bench.sent();
    bench.advance(Duration::from_secs(6));
    // The caller has waited from the call on; the answer may still come.
    assert_eq!(bench.effects(), ["a timeout None"]);
    assert_eq!(bench.sent(), [r#"{"type": "unsubscribe", "requestId": "r-1"}"#]);
    bench.advance(Duration::from_secs(4));
    assert_eq!(bench.effects(), ["disconnect"]);
}

#[test]
fn a_lost_connection_is_made_up_for_with_the_same_ids_and_a_gap() {
    let mut bench = Bench::live();
    let mut one = bench.active(1, Subscribe::new());
    let mut two = bench.active(2, Subscribe::new());
    bench.publish(1, "1");
    bench.reconnect();
    assert_eq!(bench.sent(), [asked(1), asked(2)]);
    assert_eq!(take(&mut one), ["1"]);
    bench.receive(SUCCESS);
    // Told when the room is subscribed again: who fetches now misses nothing.
    assert_eq!(take(&mut one), ["gap"]);
    bench.receive(r#"{"code": "error", "message": "room-not-found"}"#);
    assert_eq!(take(&mut two), ["ended subscribe"]);
    bench.publish(1, "2");
    assert_eq!(take(&mut one), ["2"]);
    assert_eq!(bench.core.monitor.stats().gaps, 1);
}

#[test]
fn what_comes_before_the_answer_is_delivered_and_its_loss_is_a_gap() {
    let mut bench = Bench::live();
    let mut one = bench.subscribe(1, 'a', Subscribe::new());
    bench.sent();
    bench.publish(1, "1");
    bench.reconnect();
    bench.sent();
    bench.receive(SUCCESS);
    assert_eq!(bench.effects(), ["a ok"]);
    bench.publish(1, "3");
    assert_eq!(take(&mut one), ["1", "gap", "3"]);
    // Before any message there is nothing to be missed.
    let mut two = bench.subscribe(2, 'b', Subscribe::new());
    bench.sent();
    bench.reconnect();
    bench.sent();
    bench.receive(SUCCESS);
    bench.receive(SUCCESS);
    assert_eq!((bench.effects(), take(&mut two).len()), (vec!["b ok".to_owned()], 0));
}

#[test]
fn unsubscribing_is_done_when_the_connection_is_gone() {
    let mut bench = Bench::live();
    let _one = bench.active(1, Subscribe::new());
    bench.core.unsubscribe(bench.now, 1, Some('u'));
    bench.sent();
    bench.receive(r#"{"code": "error", "message": "not-subscribed"}"#);
    assert_eq!(bench.effects(), ["u ok"]);
    let _two = bench.active(2, Subscribe::new());
    bench.core.unsubscribe(bench.now, 2, Some('u'));
    bench.sent();
    bench.core.disconnected(bench.now, Error::transport(std::io::Error::other("cut")));
    assert_eq!(bench.effects(), ["u ok"]);
    bench.advance(Duration::from_secs(60));
    bench.core.connected(bench.now);
    bench.receive(FIRST);
    assert_eq!(bench.sent(), [""; 0]);
}

#[test]
fn unsubscribing_has_its_deadline_even_while_nothing_is_read() {
    let few = InboxLimits::default().max_messages(1);
    let mut bench = Bench::live();
    let _stuck = bench.active(1, Subscribe::new().inbox(few));
    let _other = bench.active(2, Subscribe::new());
    bench.publish(1, "1");
    assert!(bench.core.is_blocked());
    bench.core.unsubscribe(bench.now, 2, Some('u'));
    bench.sent();
    assert_eq!(bench.core.poll_timeout(), Some(bench.now + Duration::from_secs(10)));
    bench.advance(Duration::from_secs(10));
    assert_eq!(bench.effects(), ["u timeout None"]);
    assert_eq!(bench.state(), State::Connected);
}

#[test]
fn what_means_nothing_is_told_and_changes_nothing() {
    let mut bench = Bench::live();
    let mut one = bench.active(1, Subscribe::new());
    for text in ["", "x", "[1]", "3", r#"{"type": "publish"}"#, "{}", r#"{"type": "new"}"#, FIRST] {
        bench.receive(text);
    }
    assert_eq!(bench.warnings().len(), 8);
    bench.publish(9, "1");
    assert_eq!((bench.warnings().len(), bench.core.monitor.stats().strays), (0, 9));
    bench.publish(1, "null");
    assert_eq!(take(&mut one), ["null"]);
    assert_eq!(bench.state(), State::Connected);
}

#[test]
fn a_slow_consumer_is_waited_for_or_loses_or_ends_as_it_asked() {
    let few = InboxLimits::default().max_messages(2);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut bench = Bench::live();
    let mut slow = bench.active(1, Subscribe::new().inbox(few));
    bench.publish(1, "1");
    assert!(bench.core.poll_room(bench.now, &mut cx).is_ready());
    bench.publish(1, "2");
    assert!(bench.core.poll_room(bench.now, &mut cx).is_pending());
    // Nothing is read, so that nothing can be overdue.
    bench.advance(Duration::from_secs(600));
    assert_eq!((bench.effects().len(), bench.sent().len()), (0, 0));
    assert_eq!(take(&mut slow), ["1", "2"]);
    assert!(bench.core.poll_room(bench.now, &mut cx).is_ready());

    let dropping = Subscribe::new().inbox(few).overflow(Overflow::DropOldest);
    let mut slow = bench.active(2, dropping);
    (1..=4).for_each(|n| bench.publish(2, &n.to_string()));
    assert_eq!(take(&mut slow), ["dropped 2", "3", "4"]);

    let ending = Subscribe::new().inbox(few).overflow(Overflow::Error);
    let mut slow = bench.active(3, ending);
    (1..=4).for_each(|n| bench.publish(3, &n.to_string()));
    assert_eq!(take(&mut slow), ["1", "2", "ended slow_consumer"]);
    assert_eq!(bench.sent(), [r#"{"type": "unsubscribe", "requestId": "r-3"}"#]);
}

#[test]
fn close_answers_everybody_once() {
    let mut bench = Bench::live();
    let _one = bench.active(1, Subscribe::new());
    let _two = bench.subscribe(2, 'a', Subscribe::new());
    bench.core.status(bench.now, 't');
    bench.core.close(bench.now, 'c');
    assert_eq!(bench.effects(), ["close", "a closed None", "t closed None", "closed"]);
    let _three = bench.subscribe(3, 'd', Subscribe::new());
    bench.core.status(bench.now, 'e');
    bench.core.start(bench.now, 'f');
    assert_eq!(bench.effects(), ["d closed None", "e closed None", "f closed None"]);
}

/// Whatever comes in whatever order: no panic, and nothing that waits for ever.
#[test]
fn any_sequence_of_inputs_is_survived() {
    use proptest::prelude::*;
    let texts = [FIRST, FIRST_OF_V2, SUCCESS, "pong", "{", r#"{"is_authorized": false}"#];
    proptest!(|(steps in proptest::collection::vec((0_usize..12, 0_u64..40), 1..60))| {
        let mut bench = Bench::with(config().retry_first_connect());
        let mut readers = Vec::new();
        for (serial, (step, seconds)) in steps.into_iter().enumerate() {
            match step {
                0..6 => bench.receive(texts[step]),
                6 => readers.push(bench.subscribe(serial as u64, 'a', Subscribe::new())),
                7 => bench.core.unsubscribe(bench.now, seconds, Some('u')),
                8 => bench.core.connected(bench.now),
                9 => bench.core.closed(bench.now, None),
                10 => bench.publish(seconds, "1"),
                _ => bench.advance(Duration::from_secs(seconds)),
            }
            bench.sent();
            bench.effects();
        }
        bench.core.close(bench.now, 'c');
        prop_assert!(bench.effects().contains(&"closed".to_owned()));
        prop_assert!(bench.core.poll_timeout().is_none());
    });
}
