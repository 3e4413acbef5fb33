//! High-Templar: triggers by HTTP, and a subscriber that returns; one cut each. The
//! server keeps nothing for who is away: what is missed then is told as a gap.

use std::time::Duration;

use high_templar_client::{
    Backoff, Client, Config, Delivery, Publisher, PublisherConfig, Room, Subscribe, Subscription,
    Trigger,
};
use realtime_sandbox::{Action, At, Auditor, Direction, Faults, Proxy, Rule, Sandbox};
use serde_json::json;
use tokio::time::Instant;

use crate::report::{Narrator, Row};

const MESSAGES: usize = 200;
const PAUSE: Duration = Duration::from_millis(5);
const ROOM: &str = "demo";
/// How long the last delivery is waited for.
const PATIENCE: Duration = Duration::from_secs(8);

/// Inside a trigger, so that it never arrives; and inside a delivery.
const PUBLISHER_CUT: Rule = Rule::new(Direction::ToServer, At::Byte(14_000), Action::Reset);
const SUBSCRIBER_CUT: Rule = Rule::new(Direction::ToClient, At::Frame(120), Action::Reset);

/// Against a sandbox in this process, over loopback sockets.
pub(crate) async fn local(narrator: &Narrator) -> Result<Row, String> {
    let auditor = Auditor::default();
    let sandbox = Sandbox::builder().only(["high-templar"]).start().await;
    let sandbox = sandbox.map_err(|e| format!("no port: {e}"))?;
    let address = sandbox.high_templar().address().ok_or("no port")?;
    narrator.say(&format!("sandbox listens on {address}"));
    let mut proxies = Vec::new();
    for rule in [PUBLISHER_CUT, SUBSCRIBER_CUT] {
        let faults = Faults::default();
        faults.add(rule);
        proxies.push(Proxy::tcp(address, faults).await.map_err(|e| format!("no port: {e}"))?);
    }
    let addresses: Vec<_> = proxies.iter().filter_map(Proxy::address).collect();
    let [publisher, subscriber] = addresses.try_into().map_err(|_| "no port")?;
    let told = |error: high_templar_client::Error| error.to_string();
    let publisher = PublisherConfig::new(format!("http://{publisher}"));
    let publisher = Publisher::new(publisher).map_err(told)?;
    let quickly = Backoff::default().first(Duration::from_millis(100));
    let config = Config::new(format!("ws://{subscriber}")).backoff(quickly);
    let subscriber = Client::connect(config).await.map_err(told)?;
    let mut subscription = subscriber.subscribe(room(), Subscribe::new()).await.map_err(told)?;
    auditor.subscribed("subscriber", ROOM);
    narrator.say("subscriber is connected and subscribed");
    let demo = Demo { narrator, auditor: &auditor };
    let (published, received) =
        tokio::join!(demo.publish(&publisher), demo.receive(&mut subscription));
    let recovered = [received?, published?].concat();
    let cuts = proxies.iter().map(|proxy| proxy.faults().struck()).sum();
    let verdict = auditor.verdict();
    Ok(Row { name: "high-templar-client", verdict, cuts, recovered, resumes: false })
}

fn room() -> Room {
    Room::new().with("target", ROOM)
}

struct Demo<'d> {
    narrator: &'d Narrator,
    auditor: &'d Auditor,
}

impl Demo<'_> {
    /// Sends triggers; one that was cut off is in doubt, and sent again here. Returns how
    /// long that took.
    async fn publish(&self, publisher: &Publisher) -> Result<Vec<Duration>, String> {
        let mut recovered = Vec::new();
        for n in 1..=MESSAGES {
            let data = json!({"n": n});
            let trigger = Trigger::new([room()], &data).map_err(|e| e.to_string())?;
            self.auditor.accepted(ROOM, &data.to_string());
            // The server keeps no books: what it has taken, it has acknowledged.
            self.auditor.received(ROOM, &data.to_string());
            let start = Instant::now();
            if let Err(error) = publisher.trigger(&trigger).await {
                if !error.is_in_doubt() {
                    return Err(format!("triggering failed: {error}"));
                }
                self.narrator.say(&format!("publisher was cut off in call {n}; it calls again"));
                let again = publisher.trigger(&trigger).await;
                again.map_err(|e| format!("triggering failed: {e}"))?;
                recovered.push(start.elapsed());
            }
            self.auditor.acknowledged(ROOM, &data.to_string());
            if n % 50 == 0 {
                self.narrator.say(&format!("{n} of {MESSAGES} published and acknowledged"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(recovered)
    }

    /// Receives until the last message; returns how long each return took.
    async fn receive(&self, subscription: &mut Subscription) -> Result<Vec<Duration>, String> {
        let (mut recovered, mut lost, mut is_over) = (Vec::new(), None, false);
        let last = json!({"n": MESSAGES}).to_string();
        loop {
            // When all is there, a moment more: nothing may come twice.
            let patience = if is_over { Duration::from_millis(300) } else { PATIENCE };
            match tokio::time::timeout(patience, subscription.next()).await {
                Ok(Some(Delivery::Message(message))) => {
                    self.auditor.delivered("subscriber", message.json());
                    is_over |= message.json() == last;
                    if let Some(lost) = lost.take() {
                        let lost: Instant = lost;
                        recovered.push(lost.elapsed());
                        self.narrator.say("the first message after it has come");
                    }
                }
                Ok(Some(Delivery::Gap(gap))) => {
                    self.auditor.gap("subscriber", gap.missed);
                    self.narrator.say("subscriber was cut off, is back, and told of a gap");
                    lost = Some(Instant::now());
                }
                Ok(other) => return Err(format!("the subscription has ended: {other:?}")),
                Err(_) => return Ok(recovered),
            }
        }
    }
}
