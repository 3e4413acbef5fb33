//! Publish, write, read and delete.

use std::time::Duration;

use realtime_sandbox::{RtmServer, What};
use satori_rtm::{Client, ErrorKind, Subscribe};
use serde_json::{Value, json};

use crate::support::{config, connect, on_both_engines, take, within};

#[tokio::test(start_paused = true)]
async fn a_published_message_is_acknowledged_with_its_position_and_delivered() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut fleet = client.subscribe("fleet", Subscribe::new()).await.unwrap();
        let position = client.publish("fleet", &json!({"van": 7})).await.unwrap().unwrap();
        assert_eq!(take(&mut fleet, 1).await, [r#"{"van":7}"#]);
        // The position is the message's own: subscribing there repeats it.
        drop(fleet);
        let mut again = client.subscribe("fleet", Subscribe::new().from(position)).await.unwrap();
        assert_eq!(take(&mut again, 1).await, [r#"{"van":7}"#]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn every_json_value_survives_in_order() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut all = client.subscribe("all", Subscribe::new()).await.unwrap();
        let values = [
            json!(null),
            json!(0),
            json!(-7.5),
            json!(u64::MAX),
            json!(true),
            json!(""),
            json!("né ж 水 🦓 \" \\ \u{0} \u{2028}"),
            json!([1, [2, [3]]]),
            json!({"a": {"b": [null, {}]}}),
        ];
        for value in &values {
            client.publish_unacknowledged("all", value).await.unwrap();
        }
        let got = take(&mut all, values.len()).await;
        let got: Vec<Value> = got.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        assert_eq!(got, values);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_value_is_written_read_and_deleted() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        assert_eq!(client.read::<Value>("key").await.unwrap(), Value::Null);
        client.write("key", &json!({"v": 1})).await.unwrap().unwrap();
        client.write("key", "v2").await.unwrap().unwrap();
        assert_eq!(client.read::<String>("key").await.unwrap(), "v2");
        let error = client.read::<u8>("key").await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Misuse, "decode"));
        client.delete("key").await.unwrap().unwrap();
        assert_eq!(client.read::<Option<String>>("key").await.unwrap(), None);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_thousand_publishes_are_pipelined_and_all_acknowledged_in_order() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut many = client.subscribe("many", Subscribe::new()).await.unwrap();
        let all = futures_util::future::join_all((0..1000).map(|n| {
            let client = client.clone();
            async move { client.publish("many", &n).await.unwrap().unwrap() }
        }));
        assert_eq!(within(all).await.len(), 1000);
        let expected: Vec<String> = (0..1000).map(|n| n.to_string()).collect();
        assert_eq!(take(&mut many, 1000).await, expected);
        let stats = client.stats();
        assert_eq!((stats.outbox_len, stats.outbox_bytes, stats.strays), (0, 0, 0));
        assert_eq!(stats.messages_in, 1000);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_is_published_before_the_start_is_sent_after_it() {
    on_both_engines(|server| async move {
        let client = Client::new(config(&server)).unwrap();
        let early = {
            let client = client.clone();
            tokio::spawn(async move { client.publish("early", "bird").await })
        };
        tokio::task::yield_now().await;
        client.start().await.unwrap();
        assert!(within(early).await.unwrap().unwrap().is_some());
        assert_eq!(client.read::<String>("early").await.unwrap(), "bird");
    })
    .await;
}

/// Just connected, with far more in its outbox than the socket takes at once.
async fn with_130_big_messages_to_send(server: &RtmServer) -> Client {
    let client = Client::new(config(server)).unwrap();
    let message = "x".repeat(60_000);
    for _ in 0..130 {
        client.publish_unacknowledged("big", &message).await.unwrap();
    }
    client.start().await.unwrap();
    client
}

fn publishes_received(server: &RtmServer) -> usize {
    server.log().count(|what| *what == What::Received("rtm/publish".into()))
}

#[tokio::test(start_paused = true)]
async fn more_than_the_socket_takes_at_once_goes_out_without_waiting_for_anything_else() {
    on_both_engines(|server| async move {
        let client = with_130_big_messages_to_send(&server).await;
        // Nobody answers these, nobody calls, no timer is due.
        tokio::time::sleep(Duration::from_millis(500)).await;
        assert_eq!(publishes_received(&server), 130);
        let closing = tokio::time::Instant::now();
        let report = client.close(Duration::from_secs(5)).await;
        assert_eq!((report.written, report.is_clean()), (130, true));
        assert!(closing.elapsed() < Duration::from_secs(1));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn closing_ends_when_the_last_request_is_written() {
    on_both_engines(|server| async move {
        let client = with_130_big_messages_to_send(&server).await;
        let closing = tokio::time::Instant::now();
        let report = client.close(Duration::from_secs(5)).await;
        assert_eq!((report.written, report.is_clean()), (130, true));
        assert!(closing.elapsed() < Duration::from_secs(1), "{:?}", closing.elapsed());
        assert_eq!(publishes_received(&server), 130);
    })
    .await;
}
