//! The value of a channel: written, compared and set, read and deleted, over WebSocket
//! and over HTTP.

#![allow(clippy::print_stdout, reason = "what an example prints is its result")]

mod service;

use std::error::Error;

use satori_rtm::{Client, Kv, KvConfig, Options, Value};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = service::Service::find().await?;
    let client = Client::connect(service.config()).await?;
    let position = client.write("zebras", &7).await?;
    println!("zebras: {}", client.read::<u64>("zebras").await?);

    // Only if nobody was faster.
    let unchanged = Options::new().position(position).at_most_once();
    client.write_with("zebras", &8, unchanged.clone()).await?;
    let late = client.write_with("zebras", &9, unchanged).await;
    println!("late: {}", late.err().ok_or("nobody was faster")?);

    // The blocking calls have a thread of their own.
    let kv = KvConfig::new(&service.endpoint, &service.appkey);
    let read = tokio::task::spawn_blocking(move || -> Result<_, satori_rtm::Error> {
        let kv = Kv::new(kv)?;
        let read: u64 = kv.read("zebras")?;
        kv.delete("zebras")?;
        Ok(read)
    });
    println!("zebras by HTTP: {}", read.await??);
    println!("then: {}", client.read::<Value>("zebras").await?);
    Ok(())
}
