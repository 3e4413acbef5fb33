//! Over loopback sockets, plain and with TLS.

use std::time::Duration;

use realtime_sandbox::{Authority, Engine, StreamSeaServer};
use serde_json::json;
use stream_sea::{BlockingClient, Client, Config, ConnectStep, Error, Subscribe};

use crate::support::{credentials, server, take, within};

async fn exchange(config: Config) {
    let client = Client::connect(config).await.unwrap();
    let mut tides = client.subscribe("tides", Subscribe::new().fanout()).await.unwrap();
    for n in 0..20 {
        client.publish("tides", &json!({"n": n})).await.unwrap();
    }
    assert_eq!(take(&mut tides, 20).await.len(), 20);
    client.close(Duration::from_secs(5)).await;
}

fn config(server: &StreamSeaServer, port: u16) -> Config {
    Config::new("localhost", port, credentials(server))
}

#[tokio::test]
async fn over_sockets_on_both_engines() {
    for engine in Engine::ALL {
        let server = server(engine);
        server.listen(0).await.unwrap();
        exchange(config(&server, server.port())).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_for_subscriptions_and_for_calls() {
    let server = server(Engine::WsCore);
    let authority = Authority::new().unwrap();
    let port = server.listen_tls(0, &authority).await.unwrap();
    let trusting = config(&server, port).secure().tls_root(authority.der());
    exchange(trusting.clone()).await;
    let blocking = tokio::task::spawn_blocking(move || {
        BlockingClient::new(trusting).unwrap().publish("tides", &json!({"n": 1}))
    });
    within(blocking).await.unwrap().unwrap();
    // Whom nobody vouches for is not spoken to.
    let stranger = config(&server, port).secure();
    let error = Client::connect(stranger.clone()).await.unwrap_err();
    let Error::Connect(failure) = &error else { panic!("{error:?}") };
    assert_eq!((failure.step, failure.tls), (ConnectStep::Tls, Some("unknown_issuer")));
    let error = Client::new(stranger).unwrap().publish("tides", &json!({})).await.unwrap_err();
    assert!(!error.is_in_doubt(), "{error:?}");
    // Nor is TLS left out without being told to.
    let plain = Client::connect(config(&server, port)).await.unwrap_err();
    assert!(matches!(plain, Error::Connect(_)), "{plain:?}");
}
