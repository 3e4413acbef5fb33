//! A client that speaks packets.

use bytes::{Bytes, BytesMut};
use futures_util::{SinkExt, StreamExt};
use realtime_sandbox::{EmitterServer, Engine};
use rumqttc::{
    Connect, LastWill, Login, Packet, PingReq, Publish, QoS, Subscribe, SubscribeFilter,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio_tungstenite::{WebSocketStream, tungstenite::Message};

/// What carries the packets.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Line {
    Tcp,
    WebSocket(Engine),
}

pub(crate) const LINES: [Line; 3] =
    [Line::Tcp, Line::WebSocket(Engine::WsCore), Line::WebSocket(Engine::Tungstenite)];

impl Line {
    pub(crate) const fn engine(self) -> Engine {
        match self {
            Self::Tcp => Engine::WsCore,
            Self::WebSocket(engine) => engine,
        }
    }
}

enum Io {
    Tcp(DuplexStream),
    WebSocket(Box<WebSocketStream<DuplexStream>>),
}

pub(crate) struct Peer {
    io: Io,
    bytes: BytesMut,
}

impl Peer {
    pub(crate) async fn open(broker: &EmitterServer, line: Line) -> Self {
        let pipe = broker.pipe();
        let io = match line {
            Line::Tcp => Io::Tcp(pipe),
            Line::WebSocket(_) => {
                let url = "ws://localhost/";
                let (socket, _) = tokio_tungstenite::client_async(url, pipe).await.unwrap();
                Io::WebSocket(Box::new(socket))
            }
        };
        Self { io, bytes: BytesMut::new() }
    }

    /// Opens a connection and introduces itself.
    pub(crate) async fn join(
        broker: &EmitterServer,
        line: Line,
        username: Option<&str>,
        will: Option<LastWill>,
    ) -> Self {
        let mut peer = Self::open(broker, line).await;
        let mut connect = Connect::new("");
        connect.login = username.map(|name| Login::new(name, ""));
        connect.last_will = will;
        peer.send(&Packet::Connect(connect)).await;
        assert!(matches!(peer.next().await, Some(Packet::ConnAck(_))));
        peer
    }

    pub(crate) async fn send(&mut self, packet: &Packet) {
        let mut out = BytesMut::new();
        packet.write(&mut out, usize::MAX).unwrap();
        self.send_raw(&out).await;
    }

    /// Whoever has hung up takes nothing more.
    pub(crate) async fn send_raw(&mut self, bytes: &[u8]) {
        let _gone = match &mut self.io {
            Io::Tcp(pipe) => pipe.write_all(bytes).await.is_ok(),
            Io::WebSocket(socket) => {
                socket.send(Message::binary(Bytes::copy_from_slice(bytes))).await.is_ok()
            }
        };
    }

    pub(crate) async fn publish(&mut self, topic: &str, payload: &str, pkid: u16) {
        let qos = if pkid == 0 { QoS::AtMostOnce } else { QoS::AtLeastOnce };
        let mut publish = Publish::new(topic, qos, payload.as_bytes());
        publish.pkid = pkid;
        self.send(&Packet::Publish(publish)).await;
    }

    pub(crate) async fn subscribe(&mut self, topics: &[&str], pkid: u16) {
        let filters = topics.iter();
        let filters =
            filters.map(|topic| SubscribeFilter::new((*topic).to_owned(), QoS::AtMostOnce));
        self.send(&Packet::Subscribe(Subscribe { pkid, filters: filters.collect() })).await;
    }

    /// The next packet; `None` when the broker has hung up.
    pub(crate) async fn next(&mut self) -> Option<Packet> {
        loop {
            match Packet::read(&mut self.bytes, usize::MAX) {
                Ok(packet) => return Some(packet),
                Err(rumqttc::Error::InsufficientBytes(_)) => {}
                Err(error) => panic!("{error}"),
            }
            match &mut self.io {
                Io::Tcp(pipe) => {
                    if pipe.read_buf(&mut self.bytes).await.unwrap_or(0) == 0 {
                        return None;
                    }
                }
                Io::WebSocket(socket) => match socket.next().await? {
                    Ok(Message::Binary(bytes)) => self.bytes.extend_from_slice(&bytes),
                    Ok(_) => {}
                    Err(_) => return None,
                },
            }
        }
    }

    /// Everything that has come by now: up to the answer to a ping.
    pub(crate) async fn drain(&mut self) -> Vec<Packet> {
        let mut out = BytesMut::new();
        PingReq.write(&mut out).unwrap();
        self.send_raw(&out).await;
        let mut packets = Vec::new();
        loop {
            match self.next().await.expect("an answer to the ping") {
                Packet::PingResp => return packets,
                packet => packets.push(packet),
            }
        }
    }
}
