//! The traits of the `futures` crates.

use futures_util::{SinkExt, StreamExt, TryStreamExt, stream};
use ws_core::{Limits, Message, Queues};

use crate::support::pair;

fn texts() -> Vec<Message> {
    (0..50).map(|n| Message::text(n.to_string())).collect()
}

#[tokio::test(start_paused = true)]
async fn a_connection_is_a_stream_and_a_sink() {
    let (mut client, mut server) = pair(|io| io, Limits::default()).await;
    let sending = async {
        client.send_all(&mut stream::iter(texts()).map(Ok)).await.unwrap();
        SinkExt::close(&mut client).await
    };
    let receiving = async {
        let got: Vec<Message> = (&mut server).try_collect().await.unwrap();
        drop(server);
        got
    };
    let (closed, got) = tokio::join!(sending, receiving);
    closed.unwrap();
    assert_eq!(got, texts());
}

#[tokio::test(start_paused = true)]
async fn halves_and_receivers_are_streams_and_sinks_too() {
    let (client, server) = pair(|io| io, Limits::default()).await;
    let (reader, mut writer) = client.split();
    let (handle, receiver) = server.spawn(Queues::default());
    let sending = async {
        writer.send_all(&mut stream::iter(texts()).map(Ok)).await.unwrap();
        SinkExt::close(&mut writer).await.unwrap();
    };
    let (got, ()) = tokio::join!(receiver.try_collect::<Vec<_>>(), sending);
    assert_eq!(got.unwrap(), texts());
    drop(handle);
    assert_eq!(reader.try_collect::<Vec<_>>().await.unwrap(), []);
}
