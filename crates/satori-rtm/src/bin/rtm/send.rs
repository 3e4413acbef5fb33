//! The commands that send.

use std::time::Duration;

use satori_rtm::{Client, Error, Value};
use tokio::{
    io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, BufReader},
    task::JoinSet,
};

use crate::{
    Failure,
    session::{connect, print, value, why},
    settings::Settings,
};

/// Messages that wait for their answers at a time.
const AT_A_TIME: usize = 500;
/// Longest line that is read.
const LONGEST: u64 = 16 << 20;

pub(crate) async fn publish(settings: &Settings, channel: &str) -> Result<(), Failure> {
    let Some(client) = connect(settings).await? else { return Ok(()) };
    let mut sender = Sender::new(client, settings.acks);
    if !settings.json {
        print(&format!("Sending input to {channel}, press C-d or C-c to stop"))?;
    }
    let mut input = BufReader::new(tokio::io::stdin());
    let read = loop {
        let Some(line) = settings.interrupt.unless(line(&mut input)).await else { break Ok(()) };
        match line {
            Ok(Some(line)) if sender.send(channel, value(line.trim_end())).await => {}
            Ok(_) => break Ok(()),
            Err(reason) => break Err(reason),
        }
    };
    // What was sent before a bad line is waited for.
    sender.finish().await.and(read)
}

/// Reads a line of bounded length.
pub(crate) async fn line(
    input: &mut (impl AsyncBufRead + Unpin),
) -> Result<Option<String>, Failure> {
    let mut line = Vec::new();
    let read = input.take(LONGEST).read_until(b'\n', &mut line).await;
    match read.map_err(|e| format!("the input: {e}"))? as u64 {
        0 => Ok(None),
        LONGEST if line.last() != Some(&b'\n') => {
            Err(format!("the input has a line of more than {LONGEST} bytes"))
        }
        _ => Ok(Some(String::from_utf8_lossy(&line).into_owned())),
    }
}

/// Publishes in order, without waiting for each answer.
pub(crate) struct Sender {
    client: Client,
    acks: bool,
    waiting: JoinSet<Result<(), Error>>,
    sent: u64,
    failed: u64,
    /// Why the first one failed.
    reason: Option<Failure>,
}

impl Sender {
    pub(crate) fn new(client: Client, acks: bool) -> Self {
        Self { client, acks, waiting: JoinSet::new(), sent: 0, failed: 0, reason: None }
    }

    /// Publishes. False if something failed, this or an earlier message: no more
    /// should be sent, and [`finish`](Self::finish) says why.
    pub(crate) async fn send(&mut self, channel: &str, message: Value) -> bool {
        if !self.acks {
            self.sent += 1;
            let posted = self.client.publish_unacknowledged(channel, &message).await;
            self.judge(posted);
            return self.failed == 0;
        }
        while self.waiting.len() >= AT_A_TIME {
            self.take_answer().await;
        }
        while let Some(answer) = self.waiting.try_join_next() {
            self.judge(flat(answer));
        }
        self.sent += 1;
        let (client, channel) = (self.client.clone(), channel.to_owned());
        // On one thread tasks begin in the order in which they were made.
        let publish = async move { client.publish(&channel, &message).await.map(drop) };
        self.waiting.spawn(publish);
        self.failed == 0
    }

    /// Returns how many were sent.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    async fn take_answer(&mut self) {
        if let Some(answer) = self.waiting.join_next().await {
            self.judge(flat(answer));
        }
    }

    fn judge(&mut self, answer: Result<(), Error>) {
        if let Err(error) = answer {
            self.failed += 1;
            self.reason.get_or_insert_with(|| why(&error));
        }
    }

    /// Waits for the answers that are due, and closes the connection.
    pub(crate) async fn finish(mut self) -> Result<(), Failure> {
        while !self.waiting.is_empty() {
            self.take_answer().await;
        }
        let report = self.client.close(Duration::from_secs(5)).await;
        let (sent, failed) = (self.sent, self.failed);
        match (self.reason, report.unacknowledged + report.unsent) {
            (None, 0) => Ok(()),
            (None, left) => Err(format!("{left} of {sent} messages were not acknowledged")),
            (Some(reason), _) if sent == 1 => Err(reason),
            (Some(reason), _) => Err(format!("{failed} of {sent} messages failed: {reason}")),
        }
    }
}

/// A task that publishes does not panic; if one did, its message is not known of.
fn flat(answer: Result<Result<(), Error>, tokio::task::JoinError>) -> Result<(), Error> {
    answer.unwrap_or(Err(Error::Closed))
}

pub(crate) async fn write(settings: &Settings, key: &str, text: &str) -> Result<(), Failure> {
    let Some(client) = connect(settings).await? else { return Ok(()) };
    let value = value(text);
    let written = async {
        match settings.acks {
            true => client.write(key, &value).await.map(drop),
            false => client.write_unacknowledged(key, &value).await,
        }
    };
    end(&client, written).await
}

pub(crate) async fn delete(settings: &Settings, key: &str) -> Result<(), Failure> {
    let Some(client) = connect(settings).await? else { return Ok(()) };
    let deleted = async {
        match settings.acks {
            true => client.delete(key).await.map(drop),
            false => client.delete_unacknowledged(key).await,
        }
    };
    end(&client, deleted).await
}

/// Does the one thing that was asked for; its answer, which has a deadline, is waited
/// for even if it is interrupted.
async fn end(
    client: &Client,
    task: impl Future<Output = Result<(), Error>>,
) -> Result<(), Failure> {
    task.await.map_err(|e| why(&e))?;
    match client.close(Duration::from_secs(5)).await.is_clean() {
        true => Ok(()),
        false => Err("the connection ended before everything was sent".to_owned()),
    }
}
