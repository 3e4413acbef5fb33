//! Every public future is dropped after each of its polls. The client must go
//! on as if nothing had been asked, or as if it had been asked in full.

use std::{collections::BTreeMap, time::Duration};

use realtime_sandbox::{
    Engine, RtmConfig, RtmServer, What,
    kit::{dropped_at_each_poll, poll_times},
};
use satori_rtm::{Client, Delivery, Options, RoleSecret, Subscribe, Value};

use crate::support::{PROTOCOLS, config, connect, speak, take, within};

/// A server on each engine, for clients in each encoding.
fn servers() -> impl Iterator<Item = RtmServer> {
    PROTOCOLS.into_iter().flat_map(|protocol| {
        Engine::ALL.into_iter().map(move |engine| {
            speak(protocol);
            RtmServer::new(RtmConfig::default(), engine)
        })
    })
}

/// The client is usable, and no frame on its connection was torn.
async fn assert_whole(client: &Client) {
    within(client.publish("probe", &1)).await.unwrap();
    assert_eq!((client.stats().connects, client.stats().strays), (1, 0));
}

/// The messages of `channel` and how often each was stored.
async fn stored(client: &Client, channel: &str, count: usize) -> BTreeMap<String, usize> {
    let options = Subscribe::new().history_count(1000);
    let mut all = within(client.subscribe(channel, options)).await.unwrap();
    let mut messages = BTreeMap::new();
    for message in take(&mut all, count).await {
        *messages.entry(message).or_default() += 1;
    }
    messages
}

#[tokio::test(start_paused = true)]
async fn x1_a_dropped_publish_is_stored_once_or_not_at_all() {
    for server in servers() {
        let client = connect(&server).await;
        let drops = dropped_at_each_poll(|polls| {
            let client = client.clone();
            async move { poll_times(client.publish("c", &polls), polls).await }
        })
        .await;
        assert!(drops >= 2, "{drops}");
        assert_whole(&client).await;
        let received = server.log().count(|w| *w == What::Received("rtm/publish".into())) - 1;
        let stored = stored(&client, "c", received).await;
        assert!(stored.values().all(|times| *times == 1), "{stored:?}");
        // Dropped before its first poll, nothing was asked; from then on the
        // message is the client's.
        assert_eq!(received, drops);
    }
}

#[tokio::test(start_paused = true)]
async fn x1_other_requests_may_be_dropped_at_any_poll() {
    for server in servers() {
        let client = connect(&server).await;
        let mut drops = 0;
        let body = Value::from([("channel", Value::from("k"))]);
        let held = within(client.subscribe("held", Subscribe::new())).await.unwrap();
        let held = &held;
        for operation in 0..10 {
            drops += dropped_at_each_poll(|polls| {
                let (client, body) = (client.clone(), body.clone());
                let role = RoleSecret::new(server.role(), server.role_secret());
                async move {
                    match operation {
                        0 => poll_times(client.write("k", &polls), polls).await.map(drop),
                        1 => poll_times(client.read::<u64>("k"), polls).await.map(drop),
                        2 => poll_times(client.delete("k"), polls).await.map(drop),
                        3 => {
                            let once = Options::new().at_most_once();
                            poll_times(client.publish_with("k", &polls, once), polls)
                                .await
                                .map(drop)
                        }
                        4 => {
                            poll_times(client.write_unacknowledged("k", &1), polls).await.map(drop)
                        }
                        5 => poll_times(client.delete_unacknowledged("k"), polls).await.map(drop),
                        6 => poll_times(client.action("rtm/read", &body), polls).await.map(drop),
                        7 => {
                            let other = Subscribe::new().history_count(1);
                            poll_times(held.change(other), polls).await.map(drop)
                        }
                        8 => poll_times(client.authenticate(role), polls).await.map(drop),
                        _ => {
                            let unacknowledged = client.publish_unacknowledged("k", &polls);
                            poll_times(unacknowledged, polls).await.map(drop)
                        }
                    }
                }
            })
            .await;
        }
        assert!(drops >= 20, "{drops}");
        assert_whole(&client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn x1_a_dropped_subscribe_is_undone() {
    for server in servers() {
        let client = connect(&server).await;
        let drops = dropped_at_each_poll(|polls| {
            let client = client.clone();
            async move { poll_times(client.subscribe("c", Subscribe::new()), polls).await }
        })
        .await;
        assert!(drops >= 2, "{drops}");
        let mut again = within(client.subscribe("c", Subscribe::new())).await.unwrap();
        assert_whole(&client).await;
        client.publish("c", &1).await.unwrap();
        assert_eq!(take(&mut again, 1).await, ["1"]);
    }
}

#[tokio::test(start_paused = true)]
async fn x1_a_dropped_unsubscribe_unsubscribes() {
    for server in servers() {
        let client = connect(&server).await;
        let drops = dropped_at_each_poll(|polls| {
            let client = client.clone();
            async move {
                let c = within(client.subscribe("c", Subscribe::new())).await.unwrap();
                poll_times(c.unsubscribe(), polls).await
            }
        })
        .await;
        assert!(drops >= 2, "{drops}");
        within(client.subscribe("c", Subscribe::new())).await.unwrap();
        assert_whole(&client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn x1_a_dropped_next_loses_no_delivery() {
    for server in servers() {
        let client = connect(&server).await;
        let mut c = client.subscribe("c", Subscribe::new()).await.unwrap();
        let mut got = Vec::new();
        for n in 0..50 {
            client.publish_unacknowledged("c", &n).await.unwrap();
            for polls in 0..3 {
                match poll_times(c.next(), polls).await {
                    Some(Some(Delivery::Message(message))) => got.push(message.to_string()),
                    Some(other) => panic!("{other:?}"),
                    None => {}
                }
            }
        }
        let rest = take(&mut c, 50 - got.len()).await;
        let expected: Vec<String> = (0..50).map(|n| n.to_string()).collect();
        assert_eq!([got, rest].concat(), expected);
        assert_whole(&client).await;
    }
}

#[tokio::test(start_paused = true)]
async fn x1_a_dropped_connect_gives_the_attempt_up() {
    for server in servers() {
        let drops = dropped_at_each_poll(|polls| {
            let config = config(&server).role(server.role(), server.role_secret());
            async move { poll_times(Client::connect(config), polls).await }
        })
        .await;
        assert!(drops >= 2, "{drops}");
        // Every connection that was begun has ended with its client.
        tokio::time::sleep(Duration::from_secs(1)).await;
        let log = server.log();
        let opened = log.count(|what| *what == What::Opened);
        assert!(log.count(|what| *what == What::Ended) >= opened, "{:?}", log.entries());
    }
}

#[tokio::test(start_paused = true)]
async fn x1_dropped_starts_stops_events_and_closes_leave_a_client_that_obeys() {
    for server in servers() {
        let client = connect(&server).await;
        let mut events = client.events();
        let mut drops = 0;
        drops += dropped_at_each_poll(|polls| {
            let client = client.clone();
            async move { poll_times(client.stop(), polls).await }
        })
        .await;
        drops += dropped_at_each_poll(|polls| {
            let client = client.clone();
            async move { poll_times(client.start(), polls).await }
        })
        .await;
        within(client.start()).await.unwrap();
        within(client.publish("c", &1)).await.unwrap();
        for polls in 0..100 {
            drops += usize::from(poll_times(events.next(), polls % 3).await.is_none());
        }
        drops += dropped_at_each_poll(|polls| {
            let client = client.clone();
            async move { poll_times(client.close(Duration::from_secs(5)), polls).await }
        })
        .await;
        assert!(drops >= 10, "{drops}");
        assert_eq!(client.state(), satori_rtm::State::Closed);
    }
}
