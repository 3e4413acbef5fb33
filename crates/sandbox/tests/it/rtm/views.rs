//! Subscriptions with a filter (docs/protocols/satori-rtm.md, 3.5 and 3.8).

use serde_json::{Value, json};

use super::{Raw, on_both};

async fn publish(raw: &mut Raw, messages: &[Value]) {
    for message in messages {
        let body = json!({"channel": "fleet", "message": message});
        raw.send(&json!({"action": "rtm/publish", "body": body}).to_string()).await;
    }
}

/// Takes `count` messages of a subscription.
async fn take(raw: &mut Raw, id: &str, count: usize) -> Vec<Value> {
    let mut got = Vec::new();
    while got.len() < count {
        let data = raw.receive().await;
        assert_eq!(
            (&data["action"], &data["body"]["subscription_id"]),
            (&json!("rtm/subscription/data"), &json!(id))
        );
        got.extend(data["body"]["messages"].as_array().unwrap().iter().cloned());
    }
    got
}

#[tokio::test(start_paused = true)]
async fn a_view_shows_what_it_selects_and_may_be_replaced() {
    on_both(|mut raw| async move {
        let north = json!({"subscription_id": "v", "filter": "select van from fleet where zone = 'N'"});
        let reply = raw.ask("rtm/subscribe", north.clone()).await;
        assert_eq!((&reply["action"], &reply["body"]["subscription_id"]), (&json!("rtm/subscribe/ok"), &json!("v")));
        let messages = [json!({"van": 1, "zone": "N"}), json!(7), json!({"van": 2, "zone": "S"}), json!({"zone": "N"})];
        publish(&mut raw, &messages).await;
        assert_eq!(take(&mut raw, "v", 2).await, [json!({"van": 1}), json!({"van": null})]);

        assert_eq!(raw.refused("rtm/subscribe", north).await, "already_subscribed");
        let broken = json!({"subscription_id": "v", "filter": "select", "force": true});
        assert_eq!(raw.refused("rtm/subscribe", broken).await, "invalid_filter");
        let south = json!({"subscription_id": "v", "filter": "select * from fleet where zone = 'S'", "force": true});
        assert_eq!(raw.ask("rtm/subscribe", south).await["action"], "rtm/subscribe/ok");
        publish(&mut raw, &messages).await;
        assert_eq!(take(&mut raw, "v", 1).await, [json!({"van": 2, "zone": "S"})]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn several_views_of_one_channel_go_each_their_way() {
    on_both(|mut raw| async move {
        for (id, zone) in [("north", "N"), ("south", "S")] {
            let filter = format!("select * from fleet where zone = '{zone}'");
            raw.ask("rtm/subscribe", json!({"subscription_id": id, "filter": filter})).await;
        }
        raw.ask("rtm/unsubscribe", json!({"subscription_id": "north"})).await;
        publish(&mut raw, &[json!({"zone": "N"}), json!({"zone": "S"})]).await;
        assert_eq!(take(&mut raw, "south", 1).await, [json!({"zone": "S"})]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_view_that_counts_says_so_once_a_period() {
    on_both(|mut raw| async move {
        let filter = "select zone, count(*) as n from fleet group by zone";
        let body = json!({"subscription_id": "v", "filter": filter, "period": 10});
        raw.ask("rtm/subscribe", body).await;
        let start = tokio::time::Instant::now();
        publish(&mut raw, &[json!({"zone": "N"}), json!({"zone": "S"}), json!({"zone": "N"})])
            .await;
        let rows = take(&mut raw, "v", 2).await;
        assert_eq!(rows, [json!({"zone": "N", "n": 2}), json!({"zone": "S", "n": 1})]);
        assert_eq!(start.elapsed().as_secs(), 10);
        // A period without messages has nothing to say.
        tokio::time::sleep(std::time::Duration::from_secs(15)).await;
        publish(&mut raw, &[json!({"zone": "E"})]).await;
        assert_eq!(take(&mut raw, "v", 1).await, [json!({"zone": "E", "n": 1})]);
        assert_eq!(start.elapsed().as_secs(), 30);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn rows_of_many_groups_come_in_batches() {
    on_both(|mut raw| async move {
        let filter = "select n, count(*) as c from fleet group by n";
        let body = json!({"subscription_id": "v", "filter": filter, "period": 10});
        raw.ask("rtm/subscribe", body).await;
        let vans: Vec<_> = (100..350).map(|n| json!({"n": n})).collect();
        publish(&mut raw, &vans).await;
        let rows = take(&mut raw, "v", 250).await;
        let expected: Vec<_> = (100..350).map(|n| json!({"n": n, "c": 1})).collect();
        assert_eq!(rows, expected);
    })
    .await;
}
