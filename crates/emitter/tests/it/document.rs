//! Every call and every property of the original's document.

use std::sync::{Arc, Mutex};

use emitter::{Client, LinkOptions, Permissions, PresenceKind, PublishOptions, SubscribeOptions};
use tokio::sync::mpsc;

use crate::support::{KEY, SECRET, Stand, on_each_line, take, within};

/// A handler that passes on what it is called with.
fn passing<T: Send + 'static>() -> (impl Fn(T) + Send + Sync + 'static, mpsc::UnboundedReceiver<T>)
{
    let (to, from) = mpsc::unbounded_channel();
    (move |value| drop(to.send(value)), from)
}

#[tokio::test(start_paused = true)]
async fn connect_and_disconnect_tell_their_handlers() {
    on_each_line(|stand| async move {
        let client = Client::new(stand.config()).unwrap();
        let (connected, mut connects) = passing::<()>();
        let (disconnected, mut disconnects) = passing::<()>();
        client.handlers().on_connect.set(connected);
        client.handlers().on_disconnect.set(disconnected);
        client.start().await.unwrap();
        within(connects.recv()).await.unwrap();
        // Upon (re)connection, as the document has it.
        assert_eq!(stand.broker.drop_connections(), 1);
        within(disconnects.recv()).await.unwrap();
        within(connects.recv()).await.unwrap();
        client.stop().await.unwrap();
        within(disconnects.recv()).await.unwrap();
        assert!(connects.try_recv().is_err());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn the_defaults_are_those_of_the_document() {
    let config = format!("{:?}", emitter::Config::default());
    assert!(config.contains("\"api.emitter.io\"") && config.contains("secure: true"), "{config}");
    assert!(config.contains("keepalive: 30s"), "{config}");
    assert_eq!(emitter::Address::new("api.emitter.io").to_string(), "mqtts://api.emitter.io:443");
}

#[tokio::test(start_paused = true)]
async fn keygen_makes_keys_and_private_channels() {
    on_each_line(|stand| async move {
        let client = stand.connect().await;
        let (made, mut keys) = passing();
        client.handlers().on_keygen.set(made);
        let all: Permissions = "rwslpex".parse().unwrap();
        let key = client.keygen(SECRET, "channel/", all, 0).await.unwrap();
        assert_eq!(key.channel, "channel/");
        assert_eq!(within(keys.recv()).await.unwrap(), key);
        let private = client.keygen(&key.key, "channel", Permissions::READ, 60).await.unwrap();
        let me = client.me().await.unwrap();
        assert_eq!(private.channel, format!("channel/{}/", me.id));
        let refused = client.keygen(KEY, "channel", Permissions::READ, 0).await.unwrap_err();
        assert_eq!(refused.code(), "unauthorized");
        let fraction = client.keygen(SECRET, "channel", all, u32::MAX).await.unwrap_err();
        assert_eq!(fraction.code(), "ttl");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn keyban_bans_and_lifts() {
    on_each_line(|stand| async move {
        let client = stand.connect().await;
        let (banned, mut bans) = passing();
        client.handlers().on_keyban.set(banned);
        let key = client.keygen(SECRET, "ban", Permissions::WRITE, 0).await.unwrap().key;
        assert!(client.keyban(SECRET, &key, true).await.unwrap().banned);
        assert!(within(bans.recv()).await.unwrap().banned);
        let refused = client.publish(&key, "ban", "x", PublishOptions::new()).await.unwrap_err();
        assert_eq!(refused.code(), "unauthorized");
        assert!(!client.keyban(SECRET, &key, false).await.unwrap().banned);
        client.publish(&key, "ban", "x", PublishOptions::new()).await.unwrap();
        assert_eq!(client.keyban(KEY, &key, true).await.unwrap_err().code(), "unauthorized");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn link_me_and_publish_with_link() {
    on_each_line(|stand| async move {
        let client = stand.connect().await;
        let (told, mut mes) = passing();
        client.handlers().on_me.set(told);
        let (message, mut messages) = passing();
        client.handlers().on_message.set(message);
        let week = LinkOptions::new().ttl(604_800).without_echo();
        let link = client.link(KEY, "test", "a0", week).await.unwrap();
        assert_eq!((link.name.as_str(), link.channel.as_str()), ("a0", "test/?ttl=604800&me=0"));
        // Subscribing comes with the link; who has no handler of his own has this one.
        client.link(KEY, "echo", "a1", LinkOptions::new().subscribe()).await.unwrap();
        let me = client.me().await.unwrap();
        assert_eq!(me.id.len(), 26);
        assert_eq!(me.links["a0"], "test/?ttl=604800&me=0");
        assert_eq!(me.links["a1"], "echo/");
        assert_eq!(within(mes.recv()).await.unwrap(), me);
        for options in [PublishOptions::new(), PublishOptions::new().at_most_once()] {
            client.publish_with_link("a1", "via link", options).await.unwrap();
            let message = within(messages.recv()).await.unwrap();
            assert_eq!((message.channel(), message.as_str().unwrap()), ("echo/", "via link"));
        }
        let unknown = client.publish_with_link("zz", "x", PublishOptions::new()).await;
        assert_eq!(unknown.unwrap_err().code(), "bad_request");
        let own = client.publish_with_link("a1", "x", PublishOptions::new().ttl(5)).await;
        assert_eq!(own.unwrap_err().code(), "options");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn publish_with_every_option() {
    on_each_line(|stand| async move {
        let client = stand.connect().await;
        let mut all = client.subscribe(KEY, "chan", SubscribeOptions::new()).await.unwrap();
        let new = PublishOptions::new;
        for (text, options, comes) in [
            ("plain", new(), true),
            ("qos 0", new().at_most_once(), true),
            ("qos 1", new().at_least_once(), true),
            ("retained", new().retain(), true),
            ("stored", new().ttl(604_800), true),
            ("no echo", new().ttl(60).without_echo(), false),
        ] {
            client.publish(KEY, "chan", text, options).await.unwrap();
            if comes {
                assert_eq!(take(&mut all, 1).await, [text]);
            }
        }
        // The broker lists what it stored, the newest last.
        let late = stand.connect().await;
        let three = SubscribeOptions::new().last(3);
        let mut stored = late.subscribe(KEY, "chan", three).await.unwrap();
        let mut got = take(&mut stored, 3).await;
        got.sort_unstable();
        assert_eq!(got, ["no echo", "retained", "stored"]);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn subscribe_with_options_handlers_and_groups() {
    on_each_line(|stand| async move {
        let client = stand.connect().await;
        let publisher = stand.connect().await;
        let say = async |channel: &str, text: &str| {
            publisher.publish(KEY, channel, text, PublishOptions::new().ttl(60)).await.unwrap();
        };
        say("room", "old").await;
        // The handler of the trie, and the default one for what no handler is there for.
        let (handler, mut handled) = passing();
        let last = SubscribeOptions::new().last(5);
        client.subscribe_with_handler(KEY, "room", None, last, handler).await.unwrap();
        let message: emitter::Message = within(handled.recv()).await.unwrap();
        assert_eq!((message.channel(), message.as_str().unwrap()), ("room/", "old"));
        let (default, mut defaults) = passing();
        client.handlers().on_message.set(default);
        say("room/1", "below").await;
        assert_eq!(within(handled.recv()).await.unwrap().channel(), "room/1/");
        // One handler a channel: the newest.
        let (handler, mut newer) = passing::<emitter::Message>();
        let none = SubscribeOptions::new().last(0);
        client.subscribe_with_handler(KEY, "room", None, none, handler).await.unwrap();
        say("room", "new").await;
        assert_eq!(within(newer.recv()).await.unwrap().as_str().unwrap(), "new");
        assert!(handled.recv().await.is_none());
        // A group of its own: the message comes to one of its members.
        let other = stand.connect().await;
        let new = SubscribeOptions::new;
        let mut one = client.subscribe_with_group(KEY, "work", "sg", new()).await.unwrap();
        let mut two = other.subscribe_with_group(KEY, "work", "sg", new()).await.unwrap();
        for n in 0..20 {
            say("work", &n.to_string()).await;
        }
        let mut got = 0;
        while got < 20 {
            tokio::select! {
                _ = one.next() => got += 1,
                _ = two.next() => got += 1,
            }
        }
        crate::support::nothing_comes(&mut one).await;
        client.unsubscribe_from_group(KEY, "work", "sg").await.unwrap();
        assert!(one.next().await.is_none());
        say("work", "to who is left").await;
        assert_eq!(take(&mut two, 1).await, ["to who is left"]);
        // Unsubscribing takes the handler out of the trie.
        client.unsubscribe(KEY, "room").await.unwrap();
        say("room", "gone").await;
        assert!(newer.recv().await.is_none());
        assert!(defaults.try_recv().is_err());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn presence_tells_status_and_changes() {
    on_each_line(|stand| async move {
        let client = stand.connect().await;
        let (handler, mut told) = passing();
        client.handlers().on_presence.set(handler);
        let guest = Client::connect(stand.config().username("User1")).await.unwrap();
        let id = guest.me().await.unwrap().id;
        let mut room = guest.subscribe(KEY, "room", SubscribeOptions::new()).await.unwrap();
        // (key, channel, status, changes), as in the document.
        let status = client.presence(KEY, "room", true, Some(true)).await.unwrap().unwrap();
        assert_eq!((status.kind, status.channel.as_str()), (PresenceKind::Status, "room/"));
        assert_eq!(status.who[0].id, id);
        assert_eq!(status.who[0].username.as_deref(), Some("User1"));
        assert!(status.time > 1_500_000_000);
        assert_eq!(within(told.recv()).await.unwrap(), status);
        guest.unsubscribe(KEY, "room").await.unwrap();
        assert!(room.next().await.is_none());
        let gone: emitter::PresenceEvent = within(told.recv()).await.unwrap();
        assert_eq!((gone.kind, gone.who[0].id.as_str()), (PresenceKind::Unsubscribe, id.as_str()));
        // Not telling changes is the document's default, and ends them.
        assert_eq!(client.presence(KEY, "room", false, Some(false)).await.unwrap(), None);
        drop(guest.subscribe(KEY, "room", SubscribeOptions::new()).await.unwrap());
        client.me().await.unwrap();
        assert!(told.try_recv().is_err());
        // The optional handler, in its trie.
        let (own, mut events) = passing::<emitter::PresenceEvent>();
        client.presence_with_handler(KEY, "room", true, own).await.unwrap();
        assert_eq!(within(events.recv()).await.unwrap().kind, PresenceKind::Status);
        let room = guest.subscribe(KEY, "room/1", SubscribeOptions::new()).await.unwrap();
        let came = within(events.recv()).await.unwrap();
        assert_eq!((came.kind, came.channel.as_str()), (PresenceKind::Subscribe, "room/1/"));
        drop(room);
        assert_eq!(within(events.recv()).await.unwrap().kind, PresenceKind::Unsubscribe);
        client.presence_unsubscribe(KEY, "room").await.unwrap();
        assert!(events.recv().await.is_none() && told.try_recv().is_err());
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn errors_have_status_and_message() {
    on_each_line(|stand| async move {
        let client = stand.connect().await;
        let (handler, mut errors) = passing();
        client.handlers().on_error.set(handler);
        let publish = client.publish("wrong", "room", "x", PublishOptions::new()).await;
        let emitter::Error::Refused(refusal) = publish.unwrap_err() else { panic!() };
        assert_eq!((refusal.operation, refusal.status), ("publish", 401));
        assert!(!refusal.message.is_empty());
        assert_eq!(within(errors.recv()).await.unwrap(), refusal);
        // At QoS 0 nobody waits, and the broker does not say what it speaks of.
        let once = PublishOptions::new().at_most_once();
        client.publish("wrong", "room", "x", once).await.unwrap();
        let refusal = within(errors.recv()).await.unwrap();
        assert_eq!((refusal.operation, refusal.status), ("", 401));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn handlers_can_be_read_and_replaced() {
    let stand = Stand::new(crate::support::LINES[0]);
    let client = stand.connect().await;
    let handlers = client.handlers();
    assert!(handlers.on_message.get().is_none());
    let calls = Arc::new(Mutex::new(Vec::new()));
    let noted = Arc::clone(&calls);
    handlers.on_connect.set(move |()| noted.lock().unwrap().push("first"));
    handlers.on_connect.get().unwrap()(());
    let noted = Arc::clone(&calls);
    handlers.on_connect.set(move |()| noted.lock().unwrap().push("second"));
    handlers.on_connect.get().unwrap()(());
    handlers.on_connect.clear();
    assert!(handlers.on_connect.get().is_none());
    assert_eq!(*calls.lock().unwrap(), ["first", "second"]);
}

#[tokio::test(start_paused = true)]
async fn a_message_is_text_an_object_or_bytes() {
    #[derive(Debug, PartialEq, serde::Deserialize, serde::Serialize)]
    struct Tide {
        level: f64,
    }
    let stand = Stand::new(crate::support::LINES[0]);
    let client = stand.connect().await;
    let mut all = client.subscribe(KEY, "chan", SubscribeOptions::new()).await.unwrap();
    let json = emitter::Payload::json(&Tide { level: 1.75 }).unwrap();
    client.publish(KEY, "chan", json, PublishOptions::new()).await.unwrap();
    client.publish(KEY, "chan", &b"\xff\x00"[..], PublishOptions::new()).await.unwrap();
    let message = all.next().await.unwrap().into_message().unwrap();
    assert_eq!(message.as_object::<Tide>().unwrap(), Tide { level: 1.75 });
    assert_eq!(message.as_str().unwrap(), "{\"level\":1.75}");
    let bytes = all.next().await.unwrap().into_message().unwrap();
    assert_eq!(bytes.as_binary().as_ref(), b"\xff\x00");
    assert_eq!(bytes.as_str().unwrap_err().code(), "decode");
    assert_eq!(bytes.as_object::<Tide>().unwrap_err().code(), "decode");
}
