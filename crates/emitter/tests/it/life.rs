//! Beginnings and ends: start, stop, close, drops, dropped futures, threads.

use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use emitter::{
    Address, BlockingClient, Client, Config, Connector, Delivery, Error, Event, HistoryOptions,
    LastWill, LinkOptions, Permissions, PresenceOptions, PublishOptions, State, SubscribeOptions,
};
use realtime_sandbox::kit::{dropped_at_each_poll, poll_times};

use crate::{
    scripted::door,
    support::{KEY, LINES, SECRET, Stand, on_each_line, take, within},
};

#[tokio::test(start_paused = true)]
async fn stop_keeps_everything_for_the_next_start() {
    on_each_line(|stand| async move {
        let client = stand.connect().await;
        let none = SubscribeOptions::new().last(0);
        let mut room = client.subscribe(KEY, "room", none).await.unwrap();
        client.link(KEY, "room", "a0", LinkOptions::new()).await.unwrap();
        client.stop().await.unwrap();
        assert_eq!(client.state(), State::Stopped);
        // What is published meanwhile waits.
        let waiting = client.clone();
        let waiting = tokio::spawn(async move {
            waiting.publish_with_link("a0", "kept", PublishOptions::new()).await
        });
        tokio::time::sleep(Duration::from_secs(5)).await;
        client.start().await.unwrap();
        waiting.await.unwrap().unwrap();
        assert!(matches!(within(room.next()).await, Some(Delivery::Gap(_))));
        assert_eq!(take(&mut room, 1).await, ["kept"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn calls_may_be_made_before_the_start() {
    let stand = Stand::new(LINES[0]);
    let client = Client::new(stand.config()).unwrap();
    let early = client.clone();
    let early = tokio::spawn(async move {
        let mut room = early.subscribe(KEY, "room", SubscribeOptions::new()).await.unwrap();
        early.publish(KEY, "room", "x", PublishOptions::new()).await.unwrap();
        take(&mut room, 1).await
    });
    tokio::time::sleep(Duration::from_secs(5)).await;
    client.start().await.unwrap();
    assert_eq!(within(early).await.unwrap(), ["x"]);
}

/// X4, and X5 with a broker that never answers.
#[tokio::test(start_paused = true)]
async fn x4_close_is_the_same_from_every_state_and_from_many_tasks() {
    for line in LINES {
        let stand = Stand::new(line);
        for state in ["idle", "connected", "stopped", "waiting"] {
            let client = Client::new(stand.config()).unwrap();
            match state {
                "connected" => client.start().await.unwrap(),
                "stopped" => {
                    client.start().await.unwrap();
                    client.stop().await.unwrap();
                }
                "waiting" => {
                    client.start().await.unwrap();
                    let _ended = stand.broker.drop_connections();
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
            let error = client.publish(KEY, "a", "x", PublishOptions::new()).await.unwrap_err();
            assert!(matches!(error, Error::Closed));
        }
    }
}

#[tokio::test(start_paused = true)]
async fn x5_close_with_a_dead_peer_returns_at_its_limit_and_counts() {
    let (config, mut door) = door();
    let (client, broker) = door.connect(config.request_timeout(Duration::from_secs(600))).await;
    for n in 0..1000 {
        let client = client.clone();
        tokio::spawn(async move {
            client.publish("K", "a", n.to_string(), PublishOptions::new()).await
        });
    }
    tokio::time::sleep(Duration::from_millis(100)).await;
    let begun = tokio::time::Instant::now();
    let report = client.close(Duration::from_secs(5)).await;
    assert_eq!(begun.elapsed().as_secs(), 5);
    assert_eq!((report.unacknowledged, report.unsent), (128, 872));
    drop(broker);
}

#[tokio::test(start_paused = true)]
async fn the_events_tell_the_story() {
    let stand = Stand::new(LINES[0]);
    let client = Client::new(stand.config()).unwrap();
    let mut events = client.events();
    client.start().await.unwrap();
    let _room = client.subscribe(KEY, "room", SubscribeOptions::new()).await.unwrap();
    // The broker would take this one for the other.
    let _one = client.subscribe(KEY, "a/b", SubscribeOptions::new()).await.unwrap();
    let _two = client.subscribe(KEY, "b/a", SubscribeOptions::new()).await.unwrap();
    let _ended = stand.broker.drop_connections();
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
            Event::Warning { cause } => format!("warning {}", cause.code()),
            Event::Closed => "closed".into(),
            other => panic!("{other:?}"),
        });
    }
    let wanted = [
        "connecting 0",
        "connected",
        "warning collision",
        "disconnected true",
        "waiting 1",
        "connecting 1",
        "connected",
        "gap room/",
        "gap a/b/",
        "gap b/a/",
        "disconnected false",
        "closed",
    ];
    assert_eq!(story, wanted);
}

/// X3: in every order, and outside a runtime.
#[tokio::test(start_paused = true)]
async fn x3_drops_in_every_order_do_no_harm() {
    for line in LINES {
        let stand = Stand::new(line);
        for order in 0..24 {
            let client = stand.connect().await;
            let room = client.subscribe(KEY, "room", SubscribeOptions::new()).await.unwrap();
            let presence =
                client.presence_subscribe(KEY, "room", PresenceOptions::new()).await.unwrap();
            let history = client.history(KEY, "room", HistoryOptions::new()).unwrap();
            let mut all: Vec<Box<dyn std::any::Any + Send>> =
                vec![Box::new(client), Box::new(room), Box::new(presence), Box::new(history)];
            let dropping = std::thread::spawn(move || {
                drop(all.remove(order % 4));
                drop(all.remove(order / 4 % 3));
                drop(all.remove(order / 12));
                drop(all);
            });
            dropping.join().unwrap();
        }
        tokio::time::sleep(Duration::from_secs(5)).await;
        assert_eq!(stand.broker.drop_connections(), 0);
    }
}

/// X1: each call is dropped after its k-th poll; the client goes on.
#[tokio::test(start_paused = true)]
async fn x1_calls_may_be_dropped_at_any_poll() {
    on_each_line(|stand| async move {
        let client = stand.connect().await;
        let c = &client;
        let new = PublishOptions::new;
        let drops = [
            dropped_at_each_poll(|k| poll_times(c.publish(KEY, "x", "1", new()), k)).await,
            dropped_at_each_poll(|k| poll_times(c.me(), k)).await,
            dropped_at_each_poll(|k| poll_times(c.presence_status(KEY, "x"), k)).await,
            dropped_at_each_poll(|k| poll_times(c.link(KEY, "x", "l", LinkOptions::new()), k))
                .await,
            dropped_at_each_poll(|k| poll_times(c.keygen(SECRET, "x", Permissions::READ, 0), k))
                .await,
            dropped_at_each_poll(|k| poll_times(c.keyban(SECRET, KEY, false), k)).await,
            dropped_at_each_poll(|k| poll_times(c.unsubscribe(KEY, "x"), k)).await,
            dropped_at_each_poll(|k| {
                let options = HistoryOptions::new();
                poll_times(c.history(KEY, "x", options).unwrap().all(), k)
            })
            .await,
            dropped_at_each_poll(|k| poll_times(c.subscribe(KEY, "y", SubscribeOptions::new()), k))
                .await,
            dropped_at_each_poll(|k| {
                poll_times(c.presence_subscribe(KEY, "y", PresenceOptions::new()), k)
            })
            .await,
            dropped_at_each_poll(|k| {
                let options = SubscribeOptions::new();
                poll_times(c.subscribe_with_handler(KEY, "y", None, options, |_| {}), k)
            })
            .await,
            dropped_at_each_poll(|k| poll_times(c.unsubscribe(KEY, "y"), k)).await,
        ];
        assert!(drops.iter().all(|drops| (2..1000).contains(drops)), "{drops:?}");
        // What was dropped is undone: nobody is subscribed to y but who holds it.
        client.me().await.unwrap();
        let other = stand.connect().await;
        assert!(other.presence_status(KEY, "y").await.unwrap().who.is_empty());
        let stats = client.stats();
        assert_eq!((stats.connects, stats.outbox_len), (1, 0));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_first_connection_that_fails_is_an_error_that_names_the_step() {
    let config = Config::new(Address::new("localhost").insecure());
    let refusing = Connector::new(|_| async {
        Err::<tokio::io::DuplexStream, _>(std::io::ErrorKind::ConnectionRefused.into())
    });
    let client = Client::new(config.connector(refusing)).unwrap();
    let error = client.start().await.unwrap_err();
    assert_eq!((error.code(), client.state()), ("tcp", State::Stopped));
    assert!(error.to_string().contains("mqtt://localhost:8080"), "{error}");
    assert!(error.hint().unwrap().contains("host and port"));
    // The silent one, and the one that hangs up.
    let (config, mut door) = door();
    let starting = Client::new(config).unwrap();
    let started = tokio::spawn(async move { starting.start().await });
    let (_silent, _) = door.open().await;
    assert_eq!(started.await.unwrap().unwrap_err().code(), "auth");
}

#[tokio::test(start_paused = true)]
async fn r7_a_refused_connection_is_final_unless_it_is_busy() {
    for (code, again) in [(1, false), (2, false), (3, true), (4, false), (5, false)] {
        let (config, mut door) = door();
        let client = Client::new(config.retry_first_connect()).unwrap();
        let starting = client.clone();
        let started = tokio::spawn(async move { starting.start().await });
        let (mut broker, _) = door.open().await;
        broker.say_raw(&[0x20, 2, 0, code]).await;
        if again {
            door.accept().await;
            started.await.unwrap().unwrap();
        } else {
            let Err(Error::Refused(refusal)) = started.await.unwrap() else { panic!() };
            assert_eq!((refusal.operation, refusal.status), ("connect", code.into()));
            assert_eq!(client.state(), State::Stopped);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn several_addresses_are_tried_in_their_order() {
    let stand = Stand::new(LINES[0]);
    let (pipes, tried) = (stand.broker.clone(), Arc::new(Mutex::new(Vec::new())));
    let noted = Arc::clone(&tried);
    let config = Config::new(Address::new("dead").insecure())
        .or(Address::new("refusing").insecure())
        .or(Address::new("good").insecure())
        .connector(Connector::new(move |target| {
            noted.lock().unwrap().push(target.host.clone());
            let pipe = (target.host == "good").then(|| pipes.pipe());
            async move {
                if target.host == "dead" {
                    std::future::pending::<()>().await;
                }
                pipe.ok_or_else(|| std::io::ErrorKind::ConnectionRefused.into())
            }
        }));
    let begun = tokio::time::Instant::now();
    let client = Client::connect(config.connect_timeout(Duration::from_secs(9))).await.unwrap();
    assert_eq!(begun.elapsed().as_secs(), 3);
    assert_eq!(*tried.lock().unwrap(), ["dead", "refusing", "good"]);
    client.close(Duration::ZERO).await;
}

#[tokio::test(start_paused = true)]
async fn a_last_will_is_told_when_the_client_is_gone() {
    on_each_line(|stand| async move {
        let heir = stand.connect().await;
        let mut gone = heir.subscribe(KEY, "gone", SubscribeOptions::new()).await.unwrap();
        let will = LastWill::new(KEY, "gone", "bye").retain();
        let dying = Client::connect(stand.config().last_will(will)).await.unwrap();
        dying.close(Duration::from_secs(1)).await;
        assert_eq!(take(&mut gone, 1).await, ["bye"]);
        let late = stand.connect().await;
        let mut stored = late.subscribe(KEY, "gone", SubscribeOptions::new()).await.unwrap();
        assert_eq!(take(&mut stored, 1).await, ["bye"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_default_key_is_for_calls_without_one() {
    let stand = Stand::new(LINES[0]);
    let client = Client::connect(stand.config().default_key(KEY)).await.unwrap();
    let mut room = client.subscribe("", "room", SubscribeOptions::new()).await.unwrap();
    client.publish("", "room", "x", PublishOptions::new()).await.unwrap();
    assert_eq!(take(&mut room, 1).await, ["x"]);
    let other = stand.connect().await;
    let error = other.publish("", "room", "x", PublishOptions::new()).await.unwrap_err();
    assert_eq!(error.code(), "key");
}

/// X6: a handler that panics is told of, and the next one is called.
#[tokio::test(start_paused = true)]
async fn x6_a_handler_that_panics_harms_nobody() {
    let stand = Stand::new(LINES[0]);
    let client = stand.connect().await;
    let mut events = client.events();
    let (to, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let none = SubscribeOptions::new().last(0);
    client
        .subscribe_with_handler(KEY, "room", None, none, move |message| {
            assert_ne!(message.as_str().unwrap(), "bad", "as asked");
            to.send(message).unwrap();
        })
        .await
        .unwrap();
    for text in ["bad", "good"] {
        client.publish(KEY, "room", text, PublishOptions::new()).await.unwrap();
    }
    assert_eq!(within(seen.recv()).await.unwrap().as_str().unwrap(), "good");
    let Some(Event::Warning { cause }) = within(events.next()).await else { panic!() };
    assert_eq!(cause.code(), "handler_panicked");
    assert!(cause.to_string().contains("as asked"), "{cause}");
}

/// X8: keys never show.
#[tokio::test(start_paused = true)]
async fn x8_no_key_is_shown() {
    let stand = Stand::new(LINES[0]);
    let config = stand.config().default_key("d3fault").username("u").password("p4ssword");
    let mut shown = format!("{config:?}");
    let client = Client::connect(config).await.unwrap();
    let subscribed = client.subscribe(KEY, "room", SubscribeOptions::new()).await.unwrap();
    let presence = client.presence_subscribe(KEY, "room", PresenceOptions::new()).await.unwrap();
    let history = client.history(KEY, "room", HistoryOptions::new()).unwrap();
    let refused = client.publish("wr0ngkey", "room", "x", PublishOptions::new()).await;
    let misused = client.publish("wr0ng/key", "room", "x", PublishOptions::new()).await;
    shown += &format!("{client:?} {subscribed:?} {presence:?} {history:?}");
    shown += &format!("{refused:?} {misused:?} {:?} {:?}", client.stats(), client.handlers());
    let made = client.keygen(SECRET, "made", Permissions::READ, 0).await.unwrap();
    shown += &format!("{made:?}");
    for secret in ["d3fault", "p4ssword", KEY, "wr0ng", &made.key] {
        assert!(!shown.contains(secret), "{secret} in {shown}");
    }
}

/// As the original is used: without a runtime, with handlers that make calls.
#[test]
fn the_blocking_client_is_used_as_the_original_is() {
    let runtime = tokio::runtime::Runtime::new().unwrap();
    let stand = {
        let _in_it = runtime.enter();
        Stand::new(LINES[0])
    };
    runtime.block_on(stand.broker.listen(0)).unwrap();
    let address = Address::new("127.0.0.1").port(stand.broker.port()).insecure();
    let client = BlockingClient::new(Config::new(address)).unwrap();
    let (to, seen) = std::sync::mpsc::channel();
    let connected = client.clone();
    client.handlers().on_connect.set(move |()| {
        // Subscribing when connected, as programs for the original do.
        let to = to.clone();
        let handler = move |message: emitter::Message| drop(to.send(message));
        let none = SubscribeOptions::new().last(0);
        connected.subscribe_with_handler(KEY, "room", None, none, handler).unwrap();
        connected.publish(KEY, "room", "from a handler", PublishOptions::new()).unwrap();
    });
    client.connect().unwrap();
    let message = seen.recv_timeout(Duration::from_secs(30)).unwrap();
    assert_eq!(message.as_str().unwrap(), "from a handler");
    let mut room = client.subscribe(KEY, "room/1", SubscribeOptions::new()).unwrap();
    client.publish(KEY, "room/1", "x", PublishOptions::new().ttl(60)).unwrap();
    assert_eq!(room.next().unwrap().into_message().unwrap().as_str().unwrap(), "x");
    assert!(room.next_within(Duration::from_millis(10)).unwrap().is_none());
    assert_eq!(client.history(KEY, "room", HistoryOptions::new()).unwrap().len(), 1);
    assert_eq!(client.me().unwrap().id.len(), 26);
    client.link(KEY, "room", "a0", LinkOptions::new()).unwrap();
    client.publish_with_link("a0", "x", PublishOptions::new()).unwrap();
    assert_eq!(client.presence(KEY, "room/1", true, None).unwrap().unwrap().who.len(), 1);
    let key = client.keygen(SECRET, "k", Permissions::READ, 0).unwrap().key;
    assert!(client.keyban(SECRET, &key, true).unwrap().banned);
    client.unsubscribe(KEY, "room/1").unwrap();
    assert!(room.next().is_none());
    client.disconnect().unwrap();
    // Inside a runtime it would block it: an error, not a panic.
    let inside = runtime.block_on(async { client.me() });
    assert_eq!(inside.unwrap_err().code(), "in_runtime");
    assert!(client.close(Duration::from_secs(1)).unwrap().is_clean());
}
