//! The golden session with one fault at every byte, in both directions, on both
//! engines, in JSON and in CBOR, in paused time. The auditor keeps the books of each session; the
//! totals are printed as one line of JSON a test.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use realtime_sandbox::{
    Action, At, Auditor, Direction, Engine, Faults, Proxy, RtmConfig, RtmServer, Rule, Totals,
};
use satori_rtm::{Client, Delivery, Options, Protocol, Subscribe, Subscription};

use crate::support::{PROTOCOLS, config, config_through, speak, within};

const MESSAGES: usize = 10;

fn assert_nothing_lost(totals: &Totals) {
    assert!(totals.is_clean() && totals.gaps == 0, "{totals:?}");
    assert_eq!(totals.published, totals.acknowledged);
    // What is sent again is stored twice, and delivered twice: to each of
    // the two subscriptions' channels once more.
    assert_eq!(totals.delivered, totals.published + totals.sent_again);
}

/// A server, a proxy with `rules` before it, and the books.
struct Stage {
    server: RtmServer,
    proxy: Arc<Proxy>,
    auditor: Auditor,
}

impl Stage {
    fn new(engine: Engine, rules: &[Rule]) -> Self {
        let auditor = Auditor::default();
        let server = RtmServer::new(RtmConfig::default().auditor(auditor.clone()), engine);
        let faults = Faults::default();
        rules.iter().for_each(|rule| faults.add(*rule));
        Self { server, proxy: Arc::new(Proxy::pipes(faults)), auditor }
    }

    /// Connect, authenticate, subscribe twice, publish ten messages to each
    /// channel, receive twenty, unsubscribe, close.
    async fn session(&self) {
        let config = config_through(&self.server, Arc::clone(&self.proxy))
            .role(self.server.role(), self.server.role_secret())
            // A silent peer is found dead after 30 s; requests outlast that.
            .request_timeout(Duration::from_secs(120))
            .retry_first_connect();
        let client = Client::connect(config).await.unwrap();
        let mut subscriptions = Vec::new();
        for channel in ["north", "south"] {
            self.auditor.subscribed(channel, channel);
            let subscription = client.subscribe(channel, Subscribe::new()).await.unwrap();
            subscriptions.push(subscription);
        }
        let publishing = futures_util::future::join_all(
            ["north", "south"].map(|channel| self.publish(&client, channel)),
        );
        publishing.await;
        for subscription in &mut subscriptions {
            self.receive(subscription).await;
        }
        for subscription in subscriptions {
            subscription.unsubscribe().await.unwrap();
        }
        let report = client.close(Duration::from_secs(5)).await;
        assert!(report.is_clean(), "{report:?}");
    }

    async fn publish(&self, client: &Client, channel: &str) {
        for n in 0..MESSAGES {
            let message = format!("{channel} {n}");
            let text = format!("{message:?}");
            self.auditor.accepted(channel, &text);
            client.publish(channel, &message).await.unwrap();
            self.auditor.acknowledged(channel, &text);
        }
    }

    /// Takes all that is due. What was sent again is due twice: the session
    /// waits for it as long as the books say that something is missing.
    async fn receive(&self, subscription: &mut Subscription) {
        let channel = subscription.id().to_owned();
        loop {
            let verdict = self.auditor.verdict();
            let prefix = format!("\"{channel} ");
            let missing = verdict.findings.iter().any(|f| f.to_string().contains(&prefix));
            if !missing {
                // Nothing may come twice, not even at the end.
                let more = tokio::time::timeout(Duration::from_secs(1), subscription.next()).await;
                assert!(more.is_err(), "{more:?}");
                return;
            }
            match within(subscription.next()).await {
                Some(Delivery::Message(message)) => {
                    self.auditor.delivered(&channel, &message.to_string());
                }
                Some(Delivery::Gap(gap)) => self.auditor.gap(&channel, gap.missed),
                other => panic!("{other:?}"),
            }
        }
    }

    fn add_to(&self, totals: &mut Totals) {
        totals.add(&self.auditor, self.proxy.faults().struck());
    }
}

/// Runs in a runtime of its own: time is paused and nothing of an earlier session is
/// left.
fn in_paused_time<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(future)
}

fn play(protocol: Protocol, engine: Engine, rules: &[Rule], totals: &mut Totals) {
    speak(protocol);
    in_paused_time(async {
        let stage = Stage::new(engine, rules);
        let session = tokio::time::timeout(Duration::from_secs(600), stage.session()).await;
        assert!(session.is_ok(), "hangs with {rules:?} in {protocol:?} on {engine}");
        stage.add_to(totals);
    });
}

fn everywhere() -> impl Iterator<Item = (Protocol, Engine)> {
    PROTOCOLS.into_iter().flat_map(|protocol| Engine::ALL.map(|engine| (protocol, engine)))
}

/// Strikes at byte 0, 1, 2, .. until the session is over before the fault comes.
fn at_every_byte(name: &str, directions: &[Direction], actions: &[Action]) -> Totals {
    let start = Instant::now();
    let mut totals = Totals::default();
    for (protocol, engine) in everywhere() {
        for direction in directions {
            for action in actions {
                let play = |rule, totals: &mut _| play(protocol, engine, &[rule], totals);
                let bytes = totals.at_every_byte(*direction, *action, play);
                assert!(bytes > 1000, "the session has only {bytes} bytes");
            }
        }
    }
    totals.print(name, start);
    totals
}

const BOTH: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

#[test]
fn r1_r2_a_cut_after_every_byte_loses_nothing_and_repeats_nothing() {
    let totals = at_every_byte("R1 R2 reset at every byte", &BOTH, &[Action::Reset]);
    assert_nothing_lost(&totals);
    assert!(totals.faults > 20_000, "{totals:?}");
}

#[test]
fn r3_an_end_after_every_byte_loses_nothing_and_repeats_nothing() {
    let totals = at_every_byte("R3 end of stream at every byte", &BOTH, &[Action::Close]);
    assert_nothing_lost(&totals);
    assert!(totals.faults > 20_000, "{totals:?}");
}

#[test]
fn r4_silence_after_every_byte_loses_nothing_and_repeats_nothing() {
    let totals = at_every_byte("R4 silence from every byte on", &BOTH, &[Action::Stall]);
    assert_nothing_lost(&totals);
    assert!(totals.faults > 20_000, "{totals:?}");
}

#[test]
fn s1_a_session_in_single_bytes_completes() {
    let mut totals = Totals::default();
    for (protocol, engine) in everywhere() {
        // tungstenite takes an opening request in single bytes for an attack:
        // on that engine the slicing begins with the first frame.
        let at = match engine {
            Engine::WsCore => At::Byte(0),
            _ => At::Frame(0),
        };
        for direction in BOTH {
            play(protocol, engine, &[Rule::new(direction, at, Action::Slice)], &mut totals);
        }
    }
    assert_nothing_lost(&totals);
    assert_eq!(totals.faults, 8);
}

#[test]
fn r5_a_second_cut_during_the_return_loses_nothing() {
    let start = Instant::now();
    let mut totals = Totals::default();
    // A fixed walk over pairs of bytes, both cuts in every phase of a session.
    for n in 0..10_000_u64 {
        let (protocol, engine) = (PROTOCOLS[(n / 2 % 2) as usize], Engine::ALL[(n % 2) as usize]);
        let (first, second) = (n * 37 % 4000, n * 101 % 1200);
        let [to_server, to_client] = BOTH;
        let directions = if n % 8 < 4 { [to_server, to_client] } else { [to_client, to_server] };
        let rules = [
            Rule::new(directions[0], At::Byte(first), Action::Reset).connection(0),
            Rule::new(directions[1], At::Byte(second), Action::Reset).connection(1),
        ];
        play(protocol, engine, &rules, &mut totals);
    }
    totals.print("R5 a second cut", start);
    assert_nothing_lost(&totals);
    assert!(totals.faults > 14_000, "{totals:?}");
}

/// The ambiguous publish: cut anywhere between its first byte and its acknowledgement.
#[test]
fn r6_a_publish_cut_off_is_stored_as_often_as_its_caller_allows() {
    let start = Instant::now();
    let (mut totals, mut in_doubt, mut stored_in_doubt) = (Totals::default(), 0, 0);
    for (protocol, engine) in everywhere() {
        speak(protocol);
        for (direction, once) in BOTH.into_iter().flat_map(|way| [(way, true), (way, false)]) {
            totals.at_every_byte(direction, Action::Reset, |rule, totals| {
                in_paused_time(async {
                    let stage = Stage::new(engine, &[rule]);
                    let client = config_through(&stage.server, Arc::clone(&stage.proxy));
                    let client = Client::connect(client.retry_first_connect()).await.unwrap();
                    stage.auditor.accepted("c", "1");
                    let options = Options::new();
                    let options = if once { options.at_most_once() } else { options };
                    let result = within(client.publish_with("c", &1, options)).await;
                    let observer = Client::connect(config(&stage.server)).await.unwrap();
                    let history = Subscribe::new().history_count(10);
                    let mut all = observer.subscribe("c", history).await.unwrap();
                    let mut stored = 0;
                    let wait = Duration::from_secs(1);
                    while tokio::time::timeout(wait, all.next()).await.is_ok() {
                        stored += 1;
                    }
                    match result {
                        Ok(_) => {
                            stage.auditor.acknowledged("c", "1");
                            assert!(stored == 1 || (!once && stored == 2), "{stored} {rule:?}");
                        }
                        Err(error) => {
                            assert!(once && stored <= 1, "{error} {stored} {rule:?}");
                            assert_eq!(error.code(), "connection_lost");
                            in_doubt += 1;
                            stored_in_doubt += stored;
                        }
                    }
                    stage.add_to(totals);
                });
            });
        }
    }
    totals.print("R6 between commit and acknowledgement", start);
    // What was never acknowledged may be missing, what was may not.
    assert!(totals.lost == 0 && totals.faults > 1000, "{totals:?}");
    assert!(in_doubt > 100 && stored_in_doubt > 0 && stored_in_doubt < in_doubt);
}

/// A flipped bit is an error, or another message, and never a hang, a panic or an answer
/// to somebody else.
#[test]
fn c1_a_flipped_bit_neither_hangs_nor_panics() {
    let start = Instant::now();
    let mut totals = Totals::default();
    for protocol in PROTOCOLS {
        speak(protocol);
        for bit in 0..8 {
            let flip = Action::Flip(1 << bit);
            totals.at_every_byte(Direction::ToClient, flip, |rule, totals| {
                in_paused_time(async {
                    let stage = Stage::new(Engine::WsCore, &[rule]);
                    within(stage.flipped()).await;
                    totals.faults += stage.proxy.faults().struck();
                    totals.sessions += 1;
                });
            });
        }
    }
    totals.print("C1 each bit flipped", start);
    assert!(totals.faults > 10_000, "{totals:?}");
}

impl Stage {
    /// Subscribes to two channels, publishes to each, and looks whose messages come.
    async fn flipped(&self) {
        let config = config_through(&self.server, Arc::clone(&self.proxy));
        let config =
            config.request_timeout(Duration::from_secs(5)).connect_timeout(Duration::from_secs(5));
        let Ok(client) = Client::connect(config).await else { return };
        let mut subscriptions = Vec::new();
        for channel in ["tide", "mood"] {
            // A refusal may be what the bit has made of an answer.
            let Ok(subscription) = client.subscribe(channel, Subscribe::new()).await else {
                return;
            };
            subscriptions.push(subscription);
        }
        for channel in ["tide", "mood"] {
            let _acknowledged = client.publish(channel, &format!("of {channel}")).await;
        }
        for subscription in &mut subscriptions {
            let other = if subscription.id() == "tide" { "mood" } else { "tide" };
            let wait = Duration::from_secs(1);
            while let Ok(Some(Delivery::Message(message))) =
                tokio::time::timeout(wait, subscription.next()).await
            {
                // One bit does not make one name of the other.
                assert!(!message.to_string().contains(other), "{message}");
            }
        }
        client.close(Duration::from_secs(1)).await;
    }
}
