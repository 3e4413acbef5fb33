//! Beginnings and ends: start, stop, close, drops, dropped futures, and what the server
//! and its backend may do meanwhile.

use std::time::Duration;

use high_templar_client::{
    Client, Config, ConnectStep, Connector, Credentials, Delivery, Error, Event, InboxLimits,
    State, Subscribe,
};
use realtime_sandbox::{Engine, HighTemplarServer, kit::poll_times};
use serde_json::json;

use crate::support::{
    config, connect, connected, on_both_engines, room, server, subscribe, take, trigger, within,
};

#[tokio::test(start_paused = true)]
async fn who_the_user_is_reaches_the_backend() {
    on_both_engines(|server| async move {
        let user = Credentials::new()
            .token("t 0+k")
            .cookie("sessionid", "abc")
            .cookie("csrftoken", "csrf42")
            .header("X-Real-IP", "203.0.113.7");
        let client = Client::connect(config(&server).credentials(user)).await.unwrap();
        let asked = server.backend().asked().pop().unwrap();
        assert_eq!((asked.method.as_str(), asked.path.as_str()), ("GET", "/api/bootstrap/"));
        for (name, value) in [
            ("authorization", "Token t 0+k"),
            ("cookie", "sessionid=abc; csrftoken=csrf42"),
            ("x-csrftoken", "csrf42"),
            ("x-real-ip", "203.0.113.7"),
        ] {
            assert_eq!(asked.header(name), Some(value), "{name}");
        }
        let agent = asked.header("user-agent").unwrap();
        assert!(agent.starts_with("high-templar-client/"), "{agent}");
        client.close(Duration::from_secs(3)).await;
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn credentials_are_asked_for_before_each_connection() {
    let server = server(Engine::WsCore);
    let asked = std::sync::Arc::new(std::sync::atomic::AtomicU64::new(0));
    let counter = std::sync::Arc::clone(&asked);
    let config = config(&server).credentials_from(move || {
        let n = counter.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
        async move {
            match n {
                1 => return Err("no ticket"),
                2 => panic!("the callback's own"),
                3 => std::future::pending().await,
                _ => {}
            }
            Ok(Credentials::new().token(format!("t{n}")))
        }
    });
    let client = Client::connect(config).await.unwrap();
    server.close_connections();
    within(connected(&client, 2)).await;
    let tokens = server.backend().asked();
    let tokens: Vec<_> = tokens.iter().map(|asked| asked.header("authorization")).collect();
    assert_eq!(tokens, [Some("Token t0"), Some("Token t4")]);
}

#[tokio::test(start_paused = true)]
async fn a_backend_that_is_not_there_is_waited_for() {
    on_both_engines(|server| async move {
        server.backend().say(200, "<html>");
        let error = Client::connect(config(&server)).await.unwrap_err();
        let Error::Connect(failure) = &error else { panic!("{error:?}") };
        assert_eq!((failure.step, failure.status), (ConnectStep::Upgrade, Some(502)));
        assert!(error.is_retryable());
        let client = Client::new(config(&server).retry_first_connect()).unwrap();
        let starting = tokio::spawn({
            let client = client.clone();
            async move { client.start().await }
        });
        tokio::time::sleep(Duration::from_secs(30)).await;
        assert_eq!(client.stats().connects, 0);
        server.backend().say(200, r#"{"allowed_rooms": []}"#);
        within(starting).await.unwrap().unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn stop_keeps_subscriptions_for_the_next_start() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut one = subscribe(&client, "1").await;
        client.stop().await.unwrap();
        assert_eq!(client.state(), State::Stopped);
        trigger(&server, "1", "missed").await;
        client.start().await.unwrap();
        assert!(matches!(within(one.next()).await, Some(Delivery::Gap(_))));
        trigger(&server, "1", "1").await;
        assert_eq!(take(&mut one, 1).await, [r#""1""#]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn subscriptions_may_be_made_before_the_start() {
    let server = server(Engine::WsCore);
    let client = Client::new(config(&server)).unwrap();
    let early = tokio::spawn({
        let client = client.clone();
        async move { client.subscribe(room("1"), Subscribe::new()).await }
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    client.start().await.unwrap();
    let mut one = within(early).await.unwrap().unwrap();
    trigger(&server, "1", "1").await;
    assert_eq!(take(&mut one, 1).await.len(), 1);
}

/// X3, X4: close is the same from every state and from many tasks at once.
#[tokio::test(start_paused = true)]
async fn close_is_the_same_from_every_state_and_from_many_tasks() {
    for engine in Engine::ALL {
        close_from_every_state(&server(engine)).await;
    }
}

async fn close_from_every_state(server: &HighTemplarServer) {
    for state in ["idle", "connected", "stopped", "waiting"] {
        let client = Client::new(config(server)).unwrap();
        match state {
            "connected" => client.start().await.unwrap(),
            "stopped" => {
                client.start().await.unwrap();
                client.stop().await.unwrap();
            }
            "waiting" => {
                client.start().await.unwrap();
                server.close_connections();
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
        let late = client.subscribe(room("1"), Subscribe::new()).await;
        assert!(matches!(late, Err(Error::Closed)), "{state}");
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    assert_eq!(server.status().open_connections, 0);
}

#[tokio::test(start_paused = true)]
async fn the_events_tell_the_story() {
    let server = server(Engine::WsCore);
    let client = Client::new(config(&server)).unwrap();
    let mut events = client.events();
    client.start().await.unwrap();
    let mut one = subscribe(&client, "1").await;
    server.close_connections();
    assert!(matches!(within(one.next()).await, Some(Delivery::Gap(_))));
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
        "disconnected true",
        "waiting 1",
        "connecting 1",
        "connected",
        r#"gap {"target": "message", "customer": "1"}"#,
        "disconnected false",
        "closed",
    ];
    assert_eq!(story, wanted);
}

#[tokio::test(start_paused = true)]
async fn drops_in_every_order_do_no_harm() {
    on_both_engines(|server| async move { drops_in_every_order(&server).await }).await;
}

async fn drops_in_every_order(server: &HighTemplarServer) {
    for order in 0..6 {
        let client = connect(server).await;
        let one = subscribe(&client, "1").await;
        let events = client.events();
        let mut all: Vec<Box<dyn std::any::Any>> =
            vec![Box::new(client), Box::new(one), Box::new(events)];
        drop(all.remove(order % 3));
        drop(all.remove(order / 3));
        drop(all);
    }
    tokio::time::sleep(Duration::from_secs(5)).await;
    let status = server.status();
    assert_eq!((status.open_connections, status.num_rooms), (0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_dropped_subscription_is_one_that_the_server_forgets() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        drop(subscribe(&client, "1").await);
        let mut two = subscribe(&client, "2").await;
        trigger(&server, "1", "x").await;
        trigger(&server, "2", "y").await;
        assert_eq!(take(&mut two, 1).await, [r#""y""#]);
        assert_eq!(client.status().await.unwrap().num_rooms, 1);
    })
    .await;
}

/// X1: each call is dropped after its k-th poll; the client goes on.
#[tokio::test(start_paused = true)]
async fn x1_calls_may_be_dropped_at_any_poll() {
    let server = server(Engine::WsCore);
    let client = connect(&server).await;
    for polls in 0..40 {
        poll_times(client.subscribe(room("1"), Subscribe::new()), polls).await;
        poll_times(client.status(), polls).await;
        poll_times(subscribe(&client, "2").await.unsubscribe(), polls).await;
        poll_times(client.start(), polls).await;
    }
    let mut one = subscribe(&client, "1").await;
    for n in 0..5 {
        trigger(&server, "1", &n).await;
        poll_times(one.next(), 0).await;
        assert_eq!(take(&mut one, 1).await, [n.to_string()]);
    }
    assert_eq!(client.status().await.unwrap().num_rooms, 1);
    assert_eq!(client.stats().connects, 1);
}

#[tokio::test(start_paused = true)]
async fn a_first_connection_that_fails_is_an_error_that_names_the_step() {
    let config = Config::new("ws://localhost:8000");
    let refusing = Connector::new(|_| async {
        Err::<tokio::io::DuplexStream, _>(std::io::ErrorKind::ConnectionRefused.into())
    });
    let client = Client::new(config.clone().connector(refusing)).unwrap();
    let error = client.start().await.unwrap_err();
    let Error::Connect(failure) = &error else { panic!("{error:?}") };
    assert_eq!(failure.url, "ws://localhost:8000/ws/");
    assert!(error.to_string().contains("TCP connection to ws://localhost:8000/ws/ failed"));
    let silent =
        Connector::new(|_| std::future::pending::<std::io::Result<tokio::io::DuplexStream>>());
    let client = Client::new(config.connector(silent)).unwrap();
    let start = tokio::time::Instant::now();
    client.start().await.unwrap_err();
    assert_eq!(start.elapsed(), Duration::from_secs(10));
}

/// The server answers when its backend has: the deadline covers that.
#[tokio::test(start_paused = true)]
async fn a_slow_backend_is_waited_for_as_long_as_the_deadline_says() {
    on_both_engines(|server| async move {
        server.backend().delay(Duration::from_secs(9));
        connect(&server).await.close(Duration::ZERO).await;
        server.backend().delay(Duration::from_secs(11));
        let error = Client::connect(config(&server)).await.unwrap_err();
        let Error::Connect(failure) = &error else { panic!("{error:?}") };
        assert!(failure.to_string().contains("upgrade to ws://localhost:8000/ws/"), "{failure}");
        let patient = config(&server).connect_timeout(Duration::from_secs(15));
        Client::connect(patient).await.unwrap();
    })
    .await;
}

#[test]
fn outside_a_runtime_a_client_is_refused() {
    let error = Client::new(Config::new("ws://localhost:8000")).unwrap_err();
    assert_eq!(error.code(), "no_runtime");
}

/// Nobody says anything for an hour: the text pings keep the connection, whose limit is
/// 300 s.
#[tokio::test(start_paused = true)]
async fn an_hour_of_silence_is_survived() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut one = subscribe(&client, "1").await;
        tokio::time::sleep(Duration::from_secs(3600)).await;
        trigger(&server, "1", "1").await;
        assert_eq!(take(&mut one, 1).await.len(), 1);
        assert_eq!(client.stats().connects, 1);
    })
    .await;
}

/// C8: data is not looked into, and decoding it is bounded.
#[tokio::test(start_paused = true)]
async fn c8_data_of_any_depth_is_delivered_to_the_letter() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut one = subscribe(&client, "1").await;
        let deep = format!("{}1{}", "[".repeat(10_000), "]".repeat(10_000));
        for data in [&deep, "1e400", "18446744073709551616", r#"{"a":1,"a":2}"#, "null"] {
            let raw = serde_json::value::RawValue::from_string(data.to_owned()).unwrap();
            trigger(&server, "1", &raw).await;
            assert_eq!(take(&mut one, 1).await, [data]);
        }
        let raw = serde_json::value::RawValue::from_string(deep.clone()).unwrap();
        trigger(&server, "1", &raw).await;
        let Some(Delivery::Message(message)) = within(one.next()).await else { panic!() };
        assert_eq!(message.decode::<serde_json::Value>().unwrap_err().code(), "decode");
    })
    .await;
}

/// Q1: the consumer sleeps, and is waited for.
#[tokio::test(start_paused = true)]
async fn q1_a_consumer_that_sleeps_loses_nothing_and_keeps_its_connection() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let few = Subscribe::new().inbox(InboxLimits::default().max_messages(4));
        let mut one = client.subscribe(room("1"), few).await.unwrap();
        for n in 0..500 {
            trigger(&server, "1", &json!({"n": n})).await;
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        let got = take(&mut one, 500).await;
        assert_eq!(got.last().map(String::as_str), Some(r#"{"n":499}"#));
        assert_eq!(client.stats().connects, 1);
    })
    .await;
}
