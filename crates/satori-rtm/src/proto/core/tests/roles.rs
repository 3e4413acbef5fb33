//! Authentication: by the configuration, by the application, and again
//! (docs/protocols/satori-rtm.md, 6).

use std::sync::Arc;

use super::*;
use crate::{
    auth::{AuthDelegate, AuthReply, AuthStep, RoleSecret},
    value::Value,
};

/// Ends the exchange at once, without a word to the service.
struct AtOnce(Option<&'static str>);

impl AuthDelegate for AtOnce {
    fn start(&self) -> AuthStep {
        match self.0 {
            None => AuthStep::Done,
            Some(message) => AuthStep::Error { message: message.to_owned() },
        }
    }
}

/// Shows a token, in one step.
struct Token;

impl AuthDelegate for Token {
    fn start(&self) -> AuthStep {
        let credentials = Value::from([("token", Value::from("t"))]);
        AuthStep::authenticate("token", credentials, |reply| match reply {
            AuthReply::Ok { .. } => AuthStep::Done,
            AuthReply::Error { message } => AuthStep::Error { message },
        })
    }
}

const OK: &str = r#"{"action":"auth/authenticate/ok","id":ID,"body":{}}"#;

fn ok(bench: &mut Bench, id: u64) {
    bench.receive(&OK.replace("ID", &id.to_string()));
}

#[test]
fn a_delegate_without_steps_is_done_at_once() {
    let mut bench = Bench::new(Config::new("ws://rtm", "K").auth_delegate(AtOnce(None)));
    bench.core.start(bench.now, 's');
    bench.connect();
    assert_eq!((bench.effects(), bench.sent()), (vec!["connect".into(), "s ok".into()], vec![]));
}

#[test]
fn a_delegate_that_gives_up_ends_the_attempt_for_good() {
    let config = Config::new("ws://rtm", "K").auth_delegate(AtOnce(Some("no badge")));
    let mut bench = Bench::new(config.retry_first_connect());
    bench.core.start(bench.now, 's');
    bench.connect();
    assert_eq!(bench.effects(), ["connect", "disconnect", "s auth_delegate"]);
    let error = bench.core.monitor.stats().last_error.unwrap();
    assert!(error.to_string().contains("no badge"), "{error}");
}

#[test]
fn the_application_may_ask_later_and_it_is_done_again_on_each_connection() {
    let mut bench = Bench::live();
    let token: Arc<dyn AuthDelegate> = Arc::new(Token);
    bench.core.authenticate(bench.now, Arc::clone(&token), 'a');
    bench.core.authenticate(bench.now, Arc::clone(&token), 'b');
    assert_eq!(bench.effects(), ["b auth_in_progress"]);
    let step = r#"{"action":"auth/authenticate","id":0,"body":{"method":"token","credentials":{"token":"t"}}}"#;
    assert_eq!(bench.sent(), [step]);
    ok(&mut bench, 0);
    assert_eq!(bench.effects(), ["a ok"]);
    // Another one of the same name takes its place.
    bench.core.authenticate(bench.now, Arc::new(Token), 'c');
    bench.sent();
    ok(&mut bench, 1);
    let _reader = bench.subscribe('u');
    bench.reconnect();
    assert_eq!(bench.sent(), [step]);
    ok(&mut bench, 0);
    assert!(bench.sent()[0].contains("rtm/subscribe"));
}

#[test]
fn asked_before_the_start_it_runs_when_there_is_a_connection() {
    let mut bench = Bench::new(Config::new("ws://rtm", "K"));
    bench.core.authenticate(bench.now, Arc::new(RoleSecret::new("r", "s")), 'a');
    bench.core.start(bench.now, 's');
    bench.connect();
    assert!(bench.sent()[0].contains("auth/handshake"));
    bench.receive(
        r#"{"action":"auth/handshake/error","id":0,"body":{"error":"auth_method_not_allowed","reason":"No"}}"#,
    );
    assert_eq!(bench.effects(), ["connect", "s ok", "a auth_method_not_allowed"]);
    // What failed is not remembered, and the connection is kept.
    bench.reconnect();
    assert_eq!((bench.sent(), bench.core.monitor.state()), (vec![], State::Connected));
}

#[test]
fn an_exchange_ends_with_its_connection_and_with_its_time() {
    let mut bench = Bench::live();
    bench.core.authenticate(bench.now, Arc::new(Token), 'a');
    bench.sent();
    bench.core.disconnected(bench.now, lost());
    assert_eq!(bench.effects(), ["a connection_lost"]);
    // Nobody comes back: the one that waits is told.
    bench.core.authenticate(bench.now, Arc::new(Token), 'b');
    bench.core.stop();
    bench.advance(Duration::from_secs(20));
    assert_eq!(bench.effects(), ["b timeout"]);
}

/// Two exchanges, and the first one's answer comes in the second one's time.
#[test]
fn a_late_answer_is_not_taken_for_that_of_another_exchange() {
    let mut bench = Bench::live();
    let role = || Arc::new(RoleSecret::new("r", "s"));
    bench.core.authenticate(bench.now, role(), 'a');
    bench.sent();
    bench.advance(Duration::from_secs(20));
    bench.core.handle_input(bench.now, Input::Control);
    bench.core.authenticate(bench.now, role(), 'b');
    assert_eq!(bench.effects(), ["a timeout"]);
    let sent: Vec<String> = bench.sent().into_iter().filter(|sent| sent != "PING").collect();
    assert!(matches!(&*sent, [one] if one.contains("\"id\":1")), "{sent:?}");
    let nonce = |id| {
        format!(r#"{{"action":"auth/handshake/ok","id":{id},"body":{{"data":{{"nonce":"n"}}}}}}"#)
    };
    bench.receive(&nonce(0));
    assert_eq!(bench.sent(), [""; 0]);
    bench.receive(&nonce(1));
    assert!(bench.sent()[0].contains("auth/authenticate"));
    assert_eq!(bench.effects(), [""; 0]);
    ok(&mut bench, 2);
    assert_eq!(bench.effects(), ["b ok"]);
}

#[test]
fn an_answer_to_no_exchange_is_ignored() {
    let mut bench = Bench::live();
    ok(&mut bench, 0);
    bench.core.authenticate(bench.now, Arc::new(Token), 'a');
    bench.sent();
    bench.advance(Duration::from_secs(20));
    assert_eq!(bench.effects(), ["a timeout"]);
    ok(&mut bench, 0);
    assert_eq!((bench.effects().len(), bench.core.monitor.stats().strays), (0, 2));
}
