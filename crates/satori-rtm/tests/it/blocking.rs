//! The client for programs without a runtime.

use std::time::Duration;

use realtime_sandbox::{Engine, RtmConfig, RtmServer};
use satori_rtm::{BlockingClient, Config, Delivery, Mode, Options, RoleSecret, Subscribe, Value};

/// Runs `test` on a thread without a runtime, with a server that listens.
fn with_server(test: impl FnOnce(&RtmServer)) {
    let runtime =
        tokio::runtime::Builder::new_multi_thread().worker_threads(1).enable_all().build().unwrap();
    let server = RtmServer::new(RtmConfig::default(), Engine::Tungstenite);
    runtime.block_on(server.listen(0)).unwrap();
    test(&server);
}

#[test]
fn every_call_waits_for_its_answer() {
    with_server(|server| {
        let config = Config::new(server.url(), server.appkey());
        let client = BlockingClient::connect(config).unwrap();
        let restricted = server.restricted_channel();
        assert_eq!(client.publish(restricted, &1).unwrap_err().code(), "authorization_denied");
        client.authenticate(RoleSecret::new(server.role(), server.role_secret())).unwrap();
        client.publish(restricted, &1).unwrap();

        let mut c = client.subscribe("c", Subscribe::new().mode(Mode::Advanced)).unwrap();
        assert_eq!(c.id(), "c");
        client.publish("c", &1).unwrap();
        client.publish_with("c", &2, Options::new().at_most_once()).unwrap();
        client.publish_unacknowledged("c", &3).unwrap();
        let got: Vec<u64> = c
            .by_ref()
            .take(3)
            .filter_map(|delivery| delivery.into_message()?.decode().ok())
            .collect();
        assert_eq!(got, [1, 2, 3]);
        assert_eq!(c.next_timeout(Duration::from_millis(10)).unwrap_err().code(), "timeout");
        c.change(Subscribe::new().history_count(1)).unwrap();
        let again = c.next_timeout(Duration::from_secs(10)).unwrap();
        assert!(matches!(again, Some(Delivery::Message(message)) if message.to_string() == "3"));
        c.unsubscribe().unwrap();

        let position = client.write("k", "v").unwrap();
        assert_eq!(client.read::<String>("k").unwrap(), "v");
        assert_eq!(client.read_with("k", Options::new()).unwrap().position(), position);
        let set = Options::new().position(position).at_most_once();
        client.write_with("k", "w", set.clone()).unwrap();
        assert_eq!(client.write_with("k", "x", set).unwrap_err().code(), "position_mismatch");
        client.delete("k").unwrap();
        assert_eq!(client.read::<Value>("k").unwrap(), Value::Null);
        client.write_unacknowledged("k", "z").unwrap();
        let body = Value::from([("channel", Value::from("k"))]);
        let read = client.action("rtm/read", &body).unwrap();
        assert_eq!(read.message().to_string(), "\"z\"");
        client.delete_unacknowledged("k").unwrap();
        assert_eq!(client.delete_with("k", Options::new().purge()).unwrap().position(), None);

        client.stop().unwrap();
        client.start().unwrap();
        assert_eq!(client.stats().connects, 2);
        let report = client.close(Duration::from_secs(5)).unwrap();
        assert!(report.is_clean(), "{report:?}");
        assert_eq!(client.publish("c", &1).unwrap_err().code(), "closed");
    });
}

#[tokio::test]
async fn inside_a_runtime_it_is_an_error_and_no_panic() {
    let config = || Config::new("ws://127.0.0.1:1", "K");
    assert_eq!(BlockingClient::connect(config()).unwrap_err().code(), "in_runtime");
    assert_eq!(BlockingClient::new(config()).unwrap_err().code(), "in_runtime");
    let made = std::thread::spawn(move || BlockingClient::new(config()).unwrap());
    let client = made.join().unwrap();
    assert_eq!(client.publish("c", &1).unwrap_err().code(), "in_runtime");
    assert!(client.close(Duration::ZERO).is_none());
}
