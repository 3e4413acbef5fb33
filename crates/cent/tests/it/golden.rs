//! Methods that no server here has, by golden requests and replies
//! (docs/protocols/cent.md, 7.15 to 7.20).

use std::{
    collections::BTreeMap,
    sync::{Arc, Mutex},
};

use cent::{
    BlockUser, CancelPush, Client, Config, Connections, DeleteUserStatus, DeviceFilter, DeviceList,
    DeviceRegister, DeviceRemove, DeviceTopicFilter, DeviceTopicList, DeviceTopicUpdate,
    DeviceUpdate, Error, GetUserStatus, Incoming, InvalidateUserTokens, KeyMode, MapClear,
    MapPublish, MapReadState, MapReadStream, MapRemove, MapStats, NodeInfo, Order, Outgoing,
    Position, PushRecipient, Request, RevokeToken, SendPushNotification, SharedPollPublish,
    TopicOp, Transport, UnblockUser, UpdatePushStatus, UpdateUserStatus, UserTopicFilter,
    UserTopicList, UserTopicUpdate,
};
use serde_json::{Value, json};

/// Answers alike, and keeps what was asked.
#[derive(Clone)]
struct Golden(&'static str, Arc<Mutex<Vec<(String, String)>>>);

impl Transport for Golden {
    fn send(&self, request: Outgoing<'_>) -> Result<Incoming, Error> {
        self.1.lock().unwrap().push((request.url.to_owned(), request.body.to_owned()));
        let mut incoming = Incoming::default();
        (incoming.status, incoming.body) = (200, self.0.into());
        Ok(incoming)
    }
}

/// Makes a call of the newest v6; returns its reply, once its request is right.
#[track_caller]
fn call<R: Request>(request: R, method: &str, params: Value, reply: &'static str) -> R::Reply {
    on(Config::v6("http://h", "k"), request, method, params, reply)
}

#[track_caller]
fn on<R: Request>(
    config: Config,
    request: R,
    method: &str,
    params: Value,
    reply: &'static str,
) -> R::Reply {
    let golden = Golden(reply, Arc::default());
    let asked = Arc::clone(&golden.1);
    let reply = Client::with_transport(config, golden).unwrap().call(request).unwrap();
    let (url, body) = asked.lock().unwrap().pop().unwrap();
    let sent: Value = serde_json::from_str(&body).unwrap();
    match url.strip_prefix("http://h/api/").filter(|path| !path.is_empty()) {
        Some(path) => assert_eq!((path, sent), (method, params)),
        // Of the older dialects one command.
        None => {
            let command = sent.get(0).unwrap_or(&sent);
            assert_eq!(*command, json!({"method": method, "params": params}));
        }
    }
    reply
}

const NOTHING: &str = r#"{"result":{}}"#;

/// Whether `version` refuses the request before it is sent.
fn is_unsupported<R: Request>(config: Config, request: R) -> bool {
    let golden = Golden(NOTHING, Arc::default());
    let client = Client::with_transport(config, golden.clone()).unwrap();
    let refused = matches!(client.call(request), Err(Error::Unsupported(_)));
    assert_eq!(golden.1.lock().unwrap().is_empty(), refused);
    refused
}

#[test]
fn map_channels_and_shared_polls() {
    let tags = BTreeMap::from([("t".to_owned(), "u".to_owned())]);
    let publish = MapPublish::new("c", "k").data(&1).stream_data("s").tags(&tags).score(-5);
    let publish = publish.idempotency_key("i").delta().version(7).version_epoch("e");
    let params = json!({"channel": "c", "key": "k", "data": 1, "stream_data": "s",
        "tags": {"t": "u"}, "score": -5, "idempotency_key": "i", "delta": true, "version": 7,
        "version_epoch": "e", "key_mode": "if_new"});
    let reply = r#"{"result":{"offset":3,"epoch":"x","suppressed":true,"suppress_reason":"r"}}"#;
    let published = call(publish.key_mode(KeyMode::IfNew), "map_publish", params, reply);
    assert_eq!((published.offset, published.suppressed), (Some(3), true));
    assert_eq!(published.suppress_reason.as_deref(), Some("r"));
    let params = json!({"channel": "c", "key": "k", "idempotency_key": "i"});
    call(MapRemove::new("c", "k").idempotency_key("i"), "map_remove", params, NOTHING);
    let read = MapReadState::new("c").cursor("p").limit(2).key("k").asc();
    let params = json!({"channel": "c", "cursor": "p", "limit": 2, "key": "k", "asc": true,
        "revision_offset": 9, "revision_epoch": "x"});
    let reply = r#"{"result":{"entries":[{"key":"k","data":1.0,"tags":{"a":"b"},"offset":2,"score":4,"removed":false,"time":5},{"key":"l","tags":null}],"offset":9,"epoch":"x","cursor":"q"}}"#;
    let read = read.revision_offset(9).revision_epoch("x");
    let state = call(read, "map_read_state", params, reply);
    assert_eq!(state.entries[0].data.as_ref().unwrap().get(), "1.0");
    assert_eq!((state.entries[1].key.as_str(), state.cursor.as_deref()), ("l", Some("q")));
    let read =
        MapReadStream::new("c").since(&Position::new(4, "x")).limit(3).order(Order::NewestFirst);
    let params = json!({"channel": "c", "since_offset": 4, "since_epoch": "x", "limit": 3,
        "reverse": true});
    let reply = r#"{"result":{"entries":[{"key":"k","removed":true}],"offset":5,"epoch":"x"}}"#;
    assert!(call(read, "map_read_stream", params, reply).entries[0].removed);
    let stats = r#"{"result":{"num_keys":12}}"#;
    let counted = call(MapStats::new("c"), "map_stats", json!({"channel": "c"}), stats);
    assert_eq!(counted.num_keys, 12);
    call(MapClear::new("c"), "map_clear", json!({"channel": "c"}), NOTHING);
    let params = json!({"channel": "c", "key": "k", "version": 2, "data": {"p": 1}, "epoch": "e"});
    let poll = SharedPollPublish::new("c", "k", 2).data(&json!({"p": 1})).epoch("e");
    call(poll, "shared_poll_publish", params, NOTHING);
    let v67 = || Config::v6("http://h", "k").release(7, 9);
    assert!(is_unsupported(v67(), MapStats::new("c")));
    assert!(is_unsupported(v67(), SharedPollPublish::new("c", "k", 1)));
}

#[test]
fn connections_have_one_shape() {
    let reply = r#"{"result":{"connections":{"id":{"app_name":"a","app_version":"1","transport":"websocket","protocol":"json","user":"42","state":{"channels":{"c":{"source":1},"d":{}},"connection_token":{"uid":"t","issued_at":7},"subscription_tokens":{"c":{"uid":"s"}},"meta":{"m":1}},"connected_at_ms":5,"ping_pong_latency_ms":-1,"labels":{"l":"m"}}}}}"#;
    let filter = json!({"op": "eq", "key": "l", "val": "m"});
    let params = json!({"user": "42", "expression": "true", "label_filter": filter});
    let asked = Connections::of("42").expression("true").label_filter(&filter);
    let found = &call(asked, "connections", params, reply)["id"];
    assert_eq!(found.state.channels, ["c", "d"]);
    assert_eq!(found.state.connection_token.as_ref().unwrap().issued_at, Some(7));
    assert_eq!((found.ping_pong_latency_ms, found.labels["l"].as_str()), (Some(-1), "m"));
    // v4.0.0 lists the channels.
    let reply = r#"{"result":{"connections":{"id":{"state":{"channels":["c"]}}}}}"#;
    let v4 = Config::v4("http://h", "k");
    let params = json!({"expression": "true"});
    let found = on(v4, Connections::matching("true"), "connections", params, reply);
    assert_eq!(found["id"].state.channels, ["c"]);
    // v3 calls it otherwise, and has fewer levels.
    let reply = r#"{"result":{"connections":{"id":{"app_name":"a","meta":{"m":1},"token_uid":"t","token_issued_at":7}}}}"#;
    let v3 = Config::v3("http://h", "k");
    let params = json!({"user": "42"});
    let found = on(v3.clone(), Connections::of("42"), "user_connections", params, reply);
    assert_eq!(found["id"].state.meta.as_ref().unwrap().get(), r#"{"m":1}"#);
    assert_eq!(found["id"].state.connection_token.as_ref().unwrap().uid.as_deref(), Some("t"));
    assert!(is_unsupported(v3, Connections::matching("true")));
    assert!(is_unsupported(Config::v2("http://h", "k"), Connections::of("42")));
}

#[test]
fn status_and_access() {
    let users = json!({"users": ["1", "2"]});
    let update = UpdateUserStatus::new(&["1", "2"]).state("busy");
    let params = json!({"users": ["1", "2"], "state": "busy"});
    call(update, "update_user_status", params, NOTHING);
    let reply = r#"{"result":{"statuses":[{"user":"1","active":5,"online":6,"state":"busy"},{"user":"2"}]}}"#;
    let found = call(GetUserStatus::new(&["1", "2"]), "get_user_status", users.clone(), reply);
    assert_eq!((found[0].active, found[0].online, found[1].active), (5, 6, 0));
    call(DeleteUserStatus::new(&["1", "2"]), "delete_user_status", users, NOTHING);
    let until = json!({"user": "1", "expire_at": 9});
    call(BlockUser::new("1").expire_at(9), "block_user", until, NOTHING);
    call(UnblockUser::new("1"), "unblock_user", json!({"user": "1"}), NOTHING);
    let until = json!({"uid": "t", "expire_at": 9});
    call(RevokeToken::new("t").expire_at(9), "revoke_token", until, NOTHING);
    let invalidate = InvalidateUserTokens::new("1").issued_before(8).expire_at(9).channel("c");
    let params = json!({"user": "1", "issued_before": 8, "expire_at": 9, "channel": "c"});
    call(invalidate, "invalidate_user_tokens", params, NOTHING);
    let v30 = || Config::v3("http://h", "k").release(0, 9);
    assert!(is_unsupported(v30(), BlockUser::new("1")));
    assert!(!is_unsupported(v30(), GetUserStatus::new(&["1"])));
    let v32 = || Config::v3("http://h", "k").release(2, 0);
    assert!(is_unsupported(v32(), InvalidateUserTokens::new("1").channel("c")));
    assert!(is_unsupported(Config::v4("http://h", "k"), UpdateUserStatus::new(&["1"]).state("s")));
}

#[test]
fn devices_and_topics() {
    let meta = BTreeMap::from([("m".to_owned(), "n".to_owned())]);
    let register = DeviceRegister::new("fcm", "t", "ios").id("d").user("42").meta(&meta);
    let register = register.topics(&["a"]).timezone("Europe/Berlin").locale("de");
    let params = json!({"provider": "fcm", "token": "t", "platform": "ios", "id": "d",
        "user": "42", "meta": {"m": "n"}, "topics": ["a"], "timezone": "Europe/Berlin",
        "locale": "de"});
    assert_eq!(call(register, "device_register", params, r#"{"result":{"id":"d2"}}"#), "d2");
    let update = DeviceUpdate::new().ids(&["d"]).users(&["42"]).user("43").meta(&meta);
    let update = update.topics(TopicOp::Add, &["b"]).timezone("UTC").locale("en");
    let params = json!({"ids": ["d"], "users": ["42"], "user_update": {"user": "43"},
        "meta_update": {"meta": {"m": "n"}}, "topics_update": {"op": "add", "topics": ["b"]},
        "timezone_update": {"timezone": "UTC"}, "locale_update": {"locale": "en"}});
    call(update, "device_update", params, NOTHING);
    let remove = DeviceRemove::new().ids(&["d"]);
    call(remove, "device_remove", json!({"ids": ["d"]}), NOTHING);
    let mut filter = DeviceFilter::default();
    (filter.users, filter.topics) = (vec!["42".into()], vec!["a".into()]);
    let list = DeviceList::new().filter(&filter).include_total_count(true).include_meta(true);
    let list = list.include_topics(true).include_webpush_keys(true).cursor("p").limit(5);
    let params = json!({"filter": {"users": ["42"], "topics": ["a"]}, "include_total_count": true,
        "include_meta": true, "include_topics": true, "include_webpush_keys": true, "cursor": "p",
        "limit": 5});
    let reply = r#"{"result":{"items":[{"id":"d","platform":"ios","provider":"fcm","token":"t","user":"42","created_at":1,"updated_at":2,"meta":{"m":"n"},"topics":["a"],"timezone":"UTC","locale":"en"}],"next_cursor":"q","total_count":9}}"#;
    let found = call(list, "device_list", params, reply);
    assert_eq!((found.items[0].topics[0].as_str(), found.next_cursor.as_str()), ("a", "q"));
    assert_eq!((found.items[0].updated_at, found.total_count), (Some(2), Some(9)));
    let mut filter = DeviceTopicFilter::default();
    (filter.device_users, filter.topic_prefix) = (vec!["42".into()], "a".into());
    let list = DeviceTopicList::new().filter(&filter).include_device(true).limit(5).cursor("p");
    let params = json!({"filter": {"device_users": ["42"], "topic_prefix": "a"},
        "include_device": true, "limit": 5, "cursor": "p", "include_total_count": true});
    let reply = r#"{"result":{"items":[{"id":"x","topic":"a","device":{"id":"d"}}],"next_cursor":"","total_count":1}}"#;
    let found = call(list.include_total_count(true), "device_topic_list", params, reply);
    assert_eq!(found.items[0].device.as_ref().unwrap().id, "d");
    let update = DeviceTopicUpdate::new("d", TopicOp::Set, &["a"]).user("42");
    let params = json!({"device_id": "d", "op": "set", "topics": ["a"], "user": "42"});
    call(update, "device_topic_update", params, NOTHING);
    let mut filter = UserTopicFilter::default();
    filter.users = vec!["42".into()];
    let list = UserTopicList::new().filter(&filter).include_total_count(true).cursor("p").limit(5);
    let params = json!({"filter": {"users": ["42"]}, "include_total_count": true, "cursor": "p",
        "limit": 5});
    let reply = r#"{"result":{"items":[{"id":"x","user":"42","topic":"a"}],"total_count":1}}"#;
    let found = call(list, "user_topic_list", params, reply);
    assert_eq!((found.items[0].topic.as_str(), found.next_cursor.as_str()), ("a", ""));
    let update = UserTopicUpdate::new("42", TopicOp::Remove, &["a"]);
    let params = json!({"user": "42", "op": "remove", "topics": ["a"]});
    call(update, "user_topic_update", params, NOTHING);
    assert!(is_unsupported(Config::v4("http://h", "k"), DeviceRemove::new()));
}

#[test]
fn push_notifications() {
    let notification = json!({"fcm": {"message": {"notification": {"title": "hi"}}}});
    let to = |recipient| SendPushNotification::new(&recipient, &notification);
    let send = to(PushRecipient::FcmTopic("news".into())).uid("u").send_at(5).analytics_uid("a");
    let send = send.optimize_for_reliability().use_templating().use_meta();
    let send = send.limit_strategy(&json!({"time_limit": {"send_after_time": "09:00:00"}}));
    let send = send.localizations(&json!({"de": {"translations": {"hi": "hallo"}}}));
    let params = json!({"recipient": {"fcm_topic": "news"}, "notification": notification,
        "uid": "u", "send_at": 5, "optimize_for_reliability": true, "analytics_uid": "a",
        "limit_strategy": {"time_limit": {"send_after_time": "09:00:00"}},
        "localizations": {"de": {"translations": {"hi": "hallo"}}},
        "use_templating": true, "use_meta": true});
    let reply = r#"{"result":{"uid":"u"}}"#;
    assert_eq!(call(send, "send_push_notification", params, reply), "u");
    let mut filter = DeviceFilter::default();
    filter.ids = vec!["d".into()];
    for (recipient, sent) in [
        (PushRecipient::Filter(filter), json!({"filter": {"ids": ["d"]}})),
        (PushRecipient::FcmTokens(vec!["t".into()]), json!({"fcm_tokens": ["t"]})),
        (PushRecipient::FcmCondition("c".into()), json!({"fcm_condition": "c"})),
        (PushRecipient::HmsTokens(vec!["t".into()]), json!({"hms_tokens": ["t"]})),
        (PushRecipient::HmsTopic("t".into()), json!({"hms_topic": "t"})),
        (PushRecipient::HmsCondition("c".into()), json!({"hms_condition": "c"})),
        (PushRecipient::ApnsTokens(vec!["t".into()]), json!({"apns_tokens": ["t"]})),
        (PushRecipient::WebpushTokens(vec!["t".into()]), json!({"webpush_tokens": ["t"]})),
    ] {
        let params = json!({"recipient": sent, "notification": notification});
        call(to(recipient), "send_push_notification", params, reply);
    }
    let status = || UpdatePushStatus::new("a", "delivered").device_id("d").msg_id("m");
    let params = json!({"analytics_uid": "a", "status": "delivered", "device_id": "d",
        "msg_id": "m"});
    call(status(), "update_push_status", params, NOTHING);
    // Before 5.3 the field had another name.
    let v52 = Config::v5("http://h", "k").release(2, 9);
    let params = json!({"uid": "a", "status": "delivered", "device_id": "d", "msg_id": "m"});
    on(v52, status(), "update_push_status", params, NOTHING);
    call(CancelPush::new("u"), "cancel_push", json!({"uid": "u"}), NOTHING);
    let v502 = Config::v5("http://h", "k").release(0, 2);
    assert!(is_unsupported(v502, CancelPush::new("u")));
}

#[test]
fn the_node_that_answers_is_asked_on_v1() {
    let v1 = || Config::v1("http://h", "s");
    let reply = r#"[{"method":"node","error":null,"body":{"data":{"uid":"u","name":"n","started_at":5,"metrics":{"num_msg_published":7},"version":"1.8.0"}}}]"#;
    let node = on(v1(), NodeInfo, "node", json!({}), reply);
    assert_eq!((node.version.as_deref(), node.counters["num_msg_published"]), (Some("1.8.0"), 7.0));
    assert!(is_unsupported(Config::v2("http://h", "k"), NodeInfo));
    assert!(is_unsupported(v1().release(3, 9), NodeInfo));
}
