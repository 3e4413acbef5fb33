//! C12: answers whose bodies are wrong, read by both clients.

use cent::{Client, Config, Error, Failure, RequestError};

use crate::server::{Act, Server, answer, ok};

fn config(server: &Server) -> Config {
    Config::v6(&*server.address, "the-key")
}

/// What each client makes of what the server says to a publish.
fn publish(server: &Server) -> Vec<RequestError> {
    let blocking = Client::new(config(server)).unwrap().publish("a", &1);
    #[cfg(feature = "tokio")]
    let results = {
        let client = cent::AsyncClient::new(config(server)).unwrap();
        vec![blocking, crate::sandbox::runtime().block_on(client.publish("a", &1))]
    };
    #[cfg(not(feature = "tokio"))]
    let results = vec![blocking];
    let error = |result: Result<_, Error>| match result {
        Err(Error::Request(error)) => error,
        other => panic!("{other:?}"),
    };
    results.into_iter().map(error).collect()
}

/// The answer with this head and body, and the end of the stream.
fn ended(head: &str, body: &[u8]) -> Server {
    let bytes = [format!("HTTP/1.1 200 X\r\n{head}\r\n\r\n").as_bytes(), body].concat();
    Server::new(move |_| Act::End(bytes.clone()))
}

const GOOD: &[u8] = br#"{"result":{"offset":1,"epoch":"abcd"}}"#;

#[test]
fn c12_a_body_cut_at_any_byte_is_an_error_and_in_doubt() {
    let counted = answer(200, std::str::from_utf8(GOOD).unwrap());
    let chunked =
        [b"HTTP/1.1 200 X\r\nTransfer-Encoding: chunked\r\n\r\n26\r\n", GOOD, b"\r\n0\r\n\r\n"]
            .concat();
    // After its last chunk a body is whole, and only the end of its trailers is missing.
    let last_chunk = chunked.len() - 2;
    for (whole, end) in [(&counted, counted.len()), (&chunked, last_chunk)] {
        for cut in 0..end {
            let part = whole[..cut].to_vec();
            let server = Server::new(move |_| Act::End(part.clone()));
            for error in publish(&server) {
                assert_eq!(error.in_doubt, 1, "cut at {cut}: {error:?}");
                assert!(matches!(error.failure, Failure::Network | Failure::Decode), "{error:?}");
            }
        }
    }
}

#[test]
fn c12_lengths_and_chunks_that_are_wrong_are_errors() {
    for head in [
        "Content-Length: 37",
        "Content-Length: 39",
        "Content-Length: -1",
        "Content-Length: 38\r\nContent-Length: 39",
        "Content-Length: 9223372036854775808",
        "Content-Length: 99999999999999999999999",
        "Content-Length: x",
    ] {
        for error in publish(&ended(head, GOOD)) {
            assert_eq!(error.in_doubt, 1, "{head}: {error:?}");
        }
    }
    for size in
        ["8000000000000000", "FFFFFFFFFFFFFFFF", "fffffffffffffffff", "-1", "x", "", "27", "25"]
    {
        let body = [size.as_bytes(), b"\r\n", GOOD, b"\r\n0\r\n\r\n"].concat();
        for error in publish(&ended("Transfer-Encoding: chunked", &body)) {
            assert_eq!(error.in_doubt, 1, "{size}: {error:?}");
        }
    }
}

/// Nobody asks for compression, so that nothing is blown up: what was sent
/// compressed all the same is no JSON.
#[test]
fn c12_a_compressed_body_is_not_inflated() {
    let stored = [&[0x1f, 0x8b, 8, 0, 0, 0, 0, 0, 0, 3][..], &[0; 1000]].concat();
    let head = format!("Content-Encoding: gzip\r\nContent-Length: {}", stored.len());
    let server = ended(&head, &stored);
    for error in publish(&server) {
        assert_eq!((error.failure, error.in_doubt), (Failure::Decode, 1));
        assert!(error.body.len() <= 1024);
    }
    assert!(server.asked().iter().all(|asked| asked.header("accept-encoding").is_none()));
}

#[test]
fn c12_a_body_over_64_mib_is_given_up() {
    let head = format!("Content-Length: {}", (64 << 20) + 1);
    for error in publish(&ended(&head, &vec![b' '; (64 << 20) + 1])) {
        assert_eq!((error.failure, error.in_doubt), (Failure::Decode, 1), "{error:?}");
    }
}

#[test]
fn c12_a_redirect_is_not_followed_and_the_key_does_not_leave() {
    let elsewhere = Server::new(|_| ok(r#"{"result":{}}"#));
    let target = elsewhere.address.clone();
    for status in [301, 302, 303, 307, 308] {
        let head = format!("HTTP/1.1 {status} X\r\nLocation: {target}/api/publish\r\n");
        let bytes = format!("{head}Content-Length: 0\r\n\r\n").into_bytes();
        let server = Server::new(move |_| Act::Answer(bytes.clone()));
        for error in publish(&server) {
            assert_eq!((error.failure, error.in_doubt), (Failure::Status(status), 0));
        }
    }
    assert!(elsewhere.asked().is_empty());
}

#[test]
fn c12_a_page_is_no_answer_whatever_its_status() {
    let page = format!("<html><body>{}</body></html>", "Welcome ".repeat(1000));
    for status in [200, 502] {
        let bytes = answer(status, &page);
        for error in publish(&Server::new(move |_| Act::Answer(bytes.clone()))) {
            let failure = if status == 200 { Failure::Decode } else { Failure::Status(status) };
            assert_eq!((error.failure, error.in_doubt), (failure, 1));
            assert!(error.body.len() <= 1024);
        }
    }
}

#[test]
fn c12_at_most_a_kib_of_an_error_page_is_kept() {
    for page in ["x".repeat(100_000), "é".repeat(100_000), "\u{1f993}".repeat(9_999)] {
        let server = Server::new(move |_| Act::Answer(answer(500, &page)));
        for error in publish(&server) {
            assert!((1000..=1024).contains(&error.body.len()), "{}", error.body.len());
        }
    }
}

/// An error of the server with status 200 is no failure of the transport.
#[test]
fn c12_an_error_with_status_200_is_the_servers() {
    let server = Server::new(|_| ok(r#"{"error":{"code":102,"message":"unknown channel"}}"#));
    let error = Client::new(config(&server)).unwrap().publish("a", &1).unwrap_err();
    assert!(matches!(&error, Error::Response(error) if error.code == 102), "{error:?}");
}

/// C8, on a thread with a small stack: an error, or what the bytes say.
#[test]
fn c8_json_that_is_wrong_is_an_error_or_read_to_the_letter() {
    let deep = |n: usize| format!("{}1{}", "[".repeat(n), "]".repeat(n));
    let history = |data: &str| {
        format!(
            r#"{{"result":{{"publications":[{{"offset":1,"data":{data}}}],"offset":1,"epoch":"e"}}}}"#
        )
    };
    let read = |body: String| {
        let server = Server::new(move |_| ok(&body));
        Client::new(config(&server)).unwrap().history("a")
    };
    let all = move || {
        // Payloads are not looked into.
        for data in [
            deep(1_000),
            "1e400".into(),
            "18446744073709551616".into(),
            r#""\ud800""#.into(),
            r#"{"a":1,"a":2}"#.into(),
        ] {
            let result = read(history(&data)).unwrap();
            assert_eq!(result.publications[0].data.as_ref().unwrap().get(), data);
        }
        let good = history("1");
        for wrong in [
            String::new(),
            "null".into(),
            "[]".into(),
            "1".into(),
            deep(1_000_000),
            format!("\u{feff}{good}"),
            format!("{good}{good}"),
            format!("{good}x"),
            format!("\0{good}"),
            history("\0"),
            history(r#""\u00""#),
            history("nul"),
            good.replace(r#""offset":1,"data""#, r#""offset":-1,"data""#),
            good.replace(r#""offset":1,"epoch""#, r#""offset":18446744073709551616,"epoch""#),
            good.replace(r#""epoch":"e""#, r#""epoch":7"#),
            good.replace(r#""epoch":"e""#, r#""epoch":"\ud800""#),
        ] {
            match read(wrong.clone()) {
                Err(Error::Request(error)) => assert_eq!(error.failure, Failure::Decode),
                other => panic!("{}: {other:?}", &wrong[..wrong.len().min(80)]),
            }
        }
    };
    std::thread::Builder::new().stack_size(512 << 10).spawn(all).unwrap().join().unwrap();
}
