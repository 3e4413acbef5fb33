//! The backend's side, over pipes: what is sent, and what each answer means.

use std::time::Duration;

use high_templar_client::{
    Connector, Error, Publisher, PublisherConfig, Reason, Room, Subscribe, Trigger,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{connect, on_both_engines, publisher, room, take, within};

#[tokio::test(start_paused = true)]
async fn what_is_sent_is_what_comes() {
    on_both_engines(|server| async move {
        let client = connect(&server).await;
        let mut one = client.subscribe(room("1"), Subscribe::new()).await.unwrap();
        let publisher = publisher(&server);
        for n in 0..100 {
            let trigger = Trigger::new([room("0"), room("1")], &n).unwrap();
            publisher.trigger(&trigger).await.unwrap();
        }
        let wanted: Vec<String> = (0..100).map(|n| n.to_string()).collect();
        assert_eq!(take(&mut one, 100).await, wanted);
    })
    .await;
}

/// A server that gives one answer, and the request that it got.
fn answering(answer: &'static str) -> (PublisherConfig, tokio::sync::mpsc::Receiver<String>) {
    let (to, requests) = tokio::sync::mpsc::channel(4);
    let connector = Connector::new(move |_| {
        let (ours, mut theirs) = tokio::io::duplex(1 << 16);
        let to = to.clone();
        tokio::spawn(async move {
            let mut request = Vec::new();
            while !request.ends_with(b"}") && theirs.read_buf(&mut request).await.unwrap() > 0 {}
            to.send(String::from_utf8_lossy(&request).into_owned()).await.unwrap();
            theirs.write_all(answer.as_bytes()).await.unwrap();
            // The client closes, or waits for more.
            let _end = theirs.read_buf(&mut request).await;
        });
        async { Ok(ours) }
    });
    (PublisherConfig::new("http://localhost:8002").connector(connector), requests)
}

fn seven() -> Trigger {
    Trigger::new([Room::new().with("t", "js")], &7).unwrap()
}

#[tokio::test(start_paused = true)]
async fn the_request_is_that_of_the_2_x_line() {
    let answer = "HTTP/1.0 200 OK\r\nContent-Length: 15\r\n\r\npublish success";
    let (config, mut requests) = answering(answer);
    Publisher::new(config.token("s3cr3t")).unwrap().trigger(&seven()).await.unwrap();
    let request = requests.recv().await.unwrap();
    let (head, body) = request.split_once("\r\n\r\n").unwrap();
    assert!(head.starts_with("POST /trigger/ HTTP/1.1\r\n"), "{head}");
    let head = head.to_lowercase();
    for line in ["host: localhost:8002", "content-type: application/json", "content-length: 32"] {
        assert!(head.lines().any(|known| known == line), "{line} in {head}");
    }
    assert!(head.contains("authorization: bearer s3cr3t"));
    assert_eq!(body, r#"{"rooms":[{"t": "js"}],"data":7}"#);
}

#[tokio::test(start_paused = true)]
async fn answers_are_typed() {
    for (answer, status, text, is_retryable) in [
        (
            "HTTP/1.1 400 BAD REQUEST\r\nContent-Length: 19\r\n\r\nrooms not specified",
            400,
            "rooms not specified",
            false,
        ),
        ("HTTP/1.1 404 NOT FOUND\r\nContent-Length: 0\r\n\r\n", 404, "", false),
        ("HTTP/1.1 503 \r\nContent-Length: 4\r\n\r\nfull", 503, "full", true),
    ] {
        let (config, _requests) = answering(answer);
        let error = Publisher::new(config).unwrap().trigger(&seven()).await.unwrap_err();
        let Error::Refused(refusal) = &error else { panic!("{error:?}") };
        assert_eq!((&refusal.reason, &*refusal.message), (&Reason::Status(status), text));
        assert_eq!((error.code(), error.is_retryable()), ("trigger", is_retryable));
        assert!(!error.is_in_doubt());
    }
}

#[tokio::test(start_paused = true)]
async fn no_answer_in_time_is_in_doubt_and_no_connection_is_not() {
    let (config, _requests) = answering("");
    let publisher = Publisher::new(config.timeout(Duration::from_secs(4))).unwrap();
    let start = tokio::time::Instant::now();
    let error = within(publisher.trigger(&seven())).await.unwrap_err();
    assert!(matches!(error, Error::Timeout { in_doubt: true }), "{error:?}");
    assert_eq!(start.elapsed(), Duration::from_secs(4));
    let refusing = Connector::new(|_| async {
        Err::<tokio::io::DuplexStream, _>(std::io::ErrorKind::ConnectionRefused.into())
    });
    let config = PublisherConfig::new("http://localhost:8002").connector(refusing);
    let error = Publisher::new(config).unwrap().trigger(&seven()).await.unwrap_err();
    assert!(!error.is_in_doubt() && error.is_retryable(), "{error:?}");
}

#[test]
fn an_address_that_cannot_be_used_is_named() {
    for url in ["ws://h/", "h", "http://", "http://h:x/"] {
        let error = Publisher::new(PublisherConfig::new(url)).unwrap_err();
        assert_eq!(error.code(), "url", "{url}");
    }
    for token in ["", "from a file\n"] {
        let config = PublisherConfig::new("http://localhost:8002").token(token);
        assert_eq!(Publisher::new(config).unwrap_err().code(), "token", "{token:?}");
    }
}
