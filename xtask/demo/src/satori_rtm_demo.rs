//! Satori RTM: one publisher, one subscriber, one cut each.

use std::{sync::Arc, time::Duration};

use realtime_sandbox::{
    Action, At, Auditor, Direction, Faults, Proxy, RtmConfig, Rule, Sandbox, Verdict,
};
use satori_rtm::{
    Client, Config, Connector, Delivery, Error, Event, Events, Subscribe, Subscription,
};
use tokio::{net::TcpStream, time::Instant};

use crate::{
    lines::Lines,
    report::{Narrator, Row, explain},
};

const MESSAGES: usize = 200;
const PAUSE: Duration = Duration::from_millis(5);
const CHANNEL: &str = "demo";
/// How long the last delivery is waited for.
const PATIENCE: Duration = Duration::from_secs(8);

/// A cut in the middle of a message: the server never has the publisher's
/// whole, the subscriber never has the server's whole.
const PUBLISHER_CUT: Rule = Rule::new(Direction::ToServer, At::Frame(80), Action::Reset);
const SUBSCRIBER_CUT: Rule = Rule::new(Direction::ToClient, At::Frame(120), Action::Reset);

/// Against a sandbox in this process, over loopback sockets.
pub(crate) async fn local(narrator: &Narrator) -> Result<Row, Error> {
    let auditor = Auditor::default();
    let config = RtmConfig::default().auditor(auditor.clone());
    let sandbox =
        Sandbox::builder().only(["satori-rtm"]).rtm(config).start().await.map_err(no_port)?;
    let rtm = sandbox.rtm();
    narrator.say(&format!("sandbox listens on {}", rtm.url()));
    let address = rtm.address().ok_or(Error::Closed)?;
    let lines = Lines::new(address, [SUBSCRIBER_CUT, PUBLISHER_CUT]).await.map_err(no_port)?;
    let configs = lines.addresses.map(|address| {
        let url = format!("ws://{address}");
        Config::new(url, rtm.appkey()).role(rtm.role(), rtm.role_secret())
    });
    let demo = Demo { narrator, auditor, acknowledged_is_received: false };
    let (verdict, recovered) = demo.run(configs.to_vec()).await?;
    let cuts = lines.cuts();
    Ok(Row { name: "satori-rtm", verdict, cuts, recovered, resumes: true })
}

/// Against a server of the user's. The cuts are made on our side of the socket.
pub(crate) async fn at(
    narrator: &Narrator,
    url: &str,
    appkey: &str,
    role: Option<(String, String)>,
) -> Result<Row, Error> {
    let mut all = Vec::new();
    let mut configs = Vec::new();
    for rule in [SUBSCRIBER_CUT, PUBLISHER_CUT] {
        let faults = Faults::default();
        faults.add(rule);
        all.push(faults.clone());
        let proxy = Arc::new(Proxy::pipes(faults));
        let connector = Connector::new(move |target| {
            let proxy = Arc::clone(&proxy);
            async move {
                let stream = TcpStream::connect((target.host.as_str(), target.port)).await?;
                Ok(proxy.wrap(stream))
            }
        });
        let config = Config::new(url, appkey).connector(connector);
        configs.push(match &role {
            Some((role, secret)) => config.role(role, secret.as_str()),
            None => config,
        });
    }
    // What a server of the user's stores cannot be seen; it says so itself.
    let demo = Demo { narrator, auditor: Auditor::default(), acknowledged_is_received: true };
    let (verdict, recovered) = demo.run(configs).await?;
    let cuts = all.iter().map(Faults::struck).sum();
    Ok(Row { name: "satori-rtm", verdict, cuts, recovered, resumes: true })
}

struct Demo<'n> {
    narrator: &'n Narrator,
    auditor: Auditor,
    acknowledged_is_received: bool,
}

impl Demo<'_> {
    async fn run(&self, configs: Vec<Config>) -> Result<(Verdict, Vec<Duration>), Error> {
        let [to_subscribe, to_publish] = configs.as_slice() else { return Err(Error::Closed) };
        let subscriber = Client::connect(to_subscribe.clone()).await?;
        let subscription = subscriber.subscribe(CHANNEL, Subscribe::new()).await?;
        self.auditor.subscribed("subscriber", CHANNEL);
        self.narrator.say("subscriber is connected and subscribed");
        let publisher = Client::connect(to_publish.clone()).await?;
        self.narrator.say("publisher is connected");

        let work = async {
            let published = async {
                let published = self.publish(&publisher).await;
                if let Err(error) = &published {
                    self.narrator.say(&format!("publishing failed: {}", explain(error)));
                }
            };
            tokio::join!(published, self.consume(subscription));
            // The connections are back before the clients go.
            let wait = Duration::from_secs(2);
            let _reports = tokio::join!(publisher.close(wait), subscriber.close(wait));
        };
        let ((), of_subscriber, of_publisher) = tokio::join!(
            work,
            self.watch("subscriber", subscriber.events()),
            self.watch("publisher", publisher.events()),
        );
        Ok((self.auditor.verdict(), [of_subscriber, of_publisher].concat()))
    }

    async fn publish(&self, publisher: &Client) -> Result<(), Error> {
        for n in 1..=MESSAGES {
            let message = n.to_string();
            self.auditor.accepted(CHANNEL, &message);
            publisher.publish(CHANNEL, &n).await?;
            self.auditor.acknowledged(CHANNEL, &message);
            if self.acknowledged_is_received {
                self.auditor.received(CHANNEL, &message);
            }
            if n % 50 == 0 {
                self.narrator.say(&format!("{n} of {MESSAGES} published and acknowledged"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    async fn consume(&self, mut subscription: Subscription) {
        let mut got = 0;
        loop {
            // When all is there, a moment more: nothing may come twice.
            let patience = if got < MESSAGES { PATIENCE } else { Duration::from_millis(300) };
            match tokio::time::timeout(patience, subscription.next()).await {
                Ok(Some(Delivery::Message(message))) => {
                    got += 1;
                    self.auditor.delivered("subscriber", &message.to_string());
                    if got % 50 == 0 {
                        self.narrator.say(&format!("{got} of {MESSAGES} delivered"));
                    }
                }
                Ok(Some(Delivery::Gap(gap))) => {
                    self.auditor.gap("subscriber", gap.missed);
                    self.narrator.say(&format!("a gap: {gap:?}"));
                }
                Ok(other) => {
                    return self.narrator.say(&format!("the subscription ended: {other:?}"));
                }
                Err(_) if got < MESSAGES => {
                    return self.narrator.say("nothing more is delivered");
                }
                Err(_) => return,
            }
        }
    }

    /// Tells what happens to one client; returns how long each recovery took.
    async fn watch(&self, name: &str, mut events: Events) -> Vec<Duration> {
        let mut lost: Option<Instant> = None;
        let mut recovered = Vec::new();
        while let Some(event) = events.next().await {
            match event {
                Event::Disconnected { cause: Some(cause) } => {
                    lost = Some(Instant::now());
                    self.narrator.say(&format!("{name} is cut off: {}", explain(&cause)));
                }
                Event::Waiting { delay, .. } => {
                    let delay = delay.as_millis();
                    self.narrator.say(&format!("{name} tries again in {delay} ms"));
                }
                Event::Connected => {
                    if let Some(since) = lost.take() {
                        let took = since.elapsed();
                        recovered.push(took);
                        let took = took.as_millis();
                        self.narrator.say(&format!("{name} is back after {took} ms"));
                    }
                }
                _ => {}
            }
        }
        recovered
    }
}

fn no_port(error: std::io::Error) -> Error {
    Error::Config { option: "port", reason: error.to_string() }
}
