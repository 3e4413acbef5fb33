//! Publishes what was recorded, at its pace.

use std::time::Duration;

use satori_rtm::Value;
use serde::Deserialize;
use tokio::{
    fs::File,
    io::{AsyncBufRead, BufReader},
    time::Instant,
};

use crate::{
    Failure,
    options::Replay,
    send::{Sender, line},
    session::connect,
    settings::Settings,
};

/// A line of a recording.
#[derive(Deserialize)]
struct Recorded {
    subscription_id: String,
    messages: Vec<Value>,
    timestamp: f64,
}

pub(crate) async fn replay(settings: &Settings, options: Replay) -> Result<(), Failure> {
    let rate = rate(&options.rate)?;
    let Some(client) = connect(settings).await? else { return Ok(()) };
    let mut sender = Sender::new(client, settings.acks);
    let start = Instant::now();
    for _ in 0..options.repeats.unwrap_or(1) {
        let mut input: Box<dyn AsyncBufRead + Unpin> = match &options.input_file {
            Some(path) => {
                let opened = File::open(path).await;
                Box::new(BufReader::new(opened.map_err(|e| format!("{}: {e}", path.display()))?))
            }
            None => Box::new(BufReader::new(tokio::io::stdin())),
        };
        let channel = options.override_channel.as_deref();
        let playing = play(&mut input, &mut sender, rate, channel);
        match settings.interrupt.unless(playing).await {
            Some(Ok(true)) => {}
            Some(Ok(false)) | None => break,
            Some(Err(reason)) => {
                // What was sent before a bad line is waited for.
                sender.finish().await?;
                return Err(reason);
            }
        }
    }
    let sent = sender.sent();
    sender.finish().await?;
    if settings.verbosity >= 1 {
        eprintln!("{sent} messages in {:.1?}", start.elapsed());
    }
    Ok(())
}

/// Plays a recording once; false if a message failed.
async fn play(
    input: &mut (dyn AsyncBufRead + Unpin),
    sender: &mut Sender,
    rate: Option<f64>,
    channel: Option<&str>,
) -> Result<bool, Failure> {
    let mut input = input;
    let mut begin = None;
    let mut number = 0_u64;
    while let Some(line) = line(&mut input).await? {
        number += 1;
        if line.trim().is_empty() {
            continue;
        }
        let recorded: Recorded = match serde_json::from_str(&line) {
            Ok(recorded) => recorded,
            Err(error) => {
                eprintln!("line {number} is skipped: {error}");
                continue;
            }
        };
        if let Some(rate) = rate {
            let (from, first) = *begin.get_or_insert_with(|| (Instant::now(), recorded.timestamp));
            let after = ((recorded.timestamp - first) / rate).clamp(0.0, 1e9);
            tokio::time::sleep_until(from + Duration::from_secs_f64(after)).await;
        }
        for message in recorded.messages {
            if !sender.send(channel.unwrap_or(&recorded.subscription_id), message).await {
                return Ok(false);
            }
        }
    }
    Ok(true)
}

/// How many times as fast; nothing for without waits.
fn rate(text: &str) -> Result<Option<f64>, Failure> {
    if text == "unlimited" {
        return Ok(None);
    }
    let rate = text.strip_suffix('x').and_then(|number| number.parse::<f64>().ok());
    let rate = rate.filter(|rate| rate.is_finite() && *rate > 0.0);
    rate.map(Some).ok_or_else(|| "--rate takes 2x, 0.5x or unlimited".to_owned())
}
