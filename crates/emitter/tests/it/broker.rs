//! A broker that does as it is told: what is lost between a packet and its answer, in
//! which order everything is said again, and whose error an error is.

use std::time::Duration;

use emitter::{
    Client, Delivery, Error, Event, GapReason, HistoryOptions, LinkOptions, OutboxLimits,
    Permissions, PresenceKind, PresenceOptions, PublishOptions, SubscribeOptions,
};
use rumqttc::{Packet, Publish, SubAck, SubscribeReasonCode, UnsubAck};
use tokio::{task::JoinHandle, time::Instant};

use crate::{
    scripted::{Door, Scripted, door},
    support::within,
};

pub(crate) fn text(publish: &Publish) -> &str {
    std::str::from_utf8(&publish.payload).unwrap()
}

/// Publishes from a task, as an application with several does.
pub(crate) fn publish(client: &Client, text: &'static str) -> JoinHandle<Result<(), Error>> {
    let client = client.clone();
    tokio::spawn(async move { client.publish("K", "a", text, PublishOptions::new()).await })
}

pub(crate) fn subscribe(
    client: &Client,
    channel: &'static str,
) -> JoinHandle<emitter::Subscription> {
    let client = client.clone();
    let last = SubscribeOptions::new().last(3);
    tokio::spawn(async move { client.subscribe("K", channel, last).await.unwrap() })
}

/// A client with a subscription that is accepted.
pub(crate) async fn subscribed(
    door: &mut Door,
    config: emitter::Config,
) -> (Client, emitter::Subscription, Scripted) {
    let (client, mut broker) = door.connect(config).await;
    let begun = subscribe(&client, "a");
    let (pkid, topic) = broker.subscribe().await;
    assert_eq!(topic, "K/a/?last=3");
    broker.suback(pkid).await;
    (client, begun.await.unwrap(), broker)
}

#[tokio::test(start_paused = true)]
async fn a_loss_between_publish_and_puback_repeats_what_is_open_in_its_order() {
    let (config, mut door) = door();
    let (client, mut broker) = door.connect(config).await;
    let calls = ["1", "2", "3"].map(|text| publish(&client, text));
    let mut ids = Vec::new();
    for expected in ["1", "2", "3"] {
        let said = broker.publish().await;
        assert_eq!((text(&said), said.dup), (expected, false));
        ids.push(said.pkid);
    }
    // Acknowledgements may come in any order.
    broker.ack(ids[1]).await;
    let [one, two, three] = calls;
    two.await.unwrap().unwrap();
    let four = publish(&client, "4");
    assert_eq!(text(&broker.publish().await), "4");
    drop(broker);
    // The outbox takes more while nothing is connected.
    let five = publish(&client, "5");
    let mut broker = door.accept().await;
    for (expected, again) in [("1", true), ("3", true), ("4", true), ("5", false)] {
        let said = broker.publish().await;
        assert_eq!((text(&said), said.dup), (expected, again));
        broker.ack(said.pkid).await;
    }
    for call in [one, three, four, five] {
        call.await.unwrap().unwrap();
    }
    let report = client.close(Duration::from_secs(1)).await;
    assert_eq!((report.acknowledged, report.is_clean()), (5, true));
}

#[tokio::test(start_paused = true)]
async fn a_loss_between_subscribe_and_suback_asks_again_as_before() {
    let (config, mut door) = door();
    let (client, mut broker) = door.connect(config).await;
    let begun = subscribe(&client, "a");
    assert_eq!(broker.subscribe().await.1, "K/a/?last=3");
    drop(broker);
    let mut broker = door.accept().await;
    let (pkid, topic) = broker.subscribe().await;
    assert_eq!(topic, "K/a/?last=3");
    broker.deliver("a/", "stored").await;
    broker.suback(pkid).await;
    let mut a = begun.await.unwrap();
    assert!(matches!(within(a.next()).await, Some(Delivery::Message(_))));
}

#[tokio::test(start_paused = true)]
async fn a_loss_during_restoration_restores_again_and_tells_one_gap() {
    let (config, mut door) = door();
    let (client, mut a, broker) = subscribed(&mut door, config).await;
    drop(broker);
    for _ in 0..3 {
        let mut broker = door.accept().await;
        assert_eq!(broker.subscribe().await.1, "K/a/?last=0");
        // Lost before it is accepted.
    }
    let mut broker = door.accept().await;
    let (pkid, _) = broker.subscribe().await;
    broker.suback(pkid).await;
    broker.deliver("a/", "after").await;
    let Some(Delivery::Gap(gap)) = within(a.next()).await else { panic!() };
    assert_eq!((gap.reason, gap.missed), (GapReason::Reconnected, None));
    let message = within(a.next()).await.unwrap().into_message().unwrap();
    assert_eq!(message.as_str().unwrap(), "after");
    assert_eq!(client.stats().connects, 5);
}

#[tokio::test(start_paused = true)]
async fn everything_is_said_again_in_the_order_of_section_11() {
    let (config, mut door) = door();
    let (client, _a, mut broker) = subscribed(&mut door, config).await;
    let watching = client.clone();
    let watch = tokio::spawn(async move {
        watching.presence_subscribe("K", "room", PresenceOptions::new()).await.unwrap()
    });
    let asked = broker.publish().await;
    let answer =
        "{\"status\":200,\"time\":1,\"event\":\"status\",\"channel\":\"room/\",\"who\":[]}";
    broker.deliver(&asked.topic, answer).await;
    broker.ack(asked.pkid).await;
    let mut watch = watch.await.unwrap();
    let linking = client.clone();
    let link = tokio::spawn(async move {
        linking.link("K", "l", "a0", LinkOptions::new().without_echo()).await
    });
    let asked = broker.publish().await;
    let answer = "{\"status\":200,\"name\":\"a0\",\"channel\":\"l/?me=0\"}";
    broker.deliver(&asked.topic, answer).await;
    broker.ack(asked.pkid).await;
    link.await.unwrap().unwrap();
    let open = publish(&client, "open");
    broker.publish().await;
    drop(broker);
    let late = publish(&client, "late");
    let mut broker = door.accept().await;
    // All of it without waiting for any answer.
    let (pkid, topic) = broker.subscribe().await;
    assert_eq!(topic, "K/a/?last=0");
    let presence = broker.publish().await;
    assert!(presence.topic.starts_with("emitter/presence/?req="), "{}", presence.topic);
    assert!(text(&presence).contains("\"status\":true,\"changes\":true"), "{presence:?}");
    let link = broker.publish().await;
    assert!(link.topic.starts_with("emitter/link/?req="), "{}", link.topic);
    assert!(text(&link).contains("\"channel\":\"l/?me=0\",\"name\":\"a0\""), "{link:?}");
    let again = broker.publish().await;
    assert_eq!((text(&again), again.dup), ("open", true));
    let new = broker.publish().await;
    assert_eq!((text(&new), new.dup), ("late", false));
    broker.suback(pkid).await;
    for pkid in [link.pkid, again.pkid, new.pkid] {
        broker.ack(pkid).await;
    }
    open.await.unwrap().unwrap();
    late.await.unwrap().unwrap();
    // Who is there is told anew: the set is right again.
    let who = "[{\"id\":\"X\"}]";
    let answer = format!(
        "{{\"status\":200,\"time\":2,\"event\":\"status\",\"channel\":\"room/\",\"who\":{who}}}"
    );
    broker.deliver(&presence.topic, &answer).await;
    broker.ack(presence.pkid).await;
    for members in [0, 1] {
        let event = within(watch.next()).await.unwrap().into_message().unwrap();
        assert_eq!((event.kind, watch.members().count()), (PresenceKind::Status, members));
    }
}

#[tokio::test(start_paused = true)]
async fn a_subscription_that_is_refused_when_restored_ends_alone() {
    let (config, mut door) = door();
    let (client, mut a, mut broker) = subscribed(&mut door, config).await;
    let begun = subscribe(&client, "b");
    let (pkid, _) = broker.subscribe().await;
    broker.suback(pkid).await;
    let mut b = begun.await.unwrap();
    drop(broker);
    let mut broker = door.accept().await;
    for expected in ["K/a/?last=0", "K/b/?last=0"] {
        let (pkid, topic) = broker.subscribe().await;
        assert_eq!(topic, expected);
        if topic.starts_with("K/a/") {
            let error = format!("{{\"req\":{pkid},\"status\":401,\"message\":\"expired\"}}");
            broker.deliver("emitter/error/", &error).await;
            let codes = vec![SubscribeReasonCode::Failure];
            broker.say(&Packet::SubAck(SubAck::new(pkid, codes))).await;
        } else {
            broker.suback(pkid).await;
        }
    }
    assert!(matches!(within(a.next()).await, Some(Delivery::Gap(_))));
    let Some(Delivery::Ended(error)) = within(a.next()).await else { panic!() };
    assert_eq!(error.code(), "unauthorized");
    assert!(a.next().await.is_none());
    broker.deliver("b/", "on").await;
    assert!(matches!(within(b.next()).await, Some(Delivery::Gap(_))));
    assert!(matches!(within(b.next()).await, Some(Delivery::Message(_))));
    // It is not asked for once more.
    drop(broker);
    let mut broker = door.accept().await;
    assert_eq!(broker.subscribe().await.1, "K/b/?last=0");
}

#[tokio::test(start_paused = true)]
async fn the_waits_between_attempts_grow_to_ten_seconds() {
    let (config, mut door) = door();
    let (client, broker) = door.connect(config).await;
    let mut events = client.events();
    drop(broker);
    let mut waits = Vec::new();
    for _ in 0..8 {
        let begun = Instant::now();
        let (broker, _) = door.open().await;
        waits.push(begun.elapsed());
        // Hung up on before CONNACK.
        drop(broker);
    }
    assert!(waits[0] <= Duration::from_secs(1), "{waits:?}");
    for (n, wait) in waits.iter().enumerate().skip(1) {
        let most = Duration::from_secs_f64(1.6_f64.powi(i32::try_from(n).unwrap()).min(10.0));
        // Timers have a resolution of a millisecond.
        let most = most + Duration::from_millis(2);
        assert!(*wait >= most / 2 - Duration::from_millis(4) && *wait <= most, "{n}: {waits:?}");
    }
    let mut attempts = Vec::new();
    while attempts.len() < 8 {
        if let Some(Event::Waiting { attempt, .. }) = within(events.next()).await {
            attempts.push(attempt);
        }
    }
    assert_eq!(attempts, [1, 2, 3, 4, 5, 6, 7, 8]);
}

#[tokio::test(start_paused = true)]
async fn errors_belong_to_the_packet_they_name() {
    let (config, mut door) = door();
    let (client, mut broker) = door.connect(config).await;
    let calls = ["1", "2"].map(|text| publish(&client, text));
    let (first, second) = (broker.publish().await, broker.publish().await);
    let error = |req: u16| format!("{{\"req\":{req},\"status\":403,\"message\":\"no\"}}");
    broker.deliver("emitter/error/", &error(second.pkid)).await;
    broker.ack(first.pkid).await;
    broker.ack(second.pkid).await;
    let [one, two] = calls;
    one.await.unwrap().unwrap();
    let Err(Error::Refused(refusal)) = two.await.unwrap() else { panic!() };
    assert_eq!((refusal.operation, refusal.status), ("publish", 403));
    // Unsubscribing, too; what belongs to nobody is an event.
    let mut events = client.events();
    let leaving = client.clone();
    let left = tokio::spawn(async move { leaving.unsubscribe("K", "a/#").await });
    let Some(Packet::Unsubscribe(said)) = broker.next().await else { panic!() };
    assert_eq!(said.topics, ["K/a/#/"]);
    broker.deliver("emitter/error/", &error(said.pkid)).await;
    broker.say(&Packet::UnsubAck(UnsubAck { pkid: said.pkid })).await;
    assert_eq!(left.await.unwrap().unwrap_err().code(), "forbidden");
    broker.deliver("emitter/error/", "{\"status\":401,\"message\":\"\\u001b[2Jwho\"}").await;
    let Some(Event::Refused { cause }) = within(events.next()).await else { panic!() };
    // What comes from outside is shown with its escapes.
    assert!(!format!("{cause} {cause:?}").contains('\u{1b}'));
}

#[tokio::test(start_paused = true)]
async fn requests_are_matched_by_token_whatever_the_order() {
    let (config, mut door) = door();
    let (client, mut broker) = door.connect(config).await;
    let ask = |_| {
        let client = client.clone();
        tokio::spawn(async move { client.me().await })
    };
    let calls = [0, 1, 2].map(ask);
    let mut asked = Vec::new();
    for _ in 0..3 {
        asked.push(broker.publish().await);
    }
    for (n, said) in asked.iter().enumerate().rev() {
        let answer = format!("{{\"status\":200,\"id\":\"{n}\"}}");
        broker.deliver(&said.topic, &answer).await;
        // Said twice: the second time it belongs to nothing.
        broker.deliver(&said.topic, &answer).await;
        broker.ack(said.pkid).await;
    }
    for (n, call) in calls.into_iter().enumerate() {
        assert_eq!(call.await.unwrap().unwrap().id, n.to_string());
    }
    client.publish("K", "a", "x", PublishOptions::new().at_most_once()).await.unwrap();
    broker.publish().await;
    assert_eq!(client.stats().strays, 3);
}

#[tokio::test(start_paused = true)]
async fn an_acknowledgement_without_an_answer_ends_a_request_at_once() {
    let (config, mut door) = door();
    let (client, mut broker) = door.connect(config).await;
    let asking = client.clone();
    let asked = tokio::spawn(async move { asking.presence_status("K", "crowd").await });
    let said = broker.publish().await;
    let begun = Instant::now();
    broker.ack(said.pkid).await;
    assert!(matches!(asked.await.unwrap(), Err(Error::AnswerTooLarge)));
    assert!(begun.elapsed() < Duration::from_secs(1));
    // History asks for less instead, until a single message is too much.
    let fetching = client.clone();
    let fetched = tokio::spawn(async move {
        fetching.history("K", "h", HistoryOptions::new()).unwrap().all().await
    });
    for last in [50, 25, 12, 6, 3, 1] {
        let said = broker.publish().await;
        assert_eq!(text(&said), format!("{{\"channel\":\"K/h/?last={last}\"}}"));
        broker.ack(said.pkid).await;
    }
    assert!(matches!(fetched.await.unwrap(), Err(Error::AnswerTooLarge)));
}

#[tokio::test(start_paused = true)]
async fn a_request_is_asked_again_after_a_loss_unless_it_makes_something() {
    let (config, mut door) = door();
    let (client, mut broker) = door.connect(config).await;
    let (asking, making) = (client.clone(), client.clone());
    let asked = tokio::spawn(async move { asking.me().await });
    assert!(broker.publish().await.topic.starts_with("emitter/me/"));
    let made = tokio::spawn(async move { making.keygen("S", "a", Permissions::READ, 0).await });
    assert!(broker.publish().await.topic.starts_with("emitter/keygen/"));
    drop(broker);
    let error = made.await.unwrap().unwrap_err();
    assert_eq!(error.code(), "connection_lost");
    let mut broker = door.accept().await;
    let said = broker.publish().await;
    broker.deliver(&said.topic, "{\"status\":200,\"id\":\"again\"}").await;
    assert_eq!(asked.await.unwrap().unwrap().id, "again");
    // Answered, not acknowledged: it is not asked once more.
    drop(broker);
    let mut broker = door.accept().await;
    let call = publish(&client, "next");
    assert_eq!(text(&broker.publish().await), "next");
    call.abort();
}

#[tokio::test(start_paused = true)]
async fn s7_one_answer_that_never_comes_is_a_timeout_of_its_own() {
    let (config, mut door) = door();
    let (client, mut broker) =
        door.connect(config.heartbeat(Duration::from_secs(60), Duration::from_secs(60))).await;
    let silent = publish(&client, "silent");
    let said = broker.publish().await;
    let begun = Instant::now();
    for _ in 0..3 {
        let call = publish(&client, "other");
        let other = broker.publish().await;
        broker.ack(other.pkid).await;
        call.await.unwrap().unwrap();
    }
    assert!(matches!(silent.await.unwrap(), Err(Error::Timeout)));
    assert_eq!(begun.elapsed().as_secs(), 10);
    // Late is too late, and is nobody else's.
    let next = publish(&client, "next");
    let other = broker.publish().await;
    assert_ne!(other.pkid, said.pkid);
    broker.ack(said.pkid).await;
    broker.ack(other.pkid).await;
    next.await.unwrap().unwrap();
    assert_eq!(client.stats().strays, 1);
    let report = client.close(Duration::from_secs(1)).await;
    assert_eq!((report.acknowledged, report.unacknowledged), (4, 1));
}

#[tokio::test(start_paused = true)]
async fn s6_ten_thousand_acknowledgements_in_any_order_are_matched() {
    let (config, mut door) = door();
    let window = OutboxLimits::default().max_messages(10_000).window(100);
    let (client, mut broker) = door.connect(config.outbox(window)).await;
    let mut waiting = std::collections::VecDeque::new();
    let mut random = 7_u64;
    let mut calls = Vec::new();
    for n in 0..10_000 {
        let client = client.clone();
        calls.push(tokio::spawn(async move {
            client.publish("K", "a", n.to_string(), PublishOptions::new()).await.unwrap();
        }));
    }
    let mut acked = 0;
    while acked < 10_000 {
        while waiting.len() + acked < 10_000 && waiting.len() < 100 {
            waiting.push_back(broker.publish().await.pkid);
        }
        random = random.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        let at = usize::try_from(random >> 33).unwrap() % waiting.len();
        broker.ack(waiting.swap_remove_back(at).unwrap()).await;
        acked += 1;
    }
    for call in calls {
        call.await.unwrap();
    }
    assert_eq!(client.stats().strays, 0);
}

#[tokio::test(start_paused = true)]
async fn q5_a_full_outbox_refuses_and_keeps_what_it_has() {
    let (config, mut door) = door();
    let few = OutboxLimits::default().max_messages(4).max_bytes(100).window(1);
    let (client, mut broker) = door.connect(config.outbox(few)).await;
    let calls = ["1", "2", "3", "4"].map(|text| publish(&client, text));
    let first = broker.publish().await;
    assert!(matches!(publish(&client, "5").await.unwrap(), Err(Error::Full)));
    let once = PublishOptions::new().at_most_once();
    let full = client.publish("K", "a", "5", once.clone()).await.unwrap_err();
    assert_eq!((full.code(), full.is_retryable()), ("outbox_full", true));
    let huge = client.publish("K", "a", "x".repeat(101), once).await.unwrap_err();
    assert_eq!((huge.code(), huge.is_retryable()), ("message_too_big", false));
    broker.ack(first.pkid).await;
    for expected in ["2", "3", "4"] {
        let said = broker.publish().await;
        assert_eq!(text(&said), expected);
        broker.ack(said.pkid).await;
    }
    for call in calls {
        call.await.unwrap().unwrap();
    }
}

#[tokio::test(start_paused = true)]
async fn a_spoofed_control_message_resolves_nothing() {
    let (config, mut door) = door();
    let (client, mut broker) = door.connect(config).await;
    let asking = client.clone();
    let asked = tokio::spawn(async move { asking.me().await });
    let said = broker.publish().await;
    // Somebody's messages on channels that look like the broker's own.
    let lie = "{\"status\":200,\"id\":\"lie\"}";
    for topic in ["emitter/me/", "emitter/me/?req=zzzzzz", "emitter/me/?other=1", "emitters/me/"] {
        broker.deliver(topic, lie).await;
    }
    broker.deliver("emitter/presence/", "not json").await;
    broker.deliver("emitter/error/", "[]").await;
    broker.deliver(&said.topic, "{\"status\":200,\"id\":\"true\"}").await;
    assert_eq!(asked.await.unwrap().unwrap().id, "true");
    assert_eq!(client.state(), emitter::State::Connected);
}

#[tokio::test(start_paused = true)]
async fn an_unreadable_answer_is_an_error_of_its_request_alone() {
    let (config, mut door) = door();
    let (client, mut broker) = door.connect(config).await;
    for answer in
        ["", "{", "[]", "null", "{\"status\":200}", "{\"id\":7}", "\u{feff}{\"id\":\"x\"}"]
    {
        let asking = client.clone();
        let asked = tokio::spawn(async move { asking.me().await });
        let said = broker.publish().await;
        broker.deliver(&said.topic, answer).await;
        broker.ack(said.pkid).await;
        assert_eq!(asked.await.unwrap().unwrap_err().code(), "answer", "{answer:?}");
    }
    // Deeper than anything is read.
    let deep = "[".repeat(10_000);
    let asking = client.clone();
    let asked = tokio::spawn(async move { asking.me().await });
    let said = broker.publish().await;
    broker.deliver(&said.topic, &deep).await;
    assert_eq!(asked.await.unwrap().unwrap_err().code(), "answer");
    assert_eq!(client.state(), emitter::State::Connected);
}

#[tokio::test(start_paused = true)]
async fn a_large_crowd_is_watched_by_its_changes() {
    let (config, mut door) = door();
    let (client, mut broker) = door.connect(config).await;
    let asking = client.clone();
    let watching = tokio::spawn(async move {
        asking.presence_subscribe("K", "crowd", PresenceOptions::new()).await
    });
    let said = broker.publish().await;
    // The list does not fit: only the acknowledgement comes.
    broker.ack(said.pkid).await;
    let said = broker.publish().await;
    assert!(text(&said).contains("\"status\":false,\"changes\":true"), "{said:?}");
    let bare = "{\"status\":200,\"time\":0,\"event\":\"\",\"channel\":\"\",\"who\":null}";
    broker.deliver(&said.topic, bare).await;
    broker.ack(said.pkid).await;
    let mut crowd = watching.await.unwrap().unwrap();
    assert!(matches!(within(crowd.next()).await, Some(Delivery::Gap(_))));
    let change =
        "{\"time\":1,\"event\":\"subscribe\",\"channel\":\"crowd/\",\"who\":{\"id\":\"X\"}}";
    broker.deliver("emitter/presence/", change).await;
    within(crowd.next()).await.unwrap().into_message().unwrap();
    assert_eq!(crowd.members().count(), 1);
    drop(crowd);
    let said = broker.publish().await;
    assert!(text(&said).contains("\"changes\":false"), "{said:?}");
}
