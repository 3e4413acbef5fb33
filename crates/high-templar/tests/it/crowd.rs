//! The program with a thousand clients, fifty of whom do not read.

use std::{
    process::Command,
    sync::Arc,
    time::{Duration, Instant},
};

use high_templar::{Room, Trigger};
use high_templar_client::{Publisher, PublisherConfig};
use realtime_sandbox::{Engine, HighTemplarConfig, HighTemplarServer};
use tokio::{
    net::{TcpSocket, TcpStream},
    sync::Barrier,
};
use ws_core::{ClientRequest, Connection, Keys, Limits, Message};

use crate::{program::Program, support::within};

const CLIENTS: usize = 1000;
const SLEEPERS: usize = 50;
const TRIGGERS: usize = 1000;
const SEND_BOUND: usize = 256 << 10;

/// What the process may take: 12 KiB a connection, what may wait for those who do not
/// read, and 64 MiB.
const MOST: usize = CLIENTS * (12 << 10) + SLEEPERS * SEND_BOUND + (64 << 20);

/// Set in the process that has as many files open as it needs.
const INSIDE: &str = "HIGH_TEMPLAR_CROWD";

/// A process may have 1,024 files open where nobody says otherwise: the test runs itself
/// with more.
#[test]
fn a_thousand_clients_of_whom_fifty_do_not_read() {
    if std::env::var_os(INSIDE).is_some() {
        let runtime = tokio::runtime::Runtime::new().unwrap();
        return runtime.block_on(crowd());
    }
    let again = "ulimit -n 8192 2>/dev/null || ulimit -n $(ulimit -Hn); exec \"$@\"";
    let name = "crowd::a_thousand_clients_of_whom_fifty_do_not_read";
    let mut shell = Command::new("sh");
    shell.args(["-c", again, "sh"]).arg(std::env::current_exe().unwrap());
    let output = shell.args(["--exact", name, "--nocapture"]).env(INSIDE, "1").output().unwrap();
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    eprintln!("{}", said.lines().find(|line| line.starts_with('{')).unwrap());
}

async fn crowd() {
    let start = Instant::now();
    // Only its backend is asked.
    let config = HighTemplarConfig::default().allowed_rooms([room()]);
    let sandbox = HighTemplarServer::new(config, Engine::WsCore).unwrap();
    sandbox.listen(0).await.unwrap();
    let bound = SEND_BOUND.to_string();
    let program = Program::start(&["--api-url", &sandbox.backend_url(), "--max-queue", &bound]);
    let address = program.address.clone();

    let mut sleeping = Vec::new();
    for _ in 0..SLEEPERS {
        sleeping.push(enter(&address, true).await);
    }
    let all_in = Arc::new(Barrier::new(CLIENTS - SLEEPERS + 1));
    let reading = (SLEEPERS..CLIENTS).map(|_| {
        let (address, all_in) = (address.clone(), Arc::clone(&all_in));
        tokio::spawn(async move {
            let mut socket = enter(&address, false).await;
            all_in.wait().await;
            for n in 0..TRIGGERS {
                let text = hear(&mut socket).await;
                assert!(text.contains(&format!("\"data\": [{n},")), "{n}: {}", &text[..60]);
            }
        })
    });
    let reading: Vec<_> = reading.collect();
    within(all_in.wait()).await;

    let publisher = PublisherConfig::new(format!("http://{address}"));
    let publisher = Publisher::new(publisher.timeout(Duration::from_secs(60))).unwrap();
    let padding = "x".repeat(4 << 10);
    for n in 0..TRIGGERS {
        let trigger = Trigger::new([room()], &(n, &padding)).unwrap();
        publisher.trigger(&trigger).await.unwrap();
    }
    for reader in reading {
        within(reader).await.unwrap();
    }
    let peak = program.peak();
    let status = program.status();
    let figures = serde_json::json!({
        "test": "a thousand clients, fifty of whom do not read",
        "peak": peak, "most": MOST, "slow consumers": status["slow_consumers"],
        "sent": status["ws_messages_send"], "failed": status["ws_messages_send_error"],
        "seconds": start.elapsed().as_secs(),
    });
    eprintln!("{figures}");
    assert!(peak.is_none_or(|peak| peak <= MOST), "{figures}");
    assert_eq!(status["slow_consumers"], SLEEPERS);
    assert!(
        status["ws_messages_send"].as_u64().unwrap() >= ((CLIENTS - SLEEPERS) * TRIGGERS) as u64
    );
    assert!(status["ws_messages_send_error"].as_u64().unwrap() >= SLEEPERS as u64);
    drop(sleeping);
}

fn room() -> Room {
    Room::new().with("target", "crowd")
}

/// A client in the room. One that is to sleep has little room for what it does not read.
async fn enter(address: &str, sleeps: bool) -> Connection<TcpStream> {
    let tcp = TcpSocket::new_v4().unwrap();
    if sleeps {
        tcp.set_recv_buffer_size(4 << 10).unwrap();
    }
    let stream = tcp.connect(address.parse().unwrap()).await.unwrap();
    let request = ClientRequest::new(&format!("ws://{address}/ws/").parse().unwrap());
    let opened = ws_core::connect(stream, request, Limits::default(), Keys::system());
    let (mut socket, _) = within(opened).await.unwrap();
    assert!(hear(&mut socket).await.contains("allowed_rooms"));
    let subscribe = format!(r#"{{"type":"subscribe","room":{},"requestId":"a"}}"#, room());
    socket.send(&Message::text(subscribe)).await.unwrap();
    assert_eq!(hear(&mut socket).await, r#"{"code": "success"}"#);
    socket
}

async fn hear(socket: &mut Connection<TcpStream>) -> String {
    match within(socket.next()).await.unwrap() {
        Some(Message::Text(text)) => text.as_str().to_owned(),
        other => panic!("{other:?}"),
    }
}
