//! S1, S2 and S8: peers that are slow, or stop.

use std::{sync::Mutex, time::Duration};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    time::{Instant, sleep},
};
use ws_core::{ClientRequest, Dialer, Endpoint, Error, Keys, Limits, Message, Step};

use super::handshake::right_answer;
use crate::support::{Dribble, pair};

/// Connects over `near`; returns the error, and how many seconds it took.
async fn failed(dialer: Dialer, url: &str, near: DuplexStream) -> (Error, u64) {
    let near = Mutex::new(Some(near));
    let dialer = dialer.open_with(move |_, _| {
        let near = near.lock().unwrap().take().unwrap();
        async { Ok(near) }
    });
    let start = Instant::now();
    let url: Endpoint = url.parse().unwrap();
    let request = ClientRequest::new(&url);
    let opened = dialer.connect(&url, request, Limits::default(), Keys::system()).await;
    (opened.map(drop).unwrap_err(), start.elapsed().as_secs())
}

#[tokio::test(start_paused = true)]
async fn s1_everything_works_in_segments_of_one_byte() {
    let (mut client, mut server) = pair(Dribble::new, Limits::default()).await;
    let texts: Vec<Message> =
        (0..200).map(|n| Message::text(format!("{n} {}", "水".repeat(n)))).collect();
    let saying = async {
        client.send_batch(&texts).await.unwrap();
        client.close(None, Duration::from_secs(3)).await
    };
    let hearing = async {
        let mut heard = Vec::new();
        while let Some(message) = server.next().await.unwrap() {
            heard.push(message);
        }
        drop(server);
        heard
    };
    let (closed, heard) = tokio::join!(saying, hearing);
    closed.unwrap();
    assert_eq!(heard, texts);
}

#[tokio::test(start_paused = true)]
async fn s2_an_answer_of_one_byte_a_second_is_left_at_the_deadline() {
    let (near, mut far) = tokio::io::duplex(1 << 16);
    tokio::spawn(async move {
        let answer = right_answer(&mut far).await;
        for byte in answer.bytes() {
            sleep(Duration::from_secs(1)).await;
            if far.write_all(&[byte]).await.is_err() {
                return;
            }
        }
    });
    let (error, took) = failed(Dialer::new(), "ws://rtm.example/", near).await;
    assert!(matches!(error, Error::Timeout(Step::Upgrade)), "{error:?}");
    assert_eq!(took, 10);
}

#[tokio::test(start_paused = true)]
async fn s2_a_peer_that_says_nothing_is_left_at_the_deadline_that_was_asked_for() {
    for seconds in [1, 10, 60] {
        let (near, mut far) = tokio::io::duplex(1 << 16);
        tokio::spawn(async move { far.read_to_end(&mut Vec::new()).await });
        let dialer = Dialer::new().timeout(Duration::from_secs(seconds));
        let (error, took) = failed(dialer, "ws://rtm.example/", near).await;
        assert!(matches!(error, Error::Timeout(Step::Upgrade)), "{error:?}");
        assert_eq!(took, seconds);
    }
}

#[cfg(feature = "ring")]
#[tokio::test(start_paused = true)]
async fn s8_tls_that_stalls_at_any_record_is_left_at_the_deadline() {
    use super::records::{Then, wire};
    use crate::certificates::Authority;

    let authority = Authority::new("ours");
    let (mut steps, mut records) = (Vec::new(), 0);
    loop {
        let (server, far) = tokio::io::duplex(1 << 16);
        let (near, _) = wire(server, records, Then::Stall);
        let acceptor = authority.server("rtm.example");
        tokio::spawn(async move {
            let stream = acceptor.accept(far).await.unwrap();
            // It is a TLS server, and no other: no upgrade is answered.
            std::future::pending::<()>().await;
            drop(stream);
        });
        let dialer = Dialer::new().tls(authority.tls());
        let (error, took) = failed(dialer, "wss://rtm.example/", near).await;
        assert_eq!(took, 10, "after {records} records: {error:?}");
        let Error::Timeout(step) = error else { panic!("{error:?}") };
        steps.push(step);
        records += 1;
        if step == Step::Upgrade {
            break;
        }
    }
    assert!(records > 2 && steps[..records - 1].iter().all(|step| *step == Step::Tls));
}
