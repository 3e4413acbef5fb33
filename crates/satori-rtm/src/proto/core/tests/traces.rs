//! The traces that the original's suite expects of its observers
//! (docs/protocols/satori-rtm.md, 11.3), under its numbers.

use futures_core::Stream;

use super::*;
use crate::transition::Subject;

impl Bench {
    /// Connected, with the original's numbers.
    fn reference() -> Self {
        let mut bench = Self::new(Config::reference("ws://rtm", "K"));
        bench.core.start(bench.now, 's');
        bench.connect();
        bench.effects();
        let _begin = bench.trace();
        bench
    }

    /// What happened since the last call: steps of subscription 0 by their names, of
    /// others with their number, and the client's with a `*`.
    fn trace(&mut self) -> String {
        let mut cx = Context::from_waker(std::task::Waker::noop());
        let mut all = Vec::new();
        while let Poll::Ready(Some(transition)) =
            std::pin::Pin::new(&mut self.steps).poll_next(&mut cx)
        {
            all.push(match transition.subject {
                Subject::Client => format!("*{}", transition.step),
                Subject::Subscription { number: 0, .. } => transition.step.to_string(),
                Subject::Subscription { number, .. } => format!("{number}:{}", transition.step),
            });
        }
        all.join(" ")
    }

    fn subscribed(&mut self) -> Reader<Delivery> {
        let reader = self.subscribe('u');
        self.answer("subscribe", "ok");
        let _subscribed = self.trace();
        reader
    }

    /// Answers the newest request.
    fn answer(&mut self, what: &str, outcome: &str) {
        self.sent();
        let id = self.core.next_id - 1;
        let body = r#"{"position":"1:1","error":"refused","reason":"no","subscription_id":"c"}"#;
        self.receive(&format!(r#"{{"action":"rtm/{what}/{outcome}","id":{id},"body":{body}}}"#));
    }

    fn channel_error(&mut self, error: &str) {
        self.receive(&format!(
            r#"{{"action":"rtm/subscription/error","body":{{"error":"{error}","subscription_id":"c"}}}}"#
        ));
    }

    fn drop_handle(&mut self, serial: u64) {
        self.core.unsubscribe(self.now, "c", serial, None);
    }
}

#[test]
fn the_client_starts_and_stops() {
    let mut bench = Bench::new(Config::reference("ws://rtm", "K"));
    bench.core.start(bench.now, 's');
    assert_eq!(bench.trace(), "*leave_stopped *enter_connecting");
    bench.connect();
    assert_eq!(bench.trace(), "*leave_connecting *enter_connected");
    bench.core.stop();
    let stopped = "*leave_connected *enter_stopping *leave_stopping *enter_stopped";
    assert_eq!(bench.trace(), stopped);
    bench.core.stop();
    assert_eq!(bench.trace(), "");
    bench.core.close(bench.now, Duration::ZERO, 'c');
    bench.advance(Duration::ZERO);
    assert_eq!(bench.trace(), "*leave_stopped *enter_disposed");
}

#[test]
fn a_first_attempt_that_fails_ends_in_stopped() {
    let mut bench = Bench::new(Config::reference("ws://rtm", "K"));
    bench.core.start(bench.now, 's');
    bench.core.disconnected(bench.now, lost());
    let expected = "*leave_stopped *enter_connecting *leave_connecting *enter_stopped";
    assert_eq!(bench.trace(), expected);
}

#[test]
fn subscriptions_are_asked_for_before_the_client_enters_connected() {
    let mut bench = Bench::new(Config::reference("ws://rtm", "K"));
    let _reader = bench.subscribe('u');
    bench.core.start(bench.now, 's');
    bench.connect();
    assert_eq!(
        bench.trace(),
        "*leave_stopped *enter_connecting *leave_connecting \
         leave_unsubscribed enter_subscribing *enter_connected"
    );
}

#[test]
fn subscribing_and_unsubscribing() {
    let mut bench = Bench::reference();
    let _reader = bench.subscribe('u');
    bench.answer("subscribe", "ok");
    assert_eq!(
        bench.trace(),
        "leave_unsubscribed enter_subscribing leave_subscribing enter_subscribed"
    );
    bench.drop_handle(0);
    bench.answer("unsubscribe", "ok");
    assert_eq!(
        bench.trace(),
        "leave_subscribed enter_unsubscribing leave_unsubscribing enter_unsubscribed deleted"
    );
}

#[test]
fn a_dropped_connection_and_the_next() {
    let mut bench = Bench::reference();
    let _reader = bench.subscribed();
    bench.core.disconnected(bench.now, lost());
    assert_eq!(
        bench.trace(),
        "*leave_connected leave_subscribed enter_unsubscribed *enter_awaiting"
    );
    bench.advance(Duration::from_secs(1));
    bench.connect();
    bench.answer("subscribe", "ok");
    assert_eq!(
        bench.trace(),
        "*leave_awaiting *enter_connecting *leave_connecting \
         leave_unsubscribed enter_subscribing *enter_connected leave_subscribing enter_subscribed"
    );
}

#[test]
fn a_refused_subscription_fails_and_is_deleted_when_it_is_dropped() {
    let mut bench = Bench::reference();
    let _reader = bench.subscribe('u');
    bench.answer("subscribe", "error");
    assert_eq!(
        bench.trace(),
        "leave_unsubscribed enter_subscribing leave_subscribing enter_failed"
    );
    bench.drop_handle(0);
    assert_eq!(bench.trace(), "leave_failed enter_unsubscribed deleted");
    // Failed, and one takes its place: that one is created.
    let _reader = bench.subscribe('u');
    bench.answer("subscribe", "error");
    let _failed = bench.trace();
    let _next = bench.subscribe_as(1, Subscribe::new(), 'n');
    assert_eq!(
        bench.trace(),
        "leave_failed enter_unsubscribed deleted 1:created 1:leave_unsubscribed 1:enter_subscribing"
    );
}

#[test]
fn errors_of_a_channel() {
    let mut bench = Bench::reference();
    let _reader = bench.subscribed();
    bench.channel_error("maintenance");
    bench.answer("subscribe", "ok");
    assert_eq!(
        bench.trace(),
        "leave_subscribed enter_subscribing leave_subscribing enter_subscribed"
    );
    // While it is being left, it is gone with its answer.
    bench.drop_handle(0);
    bench.channel_error("maintenance");
    bench.answer("unsubscribe", "ok");
    assert!(bench.trace().ends_with("leave_unsubscribing enter_unsubscribed deleted"));

    let advanced = Subscribe::new().mode(crate::config::Mode::Advanced);
    let _reader = bench.subscribe_as(0, advanced, 'u');
    bench.answer("subscribe", "ok");
    let _subscribed = bench.trace();
    bench.channel_error("out_of_sync");
    assert_eq!(bench.trace(), "leave_subscribed enter_failed");
    bench.drop_handle(0);
    assert_eq!(bench.trace(), "leave_failed enter_unsubscribed deleted");
}

#[test]
fn a_refused_unsubscribe_returns_to_subscribed() {
    let mut bench = Bench::reference();
    let _reader = bench.subscribed();
    bench.core.unsubscribe(bench.now, "c", 0, Some('e'));
    bench.answer("unsubscribe", "error");
    assert_eq!(
        bench.trace(),
        "leave_subscribed enter_unsubscribing leave_unsubscribing enter_subscribed"
    );
    assert!(bench.effects().contains(&"e refused".to_owned()));
    // The next subscription on the id asks once more.
    let _next = bench.subscribe_as(1, Subscribe::new(), 'n');
    bench.answer("unsubscribe", "ok");
    assert!(bench.trace().ends_with("deleted 1:created 1:leave_unsubscribed 1:enter_subscribing"));
}

#[test]
fn one_subscription_takes_the_place_of_another() {
    let mut bench = Bench::reference();
    let _first = bench.subscribed();
    bench.drop_handle(0);
    let _second = bench.subscribe_as(1, Subscribe::new(), 'n');
    bench.answer("unsubscribe", "ok");
    bench.answer("subscribe", "ok");
    assert_eq!(
        bench.trace(),
        "leave_subscribed enter_unsubscribing leave_unsubscribing enter_unsubscribed deleted \
         1:created 1:leave_unsubscribed 1:enter_subscribing \
         1:leave_subscribing 1:enter_subscribed"
    );
}

#[test]
fn a_change_that_is_changed_again_deletes_the_one_in_between() {
    let mut bench = Bench::reference();
    let _first = bench.subscribed();
    bench.drop_handle(0);
    let _second = bench.subscribe_as(1, Subscribe::new(), 'n');
    bench.drop_handle(1);
    let _third = bench.subscribe_as(2, Subscribe::new(), 'm');
    assert_eq!(bench.trace(), "leave_subscribed enter_unsubscribing 1:deleted");
    bench.answer("unsubscribe", "ok");
    bench.answer("subscribe", "ok");
    assert_eq!(
        bench.trace(),
        "leave_unsubscribing enter_unsubscribed deleted \
         2:created 2:leave_unsubscribed 2:enter_subscribing \
         2:leave_subscribing 2:enter_subscribed"
    );
    assert!(bench.effects().contains(&"n closed".to_owned()));
}

#[test]
fn a_subscription_refused_while_another_waits_makes_way_without_a_state_between() {
    let mut bench = Bench::reference();
    let _first = bench.subscribe('u');
    bench.sent();
    let _begin = bench.trace();
    bench.drop_handle(0);
    let _second = bench.subscribe_as(1, Subscribe::new(), 'n');
    bench.answer("subscribe", "error");
    bench.answer("subscribe", "ok");
    assert_eq!(
        bench.trace(),
        "leave_subscribing deleted 1:created 1:enter_subscribing \
         1:leave_subscribing 1:enter_subscribed"
    );
}

#[test]
fn the_original_waits_its_own_seconds_from_the_beginning_of_each_attempt() {
    let mut bench = Bench::reference();
    bench.advance(Duration::from_secs(10));
    bench.sent();
    bench.core.disconnected(bench.now, lost());
    let mut waits = Vec::new();
    for _ in 0..10 {
        let at = bench.core.poll_timeout().unwrap();
        waits.push(at.saturating_duration_since(bench.now).as_secs());
        bench.now = bench.now.max(at);
        bench.core.handle_timeout(bench.now);
        assert!(bench.effects().contains(&"connect".to_owned()));
        bench.core.disconnected(bench.now, lost());
    }
    // The connection had lasted longer than the first wait.
    assert_eq!(waits, [0, 2, 4, 8, 16, 32, 64, 128, 256, 300]);
}

#[test]
fn a_threshold_of_failures_ends_in_stopped() {
    let mut bench = Bench::new(Config::reference("ws://rtm", "K").max_failures(1));
    bench.core.start(bench.now, 's');
    bench.connect();
    for _ in 0..2 {
        bench.core.disconnected(bench.now, lost());
        assert_eq!(bench.core.monitor.state(), State::Waiting);
        let at = bench.core.poll_timeout().unwrap();
        bench.advance(at.saturating_duration_since(bench.now));
    }
    bench.core.disconnected(bench.now, lost());
    assert_eq!(bench.core.monitor.state(), State::Stopped);
}

#[test]
fn silence_is_found_by_the_original_after_two_minutes() {
    let mut bench = Bench::reference();
    bench.advance(Duration::from_secs(60));
    assert_eq!(bench.sent(), ["PING"]);
    bench.advance(Duration::from_secs(60));
    assert_eq!(bench.core.monitor.state(), State::Waiting);
}

/// What can happen to a subscription.
#[derive(Clone, Copy, Debug)]
enum Happens {
    Connect,
    Disconnect,
    Leave,
    SubscribeOk,
    SubscribeError,
    ChannelError,
    OutOfSync,
    UnsubscribeOk,
    UnsubscribeError,
}

/// A core whose one subscription is in `phase`, and the id of the request that is out.
fn in_phase(phase: Phase) -> (Bench, u64) {
    let mut bench = Bench::reference();
    if phase == Phase::Unsubscribed {
        bench.core.stop();
    }
    let advanced = Subscribe::new().mode(crate::config::Mode::Advanced);
    drop(bench.subscribe_as(0, advanced, 'u'));
    bench.sent();
    match phase {
        Phase::Subscribed => bench.answer("subscribe", "ok"),
        Phase::Unsubscribing => {
            bench.answer("subscribe", "ok");
            bench.drop_handle(0);
            bench.sent();
        }
        Phase::Failed => bench.answer("subscribe", "error"),
        _ => {}
    }
    let id = bench.core.next_id.saturating_sub(1);
    assert_eq!(bench.core.subscriptions["c"].phase, phase);
    (bench, id)
}

fn happen(bench: &mut Bench, id: u64, what: Happens) {
    let mut answer = |what: &str, outcome: &str| {
        let body = r#"{"position":"1:1","error":"refused","subscription_id":"c"}"#;
        bench.receive(&format!(r#"{{"action":"rtm/{what}/{outcome}","id":{id},"body":{body}}}"#));
    };
    match what {
        Happens::SubscribeOk => answer("subscribe", "ok"),
        Happens::SubscribeError => answer("subscribe", "error"),
        Happens::UnsubscribeOk => answer("unsubscribe", "ok"),
        Happens::UnsubscribeError => answer("unsubscribe", "error"),
        Happens::ChannelError => bench.channel_error("maintenance"),
        Happens::OutOfSync => bench.channel_error("out_of_sync"),
        Happens::Leave => bench.drop_handle(0),
        Happens::Disconnect => bench.core.disconnected(bench.now, lost()),
        Happens::Connect => {
            bench.core.start(bench.now, 'c');
            bench.connect();
        }
    }
}

/// Every cell of the table of subscription states (docs/protocols/satori-rtm.md, 11).
/// Where the original differs: a failed subscription is not tried again, and an error of
/// a channel that is being left does not take the place of its answer.
#[test]
fn every_state_takes_every_event() {
    use Happens as H;
    use Phase::{
        Failed as F, Subscribed as D, Subscribing as S, Unsubscribed as U, Unsubscribing as N,
    };
    let states = [U, S, D, N, F];
    for (what, expected) in [
        (H::Connect, [Some(S), Some(S), Some(D), Some(N), Some(F)]),
        (H::Disconnect, [Some(U), Some(U), Some(U), None, Some(F)]),
        (H::Leave, [None, Some(S), Some(N), Some(N), None]),
        (H::ChannelError, [Some(U), Some(S), Some(S), Some(N), Some(F)]),
        (H::OutOfSync, [Some(U), Some(S), Some(F), Some(N), Some(F)]),
        (H::SubscribeOk, [Some(U), Some(D), Some(D), Some(N), Some(F)]),
        (H::SubscribeError, [Some(U), Some(F), Some(D), Some(N), Some(F)]),
        (H::UnsubscribeOk, [Some(U), Some(S), Some(D), None, Some(F)]),
        (H::UnsubscribeError, [Some(U), Some(S), Some(D), Some(D), Some(F)]),
    ] {
        for (state, expected) in states.into_iter().zip(expected) {
            let (mut bench, id) = in_phase(state);
            // An answer to another request than the one that is out is a broken
            // protocol, and the connection goes with it: ask what is asked.
            let is_answer = matches!(
                what,
                H::SubscribeOk | H::SubscribeError | H::UnsubscribeOk | H::UnsubscribeError
            );
            let asked = matches!(
                (state, what),
                (S, H::SubscribeOk | H::SubscribeError)
                    | (N, H::UnsubscribeOk | H::UnsubscribeError)
            );
            let id = if is_answer && !asked { 7777 } else { id };
            happen(&mut bench, id, what);
            let got = bench.core.subscriptions.get("c").map(|sub| sub.phase);
            assert_eq!(got, expected, "{what:?} in {state:?}");
        }
    }
}
