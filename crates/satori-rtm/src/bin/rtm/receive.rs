//! The commands that receive.

use std::time::Duration;

use satori_rtm::{Client, Delivery, Options, Subscribe};
use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    Failure,
    options::Start,
    session::{connect, for_programs, print, shown, why},
    settings::Settings,
};

/// The name of the one view.
const VIEW: &str = "view";

pub(crate) async fn subscribe(
    settings: &Settings,
    channels: &[String],
    start: Start,
) -> Result<(), Failure> {
    let wanted = channels.iter().map(|channel| (channel.clone(), Subscribe::new()));
    follow(settings, wanted.collect(), &start, |id| format!("{id}: ")).await
}

pub(crate) async fn view(settings: &Settings, query: String, start: Start) -> Result<(), Failure> {
    let mut options = Subscribe::new().filter(query);
    if let Some(period) = settings.period {
        options = options.period(Duration::from_secs(period));
    }
    follow(settings, vec![(VIEW.to_owned(), options)], &start, |_| String::new()).await
}

pub(crate) async fn read(settings: &Settings, key: &str) -> Result<(), Failure> {
    let Some(client) = connect(settings).await? else { return Ok(()) };
    let read = settings.interrupt.unless(client.read_with(key, Options::new())).await;
    if let Some(answer) = read {
        print(&shown(settings, &answer.map_err(|e| why(&e))?.message()))?;
    }
    client.close(Duration::from_secs(5)).await;
    Ok(())
}

/// Prints what subscriptions deliver until interrupted.
async fn follow(
    settings: &Settings,
    wanted: Vec<(String, Subscribe)>,
    start: &Start,
    prefix: fn(&str) -> String,
) -> Result<(), Failure> {
    let Some(client) = connect(settings).await? else { return Ok(()) };
    let (all, mut deliveries) = mpsc::channel(1);
    for (id, options) in wanted {
        let options = start.add_to(options).mode(settings.mode);
        tokio::spawn(forward(client.clone(), id, options, all.clone()));
    }
    drop(all);
    while let Some(Some((id, delivery))) = settings.interrupt.unless(deliveries.recv()).await {
        let line = match settings.json {
            true => Some(object(&id, &delivery)),
            false => text(settings, &prefix(&id), &id, &delivery),
        };
        if let Some(line) = line
            && !print(&line)?
        {
            break;
        }
        if let Delivery::Ended(error) = delivery {
            return Err(format!("{id}: {}", why(&error)));
        }
    }
    client.close(Duration::from_secs(5)).await;
    Ok(())
}

/// For people: messages on stdout, the rest on stderr.
fn text(settings: &Settings, prefix: &str, id: &str, delivery: &Delivery) -> Option<String> {
    match delivery {
        Delivery::Message(message) => Some(format!("{prefix}{}", shown(settings, message))),
        Delivery::Gap(gap) => {
            let missed = gap.missed.map_or_else(|| "some".to_owned(), |missed| missed.to_string());
            eprintln!("{id}: {missed} messages are missing ({:?})", gap.reason);
            None
        }
        _ => None,
    }
}

/// For programs.
fn object(id: &str, delivery: &Delivery) -> String {
    let id = json!(id);
    let (what, told) = match delivery {
        // As it was published: no number is rounded, no field moved.
        Delivery::Message(message) => ("message", for_programs(message)),
        Delivery::Gap(gap) => {
            let reason = format!("{:?}", gap.reason);
            ("gap", json!({"reason": reason, "missed": gap.missed}).to_string())
        }
        Delivery::Ended(error) => {
            ("end", json!({"code": error.code(), "reason": why(error)}).to_string())
        }
        other => ("other", json!(format!("{other:?}")).to_string()),
    };
    format!(r#"{{"subscription":{id},"{what}":{told}}}"#)
}

/// Subscribes, and hands on what comes at the pace of whoever takes it; what comes is
/// taken while others subscribe still.
async fn forward(
    client: Client,
    id: String,
    options: Subscribe,
    to: mpsc::Sender<(String, Delivery)>,
) {
    let mut subscription = match client.subscribe(&id, options).await {
        Ok(subscription) => subscription,
        Err(error) => {
            let _gone = to.send((id, Delivery::Ended(error))).await;
            return;
        }
    };
    while let Some(delivery) = subscription.next().await {
        if to.send((id.clone(), delivery)).await.is_err() {
            return;
        }
    }
}
