//! Beginnings and ends: start, stop, close, drops, dropped futures.

use std::time::Duration;

use realtime_sandbox::{Engine, What, kit::poll_times};
use serde_json::json;
use stream_sea::{
    Client, Config, Connector, Credentials, Delivery, Error, Event, State, Subscribe,
};

use crate::support::{config, connect, on_both_engines, server, take, within};

#[tokio::test(start_paused = true)]
async fn stop_keeps_subscriptions_for_the_next_start() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut tides = client.subscribe("tides", Subscribe::new()).await.unwrap();
        client.stop().await.unwrap();
        assert_eq!(client.state(), State::Stopped);
        client.publish("tides", &json!({"missed": true})).await.unwrap();
        client.start().await.unwrap();
        assert!(matches!(within(tides.next()).await, Some(Delivery::Gap(_))));
        // The server has answered the subscription before it delivers.
        while server.log().count(|what| matches!(what, What::Received(a) if a == "subscribe")) < 2 {
            tokio::time::sleep(Duration::from_millis(1)).await;
        }
        client.publish("tides", &json!({"n": 1})).await.unwrap();
        assert_eq!(take(&mut tides, 1).await, [r#"{"n":1}"#]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn subscriptions_may_be_made_before_the_start() {
    let server = server(Engine::WsCore);
    let client = Client::new(config(&server)).unwrap();
    let early = tokio::spawn({
        let client = client.clone();
        async move { client.subscribe("tides", Subscribe::new()).await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    client.start().await.unwrap();
    let mut tides = within(early).await.unwrap().unwrap();
    client.publish("tides", &json!({"n": 1})).await.unwrap();
    assert_eq!(take(&mut tides, 1).await.len(), 1);
}

#[tokio::test(start_paused = true)]
async fn close_is_the_same_from_every_state_and_from_many_tasks() {
    let server = server(Engine::WsCore);
    for state in ["idle", "connected", "stopped", "waiting"] {
        let client = Client::new(config(&server)).unwrap();
        match state {
            "connected" => client.start().await.unwrap(),
            "stopped" => {
                client.start().await.unwrap();
                client.stop().await.unwrap();
            }
            "waiting" => {
                client.start().await.unwrap();
                let _told = server.drop_sockets();
                tokio::time::sleep(Duration::from_millis(1)).await;
            }
            _ => {}
        }
        let closes = (0..8).map(|_| {
            let client = client.clone();
            tokio::spawn(async move { client.close(Duration::from_secs(5)).await })
        });
        for close in closes.collect::<Vec<_>>() {
            assert!(within(close).await.unwrap().is_clean(), "{state}");
        }
        assert_eq!(client.state(), State::Closed, "{state}");
    }
}

#[tokio::test(start_paused = true)]
async fn the_events_tell_the_story() {
    let server = server(Engine::WsCore);
    let client = Client::new(config(&server)).unwrap();
    let mut events = client.events();
    client.start().await.unwrap();
    let _tides = client.subscribe("tides", Subscribe::new()).await.unwrap();
    let _told = server.close_sockets(1001);
    while client.stats().connects < 2 {
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    client.close(Duration::ZERO).await;
    let mut story = Vec::new();
    while let Some(event) = within(events.next()).await {
        story.push(match event {
            Event::Connecting { attempt } => format!("connecting {attempt}"),
            Event::Connected => "connected".into(),
            Event::Disconnected { cause } => format!("disconnected {}", cause.is_some()),
            Event::Waiting { attempt, .. } => format!("waiting {attempt}"),
            Event::Gap { subscription } => format!("gap {subscription}"),
            Event::Closed => "closed".into(),
            other => panic!("{other:?}"),
        });
    }
    let wanted = [
        "connecting 0",
        "connected",
        "gap tides",
        "disconnected true",
        "waiting 1",
        "connecting 1",
        "connected",
        "disconnected false",
        "closed",
    ];
    assert_eq!(story, wanted);
}

#[tokio::test(start_paused = true)]
async fn drops_in_every_order_do_no_harm() {
    let server = server(Engine::WsCore);
    for order in 0..6 {
        let client = connect(&server).await;
        let tides = client.subscribe("tides", Subscribe::new()).await.unwrap();
        let events = client.events();
        let mut all: Vec<Box<dyn std::any::Any>> =
            vec![Box::new(client), Box::new(tides), Box::new(events)];
        let first = all.remove(order % 3);
        drop(first);
        drop(all.remove(order / 3));
        drop(all);
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    // Nobody is left who could be told anything.
    assert_eq!(server.close_sockets(1001), 0);
}

/// X1: each call is dropped after its k-th poll; the client goes on.
#[tokio::test(start_paused = true)]
async fn calls_may_be_dropped_at_any_poll() {
    let server = server(Engine::WsCore);
    let client = connect(&server).await;
    for polls in 0..40 {
        poll_times(client.publish("tides", &json!({"n": polls})), polls).await;
        poll_times(client.describe_stream("tides"), polls).await;
        poll_times(client.subscribe("tides", Subscribe::new()), polls).await;
        poll_times(client.start(), polls).await;
    }
    let mut tides = client.subscribe("tides", Subscribe::new().fanout()).await.unwrap();
    for polls in 0..5 {
        client.publish("tides", &json!({"n": polls})).await.unwrap();
        poll_times(tides.next(), 0).await;
        assert_eq!(take(&mut tides, 1).await, [format!(r#"{{"n":{polls}}}"#)]);
    }
}

#[tokio::test(start_paused = true)]
async fn a_first_connection_that_fails_is_an_error_that_names_the_step() {
    let config = Config::new("localhost", 3104, Credentials::basic("a", "b"));
    let refusing = Connector::new(|_| async {
        Err::<tokio::io::DuplexStream, _>(std::io::ErrorKind::ConnectionRefused.into())
    });
    let client = Client::new(config.clone().connector(refusing)).unwrap();
    let error = client.start().await.unwrap_err();
    let Error::Connect(failure) = &error else { panic!("{error:?}") };
    assert_eq!(failure.url, "ws://localhost:3104");
    assert!(error.to_string().contains("TCP connection to ws://localhost:3104 failed"));
    let silent =
        Connector::new(|_| std::future::pending::<std::io::Result<tokio::io::DuplexStream>>());
    let client = Client::new(config.connector(silent)).unwrap();
    let start = tokio::time::Instant::now();
    client.start().await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(10));
}

#[test]
fn outside_a_runtime_a_client_is_refused() {
    let config = Config::new("localhost", 3104, Credentials::basic("a", "b"));
    assert_eq!(Client::new(config).unwrap_err().code(), "no_runtime");
}

/// X5: a call that nobody answers is in doubt when its time to close is over, and no
/// other begins.
#[tokio::test(start_paused = true)]
async fn close_gives_up_at_its_limit_and_says_what_is_in_doubt() {
    let silent = Connector::new(|_| async {
        let (ours, theirs) = tokio::io::duplex(1 << 16);
        // Held, and never read to its end.
        tokio::spawn(async move {
            tokio::time::sleep(Duration::from_secs(3600)).await;
            drop(theirs);
        });
        Ok(ours)
    });
    let config = Config::new("localhost", 3104, Credentials::basic("a", "b"));
    let client = Client::new(config.connector(silent)).unwrap();
    let calls = (0..3).map(|n| {
        let client = client.clone();
        tokio::spawn(async move { client.publish("tides", &json!({"n": n})).await })
    });
    let calls: Vec<_> = calls.collect();
    tokio::time::sleep(Duration::from_millis(10)).await;
    let start = tokio::time::Instant::now();
    let report = client.close(Duration::from_secs(1)).await;
    assert_eq!(start.elapsed(), Duration::from_secs(1));
    assert_eq!((report.unacknowledged, report.is_clean()), (3, false));
    assert!(matches!(client.publish("tides", &json!({})).await, Err(Error::Closed)));
    for call in calls {
        assert!(within(call).await.unwrap().unwrap_err().is_in_doubt());
    }
    assert_eq!(client.close(Duration::ZERO).await, report);
}

/// R7: whatever the code of a close is, the client returns; nobody gave codes a meaning.
#[tokio::test(start_paused = true)]
async fn r7_after_a_close_with_any_code_the_client_returns() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut tides = client.subscribe("tides", Subscribe::new().fanout()).await.unwrap();
        let codes = (1000..=1003).chain(1007..=1013).chain([3000, 3999, 4000, 4999]);
        for (n, code) in codes.enumerate() {
            assert_eq!(server.close_sockets(code), 1, "{code}");
            assert!(matches!(within(tides.next()).await, Some(Delivery::Gap(_))), "{code}");
            while client.stats().connects < n as u64 + 2 {
                tokio::time::sleep(Duration::from_millis(50)).await;
            }
            // Until the subscription is made again, nobody is there to be closed.
            tokio::time::sleep(Duration::from_secs(40)).await;
        }
        let told = client.stats().last_error.unwrap();
        assert!(format!("{told:?}").contains("4999"), "{told:?}");
    })
    .await;
}

/// C8: payloads are not looked into, and decoding them is bounded.
#[tokio::test(start_paused = true)]
async fn c8_payloads_of_any_depth_are_delivered_to_the_letter() {
    let server = server(Engine::WsCore);
    let client = connect(&server).await;
    let mut tides = client.subscribe("tides", Subscribe::new()).await.unwrap();
    for payload in [
        format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000)),
        "1e400".into(),
        "18446744073709551616".into(),
        r#"{"a":1,"a":2}"#.into(),
        r#""\ud800""#.into(),
        "null".into(),
    ] {
        assert_eq!(server.send_raw(&format!(r#"{{"id":2,"payload":{payload}}}"#)), 1);
        assert_eq!(take(&mut tides, 1).await, [payload]);
    }
    let deep = format!(r#"{{"id":2,"payload":{}1{}}}"#, "[".repeat(200), "]".repeat(200));
    assert_eq!(server.send_raw(&deep), 1);
    let Some(Delivery::Message(message)) = within(tides.next()).await else { panic!() };
    assert_eq!(message.decode::<serde_json::Value>().unwrap_err().code(), "decode");
}

/// X9: what comes from the service may end up on a terminal.
#[tokio::test(start_paused = true)]
async fn x9_hostile_text_from_the_service_is_escaped_and_shortened() {
    let server = server(Engine::WsCore);
    let client = connect(&server).await;
    let mut events = client.events();
    let _tides = client.subscribe("tides", Subscribe::new()).await.unwrap();
    let hostile = format!("\u{1b}[31m\n{}", "x".repeat(100_000));
    assert_eq!(server.send_raw(&hostile), 1);
    let Some(Event::Warning { cause }) = within(events.next()).await else { panic!() };
    for shown in [cause.to_string(), format!("{cause:?}")] {
        assert!(!shown.contains('\u{1b}') && !shown.contains('\n'), "{shown:?}");
        assert!(shown.len() < 2000, "{}", shown.len());
    }
    let error = client.subscribe("no\u{1b}[31m\nbody", Subscribe::new()).await.unwrap_err();
    let shown = error.to_string();
    assert!(!shown.contains('\u{1b}') && !shown.contains('\n'), "{shown:?}");
}

/// Q1: the consumer sleeps, and is waited for.
#[tokio::test(start_paused = true)]
async fn q1_a_consumer_that_sleeps_loses_nothing_and_keeps_its_connection() {
    let server = server(Engine::WsCore);
    let client = connect(&server).await;
    let few = stream_sea::InboxLimits::default().max_messages(4);
    let mut tides = client.subscribe("tides", Subscribe::new().inbox(few)).await.unwrap();
    let publisher = connect(&server).await;
    for n in 0..500 {
        publisher.publish("tides", &json!({"n": n})).await.unwrap();
    }
    tokio::time::sleep(Duration::from_secs(60)).await;
    let got = take(&mut tides, 500).await;
    assert_eq!(got.last().map(String::as_str), Some(r#"{"n":499}"#));
    assert_eq!(client.stats().connects, 1);
}
