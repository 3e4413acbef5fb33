//! Stream-sea: publications by HTTP, and a subscriber that returns; one cut each.

use std::time::Duration;

use realtime_sandbox::{Action, At, Auditor, Direction, Rule, Sandbox, StreamSeaConfig};
use stream_sea::{Backoff, Client, Config, Credentials, Delivery, Error, Subscribe};

use crate::{
    forgetful::{Failed, Forgetful, Seen},
    lines::Lines,
    report::{Narrator, Row},
};

const STREAM: &str = "demo";

/// Inside a call, so that it never arrives; and inside a delivery.
const PUBLISHER_CUT: Rule = Rule::new(Direction::ToServer, At::Byte(14_000), Action::Reset);
const SUBSCRIBER_CUT: Rule = Rule::new(Direction::ToClient, At::Frame(120), Action::Reset);

/// Against a sandbox in this process, over loopback sockets.
pub(crate) async fn local(narrator: &Narrator) -> Result<Row, String> {
    let no_port = |e: std::io::Error| format!("no port: {e}");
    let auditor = Auditor::default();
    let config = StreamSeaConfig::default().stream(STREAM).auditor(auditor.clone());
    let sandbox = Sandbox::builder().only(["stream-sea"]).stream_sea(config).start().await;
    let sandbox = sandbox.map_err(no_port)?;
    let server = sandbox.stream_sea();
    let address = server.address().ok_or("no port")?;
    narrator.say(&format!("sandbox listens on {address}"));
    let lines = Lines::new(address, [PUBLISHER_CUT, SUBSCRIBER_CUT]).await.map_err(no_port)?;
    let quickly = Backoff::default().first(Duration::from_millis(100));
    let [publisher, subscriber] = lines.addresses.map(|address| {
        let credentials = Credentials::basic(server.client_id(), server.client_secret());
        Config::new("127.0.0.1", address.port(), credentials).backoff(quickly)
    });
    let told = |error: Error| error.to_string();
    let publisher = Client::new(publisher).map_err(told)?;
    let subscriber = Client::connect(subscriber).await.map_err(told)?;
    let options = Subscribe::new().fanout();
    let mut subscription = subscriber.subscribe(STREAM, options).await.map_err(told)?;
    auditor.subscribed("subscriber", STREAM);
    narrator.say("subscriber is connected and subscribed");

    let demo = Forgetful { narrator, auditor: &auditor, channel: STREAM };
    let published = demo.publish(async |payload| {
        let failed = |e: Error| Failed { is_in_doubt: e.is_in_doubt(), text: e.to_string() };
        publisher.publish(STREAM, payload).await.map_err(failed)
    });
    let received = demo.receive(async || match subscription.next().await {
        Some(Delivery::Message(message)) => Seen::Message(message.json().to_owned()),
        Some(Delivery::Gap(gap)) => Seen::Gap(gap.missed),
        other => Seen::End(format!("{other:?}")),
    });
    let (published, received) = tokio::join!(published, received);
    let recovered = [received?, published?].concat();
    let (verdict, cuts) = (auditor.verdict(), lines.cuts());
    Ok(Row { name: "stream-sea", verdict, cuts, recovered, resumes: false })
}
