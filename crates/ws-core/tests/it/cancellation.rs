//! Futures are dropped after every number of polls, over a stream that makes
//! them wait at every byte.

use std::time::Duration;

use ws_core::{Limits, Message};

use crate::support::{Dribble, pair, poll_times};

fn messages() -> Vec<Message> {
    (0..300_usize).map(|n| Message::text(format!("{n} {}", "é".repeat(n % 40)))).collect()
}

#[tokio::test(start_paused = true)]
async fn a_dropped_next_loses_nothing() {
    let (mut client, mut server) = pair(Dribble::new, Limits::default()).await;
    let sending = async {
        for message in messages() {
            server.send(&message).await.unwrap();
        }
    };
    let receiving = async {
        let mut got = Vec::new();
        let mut drops = 0_usize;
        while got.len() < messages().len() {
            // Taken and lent in turn.
            let next = async {
                match drops % 2 {
                    0 => client.next().await,
                    _ => client.next_ref().await.map(|lent| lent.map(Message::from)),
                }
            };
            match poll_times(next, drops % 7).await {
                Some(message) => got.push(message.unwrap().unwrap()),
                None => drops += 1,
            }
        }
        assert!(drops > 1000, "{drops}");
        got
    };
    let ((), got) = tokio::join!(sending, receiving);
    assert_eq!(got, messages());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_feed_or_flush_tears_nothing() {
    // Little room, so that `feed` has to wait too.
    let (mut client, mut server) = pair(Dribble::new, Limits::default().max_out(64)).await;
    let sending = async {
        let mut drops = 0_usize;
        for message in messages() {
            // Dropped before it is ready, a message was not queued.
            while poll_times(client.feed(&message), drops % 5).await.is_none() {
                drops += 1;
            }
            let _flushed = poll_times(client.flush(), drops % 3).await;
        }
        client.flush().await.unwrap();
        assert!(drops > 500, "{drops}");
    };
    let receiving = async {
        let mut got = Vec::new();
        while got.len() < messages().len() {
            got.push(server.next().await.unwrap().unwrap());
        }
        got
    };
    let ((), got) = tokio::join!(sending, receiving);
    assert_eq!(got, messages());
}

#[tokio::test(start_paused = true)]
async fn a_dropped_close_goes_on_where_it_stopped() {
    let (mut client, mut server) = pair(Dribble::new, Limits::default()).await;
    client.feed(&Message::text("last")).await.unwrap();
    let closing = async {
        let mut drops = 0;
        while poll_times(client.close(None, Duration::from_secs(3)), 2).await.is_none() {
            drops += 1;
        }
        drops
    };
    let receiving = async {
        assert_eq!(server.next().await.unwrap(), Some(Message::text("last")));
        assert_eq!(server.next().await.unwrap(), None);
        drop(server);
    };
    let (drops, ()) = tokio::join!(closing, receiving);
    assert!(drops > 10, "{drops}");
}

/// Whether a `send` that was dropped had queued its message is not known, so it is
/// sent again: each comes at least once, whole and in order.
#[tokio::test(start_paused = true)]
async fn a_dropped_send_or_send_batch_tears_nothing() {
    let (mut client, mut server) = pair(Dribble::new, Limits::default().max_out(64)).await;
    let sending = async {
        let (mut drops, mut tries) = (0, 0_usize);
        for message in messages() {
            loop {
                tries += 1;
                let sent = match tries % 2 {
                    0 => poll_times(client.send(&message), tries * 37 % 301).await,
                    _ => poll_times(client.send_batch([&message]), tries * 37 % 301).await,
                };
                match sent {
                    Some(sent) => break sent.unwrap(),
                    None => drops += 1,
                }
            }
        }
        client.close(None, Duration::from_secs(60)).await.unwrap();
        drops
    };
    let receiving = async {
        let mut got = Vec::new();
        while let Some(message) = server.next().await.unwrap() {
            got.push(message);
        }
        drop(server);
        got
    };
    let (drops, mut got) = tokio::join!(sending, receiving);
    assert!(drops > 90 && got.len() > 300, "{drops} drops, {} messages", got.len());
    got.dedup();
    assert_eq!(got, messages());
}
