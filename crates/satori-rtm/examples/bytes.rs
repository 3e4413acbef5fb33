//! Byte strings, which CBOR can carry and JSON cannot.

#![allow(clippy::print_stdout, reason = "what an example prints is its result")]

mod service;

use std::error::Error;

use satori_rtm::{Client, Delivery, Protocol, Subscribe, Value};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = service::Service::find().await?;
    let client = Client::connect(service.config().protocol(Protocol::Cbor)).await?;
    let mut frames = client.subscribe("frames", Subscribe::new()).await?;
    let frame = Value::from([("n", Value::from(1)), ("raw", Value::Bytes(vec![0, 255, 16]))]);
    client.publish("frames", &frame).await?;
    let Some(Delivery::Message(message)) = frames.next().await else {
        return Err("nothing came".into());
    };
    println!("{message}");
    assert_eq!(message.decode::<Value>()?, frame);

    let json = Client::connect(service.config()).await?;
    let error = json.publish("frames", &frame).await.err().ok_or("JSON took bytes")?;
    println!("{}: {error}", error.code());
    Ok(())
}
