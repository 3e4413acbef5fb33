//! Stream-sea: publications by HTTP, and a subscriber that returns; one cut each. The
//! service keeps nothing for who is away: what is missed then is told as a gap.

use std::time::Duration;

use realtime_sandbox::{
    Action, At, Auditor, Direction, Faults, Proxy, Rule, Sandbox, StreamSeaConfig,
};
use serde_json::json;
use stream_sea::{Backoff, Client, Config, Credentials, Delivery, Subscribe, Subscription};
use tokio::time::Instant;

use crate::report::{Narrator, Row};

const MESSAGES: usize = 200;
const PAUSE: Duration = Duration::from_millis(5);
const STREAM: &str = "demo";
/// How long the last delivery is waited for.
const PATIENCE: Duration = Duration::from_secs(8);

/// Inside a call, so that it never arrives; and inside a delivery.
const PUBLISHER_CUT: Rule = Rule::new(Direction::ToServer, At::Byte(14_000), Action::Reset);
const SUBSCRIBER_CUT: Rule = Rule::new(Direction::ToClient, At::Frame(120), Action::Reset);

/// Against a sandbox in this process, over loopback sockets.
pub(crate) async fn local(narrator: &Narrator) -> Result<Row, String> {
    let auditor = Auditor::default();
    let config = StreamSeaConfig::default().stream(STREAM).auditor(auditor.clone());
    let sandbox = Sandbox::builder().only(["stream-sea"]).stream_sea(config).start().await;
    let sandbox = sandbox.map_err(|e| format!("no port: {e}"))?;
    let server = sandbox.stream_sea();
    let address = server.address().ok_or("no port")?;
    narrator.say(&format!("sandbox listens on {address}"));
    let mut proxies = Vec::new();
    for rule in [PUBLISHER_CUT, SUBSCRIBER_CUT] {
        let faults = Faults::default();
        faults.add(rule);
        proxies.push(Proxy::tcp(address, faults).await.map_err(|e| format!("no port: {e}"))?);
    }
    let credentials = || Credentials::basic(server.client_id(), server.client_secret());
    let quickly = Backoff::default().first(Duration::from_millis(100));
    let configs = proxies
        .iter()
        .filter_map(Proxy::address)
        .map(|address| Config::new("127.0.0.1", address.port(), credentials()).backoff(quickly));
    let [publisher, subscriber] = configs.collect::<Vec<_>>().try_into().map_err(|_| "no port")?;
    let told = |error: stream_sea::Error| error.to_string();
    let publisher = Client::new(publisher).map_err(told)?;
    let subscriber = Client::connect(subscriber).await.map_err(told)?;
    let options = Subscribe::new().fanout();
    let mut subscription = subscriber.subscribe(STREAM, options).await.map_err(told)?;
    auditor.subscribed("subscriber", STREAM);
    narrator.say("subscriber is connected and subscribed");
    let demo = Demo { narrator, auditor: &auditor };
    let (published, received) =
        tokio::join!(demo.publish(&publisher), demo.receive(&mut subscription));
    let recovered = [received?, published?].concat();
    let cuts = proxies.iter().map(|proxy| proxy.faults().struck()).sum();
    Ok(Row { name: "stream-sea", verdict: auditor.verdict(), cuts, recovered, resumes: false })
}

struct Demo<'d> {
    narrator: &'d Narrator,
    auditor: &'d Auditor,
}

impl Demo<'_> {
    /// Publishes; a call that was cut off is in doubt, and made again here. Returns how
    /// long that took.
    async fn publish(&self, client: &Client) -> Result<Vec<Duration>, String> {
        let mut recovered = Vec::new();
        for n in 1..=MESSAGES {
            let payload = json!({"n": n});
            self.auditor.accepted(STREAM, &payload.to_string());
            let start = Instant::now();
            if let Err(error) = client.publish(STREAM, &payload).await {
                if !error.is_in_doubt() {
                    return Err(format!("publishing failed: {error}"));
                }
                self.narrator.say(&format!("publisher was cut off in call {n}; it calls again"));
                let again = client.publish(STREAM, &payload).await;
                again.map_err(|e| format!("publishing failed: {e}"))?;
                recovered.push(start.elapsed());
            }
            self.auditor.acknowledged(STREAM, &payload.to_string());
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
                        self.narrator.say("subscriber is back");
                    }
                }
                Ok(Some(Delivery::Gap(gap))) => {
                    self.auditor.gap("subscriber", gap.missed);
                    self.narrator.say("subscriber is cut off, and told of a gap");
                    lost = Some(Instant::now());
                }
                Ok(other) => return Err(format!("the subscription has ended: {other:?}")),
                Err(_) => return Ok(recovered),
            }
        }
    }
}
