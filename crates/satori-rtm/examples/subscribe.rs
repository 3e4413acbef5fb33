//! Subscribes: from now on, from a position, with the last messages, with those of the
//! last minute.

#![allow(clippy::print_stdout, reason = "what an example prints is its result")]

mod service;

use std::{error::Error, time::Duration};

use satori_rtm::{Client, Delivery, Subscribe};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = service::Service::find().await?;
    let client = Client::connect(service.config()).await?;

    let mut live = client.subscribe("animals", Subscribe::new()).await?;
    let mut third = None;
    for n in 1..=5 {
        let position = client.publish("animals", &n).await?;
        third = if n == 3 { position } else { third };
    }
    show("live", &mut live, 5).await?;
    live.unsubscribe().await?;

    for (name, options, count) in [
        ("from the third", Subscribe::new().from(third), 3),
        ("the last two", Subscribe::new().history_count(2), 2),
        ("the last minute", Subscribe::new().history_age(Duration::from_secs(60)), 5),
    ] {
        let mut animals = client.subscribe("animals", options).await?;
        show(name, &mut animals, count).await?;
        // Gone before the next one takes the channel.
        animals.unsubscribe().await?;
    }
    Ok(())
}

async fn show(
    name: &str,
    animals: &mut satori_rtm::Subscription,
    count: usize,
) -> Result<(), Box<dyn Error>> {
    let mut shown = 0;
    while shown < count {
        match animals.next().await {
            Some(Delivery::Message(message)) => {
                println!("{name}: {message}");
                shown += 1;
            }
            Some(Delivery::Gap(gap)) => println!("{name}: messages are missing: {gap:?}"),
            Some(Delivery::Ended(error)) => return Err(error.into()),
            _ => return Err("the subscription has ended".into()),
        }
    }
    Ok(())
}
