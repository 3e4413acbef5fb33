//! A server that is measured.

use std::{
    net::{SocketAddr, TcpListener, TcpStream},
    process::{Command, Stdio},
    time::{Duration, Instant},
};

use crate::helpers::Running;

/// How long a server has to answer after its start.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) struct Side {
    pub(crate) name: &'static str,
    pub(crate) address: SocketAddr,
    running: Running,
}

impl Side {
    /// Our program, as the Python server behaves: both take the same triggers.
    pub(crate) fn ours(backend: &str) -> Option<Self> {
        let program = std::env::var_os("HIGH_TEMPLAR_PROGRAM")?;
        let address = free();
        let mut command = Command::new(program);
        command.args(["--listen", &address.to_string(), "--api-url", backend]);
        command.args(["--compat", "3.1", "--log", "error", "--max-queue", "16777216"]);
        Some(Self::start("ours", address, &mut command))
    }

    pub(crate) fn python(backend: &str) -> Option<Self> {
        let program = std::env::var_os("HIGH_TEMPLAR_PYTHON")?;
        let address = free();
        let mut command = Command::new(program);
        command.arg(std::env::var_os("HIGH_TEMPLAR_SCRIPT")?);
        command.args([&address.port().to_string(), backend]);
        Some(Self::start("Python 3.1", address, &mut command))
    }

    fn start(name: &'static str, address: SocketAddr, command: &mut Command) -> Self {
        // Whoever is dropped with a crowd has much to tell.
        let running = Running::start(command.stderr(Stdio::null()));
        let start = Instant::now();
        while TcpStream::connect(address).is_err() {
            assert!(start.elapsed() < PATIENCE, "{name} does not listen");
            std::thread::sleep(Duration::from_millis(50));
        }
        Self { name, address, running }
    }

    /// Resident memory in KiB; 0 where there is no /proc.
    pub(crate) fn memory(&self) -> f64 {
        let status = format!("/proc/{}/status", self.running.child.id());
        let status = std::fs::read_to_string(status).unwrap_or_default();
        let line = status.lines().find(|line| line.starts_with("VmRSS:")).unwrap_or_default();
        line.split_whitespace().nth(1).and_then(|kib| kib.parse().ok()).unwrap_or_default()
    }
}

fn free() -> SocketAddr {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    listener.local_addr().expect("an address")
}
