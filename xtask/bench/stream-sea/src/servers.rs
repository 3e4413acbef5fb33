//! A feeder, which delivers as fast as it is read; and the sandbox, for publications.

use realtime_sandbox::{Engine, StreamSeaConfig, StreamSeaServer};
use tokio::net::{TcpListener, TcpStream};
use ws_core::{Limits, Message};

pub(crate) fn run() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(async {
        let config = StreamSeaConfig::default().stream(crate::STREAM);
        let sandbox = StreamSeaServer::new(config, Engine::WsCore);
        sandbox.listen(0).await.expect("a port");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let feeder = listener.local_addr().expect("an address").port();
        println!("{feeder} {}", sandbox.port());
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(feed(stream));
        }
    });
}

/// Accepts anybody, and delivers as many messages as the stream is called after.
async fn feed(stream: TcpStream) -> Option<()> {
    let opening = ws_core::accept(stream, Limits::default()).await.ok()?;
    let mut socket = opening.accept(None).await.ok()?;
    let said = |message| match message {
        Message::Text(text) => serde_json::from_str::<serde_json::Value>(&text).ok(),
        _ => None,
    };
    let mut stream = None;
    while stream.is_none() {
        let Some(asked) = said(socket.next().await.ok()??) else { continue };
        let (id, name) = (&asked["id"], asked["payload"].as_str());
        let answer = match name {
            None => r#"{"id":1,"action":"authenticate","success":true}"#.to_owned(),
            Some(name) => {
                stream = Some(name.to_owned());
                format!(r#"{{"id":{id},"action":"subscription","success":true,"payload":{id}}}"#)
            }
        };
        socket.send(&Message::text(answer)).await.ok()?;
    }
    // It is called after the number of messages.
    let stream = stream?;
    let delivery = format!(
        r#"{{"id":2,"action":"subscription","streamName":"{stream}","payload":{}}}"#,
        crate::payload()
    );
    let delivery = Message::text(delivery);
    for n in 1..=stream.parse::<u64>().ok()? {
        // One write for what has gathered.
        socket.feed(&delivery).await.ok()?;
        if n % 64 == 0 {
            socket.flush().await.ok()?;
        }
    }
    socket.flush().await.ok()?;
    while let Ok(Some(_)) = socket.next().await {}
    Some(())
}
