//! Calls on every generation: what is sent, and what comes back.

use cent::{
    ApiError, Broadcasted, Client, Config, Error, Order, Position, Presence, Publish, Rpc,
    Unsubscribe, User,
};
use serde_json::{Value, json, value::RawValue};

use crate::server::{Act, Server, answer, ok};

fn configs(address: &str) -> [Config; 7] {
    [
        Config::v0(address, "bananas", "s3cr3t-key"),
        Config::v1(address, "s3cr3t-key"),
        Config::v2(address, "my-api-key"),
        Config::v3(address, "my-api-key"),
        Config::v4(address, "my-api-key"),
        Config::v5(address, "my-api-key"),
        Config::v6(address, "my-api-key"),
    ]
}

/// A success without a result, in each generation.
const NOTHING: [&str; 7] = [
    r#"[{"method":"publish","error":null,"body":true}]"#,
    r#"[{"method":"publish","error":null,"body":null}]"#,
    "{}\n",
    "{}",
    r#"{"result":{}}"#,
    r#"{"result":{}}"#,
    r#"{"result":{}}"#,
];

#[test]
fn each_generation_is_spoken_to_in_its_own_way() {
    for (major, nothing) in NOTHING.into_iter().enumerate() {
        let server = Server::new(move |_| ok(nothing));
        let config = configs(&server.address)[major].clone();
        let client = Client::new(config).unwrap();
        client.publish("news", &json!({"title": "hi"})).unwrap();
        let asked = &server.asked()[0];
        assert_eq!(asked.header("content-type"), Some("application/json"));
        let params = r#"{"channel":"news","data":{"title":"hi"}}"#;
        let named = format!(r#"{{"method":"publish","params":{params}}}"#);
        let (path, body) = match major {
            0 => ("/api/bananas", format!("[{named}]")),
            1 => ("/api/", format!("[{named}]")),
            2..=4 => ("/api", named),
            _ => ("/api/publish", params.to_owned()),
        };
        assert_eq!((asked.path.as_str(), &asked.body), (path, &body), "v{major}");
        let credential = match major {
            0 => {
                asked.header("x-api-sign").unwrap()
                    == "f21f1d36cd878b2b614bf2bd98ea70186d88aa5dcebb0aa13300c55a2a28df37"
            }
            1 => {
                asked.header("x-api-sign").unwrap()
                    == "8de0b2891c446a71b405bc34a8f68634e7d9ea9e559fc745ed8c472c41613041"
            }
            2..=4 => asked.header("authorization").unwrap() == "apikey my-api-key",
            _ => asked.header("x-api-key").unwrap() == "my-api-key",
        };
        assert!(credential, "v{major}: {}", asked.head);
    }
}

#[test]
fn an_insecure_server_is_sent_no_key() {
    for (major, nothing) in NOTHING.into_iter().enumerate() {
        let server = Server::new(move |_| ok(nothing));
        let config = configs(&server.address)[major].clone().insecure_api();
        Client::new(config).unwrap().publish("news", &1).unwrap();
        let asked = &server.asked()[0];
        assert!(!asked.head.contains("my-api-key") && asked.header("authorization").is_none());
        let sign = asked.header("x-api-sign");
        assert_eq!(sign, (major < 2).then_some(""), "v{major}");
    }
}

#[test]
fn addresses_end_in_api_whatever_was_given() {
    let server = Server::new(|_| ok(r#"{"result":{}}"#));
    for tail in ["", "/", "/api", "/api/", "/api//"] {
        let client = Client::new(Config::v6(format!("{}{tail}", server.address), "k")).unwrap();
        client.info().unwrap();
        assert_eq!(server.asked().last().unwrap().path, "/api/info", "{tail}");
    }
    let prefix = format!("{}/x/y", server.address);
    Client::new(Config::v6(&prefix, "k")).unwrap().info().unwrap();
    assert_eq!(server.asked().last().unwrap().path, "/x/y/api/info");
    Client::new(Config::v6(&prefix, "k").exact_address()).unwrap().info().unwrap();
    assert_eq!(server.asked().last().unwrap().path, "/x/y/info");
    for address in ["", "h:8000", "ftp://h", "http://", "http://u:p@h", "http://h/?a=b"] {
        let refused = Client::new(Config::v6(address, "k")).unwrap_err();
        assert!(matches!(refused, Error::Config { option: "address", .. }), "{address}");
    }
}

#[test]
fn connections_are_kept() {
    let server = Server::new(|_| ok(r#"{"result":{}}"#));
    let client = Client::new(Config::v6(&server.address, "k")).unwrap();
    for _ in 0..20 {
        client.publish("news", &1).unwrap();
    }
    assert!(server.asked().iter().all(|asked| asked.connection == 0));
}

#[test]
fn payloads_are_sent_and_read_to_the_letter() {
    let text = r#"{"big":123456789012345678901234567890,"one":1.0,"e":1e400}"#;
    let server = Server::new(move |_| {
        ok(&format!(r#"{{"result":{{"publications":[{{"data":{text},"offset":1}}]}}}}"#))
    });
    let client = Client::new(Config::v6(&server.address, "k")).unwrap();
    let raw = RawValue::from_string(text.to_owned()).unwrap();
    client.publish("news", &raw).unwrap();
    assert!(server.asked()[0].body.contains(text));
    let history = client.history("news").unwrap();
    assert_eq!(history.publications[0].data.as_ref().unwrap().get(), text);
}

#[test]
fn histories_have_one_order_whatever_the_server_says() {
    let first = r#"{"uid":"1","channel":"c","data":"first"}"#;
    let second = r#"{"uid":"2","channel":"c","data":"second","client":"me"}"#;
    let body = move |major: usize| {
        match major {
        1 => format!(
            r#"[{{"method":"history","error":null,"body":{{"channel":"c","data":[{second},{first}]}}}}]"#
        ),
        2 => r#"{"result":{"publications":[{"data":"first"},{"data":"second"}]}}"#.to_owned(),
        _ => r#"{"result":{"publications":[{"data":"first","offset":1},{"data":"second","offset":2}],"epoch":"x","offset":2}}"#.to_owned(),
    }
    };
    for major in 1..=6 {
        let server = Server::new(move |_| ok(&body(major)));
        let client = Client::new(configs(&server.address)[major].clone()).unwrap();
        let history = client.history("c").unwrap();
        let data: Vec<&str> =
            history.publications.iter().map(|p| p.data.as_ref().unwrap().get()).collect();
        assert_eq!(data, [r#""first""#, r#""second""#], "v{major}");
        let sent = &server.asked()[0].body;
        assert_eq!(sent.contains(r#""limit":-1"#), major >= 3, "all of it: {sent}");
    }
    // Up to 2.1 the newest came first.
    let server = Server::new(|_| ok(r#"{"result":{"publications":[{"data":2},{"data":1}]}}"#));
    let config = Config::v2(&server.address, "k").release(1, 0);
    let history = Client::new(config).unwrap().history("c").unwrap();
    assert_eq!(history.publications[0].data.as_ref().unwrap().get(), "1");
}

#[test]
fn channels_presence_and_nodes_have_one_shape() {
    let bodies = |major: usize, what: &str| match (major, what) {
        (1, "channels") => r#"[{"method":"channels","error":null,"body":{"data":["a","b"]}}]"#,
        (2, "channels") => r#"{"result":{"channels":["a","b"]}}"#,
        (_, "channels") => r#"{"result":{"channels":{"a":{"num_clients":2},"b":{}}}}"#,
        (1, "presence") => {
            r#"[{"method":"presence","error":null,"body":{"channel":"c","data":{"1":{"user":"42","client":"1","default_info":{"n":1},"channel_info":2}}}}]"#
        }
        (_, "presence") => {
            r#"{"result":{"presence":{"1":{"user":"42","client":"1","conn_info":{"n":1},"chan_info":2}}}}"#
        }
        (1, _) => {
            r#"[{"method":"stats","error":null,"body":{"data":{"nodes":[{"uid":"u","name":"n","started_at":7,"metrics":{"num_clients":3},"version":"1.8.0"}],"metrics_interval":60}}}]"#
        }
        (_, _) => {
            r#"{"result":{"nodes":[{"uid":"u","name":"n","version":"6.1.0 OSS","num_clients":3,"metrics":{"interval":60,"items":{"x":1.5}},"process":null}]}}"#
        }
    };
    for major in 1..=6 {
        let server = Server::new(move |asked| {
            let what = ["channels", "presence", "info"];
            let what =
                what.iter().find(|what| asked.path.contains(*what) || asked.body.contains(*what));
            ok(bodies(major, what.unwrap_or(&"stats")))
        });
        let client = Client::new(configs(&server.address)[major].clone()).unwrap();
        let channels = client.channels().unwrap();
        assert_eq!(channels.keys().collect::<Vec<_>>(), ["a", "b"]);
        let counted = (major >= 3).then_some(2);
        assert_eq!(channels["a"].num_clients, counted);
        let who = &client.presence("c").unwrap()["1"];
        assert_eq!((who.user.as_str(), who.client.as_str()), ("42", "1"));
        assert_eq!(who.conn_info.as_ref().unwrap().get(), r#"{"n":1}"#);
        assert_eq!(who.chan_info.as_ref().unwrap().get(), "2");
        let node = &client.info().unwrap()[0];
        assert_eq!((node.uid.as_str(), node.name.as_str()), ("u", "n"));
        assert_eq!(node.counters["num_clients"], 3.0);
        let version = if major == 1 { "1.8.0" } else { "6.1.0" };
        assert_eq!(node.version.as_deref(), Some(version));
    }
}

#[test]
fn a_broadcast_says_what_came_of_each_channel_or_that_it_is_not_known() {
    let server = Server::new(|_| {
        ok(
            r#"{"result":{"responses":[{"result":{"offset":1,"epoch":"e"}},{"error":{"code":102,"message":"unknown channel"}}]}}"#,
        )
    });
    let client = Client::new(Config::v6(&server.address, "k")).unwrap();
    let [Broadcasted::Published(first), Broadcasted::Refused(error)] =
        &client.broadcast(&["a", "nope:b"], &1).unwrap()[..]
    else {
        panic!("two outcomes")
    };
    assert_eq!((first.offset, first.epoch.as_deref(), error.code), (Some(1), Some("e"), 102));

    let server = Server::new(|_| {
        ok(r#"[{"method":"broadcast","error":"namespace not found","advice":"fix","body":null}]"#)
    });
    let client = Client::new(Config::v1(&server.address, "s")).unwrap();
    let outcomes = client.broadcast(&["a", "nope:b", "c"], &1).unwrap();
    let unknown = |o: &Broadcasted| matches!(o, Broadcasted::Unknown(e) if e.code == 102);
    assert!(outcomes.len() == 3 && outcomes.iter().all(unknown), "{outcomes:?}");
}

#[test]
fn a_batch_has_a_reply_for_each_ticket_on_every_generation() {
    let replies = |major: usize| match major {
        1 => {
            r#"[{"method":"publish","error":null,"body":null},{"method":"presence","error":"not available","body":null}]"#
        }
        2..=4 => "{\"result\":{}}\n{\"error\":{\"code\":108,\"message\":\"not available\"}}\n",
        _ => {
            r#"{"replies":[{"publish":{"offset":4}},{"error":{"code":108,"message":"not available"}}]}"#
        }
    };
    for major in 1..=6 {
        let server = Server::new(move |_| ok(replies(major)));
        let client = Client::new(configs(&server.address)[major].clone()).unwrap();
        let mut batch = client.batch();
        let publish = batch.add(Publish::new("a", &1)).unwrap();
        let presence = batch.add(Presence::new("bare:b")).unwrap();
        let replies = batch.send().unwrap();
        assert_eq!(replies.len(), 2);
        let published = replies.take(publish).unwrap();
        assert_eq!(published.offset, (major >= 5).then_some(4));
        let error = replies.take(presence).unwrap_err();
        assert!(matches!(&error, Error::Response(ApiError { code: 108, .. })), "{error:?}");
        assert!(client.batch().send().unwrap().is_empty());
        assert_eq!(server.asked().len(), 1, "an empty batch sends nothing");
    }
}

#[test]
fn what_servers_do_badly_with_or_would_drop_is_refused_before_it_is_sent() {
    let server = Server::new(|_| ok(r#"{"result":{}}"#));
    let v6 = Client::new(Config::v6(&server.address, "k")).unwrap();
    let v2 = Client::new(Config::v2(&server.address, "k")).unwrap();
    let v2_5 = Client::new(Config::v2(&server.address, "k").release(5, 0)).unwrap();
    let code = |result: Result<(), Error>| result.unwrap_err().code();
    assert_eq!(code(v6.call(Publish::base64("a", b"not json")).map(drop)), "poison");
    assert_eq!(code(v6.disconnect("")), "user");
    assert_eq!(code(v2.call(Unsubscribe::all(User::Anonymous))), "user");
    assert_eq!(code(v6.call(cent::Disconnect::new("42").reason(1000, ""))), "user");
    assert_eq!(code(v2.call(Publish::new("a", &1).idempotency_key("k")).map(drop)), "unsupported");
    assert_eq!(code(v2_5.call(Rpc::new("x")).map(drop)), "unsupported");
    assert!(v2.call(Rpc::new("x")).unwrap().is_none(), "2.6 has it");
    let since = cent::History::new("a").since(Position::new(0, "")).order(Order::NewestFirst);
    assert_eq!(code(v6.call(since).map(drop)), "since");
    assert_eq!(code(v6.add("publish", &json!(null))), "params");
    assert_eq!(code(v6.add("", &json!({}))), "method");
    let key = std::collections::HashMap::from([(vec![1_u8], 1)]);
    assert_eq!(code(v6.publish("a", &key).map(drop)), "encode");
    assert_eq!(server.asked().len(), 1, "only the rpc was sent");
    v6.call(Publish::base64("a", b"not json").allow_poison()).unwrap();
    let relaxed = Client::new(Config::v5(&server.address, "k").relaxed()).unwrap();
    relaxed.call(Publish::new("a", &1).version(7)).unwrap();
    assert_eq!(server.asked().last().unwrap().body, r#"{"channel":"a","data":1}"#);
}

#[test]
fn a_transport_of_the_applications_own_takes_the_place_of_http() {
    struct Own(std::sync::Mutex<Vec<String>>);
    impl cent::Transport for &'static Own {
        fn send(&self, request: cent::Outgoing<'_>) -> Result<cent::Incoming, Error> {
            self.0.lock().unwrap().push(format!("{} {}", request.url, request.body));
            let body = br#"{"result":{"offset":9}}"#.to_vec();
            Ok(cent::Incoming { status: 200, retry_after: None, body })
        }
    }
    static OWN: Own = Own(std::sync::Mutex::new(Vec::new()));
    let client = Client::with_transport(Config::v6("http://h:8000", "k"), &OWN).unwrap();
    assert_eq!(client.publish("a", &1).unwrap().offset, Some(9));
    let sent = r#"http://h:8000/api/publish {"channel":"a","data":1}"#;
    assert_eq!(OWN.0.lock().unwrap()[..], [sent]);
}

#[test]
fn an_error_of_the_server_keeps_its_code() {
    let body = r#"{"error":{"code":111,"message":"too many requests","temporary":true}}"#;
    let server = Server::new(move |_| ok(body));
    let client = Client::new(Config::v6(&server.address, "k")).unwrap();
    let error = client.publish("a", &1).unwrap_err();
    assert_eq!((error.code().as_str(), error.is_retryable()), ("111", true));
    // In transport error mode, the status says it too.
    let server =
        Server::new(|_| Act::Answer(answer(404, r#"{"code":102,"message":"unknown channel"}"#)));
    let client = Client::new(Config::v6(&server.address, "k")).unwrap();
    let error = client.publish("nope:a", &1).unwrap_err();
    assert!(matches!(&error, Error::Response(ApiError { code: 102, .. })), "{error:?}");
    // The texts of v1 have the codes of later versions.
    let server = Server::new(|_| {
        ok(r#"[{"method":"publish","error":"internal server error","advice":"retry","body":null}]"#)
    });
    let client = Client::new(Config::v1(&server.address, "s")).unwrap();
    let error = client.publish("a", &Value::Null).unwrap_err();
    assert_eq!((error.code().as_str(), error.is_retryable()), ("100", true));
}
