//! Over loopback sockets: TCP, TLS, WebSocket, and WebSocket over TLS.

use std::time::Duration;

use emitter::{Address, Client, Config, ConnectStep, Error, PublishOptions, SubscribeOptions};
use realtime_sandbox::Authority;

use crate::support::{KEY, LINES, Stand, take, within};

async fn exchange(config: Config) {
    let client = Client::connect(config).await.unwrap();
    let mut room = client.subscribe(KEY, "room", SubscribeOptions::new()).await.unwrap();
    for n in 0..20 {
        let text = n.to_string().repeat(1000);
        client.publish(KEY, "room", text, PublishOptions::new()).await.unwrap();
    }
    assert_eq!(take(&mut room, 20).await.len(), 20);
    assert!(client.close(Duration::from_secs(5)).await.is_clean());
}

#[tokio::test]
async fn over_sockets_on_every_line() {
    for line in LINES {
        let stand = Stand::new(line);
        stand.broker.listen(0).await.unwrap();
        let address = Address::new("127.0.0.1").port(stand.broker.port()).insecure();
        let address = if line.is_websocket() { address.websocket() } else { address };
        exchange(Config::new(address)).await;
    }
}

#[tokio::test]
async fn over_tls_on_every_line() {
    for line in LINES {
        let stand = Stand::new(line);
        let authority = Authority::new().unwrap();
        let port = stand.broker.listen_tls(0, &authority).await.unwrap();
        let address = Address::new("localhost").port(port);
        let address = if line.is_websocket() { address.websocket() } else { address };
        exchange(Config::new(address.clone()).tls_root(authority.der())).await;
        // Whom nobody vouches for is not spoken to, nor is TLS left out silently.
        let error = Client::connect(Config::new(address.clone())).await.unwrap_err();
        let Error::Connect(failure) = &error else { panic!("{error:?}") };
        assert_eq!((failure.step, failure.tls), (ConnectStep::Tls, Some("unknown_issuer")));
        let plain = Config::new(address.insecure()).connect_timeout(Duration::from_secs(2));
        let error = within(Client::connect(plain)).await.unwrap_err();
        assert!(
            matches!(error, Error::Connect(_) | Error::Transport { .. } | Error::Protocol(_)),
            "{error:?}"
        );
    }
}
