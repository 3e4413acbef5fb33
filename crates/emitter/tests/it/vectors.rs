//! Every exchange that was recorded from a real broker: the client says its side of it
//! and makes the right thing of the broker's. What it never says is listed with the
//! reason; the broker's answer is put before it all the same.

use std::{collections::BTreeMap, pin::Pin};

use emitter::{
    Client, Delivery, Error, HistoryOptions, LinkOptions, Permissions, Presence, PresenceOptions,
    PublishOptions, SubscribeOptions, Subscription,
};
use rumqttc::{Packet, SubscribeReasonCode};
use serde_json::Value;

use crate::{
    scripted::{Door, Scripted, door},
    support::within,
};

const VECTORS: &str = include_str!("../../../sandbox/tests/it/emitter/vectors.jsonl");

/// What the client never says, and why.
const NEVER: [(&str, &str); 16] = [
    ("publish qos2 is acked with PUBACK", "there is no QoS 2"),
    ("bare question mark", "no options, no question mark"),
    ("missing trailing slash", "it is added"),
    ("wildcard publish", "refused here: channel"),
    ("negative ttl", "a ttl is a number of seconds"),
    ("subscribe bad channel", "the slash is added"),
    ("subscribe mixed list", "one filter a packet, so that errors have an owner"),
    ("unsubscribe with # form fails", "it is #/"),
    ("keygen qos0 has no req", "a request is acknowledged"),
    ("keygen bad channel", "the slash is added"),
    ("keygen malformed json", "it is JSON"),
    ("link bad name", "refused here: link_name"),
    ("link missing slash", "the slash is added"),
    ("request unknown", "requests have names"),
    ("request without slash", "they end in one"),
    ("keygen token echoed in topic", "the same as keygen qos1: a token is always there"),
];

/// What the application holds while the exchanges go on.
#[derive(Default)]
struct Held {
    subscriptions: BTreeMap<String, Subscription>,
    presence: Option<Presence>,
}

struct Side {
    client: Client,
    broker: Scripted,
    held: Held,
    _door: Door,
}

fn fill(text: &str) -> String {
    let text = text.replace("{secret}", "secret").replace("{conn:", "{key:");
    let text = text.replace("{newkey}", &"n".repeat(32)).replace("\"{time}\"", "1735689600");
    let mut text = text.replace("{msgid}", "K8LaBe9I4U1RdWfG");
    while let Some(at) = text.find("{key:") {
        let end = at + text[at..].find('}').unwrap();
        let key = text[at + 5..end].to_owned();
        text.replace_range(at..=end, &key);
    }
    text
}

type Outcome = Pin<Box<dyn Future<Output = String> + Send>>;

fn told<T>(result: Result<T, Error>) -> String {
    result.map_or_else(|error| error.code().to_owned(), |_| "ok".to_owned())
}

/// The call that makes this exchange, as a future that says what came of it.
fn call(client: Client, step: &Value) -> Outcome {
    let name = step["step"].as_str().unwrap().to_owned();
    let text = |field: &str| step[field].as_str().unwrap_or_default().to_owned();
    let (topic, payload) = (fill(&text("topic")), fill(&text("payload")));
    let (key, rest) =
        topic.split_once('/').map(|(k, r)| (k.to_owned(), r.to_owned())).unwrap_or_default();
    let channel = rest.split('?').next().unwrap_or_default().to_owned();
    let qos0 = step["qos"] == 0;
    Box::pin(async move {
        let client = &client;
        let mut options = PublishOptions::new();
        if rest.ends_with("ttl=60") {
            options = options.ttl(60);
        }
        if rest.ends_with("me=0") {
            options = options.without_echo();
        }
        if qos0 {
            options = options.at_most_once();
        }
        let rw = Permissions::READ | Permissions::WRITE;
        match name.as_str() {
            "keygen qos1" => told(client.keygen("secret", "demo", rw, 0).await),
            "keygen with non master key" => told(client.keygen("demo", "demo", rw, 0).await),
            "keygen extend" => {
                let made = client.keygen("ext", "priv", rw, 0).await.unwrap();
                assert_eq!(made.channel, "priv/A/");
                "ok".to_owned()
            }
            "me" => told(client.me().await),
            "me with links" => {
                let me = client.me().await.unwrap();
                assert_eq!(me.links["a0"], "demo/?ttl=5&me=0");
                "ok".to_owned()
            }
            "link create" => {
                let options = LinkOptions::new().ttl(5).without_echo();
                told(client.link("demo", "demo", "a0", options).await)
            }
            "link auto subscribe" => {
                told(client.link("all", "lnk", "b", LinkOptions::new().subscribe()).await)
            }
            "publish to link arrives on full channel" | "unknown link" => {
                told(client.publish_with_link(&topic, payload, options).await)
            }
            "presence ack without status" => {
                told(client.presence("all", "pres/room", false, None).await)
            }
            "presence changes off" => {
                told(client.presence("all", "pres/room", false, Some(false)).await)
            }
            "presence unauthorised" => {
                told(client.presence_status("nopresence", "pres/room").await)
            }
            "history rpc without load" => {
                let options = HistoryOptions::new().limit(2);
                told(client.history("noload", "hist/h", options).unwrap().all().await)
            }
            "history rpc empty" => {
                let options = HistoryOptions::new().limit(2);
                told(client.history("all", "hist/none", options).unwrap().all().await)
            }
            "history rpc" => {
                let options = HistoryOptions::new().limit(2);
                let mut history = client.history("all", "hist/h", options).unwrap();
                let newest = history.next().await.unwrap().unwrap();
                format!("ok {}", String::from_utf8_lossy(&newest.payload))
            }
            "keyban ban" => told(client.keyban("secret", "banme", true).await),
            "keyban with non master" => told(client.keyban("demo", "banme", true).await),
            _ => told(client.publish(&key, &channel, payload, options).await),
        }
    })
}

/// Subscribing and unsubscribing, which leave something in the application's hands.
async fn hold(side: &mut Side, step: &Value) -> String {
    let topic = fill(step["topic"].as_str().unwrap());
    let (key, rest) = topic.split_once('/').unwrap();
    let (channel, query) = rest.split_once('?').unwrap_or((rest, ""));
    let shared = channel.strip_prefix("$share/").and_then(|rest| rest.split_once('/'));
    let (group, channel) = shared.map_or((None, channel), |(g, c)| (Some(g), c));
    let (client, held) = (&side.client, &mut side.held);
    if step["send"] == "unsubscribe" {
        let left = match group {
            Some(group) => client.unsubscribe_from_group(key, channel, group).await,
            None => client.unsubscribe(key, channel).await,
        };
        if let Some(mut ended) = held.subscriptions.remove(rest.split('?').next().unwrap()) {
            while ended.next().await.is_some() {}
        }
        return told(left);
    }
    let last = query.strip_prefix("last=").map(|last| last.parse().unwrap());
    let options = SubscribeOptions::new();
    let options = last.map_or_else(|| options.clone(), |last| options.clone().last(last));
    let begun = match group {
        Some(group) => client.subscribe_with_group(key, channel, group, options).await,
        None => client.subscribe(key, channel, options).await,
    };
    match begun {
        Ok(begun) => {
            held.subscriptions.insert(rest.split('?').next().unwrap().to_owned(), begun);
            "ok".to_owned()
        }
        Err(error) => error.code().to_owned(),
    }
}

/// What the client said: its packet id, and the token of a request.
fn check_said(step: &Value, packet: &Packet) -> (u16, Option<String>) {
    let wanted = fill(step["topic"].as_str().unwrap());
    let name = &step["step"];
    match packet {
        Packet::Publish(publish) => {
            let (topic, token) = match publish.topic.split_once("?req=") {
                Some((topic, token)) => (topic.to_owned(), Some(token.to_owned())),
                None => (publish.topic.clone(), None),
            };
            assert_eq!(topic, wanted.split("?req=").next().unwrap(), "{name}");
            assert_eq!(publish.qos as u64, step["qos"].as_u64().unwrap(), "{name}");
            let wanted = fill(step["payload"].as_str().unwrap());
            let said = String::from_utf8_lossy(&publish.payload).into_owned();
            let json = |text: &str| serde_json::from_str::<Value>(text);
            match (json(&wanted), json(&said)) {
                (Ok(mut wanted), Ok(said)) => {
                    if wanted.get("status").is_some() {
                        // The slash is optional there, and always sent.
                        wanted["channel"] = "pres/room/".into();
                    }
                    assert_eq!(wanted, said, "{name}");
                }
                _ => assert_eq!(wanted, said, "{name}"),
            }
            (publish.pkid, token)
        }
        Packet::Subscribe(subscribe) => {
            assert_eq!(subscribe.filters[0].path, wanted, "{name}");
            (subscribe.pkid, None)
        }
        Packet::Unsubscribe(unsubscribe) => {
            assert_eq!(unsubscribe.topics, [wanted], "{name}");
            (unsubscribe.pkid, None)
        }
        other => panic!("{name}: {other:?}"),
    }
}

/// Says what the broker said, to packet `pkid` and for `token`.
async fn answer(broker: &mut Scripted, packet: &Value, pkid: u16, token: Option<&str>) {
    match packet["type"].as_str().unwrap() {
        "PUBLISH" => {
            let topic = packet["topic"].as_str().unwrap().split('?').next().unwrap();
            let is_answer = token.is_some() && topic.starts_with("emitter/");
            let query = token.filter(|_| is_answer && topic != "emitter/error/");
            let query = query.map(|token| format!("?req={token}")).unwrap_or_default();
            let mut payload = fill(packet["payload"].as_str().unwrap());
            if let Ok(mut json) = serde_json::from_str::<Value>(&payload)
                && json.get("req").is_some()
            {
                json["req"] = pkid.into();
                payload = json.to_string();
            }
            broker.deliver(&format!("{topic}{query}"), &payload).await;
        }
        "PUBACK" => broker.ack(pkid).await,
        "UNSUBACK" => {
            broker.say(&Packet::UnsubAck(rumqttc::UnsubAck { pkid })).await;
        }
        "SUBACK" => {
            let code = SubscribeReasonCode::try_from(
                u8::try_from(packet["codes"][0].as_u64().unwrap()).unwrap(),
            );
            let ack = rumqttc::SubAck::new(pkid, vec![code.unwrap()]);
            broker.say(&Packet::SubAck(ack)).await;
        }
        other => panic!("{other}"),
    }
}

fn expected<'a>(step: &'a Value, conn: &str) -> &'a [Value] {
    step["expect"][conn].as_array().map_or(&[], Vec::as_slice)
}

/// How the exchange must end, by what the broker said.
fn verdict(packets: &[Value], qos0: bool) -> String {
    let status = packets.iter().find_map(|packet| {
        let json: Value = serde_json::from_str(packet["payload"].as_str()?).ok()?;
        json["status"].as_u64().filter(|status| *status >= 400)
    });
    match status {
        // Nobody waits for what is not acknowledged.
        _ if qos0 => "ok".to_owned(),
        Some(400) => "bad_request".to_owned(),
        Some(401) => "unauthorized".to_owned(),
        Some(other) => panic!("{other}"),
        None => "ok".to_owned(),
    }
}

async fn one_step(side: &mut Side, step: &Value, conn: &str) {
    let name = step["step"].as_str().unwrap();
    let packets = expected(step, conn);
    if let Some((_, _reason)) = NEVER.iter().find(|(never, _)| *never == name) {
        // Its answers belong to nothing here, and harm nothing.
        for packet in packets.iter().filter(|packet| packet["type"] == "PUBLISH") {
            answer(&mut side.broker, packet, 60_000, None).await;
        }
        return;
    }
    let client = side.client.clone();
    let outcome = match step["send"].as_str().unwrap() {
        "publish" if name == "presence status+changes" => {
            let asking = tokio::spawn(async move {
                client.presence_subscribe("all", "pres/room", PresenceOptions::new()).await
            });
            let (pkid, token) = check_said(step, &side.broker.next().await.unwrap());
            for packet in packets {
                answer(&mut side.broker, packet, pkid, token.as_deref()).await;
            }
            let mut presence = asking.await.unwrap().unwrap();
            assert!(within(presence.next()).await.is_some());
            side.held.presence = Some(presence);
            return;
        }
        "publish" => {
            let calling = tokio::spawn(call(client, step));
            let (pkid, token) = check_said(step, &side.broker.next().await.unwrap());
            for packet in packets {
                answer(&mut side.broker, packet, pkid, token.as_deref()).await;
            }
            calling.await.unwrap()
        }
        _ => {
            let (to, broker) = tokio::sync::oneshot::channel();
            let (empty, _) = tokio::io::duplex(1);
            let mut own = std::mem::replace(&mut side.broker, Scripted::over(empty));
            let (told, packets) = (step.clone(), packets.to_vec());
            tokio::spawn(async move {
                let (pkid, token) = check_said(&told, &own.next().await.unwrap());
                for packet in &packets {
                    answer(&mut own, packet, pkid, token.as_deref()).await;
                }
                drop(to.send(own));
            });
            let outcome = hold(side, step).await;
            side.broker = broker.await.ok().unwrap();
            outcome
        }
    };
    let wanted = verdict(packets, step["qos"] == 0 && step["send"] == "publish");
    let wanted = if name == "history rpc" { "ok h3".to_owned() } else { wanted };
    assert_eq!(outcome, wanted, "{name}");
}

async fn open(username: Option<&str>) -> Side {
    let (config, mut door) = door();
    let config = match username {
        Some(name) => config.username(name),
        None => config,
    };
    let (client, broker) = door.connect(config).await;
    Side { client, broker, held: Held::default(), _door: door }
}

#[tokio::test(start_paused = true)]
async fn the_client_says_and_understands_every_recorded_exchange() {
    let mut sides = BTreeMap::from([("A", open(Some("alice")).await), ("B", open(None).await)]);
    let (mut steps, mut delivered) = (0, Vec::new());
    for line in VECTORS.lines().skip(1) {
        let step: Value = serde_json::from_str(line).unwrap();
        let conn = step["conn"].as_str().unwrap();
        steps += 1;
        if matches!(step["step"].as_str().unwrap(), "connect" | "ping") {
            continue;
        }
        one_step(sides.get_mut(conn).unwrap(), &step, conn).await;
        for (other, side) in sides.iter_mut().filter(|(other, _)| **other != conn) {
            for packet in expected(&step, other) {
                answer(&mut side.broker, packet, 0, None).await;
            }
        }
        // What was delivered is where it belongs.
        for side in sides.values_mut() {
            for subscription in side.held.subscriptions.values_mut() {
                while let Ok(Some(Delivery::Message(message))) =
                    tokio::time::timeout(std::time::Duration::from_millis(1), subscription.next())
                        .await
                {
                    delivered.push(format!("{} {}", message.channel(), message.as_str().unwrap()));
                }
            }
        }
    }
    assert_eq!(steps, 63);
    assert_eq!(
        delivered,
        [
            "demo/ hello",
            "demo/ hello1",
            "demo/a/b/ deep",
            "demo/ bare",
            "demo/ to share",
            "hist/h/ h2",
            "hist/h/ h3",
            "hist/h/ h3"
        ]
    );
    let mut presence = sides.get_mut("A").unwrap().held.presence.take().unwrap();
    for kind in [emitter::PresenceKind::Subscribe, emitter::PresenceKind::Unsubscribe] {
        let event = within(presence.next()).await.unwrap().into_message().unwrap();
        assert_eq!((event.kind, event.who[0].id.as_str()), (kind, "B"));
        assert_eq!(
            presence.members().count(),
            usize::from(kind == emitter::PresenceKind::Subscribe)
        );
    }
    for side in sides.values() {
        assert_eq!(side.client.state(), emitter::State::Connected);
    }
}

#[tokio::test(start_paused = true)]
async fn connect_says_what_the_original_says() {
    let (config, mut door) = door();
    let client = Client::new(config.username("alice").client_id("")).unwrap();
    let starting = client.clone();
    let started = tokio::spawn(async move { starting.start().await });
    let (mut broker, connect) = door.open().await;
    assert_eq!(connect.login, Some(rumqttc::Login::new("alice", "")));
    assert!(connect.clean_session && connect.last_will.is_none());
    assert_eq!((connect.keep_alive, connect.client_id.as_str()), (30, ""));
    broker.welcome().await;
    started.await.unwrap().unwrap();
    // Silence: a ping, which is answered.
    assert!(matches!(broker.next().await, Some(Packet::PingReq)));
    broker.say(&Packet::PingResp).await;
    assert!(matches!(broker.next().await, Some(Packet::PingReq)));
    let closing =
        tokio::spawn(async move { client.close(std::time::Duration::from_secs(1)).await });
    assert!(matches!(broker.next().await, Some(Packet::Disconnect)));
    assert!(broker.next().await.is_none());
    closing.await.unwrap();
}
