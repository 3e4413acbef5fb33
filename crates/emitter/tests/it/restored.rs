//! What is there again after a reconnect, and what is not; who has a handler's place.

use std::time::Duration;

use emitter::{Delivery, Event, Events, LinkOptions, Message, PublishOptions, SubscribeOptions};
use realtime_sandbox::kit::{dropped_at_each_poll, poll_times};

use crate::{
    broker::subscribed,
    scripted::door,
    support::{KEY, LINES, Stand, within},
};

#[tokio::test(start_paused = true)]
async fn a_broker_that_does_not_answer_what_is_restored_is_left() {
    let (config, mut door) = door();
    let (client, mut a, broker) = subscribed(&mut door, config).await;
    drop(broker);
    let mut silent = door.accept().await;
    silent.subscribe().await;
    // It goes on answering pings, and is left after twice the time of a request.
    let began = tokio::time::Instant::now();
    while silent.next().await.is_some() {
        silent.say_raw(&[0xd0, 0]).await;
    }
    assert_eq!(began.elapsed().as_secs(), 20);
    let mut broker = door.accept().await;
    let (pkid, _) = broker.subscribe().await;
    broker.suback(pkid).await;
    let Some(Delivery::Gap(_)) = within(a.next()).await else { panic!() };
    assert_eq!(client.stats().connects, 3);
}

#[tokio::test(start_paused = true)]
async fn a_new_handler_takes_the_old_ones_place_only_once_somebody_has_it() {
    let stand = Stand::new(LINES[0]);
    let client = stand.connect().await;
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let (none, options) = (None, || SubscribeOptions::new().last(0));
    let old = move |message: Message| heard.send(message.as_binary().clone()).unwrap();
    client.subscribe_with_handler(KEY, "x", none, options(), old).await.unwrap();
    let drops = dropped_at_each_poll(|k| {
        let new = client.subscribe_with_handler(KEY, "x", none, options(), |_| {});
        poll_times(Box::pin(new), k)
    });
    // The last of them is not dropped, and has the place from then on.
    assert!((2..1000).contains(&drops.await));
    let say = || client.publish(KEY, "x", "1", PublishOptions::new());
    within(say()).await.unwrap();
    tokio::time::sleep(Duration::from_secs(1)).await;
    hears.try_recv().unwrap_err();
    // One that is dropped while the broker is asked leaves it where it is.
    let (heard, mut hears) = tokio::sync::mpsc::unbounded_channel();
    let old = move |message: Message| heard.send(message.as_binary().clone()).unwrap();
    client.subscribe_with_handler(KEY, "x", none, options(), old).await.unwrap();
    let new = client.subscribe_with_handler(KEY, "x", none, options(), |_| {});
    poll_times(Box::pin(new), 1).await;
    client.me().await.unwrap();
    within(say()).await.unwrap();
    assert_eq!(within(hears.recv()).await.unwrap(), "1");
}

#[tokio::test(start_paused = true)]
async fn a_link_that_subscribes_tells_its_gap_and_ends_also_without_a_connection() {
    let stand = Stand::new(LINES[0]);
    let client = stand.connect().await;
    let mut events = client.events();
    client.link(KEY, "x", "l", LinkOptions::new().subscribe()).await.unwrap();
    let next_gap = async |events: &mut Events| loop {
        match within(events.next()).await.unwrap() {
            Event::Gap { subscription } => return subscription,
            Event::Closed => panic!(),
            _ => {}
        }
    };
    assert_eq!(stand.broker.drop_connections(), 1);
    assert_eq!(next_gap(&mut events).await, "x/");
    client.stop().await.unwrap();
    client.unsubscribe(KEY, "x").await.unwrap();
    client.start().await.unwrap();
    client.publish(KEY, "x", "1", PublishOptions::new()).await.unwrap();
    client.me().await.unwrap();
    assert_eq!(client.stats().messages_in, 0);
}
