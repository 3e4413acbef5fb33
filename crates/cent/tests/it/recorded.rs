//! The sandbox's server against the recorded exchanges of real ones: configured
//! as theirs were, it answers each request of an instance, in order, alike.

use std::{
    collections::BTreeMap,
    io::{Read, Write},
    net::{SocketAddr, TcpStream},
    time::Duration,
};

use cent::{Algorithm, Claims};
use realtime_sandbox::{CentrifugoConfig, CentrifugoServer, ChannelOptions, Engine};
use serde_json::Value;

use crate::sandbox::{Subscriber, runtime};

/// Exchanges that the sandbox answers in another way, as listed in
/// `docs/protocols/cent.md`, section 10.
const OTHERWISE: [&str; 3] = ["v3.2.3 info", "v5.4.9 info", "v6.1.0 info"];

#[test]
fn the_sandbox_answers_as_the_recorded_servers_did() {
    let lines = include_str!("../../src/testdata/vectors.jsonl").lines();
    let lines: Vec<Value> = lines.map(|line| serde_json::from_str(line).unwrap()).collect();
    let configs = &lines[0]["meta"]["configs"];
    let mut instances: BTreeMap<String, Instance> = BTreeMap::new();
    let (mut alike, mut otherwise) = (0, Vec::new());
    for line in &lines[1..] {
        let (server, name) = (line["server"].as_str().unwrap(), line["instance"].as_str().unwrap());
        // 5.4.9 was asked the same as 6.1.0; what it answered is recorded once.
        let mut servers = vec![server];
        servers.extend(line["also"].as_array().into_iter().flatten().filter_map(Value::as_str));
        for server in servers {
            let instance = instances
                .entry(format!("{server} {name}"))
                .or_insert_with(|| Instance::start(server, &configs[server][name]));
            instance.prepare(line);
            let differs = instance.differs(line);
            match differs {
                None => alike += 1,
                Some(_) => {
                    let asked = line["name"].as_str().unwrap();
                    otherwise.push((format!("{server} {asked}"), differs));
                }
            }
        }
    }
    let names: Vec<&str> = otherwise.iter().map(|(name, _)| name.as_str()).collect();
    let expected: Vec<&str> = OTHERWISE.to_vec();
    let mut found = names.clone();
    found.sort_unstable();
    assert_eq!(found, expected, "{otherwise:#?}");
    eprintln!("{alike} recorded exchanges answered alike, {} otherwise", otherwise.len());
}

/// One server of the record, and what it calls by other names than ours.
struct Instance {
    server: CentrifugoServer,
    address: SocketAddr,
    subscriber: Option<Subscriber>,
    /// Epochs and ids: the record's, and ours.
    names: BTreeMap<String, String>,
}

impl Instance {
    fn start(version: &str, config: &Value) -> Self {
        let mut parts = version.trim_start_matches('v').split('.').map(|n| n.parse().unwrap());
        let (major, minor) = (parts.next().unwrap(), parts.next().unwrap());
        let server = CentrifugoServer::new(read(config).version(major, minor), Engine::WsCore);
        runtime().block_on(server.listen(0)).unwrap();
        let address = server.address().unwrap();
        Self { server, address, subscriber: None, names: BTreeMap::new() }
    }

    /// What happened beside the lines before this one.
    fn prepare(&mut self, line: &Value) {
        let before = line["before"].as_str().unwrap_or_default();
        if before.is_empty() {
            return;
        }
        let (url, names) = (self.server.websocket_url(), &mut self.names);
        let subscriber = self.subscriber.get_or_insert_with(|| {
            let claims = Claims::connection("42").info(&serde_json::json!({"n": "Bob"}));
            let token = claims.sign("s3cr3t-key", Algorithm::Hs256).unwrap();
            let mut subscriber = Subscriber::connect(&url, &token);
            subscriber.subscribe("room");
            subscriber.subscribe("public:news");
            subscriber
        });
        if before.contains("it published") && !names.contains_key("published") {
            subscriber.publish("public:news", r#"{"c":1}"#);
            names.insert("published".into(), "published".into());
        }
    }

    /// Asks what the line asks; says how the answer differs, if it does.
    fn differs(&mut self, line: &Value) -> Option<String> {
        let (status, headers, body) = exchange(self.address, &line["request"], &self.names);
        let recorded = &line["response"];
        let volatile: Vec<&str> =
            line["volatile"].as_array().unwrap().iter().filter_map(Value::as_str).collect();
        if Some(u64::from(status)) != recorded["status"].as_u64() {
            return Some(format!("status {status}: {body}"));
        }
        let mut wanted: BTreeMap<String, String> =
            serde_json::from_value(recorded["headers"].clone()).unwrap();
        wanted.retain(|name, _| !volatile.contains(&format!("header:{name}").as_str()));
        let found: BTreeMap<String, String> =
            headers.into_iter().filter(|(name, _)| wanted.contains_key(name)).collect();
        let recorded_body = recorded["body"].as_str().unwrap();
        let places = volatile.iter().filter_map(|place| place.strip_prefix("body:"));
        let (wanted_body, found_body) = self.align(recorded_body, &body, places);
        match (wanted, wanted_body) == (found.clone(), found_body.clone()) {
            true => None,
            false => Some(format!("{found:?} {found_body}")),
        }
    }

    /// Both bodies without what is volatile; learns our names for it.
    fn align<'a>(
        &mut self,
        recorded: &str,
        ours: &str,
        places: impl Iterator<Item = &'a str>,
    ) -> (String, String) {
        let (mut recorded, mut ours) = (recorded.to_owned(), ours.to_owned());
        for place in places {
            let (theirs, own) = (values(&recorded), values(&ours));
            if let Some(place) = place.strip_suffix("/*") {
                // One entry, under a name that is new each time and stands inside too.
                let key = |all: &Value| {
                    all.pointer(place)?.as_object()?.keys().next().map(ToOwned::to_owned)
                };
                if let (Some(theirs), Some(own)) = (key(&theirs), key(&own)) {
                    recorded = recorded.replace(&theirs, "volatile");
                    ours = ours.replace(&own, "volatile");
                }
                continue;
            }
            let (Some(theirs), Some(own)) = (theirs.pointer(place), own.pointer(place)) else {
                continue;
            };
            if let (Some(theirs), Some(own)) = (theirs.as_str(), own.as_str()) {
                self.names.insert(theirs.to_owned(), own.to_owned());
                recorded = recorded.replace(&format!("\"{theirs}\""), "\"volatile\"");
                ours = ours.replace(&format!("\"{own}\""), "\"volatile\"");
            }
        }
        (recorded, ours)
    }
}

/// JSON values one after the other.
fn values(text: &str) -> Value {
    let all = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    Value::Array(all.map_while(Result::ok).collect())
}

/// A configuration file of v3 to v5, or of v6.
fn read(file: &Value) -> CentrifugoConfig {
    let api = file.get("http_api").unwrap_or(file);
    let first = |names: &[&str]| names.iter().find_map(|name| api.get(*name)).cloned();
    let text = |value: Option<Value>| value.and_then(|v| v.as_str().map(ToOwned::to_owned));
    let channels = file.pointer("/channel").unwrap_or(file);
    let plain = channels.get("without_namespace").unwrap_or(channels);
    let mut config = CentrifugoConfig::default()
        .no_namespace("public")
        .no_namespace("bare")
        .api_key(text(first(&["key", "api_key"])).unwrap_or_default())
        .secret("s3cr3t-key")
        .insecure(first(&["insecure", "api_insecure"]) == Some(true.into()))
        .transport_errors(text(first(&["error_mode", "api_error_mode"])).is_some())
        .prefix(
            &text(first(&["handler_prefix", "api_handler_prefix"]))
                .unwrap_or_else(|| "/api".into()),
        )
        .without_namespace(options(plain));
    let name = file.pointer("/node/name").or_else(|| file.get("name"));
    if let Some(name) = text(name.cloned()) {
        config = config.name(name);
    }
    for namespace in channels.get("namespaces").and_then(Value::as_array).into_iter().flatten() {
        config = config.namespace(namespace["name"].as_str().unwrap(), options(namespace));
    }
    config
}

fn options(of: &Value) -> ChannelOptions {
    let size = of["history_size"].as_u64().unwrap_or_default() as usize;
    let seconds =
        of["history_ttl"].as_str().map_or(0, |t| t.trim_end_matches('s').parse().unwrap());
    ChannelOptions::default()
        .history(size, Duration::from_secs(seconds))
        .presence(of["presence"] == true)
}

type Answer = (u16, BTreeMap<String, String>, String);

/// Sends the request byte for byte, but for the names that are ours.
fn exchange(address: SocketAddr, request: &Value, names: &BTreeMap<String, String>) -> Answer {
    let mut body = request["body"].as_str().unwrap_or_default().to_owned();
    for (theirs, ours) in names {
        body = body.replace(&format!("\"{theirs}\""), &format!("\"{ours}\""));
    }
    let text = |name: &str| request[name].as_str().unwrap().to_owned();
    let mut head = format!("{} {} HTTP/1.1\r\nHost: {address}\r\n", text("method"), text("path"));
    for (name, value) in request["headers"].as_object().unwrap() {
        head += &format!("{name}: {}\r\n", value.as_str().unwrap());
    }
    head += &format!("Content-Length: {}\r\nConnection: close\r\n\r\n{body}", body.len());
    let mut stream = TcpStream::connect(address).unwrap();
    stream.write_all(head.as_bytes()).unwrap();
    let mut answer = String::new();
    stream.read_to_string(&mut answer).unwrap();
    let (head, body) = answer.split_once("\r\n\r\n").unwrap();
    let mut lines = head.lines();
    let status = lines.next().unwrap().split(' ').nth(1).unwrap().parse().unwrap();
    let headers = lines.filter_map(|line| line.split_once(": "));
    (status, headers.map(|(n, v)| (n.to_owned(), v.to_owned())).collect(), body.to_owned())
}
