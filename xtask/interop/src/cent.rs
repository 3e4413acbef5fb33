//! Centrifugo: the Python client on the sandbox.

use std::time::Duration;

use realtime_sandbox::{Auditor, CentrifugoConfig, CentrifugoServer, Engine};
use serde::Deserialize;
use serde_json::json;

use crate::{
    driver::{self, Client},
    report::Report,
};

const MESSAGES: u64 = 100;
const CHANNEL: &str = "interop";
const CLIENT: &str = "client";

/// What a client says that it did and read.
#[derive(Debug, Deserialize)]
struct Saw {
    acknowledged: Vec<u64>,
    /// Its channel's history.
    kept: Vec<u64>,
    /// Calls that did what they should; it ends at the first that did not.
    calls: u64,
}

pub(crate) async fn run(client: &Client, within: Duration) -> Result<Report, String> {
    let auditor = Auditor::default();
    let config = CentrifugoConfig::default().auditor(auditor.clone());
    let server = CentrifugoServer::new(config, Engine::Tungstenite);
    server.listen(0).await.map_err(|e| format!("no port: {e}"))?;
    auditor.subscribed(CLIENT, CHANNEL);
    let saw: Saw = driver::run(
        client,
        &[
            ("CENT_URL", &server.url()),
            ("CENT_KEY", server.api_key()),
            ("CENT_SECRET", server.secret()),
            ("CENT_MESSAGES", &MESSAGES.to_string()),
        ],
        within,
    )
    .await?;
    for number in 1..=MESSAGES {
        auditor.accepted(CHANNEL, &number.to_string());
    }
    for number in saw.acknowledged {
        auditor.acknowledged(CHANNEL, &number.to_string());
    }
    for number in saw.kept {
        auditor.delivered(CLIENT, &number.to_string());
    }
    let verdict = auditor.verdict();
    let line = json!({
        "published": verdict.published, "acknowledged": verdict.acknowledged,
        "delivered": verdict.delivered, "lost": verdict.lost(),
        "duplicated": verdict.duplicated(), "calls": saw.calls,
    });
    let is_good = verdict.findings.is_empty()
        && (verdict.acknowledged, verdict.delivered) == (MESSAGES, MESSAGES)
        && saw.calls > 0;
    let findings = verdict.findings.iter().map(ToString::to_string).collect();
    Ok(Report { line, findings, is_good })
}
