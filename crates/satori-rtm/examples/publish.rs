//! Publishes: acknowledged, with options, and without waiting for an answer.

#![allow(clippy::print_stdout, reason = "what an example prints is its result")]

mod service;

use std::{error::Error, time::Duration};

use satori_rtm::{Client, Options};
use serde::Serialize;

#[derive(Serialize)]
struct Zebra {
    who: &'static str,
    r#where: [f64; 2],
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = service::Service::find().await?;
    let client = Client::connect(service.config()).await?;

    let zebra = Zebra { who: "zebra", r#where: [34.134358, -118.321506] };
    let position = client.publish("animals", &zebra).await?;
    println!("stored at {position:?}");

    // Sent once: if the connection is lost meanwhile, that is an error.
    let answer = client.publish_with("animals", &zebra, Options::new().at_most_once()).await?;
    println!("stored at {:?}", answer.position());

    client.publish_unacknowledged("animals", "whoever hears it").await?;
    let report = client.close(Duration::from_secs(5)).await;
    println!("{} acknowledged, {} written", report.acknowledged, report.written);
    Ok(())
}
