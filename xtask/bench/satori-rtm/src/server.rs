//! The sandbox in a process of its own, its channels filled beforehand.

use std::{
    io::{BufRead, BufReader},
    process::{Child, Command, Stdio},
};

use realtime_sandbox::{Engine, RtmConfig, RtmServer};

use crate::{Payload, Work, ours, works};

/// Runs until it is ended.
pub(crate) fn run() {
    crate::on_a_runtime(async {
        // The Python SDK sends CBOR in text frames.
        let config = RtmConfig::default().text_frames().history(50_000);
        let server = RtmServer::new(config, Engine::WsCore);
        server.listen(0).await.expect("a port");
        println!("{} {}", server.address().expect("an address").port(), server.appkey());
        std::future::pending::<()>().await;
    });
}

/// The server, ended with its owner.
pub(crate) struct Server {
    child: Child,
    pub(crate) port: u16,
    pub(crate) appkey: String,
}

impl Server {
    pub(crate) fn start() -> Self {
        let program = std::env::current_exe().expect("this program has a path");
        let mut child = Command::new(program)
            .arg("server")
            .stdout(Stdio::piped())
            .spawn()
            .expect("the server starts");
        let mut said = String::new();
        let out = child.stdout.take().expect("its output is ours");
        BufReader::new(out).read_line(&mut said).expect("it says where it listens");
        let (port, appkey) = said.trim().split_once(' ').expect("a port and a key");
        let port = port.parse().expect("a port");
        let server = Self { child, port, appkey: appkey.to_owned() };
        server.fill();
        server
    }

    /// Publishes what is delivered later.
    fn fill(&self) {
        for work in works().into_iter().filter(|work| work.deliveries) {
            crate::on_a_runtime(async {
                let client = ours::config(self, work.cbor);
                let client = satori_rtm::Client::connect(client).await.expect("the sandbox");
                let (channel, payload) = (work.channel(), Payload::of(work.bytes));
                let all = (0..Work::kept(work.bytes)).map(|_| client.publish(&channel, &payload));
                let mut all = futures_util::stream::iter(all);
                let mut waiting = futures_util::StreamExt::buffer_unordered(&mut all, 128);
                while let Some(answer) = futures_util::StreamExt::next(&mut waiting).await {
                    answer.expect("the sandbox takes it");
                }
            });
        }
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}
