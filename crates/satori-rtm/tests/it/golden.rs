//! The golden session with one fault at every byte, in both directions, on both
//! engines, in paused time. The auditor keeps the books of each session; the
//! totals are printed as one line of JSON a test.

use std::{
    sync::Arc,
    time::{Duration, Instant},
};

use realtime_sandbox::{
    Action, At, Auditor, Direction, Engine, Faults, Proxy, RtmConfig, RtmServer, Rule, Totals,
};
use satori_rtm::{Client, Delivery, Subscribe, Subscription};

use crate::support::{config_through, within};

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

/// Runs one session in a runtime of its own: time is paused and nothing of an
/// earlier session is left.
fn play(engine: Engine, rules: &[Rule], totals: &mut Totals) {
    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_time()
        .start_paused(true)
        .build()
        .unwrap();
    runtime.block_on(async {
        let stage = Stage::new(engine, rules);
        let session = tokio::time::timeout(Duration::from_secs(600), stage.session()).await;
        assert!(session.is_ok(), "hangs with {rules:?} on {engine}");
        stage.add_to(totals);
    });
}

/// Strikes at byte 0, 1, 2, .. until the session is over before the fault comes.
fn at_every_byte(name: &str, directions: &[Direction], actions: &[Action]) -> Totals {
    let start = Instant::now();
    let mut totals = Totals::default();
    for engine in Engine::ALL {
        for direction in directions {
            for action in actions {
                let play = |rule, totals: &mut _| play(engine, &[rule], totals);
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
fn cut_after_every_byte_loses_nothing_and_repeats_nothing() {
    let totals = at_every_byte("R1 R2 reset at every byte", &BOTH, &[Action::Reset]);
    assert_nothing_lost(&totals);
    assert!(totals.faults > 10_000, "{totals:?}");
}

#[test]
fn ended_after_every_byte_loses_nothing_and_repeats_nothing() {
    let totals = at_every_byte("R3 end of stream at every byte", &BOTH, &[Action::Close]);
    assert_nothing_lost(&totals);
    assert!(totals.faults > 10_000, "{totals:?}");
}

#[test]
fn silence_after_every_byte_loses_nothing_and_repeats_nothing() {
    let totals = at_every_byte("R4 silence from every byte on", &BOTH, &[Action::Stall]);
    assert_nothing_lost(&totals);
    assert!(totals.faults > 10_000, "{totals:?}");
}

#[test]
fn a_session_in_single_bytes_completes() {
    let mut totals = Totals::default();
    for engine in Engine::ALL {
        // tungstenite takes an opening request in single bytes for an attack:
        // on that engine the slicing begins with the first frame.
        let at = match engine {
            Engine::WsCore => At::Byte(0),
            _ => At::Frame(0),
        };
        for direction in BOTH {
            play(engine, &[Rule::new(direction, at, Action::Slice)], &mut totals);
        }
    }
    assert_nothing_lost(&totals);
    assert_eq!(totals.faults, 4);
}

#[test]
fn a_second_cut_during_the_return_loses_nothing() {
    let start = Instant::now();
    let mut totals = Totals::default();
    // A fixed walk over pairs of bytes, both cuts in every phase of a session.
    for n in 0..1000_u64 {
        let engine = Engine::ALL[(n % 2) as usize];
        let (first, second) = (n * 37 % 4000, n * 101 % 1200);
        let [to_server, to_client] = BOTH;
        let directions = if n % 4 < 2 { [to_server, to_client] } else { [to_client, to_server] };
        let rules = [
            Rule::new(directions[0], At::Byte(first), Action::Reset).connection(0),
            Rule::new(directions[1], At::Byte(second), Action::Reset).connection(1),
        ];
        play(engine, &rules, &mut totals);
    }
    totals.print("R5 a second cut", start);
    assert_nothing_lost(&totals);
    assert!(totals.faults > 1500, "{totals:?}");
}
