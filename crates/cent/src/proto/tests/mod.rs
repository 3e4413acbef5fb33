//! The recorded exchanges of real servers: our encoder makes each request, our
//! decoder reads each answer.

mod typed;

use std::collections::BTreeMap;

use serde_json::{Value, json, value::RawValue};

use super::*;
use crate::{
    error::Failure,
    requests::ReadError,
    version::{Dialect, Version},
};

/// One recorded exchange.
struct Exchange {
    name: String,
    version: Version,
    instance: String,
    raw: bool,
    path: String,
    headers: BTreeMap<String, String>,
    body: String,
    status: u16,
    answer: String,
}

fn exchanges() -> Vec<Exchange> {
    let lines = include_str!("../../testdata/vectors.jsonl").lines().skip(1);
    let text = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    lines
        .map(|line| {
            let line: Value = serde_json::from_str(line).unwrap();
            let server = text(&line["server"]);
            let parts: Vec<u8> =
                server.trim_start_matches('v').split('.').map(|n| n.parse().unwrap()).collect();
            let headers = line["request"]["headers"].as_object().unwrap();
            Exchange {
                name: text(&line["name"]),
                version: Version::new(parts[0], parts[1], parts[2]),
                instance: text(&line["instance"]),
                raw: line["raw"] == json!(true),
                path: text(&line["request"]["path"]),
                headers: headers.iter().map(|(name, value)| (name.clone(), text(value))).collect(),
                body: text(&line["request"]["body"]),
                status: line["response"]["status"].as_u64().unwrap() as u16,
                answer: text(&line["response"]["body"]),
            }
        })
        .collect()
}

impl Exchange {
    /// The dialect, and the path after the address.
    fn dialect(&self) -> (Dialect, &str) {
        let base = if self.instance == "prefix" { "/x/y" } else { "/api" };
        match self.path.strip_prefix(base).unwrap_or(&self.path) {
            "" => (Dialect::Stream, ""),
            "/" => (Dialect::Signed, "/"),
            path => (Dialect::Method, path),
        }
    }

    fn is_batch(&self) -> bool {
        self.path.ends_with("/batch")
    }

    /// The commands of a request that a client makes, each with its method and
    /// its parameters as text.
    fn commands(&self) -> Vec<(String, Box<RawValue>)> {
        let (dialect, path) = self.dialect();
        let named = |command: BTreeMap<String, Box<RawValue>>| {
            let method = serde_json::from_str(command["method"].get()).unwrap();
            let params = command.get("params").cloned().unwrap_or_else(empty);
            (method, params)
        };
        match (dialect, path) {
            (Dialect::Signed | Dialect::Project, _) => {
                let all: Vec<BTreeMap<String, Box<RawValue>>> =
                    serde_json::from_str(&self.body).unwrap();
                all.into_iter().map(named).collect()
            }
            (Dialect::Stream, _) => {
                let all = serde_json::Deserializer::from_str(&self.body).into_iter();
                all.map(|command| named(command.unwrap())).collect()
            }
            (Dialect::Method, "/batch") => {
                #[derive(serde::Deserialize)]
                struct Batch {
                    commands: Vec<BTreeMap<String, Box<RawValue>>>,
                }
                let batch: Batch = serde_json::from_str(&self.body).unwrap();
                batch.commands.into_iter().flatten().collect()
            }
            (Dialect::Method, method) => {
                let params = RawValue::from_string(self.body.clone()).unwrap();
                vec![(method.trim_start_matches('/').to_owned(), params)]
            }
        }
    }
}

fn empty() -> Box<RawValue> {
    RawValue::from_string("{}".to_owned()).unwrap()
}

/// JSON values one after the other, without ids, which our client leaves out.
fn values(text: &str) -> Vec<Value> {
    let mut all: Vec<Value> =
        serde_json::Deserializer::from_str(text).into_iter().collect::<Result<_, _>>().unwrap();
    for value in &mut all {
        if let Some(fields) = value.as_object_mut()
            && fields.contains_key("method")
        {
            fields.remove("id");
            fields.entry("params").or_insert_with(|| json!({}));
        }
    }
    all
}

/// The credential that the recorded request carried.
fn credential(exchange: &Exchange) -> Credential {
    let key = |name| exchange.headers.get(name).cloned();
    match exchange.dialect().0 {
        Dialect::Signed => Credential::Secret(Key::new("s3cr3t-key")),
        Dialect::Stream => {
            let found = key("Authorization").unwrap_or_default();
            Credential::Key(Key::new(found.trim_start_matches("apikey ")))
        }
        _ => Credential::Key(Key::new(key("X-API-Key").unwrap_or_default())),
    }
}

#[test]
fn each_recorded_request_is_made_as_it_was_sent() {
    let mut made = 0;
    for exchange in exchanges().iter().filter(|exchange| !exchange.raw) {
        let (dialect, path) = exchange.dialect();
        let commands: Vec<Command> = exchange
            .commands()
            .iter()
            .map(|(method, params)| Command::raw(method, params).unwrap())
            .collect();
        let parallel = exchange.body.contains("\"parallel\":true");
        let request = encode(dialect, &credential(exchange), &commands, parallel);
        // A batch of one is the method itself.
        let (path, body) = match (path, commands.as_slice()) {
            ("/batch", [one]) => (format!("/{}", one.method), one.params.clone()),
            _ => (path.to_owned(), exchange.body.clone()),
        };
        assert_eq!(request.path, path, "{}", exchange.name);
        assert_eq!(values(&request.body), values(&body), "{}", exchange.name);
        for (name, value) in &request.headers {
            // The signature is over the exact bytes, which may differ in spaces.
            if let Some(recorded) = exchange.headers.get(*name)
                && request.body == exchange.body
            {
                assert_eq!(value, recorded, "{}", exchange.name);
            }
        }
        made += 1;
    }
    assert_eq!(made, 192);
}

/// What a test expects of an answer, read with nothing of ours.
fn expected(exchange: &Exchange, commands: usize) -> Vec<Result<(), u64>> {
    let code = |error: &Value| Err(error["code"].as_u64().unwrap());
    let outcome = |reply: &Value| match reply.get("error") {
        Some(error) => code(error),
        None => Ok(()),
    };
    let answers = values(&exchange.answer);
    match (exchange.status, answers.as_slice()) {
        (200, [one]) if one.get("replies").is_some() => {
            one["replies"].as_array().unwrap().iter().map(outcome).collect()
        }
        (200, _) => answers.iter().take(commands).map(outcome).collect(),
        (_, [error]) => vec![code(error)],
        _ => panic!("{}", exchange.name),
    }
}

#[test]
fn each_recorded_answer_is_read() {
    let (mut outcomes, mut refusals) = (0, 0);
    for exchange in exchanges() {
        let (dialect, _) = exchange.dialect();
        let body = exchange.answer.as_bytes();
        let answer = HttpAnswer { status: exchange.status, body };
        if exchange.raw {
            // Whatever was sent, what came back is read or refused, and told.
            let one = Command::raw("publish", &json!({})).unwrap();
            let _read = decode(dialect, &[one], exchange.is_batch(), answer);
            continue;
        }
        let commands: Vec<Command> = exchange
            .commands()
            .iter()
            .map(|(method, params)| Command::raw(method, params).unwrap())
            .collect();
        let in_transport_mode = exchange.status != 200 && exchange.answer.starts_with('{');
        match decode(dialect, &commands, exchange.is_batch(), answer) {
            Ok(read) => {
                let found: Vec<Result<(), u64>> = read
                    .iter()
                    .map(|outcome| outcome.as_ref().map(drop).map_err(|e| u64::from(e.code)))
                    .collect();
                assert_eq!(found, expected(&exchange, commands.len()), "{}", exchange.name);
                outcomes += found.len();
            }
            Err(error) => {
                assert!(!in_transport_mode && exchange.status != 200, "{}", exchange.name);
                let failure = match exchange.status {
                    401 => Failure::Unauthorized,
                    status => Failure::Status(status),
                };
                assert_eq!(error.failure, failure, "{}", exchange.name);
                refusals += 1;
            }
        }
    }
    assert_eq!((outcomes, refusals), (188, 18));
}

/// Zero values may be left out or be there.
fn without_zeros(value: &mut Value) {
    if let Some(fields) = value.as_object_mut() {
        for (name, field) in fields.iter_mut() {
            if !["data", "info"].contains(&name.as_str()) {
                without_zeros(field);
            }
        }
        let data = ["data", "info", "params"];
        fields.retain(|name, field| {
            data.contains(&name.as_str())
                || ![json!(0), json!(""), json!(false), json!([]), json!({})].contains(field)
        });
    }
}

#[test]
fn each_recorded_command_is_made_and_read_by_its_type() {
    let (mut made, mut refused, mut others) = (0, Vec::new(), 0);
    for exchange in exchanges().iter().filter(|exchange| !exchange.raw) {
        let (dialect, _) = exchange.dialect();
        let all = exchange.commands();
        let commands: Vec<Command> =
            all.iter().map(|(method, params)| Command::raw(method, params).unwrap()).collect();
        let answer = HttpAnswer { status: exchange.status, body: exchange.answer.as_bytes() };
        let Ok(outcomes) = decode(dialect, &commands, exchange.is_batch(), answer) else {
            continue;
        };
        for ((method, params), outcome) in all.iter().zip(&outcomes) {
            let recorded = typed::Recorded::new(exchange.version, params, outcome);
            let Some((command, read)) = recorded.typed(method) else {
                others += 1;
                continue;
            };
            match command {
                Ok(command) => {
                    let mut ours: Value = serde_json::from_str(&command.params).unwrap();
                    let mut theirs: Value = serde_json::from_str(params.get()).unwrap();
                    without_zeros(&mut ours);
                    without_zeros(&mut theirs);
                    assert_eq!((&*command.method, ours), (&**method, theirs), "{}", exchange.name);
                    made += 1;
                }
                Err(error) => refused.push(format!("{}: {error}", exchange.name)),
            }
            match (read, outcome) {
                (Ok(()), Ok(_)) | (Err(ReadError::Api(_)), Err(_)) => {}
                (read, outcome) => panic!("{}: {read:?} of {outcome:?}", exchange.name),
            }
        }
    }
    refused.sort();
    refused.dedup();
    // What real servers do badly with, or drop, is refused; `add` sends it still.
    assert_eq!(
        refused,
        [
            "history reverse since 0: there is nothing before offset 0",
            "publish b64data: Centrifugo 3.2.3 has no publish.b64data: it came with 4.0.2",
            "publish non-JSON b64data: these bytes are no JSON: a history that would return them \
             fails, until they are gone; allow_poison() sends them",
            "publish version fields ignored before 6.2: Centrifugo 6.1.0 has no publish.version: \
             it came with 6.2.0",
        ]
    );
    assert_eq!((made, others), (179, 3));
}
