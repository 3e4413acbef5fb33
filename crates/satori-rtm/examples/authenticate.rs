//! Authenticates: from the beginning, later, and with a wrong secret.

#![allow(clippy::print_stdout, reason = "what an example prints is its result")]

mod service;

use std::error::Error;

use satori_rtm::{Client, RoleSecret};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let service = service::Service::find().await?;
    let (role, secret) = (service.role.as_str(), service.secret.as_str());

    let client = Client::connect(service.config().role(role, secret)).await?;
    println!("{role} may publish: {:?}", client.publish("restricted", "hello").await?);

    let client = Client::connect(service.config()).await?;
    match client.publish("restricted", "hello").await {
        Err(error) => println!("somebody else: {error}"),
        Ok(_) => println!("this service restricts nothing"),
    }
    client.authenticate(RoleSecret::new(role, secret)).await?;
    println!("{role} may publish: {:?}", client.publish("restricted", "hello").await?);

    match Client::connect(service.config().role(role, "not the secret")).await {
        Err(error) => println!("{error}; {}", error.hint().unwrap_or_default()),
        Ok(_) => return Err("a wrong secret was taken".into()),
    }
    Ok(())
}
