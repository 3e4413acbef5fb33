//! emitter: an original client and ours exchange messages through the sandbox, over
//! everything that either of them speaks.

use std::time::Duration;

use emitter::{Address, Client as Ours, Config, Delivery, PublishOptions, SubscribeOptions};
use realtime_sandbox::{Auditor, Authority, EmitterConfig, EmitterServer, Engine, Totals};
use serde::Deserialize;
use serde_json::json;

use crate::{
    driver::{self, Client},
    report::Report,
};

const MESSAGES: u64 = 200;
const SECRET: &str = "interop-secret-key";
const KEY: &str = "interop-channel-key";
/// Our last word.
const OVER: &str = "over";

/// What a client says that it did and read.
#[derive(Debug, Deserialize)]
struct Saw {
    delivered: Vec<u64>,
    /// Calls that did what they should; it ends at the first that did not.
    calls: u64,
}

pub(crate) async fn run(client: &Client, within: Duration) -> Result<Report, String> {
    let authority = Authority::new().map_err(|e| format!("no authority: {e}"))?;
    let pem = client.home.join("authority.pem");
    std::fs::write(&pem, authority.pem()).map_err(|e| format!("{}: {e}", pem.display()))?;
    let (mut totals, mut findings, mut calls) = (Totals::default(), Vec::new(), 0);
    for (secure, websocket) in [(false, false), (false, true), (true, false), (true, true)] {
        let auditor = Auditor::default();
        let config = EmitterConfig::default().secret_key(SECRET).key(KEY, "#/", "rwslp");
        let server = EmitterServer::new(config.auditor(auditor.clone()), Engine::Tungstenite);
        let port = match secure {
            true => server.listen_tls(0, &authority).await,
            false => server.listen(0).await.map(|()| server.port()),
        };
        let port = port.map_err(|e| format!("no port: {e}"))?;
        let saw = one_way(client, within, &auditor, port, (secure, websocket), &authority, &pem);
        calls += saw.await?;
        totals.add(&auditor, 0);
        findings.extend(auditor.verdict().findings.iter().map(ToString::to_string));
    }
    let line = json!({
        "published": totals.published, "acknowledged": totals.acknowledged,
        "delivered": totals.delivered, "lost": totals.lost, "duplicated": totals.duplicated,
        "gaps": totals.gaps, "calls": calls,
    });
    // Both ways, the other side's first word, and our last.
    let all = 4 * (2 * MESSAGES + 2);
    let is_good = findings.is_empty() && totals.delivered == all && calls > 0;
    Ok(Report { line, findings, is_good })
}

/// One exchange; returns how many calls of theirs did what they should.
async fn one_way(
    client: &Client,
    within: Duration,
    auditor: &Auditor,
    port: u16,
    (secure, websocket): (bool, bool),
    authority: &Authority,
    pem: &std::path::Path,
) -> Result<u64, String> {
    let env = [
        ("EMITTER_HOST", "localhost".to_owned()),
        ("EMITTER_PORT", port.to_string()),
        ("EMITTER_SECURE", u8::from(secure).to_string()),
        ("EMITTER_SECRET", SECRET.to_owned()),
        ("EMITTER_KEY", KEY.to_owned()),
        ("EMITTER_MESSAGES", MESSAGES.to_string()),
        // Whom OpenSSL and Node trust.
        ("SSL_CERT_FILE", pem.display().to_string()),
        ("NODE_EXTRA_CA_CERTS", pem.display().to_string()),
    ];
    let env: Vec<(&str, &str)> = env.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let address = Address::new("localhost").port(port);
    let address = if secure { address } else { address.insecure() };
    let address = if websocket { address.websocket() } else { address };
    let config = Config::new(address).tls_root(authority.der());
    let ours = Ours::connect(config).await.map_err(|e| format!("our client: {e}"))?;
    let exchanged = tokio::try_join!(driver::run::<Saw>(client, &env, within), async {
        tokio::time::timeout(within, exchange(&ours, auditor))
            .await
            .unwrap_or_else(|_| Err("our client: not everything came in time".into()))
    });
    let (saw, ()) = exchanged?;
    for n in &saw.delivered {
        auditor.delivered("they", &n.to_string());
    }
    // It ends when it has got this one.
    auditor.delivered("they", OVER);
    Ok(saw.calls)
}

/// Waits until the other side is there, publishes, receives, and says when all is.
async fn exchange(ours: &Ours, auditor: &Auditor) -> Result<(), String> {
    let told = |error: emitter::Error| format!("our client: {error}");
    let none = SubscribeOptions::new().last(0);
    let mut theirs = ours.subscribe(KEY, "from_them", none).await.map_err(told)?;
    auditor.subscribed("we", "from_them/");
    let mut sent = 0;
    for received in 0..=MESSAGES {
        match theirs.next().await {
            Some(Delivery::Message(message)) => {
                let text = message.as_str().map_err(told)?;
                auditor.delivered("we", text);
                if received == 0 {
                    // Whoever says that he is there has subscribed.
                    auditor.subscribed("they", "from_us/");
                }
            }
            other => return Err(format!("our client's subscription: {other:?}")),
        }
        // They send each one back: some are always under way.
        while sent < MESSAGES && sent < received + 20 {
            sent += 1;
            let text = sent.to_string();
            auditor.accepted("from_us/", &text);
            let options = PublishOptions::new();
            ours.publish(KEY, "from_us", text.as_str(), options).await.map_err(told)?;
            auditor.acknowledged("from_us/", &text);
        }
    }
    ours.publish(KEY, "from_us", OVER, PublishOptions::new()).await.map_err(told)
}
