//! Writes what channels deliver: a line of JSON for each delivery, with its time.

use std::{
    fs::File,
    io::{BufWriter, Write},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use satori_rtm::{Delivery, Message, Subscribe, Subscription};
use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    Failure,
    options::Record,
    session::{connect, why},
    settings::Settings,
};

/// One delivery of one channel.
struct Batch {
    channel: String,
    messages: Vec<Message>,
    seconds: f64,
}

pub(crate) async fn record(settings: &Settings, options: Record) -> Result<(), Failure> {
    let mut out: Box<dyn Write> = match &options.output_file {
        Some(path) => {
            let file = File::create(path).map_err(|e| format!("{}: {e}", path.display()))?;
            Box::new(BufWriter::new(file))
        }
        None => Box::new(std::io::stdout()),
    };
    let client = connect(settings).await?;
    let (all, mut batches) = mpsc::channel(1);
    for channel in &options.channels {
        let wanted = options.start.add_to(Subscribe::new()).mode(settings.mode);
        let subscription = client.subscribe(channel, wanted).await;
        gather(subscription.map_err(|e| format!("{channel}: {}", why(&e)))?, all.clone());
    }
    drop(all);
    let time = options.time_limit_in_seconds.map(Duration::from_secs);
    let end = async move {
        match time {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::pin!(end);
    let (mut bytes, mut count) = (0, 0);
    let most_bytes = options.size_limit_in_bytes.unwrap_or(u64::MAX);
    let most = options.message_count_limit.unwrap_or(u64::MAX);
    while bytes < most_bytes && count < most {
        let batch = tokio::select! {
            batch = batches.recv() => batch,
            () = &mut end => break,
            _interrupted = tokio::signal::ctrl_c() => break,
        };
        let Some(batch) = batch.transpose()? else { break };
        let left = usize::try_from(most - count).unwrap_or(usize::MAX);
        let Some((line, messages)) = written(batch, left) else { continue };
        let wrote = writeln!(out, "{line}").and_then(|()| out.flush());
        wrote.map_err(|e| format!("the output: {e}"))?;
        bytes += line.len() as u64 + 1;
        count += messages;
    }
    client.close(Duration::from_secs(5)).await;
    Ok(())
}

/// Puts together what came at once, up to a position of the service.
fn gather(mut subscription: Subscription, to: mpsc::Sender<Result<Batch, Failure>>) {
    tokio::spawn(async move {
        let channel = subscription.id().to_owned();
        let mut messages = Vec::new();
        loop {
            // What is here is taken; when nothing is, the batch is over.
            let next = tokio::select! {
                biased;
                next = subscription.next() => next,
                () = std::future::ready(()), if !messages.is_empty() => {
                    if send(&to, &channel, &mut messages).await { continue } else { return }
                }
            };
            match next {
                Some(Delivery::Message(message)) => {
                    let last = message.next_position().is_some();
                    messages.push(message);
                    if last && !send(&to, &channel, &mut messages).await {
                        return;
                    }
                }
                Some(Delivery::Gap(gap)) => eprintln!("{channel}: messages are missing: {gap:?}"),
                Some(Delivery::Ended(error)) => {
                    let _gone = to.send(Err(format!("{channel}: {}", why(&error)))).await;
                    return;
                }
                Some(_) => {}
                None => return,
            }
        }
    });
}

/// Hands a batch over; false if nobody takes it.
async fn send(
    to: &mpsc::Sender<Result<Batch, Failure>>,
    channel: &str,
    messages: &mut Vec<Message>,
) -> bool {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
    let (channel, messages) = (channel.to_owned(), std::mem::take(messages));
    to.send(Ok(Batch { channel, messages, seconds })).await.is_ok()
}

/// A line for at most `most` messages, and how many it has. A byte string, which JSON
/// cannot say, is told and left out.
fn written(batch: Batch, most: usize) -> Option<(String, u64)> {
    let Batch { channel, messages, seconds } = batch;
    let position = messages.iter().find_map(Message::next_position).map(ToString::to_string);
    let mut texts = Vec::new();
    for message in messages.iter().take(most) {
        match message.as_json().map(str::to_owned).map_or_else(|| to_json(message), Ok) {
            Ok(text) => texts.push(text),
            Err(reason) => eprintln!("{channel}: a message is left out: {reason}"),
        }
    }
    let (id, position, count) = (json!(channel), json!(position), texts.len() as u64);
    let line = format!(
        r#"{{"messages":[{}],"position":{position},"subscription_id":{id},"timestamp":{seconds}}}"#,
        texts.join(",")
    );
    (count > 0).then_some((line, count))
}

fn to_json(message: &Message) -> Result<String, Failure> {
    let value: satori_rtm::Value = message.decode().map_err(|e| why(&e))?;
    serde_json::to_string(&value).map_err(|e| e.to_string())
}
