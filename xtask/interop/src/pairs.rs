//! Satori RTM: clients of all kinds, each in JSON and in CBOR, publish to each other
//! through one sandbox.
//!
//! Every kind publishes the same messages to a channel of its own; then every kind
//! hears all channels from the beginning of their history. Texts and numbers are equal
//! everywhere, byte strings among those who speak CBOR; who speaks JSON sees them in
//! base64.

use std::{collections::BTreeMap, path::Path, time::Duration};

use realtime_sandbox::{Engine, RtmConfig, RtmServer};
use satori_rtm::{Client, Config, Delivery, Protocol, Subscribe};
use serde::Deserialize;
use serde_json::{Value, json};

use crate::{driver, report::Report};

/// A kind of client: how it is started.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Kind {
    name: String,
    command: Vec<String>,
    env: Option<BTreeMap<String, String>>,
}

/// A kind that speaks one of the two encodings.
struct Speaker {
    name: String,
    /// Nothing for ours.
    kind: Option<Kind>,
    protocol: Protocol,
}

type Heard = BTreeMap<String, Vec<Value>>;

pub(crate) async fn run(
    kinds: Vec<Kind>,
    missing: &[String],
    home: &Path,
    within: Duration,
) -> Result<Report, String> {
    // The Python SDK sends CBOR in text frames.
    let config = RtmConfig::default().text_frames();
    let server = RtmServer::new(config, Engine::WsCore);
    server.listen(0).await.map_err(|e| format!("no port: {e}"))?;
    let mut speakers = Vec::new();
    for kind in kinds.into_iter().map(Some).chain([None]) {
        for protocol in [Protocol::Json, Protocol::Cbor] {
            let name = kind.as_ref().map_or("ours", |kind| &kind.name);
            let name = format!("{name} {}", named(protocol));
            speakers.push(Speaker { name, kind: kind.clone(), protocol });
        }
    }
    for speaker in &speakers {
        let speak = BTreeMap::from([(speaker.name.clone(), messages(speaker.protocol))]);
        speaker.converse(&server, &speak, &BTreeMap::new(), home, within).await?;
    }
    let wanted: BTreeMap<String, usize> = speakers
        .iter()
        .map(|speaker| (speaker.name.clone(), messages(speaker.protocol).len()))
        .collect();
    let (mut pairs, mut delivered, mut findings) = (0, 0, Vec::new());
    for hearer in &speakers {
        let heard = hearer.converse(&server, &BTreeMap::new(), &wanted, home, within).await?;
        for speaker in &speakers {
            pairs += 1;
            let got = heard.get(&speaker.name).map(Vec::as_slice).unwrap_or_default();
            delivered += got.len();
            let expected = as_heard(&messages(speaker.protocol), hearer.protocol);
            if !same(got, &expected) {
                let (from, to) = (&speaker.name, &hearer.name);
                findings.push(format!("{from} to {to}: {} is {}", json!(expected), json!(got)));
            }
        }
    }
    let kinds = speakers.len();
    let mut line = json!({
        "kinds": kinds, "pairs": pairs,
        "published": wanted.values().sum::<usize>(),
        "delivered": delivered,
    });
    if let (Some(line), false) = (line.as_object_mut(), missing.is_empty()) {
        line.insert("not_run".to_owned(), missing.join("; ").into());
    }
    let is_good = findings.is_empty();
    Ok(Report { line, findings, is_good })
}

const fn named(protocol: Protocol) -> &'static str {
    match protocol {
        Protocol::Cbor => "cbor",
        _ => "json",
    }
}

/// What everybody publishes; byte strings those who can.
fn messages(protocol: Protocol) -> Vec<Value> {
    let deep = json!({"who": "zebra", "where": [34.5, -118.25], "deep": {"a": [null, [1], {}]}});
    let mut all = vec![
        json!(null),
        json!(true),
        json!(false),
        json!(0),
        json!(-1),
        json!(4_294_967_296_u64),
        json!(9_007_199_254_740_991_i64),
        json!(-9_007_199_254_740_991_i64),
        json!(2.5),
        json!(-1e-7),
        json!(""),
        json!("zebra"),
        json!("é 中 😀 \" \\ \n"),
        json!([]),
        json!([1, [2, [3]]]),
        json!({}),
        deep,
    ];
    if protocol == Protocol::Cbor {
        all.push(json!({"$bytes": "00ff10"}));
        all.push(json!({"raw": [{"$bytes": ""}, {"$bytes": "c3a9"}]}));
    }
    all
}

/// What of it comes to whoever speaks `protocol`.
fn as_heard(messages: &[Value], protocol: Protocol) -> Vec<Value> {
    fn base64(value: &Value) -> Value {
        match value {
            Value::Object(fields) => match fields.get("$bytes").and_then(Value::as_str) {
                Some("00ff10") => json!("AP8Q"),
                Some("c3a9") => json!("w6k="),
                Some(_) => json!(""),
                None => fields.iter().map(|(name, value)| (name.clone(), base64(value))).collect(),
            },
            Value::Array(items) => items.iter().map(base64).collect(),
            other => other.clone(),
        }
    }
    match protocol {
        Protocol::Cbor => messages.to_vec(),
        _ => messages.iter().map(base64).collect(),
    }
}

/// Equal, whether a number is written with a fraction or not.
fn same(got: &[Value], expected: &[Value]) -> bool {
    fn equal(left: &Value, right: &Value) -> bool {
        match (left, right) {
            (Value::Number(left), Value::Number(right)) => left.as_f64() == right.as_f64(),
            (Value::Array(left), Value::Array(right)) => same(left, right),
            (Value::Object(left), Value::Object(right)) => {
                left.len() == right.len()
                    && left.iter().all(|(name, value)| {
                        right.get(name).is_some_and(|other| equal(value, other))
                    })
            }
            (left, right) => left == right,
        }
    }
    got.len() == expected.len() && got.iter().zip(expected).all(|(got, want)| equal(got, want))
}

impl Speaker {
    /// Publishes what is to be spoken, then hears what is to be heard.
    async fn converse(
        &self,
        server: &RtmServer,
        speak: &BTreeMap<String, Vec<Value>>,
        hear: &BTreeMap<String, usize>,
        home: &Path,
        within: Duration,
    ) -> Result<Heard, String> {
        let told = |e: String| format!("{}: {e}", self.name);
        match &self.kind {
            None => tokio::time::timeout(within, self.ours(server, speak, hear))
                .await
                .map_err(|_| told(format!("nothing within {} s", within.as_secs())))?
                .map_err(told),
            Some(kind) => {
                let client =
                    driver::Client { command: kind.command.clone(), home: home.to_owned() };
                let (speak, hear) = (json!(speak).to_string(), json!(hear).to_string());
                let url = server.url();
                let mut env = vec![
                    ("RTM_ENDPOINT", url.as_str()),
                    ("RTM_APPKEY", server.appkey()),
                    ("RTM_PROTOCOL", named(self.protocol)),
                    ("RTM_SPEAK", &speak),
                    ("RTM_HEAR", &hear),
                ];
                let own = kind.env.iter().flatten();
                env.extend(own.map(|(name, value)| (name.as_str(), value.as_str())));
                driver::run(&client, &env, within).await.map_err(told)
            }
        }
    }

    async fn ours(
        &self,
        server: &RtmServer,
        speak: &BTreeMap<String, Vec<Value>>,
        hear: &BTreeMap<String, usize>,
    ) -> Result<Heard, String> {
        let told = |e: satori_rtm::Error| e.to_string();
        let config = Config::new(server.url(), server.appkey()).protocol(self.protocol);
        let client = Client::connect(config).await.map_err(told)?;
        for (channel, messages) in speak {
            for message in messages {
                client.publish(channel, &meant(message)).await.map_err(told)?;
            }
        }
        let mut heard = Heard::new();
        for (channel, count) in hear {
            let history = Subscribe::new().history_count(*count as u64);
            let mut subscription = client.subscribe(channel, history).await.map_err(told)?;
            let messages = heard.entry(channel.clone()).or_default();
            while messages.len() < *count {
                match subscription.next().await {
                    Some(Delivery::Message(message)) => {
                        let value: satori_rtm::Value = message.decode().map_err(told)?;
                        messages.push(shown(&value));
                    }
                    other => return Err(format!("{channel}: {other:?}")),
                }
            }
        }
        client.close(Duration::from_secs(5)).await;
        Ok(heard)
    }
}

/// What a line of JSON means.
fn meant(value: &Value) -> satori_rtm::Value {
    match value {
        Value::Object(fields) => match fields.get("$bytes").and_then(Value::as_str) {
            Some(hex) => {
                let digit = |byte: u8| char::from(byte).to_digit(16).unwrap_or_default() as u8;
                let pair = |pair: &[u8]| pair.iter().fold(0, |sum, byte| sum << 4 | digit(*byte));
                satori_rtm::Value::Bytes(hex.as_bytes().chunks(2).map(pair).collect())
            }
            None => {
                let field = |(name, value): (&String, &Value)| (name.clone(), meant(value));
                satori_rtm::Value::Map(fields.iter().map(field).collect())
            }
        },
        Value::Array(items) => satori_rtm::Value::List(items.iter().map(meant).collect()),
        // What JSON says is a value.
        other => satori_rtm::Value::of(other).unwrap_or(satori_rtm::Value::Null),
    }
}

/// The other way round.
fn shown(value: &satori_rtm::Value) -> Value {
    match value {
        satori_rtm::Value::Bytes(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({"$bytes": hex})
        }
        satori_rtm::Value::List(items) => items.iter().map(shown).collect(),
        satori_rtm::Value::Map(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), shown(value))).collect()
        }
        other => serde_json::to_value(other).unwrap_or_default(),
    }
}
