//! Replaces the filter of a subscription on the fly, and a subscription by another one.

#![allow(clippy::print_stdout, reason = "what an example prints is its result")]

mod service;

use std::error::Error;

use satori_rtm::{Client, Delivery, Subscribe, Value};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = service::Service::find().await?;
    let client = Client::connect(service.config()).await?;
    let zone = |zone: &str| format!("select van from fleet where zone = '{zone}'");

    let mut vans = client.subscribe("vans", Subscribe::new().filter(zone("N"))).await?;
    report(&client, &mut vans, 1, "N").await?;
    vans.change(Subscribe::new().filter(zone("S"))).await?;
    report(&client, &mut vans, 2, "S").await?;
    // What the service refuses changes nothing.
    let refused = vans.change(Subscribe::new().filter("nonsense")).await;
    println!("refused: {}", refused.err().ok_or("it was not refused")?);
    report(&client, &mut vans, 3, "S").await?;

    // Without the view, and from the beginning.
    drop(vans);
    let mut all = client.subscribe("fleet", Subscribe::new().history_count(9)).await?;
    for _ in 0..3 {
        show(&mut all).await?;
    }
    Ok(())
}

async fn report(
    client: &Client,
    vans: &mut satori_rtm::Subscription,
    van: u32,
    zone: &str,
) -> Result<(), Box<dyn Error>> {
    let report = Value::from([("van", Value::from(van)), ("zone", Value::from(zone))]);
    client.publish("fleet", &report).await?;
    show(vans).await
}

async fn show(vans: &mut satori_rtm::Subscription) -> Result<(), Box<dyn Error>> {
    match vans.next().await {
        Some(Delivery::Message(message)) => println!("{}: {message}", vans.id()),
        other => return Err(format!("{other:?}").into()),
    }
    Ok(())
}
