//! Sessions with a fault at every byte, in both directions, on both engines, in
//! paused time. The auditor keeps the books of each; the totals are printed as one
//! line of JSON a test.

use std::{
    io::Write,
    sync::Arc,
    time::{Duration, Instant},
};

use high_templar_client::{Client, Connector, Delivery, Publisher, PublisherConfig, Trigger};
use realtime_sandbox::{
    Action, At, Auditor, Direction, Engine, Faults, HighTemplarServer, Proxy, Rule, Totals,
};
use serde_json::json;

use crate::support::{config_through, room, server, subscribe, trigger, within};

const MESSAGES: usize = 5;

const BOTH: [Direction; 2] = [Direction::ToServer, Direction::ToClient];

/// A server, a proxy with `rules` before it, and the books.
struct Stage {
    server: HighTemplarServer,
    proxy: Arc<Proxy>,
    auditor: Auditor,
}

impl Stage {
    fn new(engine: Engine, rules: &[Rule]) -> Self {
        let faults = Faults::default();
        rules.iter().for_each(|rule| faults.add(*rule));
        let proxy = Arc::new(Proxy::pipes(faults));
        Self { server: server(engine), proxy, auditor: Auditor::default() }
    }

    async fn trigger(&self, text: &str) {
        self.auditor.accepted("message", text);
        self.auditor.received("message", text);
        trigger(&self.server, "1", &serde_json::from_str::<serde_json::Value>(text).unwrap()).await;
        self.auditor.acknowledged("message", text);
    }

    /// Connect, subscribe, receive what is triggered at one message a second, and go
    /// on until a message comes after all that.
    async fn session(&self) {
        let config = config_through(&self.server, Arc::clone(&self.proxy))
            // A silent peer is found dead after 30 s; the call outlasts that.
            .request_timeout(Duration::from_secs(300))
            .retry_first_connect();
        let client = Client::connect(config).await.unwrap();
        let subscription = client.subscribe(room("1"), high_templar_client::Subscribe::new());
        let mut one = subscription.await.unwrap();
        self.auditor.subscribed("s", "message");
        let mut is_over = false;
        for n in 0.. {
            is_over |= n > 300;
            let text = json!({"n": n}).to_string();
            self.trigger(&text).await;
            let until = tokio::time::Instant::now() + Duration::from_secs(1);
            while let Ok(delivery) = tokio::time::timeout_at(until, one.next()).await {
                match delivery {
                    Some(Delivery::Message(message)) => {
                        self.auditor.delivered("s", message.json());
                        is_over |= n >= MESSAGES && message.json() == text;
                    }
                    Some(Delivery::Gap(gap)) => self.auditor.gap("s", gap.missed),
                    other => panic!("{other:?}"),
                }
            }
            if is_over {
                break;
            }
        }
        client.close(Duration::from_secs(5)).await;
    }
}

/// Runs in a runtime of its own: time is paused and nothing of an earlier session is
/// left.
fn in_paused_time<T>(future: impl Future<Output = T>) -> T {
    let mut runtime = tokio::runtime::Builder::new_current_thread();
    runtime.enable_time().start_paused(true).build().unwrap().block_on(future)
}

fn play(engine: Engine, rules: &[Rule], totals: &mut Totals) {
    in_paused_time(async {
        let stage = Stage::new(engine, rules);
        let session = tokio::time::timeout(Duration::from_secs(1200), stage.session()).await;
        assert!(session.is_ok(), "hangs with {rules:?} on {engine}");
        totals.add(&stage.auditor, stage.proxy.faults().struck());
    });
}

/// Strikes at byte 0, 1, 2, .. until the session is over before the fault comes.
fn at_every_byte(name: &str, action: Action) -> Totals {
    let start = Instant::now();
    let mut totals = Totals::default();
    for engine in Engine::ALL {
        for direction in BOTH {
            let play = |rule, totals: &mut _| play(engine, &[rule], totals);
            let bytes = totals.at_every_byte(direction, action, play);
            assert!(bytes > 300, "the session has only {bytes} bytes");
        }
    }
    totals.print(name, start);
    totals
}

#[test]
fn cut_after_every_byte_leaves_no_gap_unreported() {
    let totals = at_every_byte("R1 R2 reset at every byte", Action::Reset);
    assert!(totals.is_clean(), "{totals:?}");
    assert!(totals.faults > 1500 && totals.gaps > 500, "{totals:?}");
}

#[test]
fn ended_after_every_byte_leaves_no_gap_unreported() {
    let totals = at_every_byte("R3 end at every byte", Action::Close);
    assert!(totals.is_clean(), "{totals:?}");
}

#[test]
fn silence_after_every_byte_leaves_no_gap_unreported() {
    let totals = at_every_byte("R4 silence at every byte", Action::Stall);
    assert!(totals.is_clean(), "{totals:?}");
}

#[test]
fn a_second_cut_during_the_return_leaves_no_gap_unreported() {
    let start = Instant::now();
    let mut totals = Totals::default();
    for n in 0..1000_u64 {
        let engine = if n % 2 == 0 { Engine::WsCore } else { Engine::Tungstenite };
        let first = Rule::new(BOTH[n as usize / 2 % 2], At::Byte(n * 7 % 700), Action::Reset);
        let second = Rule::new(BOTH[n as usize / 4 % 2], At::Byte(n * 13 % 500), Action::Reset);
        play(engine, &[first.connection(0), second.connection(1)], &mut totals);
    }
    totals.print("R5 a second cut", start);
    assert!(totals.is_clean(), "{totals:?}");
    assert!(totals.faults > 1200, "{totals:?}");
}

#[test]
fn a_session_in_single_bytes_completes() {
    for engine in Engine::ALL {
        let mut totals = Totals::default();
        let rules = BOTH.map(|way| Rule::new(way, At::Byte(0), Action::Slice));
        play(engine, &rules, &mut totals);
        assert!(totals.is_clean(), "{totals:?}");
        assert_eq!((totals.gaps, totals.published), (0, totals.delivered));
    }
}

/// R6: a trigger that was cut off says what is known, and is never sent twice.
#[test]
fn a_trigger_cut_at_any_byte_is_carried_out_once_at_most() {
    let start = Instant::now();
    let (mut in_doubt, mut unsent, mut done) = (0, 0, 0);
    for direction in BOTH {
        for byte in 0.. {
            let struck = in_paused_time(async {
                let rule = Rule::new(direction, At::Byte(byte), Action::Reset);
                let stage = Stage::new(Engine::WsCore, &[rule]);
                let watcher = crate::support::connect(&stage.server).await;
                let mut one = subscribe(&watcher, "1").await;
                let (server, proxy) = (stage.server.clone(), Arc::clone(&stage.proxy));
                let cut = Connector::new(move |_| {
                    let pipe = proxy.wrap(server.pipe());
                    async { Ok(pipe) }
                });
                let config = PublisherConfig::new("http://localhost:8000").connector(cut);
                let publisher = Publisher::new(config).unwrap();
                let trigger = Trigger::new([room("1")], &byte).unwrap();
                let result = within(publisher.trigger(&trigger)).await;
                let mut received = 0;
                let wait = Duration::from_secs(1);
                while tokio::time::timeout(wait, one.next()).await.is_ok() {
                    received += 1;
                }
                assert!(received <= 1, "sent again");
                match result {
                    Ok(()) => {
                        done += 1;
                        assert_eq!(received, 1);
                    }
                    Err(error) if error.is_in_doubt() => in_doubt += 1,
                    Err(_) => {
                        unsent += 1;
                        assert_eq!(received, 0);
                    }
                }
                stage.proxy.faults().struck() > 0
            });
            if !struck {
                break;
            }
        }
    }
    let _best_effort = writeln!(
        std::io::stderr(),
        "{{\"test\":\"R6 a trigger cut at every byte\",\"in doubt\":{in_doubt},\
         \"not sent\":{unsent},\"done\":{done},\"seconds\":{}}}",
        start.elapsed().as_secs()
    );
    assert!(in_doubt > 100 && done > 0, "{in_doubt} in doubt, {unsent} unsent, {done} done");
}

/// C1: a flipped bit is an error, a warning, or another message; nothing hangs, nothing
/// panics, and what comes is never somebody else's.
#[test]
fn c1_a_flipped_bit_neither_hangs_nor_panics() {
    let start = Instant::now();
    let (mut sessions, mut faults, mut whole) = (0_u64, 0_u64, 0_u64);
    for byte in 0.. {
        let before = faults;
        for bit in 0..8 {
            let rule = Rule::new(Direction::ToClient, At::Byte(byte), Action::Flip(1 << bit));
            in_paused_time(async {
                let stage = Stage::new(Engine::WsCore, &[rule]);
                whole += u64::from(within(stage.flipped()).await);
                faults += stage.proxy.faults().struck();
            });
            sessions += 1;
        }
        if faults == before {
            assert!(byte > 300, "the session has only {byte} bytes");
            break;
        }
    }
    let _best_effort = writeln!(
        std::io::stderr(),
        "{{\"test\":\"C1 each bit flipped\",\"sessions\":{sessions},\"faults\":{faults},\
         \"whole\":{whole},\"seconds\":{}}}",
        start.elapsed().as_secs()
    );
    assert!(faults > 2000 && whole > 0 && whole < sessions, "{faults} faults, {whole} whole");
}

impl Stage {
    /// Subscribes to two rooms, sends to each, and looks whose messages come. Returns
    /// whether all of them came.
    async fn flipped(&self) -> bool {
        let config = config_through(&self.server, Arc::clone(&self.proxy));
        let config = config.request_timeout(Duration::from_secs(20)).retry_first_connect();
        let client = Client::connect(config).await;
        // A refusal may be what the bit has made of an answer.
        let Ok(client) = client else { return false };
        let options = high_templar_client::Subscribe::new;
        let one = client.subscribe(room("tide"), options()).await;
        let two = client.subscribe(room("mood"), options()).await;
        let (Ok(mut one), Ok(mut two)) = (one, two) else { return false };
        let mut all = true;
        for n in 0..3 {
            for (customer, subscription) in [("tide", &mut one), ("mood", &mut two)] {
                let data = json!({"of": customer, "n": n});
                trigger(&self.server, customer, &data).await;
                let next = tokio::time::timeout(Duration::from_secs(10), subscription.next()).await;
                let other = if customer == "tide" { "mood" } else { "tide" };
                match next {
                    Ok(Some(Delivery::Message(message))) => {
                        // One bit does not make one id of the other: it would be a
                        // message that was matched wrong.
                        assert!(!message.json().contains(other), "{}", message.json());
                        all &= message.json() == data.to_string().as_str();
                    }
                    _ => all = false,
                }
            }
        }
        all
    }
}
