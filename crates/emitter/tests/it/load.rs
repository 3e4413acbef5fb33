//! Many clients, slow lines, stuck consumers, futures that are dropped at random; in
//! paused time.

use std::{
    io::Write,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering::Relaxed},
    },
    task::Poll,
    time::Duration,
};

use emitter::{
    Client, Connector, Delivery, Event, GapReason, InboxLimits, Overflow, PublishOptions,
    SubscribeOptions,
};
use futures_util::future::join_all;
use realtime_sandbox::kit::{Random, slow};
use tokio::{
    io::{AsyncRead, AsyncWrite, DuplexStream, ReadBuf},
    time::Instant,
};

use crate::support::{KEY, LINES, Stand, on_each_line, take, within};

async fn say(client: &Client, channel: &str, text: &str) {
    client.publish(KEY, channel, text, PublishOptions::new()).await.unwrap();
}

/// R8: 100 losses in 10 s; the waits do not begin anew before 30 s of peace.
#[tokio::test(start_paused = true)]
async fn r8_a_flapping_connection_is_left_alone() {
    on_each_line(|stand| async move {
        let client = stand.connect().await;
        let mut events = client.events();
        let begun = Instant::now();
        while begun.elapsed() < Duration::from_secs(60) {
            let _ended = stand.broker.drop_connections();
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        client.close(Duration::ZERO).await;
        let mut attempts = Vec::new();
        while let Some(event) = events.next().await {
            if let Event::Waiting { attempt, .. } = event {
                attempts.push(attempt);
            }
        }
        // Each connection is lost at once: the waits grow all the same.
        assert!(attempts.len() < 20, "{attempts:?}");
        assert!(attempts.windows(2).all(|pair| pair[1] == pair[0] + 1), "{attempts:?}");
    })
    .await;
}

/// R9: a thousand clients lose one broker, and do not come back at once.
#[tokio::test(start_paused = true)]
async fn r9_a_thousand_clients_return_spread_over_the_first_second() {
    const CLIENTS: usize = 1000;
    let stand = Stand::new(LINES[0]);
    let clients = join_all((0..CLIENTS as u64).map(|n| {
        let config = stand.config().seed(n);
        async move { Client::connect(config).await.unwrap() }
    }))
    .await;
    let mut events: Vec<_> = clients.iter().map(Client::events).collect();
    assert_eq!(stand.broker.drop_connections(), CLIENTS);
    let start = Instant::now();
    let back = join_all(events.iter_mut().map(|events| async move {
        while !matches!(within(events.next()).await, Some(Event::Connected)) {}
        start.elapsed()
    }))
    .await;
    let mut bins = [0_usize; 12];
    for after in &back {
        bins[after.as_millis() as usize / 100] += 1;
    }
    let _best_effort = writeln!(
        std::io::stderr(),
        "{{\"test\":\"R9 a thousand clients\",\"back per 100 ms\":{bins:?}}}"
    );
    let peak = bins.iter().max().copied().unwrap_or_default();
    assert!(peak <= CLIENTS * 15 / 100, "{bins:?}");
    assert_eq!(bins[..11].iter().sum::<usize>(), CLIENTS);
}

/// S5: latency up to 2 s, 1 KB/s.
#[tokio::test(start_paused = true)]
async fn s5_a_slow_line_is_no_lost_one() {
    for line in LINES {
        for seed in 0..20 {
            let stand = Stand::new(line);
            let pipes = stand.broker.clone();
            let connector = Connector::new(move |_| {
                let line = slow(pipes.pipe(), seed * 2);
                async { Ok(line) }
            });
            let patient = stand.config().connector(connector);
            let patient = patient.connect_timeout(Duration::from_secs(30));
            let client = Client::connect(patient.request_timeout(Duration::from_secs(60))).await;
            let client = client.unwrap();
            let mut room = client.subscribe(KEY, "room", SubscribeOptions::new()).await.unwrap();
            let publisher = stand.connect().await;
            for n in 0..10 {
                say(&publisher, "room", &n.to_string()).await;
            }
            assert_eq!(take(&mut room, 10).await.len(), 10);
            // Quiet for a while: pings, and their answers, are slow as well.
            tokio::time::sleep(Duration::from_secs(300)).await;
            assert_eq!(client.stats().connects, 1, "seed {seed} on {line:?}");
        }
    }
}

/// A line whose far end can be told to read nothing more.
struct Deaf {
    pipe: DuplexStream,
    deaf: Arc<AtomicBool>,
}

impl AsyncRead for Deaf {
    fn poll_read(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.pipe).poll_read(cx, buf)
    }
}

impl AsyncWrite for Deaf {
    fn poll_write(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
        bytes: &[u8],
    ) -> Poll<std::io::Result<usize>> {
        match self.deaf.load(Relaxed) {
            true => Poll::Pending,
            false => std::pin::Pin::new(&mut self.pipe).poll_write(cx, bytes),
        }
    }

    fn poll_flush(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.pipe).poll_flush(cx)
    }

    fn poll_shutdown(
        mut self: std::pin::Pin<&mut Self>,
        cx: &mut std::task::Context<'_>,
    ) -> Poll<std::io::Result<()>> {
        std::pin::Pin::new(&mut self.pipe).poll_shutdown(cx)
    }
}

/// S4: the broker stops reading: the outbox fills to its bound, the ping decides, and
/// what was accepted arrives on the next connection.
#[tokio::test(start_paused = true)]
async fn s4_a_broker_that_does_not_read_fills_the_outbox_and_no_more() {
    on_each_line(|stand| async move {
        let (deaf, pipes) = (Arc::new(AtomicBool::new(false)), stand.broker.clone());
        let flag = Arc::clone(&deaf);
        let connector = Connector::new(move |_| {
            let line = Deaf { pipe: pipes.pipe(), deaf: Arc::clone(&flag) };
            flag.store(false, Relaxed);
            async { Ok(line) }
        });
        let config = stand.config().connector(connector);
        let client = Client::connect(config.request_timeout(Duration::from_secs(90))).await;
        let client = client.unwrap();
        let reader = stand.connect().await;
        let mut all = reader.subscribe(KEY, "all", SubscribeOptions::new()).await.unwrap();
        deaf.store(true, Relaxed);
        let (mut calls, begun) = (Vec::new(), Instant::now());
        let mut full = 0;
        for n in 0..1100 {
            let publishing = client.clone();
            let call = tokio::spawn(async move {
                let text = n.to_string();
                publishing.publish(KEY, "all", text, PublishOptions::new()).await
            });
            calls.push(call);
        }
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert_eq!(client.stats().outbox_len, 1024);
        for call in calls {
            match within(call).await.unwrap() {
                Ok(()) => {}
                Err(error) => {
                    assert_eq!(error.code(), "outbox_full");
                    full += 1;
                }
            }
        }
        // Found dead by the ping that nobody answered.
        assert!((30..40).contains(&begun.elapsed().as_secs()), "{:?}", begun.elapsed());
        assert_eq!(full, 1100 - 1024);
        assert_eq!(take(&mut all, 1024).await.len(), 1024);
    })
    .await;
}

/// Q1: a consumer sleeps for a minute while a million messages want in.
#[tokio::test(start_paused = true)]
async fn q1_a_sleeping_consumer_stops_the_reading_and_loses_nothing() {
    for (line, messages) in LINES.into_iter().zip([1_000_000, 100_000, 100_000]) {
        let stand = Stand::new(line);
        let client = stand.connect().await;
        let mut room = client.subscribe(KEY, "room", SubscribeOptions::new()).await.unwrap();
        // The broker makes the publisher wait, and does not answer its pings meanwhile.
        let hour = Duration::from_secs(3600);
        let patient = stand.config().request_timeout(hour).heartbeat(hour, hour);
        let publisher = Client::connect(patient).await.unwrap();
        let publishing = tokio::spawn(async move {
            for n in 0..messages {
                let once = PublishOptions::new().at_most_once();
                while publisher.publish(KEY, "room", n.to_string(), once.clone()).await.is_err() {
                    tokio::time::sleep(Duration::from_millis(1)).await;
                }
            }
            publisher.close(Duration::from_secs(600)).await
        });
        tokio::time::sleep(Duration::from_secs(60)).await;
        // A full inbox, one piece of input, and what was in the pipes.
        assert!(client.stats().messages_in < 5000, "{}", client.stats().messages_in);
        for n in 0..messages {
            let message = within(room.next()).await.unwrap().into_message().unwrap();
            assert_eq!(message.as_str().unwrap(), n.to_string());
        }
        assert_eq!(publishing.await.unwrap().unsent, 0);
        assert_eq!(client.stats().connects, 1);
    }
}

/// Q2 and Q3: the other policies.
#[tokio::test(start_paused = true)]
async fn q2_q3_a_slow_consumer_is_told_exactly_or_ended() {
    on_each_line(|stand| async move {
        let client = stand.connect().await;
        let few = InboxLimits::default().max_messages(3);
        let options = |overflow| SubscribeOptions::new().last(0).inbox(few).overflow(overflow);
        let dropping = options(Overflow::DropOldest);
        let mut dropping = client.subscribe(KEY, "room", dropping).await.unwrap();
        let mut ending = client.subscribe(KEY, "room", options(Overflow::Error)).await.unwrap();
        let mut other = client.subscribe(KEY, "room", SubscribeOptions::new()).await.unwrap();
        for n in 0..10 {
            say(&client, "room", &n.to_string()).await;
        }
        let Some(Delivery::Gap(gap)) = dropping.next().await else { panic!() };
        assert_eq!((gap.reason, gap.missed), (GapReason::Overflow, Some(7)));
        assert_eq!(take(&mut dropping, 3).await, ["7", "8", "9"]);
        assert_eq!(take(&mut ending, 3).await, ["0", "1", "2"]);
        let Some(Delivery::Ended(error)) = ending.next().await else { panic!() };
        assert_eq!(error.code(), "slow_consumer");
        assert_eq!(take(&mut other, 10).await.len(), 10);
        // Two of three are left: the broker still knows the channel.
        say(&client, "room", "on").await;
        assert_eq!(take(&mut dropping, 1).await, ["on"]);
    })
    .await;
}

/// Q4: one of a hundred subscriptions is stuck, and asked to be waited for.
#[tokio::test(start_paused = true)]
async fn q4_a_stuck_subscription_stops_the_others_and_loses_nothing() {
    for line in LINES {
        let stand = Stand::new(line);
        let client = stand.connect().await;
        let few = InboxLimits::default().max_messages(2);
        let stuck = SubscribeOptions::new().last(0).inbox(few);
        let mut stuck = client.subscribe(KEY, "room", stuck).await.unwrap();
        let mut others = Vec::new();
        for _ in 0..99 {
            others.push(client.subscribe(KEY, "room", SubscribeOptions::new()).await.unwrap());
        }
        let publisher = stand.connect().await;
        for n in 0..8 {
            say(&publisher, "room", &n.to_string()).await;
        }
        tokio::time::sleep(Duration::from_secs(60)).await;
        assert_eq!(take(&mut stuck, 8).await.len(), 8);
        for other in &mut others {
            assert_eq!(take(other, 8).await.len(), 8);
        }
        assert_eq!(client.stats().connects, 1);
    }
}

/// X2: `next` is dropped 100,000 times, at random polls.
#[tokio::test(start_paused = true)]
async fn x2_a_hundred_thousand_dropped_futures_lose_nothing() {
    const MESSAGES: usize = 5000;
    let stand = Stand::new(LINES[0]);
    let client = stand.connect().await;
    let mut room = client.subscribe(KEY, "room", SubscribeOptions::new()).await.unwrap();
    let publisher = stand.connect().await;
    let publishing = tokio::spawn(async move {
        for n in 0..MESSAGES {
            say(&publisher, "room", &n.to_string()).await;
        }
    });
    let (mut random, mut got, mut dropped) = (Random::new(7), 0, 0);
    while got < MESSAGES || dropped < 100_000 {
        let polls = random.below(4);
        let yields = async {
            for _ in 0..polls {
                tokio::task::yield_now().await;
            }
        };
        tokio::select! {
            biased;
            delivery = room.next() => match delivery {
                Some(Delivery::Message(message)) => {
                    assert_eq!(message.as_str().unwrap(), got.to_string());
                    got += 1;
                }
                other => panic!("{other:?}"),
            },
            () = yields => dropped += 1,
        }
    }
    publishing.await.unwrap();
    assert_eq!((got, client.stats().connects), (MESSAGES, 1));
}
