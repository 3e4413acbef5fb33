//! How a client ends, and what it reports.

use std::{sync::Arc, time::Duration};

use realtime_sandbox::{Action, At, Direction, Faults, Proxy, Rule, What};
use satori_rtm::{Client, ErrorKind, OutboxLimits, State, Subscribe};

use crate::support::{config, config_through, connect, on_both_engines, within};

const WAIT: Duration = Duration::from_secs(5);

#[tokio::test(start_paused = true)]
async fn close_waits_for_what_was_accepted() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        for n in 0..500 {
            client.publish_unacknowledged("c", &n).await.unwrap();
        }
        let start = tokio::time::Instant::now();
        let report = within(client.close(WAIT)).await;
        assert!(start.elapsed() < Duration::from_secs(1), "it waits for nothing else");
        assert_eq!((report.written, report.accepted()), (500, 500));
        assert!(report.is_clean());
        let stored = server.log().count(|what| *what == What::Received("rtm/publish".into()));
        assert_eq!(stored, 500);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn x5_close_gives_up_at_its_limit_and_says_what_is_in_doubt() {
    on_both_engines(|server| async move {
        let faults = Faults::default();
        let proxy = Arc::new(Proxy::pipes(faults.clone()));
        let limits = OutboxLimits::default().window(1000);
        let config = config_through(&server, proxy).outbox(limits);
        let client = Client::connect(config).await.unwrap();
        faults.add(Rule::new(Direction::ToClient, At::Frame(0), Action::Stall));
        let publishes: Vec<_> = (0..1000)
            .map(|n| {
                let client = client.clone();
                tokio::spawn(async move { client.publish("c", &n).await })
            })
            .collect();
        tokio::time::sleep(Duration::from_secs(1)).await;
        let start = tokio::time::Instant::now();
        let report = within(client.close(Duration::from_secs(2))).await;
        assert_eq!(start.elapsed().as_secs(), 2);
        assert_eq!((report.unacknowledged, report.unsent, report.accepted()), (1000, 0, 1000));
        for publish in publishes {
            assert_eq!(publish.await.unwrap().unwrap_err().kind(), ErrorKind::Closed);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn x4_close_is_the_same_from_every_state_and_from_many_tasks() {
    on_both_engines(|server| async move {
        let idle = Client::new(config(&server)).unwrap();
        let stopped = connect(&server).await;
        stopped.stop().await.unwrap();
        let connected = connect(&server).await;
        connected.publish("c", &1).await.unwrap();
        for client in [idle, stopped, connected] {
            let all = futures_util::future::join_all((0..8).map(|_| client.close(WAIT)));
            let reports = within(all).await;
            assert!(reports.windows(2).all(|pair| pair[0] == pair[1]), "{reports:?}");
            assert_eq!(client.state(), State::Closed);
            assert_eq!(within(client.close(WAIT)).await, reports[0]);
            assert_eq!(client.publish("c", &1).await.unwrap_err().kind(), ErrorKind::Closed);
            assert_eq!(client.start().await.unwrap_err().kind(), ErrorKind::Closed);
            let subscribed = client.subscribe("c", Subscribe::new()).await;
            assert_eq!(subscribed.unwrap_err().kind(), ErrorKind::Closed);
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn closing_ends_subscriptions_in_peace() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut c = client.subscribe("c", Subscribe::new()).await.unwrap();
        client.close(WAIT).await;
        assert!(within(c.next()).await.is_none());
        c.unsubscribe().await.unwrap();
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn dropping_the_last_handle_ends_everything_at_once() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let clone = client.clone();
        let mut c = client.subscribe("c", Subscribe::new()).await.unwrap();
        drop(client);
        clone.publish("c", &1).await.unwrap();
        assert!(within(c.next()).await.is_some());
        drop(clone);
        assert!(within(c.next()).await.is_none());
        within(async {
            while server.log().count(|what| *what == What::Ended) == 0 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    })
    .await;
}

#[test]
fn x3_drops_in_every_order_and_outside_a_runtime_do_no_harm() {
    for order in 0..6 {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        let (client, subscription) = runtime.block_on(async {
            let server = realtime_sandbox::RtmServer::new(
                realtime_sandbox::RtmConfig::default(),
                realtime_sandbox::Engine::WsCore,
            );
            let client = connect(&server).await;
            let subscription = client.subscribe("c", Subscribe::new()).await.unwrap();
            (client, subscription)
        });
        let (mut client, mut subscription, mut runtime) =
            (Some(client), Some(subscription), Some(runtime));
        for step in [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]][order] {
            match step {
                0 => drop(client.take()),
                1 => drop(subscription.take()),
                _ => drop(runtime.take()),
            }
        }
    }
}
