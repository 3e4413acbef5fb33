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
    install::{Installed, by_path, python2},
    program::{need, tail},
};
use crate::context::Context;

/// How long a server has to answer after its start.
const PATIENCE: Duration = Duration::from_secs(20);

pub(crate) type Starter = fn(&Context, &Installed, &mut Running) -> Result<(), NotUp>;

/// Why a server is not up.
pub(crate) enum NotUp {
    /// Something that it needs is not here.
    NotHad(NotHad),
    /// It is here, and does not run.
    Broken(String),
}

impl From<NotHad> for NotUp {
    fn from(reason: NotHad) -> Self {
        Self::NotHad(reason)
    }
}

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
    pub(super) fn spawn(
        &mut self,
        installed: &Installed,
        name: &str,
        command: &mut Command,
    ) -> Result<(), NotUp> {
        let failed = |e: std::io::Error| NotUp::Broken(format!("{name} does not start: {e}"));
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
    pub(super) fn wait(
        &mut self,
        installed: &Installed,
        ready: impl Fn() -> bool,
    ) -> Result<(), NotUp> {
        let Some((name, child)) = self.children.last_mut() else { return Ok(()) };
        let log = installed.log(name);
        let start = Instant::now();
        loop {
            if let Ok(Some(status)) = child.try_wait() {
                let told = format!("{name} ended: {status}\n{}", tail(&log));
                return Err(NotUp::Broken(told));
            }
            if ready() {
                return Ok(());
            }
            if start.elapsed() >= PATIENCE {
                let seconds = PATIENCE.as_secs();
                let told = format!("{name} was not ready in {seconds} s\n{}", tail(&log));
                return Err(NotUp::Broken(told));
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
) -> Result<Running, NotUp> {
    let mut running = Running { life, children: Vec::new(), env: Vec::new() };
    if let Role::Server(starter) = &peer.role {
        starter(context, installed, &mut running)?;
    }
    Ok(running)
}

/// A port that was free just now. Who takes it in between makes the start fail,
/// and is not taken for the server: that is asked something only it answers.
pub(super) fn free_port() -> Result<u16, NotHad> {
    let bound = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).and_then(|l| l.local_addr());
    bound.map(|address| address.port()).map_err(|e| format!("no free port: {e}"))
}

pub(super) fn connect(port: u16) -> Option<TcpStream> {
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    let stream = TcpStream::connect_timeout(&address, Duration::from_secs(1)).ok()?;
    stream.set_read_timeout(Some(Duration::from_secs(1))).ok()?;
    Some(stream)
}

/// Whether `GET path` is answered by 200.
pub(super) fn answers(port: u16, path: &str) -> bool {
    let get = format!("GET {path} HTTP/1.1\r\nHost: 127.0.0.1\r\nConnection: close\r\n\r\n");
    says(port, &get, "HTTP/1.1 200") || says(port, &get, "HTTP/1.0 200")
}

/// Whether an answer to `question` begins with `wanted`.
pub(super) fn says(port: u16, question: &str, wanted: &str) -> bool {
    let ask = || -> Option<bool> {
        let mut stream = connect(port)?;
        stream.write_all(question.as_bytes()).ok()?;
        let mut answer = vec![0; wanted.len()];
        stream.read_exact(&mut answer).ok()?;
        Some(answer == wanted.as_bytes())
    };
    ask().unwrap_or(false)
}

/// cobra, and the Redis that it keeps its channels in.
pub(super) fn cobra(
    context: &Context,
    installed: &Installed,
    running: &mut Running,
) -> Result<(), NotUp> {
    let (redis, port) = (free_port()?, free_port()?);
    let mut command = Command::new(need("redis-server")?);
    command.args(["--bind", "127.0.0.1", "--port", &redis.to_string()]);
    command.args(["--save", "", "--appendonly", "no"]);
    running.spawn(installed, "redis", &mut command)?;
    running.wait(installed, || says(redis, "PING\r\n", "+PONG"))?;

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
) -> Result<(), NotUp> {
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

/// A Centrifugo of one generation: the variable that says where it is, what it has
/// at least, and how it knows its callers.
struct Centrifugo {
    variable: &'static str,
    version: &'static str,
    config: &'static str,
    key: &'static str,
}

const SECRET: &str = "s3cr3t-key";

macro_rules! centrifugo {
    ($name:ident, $variable:literal, $version:literal, $config:literal, $key:expr) => {
        pub(super) fn $name(
            context: &Context,
            installed: &Installed,
            running: &mut Running,
        ) -> Result<(), NotUp> {
            let (variable, version, config) = ($variable, $version, $config);
            Centrifugo { variable, version, config, key: $key }.start(context, installed, running)
        }
    };
}

centrifugo!(centrifugo_v6, "CENTRIFUGO_V6", "6.1.0", "centrifugo-v6.json", "my-api-key");
centrifugo!(centrifugo_v5, "CENTRIFUGO_V5", "5.4.9", "centrifugo-v5.json", "my-api-key");
centrifugo!(centrifugo_v3, "CENTRIFUGO_V3", "3.2.3", "centrifugo-v3.json", "my-api-key");
centrifugo!(centrifugo_v2, "CENTRIFUGO_V2", "2.4.0", "centrifugo-v2.json", "my-api-key");
centrifugo!(centrifugo_v1, "CENTRIFUGO_V1", "1.8.0", "centrifugo-v1.json", SECRET);

impl Centrifugo {
    fn start(
        &self,
        context: &Context,
        installed: &Installed,
        running: &mut Running,
    ) -> Result<(), NotUp> {
        let port = free_port()?;
        let mut command = Command::new(by_path(self.variable)?);
        command.arg("-c").arg(context.root.join("ci/peers").join(self.config));
        // The default is every interface.
        command.args(["-a", "127.0.0.1", "-p", &port.to_string()]);
        running.spawn(installed, "centrifugo", &mut command)?;
        running
            .wait(installed, || says(port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 404"))?;
        running.env = vec![
            ("CENT_URL", format!("http://127.0.0.1:{port}")),
            ("CENT_VERSION", self.version.into()),
            ("CENT_KEY", self.key.into()),
            ("CENT_TOKEN_SECRET", SECRET.into()),
        ];
        Ok(())
    }
}

/// The Python server before Centrifugo.
pub(super) fn centrifuge(
    context: &Context,
    installed: &Installed,
    running: &mut Running,
) -> Result<(), NotUp> {
    let port = free_port()?;
    // A package of it lacks the file that makes it one.
    let packages = installed.python2_packages();
    let told = |e: std::io::Error| NotUp::Broken(e.to_string());
    File::create(packages.join("sockjs/__init__.py")).map_err(told)?;
    let config = context.root.join("ci/peers/centrifuge-0.8.json");
    let mut command = Command::new(python2()?);
    command.env("PYTHONPATH", &packages);
    command.args(["-c", "from centrifuge.node import main; main()"]);
    command.arg(format!("--config={}", config.display()));
    command.args([format!("--port={port}"), "--address=127.0.0.1".into()]);
    running.spawn(installed, "centrifuge", &mut command)?;
    running.wait(installed, || says(port, "GET / HTTP/1.1\r\nHost: x\r\n\r\n", "HTTP/1.1 "))?;
    running.env = vec![
        ("CENT_URL", format!("http://127.0.0.1:{port}")),
        ("CENT_VERSION", "0.8.4".into()),
        ("CENT_KEY", SECRET.into()),
        ("CENT_PROJECT", "bananas".into()),
        ("CENT_TOKEN_SECRET", SECRET.into()),
    ];
    Ok(())
}
