//! The exchange of the original's document, its missing comma added: our client
//! sends its part, and the server answers its part, in this order.

use realtime_sandbox::{Engine, StreamSeaConfig, StreamSeaServer};
use serde_json::{Value, json};
use stream_sea::{Client, Config, Connector, Credentials, Subscribe};
use tokio::sync::mpsc;
use ws_core::{Limits, Message};

use crate::{
    raw::{Raw, post},
    support::{take, within},
};

fn authenticate() -> Value {
    json!({"id": 1, "action": "authenticate",
        "payload": {"type": "basic", "clientId": "abc", "clientSecret": "def123"}})
}

fn subscribe() -> Value {
    json!({"id": 2, "action": "subscribe", "payload": "boiler_data"})
}

/// What the server says, in its order.
fn said() -> [Value; 4] {
    let delivery = |temperature, pressure| {
        json!({"id": 2, "action": "subscription", "streamName": "boiler_data",
            "payload": {"temperature": temperature, "pressure": pressure}})
    };
    [
        json!({"id": 1, "action": "authenticate", "success": true,
            "payload": {"jailId": "some_jail"}}),
        json!({"id": 2, "action": "subscription", "success": true,
            "streamName": "boiler_data", "payload": 2}),
        delivery(91, 3001),
        delivery(92, 3002),
    ]
}

#[tokio::test(start_paused = true)]
async fn the_sandbox_answers_it() {
    for engine in Engine::ALL {
        let config = StreamSeaConfig::default()
            .client("abc", "def123")
            .jail("some_jail")
            .stream("boiler_data");
        let server = StreamSeaServer::new(config, engine);
        let mut raw = Raw::open(&server).await;
        raw.say(authenticate()).await;
        assert_eq!(raw.hear().await, said()[0]);
        raw.say(subscribe()).await;
        assert_eq!(raw.hear().await, said()[1]);
        for told in &said()[2..] {
            let body = json!({"payload": told["payload"]});
            assert_eq!(post(&server, "/streams/boiler_data/publish", body).await.0, 200);
            assert_eq!(raw.hear().await, *told);
        }
    }
}

#[tokio::test(start_paused = true)]
async fn our_client_sends_it() {
    let (pipes, mut incoming) = mpsc::channel(1);
    let connector = Connector::new(move |_| {
        let pipes = pipes.clone();
        async move {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            pipes.send(theirs).await.map_err(std::io::Error::other)?;
            Ok(ours)
        }
    });
    let config = Config::new("sea", 3104, Credentials::basic("abc", "def123"));
    let client = Client::new(config.connector(connector)).unwrap();
    let server = tokio::spawn(async move {
        let pipe = incoming.recv().await.unwrap();
        let opening = ws_core::accept(pipe, Limits::default()).await.unwrap();
        assert_eq!(opening.request().path(), "/api/v1/streams");
        assert_eq!(opening.request().header("host"), Some("sea:3104"));
        let mut socket = opening.accept(None).await.unwrap();
        let [in_, subscribed, first, second] = said();
        for (asked, told) in
            [(authenticate(), vec![in_]), (subscribe(), vec![subscribed, first, second])]
        {
            let Some(Message::Text(text)) = socket.next().await.unwrap() else { panic!() };
            assert_eq!(serde_json::from_str::<Value>(&text).unwrap(), asked);
            for message in told {
                socket.send(&Message::text(message.to_string())).await.unwrap();
            }
        }
        // Until the client goes.
        while let Ok(Some(_)) = socket.next().await {}
    });
    within(client.start()).await.unwrap();
    let mut boiler = within(client.subscribe("boiler_data", Subscribe::new())).await.unwrap();
    let got: Vec<Value> =
        take(&mut boiler, 2).await.iter().map(|json| serde_json::from_str(json).unwrap()).collect();
    assert_eq!(got, [said()[2]["payload"].clone(), said()[3]["payload"].clone()]);
    drop(client);
    within(server).await.unwrap();
}
