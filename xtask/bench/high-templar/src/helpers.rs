//! What both sides need around them, in processes of their own: a backend, and a feeder.

use std::{
    io::{BufRead, BufReader},
    process::{Child, ChildStdout, Command, Stdio},
};

use realtime_sandbox::{Engine, HighTemplarConfig, HighTemplarServer};
use tokio::net::{TcpListener, TcpStream};
use ws_core::{Limits, Message};

/// A process, ended when this is dropped.
pub(crate) struct Running {
    pub(crate) child: Child,
    out: BufReader<ChildStdout>,
}

impl Running {
    pub(crate) fn start(command: &mut Command) -> Self {
        let mut child = command.stdout(Stdio::piped()).spawn().expect("it starts");
        let out = BufReader::new(child.stdout.take().expect("piped"));
        Self { child, out }
    }

    /// This program in one of its other parts; returns what it says of itself as well.
    pub(crate) fn helper(name: &str) -> (Self, String) {
        let program = std::env::current_exe().expect("a path");
        let mut running = Self::start(Command::new(program).arg(name));
        let mut line = String::new();
        running.out.read_line(&mut line).expect("a line");
        (running, line.trim().to_owned())
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ended = self.child.kill();
        let _status = self.child.wait();
    }
}

pub(crate) fn on_a_runtime<F: Future>(future: F) -> F::Output {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
    runtime.expect("a runtime").block_on(future)
}

/// The API of the sandbox's server, which nobody asks for more.
pub(crate) fn backend() {
    on_a_runtime(async {
        let sandbox = HighTemplarServer::new(HighTemplarConfig::default(), Engine::WsCore);
        let sandbox = sandbox.expect("usable options");
        sandbox.listen(0).await.expect("a port");
        println!("{}", sandbox.backend_url());
        std::future::pending::<()>().await;
    });
}

/// What is delivered: 100 bytes.
pub(crate) const PAYLOAD: &str = "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx";

/// Lets everybody in, and delivers as many messages as the room is called after.
pub(crate) fn feeder() {
    on_a_runtime(async {
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        println!("{}", listener.local_addr().expect("an address").port());
        while let Ok((stream, _)) = listener.accept().await {
            tokio::spawn(feed(stream));
        }
    });
}

async fn feed(stream: TcpStream) -> Option<()> {
    let handshake = ws_core::accept(stream, Limits::default()).await.ok()?;
    let mut socket = handshake.accept(None).await.ok()?;
    let first = r#"{"is_authorized": true, "allowed_rooms": [{"target": "*"}]}"#;
    socket.send(&Message::text(first)).await.ok()?;
    loop {
        let Some(Message::Text(text)) = socket.next().await.ok()? else { continue };
        let field = |name: &str| {
            let rest = text.split_once(&format!("\"{name}\""))?.1;
            rest.split('"').nth(1).map(str::to_owned)
        };
        let (Some(count), Some(id)) = (field("target"), field("requestId")) else { continue };
        socket.send(&Message::text(r#"{"code": "success"}"#)).await.ok()?;
        let text = format!(r#"{{"type": "publish", "data": "{PAYLOAD}", "requestId": "{id}"}}"#);
        let message = Message::text(text);
        for _ in 0..count.parse::<u64>().ok()? {
            socket.feed(&message).await.ok()?;
        }
        socket.flush().await.ok()?;
    }
}
