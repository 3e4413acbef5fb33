//! Centrifugo: publications by HTTP, and a subscriber that recovers; one cut each.

use std::{cell::RefCell, time::Duration};

use cent::{AsyncClient, Backoff, Config, Publish};
use realtime_sandbox::{Action, At, Auditor, CentrifugoConfig, Direction, Proxy, Rule, Sandbox};
use serde_json::{Value, json};
use tokio::time::Instant;
use ws_core::{ClientRequest, Connection, Dialer, Endpoint, Keys, Limits, Message, Stream};

use crate::{
    lines::Lines,
    report::{Narrator, Row},
};

const MESSAGES: usize = 200;
const PAUSE: Duration = Duration::from_millis(5);
const CHANNEL: &str = "demo";
/// How long the last delivery is waited for.
const PATIENCE: Duration = Duration::from_secs(8);

/// Inside an answer to the publisher, which then cannot know what became of its
/// publication; and inside a push to the subscriber.
const PUBLISHER_CUT: Rule = Rule::new(Direction::ToClient, At::Byte(14_000), Action::Reset);
const SUBSCRIBER_CUT: Rule = Rule::new(Direction::ToClient, At::Frame(120), Action::Reset);

/// Against a sandbox in this process, over loopback sockets.
pub(crate) async fn local(narrator: &Narrator) -> Result<Row, String> {
    let auditor = Auditor::default();
    let config = CentrifugoConfig::default().auditor(auditor.clone());
    let sandbox = Sandbox::builder().only(["cent"]).centrifugo(config).start().await;
    let sandbox = sandbox.map_err(|e| format!("no port: {e}"))?;
    let server = sandbox.centrifugo();
    narrator.say(&format!("sandbox listens on {}", server.url()));
    let address = server.address().ok_or("no port")?;
    let lines = Lines::new(address, [PUBLISHER_CUT, SUBSCRIBER_CUT]).await;
    let lines = lines.map_err(|e| format!("no port: {e}"))?;
    let [to_publish, to_subscribe] = lines.addresses;
    // A publication with a key can be made again: the server knows the repetition.
    let again = Backoff::default().first(Duration::from_millis(20));
    let config = Config::v6(format!("http://{to_publish}"), server.api_key()).retry(5, again);
    let publisher = AsyncClient::new(config).map_err(|e| e.to_string())?;
    let url = format!("ws://{to_subscribe}/connection/websocket");
    let subscriber = Subscriber::new(narrator, &auditor, &url)?;
    let socket = subscriber.open(None).await?;
    auditor.subscribed("subscriber", CHANNEL);
    narrator.say("subscriber is connected and subscribed");
    let demo = Demo { narrator, auditor: &auditor, proxy: lines.first() };
    let (published, received) = tokio::join!(demo.publish(&publisher), subscriber.run(socket));
    let recovered = [received?, published?].concat();
    let cuts = lines.cuts();
    Ok(Row { name: "cent", verdict: auditor.verdict(), cuts, recovered, resumes: true })
}

struct Demo<'d> {
    narrator: &'d Narrator,
    auditor: &'d Auditor,
    proxy: &'d Proxy,
}

impl Demo<'_> {
    /// Publishes; returns how long the call took that was cut off.
    async fn publish(&self, client: &AsyncClient) -> Result<Vec<Duration>, String> {
        let mut recovered = Vec::new();
        for n in 1..=MESSAGES {
            let message = n.to_string();
            self.auditor.accepted(CHANNEL, &message);
            let (cuts, start) = (self.proxy.faults().struck(), Instant::now());
            let publish = Publish::new(CHANNEL, &n).idempotency_key(&message);
            client.call(publish).await.map_err(|e| format!("publishing failed: {e}"))?;
            self.auditor.acknowledged(CHANNEL, &message);
            if self.proxy.faults().struck() > cuts {
                recovered.push(start.elapsed());
                self.narrator.say(&format!("publisher was cut off in call {n}, and made it again"));
            }
            if n % 50 == 0 {
                self.narrator.say(&format!("{n} of {MESSAGES} published and acknowledged"));
            }
            tokio::time::sleep(PAUSE).await;
        }
        Ok(recovered)
    }
}

type Socket = Connection<Stream>;

/// A client of the WebSocket protocol, which `cent` is none of: enough of one to
/// see what is published, and to recover.
struct Subscriber<'d> {
    narrator: &'d Narrator,
    auditor: &'d Auditor,
    endpoint: Endpoint,
    /// Where the channel's history is known up to: epoch and offset.
    place: RefCell<(String, u64)>,
    got: RefCell<usize>,
}

impl<'d> Subscriber<'d> {
    fn new(narrator: &'d Narrator, auditor: &'d Auditor, url: &str) -> Result<Self, String> {
        let endpoint = url.parse().map_err(|e| format!("{url}: {e}"))?;
        let (place, got) = (RefCell::default(), RefCell::default());
        Ok(Self { narrator, auditor, endpoint, place, got })
    }

    /// Connects and subscribes, from a place on if there is one.
    async fn open(&self, from: Option<(String, u64)>) -> Result<Socket, String> {
        let told = |e: ws_core::Error| format!("the subscriber cannot connect: {e}");
        let request = ClientRequest::new(&self.endpoint);
        let (limits, keys) = (Limits::default(), Keys::system());
        let opened = Dialer::new().connect(&self.endpoint, request, limits, keys).await;
        let (mut socket, _) = opened.map_err(told)?;
        let mut subscribe = json!({"channel": CHANNEL});
        if let Some((epoch, offset)) = from {
            subscribe =
                json!({"channel": CHANNEL, "recover": true, "epoch": epoch, "offset": offset});
        }
        let commands = [json!({"id": 1, "connect": {}}), json!({"id": 2, "subscribe": subscribe})];
        for command in commands {
            socket.send(&Message::text(command.to_string())).await.map_err(told)?;
        }
        loop {
            let frames = receive(&mut socket).await.ok_or("the subscriber is not let in")?;
            for frame in frames {
                if let Some(joined) = frame.get("subscribe") {
                    self.joined(joined);
                    return Ok(socket);
                }
                if frame.get("error").is_some() {
                    return Err(format!("the subscriber is not let in: {frame}"));
                }
            }
        }
    }

    fn joined(&self, joined: &Value) {
        if joined["recovered"] == false {
            self.auditor.gap("subscriber", None);
            self.narrator.say("a gap: the history does not reach back");
        }
        if let Some(epoch) = joined["epoch"].as_str() {
            self.place.borrow_mut().0 = epoch.to_owned();
        }
        for publication in joined["publications"].as_array().into_iter().flatten() {
            self.take(publication);
        }
    }

    fn take(&self, publication: &Value) {
        self.auditor.delivered("subscriber", &publication["data"].to_string());
        self.place.borrow_mut().1 = publication["offset"].as_u64().unwrap_or_default();
        *self.got.borrow_mut() += 1;
        let got = *self.got.borrow();
        if got.is_multiple_of(50) {
            self.narrator.say(&format!("{got} of {MESSAGES} delivered"));
        }
    }

    /// Receives until all is there; returns how long each recovery took.
    async fn run(&self, mut socket: Socket) -> Result<Vec<Duration>, String> {
        let mut recovered = Vec::new();
        loop {
            // When all is there, a moment more: nothing may come twice.
            let all = *self.got.borrow() >= MESSAGES;
            let patience = if all { Duration::from_millis(300) } else { PATIENCE };
            match tokio::time::timeout(patience, receive(&mut socket)).await {
                Ok(Some(frames)) => {
                    let pushes = frames.iter().filter_map(|frame| frame.get("push"));
                    pushes.filter_map(|push| push.get("pub")).for_each(|p| self.take(p));
                }
                Ok(None) => {
                    let lost = Instant::now();
                    self.narrator.say("subscriber is cut off");
                    let place = self.place.borrow().clone();
                    socket = self.open(Some(place)).await?;
                    recovered.push(lost.elapsed());
                    self.narrator.say("subscriber is back, and asks for what it missed");
                }
                Err(_) => return Ok(recovered),
            }
        }
    }
}

/// The JSON values of the next message; `None` when the connection is gone.
async fn receive(socket: &mut Socket) -> Option<Vec<Value>> {
    match socket.next().await.ok()?? {
        Message::Text(text) => text.lines().map(|line| serde_json::from_str(line).ok()).collect(),
        _ => Some(Vec::new()),
    }
}
