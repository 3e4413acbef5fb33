//! The core alone: what it writes, tells and waits for, in made-up time.

use std::time::Duration;

use client_core::{Event, Events, InboxLimits, Overflow, Reader, Received, Secret, State, inbox};
use futures_core::Stream;

use super::*;
use crate::{
    config::{Credentials, Given, Subscribe},
    delivery::{Delivery, Gap, GapReason},
    group::GroupId,
};

/// A core and its clock; replies are named by letters.
struct Bench {
    core: Core<char>,
    now: Instant,
    events: Events<Error>,
}

fn basic() -> Greeting {
    let secret = Secret::new("s3cr3t");
    Greeting(Given { client_id: "harbour7".into(), is_jwt: false, secret })
}

impl Bench {
    fn new() -> Self {
        let config = Config::new("sea", 3104, Credentials::basic("harbour7", "s3cr3t")).seed(1);
        let monitor = Monitor::new();
        let events = monitor.events();
        Self { core: Core::new(config, monitor).unwrap(), now: Instant::now(), events }
    }

    /// Connected and authenticated.
    fn live() -> Self {
        let mut bench = Self::new();
        bench.core.start(bench.now, 's');
        bench.connect();
        assert_eq!(bench.effects(), ["connect", "s ok"]);
        bench
    }

    fn connect(&mut self) {
        self.core.connected(self.now, &basic());
        self.sent();
        self.receive(r#"{"id":1,"action":"authenticate","success":true,"payload":{"jailId":"j"}}"#);
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

    fn effects(&mut self) -> Vec<String> {
        std::iter::from_fn(|| self.core.poll_effect())
            .map(|effect| match effect {
                Effect::Connect { .. } => "connect".into(),
                Effect::Disconnect { graceful: true } => "close".into(),
                Effect::Disconnect { .. } => "disconnect".into(),
                Effect::Reply { to, result: Ok(()) } => format!("{to} ok"),
                Effect::Reply { to, result: Err(error) } => format!("{to} {}", error.code()),
                Effect::Closed { .. } => "closed".into(),
            })
            .collect()
    }

    fn subscribe(&mut self, serial: u64, to: char, options: Subscribe) -> Reader<Delivery> {
        let (out, reader) = inbox(options.inbox, options.overflow);
        self.core.subscribe(self.now, serial, "tides", options, out, to);
        reader
    }

    /// A subscription that was accepted under this id.
    fn active(&mut self, serial: u64, id: u64) -> Reader<Delivery> {
        let reader = self.subscribe(serial, 'x', Subscribe::new());
        assert_eq!(
            self.sent(),
            [format!(r#"{{"id":{id},"action":"subscribe","payload":"tides"}}"#)]
        );
        self.receive(&format!(
            r#"{{"id":{id},"action":"subscription","success":true,"payload":{id}}}"#
        ));
        assert_eq!(self.effects(), ["x ok"]);
        reader
    }

    fn advance(&mut self, by: Duration) {
        self.now += by;
        self.core.handle_timeout(self.now);
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

fn take(reader: &mut Reader<Delivery>) -> Vec<String> {
    let mut cx = Context::from_waker(std::task::Waker::noop());
    let mut taken = Vec::new();
    while let Poll::Ready(Some(Received::Item(delivery))) = reader.poll_recv(&mut cx) {
        taken.push(match delivery {
            Delivery::Message(message) => message.json().to_owned(),
            Delivery::Gap(Gap { reason: GapReason::Reconnected, .. }) => "gap".into(),
            Delivery::Gap(_) => "dropped".into(),
            Delivery::Ended(error) => error.code().to_owned(),
        });
    }
    taken
}

#[test]
fn the_transcript_of_the_specification() {
    let mut bench = Bench::new();
    bench.core.start(bench.now, 's');
    bench.core.connected(bench.now, &basic());
    assert_eq!(
        bench.sent(),
        [
            r#"{"id":1,"action":"authenticate","payload":{"type":"basic","clientId":"harbour7","clientSecret":"s3cr3t"}}"#
        ]
    );
    bench.receive(
        r#"{"id":1,"action":"authenticate","success":true,"payload":{"jailId":"jail_a"}}"#,
    );
    assert_eq!(bench.effects(), ["connect", "s ok"]);
    let mut reader = bench.subscribe(0, 'a', Subscribe::new());
    assert_eq!(bench.sent(), [r#"{"id":2,"action":"subscribe","payload":"tides"}"#]);
    for text in [
        r#"{"id":2,"action":"subscription","success":true,"streamName":"tides","payload":2}"#,
        r#"{"id":2,"action":"subscription","streamName":"tides","payload":{"station":"N4","level":1.75}}"#,
        r#"{"id":2,"action":"subscription","streamName":"tides","payload":[{"level":1.8},{"level":1.9}]}"#,
    ] {
        bench.receive(text);
    }
    assert_eq!(bench.effects(), ["a ok"]);
    let batch = r#"[{"level":1.8},{"level":1.9}]"#;
    assert_eq!(take(&mut reader), [r#"{"station":"N4","level":1.75}"#, batch]);
    assert!(bench.warnings().is_empty());
}

#[test]
fn tokens_and_groups_are_said_as_the_wire_has_them() {
    let mut bench = Bench::new();
    bench.core.start(bench.now, 's');
    let given = Given { client_id: "h".into(), is_jwt: true, secret: Secret::new("t.o.k") };
    bench.core.connected(bench.now, &Greeting(given));
    let wanted =
        r#"{"id":1,"action":"authenticate","payload":{"type":"jwt","clientId":"h","jwt":"t.o.k"}}"#;
    assert_eq!(bench.sent(), [wanted]);
    bench.receive(r#"{"id":1,"success":true}"#);
    let group: GroupId = "6c2f3f0e-8c0f-4a4b-9a55-3f0d3f5a1c11".parse().unwrap();
    let _reader = bench.subscribe(0, 'a', Subscribe::new().group(group));
    let wanted = r#"{"id":2,"action":"subscribe","payload":"tides","groupId":"6c2f3f0e-8c0f-4a4b-9a55-3f0d3f5a1c11"}"#;
    assert_eq!(bench.sent(), [wanted]);
}

#[test]
fn refused_credentials_close_the_connection_and_are_not_tried_again() {
    for told in [r#""success":false,"error":{"message":"no"}"#, r#""error":{"message":"no"}"#] {
        let mut bench = Bench::new();
        bench.core.start(bench.now, 's');
        bench.core.connected(bench.now, &basic());
        bench.sent();
        bench.receive(&format!(r#"{{"id":1,"action":"authenticate",{told}}}"#));
        assert_eq!(bench.effects(), ["connect", "close", "s authenticate"]);
        assert_eq!(bench.core.monitor.state(), State::Stopped);
        assert_eq!(bench.core.poll_timeout(), None);
    }
}

#[test]
fn both_spellings_of_a_reply_are_understood_and_a_missing_success_is_one() {
    for reply in [
        r#"{"id":2,"action":"subscribe","success":true}"#,
        r#"{"id":2,"action":"subscription","streamName":"tides"}"#,
        r#"{"id":2}"#,
    ] {
        let mut bench = Bench::live();
        let _reader = bench.subscribe(0, 'a', Subscribe::new());
        bench.sent();
        bench.receive(reply);
        assert_eq!(bench.effects(), ["a ok"], "{reply}");
    }
}

#[test]
fn a_refused_subscription_is_its_own_affair() {
    let mut bench = Bench::live();
    let mut good = bench.active(0, 2);
    let mut bad = bench.subscribe(1, 'b', Subscribe::new());
    bench.sent();
    bench.receive(r#"{"id":3,"action":"subscription","success":false,"error":{"message":"no"}}"#);
    assert_eq!(bench.effects(), ["b subscribe"]);
    assert!(take(&mut bad).is_empty());
    bench.receive(r#"{"id":2,"payload":1}"#);
    assert_eq!(take(&mut good), ["1"]);
}

#[test]
fn what_means_nothing_is_told_and_the_stream_goes_on() {
    let mut bench = Bench::live();
    let mut reader = bench.active(0, 2);
    for (text, code) in [
        ("junk", "invalid_json"),
        ("null", "invalid_json"),
        ("[]", "invalid_json"),
        ("7", "invalid_json"),
        ("{}", "no_id"),
        (r#"{"id":"2","payload":1}"#, "no_id"),
        (r#"{"id":0,"payload":1}"#, "no_id"),
        (r#"{"id":-2,"payload":1}"#, "no_id"),
        (r#"{"id":2.5,"payload":1}"#, "no_id"),
        (r#"{"id":null,"payload":1}"#, "no_id"),
        (r#"{"id":9,"payload":1}"#, "unknown_id"),
        (r#"{"id":1,"success":false}"#, "unknown_id"),
        (r#"{"id":2}"#, "no_payload"),
    ] {
        bench.receive(text);
        assert_eq!(bench.warnings(), [code], "{text}");
    }
    bench.core.handle_input(bench.now, Input::Binary(b""));
    assert_eq!(bench.warnings(), ["binary_message"]);
    bench.receive(r#"{"id":2,"action":"whatever","success":false,"payload":null}"#);
    assert_eq!(take(&mut reader), ["null"]);
    assert_eq!(bench.core.monitor.stats().strays, 14);
}

#[test]
fn a_lost_connection_is_a_gap_and_ids_begin_at_1() {
    let mut bench = Bench::live();
    let (mut one, mut two) = (bench.active(0, 2), bench.active(1, 3));
    let mut late = bench.subscribe(2, 'c', Subscribe::new());
    bench.core.disconnected(bench.now, Error::transport(std::io::Error::other("gone")));
    assert_eq!((take(&mut one), take(&mut two)), (vec!["gap".into()], vec!["gap".into()]));
    let at = bench.core.poll_timeout().unwrap();
    bench.advance(at - bench.now);
    assert_eq!(bench.effects(), ["connect"]);
    bench.connect();
    let asked: Vec<String> = (2..5)
        .map(|id| format!(r#"{{"id":{id},"action":"subscribe","payload":"tides"}}"#))
        .collect();
    assert_eq!(bench.sent(), asked);
    for id in 2..5 {
        bench.receive(&format!(r#"{{"id":{id},"success":true}}"#));
        bench.receive(&format!(r#"{{"id":{id},"payload":{id}}}"#));
    }
    assert_eq!(bench.effects(), ["c ok"]);
    assert_eq!(take(&mut one), ["2"]);
    assert_eq!(take(&mut two), ["3"]);
    // It was never accepted before, and missed nothing that was promised.
    assert_eq!(take(&mut late), ["4"]);
    assert_eq!(bench.core.monitor.stats().gaps, 2);
}

#[test]
fn batches_are_flattened_on_request() {
    let mut bench = Bench::live();
    let mut reader = bench.subscribe(0, 'a', Subscribe::new().flatten());
    bench.sent();
    bench.receive(r#"{"id":2,"success":true}"#);
    bench.receive(r#"{"id":2,"payload":[{"a":1}, 2, [3]]}"#);
    bench.receive(r#"{"id":2,"payload":{"b":[1]}}"#);
    bench.receive(r#"{"id":2,"payload":[]}"#);
    assert_eq!(take(&mut reader), [r#"{"a":1}"#, "2", "[3]", r#"{"b":[1]}"#]);
}

#[test]
fn a_slow_consumer_that_wants_an_error_leaves_the_others_alone() {
    let mut bench = Bench::live();
    let mut other = bench.active(0, 2);
    let options =
        Subscribe::new().overflow(Overflow::Error).inbox(InboxLimits::default().max_messages(1));
    let mut slow = bench.subscribe(1, 's', options);
    bench.sent();
    bench.receive(r#"{"id":3,"success":true}"#);
    for n in 0..3 {
        bench.receive(&format!(r#"{{"id":3,"payload":{n}}}"#));
    }
    bench.receive(r#"{"id":2,"payload":9}"#);
    assert_eq!(take(&mut slow), ["0", "slow_consumer"]);
    assert_eq!(take(&mut other), ["9"]);
    assert!(bench.warnings().is_empty());
}

#[test]
fn the_last_subscription_to_go_takes_the_connection_with_it() {
    let mut bench = Bench::live();
    let mut one = bench.active(0, 2);
    let _two = bench.active(1, 3);
    bench.core.unsubscribe(bench.now, 1);
    assert!(bench.effects().is_empty());
    // It is still sent to, and nobody is bothered.
    bench.receive(r#"{"id":3,"payload":1}"#);
    assert!(bench.warnings().is_empty());
    bench.core.unsubscribe(bench.now, 0);
    assert_eq!(bench.effects(), ["close", "connect"]);
    assert!(take(&mut one).is_empty());
}

#[test]
fn a_subscription_that_is_not_answered_times_out_alone() {
    let mut bench = Bench::live();
    let mut other = bench.active(0, 2);
    let _stuck = bench.subscribe(1, 'b', Subscribe::new());
    bench.sent();
    bench.advance(Duration::from_secs(10));
    assert_eq!(bench.effects(), ["b timeout"]);
    // Its late answer is nobody's.
    bench.receive(r#"{"id":3,"success":true}"#);
    bench.receive(r#"{"id":2,"payload":1}"#);
    assert_eq!(take(&mut other), ["1"]);
    assert!(bench.warnings().is_empty());
}

#[test]
fn silence_is_asked_after_at_30_s_and_ends_at_40_s() {
    let mut bench = Bench::live();
    bench.advance(Duration::from_secs(30));
    assert_eq!(bench.sent(), ["PING"]);
    bench.advance(Duration::from_secs(10));
    assert_eq!(bench.effects(), ["disconnect"]);
    assert_eq!(bench.core.monitor.state(), State::Waiting);
}

#[test]
fn closing_ends_everything_once() {
    let mut bench = Bench::live();
    let mut reader = bench.active(0, 2);
    let _waiting = bench.subscribe(1, 'b', Subscribe::new());
    bench.core.close(bench.now, 'c');
    assert_eq!(bench.effects(), ["close", "b closed", "closed"]);
    bench.core.close(bench.now, 'd');
    assert_eq!(bench.effects(), ["closed"]);
    let _refused = bench.subscribe(2, 'e', Subscribe::new());
    assert_eq!(bench.effects(), ["e closed"]);
    assert!(take(&mut reader).is_empty());
}

#[test]
fn refused_requests_leave_nothing_behind() {
    let mut bench = Bench::live();
    let mut one = bench.active(0, 2);
    let _two = bench.active(1, 3);
    for serial in 2..1500 {
        let _reader = bench.subscribe(serial, 'r', Subscribe::new());
        bench.sent();
        bench.receive(&format!(r#"{{"id":{},"success":false}}"#, serial + 2));
        assert_eq!(bench.effects(), ["r subscribe"]);
        bench.core.unsubscribe(bench.now, serial);
    }
    // One of two that live goes: the other is not disturbed.
    bench.core.unsubscribe(bench.now, 1);
    assert!(bench.effects().is_empty());
    assert!(take(&mut one).is_empty());
}

#[test]
fn who_cannot_read_does_not_call_an_answer_overdue() {
    let mut bench = Bench::live();
    let full = Subscribe::new().inbox(InboxLimits::default().max_messages(1));
    let mut slow = bench.subscribe(0, 'a', full);
    bench.sent();
    bench.receive(r#"{"id":2,"success":true}"#);
    bench.receive(r#"{"id":2,"payload":1}"#);
    assert!(bench.core.is_blocked());
    bench.core.disconnected(bench.now, Error::transport(std::io::Error::other("gone")));
    let at = bench.core.poll_timeout().unwrap();
    bench.advance(at - bench.now);
    bench.effects();
    bench.connect();
    bench.sent();
    assert!(bench.core.is_blocked());
    bench.advance(Duration::from_secs(600));
    assert!(bench.effects().is_empty());
    assert_eq!(take(&mut slow), ["1", "gap"]);
    let mut cx = Context::from_waker(std::task::Waker::noop());
    assert!(bench.core.poll_room(bench.now, &mut cx).is_ready());
    bench.receive(r#"{"id":2,"success":true}"#);
    bench.receive(r#"{"id":2,"payload":2}"#);
    assert_eq!(take(&mut slow), ["2"]);
}

#[cfg(feature = "client")]
#[test]
fn a_fanout_group_is_new_on_each_connection_and_a_named_one_is_not() {
    let mut bench = Bench::live();
    let group: GroupId = "6c2f3f0e-8c0f-4a4b-9a55-3f0d3f5a1c11".parse().unwrap();
    let _one = bench.subscribe(0, 'a', Subscribe::new().fanout());
    let _two = bench.subscribe(1, 'b', Subscribe::new().group(group));
    let first = bench.sent();
    bench.core.disconnected(bench.now, Error::transport(std::io::Error::other("gone")));
    let at = bench.core.poll_timeout().unwrap();
    bench.advance(at - bench.now);
    bench.connect();
    let second = bench.sent();
    assert_eq!(first[1], second[1]);
    assert_ne!(first[0], second[0]);
}

#[test]
fn what_is_sent_does_not_show_a_secret() {
    let mut bench = Bench::new();
    bench.core.start(bench.now, 's');
    bench.core.connected(bench.now, &basic());
    let transmit = bench.core.poll_transmit(bench.now).unwrap();
    assert_eq!(format!("{transmit:?} {:?}", basic()).matches("s3cr3t").count(), 0);
}

#[test]
fn an_id_that_is_another_streams_ends_the_connection_with_a_gap() {
    let mut bench = Bench::live();
    let mut reader = bench.active(0, 2);
    bench.receive(r#"{"id":2,"streamName":"tides","payload":1}"#);
    bench.receive(r#"{"id":2,"streamName":"moods","payload":2}"#);
    assert_eq!(bench.effects(), ["close"]);
    assert_eq!(take(&mut reader), ["1", "gap"]);
    assert_eq!(bench.core.monitor.state(), State::Waiting);
}
