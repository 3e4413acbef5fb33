//! A broker that says what a test tells it to.

use std::sync::{Arc, Mutex};

use bytes::BytesMut;
use emitter::{Address, Client, Config, Connector};
use rumqttc::{
    ConnAck, ConnectReturnCode, Packet, PubAck, Publish, QoS, SubAck, SubscribeReasonCode,
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt, DuplexStream},
    sync::mpsc,
};

use crate::support::within;

/// Connections that a client opens, in their order.
pub(crate) struct Door(mpsc::UnboundedReceiver<DuplexStream>);

/// The broker's end of one connection.
pub(crate) struct Scripted {
    pipe: DuplexStream,
    bytes: BytesMut,
}

/// A configuration whose connections come out of the door.
pub(crate) fn door() -> (Config, Door) {
    let (to, from) = mpsc::unbounded_channel();
    let to = Arc::new(Mutex::new(to));
    let config = Config::new(Address::new("localhost").insecure()).seed(1);
    let config = config.connector(Connector::new(move |_| {
        let (near, far) = tokio::io::duplex(1 << 20);
        let sent = to.lock().unwrap().send(far).map_err(std::io::Error::other);
        async move { sent.map(|()| near) }
    }));
    (config, Door(from))
}

impl Door {
    /// The next connection, after its CONNECT.
    pub(crate) async fn open(&mut self) -> (Scripted, rumqttc::Connect) {
        let pipe = within(self.0.recv()).await.expect("a client");
        let mut scripted = Scripted::over(pipe);
        match scripted.next().await {
            Some(Packet::Connect(connect)) => (scripted, connect),
            other => panic!("{other:?}"),
        }
    }

    /// The next connection, let in.
    pub(crate) async fn accept(&mut self) -> Scripted {
        let (mut scripted, _) = self.open().await;
        scripted.welcome().await;
        scripted
    }

    /// A client that is connected, and its connection.
    pub(crate) async fn connect(&mut self, config: Config) -> (Client, Scripted) {
        let client = Client::new(config).unwrap();
        let starting = client.clone();
        let started = tokio::spawn(async move { starting.start().await });
        let scripted = self.accept().await;
        started.await.unwrap().unwrap();
        (client, scripted)
    }
}

impl Scripted {
    pub(crate) fn over(pipe: DuplexStream) -> Self {
        Self { pipe, bytes: BytesMut::new() }
    }

    pub(crate) async fn welcome(&mut self) {
        let packet = ConnAck::new(ConnectReturnCode::Success, false);
        self.say(&Packet::ConnAck(packet)).await;
    }

    /// The next packet; `None` when the client has hung up.
    pub(crate) async fn next(&mut self) -> Option<Packet> {
        loop {
            match Packet::read(&mut self.bytes, usize::MAX) {
                Ok(packet) => return Some(packet),
                Err(rumqttc::Error::InsufficientBytes(_)) => {}
                Err(error) => panic!("{error}"),
            }
            if within(self.pipe.read_buf(&mut self.bytes)).await.unwrap_or(0) == 0 {
                return None;
            }
        }
    }

    /// The next packet, which must be a PUBLISH.
    pub(crate) async fn publish(&mut self) -> Publish {
        match self.next().await {
            Some(Packet::Publish(publish)) => publish,
            other => panic!("{other:?}"),
        }
    }

    /// The next packet, which must be a SUBSCRIBE to one filter.
    pub(crate) async fn subscribe(&mut self) -> (u16, String) {
        match self.next().await {
            Some(Packet::Subscribe(subscribe)) => {
                assert_eq!(subscribe.filters.len(), 1);
                (subscribe.pkid, subscribe.filters[0].path.clone())
            }
            other => panic!("{other:?}"),
        }
    }

    pub(crate) async fn say(&mut self, packet: &Packet) {
        let mut out = BytesMut::new();
        packet.write(&mut out, usize::MAX).unwrap();
        self.say_raw(&out).await;
    }

    pub(crate) async fn say_raw(&mut self, bytes: &[u8]) {
        self.pipe.write_all(bytes).await.unwrap();
    }

    pub(crate) async fn ack(&mut self, pkid: u16) {
        self.say(&Packet::PubAck(PubAck::new(pkid))).await;
    }

    pub(crate) async fn suback(&mut self, pkid: u16) {
        let codes = vec![SubscribeReasonCode::Success(QoS::AtMostOnce)];
        self.say(&Packet::SubAck(SubAck::new(pkid, codes))).await;
    }

    pub(crate) async fn deliver(&mut self, topic: &str, payload: &str) {
        let packet = Publish::new(topic, QoS::AtMostOnce, payload.as_bytes());
        self.say(&Packet::Publish(packet)).await;
    }
}
