//! Bounds: of time, of size, of count; and what happens to those who do not read.

use std::time::Duration;

use high_templar::{Config, Overflow};
use ws_core::Message;

use crate::support::{Raw, builder, pipe, server, trigger, within};

/// Pings of WebSocket do not count, the text does.
#[tokio::test(start_paused = true)]
async fn a_silent_client_is_closed_after_300_seconds() {
    let server = server(high_templar::Compat::Document, &["{}"]);
    let mut silent = Raw::connect(&server).await;
    silent.hear().await.unwrap();
    let mut pinging = Raw::connect(&server).await;
    let mut talking = Raw::connect(&server).await;
    talking.hear().await.unwrap();
    let began = tokio::time::Instant::now();
    let pings = tokio::spawn(async move {
        let mut beat = tokio::time::interval(Duration::from_secs(20));
        loop {
            tokio::select! {
                _ = beat.tick() => {
                    pinging.0.send(&Message::Ping(b"x".to_vec().into())).await.unwrap();
                }
                message = pinging.0.next() => if message.unwrap().is_none() {
                    return (began.elapsed(), pinging.0.close_frame().cloned());
                },
            }
        }
    });
    for _ in 0..30 {
        tokio::time::sleep(Duration::from_secs(20)).await;
        assert_eq!(talking.ask("ping").await, "pong");
    }
    let (after, frame) = within(pings).await.unwrap();
    assert_eq!((after.as_secs(), frame.unwrap().code.as_u16()), (300, 1000));
    assert_eq!(silent.end().await, Some(1000));
    assert_eq!(server.status().open_connections, 1);
}

#[tokio::test]
async fn a_message_that_is_too_large_ends_the_connection_with_1009() {
    let config = Config::new().max_message(4 << 10);
    let server = builder(&["{}"]).config(config).build().unwrap();
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    assert_eq!(client.ends_with(&"x".repeat(5 << 10)).await, Some(1009));
}

#[tokio::test]
async fn rooms_have_a_size_and_connections_a_number_of_them() {
    let server = server(high_templar::Compat::Document, &[r#"{"a":"*"}"#]);
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    let subscribe = |value: &str, id: usize| {
        format!(r#"{{"type":"subscribe","room":{{"a":"{value}"}},"requestId":{id}}}"#)
    };
    let large = client.ask(&subscribe(&"x".repeat(1 << 20), 0)).await;
    assert_eq!(large, r#"{"code": "error", "message": "room-too-large"}"#);
    for n in 0..10_000 {
        assert_eq!(client.ask(&subscribe(&n.to_string(), n)).await, r#"{"code": "success"}"#);
    }
    let more = client.ask(&subscribe("more", 10_000)).await;
    assert_eq!(more, r#"{"code": "error", "message": "too-many-subscriptions"}"#);
    assert_eq!(server.status().num_rooms, 10_000);
    trigger(&server, &[r#"{"a":"*"}"#], "1").await;
    assert_eq!(client.drain().await.len(), 10_000);
    // Nothing has stopped: one is left, and another taken.
    client.ask(r#"{"type":"unsubscribe","requestId":5}"#).await;
    assert_eq!(client.ask(&subscribe("more", 10_000)).await, r#"{"code": "success"}"#);
    drop(client);
    while server.status().num_rooms > 0 {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
}

#[tokio::test]
async fn malformed_messages_are_answered_where_nobody_expects_the_original() {
    let server = server(high_templar::Compat::Document, &["{}"]);
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    for text in ["[1]", "3", r#"{"type":"subscribe","requestId":{},"room":{}}"#] {
        let answer = client.ask(text).await;
        assert_eq!(answer, r#"{"code": "error", "message": "malformed-message"}"#);
    }
}

#[tokio::test]
async fn answers_name_their_request_where_that_is_wanted() {
    let config = Config::new().echo_request_id();
    let server = builder(&["{}"]).config(config).build().unwrap();
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    let answer = client.ask(r#"{"type":"subscribe","room":{},"requestId":"1"}"#).await;
    assert_eq!(answer, r#"{"requestId": "1", "code": "success"}"#);
    let answer = client.ask(r#"{"type":"subscribe","room":{"a":1},"requestId":2}"#).await;
    assert_eq!(answer, r#"{"requestId": 2, "code": "error", "message": "room-not-found"}"#);
}

#[tokio::test]
async fn who_does_not_read_ends_and_the_others_miss_nothing() {
    let config = Config::new().max_queue(64 << 10);
    let server = builder(&["{}"]).config(config).build().unwrap();
    let (mut reader, mut sleeper) = (Raw::connect(&server).await, Raw::connect(&server).await);
    for client in [&mut reader, &mut sleeper] {
        client.hear().await.unwrap();
        client.enter("{}", "a").await;
    }
    let data = format!("\"{}\"", "x".repeat(1 << 10));
    for _ in 0..1000 {
        trigger(&server, &["{}"], &data).await;
        assert!(reader.hear().await.unwrap().contains("publish"));
    }
    let status = server.status();
    assert_eq!((status.slow_consumers, status.open_connections), (1, 1));
    assert_eq!((status.messages_queued, status.messages_dropped), (0, 0));
    assert!(status.messages_sent >= 1000 && status.messages_failed > 0, "{status:?}");
    // What was on its way is read, and then the end.
    let mut read = 0;
    while sleeper.hear().await.is_some() {
        read += 1;
    }
    assert!((1..400).contains(&read), "{read}");
}

#[tokio::test]
async fn the_oldest_are_dropped_where_that_is_the_policy() {
    let config = Config::new().max_queue(64 << 10).overflow(Overflow::DropOldest);
    let server = builder(&["{}"]).config(config).build().unwrap();
    let mut sleeper = Raw::connect(&server).await;
    sleeper.hear().await.unwrap();
    sleeper.enter("{}", "a").await;
    let padding = "x".repeat(1 << 10);
    for n in 0..1000 {
        trigger(&server, &["{}"], &format!("[{n},\"{padding}\"]")).await;
    }
    let heard = sleeper.drain().await;
    let dropped = server.status().messages_dropped;
    assert_eq!(heard.len() as u64 + dropped, 1000);
    assert!(dropped > 500 && heard.last().unwrap().contains("[999,"), "{dropped}");
    assert_eq!(server.status().slow_consumers, 0);
}

/// A client that asks and does not read is not read either.
#[tokio::test]
async fn who_asks_and_does_not_read_waits_for_himself() {
    let server = server(high_templar::Compat::Document, &["{}"]);
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    let asking = tokio::time::timeout(Duration::from_millis(500), async {
        loop {
            client.0.send(&Message::text(r#"{"type":"status"}"#)).await.unwrap();
        }
    });
    asking.await.unwrap_err();
    let answered = server.status().messages_received;
    assert!(answered < 5_000, "{answered}");
    assert_eq!(server.status().slow_consumers, 0);
}

#[tokio::test(start_paused = true)]
async fn who_says_nothing_at_all_is_left() {
    let server = server(high_templar::Compat::Document, &[]);
    let mut silent = pipe(&server);
    let began = tokio::time::Instant::now();
    let mut byte = [0];
    assert_eq!(within(tokio::io::AsyncReadExt::read(&mut silent, &mut byte)).await.unwrap(), 0);
    assert_eq!(began.elapsed().as_secs(), 10);
}

#[tokio::test(start_paused = true)]
async fn a_server_that_stops_lets_its_clients_finish() {
    let server = server(high_templar::Compat::Document, &["{}"]);
    let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
    let running = server.clone();
    let run = tokio::spawn(async move {
        let until = async { drop(stopped.await) };
        running.run([high_templar::Listener::new(listener)], until).await;
    });
    let stream = tokio::net::TcpStream::connect(address).await.unwrap();
    let endpoint = format!("ws://{address}/ws/").parse().unwrap();
    let request = ws_core::ClientRequest::new(&endpoint);
    let keys = ws_core::Keys::system();
    let opened = ws_core::connect(stream, request, ws_core::Limits::default(), keys).await;
    let (mut socket, _) = opened.unwrap();
    socket.next().await.unwrap();
    stop.send(()).unwrap();
    // Still usable, and nobody comes in any more.
    socket.send(&Message::text("ping")).await.unwrap();
    let Some(Message::Text(pong)) = socket.next().await.unwrap() else { panic!() };
    assert_eq!(pong.as_str(), "pong");
    assert!(within(socket.next()).await.unwrap().is_none());
    assert_eq!(socket.close_frame().unwrap().code.as_u16(), 1001);
    within(run).await.unwrap();
    tokio::net::TcpStream::connect(address).await.unwrap_err();
}

/// Rooms of one connection have 4 MiB together, whatever their number is.
#[tokio::test]
async fn the_rooms_of_a_connection_have_a_size_together() {
    let server = server(high_templar::Compat::Document, &[r#"{"a":"*"}"#]);
    let mut client = Raw::connect(&server).await;
    client.hear().await.unwrap();
    let subscribe = |n: usize| {
        let value = format!("{n}{}", "x".repeat(60_000));
        format!(r#"{{"type":"subscribe","room":{{"a":"{value}"}},"requestId":{n}}}"#)
    };
    let mut taken = 0;
    while client.ask(&subscribe(taken)).await == r#"{"code": "success"}"# {
        taken += 1;
    }
    assert_eq!(taken, (4 << 20) / 60_010);
    // Again, and in the place of another: both are within.
    assert_eq!(client.ask(&subscribe(0)).await, r#"{"code": "success"}"#);
    client.ask(r#"{"type":"unsubscribe","requestId":0}"#).await;
    assert_eq!(client.ask(&subscribe(taken)).await, r#"{"code": "success"}"#);
}

/// However a connection ends, nothing of it is left.
#[tokio::test]
async fn a_connection_whose_task_is_dropped_is_forgotten() {
    let server = server(high_templar::Compat::Document, &["{}"]);
    let (client, theirs) = tokio::io::duplex(64 << 10);
    let serving = tokio::spawn({
        let server = server.clone();
        async move { server.serve(theirs).await }
    });
    let endpoint = "ws://localhost/ws/".parse().unwrap();
    let request = ws_core::ClientRequest::new(&endpoint);
    let keys = ws_core::Keys::system();
    let (mut socket, _) =
        ws_core::connect(client, request, ws_core::Limits::default(), keys).await.unwrap();
    socket.next().await.unwrap();
    let subscribe = r#"{"type":"subscribe","room":{},"requestId":1}"#;
    socket.send(&Message::text(subscribe)).await.unwrap();
    socket.next().await.unwrap();
    assert_eq!((server.status().open_connections, server.status().num_rooms), (1, 1));
    serving.abort();
    serving.await.unwrap_err();
    assert_eq!((server.status().open_connections, server.status().num_rooms), (0, 0));
    trigger(&server, &["{}"], "1").await;
    assert_eq!(server.status().messages_queued, 0);
}

#[test]
fn options_have_ranges() {
    let day = Duration::from_secs(86_401);
    for (config, option) in [
        (Config::new().close_timeout(Duration::MAX), "close_timeout"),
        (Config::new().grace(day), "grace"),
        (Config::new().idle_timeout(day), "idle_timeout"),
        (Config::new().max_connections(usize::MAX), "max_connections"),
        (Config::new().max_trigger_rooms(0), "max_trigger_rooms"),
        (Config::new().max_queue(1), "max_queue"),
    ] {
        let error = builder(&[]).config(config).build().unwrap_err();
        assert_eq!(error.option, option);
    }
}
