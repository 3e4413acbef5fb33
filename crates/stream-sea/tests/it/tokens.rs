//! Tokens of subscribers: rows 17 to 20 of the conformance list.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use base64::{Engine as _, engine::general_purpose::URL_SAFE_NO_PAD};
use realtime_sandbox::StreamSeaServer;
use serde_json::json;
use stream_sea::{Claims, Client, Credentials, Delivery, Error, Filter, KeyPair, Subscribe};

use crate::{
    raw::Raw,
    support::{config_as, connect, nothing_comes, on_both_engines, server, take, within},
};

fn now() -> u64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs()
}

fn far() -> u64 {
    now() + 3600
}

/// The server knows the public key.
async fn with_key(server: &StreamSeaServer) -> KeyPair {
    let keys = KeyPair::generate().unwrap();
    let owner = connect(server).await;
    let stored = owner
        .rotate_client_jwt_public_key(server.client_id(), Some(&keys.public_pem()))
        .await
        .unwrap();
    assert_eq!(stored.jwt_public_key, Some(keys.public_pem()));
    keys
}

async fn bearer(server: &StreamSeaServer, token: String) -> Result<Client, Error> {
    Client::connect(config_as(server, Credentials::jwt(server.client_id(), token))).await
}

/// The token with another header, or signature.
fn forged(token: &str, alg: &str, signature: Option<&str>) -> String {
    let parts: Vec<&str> = token.split('.').collect();
    let head = URL_SAFE_NO_PAD.encode(format!(r#"{{"alg":"{alg}","typ":"JWT"}}"#));
    format!("{head}.{}.{}", parts[1], signature.unwrap_or(parts[2]))
}

#[tokio::test]
async fn row_17_only_rs512_is_taken() {
    on_both_engines(|server| async move {
        let token = KeyPair::generate().unwrap().sign(&Claims::new(far())).unwrap();
        let refused = |result: Result<Client, Error>| {
            assert_eq!(result.map(drop).unwrap_err().code(), "authenticate");
        };
        // No key is stored.
        refused(bearer(&server, token.clone()).await);
        let keys = with_key(&server).await;
        // It is another's.
        refused(bearer(&server, token).await);
        let good = keys.sign(&Claims::new(far())).unwrap();
        for alg in ["RS256", "HS256", "none", "RS384"] {
            refused(bearer(&server, forged(&good, alg, None)).await);
        }
        refused(bearer(&server, forged(&good, "none", Some(""))).await);
        refused(bearer(&server, forged(&good, "RS512", Some("AAAA"))).await);
        refused(bearer(&server, "a.b".into()).await);
        refused(bearer(&server, keys.sign(&Claims::new(now() - 1)).unwrap()).await);
        let client = bearer(&server, good).await.unwrap();
        // It lets nobody publish.
        assert_eq!(client.publish("tides", &json!({})).await.unwrap_err().code(), "jwt");
        client.close(Duration::ZERO).await;
    })
    .await;
}

#[tokio::test]
async fn row_18_filters_pass_and_drop() {
    on_both_engines(filters_pass_and_drop).await;
}

async fn filters_pass_and_drop(server: StreamSeaServer) {
    let keys = with_key(&server).await;
    let owner = connect(&server).await;
    let watch = |filter: Filter| {
        let token = keys.sign(&Claims::new(far()).filter(filter)).unwrap();
        let server = &server;
        async move {
            let client = bearer(server, token).await.unwrap();
            let tides = client.subscribe("tides", Subscribe::new().fanout()).await.unwrap();
            // A subscription ends with the last handle of its client.
            (client, tides)
        }
    };
    let north = Filter::path("$.station").eq("N4");
    let (_one, mut passing) = watch(north.clone()).await;
    let (_two, mut missing) = watch(Filter::path("$.nothing").not()).await;
    let (_three, mut both) = watch(north.and(Filter::stream_name().eq("tides"))).await;
    let (n4, n5) = (json!({"station": "N4"}), json!({"station": "N5"}));
    owner.publish("tides", &n5).await.unwrap();
    owner.publish("tides", &n4).await.unwrap();
    owner.publish("tides", &json!([n5, n4, n5])).await.unwrap();
    let wanted = [r#"{"station":"N4"}"#, r#"[{"station":"N4"}]"#];
    assert_eq!(take(&mut passing, 2).await, wanted);
    assert_eq!(take(&mut both, 2).await, wanted);
    tokio::time::pause();
    nothing_comes(&mut missing).await;
    nothing_comes(&mut passing).await;
    tokio::time::resume();
}

#[tokio::test]
async fn row_19_an_expired_token_closes_its_socket() {
    on_both_engines(an_expired_token_closes_its_socket).await;
}

async fn an_expired_token_closes_its_socket(server: StreamSeaServer) {
    let keys = with_key(&server).await;
    let token = keys.sign(&Claims::new(now() + 60)).unwrap();
    let mut raw = Raw::open(&server).await;
    let proof = json!({"type": "jwt", "clientId": server.client_id(), "jwt": token});
    raw.say(json!({"id": 1, "action": "authenticate", "payload": proof})).await;
    assert_eq!(raw.hear().await["success"], true);
    tokio::time::pause();
    let start = tokio::time::Instant::now();
    assert_eq!(raw.closed().await, 1008);
    let stayed = start.elapsed();
    assert!(stayed > Duration::from_secs(55) && stayed <= Duration::from_secs(61), "{stayed:?}");
    tokio::time::resume();
}

#[tokio::test]
async fn row_20_a_token_for_fanout_needs_a_group() {
    on_both_engines(|server| async move {
        let keys = with_key(&server).await;
        let client = bearer(&server, keys.sign(&Claims::new(far())).unwrap()).await.unwrap();
        let error = client.subscribe("tides", Subscribe::new()).await.unwrap_err();
        assert_eq!(error.code(), "subscribe");
        client.subscribe("tides", Subscribe::new().fanout()).await.unwrap();
        let sharing = keys.sign(&Claims::new(far()).may_share()).unwrap();
        let client = bearer(&server, sharing).await.unwrap();
        client.subscribe("tides", Subscribe::new()).await.unwrap();
    })
    .await;
}

/// T7: one call at a time, before each attempt, and its failures are retried.
#[tokio::test]
async fn a_token_is_fetched_before_each_connection() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    let server = server(realtime_sandbox::Engine::WsCore);
    let keys = Arc::new(with_key(&server).await);
    let (fetched, at_once) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (count, busy, signer) = (Arc::clone(&fetched), Arc::clone(&at_once), Arc::clone(&keys));
    let credentials = Credentials::jwt_from(server.client_id(), move || {
        let (n, busy, keys) =
            (count.fetch_add(1, Ordering::Relaxed), Arc::clone(&busy), Arc::clone(&signer));
        async move {
            assert_eq!(busy.fetch_add(1, Ordering::Relaxed), 0);
            tokio::task::yield_now().await;
            busy.fetch_sub(1, Ordering::Relaxed);
            match n {
                0 | 1 => Err(std::io::Error::other("the issuer is down")),
                2 => panic!("the issuer's client is broken"),
                _ => Ok(keys.sign(&Claims::new(far())).unwrap()),
            }
        }
    });
    let client = Client::new(config_as(&server, credentials).retry_first_connect()).unwrap();
    tokio::time::pause();
    let starts = (0..100).map(|_| {
        let client = client.clone();
        tokio::spawn(async move { client.start().await })
    });
    for start in starts.collect::<Vec<_>>() {
        within(start).await.unwrap().unwrap();
    }
    assert_eq!(fetched.load(Ordering::Relaxed), 4);
    let mut tides = client.subscribe("tides", Subscribe::new().fanout()).await.unwrap();
    let _told = server.drop_sockets();
    assert!(matches!(within(tides.next()).await, Some(Delivery::Gap(_))));
    while client.stats().connects < 2 {
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(fetched.load(Ordering::Relaxed), 5);
}

/// A callback that never comes back ends with its attempt: there is one at a time.
#[tokio::test(start_paused = true)]
async fn a_callback_that_hangs_ends_with_its_attempt() {
    use std::sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    };
    struct Alive(Arc<AtomicUsize>);
    impl Drop for Alive {
        fn drop(&mut self) {
            self.0.fetch_sub(1, Ordering::Relaxed);
        }
    }
    let server = server(realtime_sandbox::Engine::WsCore);
    let (alive, calls) = (Arc::new(AtomicUsize::new(0)), Arc::new(AtomicUsize::new(0)));
    let (counted, called) = (Arc::clone(&alive), Arc::clone(&calls));
    let credentials = Credentials::jwt_from("app123", move || {
        let guard = Alive(Arc::clone(&counted));
        guard.0.fetch_add(1, Ordering::Relaxed);
        called.fetch_add(1, Ordering::Relaxed);
        async move {
            let _guard = guard;
            std::future::pending::<Result<String, std::io::Error>>().await
        }
    });
    let client = Client::new(config_as(&server, credentials).retry_first_connect()).unwrap();
    let starting = tokio::spawn({
        let client = client.clone();
        async move { client.start().await }
    });
    while calls.load(Ordering::Relaxed) < 5 {
        tokio::time::sleep(Duration::from_secs(1)).await;
        assert!(alive.load(Ordering::Relaxed) <= 1);
    }
    client.close(Duration::ZERO).await;
    assert!(starting.await.unwrap().is_err());
    tokio::time::sleep(Duration::from_secs(1)).await;
    assert_eq!(alive.load(Ordering::Relaxed), 0);
}
