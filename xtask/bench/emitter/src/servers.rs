//! The sandbox, and a feeder that delivers as fast as it is read.

use bytes::BytesMut;
use realtime_sandbox::{EmitterConfig, EmitterServer, Engine};
use rumqttc::{ConnAck, ConnectReturnCode, Packet, Publish, QoS, SubAck, SubscribeReasonCode};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};

pub(crate) const KEY: &str = "bench-key-rwslp-of-thirty-two-by";

pub(crate) fn run() {
    crate::on_a_runtime(async {
        let config = EmitterConfig::default().key(KEY, "#/", "rw");
        let sandbox = EmitterServer::new(config, Engine::WsCore);
        sandbox.listen(0).await.expect("a port");
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{} {}", sandbox.port(), listener.local_addr().expect("an address").port());
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(feed(stream));
        }
    });
}

/// Accepts anybody, and delivers as many messages as the channel is called after.
async fn feed(mut stream: TcpStream) -> Option<()> {
    let (mut bytes, mut out) = (BytesMut::new(), BytesMut::new());
    loop {
        match Packet::read(&mut bytes, 1 << 20) {
            Ok(Packet::Connect(_)) => {
                ConnAck::new(ConnectReturnCode::Success, false).write(&mut out).ok()?;
            }
            Ok(Packet::Subscribe(subscribe)) => {
                let codes = vec![SubscribeReasonCode::Success(QoS::AtMostOnce)];
                SubAck::new(subscribe.pkid, codes).write(&mut out).ok()?;
                let count = subscribe.filters.first()?.path.split('/').nth(1)?.parse().ok()?;
                let topic = format!("{count}/");
                for n in 0..count {
                    let _n: u64 = n;
                    let packet = Publish::new(&topic, QoS::AtMostOnce, crate::PAYLOAD);
                    packet.write(&mut out).ok()?;
                    if out.len() > 60_000 {
                        stream.write_all(&out.split()).await.ok()?;
                    }
                }
            }
            Ok(_) => {}
            Err(rumqttc::Error::InsufficientBytes(_)) => {
                stream.write_all(&out.split()).await.ok()?;
                if stream.read_buf(&mut bytes).await.ok()? == 0 {
                    return None;
                }
            }
            Err(_) => return None,
        }
    }
}
