//! States, events, reconnects, limits.

use std::{future::Future, sync::Arc, time::Duration};

use realtime_sandbox::{Action, At, Direction, Faults, Proxy, Rule};
use satori_rtm::{Client, Config, Connector, ErrorKind, Event, OutboxLimits, State, Subscribe};

use crate::support::{config, config_through, connect, on_both_engines, take, within};

#[tokio::test(start_paused = true)]
async fn states_and_events_tell_a_life_with_one_cut() {
    on_both_engines(|server| async move {
        let faults = Faults::default();
        let proxy = Arc::new(Proxy::pipes(faults.clone()));
        let client = Client::new(config_through(&server, proxy)).unwrap();
        let mut events = client.events();
        assert_eq!(client.state(), State::Idle);
        client.start().await.unwrap();
        assert_eq!(client.state(), State::Connected);
        let mut c = client.subscribe("c", Subscribe::new()).await.unwrap();
        faults.add(Rule::new(Direction::ToClient, At::Frame(1), Action::Reset).connection(0));
        client.publish("c", &1).await.unwrap();
        assert_eq!(take(&mut c, 1).await, ["1"]);
        client.close(Duration::from_secs(5)).await;
        assert_eq!(client.state(), State::Closed);

        assert!(matches!(events.next().await, Some(Event::Connecting { attempt: 0 })));
        assert!(matches!(events.next().await, Some(Event::Connected)));
        let lost = events.next().await;
        let Some(Event::Disconnected { cause: Some(cause) }) = lost else { panic!("{lost:?}") };
        assert_eq!(cause.kind(), ErrorKind::Transport);
        assert!(matches!(events.next().await, Some(Event::Waiting { attempt: 1, .. })));
        assert!(matches!(events.next().await, Some(Event::Connecting { attempt: 1 })));
        assert!(matches!(events.next().await, Some(Event::Connected)));
        assert!(matches!(events.next().await, Some(Event::Disconnected { cause: None })));
        assert!(matches!(events.next().await, Some(Event::Closed)));
        assert!(events.next().await.is_none());
        let stats = client.stats();
        assert_eq!((stats.connects, faults.struck()), (2, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_silent_peer_is_found_dead_after_exactly_idle_plus_patience() {
    on_both_engines(|server| async move {
        let faults = Faults::default();
        let proxy = Arc::new(Proxy::pipes(faults.clone()));
        let client = Client::connect(config_through(&server, proxy)).await.unwrap();
        let mut events = client.events();
        client.publish("c", &1).await.unwrap();
        let heard = tokio::time::Instant::now();
        faults.add(Rule::new(Direction::ToClient, At::Now, Action::Stall).connection(0));
        let lost = within(events.next()).await;
        assert!(matches!(lost, Some(Event::Disconnected { cause: Some(_) })), "{lost:?}");
        assert_eq!(heard.elapsed().as_secs(), 30);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn an_idle_connection_is_kept_by_pings() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        tokio::time::sleep(Duration::from_secs(3600)).await;
        client.publish("c", &1).await.unwrap();
        assert_eq!(client.stats().connects, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_request_without_an_answer_times_out_and_its_late_answer_is_counted() {
    on_both_engines(|server| async move {
        let faults = Faults::default();
        let proxy = Arc::new(Proxy::pipes(faults.clone()));
        let config = config_through(&server, proxy).request_timeout(Duration::from_secs(5));
        let client = Client::connect(config).await.unwrap();
        faults.add(Rule::new(Direction::ToClient, At::Frame(0), Action::Stall).connection(0));
        let start = tokio::time::Instant::now();
        let error = client.publish("c", &1).await.unwrap_err();
        assert_eq!((error.kind(), start.elapsed().as_secs()), (ErrorKind::Timeout, 5));
        let report = client.close(Duration::from_secs(1)).await;
        assert_eq!((report.unacknowledged, report.accepted()), (1, 1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn attempts_follow_the_backoff_while_nobody_answers() {
    let attempts = Arc::new(std::sync::Mutex::new(Vec::new()));
    let seen = Arc::clone(&attempts);
    let start = tokio::time::Instant::now();
    let nobody = Connector::new(move |_| {
        seen.lock().unwrap().push(start.elapsed());
        async { Err::<tokio::io::DuplexStream, _>(std::io::ErrorKind::ConnectionRefused.into()) }
    });
    let config = Config::new("ws://127.0.0.1", "K").seed(7).connector(nobody);
    let client = Client::new(config.retry_first_connect()).unwrap();
    let waiting = tokio::spawn({
        let client = client.clone();
        async move { client.start().await }
    });
    tokio::time::sleep(Duration::from_secs(120)).await;
    let attempts = attempts.lock().unwrap().clone();
    let waits: Vec<f64> =
        attempts.windows(2).map(|pair| (pair[1] - pair[0]).as_secs_f64()).collect();
    assert!(waits[0] <= 1.0, "{waits:?}");
    for (n, wait) in waits.iter().enumerate().skip(1) {
        let base = 1.6_f64.powi(n as i32).min(10.0);
        // Timers have a millisecond of grain.
        assert!((base / 2.0..=base + 0.002).contains(wait), "{n}: {waits:?}");
    }
    assert!(waits.len() > 12);
    client.close(Duration::ZERO).await;
    assert_eq!(waiting.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
}

#[tokio::test(start_paused = true)]
async fn subscriptions_and_requests_survive_stop_and_start() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut c = client.subscribe("c", Subscribe::new()).await.unwrap();
        client.stop().await.unwrap();
        connect(&server).await.publish("c", "meanwhile").await.unwrap();
        let waiting = tokio::spawn({
            let client = client.clone();
            async move { client.publish("c", "kept").await }
        });
        tokio::task::yield_now().await;
        assert_eq!(client.state(), State::Stopped);
        client.start().await.unwrap();
        waiting.await.unwrap().unwrap();
        assert_eq!(take(&mut c, 2).await, ["\"meanwhile\"", "\"kept\""]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_full_outbox_refuses_and_keeps_what_it_has() {
    on_both_engines(|server| async move {
        let limits = OutboxLimits::default().max_messages(3);
        let client = Client::new(config(&server).outbox(limits)).unwrap();
        let kept: Vec<_> = (0..3)
            .map(|n| {
                let client = client.clone();
                tokio::spawn(async move { client.publish("c", &n).await })
            })
            .collect();
        tokio::task::yield_now().await;
        let error = client.publish("c", &3).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Full, "outbox_full"));
        assert!(error.is_retryable());
        let error = client.publish_unacknowledged("c", &3).await.unwrap_err();
        assert_eq!(error.kind(), ErrorKind::Full);
        client.start().await.unwrap();
        for publish in kept {
            publish.await.unwrap().unwrap();
        }
    })
    .await;
}

#[tokio::test]
async fn works_over_real_sockets() {
    for engine in realtime_sandbox::Engine::ALL {
        let sandbox = realtime_sandbox::Sandbox::builder().engine(engine).start().await.unwrap();
        let rtm = sandbox.rtm();
        let config = Config::new(rtm.url(), rtm.appkey()).role(rtm.role(), rtm.role_secret());
        let client = Client::connect(config).await.unwrap();
        let mut c = client.subscribe("c", Subscribe::new()).await.unwrap();
        for n in 0..100 {
            client.publish("c", &n).await.unwrap();
        }
        let expected: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        assert_eq!(take(&mut c, 100).await, expected);
        let report = client.close(Duration::from_secs(5)).await;
        assert!(report.is_clean() && report.acknowledged == 100, "{report:?}");
    }
}

#[tokio::test(start_paused = true)]
async fn a_message_that_takes_longer_than_the_heartbeat_is_a_sign_of_life() {
    // Over two minutes for one message, a byte a second, and nothing between.
    let connector = Connector::new(|_| async {
        let (ours, mut io) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move {
            let ws = tokio_tungstenite::accept_async(&mut io).await.unwrap();
            drop(ws);
            let text = r#"{"action":"rtm/subscription/info","body":{"info":"weather","forecast":"slow and steady for all of the day and most of the night"}}"#;
            let frame = [&[0x81, 0x7e, 0, text.len() as u8][..], text.as_bytes()].concat();
            for byte in frame {
                tokio::time::sleep(Duration::from_secs(1)).await;
                if tokio::io::AsyncWriteExt::write_all(&mut io, &[byte]).await.is_err() {
                    return;
                }
            }
            std::future::pending::<()>().await;
        });
        Ok(ours)
    });
    let client =
        Client::connect(Config::new("ws://127.0.0.1", "K").connector(connector)).await.unwrap();
    let start = tokio::time::Instant::now();
    let mut events = client.events();
    let lost = within_an_hour(events.next()).await;
    assert!(matches!(lost, Some(Event::Disconnected { .. })), "{lost:?}");
    // The message, and from its last byte on the silence of a dead peer.
    assert!((150..=170).contains(&start.elapsed().as_secs()), "{:?}", start.elapsed());
}

async fn within_an_hour<F: Future>(future: F) -> F::Output {
    tokio::time::timeout(Duration::from_secs(3600), future).await.expect("no hang")
}
