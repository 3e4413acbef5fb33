//! Starts servers on free loopback ports, and ends exactly those.

use std::{
    fs::{self, File},
    io::{Read, Write},
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::Path,
    process::{Child, Command, Stdio},
    time::{Duration, Instant},
};

use super::{
    NotHad,
    catalogue::{Peer, Role},
    install::Installed,
    program::{need, tail},
};
use crate::context::Context;

/// How long a server has to answer after its start.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Starter = fn(&Context, &Installed, &mut Running) -> Result<(), NotHad>;

/// How long servers live.
#[derive(Clone, Copy, Eq, PartialEq)]
pub(crate) enum Life {
    /// Until `peers down`: an interrupt at the terminal is not for them.
    Detached,
    /// As long as this command, which an interrupt ends together with them.
    Held,
}

/// Processes that are ended when this is dropped.
pub(crate) struct Running {
    life: Life,
    pub(super) children: Vec<(String, Child)>,
    /// How a suite finds the server.
    pub(crate) env: Vec<(&'static str, String)>,
}

impl Running {
    /// Leaves the processes running.
    pub(super) fn leave(mut self) {
        self.children.clear();
    }

    /// Starts a program in the empty home of the peer.
    fn spawn(
        &mut self,
        installed: &Installed,
        name: &str,
        command: &mut Command,
    ) -> Result<(), NotHad> {
        let failed = |e: std::io::Error| format!("{name} does not start: {e}");
        let out = File::create(installed.log(name)).map_err(failed)?;
        let errors = out.try_clone().map_err(failed)?;
        command.stdin(Stdio::null()).stdout(out).stderr(errors);
        command.env("HOME", installed.home()).env("NO_PROXY", "127.0.0.1,localhost");
        command.current_dir(installed.home());
        #[cfg(unix)]
        if self.life == Life::Detached {
            std::os::unix::process::CommandExt::process_group(command, 0);
        }
        let child = command.spawn().map_err(failed)?;
        self.children.push((name.to_owned(), child));
        Ok(())
    }

    /// Waits until `ready` says so, or the process that was started last ends.
    fn wait(&mut self, installed: &Installed, ready: impl Fn() -> bool) -> Result<(), NotHad> {
        let Some((name, child)) = self.children.last_mut() else { return Ok(()) };
        let log = installed.log(name);
        let start = Instant::now();
        loop {
            if let Ok(Some(status)) = child.try_wait() {
                return Err(format!("{name} ended: {status}\n{}", tail(&log)));
            }
            if ready() {
                return Ok(());
            }
            if start.elapsed() >= PATIENCE {
                let seconds = PATIENCE.as_secs();
                return Err(format!("{name} was not ready in {seconds} s\n{}", tail(&log)));
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // The newest first: it may need those before it.
        for (_, child) in self.children.iter_mut().rev() {
            // It may have ended by itself.
            let _ended = child.kill();
            let _status = child.wait();
        }
    }
}

/// Starts the server of `peer`.
pub(crate) fn start(
    context: &Context,
    peer: &Peer,
    installed: &Installed,
    life: Life,
) -> Result<Running, NotHad> {
    let mut running = Running { life, children: Vec::new(), env: Vec::new() };
    if let Role::Server(starter) = &peer.role {
        starter(context, installed, &mut running)?;
    }
    Ok(running)
}

/// A port that is free now; nothing else on this machine takes ports by number.
fn free_port() -> Result<u16, NotHad> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr());
    bound.map(|address| address.port()).map_err(|e| format!("no free port: {e}"))
}

fn connect(port: u16) -> Option<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    Some(stream)
}

/// Whether `GET path` is answered by 200.
fn answers(port: u16, path: &str) -> bool {
    let ask = || -> Option<bool> {
        let mut stream = connect(port)?;
        write!(stream, "GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n")
            .ok()?;
        let mut head = [0; 12];
        stream.read_exact(&mut head).ok()?;
        Some(head.ends_with(b" 200"))
    };
    ask().unwrap_or(false)
}

/// cobra, and the Redis that it keeps its channels in.
pub(super) fn cobra(
    context: &Context,
    installed: &Installed,
    running: &mut Running,
) -> Result<(), NotHad> {
    let (redis, port) = (free_port()?, free_port()?);
    let mut command = Command::new(need("redis-server")?);
    command.args(["--bind", "127.0.0.1", "--port", &redis.to_string()]);
    command.args(["--save", "", "--appendonly", "no"]);
    running.spawn(installed, "redis", &mut command)?;
    running.wait(installed, || connect(redis).is_some())?;

    let config = context.root.join("ci/peers/cobra.yaml");
    let mut command = Command::new(installed.folder.join("venv/bin/cobra"));
    command.args(["run", "--host", "127.0.0.1", "--port", &port.to_string()]);
    command.args(["--redis_urls", &format!("redis://127.0.0.1:{redis}")]);
    command.arg("--apps_config_path").arg(config);
    running.spawn(installed, "cobra", &mut command)?;
    running.wait(installed, || answers(port, "/health/"))?;
    running.env = vec![
        ("SATORI_RTM_URL", format!("ws://127.0.0.1:{port}")),
        ("SATORI_RTM_APPKEY", "rtm-test-appkey-0001".into()),
        ("SATORI_RTM_ROLE", "tester".into()),
        ("SATORI_RTM_ROLE_SECRET", "tester-role-secret-0001".into()),
    ];
    Ok(())
}

/// tinyproxy, which wants credentials.
pub(super) fn tinyproxy(
    context: &Context,
    installed: &Installed,
    running: &mut Running,
) -> Result<(), NotHad> {
    let port = free_port()?;
    let config = installed.home().join("tinyproxy.conf");
    let write = |from: &Path| -> std::io::Result<()> {
        let base = fs::read_to_string(from)?;
        let pid = installed.home().join("tinyproxy.pid");
        fs::write(&config, format!("{base}Port {port}\nPidFile \"{}\"\n", pid.display()))
    };
    write(&context.root.join("ci/peers/tinyproxy.conf")).map_err(|e| e.to_string())?;
    let mut command = Command::new(need("tinyproxy")?);
    running.spawn(installed, "tinyproxy", command.arg("-d").arg("-c").arg(&config))?;
    running.wait(installed, || connect(port).is_some())?;
    running.env = vec![("WS_CORE_PROXY", format!("127.0.0.1:{port}:tester:tester-password-0001"))];
    Ok(())
}
