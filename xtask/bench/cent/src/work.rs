//! The same work by either client: publications of a small object.

use std::{
    sync::atomic::{AtomicU64, Ordering},
    time::{Duration, Instant},
};

use serde_json::{json, value::to_raw_value};
use tokio::runtime::Runtime;

pub(crate) struct Target {
    pub(crate) url: String,
    pub(crate) key: String,
}

/// Calls are counted by whoever makes them, until the time is over.
fn threads(callers: usize, time: Duration, call: impl Fn() + Sync) -> u64 {
    let (done, end) = (AtomicU64::new(0), Instant::now() + time);
    std::thread::scope(|scope| {
        for _ in 0..callers {
            scope.spawn(|| {
                let mut calls = 0;
                while Instant::now() < end {
                    call();
                    calls += 1;
                }
                done.fetch_add(calls, Ordering::Relaxed);
            });
        }
    });
    done.into_inner()
}

fn runtime() -> Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(2).enable_all().build().expect("a runtime")
}

macro_rules! tasks {
    ($runtime:expr, $callers:expr, $time:expr, $client:expr, $call:expr) => {
        $runtime.block_on(async {
            let end = Instant::now() + $time;
            let mut tasks = tokio::task::JoinSet::new();
            for _ in 0..$callers {
                let client = $client.clone();
                tasks.spawn(async move {
                    let mut calls = 0_u64;
                    while Instant::now() < end {
                        $call(&client).await;
                        calls += 1;
                    }
                    calls
                });
            }
            let mut calls = 0;
            while let Some(done) = tasks.join_next().await {
                calls += done.expect("a task ends");
            }
            calls
        })
    };
}

pub(crate) struct Ours {
    runtime: Runtime,
    blocking: cent::Client,
    client: cent::AsyncClient,
}

impl Ours {
    pub(crate) fn new(target: &Target) -> Self {
        let config = || cent::Config::v6(target.url.as_str(), target.key.as_str());
        let blocking = cent::Client::new(config()).expect("a client");
        let client = cent::AsyncClient::new(config()).expect("a client");
        Self { runtime: runtime(), blocking, client }
    }

    pub(crate) fn blocking(&self, callers: usize, time: Duration) -> u64 {
        let data = json!({"input": "hello"});
        threads(callers, time, || drop(self.blocking.publish("bench", &data).expect("published")))
    }

    pub(crate) fn asynchronous(&self, callers: usize, time: Duration) -> u64 {
        tasks!(self.runtime, callers, time, self.client, async |client: &cent::AsyncClient| {
            let data = json!({"input": "hello"});
            client.publish("bench", &data).await.expect("published");
        })
    }

    /// Commands, not batches.
    pub(crate) fn batches(&self, size: usize, time: Duration) -> u64 {
        let (data, mut commands, end) = (json!({"input": "hello"}), 0, Instant::now() + time);
        while Instant::now() < end {
            let mut batch = self.blocking.batch();
            let tickets: Vec<_> = (0..size)
                .map(|_| batch.add(cent::Publish::new("bench", &data)).expect("added"))
                .collect();
            let replies = batch.send().expect("sent");
            for ticket in tickets {
                replies.take(ticket).expect("published");
                commands += 1;
            }
        }
        commands
    }
}

pub(crate) struct Official {
    runtime: Runtime,
    blocking: official::blocking::Client,
    client: official::Client,
}

impl Official {
    pub(crate) fn new(target: &Target) -> Self {
        let config =
            || official::Config::new(format!("{}/api", target.url)).api_key(target.key.as_str());
        let blocking = official::blocking::Client::new(config()).expect("a client");
        let client = official::Client::new(config()).expect("a client");
        Self { runtime: runtime(), blocking, client }
    }

    pub(crate) fn blocking(&self, callers: usize, time: Duration) -> u64 {
        let data = json!({"input": "hello"});
        threads(callers, time, || {
            let data = to_raw_value(&data).expect("JSON");
            let request = official::PublishRequest::new("bench").data(data);
            drop(self.blocking.publish(request).expect("published"));
        })
    }

    pub(crate) fn asynchronous(&self, callers: usize, time: Duration) -> u64 {
        tasks!(self.runtime, callers, time, self.client, async |client: &official::Client| {
            let data = to_raw_value(&json!({"input": "hello"})).expect("JSON");
            let request = official::PublishRequest::new("bench").data(data);
            client.publish(request).await.expect("published");
        })
    }

    pub(crate) fn batches(&self, size: usize, time: Duration) -> u64 {
        let (data, mut commands, end) = (json!({"input": "hello"}), 0, Instant::now() + time);
        while Instant::now() < end {
            let mut batch = self.blocking.new_batch(official::BatchOptions::default());
            let tickets: Vec<_> = (0..size)
                .map(|_| {
                    let data = to_raw_value(&data).expect("JSON");
                    batch.publish(official::PublishRequest::new("bench").data(data))
                })
                .collect();
            let _sent = batch.send().expect("sent");
            for ticket in tickets {
                let _published = ticket.result().expect("published");
                commands += 1;
            }
        }
        commands
    }
}
