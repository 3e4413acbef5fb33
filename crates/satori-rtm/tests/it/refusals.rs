//! Bad input, from the application and from the other side: each a typed error
//! with kind and code.

use std::{error::Error as _, time::Duration};

use realtime_sandbox::RtmServer;
use satori_rtm::{Client, Config, Connector, Error, ErrorKind, State, Subscribe};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use crate::support::{config, connect, on_both_engines, scripted, websocket, within};

async fn refused(config: Config) -> Error {
    within(Client::connect(config)).await.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_wrong_appkey_is_http_403_at_the_upgrade() {
    on_both_engines(|server| async move {
        let pipes = server.clone();
        let connector = Connector::new(move |_| {
            let pipe = pipes.pipe();
            async { Ok(pipe) }
        });
        let error = refused(Config::new(server.url(), "wrong").connector(connector)).await;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, "403"));
        assert!(!error.is_retryable());
        assert_eq!(error.hint(), Some("check the appkey"));
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn a_wrong_role_or_secret_is_refused_by_name_and_not_tried_again() {
    on_both_engines(|server| async move {
        for (role, secret) in [(server.role(), "wrong"), ("nobody", server.role_secret())] {
            let error = refused(config(&server).role(role, secret).retry_first_connect()).await;
            assert_eq!((error.kind(), error.code()), (ErrorKind::Refused, "authentication_failed"));
            assert!(error.to_string().contains("Unauthenticated"), "{error}");
        }
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn what_the_role_may_not_do_is_refused_with_the_words_of_the_service() {
    on_both_engines(|server| async move {
        let client = Client::connect(config(&server)).await.unwrap();
        let channel = server.restricted_channel();
        let Err(Error::Refused(refusal)) = client.publish(channel, &1).await else {
            panic!("not refused");
        };
        let words = (&*refusal.action, &*refusal.code, &*refusal.reason);
        assert_eq!(words, ("rtm/publish", "authorization_denied", "Unauthorized"));
        let error = client.subscribe(channel, Subscribe::new()).await.unwrap_err();
        assert_eq!(error.code(), "authorization_denied");
        assert!(connect(&server).await.publish(channel, &1).await.is_ok());
    })
    .await;
}

#[tokio::test]
async fn a_malformed_url_or_appkey_is_a_configuration_error() {
    for (endpoint, appkey, option) in [
        ("", "K", "endpoint"),
        ("127.0.0.1:80", "K", "endpoint"),
        ("http://127.0.0.1", "K", "endpoint"),
        ("ws://", "K", "endpoint"),
        ("ws://host:notaport", "K", "endpoint"),
        ("ws://a b", "K", "endpoint"),
        ("ws://user:secret@host", "K", "endpoint"),
        ("ws://127.0.0.1", "", "appkey"),
        ("ws://127.0.0.1", "a\r\nb", "appkey"),
    ] {
        let error = refused(Config::new(endpoint, appkey)).await;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Config, option), "{endpoint}");
    }
}

#[test]
fn a_client_outside_a_runtime_is_an_error_and_no_panic() {
    let error = Client::new(Config::new("ws://127.0.0.1", "K")).unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Misuse, "no_runtime"));
}

#[tokio::test]
async fn nothing_listens_is_an_error_that_names_the_step() {
    // A port that was free a moment ago, and that nobody listens on now.
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let error = refused(Config::new(format!("ws://{address}"), "K")).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Connect, "tcp"));
    assert!(error.to_string().contains(&format!("ws://{address}")), "{error}");
    assert!(error.source().is_some() && error.hint().is_some());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_speaks_only_http_is_told_from_one_that_refuses() {
    for (status, kind, code) in [
        ("200 OK", ErrorKind::Connect, "upgrade"),
        ("301 Moved Permanently", ErrorKind::Connect, "upgrade"),
        ("503 Service Unavailable", ErrorKind::Connect, "upgrade"),
        ("404 Not Found", ErrorKind::Refused, "404"),
    ] {
        let config = scripted(move |mut io| async move {
            let answer = format!("HTTP/1.1 {status}\r\nContent-Length: 2\r\n\r\nhi");
            let mut head = [0; 1024];
            let _read = io.read(&mut head).await;
            let _written = io.write_all(answer.as_bytes()).await;
        });
        let error = refused(config).await;
        assert_eq!((error.kind(), error.code()), (kind, code), "{status}");
    }
    let config = scripted(|mut io| async move {
        let _written = io.write_all(b"SSH-2.0-OpenSSH_9\r\n\r\n").await;
    });
    assert_eq!(refused(config).await.code(), "upgrade");
}

#[tokio::test(start_paused = true)]
async fn a_server_that_never_answers_ends_at_the_deadline_of_its_step() {
    let limit = Duration::from_secs(10);
    let start = tokio::time::Instant::now();
    let error = refused(scripted(|io| async move {
        tokio::time::sleep(Duration::from_secs(3600)).await;
        drop(io);
    }))
    .await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Connect, "upgrade"));
    assert_eq!(start.elapsed().as_secs(), limit.as_secs());

    let start = tokio::time::Instant::now();
    let silent = scripted(|io| websocket(io, |_| None)).role("r", "s");
    let error = refused(silent).await;
    assert_eq!((error.kind(), error.code()), (ErrorKind::Connect, "auth"));
    assert_eq!(start.elapsed().as_secs(), limit.as_secs());
}

/// Answers the first request by `answer`; returns the client's last error.
async fn after_answer(answer: &'static str) -> (Client, Error) {
    let config = scripted(move |io| websocket(io, move |_| Some(answer.to_owned())));
    let client = Client::connect(config).await.unwrap();
    let asked = {
        let client = client.clone();
        tokio::spawn(async move { client.publish("c", &1).await })
    };
    while client.stats().last_error.is_none() {
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    asked.abort();
    let error = client.stats().last_error.unwrap();
    (client, error)
}

#[tokio::test(start_paused = true)]
async fn what_the_service_must_not_send_ends_the_connection_and_is_tried_again() {
    for (answer, code) in [
        ("not json", "invalid_json"),
        ("{}", "no_action"),
        ("{\"action\":\"rtm/publish/error\",\"id\":0}", "no_body"),
        ("{\"action\":\"rtm/publish/ok\",\"body\":{}}", "no_id"),
        ("{\"action\":\"/error\",\"body\":{\"error\":\"json_parse_error\"}}", "general_error"),
    ] {
        let (client, error) = after_answer(answer).await;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Protocol, code), "{answer}");
        assert!(matches!(client.state(), State::Waiting | State::Connecting | State::Connected));
    }
}

#[tokio::test(start_paused = true)]
async fn hostile_text_from_the_service_is_escaped_and_shortened() {
    let (_client, error) = after_answer("\u{1b}[2J not json at all, and endless").await;
    let text = error.to_string();
    assert!(!text.contains('\u{1b}') && text.contains("\\u{1b}"), "{text}");
    assert!(text.len() < 1000);
}

#[tokio::test(start_paused = true)]
async fn a_message_over_the_limit_is_refused_on_either_side() {
    on_both_engines(|server: RtmServer| async move {
        let client = connect(&server).await;
        // Two quotes, or a head of three bytes, and 64 KiB are full.
        let error = client.publish("c", &"x".repeat(65_535)).await.unwrap_err();
        assert_eq!((error.kind(), error.code()), (ErrorKind::Misuse, "message_too_big"));
        client.publish("c", &"x".repeat(65_533)).await.unwrap();

        let small = Client::connect(config(&server).max_message_bytes(4096)).await.unwrap();
        let mut c = small.subscribe("c", Subscribe::new().history_count(1)).await.unwrap();
        let event = within(async {
            while small.stats().last_error.is_none() {
                tokio::task::yield_now().await;
            }
            small.stats().last_error.unwrap()
        });
        let error = event.await;
        assert_eq!((error.kind(), error.code()), (ErrorKind::Protocol, "websocket"));
        drop(c.next());
    })
    .await;
}

#[tokio::test]
async fn what_has_no_json_form_is_refused_before_it_is_sent() {
    let client = Client::new(Config::new("ws://127.0.0.1", "K")).unwrap();
    let map = std::collections::HashMap::from([(vec![1_u8], 1)]);
    let error = client.publish("c", &map).await.unwrap_err();
    assert_eq!((error.kind(), error.code()), (ErrorKind::Misuse, "encode"));
}
