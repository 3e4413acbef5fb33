//! The commands that receive.

use std::time::Duration;

use satori_rtm::{Delivery, Options, Subscribe, Subscription};
use serde_json::json;
use tokio::sync::mpsc;

use crate::{
    Failure,
    options::Start,
    session::{connect, print, shown, why},
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
    let client = connect(settings).await?;
    let answer = client.read_with(key, Options::new()).await.map_err(|e| why(&e))?;
    print(&shown(settings, &answer.message()))?;
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
    let client = connect(settings).await?;
    let (all, mut deliveries) = mpsc::channel(1);
    for (id, options) in wanted {
        let options = start.add_to(options).mode(settings.mode);
        let subscription = client.subscribe(&id, options).await;
        forward(subscription.map_err(|e| format!("{id}: {}", why(&e)))?, all.clone());
    }
    drop(all);
    loop {
        let next = tokio::select! {
            next = deliveries.recv() => next,
            _interrupted = tokio::signal::ctrl_c() => break,
        };
        let Some((id, delivery)) = next else { break };
        let line = match (&delivery, settings.json) {
            (Delivery::Message(message), true) => {
                let id = json!(id);
                format!(r#"{{"subscription":{id},"message":{message}}}"#)
            }
            (Delivery::Message(message), false) => {
                format!("{}{}", prefix(&id), shown(settings, message))
            }
            (Delivery::Gap(gap), true) => {
                let gap = json!({"reason": format!("{:?}", gap.reason), "missed": gap.missed});
                json!({"subscription": id, "gap": gap}).to_string()
            }
            (Delivery::Gap(gap), false) => {
                let missed =
                    gap.missed.map_or_else(|| "some".to_owned(), |missed| missed.to_string());
                eprintln!("{id}: {missed} messages are missing ({:?})", gap.reason);
                continue;
            }
            (Delivery::Ended(error), _) => return Err(format!("{id}: {}", why(error))),
            _ => continue,
        };
        if !print(&line)? {
            break;
        }
    }
    client.close(Duration::from_secs(5)).await;
    Ok(())
}

/// Hands on what a subscription delivers, at the pace of whoever takes it.
fn forward(mut subscription: Subscription, to: mpsc::Sender<(String, Delivery)>) {
    tokio::spawn(async move {
        let id = subscription.id().to_owned();
        while let Some(delivery) = subscription.next().await {
            if to.send((id.clone(), delivery)).await.is_err() {
                return;
            }
        }
    });
}
