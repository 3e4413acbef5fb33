//! emitter: acknowledged publishes, and a subscriber that fetches what it has missed; one
//! cut each.

use std::time::Duration;

use emitter::{
    Address, Backoff, Client, Config, Delivery, Event, PublishOptions, SubscribeOptions,
    Subscription,
};
use realtime_sandbox::{Action, At, Auditor, Direction, EmitterConfig, Rule, Sandbox};
use tokio::time::Instant;

use crate::{
    lines::Lines,
    report::{Narrator, Row},
};

const MESSAGES: usize = 200;
const PAUSE: Duration = Duration::from_millis(5);
const CHANNEL: &str = "demo/";
/// How long the last delivery is waited for.
const PATIENCE: Duration = Duration::from_secs(8);

/// Inside a publish, so that it never arrives; and inside a delivery.
const PUBLISHER_CUT: Rule = Rule::new(Direction::ToServer, At::Byte(7_013), Action::Reset);
const SUBSCRIBER_CUT: Rule = Rule::new(Direction::ToClient, At::Byte(1_501), Action::Reset);

/// Against a sandbox in this process, over loopback sockets.
pub(crate) async fn local(narrator: &Narrator) -> Result<Row, String> {
    let auditor = Auditor::default();
    let config = EmitterConfig::default().auditor(auditor.clone());
    let sandbox = Sandbox::builder().only(["emitter"]).emitter(config).start().await;
    let sandbox = sandbox.map_err(|e| format!("no port: {e}"))?;
    let broker = sandbox.emitter();
    let address = broker.address().ok_or("no port")?;
    narrator.say(&format!("sandbox listens on {address}"));
    let lines = Lines::new(address, [PUBLISHER_CUT, SUBSCRIBER_CUT]).await;
    let lines = lines.map_err(|e| format!("no port: {e}"))?;
    let quickly = Backoff::default().first(Duration::from_millis(100));
    let [publisher, subscriber] = lines.addresses.map(|address| {
        let address = Address::new("127.0.0.1").port(address.port()).insecure();
        Config::new(address).default_key(broker.channel_key()).backoff(quickly)
    });
    let told = |error: emitter::Error| error.to_string();
    let publisher = Client::connect(publisher).await.map_err(told)?;
    let subscriber = Client::connect(subscriber).await.map_err(told)?;
    let options = SubscribeOptions::new().last(0).fill_gaps(1000);
    let mut subscription = subscriber.subscribe("", CHANNEL, options).await.map_err(told)?;
    auditor.subscribed("subscriber", CHANNEL);
    narrator.say("subscriber is connected and subscribed; it fetches what it will miss");
    let demo = Demo { narrator, auditor: &auditor };
    let recovered = async {
        tokio::join!(demo.recover("publisher", &publisher), demo.recover("subscriber", &subscriber))
    };
    let (published, received, recovered) =
        tokio::join!(demo.publish(&publisher), demo.receive(&mut subscription), recovered);
    published.and(received)?;
    let cuts = lines.cuts();
    let recovered = [recovered.0, recovered.1].into_iter().flatten().collect();
    Ok(Row { name: "emitter", verdict: auditor.verdict(), cuts, recovered, resumes: true })
}

struct Demo<'d> {
    narrator: &'d Narrator,
    auditor: &'d Auditor,
}

impl Demo<'_> {
    async fn publish(&self, client: &Client) -> Result<(), String> {
        for n in 1..=MESSAGES {
            let text = n.to_string();
            self.auditor.accepted(CHANNEL, &text);
            let stored = PublishOptions::new().ttl(60);
            let published = client.publish("", CHANNEL, text.as_str(), stored).await;
            published.map_err(|e| format!("publishing failed: {e}"))?;
            self.auditor.acknowledged(CHANNEL, &text);
            if n % 50 == 0 {
                self.narrator.say(&format!("{n} of {MESSAGES} published and acknowledged"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Receives until the last message.
    async fn receive(&self, subscription: &mut Subscription) -> Result<(), String> {
        let mut is_over = false;
        loop {
            // When all is there, a moment more: nothing may come twice.
            let patience = if is_over { Duration::from_millis(300) } else { PATIENCE };
            match tokio::time::timeout(patience, subscription.next()).await {
                Ok(Some(Delivery::Message(message))) => {
                    let text = message.as_str().map_err(|e| e.to_string())?;
                    self.auditor.delivered("subscriber", text);
                    is_over |= text == MESSAGES.to_string();
                }
                Ok(Some(Delivery::Gap(gap))) => self.auditor.gap("subscriber", gap.missed),
                Ok(other) => return Err(format!("the subscription has ended: {other:?}")),
                Err(_) => return Ok(()),
            }
        }
    }

    /// Tells the loss of a connection and its return; says how long that took.
    async fn recover(&self, who: &str, client: &Client) -> Option<Duration> {
        let (mut events, mut lost) = (client.events(), None);
        let story = async {
            while let Some(event) = events.next().await {
                match (event, lost) {
                    (Event::Disconnected { cause: Some(cause) }, _) => {
                        self.narrator.say(&format!("{who} is cut off: {cause}"));
                        lost = Some(Instant::now());
                    }
                    (Event::Connected, Some(since)) => {
                        self.narrator.say(&format!("{who} is back"));
                        return Some(Instant::now() - since);
                    }
                    _ => {}
                }
            }
            None
        };
        tokio::time::timeout(PATIENCE, story).await.ok().flatten()
    }
}
