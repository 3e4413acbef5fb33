//! High-Templar: triggers by HTTP, and a subscriber that returns; one cut each.

use std::time::Duration;

use high_templar_client::{
    Backoff, Client, Config, Delivery, Error, Publisher, PublisherConfig, Room, Subscribe, Trigger,
};
use realtime_sandbox::{Action, At, Auditor, Direction, Rule, Sandbox};

use crate::{
    forgetful::{Failed, Forgetful, Seen},
    lines::Lines,
    report::{Narrator, Row},
};

const ROOM: &str = "demo";

/// Inside a trigger, so that it never arrives; and inside a delivery.
const PUBLISHER_CUT: Rule = Rule::new(Direction::ToServer, At::Byte(14_000), Action::Reset);
const SUBSCRIBER_CUT: Rule = Rule::new(Direction::ToClient, At::Frame(120), Action::Reset);

/// Against a sandbox in this process, over loopback sockets.
pub(crate) async fn local(narrator: &Narrator) -> Result<Row, String> {
    let no_port = |e: std::io::Error| format!("no port: {e}");
    let auditor = Auditor::default();
    let sandbox = Sandbox::builder().only(["high-templar"]).start().await.map_err(no_port)?;
    let address = sandbox.high_templar().address().ok_or("no port")?;
    narrator.say(&format!("sandbox listens on {address}"));
    let lines = Lines::new(address, [PUBLISHER_CUT, SUBSCRIBER_CUT]).await.map_err(no_port)?;
    let [publisher, subscriber] = lines.addresses;
    let told = |error: Error| error.to_string();
    let publisher = PublisherConfig::new(format!("http://{publisher}"));
    let publisher = Publisher::new(publisher).map_err(told)?;
    let quickly = Backoff::default().first(Duration::from_millis(100));
    let config = Config::new(format!("ws://{subscriber}")).backoff(quickly);
    let subscriber = Client::connect(config).await.map_err(told)?;
    let mut subscription = subscriber.subscribe(room(), Subscribe::new()).await.map_err(told)?;
    auditor.subscribed("subscriber", ROOM);
    narrator.say("subscriber is connected and subscribed");

    let demo = Forgetful { narrator, auditor: &auditor, channel: ROOM };
    let published = demo.publish(async |data| {
        let failed = |e: Error| Failed { is_in_doubt: e.is_in_doubt(), text: e.to_string() };
        let trigger = Trigger::new([room()], data).map_err(failed)?;
        publisher.trigger(&trigger).await.map_err(failed)?;
        // The server keeps no books: what it has acknowledged, it has taken.
        auditor.received(ROOM, &data.to_string());
        Ok(())
    });
    let received = demo.receive(async || match subscription.next().await {
        Some(Delivery::Message(message)) => Seen::Message(message.json().to_owned()),
        Some(Delivery::Gap(gap)) => Seen::Gap(gap.missed),
        other => Seen::End(format!("{other:?}")),
    });
    let (published, received) = tokio::join!(published, received);
    let recovered = [received?, published?].concat();
    let (verdict, cuts) = (auditor.verdict(), lines.cuts());
    Ok(Row { name: "high-templar-client", verdict, cuts, recovered, resumes: false })
}

fn room() -> Room {
    Room::new().with("target", ROOM)
}
