//! Subscribes to views: what a query shows of a channel, several of one at a time.

#![allow(clippy::print_stdout, reason = "what an example prints is its result")]

mod service;

use std::{error::Error, time::Duration};

use satori_rtm::{Client, Delivery, Subscribe, Value};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = service::Service::find().await?;
    let client = Client::connect(service.config()).await?;

    let old = Subscribe::new().filter("select who from zebras where age > 3");
    let mut old = client.subscribe("old zebras", old).await?;
    let count = "select who, count(*) as sightings from zebras group by who";
    let count = Subscribe::new().filter(count).period(Duration::from_secs(1));
    let mut count = client.subscribe("how many", count).await?;

    for (who, age) in [("Zia", 2), ("Zoe", 4), ("Zoe", 4)] {
        let zebra = Value::from([("who", Value::from(who)), ("age", Value::from(age))]);
        client.publish("zebras", &zebra).await?;
    }
    for (name, view) in [("old zebras", &mut old), ("how many", &mut count)] {
        for _ in 0..2 {
            match view.next().await {
                Some(Delivery::Message(message)) => println!("{name}: {message}"),
                other => return Err(format!("{other:?}").into()),
            }
        }
    }
    Ok(())
}
