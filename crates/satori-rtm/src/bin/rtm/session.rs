//! A connection with its diagnostics, and what is printed.

use std::io::{ErrorKind, Write};

use satori_rtm::{Client, Error, Event, Message, Value};
use serde_json::json;

use crate::{
    Failure,
    settings::{Settings, without_user},
};

/// Connects, and tells on stderr how it goes on; nothing if it was interrupted.
pub(crate) async fn connect(settings: &Settings) -> Result<Option<Client>, Failure> {
    let Settings { endpoint, appkey, verbosity, .. } = settings;
    eprintln!("Connecting to {} using appkey {appkey}", without_user(endpoint));
    let client = Client::new(settings.config()).map_err(|e| why(&e))?;
    let (mut events, verbosity) = (client.events(), *verbosity);
    let Some(started) = settings.interrupt.unless(client.start()).await else {
        return Ok(None);
    };
    started.map_err(|e| why(&e))?;
    eprintln!("Connected");
    tokio::spawn(async move {
        // The connection that was just told of.
        let mut first = true;
        while let Some(event) = events.next().await {
            match event {
                Event::Connected if first => first = false,
                Event::Connected => eprintln!("Connected"),
                Event::Disconnected { .. } => eprintln!("Disconnected"),
                Event::Waiting { delay, cause, .. } if verbosity >= 1 => {
                    eprintln!("{}; the next attempt is in {delay:.1?}", why(&cause));
                }
                other if verbosity >= 3 => eprintln!("{other:?}"),
                _ => {}
            }
        }
    });
    Ok(Some(client))
}

/// An error with its causes and what to try.
pub(crate) fn why(error: &Error) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    match error.hint() {
        Some(hint) => format!("{text} ({hint})"),
        None => text,
    }
}

/// What is given as JSON, or as a text if it is none.
pub(crate) fn value(text: &str) -> Value {
    serde_json::from_str(text).unwrap_or_else(|_| Value::from(text))
}

/// A line on stdout. Who reads only the beginning has what he wanted: false.
pub(crate) fn print(line: &str) -> Result<bool, Failure> {
    let mut out = std::io::stdout().lock();
    match writeln!(out, "{line}").and_then(|()| out.flush()) {
        Ok(()) => Ok(true),
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(false),
        Err(error) => Err(format!("stdout: {error}")),
    }
}

/// A message as it is printed.
pub(crate) fn shown(settings: &Settings, message: &Message) -> String {
    match settings.prettify {
        true => match serde_json::from_str::<serde_json::Value>(&message.to_string()) {
            Ok(value) => format!("{value:#}"),
            Err(_) => message.to_string(),
        },
        false => message.to_string(),
    }
}

/// A message for programs: JSON, with byte strings as `{"$bytes": "00ff"}`.
pub(crate) fn for_programs(message: &Message) -> String {
    match message.decode::<Value>() {
        Ok(value) if message.as_json().is_none() => plain(&value).to_string(),
        _ => message.to_string(),
    }
}

fn plain(value: &Value) -> serde_json::Value {
    match value {
        Value::Bytes(bytes) => {
            let hex: String = bytes.iter().map(|byte| format!("{byte:02x}")).collect();
            json!({"$bytes": hex})
        }
        Value::List(items) => items.iter().map(plain).collect(),
        Value::Map(fields) => {
            fields.iter().map(|(name, value)| (name.clone(), plain(value))).collect()
        }
        other => serde_json::to_value(other).unwrap_or_default(),
    }
}
