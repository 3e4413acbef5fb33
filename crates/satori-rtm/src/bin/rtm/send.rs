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
    let mut sender = Sender::new(connect(settings).await?, settings.acks);
    if !settings.json {
        print(&format!("Sending input to {channel}, press C-d or C-c to stop"))?;
    }
    let mut input = BufReader::new(tokio::io::stdin());
    loop {
        let line = tokio::select! {
            line = line(&mut input) => line?,
            _interrupted = tokio::signal::ctrl_c() => None,
        };
        match line {
            Some(line) => sender.send(channel, value(line.trim_end())).await?,
            None => return sender.finish().await,
        }
    }
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
}

impl Sender {
    pub(crate) fn new(client: Client, acks: bool) -> Self {
        Self { client, acks, waiting: JoinSet::new(), sent: 0 }
    }

    /// Publishes; fails if an earlier message was refused.
    pub(crate) async fn send(&mut self, channel: &str, message: Value) -> Result<(), Failure> {
        self.sent += 1;
        if !self.acks {
            let posted = self.client.publish_unacknowledged(channel, &message).await;
            return posted.map_err(|e| why(&e));
        }
        while self.waiting.len() >= AT_A_TIME {
            self.take_answer().await?;
        }
        while let Some(answer) = self.waiting.try_join_next() {
            judge(answer)?;
        }
        let (client, channel) = (self.client.clone(), channel.to_owned());
        // On one thread tasks begin in the order in which they were made.
        let publish = async move { client.publish(&channel, &message).await.map(drop) };
        self.waiting.spawn(publish);
        Ok(())
    }

    /// Returns how many were sent.
    pub(crate) const fn sent(&self) -> u64 {
        self.sent
    }

    async fn take_answer(&mut self) -> Result<(), Failure> {
        match self.waiting.join_next().await {
            Some(answer) => judge(answer),
            None => Ok(()),
        }
    }

    /// Waits for the answers that are due, and closes the connection.
    pub(crate) async fn finish(mut self) -> Result<(), Failure> {
        while !self.waiting.is_empty() {
            self.take_answer().await?;
        }
        let report = self.client.close(Duration::from_secs(5)).await;
        match report.unacknowledged + report.unsent {
            0 => Ok(()),
            left => Err(format!("{left} messages were not acknowledged")),
        }
    }
}

fn judge(answer: Result<Result<(), Error>, tokio::task::JoinError>) -> Result<(), Failure> {
    match answer {
        Ok(answer) => answer.map_err(|e| why(&e)),
        Err(error) => Err(error.to_string()),
    }
}

pub(crate) async fn write(settings: &Settings, key: &str, text: &str) -> Result<(), Failure> {
    let client = connect(settings).await?;
    let value = value(text);
    let written = match settings.acks {
        true => client.write(key, &value).await.map(drop),
        false => client.write_unacknowledged(key, &value).await,
    };
    written.map_err(|e| why(&e))?;
    close(&client).await
}

pub(crate) async fn delete(settings: &Settings, key: &str) -> Result<(), Failure> {
    let client = connect(settings).await?;
    let deleted = match settings.acks {
        true => client.delete(key).await.map(drop),
        false => client.delete_unacknowledged(key).await,
    };
    deleted.map_err(|e| why(&e))?;
    close(&client).await
}

async fn close(client: &Client) -> Result<(), Failure> {
    match client.close(Duration::from_secs(5)).await.is_clean() {
        true => Ok(()),
        false => Err("the connection ended before everything was sent".to_owned()),
    }
}
