//! Stream-sea: an original client and ours exchange messages through the sandbox.

use std::time::Duration;

use realtime_sandbox::{Auditor, Engine, StreamSeaConfig, StreamSeaServer};
use serde::Deserialize;
use serde_json::json;
use stream_sea::{Client as Ours, Config, Credentials, Delivery, Subscribe, Subscription};

use crate::{
    driver::{self, Client},
    report::Report,
};

const MESSAGES: u64 = 1000;
const FROM_THEM: &str = "from_them";
const FROM_US: &str = "from_us";

/// What a client says that it did and read.
#[derive(Debug, Deserialize)]
struct Saw {
    delivered: Vec<u64>,
    /// Calls that did what they should; it ends at the first that did not.
    calls: u64,
}

pub(crate) async fn run(client: &Client, within: Duration) -> Result<Report, String> {
    let auditor = Auditor::default();
    let config = StreamSeaConfig::default().auditor(auditor.clone());
    let server = StreamSeaServer::new(config, Engine::Tungstenite);
    server.listen(0).await.map_err(|e| format!("no port: {e}"))?;
    let (id, secret, port) = (server.client_id(), server.client_secret(), server.port());
    let env = [
        ("SEA_HOST", "127.0.0.1".to_owned()),
        ("SEA_PORT", port.to_string()),
        ("SEA_CLIENT_ID", id.to_owned()),
        ("SEA_CLIENT_SECRET", secret.to_owned()),
        ("SEA_MESSAGES", MESSAGES.to_string()),
    ];
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let told = |error: stream_sea::Error| format!("our client: {error}");
    let config = Config::new("127.0.0.1", port, Credentials::basic(id, secret));
    let ours = Ours::connect(config).await.map_err(told)?;
    let exchanged = tokio::try_join!(driver::run::<Saw>(client, &env, within), async {
        tokio::time::timeout(within, exchange(&ours, &auditor))
            .await
            .unwrap_or_else(|_| Err("our client: not everything came in time".into()))
    },);
    let (saw, ()) = exchanged?;
    for n in &saw.delivered {
        auditor.delivered("they", &message(*n));
    }
    // It ends when it has got this one.
    auditor.delivered("they", &over().to_string());
    let verdict = auditor.verdict();
    let line = json!({
        "published": verdict.published, "acknowledged": verdict.acknowledged,
        "delivered": verdict.delivered, "lost": verdict.lost(),
        "duplicated": verdict.duplicated(), "gaps": verdict.gaps, "calls": saw.calls,
    });
    // The Python client publishes by four threads: its messages come in any order.
    let unordered = |f: &&realtime_sandbox::Finding| !matches!(f, realtime_sandbox::Finding::Reordered { subscriber, .. } if subscriber == "we");
    let findings: Vec<String> =
        verdict.findings.iter().filter(unordered).map(ToString::to_string).collect();
    // Both ways, the other side's first word, and our last.
    let all = 2 * MESSAGES + 2;
    let is_good = findings.is_empty() && verdict.delivered == all && saw.calls > 0;
    Ok(Report { line, findings, is_good })
}

fn message(n: u64) -> String {
    json!({"n": n}).to_string()
}

/// Our last word.
fn over() -> serde_json::Value {
    json!({"over": true})
}

/// Waits until the other side is there, publishes, receives, and says when all is.
async fn exchange(ours: &Ours, auditor: &Auditor) -> Result<(), String> {
    let told = |error: stream_sea::Error| format!("our client: {error}");
    let mut subscription = subscribe(ours).await?;
    auditor.subscribed("we", FROM_THEM);
    let mut received = 0;
    while received == 0 {
        received += receive(&mut subscription, auditor).await?;
    }
    // Whoever says that he is there has subscribed.
    auditor.subscribed("they", FROM_US);
    for n in 1..=MESSAGES {
        auditor.accepted(FROM_US, &message(n));
        ours.publish(FROM_US, &json!({"n": n})).await.map_err(told)?;
        auditor.acknowledged(FROM_US, &message(n));
    }
    while received <= MESSAGES {
        received += receive(&mut subscription, auditor).await?;
    }
    ours.publish(FROM_US, &over()).await.map_err(told)
}

/// The other side defines the stream first.
async fn subscribe(ours: &Ours) -> Result<Subscription, String> {
    loop {
        match ours.subscribe(FROM_THEM, Subscribe::new().fanout()).await {
            Ok(subscription) => return Ok(subscription),
            Err(error) if error.code() == "subscribe" => {
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
            Err(error) => return Err(format!("our client: {error}")),
        }
    }
}

async fn receive(subscription: &mut Subscription, auditor: &Auditor) -> Result<u64, String> {
    match subscription.next().await {
        Some(Delivery::Message(message)) => {
            auditor.delivered("we", message.json());
            Ok(1)
        }
        Some(Delivery::Gap(gap)) => {
            auditor.gap("we", gap.missed);
            Ok(0)
        }
        other => Err(format!("our client's subscription has ended: {other:?}")),
    }
}
