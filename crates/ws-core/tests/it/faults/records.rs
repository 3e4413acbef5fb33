//! A wire between a TLS client and its server that counts records.

use std::future::pending;

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream, split},
    sync::mpsc,
};

/// What happens after some records from the server.
#[derive(Clone, Copy, Debug, Eq, PartialEq)]
pub(super) enum Then {
    /// The stream ends, as by a FIN, after this many bytes of the next record.
    End { after: usize },
    /// Nothing comes any more.
    Stall,
}

/// Returns the client's end of a wire to `server`, which carries `records`
/// records to the client and then does `then`; each carried one is told.
pub(super) fn wire(
    server: DuplexStream,
    records: usize,
    then: Then,
) -> (DuplexStream, mpsc::UnboundedReceiver<u8>) {
    let (near, far) = tokio::io::duplex(1 << 16);
    let (told, carried) = mpsc::unbounded_channel();
    let (mut from_client, mut to_client) = split(far);
    let (mut from_server, mut to_server) = split(server);
    tokio::spawn(async move {
        let _carried = tokio::io::copy(&mut from_client, &mut to_server).await;
        // An end that the client makes is not passed on: the server stays.
        pending::<()>().await;
    });
    tokio::spawn(async move {
        for _ in 0..records {
            let Some(record) = record(&mut from_server).await else { break };
            let _sent = told.send(record[0]);
            if to_client.write_all(&record).await.is_err() {
                break;
            }
        }
        drop(told);
        match then {
            Then::Stall => pending().await,
            Then::End { after } => {
                if after > 0
                    && let Some(record) = record(&mut from_server).await
                {
                    let part = &record[..after.min(record.len() - 1)];
                    let _sent = to_client.write_all(part).await;
                }
                let _ended = to_client.shutdown().await;
                pending::<()>().await;
            }
        }
    });
    (near, carried)
}

/// One TLS record: content type, version, a 16-bit length, the content.
async fn record(from: &mut (impl AsyncReadExt + Unpin)) -> Option<Vec<u8>> {
    let mut record = vec![0; 5];
    from.read_exact(&mut record).await.ok()?;
    let len = usize::from(u16::from_be_bytes([record[3], record[4]]));
    record.resize(5 + len, 0);
    from.read_exact(&mut record[5..]).await.ok()?;
    Some(record)
}
