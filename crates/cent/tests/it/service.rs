//! The suite for any Centrifugo: the sandbox as each version in turn, or the server
//! that the environment names.
//!
//! | variable | meaning |
//! |---|---|
//! | `CENT_URL` | its address, e.g. `http://127.0.0.1:8000`; without it, the sandbox |
//! | `CENT_VERSION` | its version, e.g. `6.1.0` |
//! | `CENT_KEY` | its API key; v1 and v0: its secret |
//! | `CENT_PROJECT` | v0: the project's key |
//! | `CENT_TOKEN_SECRET` | the secret of its clients' tokens |
//!
//! It has `public` and `bare` beside channels without a namespace, of which only
//! `bare` keeps nothing, and lets clients subscribe.

use std::{
    collections::BTreeMap,
    sync::atomic::{AtomicU32, Ordering},
    time::Duration,
};

use cent::{
    Algorithm, Broadcast, Broadcasted, Claims, Client, Config, Disconnect, Error, Failure, History,
    HistoryRemove, Order, Position, Presence, PresenceStats, Publish, Subscribe, Unsubscribe,
};
use realtime_sandbox::{CentrifugoConfig, CentrifugoServer};

use crate::sandbox::{Subscriber, start};

/// A server to call.
struct Service {
    version: (u8, u8, u8),
    url: String,
    key: String,
    project: String,
    token_secret: String,
    /// Kept alive with the test.
    _server: Option<CentrifugoServer>,
}

/// Runs a test on every service there is.
fn on_each(test: impl Fn(&Service)) {
    for service in services() {
        eprintln!("on {} as {:?}", service.url, service.version);
        test(&service);
    }
}

fn services() -> Vec<Service> {
    if let Ok(url) = std::env::var("CENT_URL") {
        let var = |name: &str| std::env::var(name).unwrap_or_else(|_| panic!("{name} is not set"));
        let version: Vec<u8> =
            var("CENT_VERSION").split('.').map(|part| part.parse().unwrap()).collect();
        let version = (version[0], version[1], version[2]);
        let (key, token_secret) = (var("CENT_KEY"), var("CENT_TOKEN_SECRET"));
        let project = if version.0 == 0 { var("CENT_PROJECT") } else { String::new() };
        return vec![Service { version, url, key, project, token_secret, _server: None }];
    }
    let versions = [(0, 8, 4), (1, 8, 0), (2, 4, 0), (3, 2, 3), (4, 1, 5), (5, 4, 9), (6, 1, 0)];
    let service = |version: (u8, u8, u8)| {
        let server = start(CentrifugoConfig::default().version(version.0, version.1));
        let key = if version.0 <= 1 { server.secret() } else { server.api_key() }.to_owned();
        let (url, token_secret) = (server.url(), server.secret().to_owned());
        let project = server.project().to_owned();
        Service { version, url, key, project, token_secret, _server: Some(server) }
    };
    versions.map(service).into()
}

impl Service {
    fn config(&self) -> Config {
        let (url, key) = (self.url.as_str(), self.key.as_str());
        let config = match self.version.0 {
            0 => Config::v0(url, &self.project, key),
            1 => Config::v1(url, key),
            2 => Config::v2(url, key),
            3 => Config::v3(url, key),
            4 => Config::v4(url, key),
            5 => Config::v5(url, key),
            _ => Config::v6(url, key),
        };
        config.release(self.version.1, self.version.2).timeout(Duration::from_secs(10))
    }

    fn client(&self) -> Client {
        Client::new(self.config()).unwrap()
    }

    const fn is(&self, from: u8) -> bool {
        self.version.0 >= from
    }

    /// A client of `user`. The sandbox speaks today's protocol whatever its
    /// version; a real v1 or v2 does not.
    fn subscriber(&self, user: &str) -> Option<Subscriber> {
        let base = self.url.replacen("http", "ws", 1);
        if self._server.is_none() && !self.is(3) {
            eprintln!("  its clients speak an older protocol: nobody listens");
            return None;
        }
        let query = if self.is(4) { "" } else { "?cf_protocol_version=v2" };
        let claims = Claims::connection(user).info(&serde_json::json!({"n": "Bob"}));
        let token = claims.sign(&self.token_secret, Algorithm::Hs256).unwrap();
        Some(Subscriber::connect(&format!("{base}/connection/websocket{query}"), &token))
    }
}

/// A channel, or a user, of this run alone.
fn fresh(name: &str) -> String {
    static COUNT: AtomicU32 = AtomicU32::new(0);
    let now = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap();
    let count = COUNT.fetch_add(1, Ordering::Relaxed);
    format!("{name}-{:x}-{count}", now.as_micros())
}

#[test]
fn a_publication_is_seen_by_its_subscribers() {
    on_each(|service| {
        let (client, channel) = (service.client(), fresh("news"));
        let Some(mut subscriber) = service.subscriber("42") else { return };
        subscriber.subscribe(&channel);
        let data = serde_json::json!({"title": "café €", "n": [1.0, 2]});
        let published = client.publish(&channel, &data).unwrap();
        let push = subscriber.push();
        assert_eq!(push["channel"], channel);
        assert_eq!(push["pub"]["data"], data);
        if service.is(3) {
            assert_eq!(published.offset, push["pub"]["offset"].as_u64());
        }
        let both = client.broadcast(&[&channel, &fresh("other")], &"to both");
        if !service.is(1) {
            assert!(matches!(both, Err(Error::Unsupported(_))));
            return;
        }
        both.unwrap();
        assert_eq!(subscriber.push()["pub"]["data"], "to both");
    });
}

#[test]
fn a_history_is_read_in_one_order_on_every_version() {
    on_each(|service| {
        let (client, channel) = (service.client(), fresh("history"));
        for n in 1..=4 {
            client.publish(&channel, &n).unwrap();
        }
        let kept = client.history(&channel).unwrap();
        let texts = |kept: &cent::HistoryResult| -> Vec<String> {
            let data = |p: &cent::Publication| p.data.as_ref().unwrap().get().to_owned();
            kept.publications.iter().map(data).collect()
        };
        assert_eq!(texts(&kept), ["1", "2", "3", "4"]);
        let part = History::new(&channel).limit(2).order(Order::NewestFirst);
        if !service.is(3) {
            assert!(matches!(client.call(part), Err(Error::Unsupported(_))));
        } else {
            assert_eq!(texts(&client.call(part).unwrap()), ["4", "3"]);
            let epoch = kept.epoch.clone().unwrap();
            let since = History::new(&channel).since(Position::new(2, &epoch));
            let rest = client.call(since).unwrap();
            assert_eq!((texts(&rest), rest.offset), (vec!["3".into(), "4".into()], Some(4)));
            let gone = History::new(&channel).since(Position::new(2, "zzzz"));
            let Err(Error::Response(error)) = client.call(gone) else { panic!("no error") };
            assert_eq!(error.code, 112);
        }
        if service.is(2) {
            client.call(HistoryRemove::new(&channel)).unwrap();
            assert_eq!(texts(&client.history(&channel).unwrap()), Vec::<String>::new());
        }
    });
}

#[test]
fn who_is_there_is_known_and_can_be_sent_away() {
    on_each(|service| {
        let (client, channel, user) = (service.client(), fresh("room"), fresh("user"));
        let Some(mut subscriber) = service.subscriber(&user) else { return };
        subscriber.subscribe(&channel);
        let present = client.presence(&channel).unwrap();
        let (id, info) = present.first_key_value().unwrap();
        assert_eq!((&info.client, &info.user), (id, &user));
        assert_eq!(info.conn_info.as_ref().unwrap().get(), r#"{"n":"Bob"}"#);
        if service.is(2) {
            let stats = client.call(PresenceStats::new(&channel)).unwrap();
            assert_eq!((stats.num_clients, stats.num_users), (1, 1));
        }
        // The Python server has no such list; Centrifugo 0.3 has.
        let channels = client.channels().unwrap();
        let found = channels.get(&channel).unwrap();
        assert_eq!(found.num_clients, service.is(3).then_some(1));
        let unsubscribe = Unsubscribe::new(user.as_str(), &channel);
        client.call(unsubscribe).unwrap();
        assert_eq!(subscriber.push()["unsubscribe"]["code"], 2000);
        assert!(client.presence(&channel).unwrap().is_empty());
        if service.is(3) {
            let subscribe = Subscribe::new(user.as_str(), &channel).info(&7).data(&"welcome");
            client.call(subscribe).unwrap();
            assert_eq!(subscriber.push()["subscribe"]["data"], "welcome");
            let present = client.call(Presence::new(&channel)).unwrap();
            let info = present.values().next().unwrap();
            assert_eq!(info.chan_info.as_ref().unwrap().get(), "7");
            let disconnect = Disconnect::new(user.as_str()).reason(4321, "go");
            client.call(disconnect).unwrap();
            assert_eq!(subscriber.closed(), (4321, "go".to_owned()));
        } else {
            client.disconnect(user.as_str()).unwrap();
            subscriber.closed();
        }
    });
}

#[test]
fn what_the_server_refuses_has_a_code() {
    on_each(|service| {
        let client = service.client();
        let code = |error: Error| match error {
            Error::Response(error) => error.code,
            other => panic!("{other:?}"),
        };
        assert_eq!(code(client.publish("nope:x", &1).unwrap_err()), 102);
        if !service.is(1) {
            return;
        }
        assert_eq!(code(client.history("bare:x").unwrap_err()), 108);
        assert_eq!(code(client.presence("bare:x").unwrap_err()), 108);
        let outcomes = client.broadcast(&["nope:x", &fresh("b"), "bare:x"], &1).unwrap();
        let kinds: Vec<u8> = outcomes
            .iter()
            .map(|outcome| match outcome {
                Broadcasted::Published(_) => 1,
                Broadcasted::Refused(_) => 2,
                _ => 3,
            })
            .collect();
        assert_eq!(kinds, if service.is(3) { [2, 1, 1] } else { [3, 3, 3] });
    });
}

#[test]
fn a_batch_answers_each_of_its_commands() {
    on_each(|service| {
        let (client, channel) = (service.client(), fresh("batch"));
        let mut batch = client.batch();
        let first = batch.add(Publish::new(&channel, "one")).unwrap();
        let bad = batch.add(Publish::new("nope:x", "two")).unwrap();
        let kept = batch.add(History::new(&channel)).unwrap();
        let replies = batch.send().unwrap();
        replies.take(first).unwrap();
        assert_eq!(replies.take(bad).unwrap_err().code(), "102");
        assert_eq!(replies.take(kept).unwrap().publications.len(), 1);
        // The buffer of the original, on every version.
        client.add("publish", &serde_json::json!({"channel": channel, "data": 1})).unwrap();
        client.add("publish", &serde_json::json!({"channel": "nope:x", "data": 1})).unwrap();
        let items = client.send().unwrap();
        let failed: Vec<bool> = items.iter().map(|item| item.error.is_some()).collect();
        assert_eq!(failed, [false, true]);
    });
}

#[test]
fn a_repeated_publication_with_a_key_is_one() {
    on_each(|service| {
        let (client, channel) = (service.client(), fresh("once"));
        let publish = || Publish::new(&channel, &1).idempotency_key("k");
        if (service.version.0, service.version.1) < (5, 2) {
            assert!(matches!(client.call(publish()), Err(Error::Unsupported(_))));
            return;
        }
        let first = client.call(publish()).unwrap();
        assert_eq!(client.call(publish()).unwrap(), first);
        let both = || Broadcast::new(&[&channel, &channel], &1).idempotency_key("k");
        client.call(both()).unwrap();
        assert_eq!(client.history(&channel).unwrap().publications.len(), 1);
    });
}

#[test]
fn tags_travel_with_their_publication() {
    on_each(|service| {
        let (client, channel) = (service.client(), fresh("tags"));
        let tags = BTreeMap::from([("a".to_owned(), "b".to_owned())]);
        let sent = client.call(Publish::new(&channel, &1).tags(&tags));
        match (service.version.0, service.version.1) >= (3, 2) {
            true => {
                sent.unwrap();
                assert_eq!(client.history(&channel).unwrap().publications[0].tags, tags);
            }
            false => assert!(matches!(sent, Err(Error::Unsupported(_)))),
        }
    });
}

#[test]
fn the_nodes_say_what_they_are() {
    on_each(|service| {
        let nodes = service.client().info();
        if !service.is(1) {
            assert!(matches!(nodes, Err(Error::Unsupported(_))));
            return;
        }
        let nodes = nodes.unwrap();
        assert!(!nodes.is_empty() && !nodes[0].uid.is_empty(), "{nodes:?}");
        assert!(!nodes[0].counters.is_empty());
    });
}

#[test]
fn a_wrong_key_and_a_wrong_generation_are_told_apart() {
    on_each(|service| {
        let mut wrong = Service { key: "wrong".into(), url: service.url.clone(), ..blank(service) };
        let Err(Error::Request(error)) = wrong.client().history("a") else { panic!("let in") };
        assert_eq!((error.failure, error.in_doubt), (Failure::Unauthorized, 0), "{error}");
        wrong.key.clone_from(&service.key);
        wrong.version = if service.is(2) { (1, 8, 0) } else { (6, 1, 0) };
        let Err(Error::Request(error)) = wrong.client().history("a") else { panic!("understood") };
        assert!(error.hint.is_some(), "{error}");
    });
}

fn blank(service: &Service) -> Service {
    let (url, key, token_secret) = (String::new(), String::new(), String::new());
    let (version, project) = (service.version, service.project.clone());
    Service { version, url, key, project, token_secret, _server: None }
}
