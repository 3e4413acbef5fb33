//! Gaps that are filled, and what holds on to a filter: handlers, links.

use std::time::Duration;

use emitter::{Client, Delivery, LinkOptions, SubscribeOptions};
use rumqttc::{Packet, SubAck, SubscribeReasonCode, UnsubAck};
use tokio::time::Instant;

use crate::{
    broker::{subscribe, text},
    scripted::{Door, Scripted, door},
    support::within,
};

/// A client whose subscription fills its gaps, after a loss of its connection: with the
/// packet id of what it asks again.
async fn lost_with_a_fill(
    door: &mut Door,
    config: emitter::Config,
) -> (Client, emitter::Subscription, Scripted) {
    let (client, mut broker) = door.connect(config).await;
    let begun = client.clone();
    let begun = tokio::spawn(async move {
        let fill = SubscribeOptions::new().last(0).fill_gaps(3);
        begun.subscribe("K", "a", fill).await.unwrap()
    });
    let (pkid, _) = broker.subscribe().await;
    broker.suback(pkid).await;
    broker.deliver("a/", "before").await;
    let mut a = begun.await.unwrap();
    within(a.next()).await.unwrap().into_message().unwrap();
    (client, a, broker)
}

#[tokio::test(start_paused = true)]
async fn an_attempt_that_fails_does_not_move_the_time_of_the_loss() {
    let (config, mut door) = door();
    let (_client, _a, broker) = lost_with_a_fill(&mut door, config).await;
    drop(broker);
    let mut window = Vec::new();
    // The second time it is the fetch itself that was lost.
    for _ in 0..2 {
        // Minutes of attempts that say something and fail.
        for _ in 0..10 {
            let (mut broker, _) = door.open().await;
            broker.say_raw(b"\x20").await;
            tokio::time::sleep(Duration::from_secs(5)).await;
        }
        let mut broker = door.accept().await;
        let (pkid, _) = broker.subscribe().await;
        broker.suback(pkid).await;
        let said = broker.publish().await;
        let from = text(&said).split("from=").nth(1).unwrap().split('&').next().unwrap();
        window.push(from.parse::<u64>().unwrap());
    }
    assert_eq!(window[0], window[1]);
}

#[tokio::test(start_paused = true)]
async fn a_fetch_that_is_never_answered_ends_with_a_gap() {
    let (config, mut door) = door();
    let config = config.heartbeat(Duration::from_secs(3000), Duration::from_secs(3000));
    let (_client, mut a, broker) = lost_with_a_fill(&mut door, config).await;
    drop(broker);
    let mut broker = door.accept().await;
    let (pkid, _) = broker.subscribe().await;
    broker.suback(pkid).await;
    broker.publish().await;
    let begun = Instant::now();
    broker.deliver("a/", "meanwhile").await;
    assert!(matches!(within(a.next()).await, Some(Delivery::Gap(_))));
    assert_eq!(begun.elapsed().as_secs(), 60);
    let message = within(a.next()).await.unwrap().into_message().unwrap();
    assert_eq!(message.as_str().unwrap(), "meanwhile");
}

#[tokio::test(start_paused = true)]
async fn more_than_is_to_be_filled_is_a_gap_and_what_fits() {
    let (config, mut door) = door();
    let (_client, mut a, broker) = lost_with_a_fill(&mut door, config).await;
    drop(broker);
    let mut broker = door.accept().await;
    let (pkid, _) = broker.subscribe().await;
    broker.suback(pkid).await;
    // More come than may wait.
    for n in 0..5 {
        broker.deliver("a/", &n.to_string()).await;
    }
    assert!(matches!(within(a.next()).await, Some(Delivery::Gap(_))));
    for n in 0..5 {
        let message = within(a.next()).await.unwrap().into_message().unwrap();
        assert_eq!(message.as_str().unwrap(), n.to_string());
    }
}

#[tokio::test(start_paused = true)]
async fn a_handler_that_is_refused_leaves_the_one_before_in_place() {
    let (config, mut door) = door();
    let (client, mut broker) = door.connect(config).await;
    let (to, mut seen) = tokio::sync::mpsc::unbounded_channel();
    for (name, accepted) in [("first", true), ("second", false), ("third", true)] {
        let (to, asking) = (to.clone(), client.clone());
        let handler = move |message: emitter::Message| {
            to.send(format!("{name} {}", message.as_str().unwrap())).unwrap();
        };
        let asked = tokio::spawn(async move {
            let new = SubscribeOptions::new();
            asking.subscribe_with_handler("K", "a", None, new, handler).await
        });
        let (pkid, _) = broker.subscribe().await;
        match accepted {
            true => broker.suback(pkid).await,
            false => {
                let codes = vec![SubscribeReasonCode::Failure];
                broker.say(&Packet::SubAck(SubAck::new(pkid, codes))).await;
            }
        }
        assert_eq!(asked.await.unwrap().is_ok(), accepted);
        broker.deliver("a/", name).await;
    }
    for expected in ["first first", "first second", "third third"] {
        assert_eq!(within(seen.recv()).await.unwrap(), expected);
    }
}

#[tokio::test(start_paused = true)]
async fn what_is_unsubscribed_is_not_linked_again() {
    let (config, mut door) = door();
    let (client, mut broker) = door.connect(config).await;
    let linking = client.clone();
    let linked =
        tokio::spawn(
            async move { linking.link("K", "l", "a0", LinkOptions::new().subscribe()).await },
        );
    let said = broker.publish().await;
    broker.deliver(&said.topic, "{\"status\":200,\"name\":\"a0\",\"channel\":\"l/\"}").await;
    broker.ack(said.pkid).await;
    linked.await.unwrap().unwrap();
    // A subscription that comes and goes leaves the link's own alone.
    let begun = subscribe(&client, "l");
    let (pkid, _) = broker.subscribe().await;
    broker.suback(pkid).await;
    drop(begun.await.unwrap());
    let leaving = client.clone();
    let left = tokio::spawn(async move { leaving.unsubscribe("K", "l").await });
    let Some(Packet::Unsubscribe(said)) = broker.next().await else { panic!() };
    broker.say(&Packet::UnsubAck(UnsubAck { pkid: said.pkid })).await;
    left.await.unwrap().unwrap();
    drop(broker);
    let mut broker = door.accept().await;
    let again = broker.publish().await;
    assert!(text(&again).contains("\"name\":\"a0\",\"subscribe\":false"), "{again:?}");
}
