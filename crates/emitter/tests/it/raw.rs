//! What no broker should send.

use emitter::{Event, PublishOptions, State, SubscribeOptions};
use realtime_sandbox::kit::Random;
use rumqttc::{Packet, Publish, QoS};

use crate::{
    scripted::door,
    support::{KEY, LINES, SECRET, Stand, on_each_line, take, within},
};

/// C10: the connection is given up, and the next one is as good as ever.
#[tokio::test(start_paused = true)]
async fn c10_a_broken_packet_ends_the_connection_and_not_the_client() {
    on_each_line(|stand| async move {
        let client = stand.connect().await;
        let mut room = client.subscribe(KEY, "room", SubscribeOptions::new()).await.unwrap();
        let broken: [&[u8]; 12] = [
            b"\x30\xff\xff\xff\xff\x01",
            b"\x00\x00",
            b"\xf0\x00",
            b"\x40\x02\x00\x00",
            b"\x34\x04\x00\x01a\x00",
            b"\x30\x03\x00\x01\xff",
            b"\x30\x03\x00\x01\x00",
            b"\x20\x02\x00\x00",
            b"\x41\x02\x00\x01",
            b"\x90\x03\x00\x01\x07",
            b"\x30\xff\xff\xff\x7f",
            b"\xc0\x00",
        ];
        for (n, bytes) in broken.into_iter().enumerate() {
            let mut events = client.events();
            assert_eq!(stand.broker.send_raw(bytes), 1);
            let Some(Event::Disconnected { cause: Some(cause) }) = within(events.next()).await
            else {
                panic!("{bytes:?}")
            };
            assert_eq!(cause.kind(), emitter::ErrorKind::Protocol, "{bytes:?}: {cause}");
            while client.stats().connects < n as u64 + 2 {
                tokio::time::sleep(std::time::Duration::from_millis(10)).await;
            }
        }
        // A million bytes that nobody waits for are no better.
        client.publish(KEY, "room", "on", PublishOptions::new()).await.unwrap();
        while within(room.next()).await.unwrap().into_message().is_none() {}
    })
    .await;
}

/// C10 and C13: answers to what was never asked, twice, or too late, are counted.
#[tokio::test(start_paused = true)]
async fn c13_answers_that_belong_to_nothing_are_counted() {
    let (config, mut door) = door();
    let (client, mut broker) = door.connect(config).await;
    let strays: [&[u8]; 4] =
        [b"\x40\x02\x03\xe7", b"\x90\x03\x03\xe7\x00", b"\xb0\x02\x03\xe7", b"\x40\x02\x03\xe7"];
    for bytes in strays {
        broker.say_raw(bytes).await;
    }
    // The acknowledgement of a subscription is none of a publish.
    let publishing = client.clone();
    let call =
        tokio::spawn(async move { publishing.publish("K", "a", "x", PublishOptions::new()).await });
    let said = broker.publish().await;
    broker.suback(said.pkid).await;
    broker.say(&Packet::UnsubAck(rumqttc::UnsubAck { pkid: said.pkid })).await;
    broker.ack(said.pkid).await;
    broker.ack(said.pkid).await;
    call.await.unwrap().unwrap();
    // Messages that nobody subscribed to, and one at QoS 1, which is acknowledged.
    broker.deliver("nobody/", "x").await;
    broker.deliver("/", "x").await;
    let mut once = Publish::new("nobody/", QoS::AtLeastOnce, "x");
    once.pkid = 9;
    broker.say(&Packet::Publish(once)).await;
    assert!(matches!(broker.next().await, Some(Packet::PubAck(ack)) if ack.pkid == 9));
    assert_eq!(client.stats().strays, 7);
    assert_eq!(client.state(), State::Connected);
}

/// 2,000 times a few hundred random bytes behind a packet that is whole.
#[tokio::test(start_paused = true)]
async fn random_bytes_neither_hang_nor_panic() {
    let stand = Stand::new(LINES[0]);
    let client = stand.connect().await;
    let mut random = Random::new(0x5eed);
    for _ in 0..2000 {
        let length = random.below(300);
        let bytes: Vec<u8> =
            (0..length).map(|_| u8::try_from(random.below(256)).unwrap()).collect();
        let _count = stand.broker.send_raw(&[b"\xd0\x00", bytes.as_slice()].concat());
        tokio::time::sleep(std::time::Duration::from_secs(11)).await;
    }
    // The last bytes may be the beginning of a packet that never ends.
    let _ended = stand.broker.drop_connections();
    within(client.publish(KEY, "a", "x", PublishOptions::new())).await.unwrap();
}

/// What is unsubscribed is not delivered, whatever is still on its way.
#[tokio::test(start_paused = true)]
async fn holders_of_one_filter_come_and_go_by_themselves() {
    on_each_line(|stand| async move {
        let client = stand.connect().await;
        let other = client.keygen(SECRET, "room", emitter::Permissions::READ, 0).await.unwrap().key;
        let none = || SubscribeOptions::new().last(0);
        let mut one = client.subscribe(KEY, "room", none()).await.unwrap();
        let two = client.subscribe(KEY, "room", none()).await.unwrap();
        // Another key for the same channel: for the broker it is the same subscription.
        let mut three = client.subscribe(&other, "room/", none()).await.unwrap();
        let refused = client.subscribe(&other, "room/x", none()).await.unwrap_err();
        assert_eq!(refused.code(), "unauthorized");
        drop(two);
        client.me().await.unwrap();
        client.publish(KEY, "room", "x", PublishOptions::new()).await.unwrap();
        assert_eq!(
            (take(&mut one, 1).await, take(&mut three, 1).await),
            (vec!["x".into()], vec!["x".into()])
        );
        drop(one);
        client.me().await.unwrap();
        client.publish(KEY, "room", "y", PublishOptions::new()).await.unwrap();
        assert_eq!(take(&mut three, 1).await, ["y"]);
        // The last one takes the broker's subscription along.
        let asking = stand.connect().await;
        assert_eq!(asking.presence_status(KEY, "room").await.unwrap().who.len(), 1);
        drop(three);
        client.me().await.unwrap();
        assert!(asking.presence_status(KEY, "room").await.unwrap().who.is_empty());
    })
    .await;
}
