//! What holds on any emitter broker, over real sockets. Nothing here knows which it is,
//! but where a broker is ended.

use std::{collections::BTreeSet, io::Write, time::Duration};

use emitter::{
    Address, Backoff, Client, Config, Delivery, HistoryOptions, LinkOptions, OutboxLimits,
    Permissions, PresenceOptions, PublishOptions, SubscribeOptions, Subscription,
};
use realtime_sandbox::{Action, At, Direction, Faults, Proxy, Rule};

use crate::{
    brokers::{ONE, Service, Wanted, What},
    support::{KEY, take, within},
};

fn none() -> SubscribeOptions {
    SubscribeOptions::new().last(0)
}

/// Returns soon, for the tests' sake.
fn hasty() -> Backoff {
    Backoff::default().first(Duration::from_millis(50)).max(Duration::from_millis(200))
}

async fn say(client: &Client, key: &str, channel: &str, text: &str) {
    within(client.publish(key, channel, text, PublishOptions::new())).await.unwrap();
}

#[tokio::test]
async fn messages_go_both_ways_over_everything() {
    for flush_rate in [1000, 60] {
        let service = Service::start(Wanted { flush_rate, ..ONE }).await;
        let tls = Address::new("localhost").port(service.node(0).tls);
        let plain = service.address(0);
        for address in [plain.clone(), plain.websocket(), tls.clone(), tls.websocket()] {
            let config = Config::new(address.clone()).tls_root(service.certificate.clone());
            let window = OutboxLimits::default().window(1000);
            let client = within(Client::connect(config.outbox(window))).await.unwrap();
            let mut room = client.subscribe(&service.key, "room", none()).await.unwrap();
            let calls = (0..300).map(|n| {
                let (client, key) = (client.clone(), service.key.clone());
                tokio::spawn(async move { say(&client, &key, "room", &n.to_string()).await })
            });
            for call in calls.collect::<Vec<_>>() {
                within(call).await.unwrap();
            }
            let expected: Vec<String> = (0..300).map(|n| n.to_string()).collect();
            assert_eq!(take(&mut room, 300).await, expected, "{address} {flush_rate}");
            let stats = client.stats();
            assert_eq!((stats.connects, stats.strays), (1, 0));
        }
    }
}

#[tokio::test]
async fn every_request_is_answered() {
    let service = Service::start(ONE).await;
    let (client, other) = (service.connect(0).await, service.connect(0).await);
    let (key, secret) = (service.key.as_str(), service.secret.as_str());
    // Keys, and their refusals.
    let read = client.keygen(secret, "keys", Permissions::READ, 3600).await.unwrap();
    assert_eq!((read.key.len(), read.channel.as_str()), (32, "keys/"));
    let refused = client.publish(&read.key, "keys", "x", PublishOptions::new()).await;
    assert_eq!(refused.unwrap_err().code(), "unauthorized");
    let refused = client.subscribe(&read.key, "keys/below", none()).await;
    assert_eq!(refused.unwrap_err().code(), "unauthorized");
    let refused = client.keygen(key, "keys", Permissions::READ, 0).await;
    assert_eq!(refused.unwrap_err().code(), "unauthorized");
    let mut held = client.subscribe(&read.key, "keys", none()).await.unwrap();
    assert!(client.keyban(secret, &read.key, true).await.unwrap().banned);
    assert_eq!(
        client.subscribe(&read.key, "keys", none()).await.unwrap_err().code(),
        "unauthorized"
    );
    // A ban is no end of what exists.
    say(&client, key, "keys", "still").await;
    assert_eq!(take(&mut held, 1).await, ["still"]);
    // Private channels.
    let extend = Permissions::READ | Permissions::WRITE | Permissions::EXTEND;
    let parent = client.keygen(secret, "priv", extend, 0).await.unwrap().key;
    let private = client.keygen(&parent, "priv", extend, 0).await.unwrap();
    let me = client.me().await.unwrap();
    assert_eq!(private.channel, format!("priv/{}/", me.id));
    let mut own = client.subscribe(&private.key, &private.channel, none()).await.unwrap();
    say(&other, &private.key, &private.channel, "psst").await;
    assert_eq!(take(&mut own, 1).await, ["psst"]);
    // Links.
    let link = client.link(key, "linked", "a0", LinkOptions::new().ttl(60)).await.unwrap();
    assert_eq!(link.channel, "linked/?ttl=60");
    client.publish_with_link("a0", "via link", PublishOptions::new()).await.unwrap();
    assert_eq!(client.me().await.unwrap().links["a0"], "linked/?ttl=60");
    let stored = SubscribeOptions::new().last(5);
    let mut linked = other.subscribe(key, "linked", stored).await.unwrap();
    assert_eq!(take(&mut linked, 1).await, ["via link"]);
    // Share groups.
    let mut one = client.subscribe_with_group(key, "work", "sg", none()).await.unwrap();
    let mut two = other.subscribe_with_group(key, "work", "sg", none()).await.unwrap();
    for n in 0..20 {
        say(&client, key, "work", &n.to_string()).await;
    }
    for _ in 0..20 {
        tokio::select! {
            one = one.next() => drop(one.unwrap()),
            two = two.next() => drop(two.unwrap()),
        }
    }
    // Who is there.
    let mut watch = client.presence_subscribe(key, "crowd", PresenceOptions::new()).await.unwrap();
    let crowd = other.subscribe(key, "crowd", none()).await.unwrap();
    let id = other.me().await.unwrap().id;
    while watch.members().all(|member| member.id != id) {
        within(watch.next()).await.unwrap().into_message().unwrap();
    }
    let status = client.presence_status(key, "crowd").await.unwrap();
    assert_eq!(status.who.len(), 1);
    drop(crowd);
    while watch.members().count() > 0 {
        within(watch.next()).await.unwrap().into_message().unwrap();
    }
}

#[tokio::test]
async fn history_comes_page_by_page_in_its_order() {
    let service = Service::start(ONE).await;
    let client = service.connect(0).await;
    let key = service.key.as_str();
    for n in 0..230 {
        let options = PublishOptions::new().ttl(600);
        client.publish(key, "hist/a", format!("{n}"), options).await.unwrap();
    }
    let all = client.history(key, "hist", HistoryOptions::new()).unwrap().all().await.unwrap();
    let texts: Vec<&[u8]> = all.iter().map(|message| message.payload.as_ref()).collect();
    let expected: Vec<String> = (0..230).map(|n| n.to_string()).collect();
    assert_eq!(texts, expected.iter().map(|text| text.as_bytes()).collect::<Vec<_>>());
    let ten = HistoryOptions::new().limit(10);
    let mut newest = client.history(key, "hist", ten).unwrap();
    for n in (220..230).rev() {
        let message = newest.next().await.unwrap().unwrap();
        assert_eq!(message.payload.as_ref(), n.to_string().as_bytes());
    }
    assert!(newest.next().await.is_none());
    // Too large for one answer, and fetched all the same.
    for n in 0..6 {
        let options = PublishOptions::new().ttl(600);
        let text = n.to_string().repeat(15_000);
        client.publish(key, "large", text, options).await.unwrap();
    }
    let large = client.history(key, "large", HistoryOptions::new()).unwrap().all().await.unwrap();
    let firsts: Vec<u8> = large.iter().map(|message| message.payload[0]).collect();
    assert_eq!(firsts, b"012345");
}

#[tokio::test]
async fn packets_end_at_65536_bytes() {
    let service = Service::start(ONE).await;
    let client = service.connect(0).await;
    let mut big = client.subscribe(&service.key, "big", none()).await.unwrap();
    let most = 65_536 - 2 - 2 - service.key.len() - "/big/".len();
    say(&client, &service.key, "big", &"x".repeat(most)).await;
    assert_eq!(take(&mut big, 1).await[0].len(), most);
    let over = "x".repeat(most + 1);
    let refused = client.publish(&service.key, "big", over, PublishOptions::new()).await;
    assert_eq!(refused.unwrap_err().code(), "message_too_big");
    assert_eq!(client.stats().connects, 1);
}

#[tokio::test]
async fn a_gap_that_is_filled_loses_nothing() {
    let service = Service::start(ONE).await;
    let publisher = service.connect(0).await;
    let proxy = Proxy::tcp(service.node(0).tcp, Faults::default()).await.unwrap();
    let at = Address::new("127.0.0.1").port(proxy.address().unwrap().port()).insecure();
    let client = within(Client::connect(Config::new(at).backoff(hasty()))).await.unwrap();
    let fill = none().fill_gaps(10_000);
    let mut filled = client.subscribe(&service.key, "filled", fill).await.unwrap();
    let mut told = client.subscribe(&service.key, "filled", none()).await.unwrap();
    let stored = || PublishOptions::new().ttl(600);
    let (mut n, mut gaps) = (0, 0);
    for _ in 0..3 {
        proxy.faults().add(Rule::new(Direction::ToClient, At::Now, Action::Reset));
        let before = client.stats().connects;
        while client.stats().connects == before || n % 20 != 0 {
            let text = n.to_string();
            publisher.publish(&service.key, "filled", text, stored()).await.unwrap();
            n += 1;
        }
        publisher.publish(&service.key, "filled", "after", stored()).await.unwrap();
        // The last one of each round comes live, or is fetched.
        while take(&mut filled, 1).await != ["after"] {}
        loop {
            match within(told.next()).await.unwrap() {
                Delivery::Gap(_) => gaps += 1,
                Delivery::Message(message) if message.as_str().unwrap() == "after" => break,
                Delivery::Message(_) => {}
                other => panic!("{other:?}"),
            }
        }
    }
    // In order and whole, which `take` saw to be without a gap.
    assert_eq!((gaps, client.stats().connects), (3, 4));
    let line = format!(
        "{{\"test\":\"fill_gaps\",\"published\":{n},\"lost\":0,\"gaps\":0,\"cuts\":{}}}",
        proxy.faults().struck()
    );
    let _best_effort = writeln!(std::io::stderr(), "{line}");
}

/// Restarted under load: what is acknowledged was accepted, the order is kept, and what a
/// subscriber misses is behind a gap.
#[tokio::test]
async fn a_restart_under_load_loses_nothing_unsaid() {
    let mut service = Service::start(ONE).await;
    let config = || Config::new(service.address(0)).backoff(hasty());
    let patient = config().request_timeout(Duration::from_secs(60));
    let publisher = within(Client::connect(patient)).await.unwrap();
    let reader = within(Client::connect(config())).await.unwrap();
    // Keys of the sandbox are forgotten with it, but for those it begins with.
    let key = if matches!(service.nodes[0].what, What::Sandbox(..)) { KEY } else { &service.key };
    let key = key.to_owned();
    let mut all = reader.subscribe(&key, "load", none()).await.unwrap();
    let (stop, mut stopped) = tokio::sync::watch::channel(false);
    let publishing = tokio::spawn({
        let (publisher, key) = (publisher.clone(), key.clone());
        async move {
            let mut n = 0_u64;
            while !*stopped.borrow_and_update() {
                say(&publisher, &key, "load", &n.to_string()).await;
                n += 1;
            }
            say(&publisher, &key, "load", "end").await;
            n
        }
    });
    for _ in 0..3 {
        let (reads, writes) = (reader.stats().connects, publisher.stats().connects);
        service.restart(0).await;
        within(async {
            while reader.stats().connects == reads || publisher.stats().connects == writes {
                tokio::task::yield_now().await;
            }
        })
        .await;
        // Something is delivered on the new connection.
        let before = reader.stats().messages_in;
        within(async {
            while reader.stats().messages_in < before + 50 {
                tokio::task::yield_now().await;
            }
        })
        .await;
    }
    stop.send(true).unwrap();
    let published = within(publishing).await.unwrap();
    let (missed, gaps, twice) = account(&mut all, published).await;
    let _best_effort = writeln!(
        std::io::stderr(),
        "{{\"test\":\"restart under load\",\"published\":{published},\
         \"acknowledged\":{published},\"gaps\":{gaps},\"lost\":0,\"sent_again\":{twice},\
         \"missed behind gaps\":{missed}}}"
    );
    assert!(gaps >= 3, "{gaps}");
}

/// Reads to the end: numbers rise, and where some are missing there is a gap. Returns
/// how many are missing, the gaps, and how many came twice.
async fn account(all: &mut Subscription, published: u64) -> (u64, u64, u64) {
    let (mut seen, mut next, mut gap) = (BTreeSet::new(), 0, false);
    let (mut missed, mut gaps, mut twice) = (0, 0, 0);
    loop {
        match within(all.next()).await.unwrap() {
            Delivery::Gap(_) => (gap, gaps) = (true, gaps + 1),
            Delivery::Message(message) => {
                let text = message.as_str().unwrap();
                let n = if text == "end" { published } else { text.parse().unwrap() };
                if !seen.insert(n) {
                    twice += 1;
                    continue;
                }
                assert!(n >= next, "{n} after {next}");
                assert!(n == next || gap, "{n} after {next} without a gap");
                missed += n - next;
                (next, gap) = (n + 1, false);
                if text == "end" {
                    return (missed, gaps, twice);
                }
            }
            other => panic!("{other:?}"),
        }
    }
}

#[tokio::test]
async fn three_nodes_are_one_service() {
    let service = Service::start(Wanted { nodes: 3, ..ONE }).await;
    let key = service.key.as_str();
    let clients = [service.connect(0).await, service.connect(1).await, service.connect(2).await];
    let mut rooms = Vec::new();
    for client in &clients {
        rooms.push(client.subscribe(key, "room", none()).await.unwrap());
    }
    // Subscriptions travel from node to node.
    for (n, client) in clients.iter().enumerate() {
        for (m, room) in rooms.iter_mut().enumerate() {
            let mut tries = 0;
            loop {
                let text = format!("{n} to {m}, {tries}");
                say(client, key, "room", &text).await;
                let got = tokio::time::timeout(Duration::from_millis(500), room.next()).await;
                let Ok(Some(Delivery::Message(message))) = got else {
                    tries += 1;
                    assert!(tries < 40, "node {n} does not reach node {m}");
                    if tries % 4 == 0 {
                        // A node that has just come may have missed who was subscribed.
                        clients[m].unsubscribe(key, "room").await.unwrap();
                        *room = clients[m].subscribe(key, "room", none()).await.unwrap();
                    }
                    continue;
                };
                if message.as_str().unwrap() == text {
                    break;
                }
            }
        }
    }
    // Who comes to one node is told on another.
    let mut watch =
        clients[0].presence_subscribe(key, "crowd", PresenceOptions::new()).await.unwrap();
    let _crowd = clients[2].subscribe(key, "crowd", none()).await.unwrap();
    let id = clients[2].me().await.unwrap().id;
    while watch.members().all(|member| member.id != id) {
        within(watch.next()).await.unwrap().into_message().unwrap();
    }
    // A ban on one node holds on the others.
    let banned = clients[0].keygen(&service.secret, "ban", Permissions::WRITE, 0).await.unwrap();
    say(&clients[1], &banned.key, "ban", "x").await;
    clients[0].keyban(&service.secret, &banned.key, true).await.unwrap();
    within(async {
        let options = PublishOptions::new;
        while clients[1].publish(&banned.key, "ban", "x", options()).await.is_ok() {}
    })
    .await;
    // A client that knows two nodes outlives one of them.
    let config = Config::new(service.address(1)).or(service.address(2)).backoff(hasty());
    let client = within(Client::connect(config)).await.unwrap();
    let mut room = client.subscribe(key, "room", none()).await.unwrap();
    let mut nodes = service.nodes;
    match &nodes[nodes.len().min(2) - 1].what {
        What::Sandbox(broker, _) => assert!(broker.drop_connections() > 0),
        What::Real { .. } => drop(nodes.remove(1)),
    }
    assert!(matches!(within(room.next()).await, Some(Delivery::Gap(_))));
    within(async {
        loop {
            say(&clients[2], key, "room", "alive").await;
            let got = tokio::time::timeout(Duration::from_millis(500), room.next()).await;
            if matches!(got, Ok(Some(Delivery::Message(_)))) {
                return;
            }
        }
    })
    .await;
}
