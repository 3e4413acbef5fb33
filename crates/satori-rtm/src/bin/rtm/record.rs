//! Writes what channels deliver: a line of JSON for each delivery, with its time.

use std::{
    fs::File,
    io::{BufWriter, Write},
    time::{Duration, SystemTime, UNIX_EPOCH},
};

use satori_rtm::{Client, Delivery, Error, Message, Subscribe};
use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    Failure,
    options::Record,
    session::{connect, why},
    settings::Settings,
};

/// What a channel has to say.
enum Item {
    Subscribed,
    Batch(Batch),
}

/// One delivery of one channel.
struct Batch {
    channel: String,
    messages: Vec<Message>,
    seconds: f64,
}

pub(crate) async fn record(settings: &Settings, options: Record) -> Result<(), Failure> {
    let Some(client) = connect(settings).await? else { return Ok(()) };
    let (all, items) = mpsc::channel(1);
    for channel in &options.channels {
        let wanted = options.start.add_to(Subscribe::new()).mode(settings.mode);
        tokio::spawn(gather(client.clone(), channel.clone(), wanted, all.clone()));
    }
    drop(all);
    let time = options.time_limit_in_seconds.map(Duration::from_secs);
    let end = async move {
        match time {
            Some(time) => tokio::time::sleep(time).await,
            None => std::future::pending().await,
        }
    };
    tokio::select! {
        written = write(items, &options) => written?,
        () = end => {}
        () = settings.interrupt.wait() => {}
    }
    client.close(Duration::from_secs(5)).await;
    Ok(())
}

/// Writes what comes until a limit is reached. Each line is written at once: nothing is
/// left when this is dropped.
async fn write(
    mut items: mpsc::Receiver<Result<Item, Failure>>,
    options: &Record,
) -> Result<(), Failure> {
    let mut out = None;
    let (mut bytes, mut count) = (0, 0);
    let most_bytes = options.size_limit_in_bytes.unwrap_or(u64::MAX);
    let most = options.message_count_limit.unwrap_or(u64::MAX);
    while bytes < most_bytes && count < most {
        let Some(item) = items.recv().await.transpose()? else { break };
        // Not before a channel is there: a failure leaves an earlier recording alone.
        let out = match &mut out {
            Some(out) => out,
            None => out.insert(open(options)?),
        };
        let Item::Batch(batch) = item else { continue };
        let left = usize::try_from(most - count).unwrap_or(usize::MAX);
        let Some((line, messages)) = written(batch, left) else { continue };
        let wrote = writeln!(out, "{line}").and_then(|()| out.flush());
        wrote.map_err(|e| format!("the output: {e}"))?;
        bytes += line.len() as u64 + 1;
        count += messages;
    }
    Ok(())
}

fn open(options: &Record) -> Result<Box<dyn Write>, Failure> {
    let Some(path) = &options.output_file else { return Ok(Box::new(std::io::stdout())) };
    let file = File::create(path).map_err(|e| format!("{}: {e}", path.display()))?;
    Ok(Box::new(BufWriter::new(file)))
}

/// Subscribes, and puts together what comes at once, up to a position of the service.
async fn gather(
    client: Client,
    channel: String,
    wanted: Subscribe,
    to: mpsc::Sender<Result<Item, Failure>>,
) {
    let mut subscription = match client.subscribe(&channel, wanted).await {
        Ok(subscription) => subscription,
        Err(error) => return tell_end(&to, &channel, &error).await,
    };
    let mut messages = Vec::new();
    if to.send(Ok(Item::Subscribed)).await.is_err() {
        return;
    }
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
                if messages.is_empty() || send(&to, &channel, &mut messages).await {
                    tell_end(&to, &channel, &error).await;
                }
                return;
            }
            Some(_) => {}
            None => {
                if !messages.is_empty() {
                    let _gone = send(&to, &channel, &mut messages).await;
                }
                return;
            }
        }
    }
}

async fn tell_end(to: &mpsc::Sender<Result<Item, Failure>>, channel: &str, error: &Error) {
    let _gone = to.send(Err(format!("{channel}: {}", why(error)))).await;
}

/// Hands a batch over; false if nobody takes it.
async fn send(
    to: &mpsc::Sender<Result<Item, Failure>>,
    channel: &str,
    messages: &mut Vec<Message>,
) -> bool {
    let seconds = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0.0, |d| d.as_secs_f64());
    let (channel, messages) = (channel.to_owned(), std::mem::take(messages));
    to.send(Ok(Item::Batch(Batch { channel, messages, seconds }))).await.is_ok()
}

/// A line for at most `most` messages, and how many it has. A byte string, which JSON
/// cannot say, is told and left out.
fn written(batch: Batch, most: usize) -> Option<(String, u64)> {
    let Batch { channel, messages, seconds } = batch;
    let mut texts = Vec::new();
    let mut position = None;
    for message in &messages {
        if texts.len() == most {
            // It is after the last of them, and not that of a line that is cut.
            position = None;
            break;
        }
        match line_of(message) {
            Ok(text) => texts.push(text),
            Err(reason) => eprintln!("{channel}: a message is left out: {reason}"),
        }
        position = message.next_position().map(ToString::to_string);
    }
    let (id, position, count) = (json!(channel), json!(position), texts.len() as u64);
    let line = format!(
        r#"{{"messages":[{}],"position":{position},"subscription_id":{id},"timestamp":{seconds}}}"#,
        texts.join(",")
    );
    (count > 0).then_some((line, count))
}

fn line_of(message: &Message) -> Result<String, Failure> {
    if message.as_json().is_some() {
        return Ok(message.to_string());
    }
    let value: satori_rtm::Value = message.decode().map_err(|e| why(&e))?;
    serde_json::to_string(&value).map_err(|e| e.to_string())
}
