//! Over loopback sockets, plain and with TLS.

use std::time::Duration;

use high_templar_client::{
    BlockingPublisher, Client, Config, ConnectStep, Error, Publisher, PublisherConfig, Subscribe,
    Trigger,
};
use realtime_sandbox::{Authority, Engine};

use crate::support::{room, server, take, within};

async fn exchange(config: Config, publishing: PublisherConfig) {
    let client = Client::connect(config).await.unwrap();
    let mut one = client.subscribe(room("1"), Subscribe::new()).await.unwrap();
    let publisher = Publisher::new(publishing.clone()).unwrap();
    for n in 0..20 {
        publisher.trigger(&Trigger::new([room("1")], &n).unwrap()).await.unwrap();
    }
    let blocking = tokio::task::spawn_blocking(move || {
        let publisher = BlockingPublisher::new(publishing).unwrap();
        (20..40).try_for_each(|n| publisher.trigger(&Trigger::new([room("1")], &n).unwrap()))
    });
    within(blocking).await.unwrap().unwrap();
    let wanted: Vec<String> = (0..40).map(|n| n.to_string()).collect();
    assert_eq!(take(&mut one, 40).await, wanted);
    client.close(Duration::from_secs(5)).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn over_sockets_on_both_engines() {
    for engine in Engine::ALL {
        let server = server(engine);
        server.listen(0).await.unwrap();
        let publishing = PublisherConfig::new(server.trigger_url());
        exchange(Config::new(server.ws_url()), publishing).await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn with_tls_for_rooms_and_for_triggers() {
    for engine in Engine::ALL {
        let server = server(engine);
        let authority = Authority::new().unwrap();
        let port = server.listen_tls(0, &authority).await.unwrap();
        let url = format!("wss://localhost:{port}");
        let trusting = Config::new(&url).tls_root(authority.der());
        let publishing = PublisherConfig::new(format!("https://localhost:{port}"));
        exchange(trusting, publishing.clone().tls_root(authority.der())).await;
        // Whom nobody vouches for is not spoken to.
        let error = Client::connect(Config::new(&url)).await.unwrap_err();
        let Error::Connect(failure) = &error else { panic!("{error:?}") };
        assert_eq!((failure.step, failure.tls), (ConnectStep::Tls, Some("unknown_issuer")));
        let trigger = Trigger::new([room("1")], &1).unwrap();
        let error = Publisher::new(publishing).unwrap().trigger(&trigger).await.unwrap_err();
        assert!(!error.is_in_doubt(), "{error:?}");
        // Nor is TLS left out without being told to.
        let plain = Client::connect(Config::new(format!("ws://localhost:{port}"))).await;
        assert!(matches!(plain, Err(Error::Connect(_) | Error::Transport { .. })), "{plain:?}");
    }
}
