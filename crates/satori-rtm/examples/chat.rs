//! A chat of two: both join, talk and leave, each with a client of their own.

#![allow(clippy::print_stdout, reason = "what an example prints is its result")]

mod service;

use std::error::Error;

use satori_rtm::{Client, Config, Delivery, Subscribe};
use serde::{Deserialize, Serialize};

const ROOM: &str = "chat";

#[derive(Debug, Deserialize, Serialize)]
#[serde(rename_all = "lowercase")]
enum Said {
    Join(String),
    Line { who: String, text: String },
    Leave(String),
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = service::Service::find().await?;
    let (alice, bob) = tokio::join!(
        talk(service.config(), "Alice", "Do you see the zebra?"),
        talk(service.config(), "Bob", "The one on the left?"),
    );
    alice?;
    bob?;
    Ok(())
}

/// Joins, says a line, and listens until both have left.
async fn talk(config: Config, who: &str, text: &str) -> Result<(), Box<dyn Error>> {
    let client = Client::connect(config).await?;
    // Whoever comes late hears what was said before.
    let mut room = client.subscribe(ROOM, Subscribe::new().history_count(10)).await?;
    let who = who.to_owned();
    client.publish(ROOM, &Said::Join(who.clone())).await?;
    client.publish(ROOM, &Said::Line { who: who.clone(), text: text.to_owned() }).await?;
    client.publish(ROOM, &Said::Leave(who.clone())).await?;
    let mut left = 0;
    while left < 2 {
        let message = match room.next().await {
            Some(Delivery::Message(message)) => message,
            Some(Delivery::Ended(error)) => return Err(error.into()),
            Some(_) => continue,
            None => break,
        };
        match message.decode()? {
            Said::Join(other) => println!("{who} sees: {other} joins"),
            Said::Line { who: other, text } => println!("{who} sees: <{other}> {text}"),
            Said::Leave(other) => {
                println!("{who} sees: {other} leaves");
                left += 1;
            }
        }
    }
    Ok(())
}
