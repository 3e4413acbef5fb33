//! Where subscriptions start, how they end, and what a slow consumer gets.

use std::time::Duration;

use realtime_sandbox::{Engine, RtmConfig, RtmServer, What};
use satori_rtm::{Delivery, ErrorKind, GapReason, InboxLimits, Overflow, Position, Subscribe};

use crate::support::{connect, on_both_engines, take, within};

#[tokio::test(start_paused = true)]
async fn starts_at_a_position_or_in_the_history() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut positions = Vec::new();
        for n in 0..5 {
            positions.push(client.publish("c", &n).await.unwrap().unwrap());
            tokio::time::sleep(Duration::from_secs(10)).await;
        }
        for (options, expected) in [
            (Subscribe::new().from(positions[3].clone()), vec!["3", "4"]),
            (Subscribe::new().history_count(2), vec!["3", "4"]),
            (
                Subscribe::new().from(positions[2].clone()).history_count(1),
                vec!["1", "2", "3", "4"],
            ),
            (Subscribe::new().history_age(Duration::from_secs(25)), vec!["3", "4"]),
            (Subscribe::new().history_count(99), vec!["0", "1", "2", "3", "4"]),
        ] {
            let mut c = client.subscribe("c", options.clone()).await.unwrap();
            assert_eq!(take(&mut c, expected.len()).await, expected, "{options:?}");
            c.unsubscribe().await.unwrap();
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn goes_on_from_where_a_batch_ended() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut c = client.subscribe("c", Subscribe::new()).await.unwrap();
        client.publish("c", &1).await.unwrap();
        let Some(Delivery::Message(message)) = c.next().await else { panic!("no message") };
        let next = message.next_position().cloned().unwrap();
        drop(c);
        client.publish("c", &2).await.unwrap();
        let mut c = client.subscribe("c", Subscribe::new().from(next)).await.unwrap();
        assert_eq!(take(&mut c, 1).await, ["2"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_bad_starting_point_is_refused_with_the_code_of_the_service() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        for (position, code) in [("nonsense", "invalid_format"), ("1:1", "expired_position")] {
            let options = Subscribe::new().from(Position::from(position));
            let error = client.subscribe("c", options).await.unwrap_err();
            assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, code));
        }
        // The refusal leaves nothing behind.
        client.subscribe("c", Subscribe::new()).await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_channel_has_one_subscription_until_it_is_dropped() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let first = client.subscribe("c", Subscribe::new()).await.unwrap();
        let error = client.subscribe("c", Subscribe::new()).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Misuse, "already_subscribed"));
        for _ in 0..10 {
            drop(client.subscribe("d", Subscribe::new()).await.unwrap());
        }
        drop(first);
        let mut second = client.subscribe("c", Subscribe::new()).await.unwrap();
        client.publish("c", &1).await.unwrap();
        assert_eq!(take(&mut second, 1).await, ["1"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn nothing_is_delivered_after_unsubscribe() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let c = client.subscribe("c", Subscribe::new()).await.unwrap();
        c.unsubscribe().await.unwrap();
        client.publish("c", &1).await.unwrap();
        let sent = server.log().count(|what| *what == What::Sent("rtm/subscription/data".into()));
        assert_eq!(sent, 0);
        assert_eq!(client.stats().strays, 0);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_that_blocks_loses_nothing_and_keeps_its_connection() {
    on_both_engines(|server| async move {
        let (reader, writer) = (connect(&server).await, connect(&server).await);
        let limits = InboxLimits::default().max_messages(10);
        let mut c = reader.subscribe("c", Subscribe::new().inbox(limits)).await.unwrap();
        for n in 0..900 {
            writer.publish("c", &n).await.unwrap();
        }
        // Longer than the heartbeat: who does not read must not think that the
        // other side is silent.
        tokio::time::sleep(Duration::from_secs(120)).await;
        let expected: Vec<String> = (0..900).map(|n| n.to_string()).collect();
        assert_eq!(take(&mut c, 900).await, expected);
        assert_eq!(reader.stats().connects, 1);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_that_drops_is_told_exactly_how_many() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let limits = InboxLimits::default().max_messages(10);
        let options = Subscribe::new().inbox(limits).overflow(Overflow::DropOldest);
        let mut c = client.subscribe("c", options).await.unwrap();
        for n in 0..100 {
            client.publish("c", &n).await.unwrap();
        }
        let Some(Delivery::Gap(gap)) = within(c.next()).await else { panic!("no gap") };
        assert_eq!((gap.reason, gap.missed), (GapReason::Overflow, Some(90)));
        let expected: Vec<String> = (90..100).map(|n| n.to_string()).collect();
        assert_eq!(take(&mut c, 10).await, expected);
        assert_eq!(client.stats().dropped, 90);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_slow_consumer_may_ask_for_an_error_and_others_go_on() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let limits = InboxLimits::default().max_messages(10);
        let options = Subscribe::new().inbox(limits).overflow(Overflow::Error);
        let mut slow = client.subscribe("slow", options).await.unwrap();
        let mut other = client.subscribe("other", Subscribe::new()).await.unwrap();
        for n in 0..20 {
            client.publish("slow", &n).await.unwrap();
        }
        assert_eq!(take(&mut slow, 10).await.len(), 10);
        let Some(Delivery::Ended(error)) = within(slow.next()).await else { panic!("no end") };
        assert_eq!(error.code(), "slow_consumer");
        assert!(slow.next().await.is_none());
        client.publish("other", &1).await.unwrap();
        assert_eq!(take(&mut other, 1).await, ["1"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_the_service_no_longer_keeps_is_a_gap() {
    for engine in Engine::ALL {
        let server = RtmServer::new(RtmConfig::default().history(3), engine);
        let client = connect(&server).await;
        let mut c = client.subscribe("c", Subscribe::new()).await.unwrap();
        client.publish("c", &0).await.unwrap();
        assert_eq!(take(&mut c, 1).await, ["0"]);
        client.stop().await.unwrap();
        let other = connect(&server).await;
        for n in 1..10 {
            other.publish("c", &n).await.unwrap();
        }
        client.start().await.unwrap();
        let Some(Delivery::Gap(gap)) = within(c.next()).await else { panic!("no gap") };
        assert_eq!(gap.reason, GapReason::Expired);
        // What comes after the gap is live again.
        other.publish("c", "live").await.unwrap();
        assert_eq!(take(&mut c, 1).await, ["\"live\""]);
        assert_eq!(client.stats().gaps, 1);
    }
}
