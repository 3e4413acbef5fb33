//! Satori RTM: the original SDKs on the sandbox.

use std::time::Duration;

use realtime_sandbox::{
    Action, At, Auditor, Direction, Engine, Faults, Proxy, RtmConfig, RtmServer, Rule, Verdict,
};
use serde::Deserialize;
use serde_json::json;

use crate::{
    driver::{self, Client},
    report::Report,
};

const MESSAGES: u64 = 100;
const CHANNEL: &str = "interop";
const CLIENT: &str = "client";

/// In the middle of a frame to the client, when about half is published: its
/// acknowledgement or a delivery is torn.
const CUT: Rule = Rule::new(Direction::ToClient, At::Frame(MESSAGES), Action::Reset);

/// What a client says that it saw.
#[derive(Debug, Deserialize)]
struct Saw {
    acknowledged: Vec<u64>,
    delivered: Vec<u64>,
    connects: u64,
    gaps: u64,
    /// A value was written, read and deleted as it should be.
    value: bool,
}

pub(crate) async fn run(client: &Client, within: Duration) -> Result<Report, String> {
    let auditor = Auditor::default();
    let server = RtmServer::new(RtmConfig::default().auditor(auditor.clone()), Engine::Tungstenite);
    let listening = |e| format!("no port: {e}");
    server.listen(0).await.map_err(listening)?;
    let faults = Faults::default();
    faults.add(CUT);
    let address = server.address().ok_or("no port")?;
    let proxy = Proxy::tcp(address, faults).await.map_err(listening)?;
    let endpoint = proxy.address().ok_or("no port")?;
    auditor.subscribed(CLIENT, CHANNEL);
    let saw: Saw = driver::run(
        client,
        &[
            ("RTM_ENDPOINT", &format!("ws://{endpoint}")),
            ("RTM_APPKEY", server.appkey()),
            ("RTM_ROLE", server.role()),
            ("RTM_ROLE_SECRET", server.role_secret()),
            ("RTM_MESSAGES", &MESSAGES.to_string()),
        ],
        within,
    )
    .await?;
    for number in 1..=MESSAGES {
        auditor.accepted(CHANNEL, &number.to_string());
    }
    for number in &saw.acknowledged {
        auditor.acknowledged(CHANNEL, &number.to_string());
    }
    for number in &saw.delivered {
        auditor.delivered(CLIENT, &number.to_string());
    }
    for _ in 0..saw.gaps {
        auditor.gap(CLIENT, None);
    }
    Ok(report(&auditor.verdict(), &saw, proxy.faults().struck()))
}

/// Good is: what was stored was delivered, once each, over one cut.
fn report(verdict: &Verdict, saw: &Saw, cuts: u64) -> Report {
    let line = json!({
        "published": verdict.published, "acknowledged": verdict.acknowledged,
        "sent_again": verdict.sent_again, "delivered": verdict.delivered,
        "lost": verdict.lost(), "duplicated": verdict.duplicated(), "gaps": verdict.gaps,
        "cuts": cuts, "connects": saw.connects,
        "write_read_delete": if saw.value { "right" } else { "wrong" },
    });
    let is_good = verdict.findings.is_empty()
        && verdict.acknowledged == MESSAGES
        && verdict.delivered == MESSAGES + verdict.sent_again
        && (cuts, saw.connects, saw.value) == (1, 2, true);
    let findings = verdict.findings.iter().map(ToString::to_string).collect();
    Report { line, findings, is_good }
}
