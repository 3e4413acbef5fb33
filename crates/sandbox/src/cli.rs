//! The command line: a contract that scripts rely on.

use std::{
    io::{self, Write},
    process::ExitCode,
};

use clap::Parser;
use realtime_sandbox::{Engine, RtmConfig, Sandbox};
use serde_json::json;

/// The servers that this program knows.
const NAMES: [&str; 5] = ["satori-rtm", "stream-sea", "cent", "emitter", "high-templar"];

/// Local servers of realtime protocols, for development and tests.
///
/// Everything is in memory and on loopback, and gone when the program ends.
#[derive(Debug, Parser)]
#[command(name = "realtime-sandbox", version)]
struct Options {
    /// Servers to start, separated by commas; all if left out
    #[arg(long, value_name = "NAME,..", value_delimiter = ',', value_parser = NAMES)]
    only: Vec<String>,

    /// The port of one server; a free one if left out
    #[arg(long, value_name = "NAME=PORT", value_parser = parse_port)]
    port: Vec<(String, u16)>,

    /// The WebSocket implementation: ws-core or tungstenite
    #[arg(long, default_value = "ws-core")]
    engine: Engine,

    /// Print one line of JSON when everything listens, and nothing else
    #[arg(long)]
    json: bool,

    /// End also when standard input ends
    #[arg(long)]
    exit_on_eof: bool,
}

/// Starts, says where, and runs until it is told to end.
pub(crate) async fn run() -> ExitCode {
    let options = Options::parse();
    // Before anything is printed: who reads the line may end us at once.
    let signals = Signals::new();
    match (signals, start(&options).await) {
        (Ok(signals), Ok(sandbox)) => match announce(&sandbox, options.json) {
            Ok(()) => {
                signals.wait(options.exit_on_eof).await;
                ExitCode::SUCCESS
            }
            Err(error) => fail(&format!("standard output cannot be written: {error}")),
        },
        (Err(error), _) => fail(&format!("signals cannot be received: {error}")),
        (_, Err(error)) => fail(&format!("a port cannot be had: {error}; try another --port")),
    }
}

async fn start(options: &Options) -> io::Result<Sandbox> {
    // The original's Python clients send CBOR in text frames: they are welcome.
    let rtm = RtmConfig::default().text_frames();
    let mut builder = Sandbox::builder().engine(options.engine).rtm(rtm);
    if !options.only.is_empty() {
        builder = builder.only(options.only.clone());
    }
    for (name, port) in &options.port {
        builder = builder.port(name, *port);
    }
    builder.start().await
}

fn announce(sandbox: &Sandbox, as_json: bool) -> io::Result<()> {
    let mut out = io::stdout().lock();
    if as_json {
        let all = [satori_rtm_keys, stream_sea_keys, cent_keys, emitter_keys, high_templar_keys];
        let all = all.into_iter().filter_map(|keys| keys(sandbox));
        let all: serde_json::Map<_, _> = all.map(|(name, keys)| (name.to_owned(), keys)).collect();
        writeln!(out, "{}", serde_json::Value::Object(all))?;
        return out.flush();
    }
    if sandbox.rtm().address().is_some() {
        let rtm = sandbox.rtm();
        writeln!(out, "satori-rtm   {}", rtm.url())?;
        writeln!(out, "  appkey     {}", rtm.appkey())?;
        writeln!(out, "  role       {}, secret {}", rtm.role(), rtm.role_secret())?;
        writeln!(out, "  restricted {}", rtm.restricted_channel())?;
        writeln!(out, "  Config::new({:?}, {:?})", rtm.url(), rtm.appkey())?;
        writeln!(out)?;
    }
    if sandbox.stream_sea().address().is_some() {
        let sea = sandbox.stream_sea();
        let (port, id, secret) = (sea.port(), sea.client_id(), sea.client_secret());
        writeln!(out, "stream-sea   http://127.0.0.1:{port}")?;
        writeln!(out, "  client     {id}, secret {secret}")?;
        let credentials = format!("Credentials::basic({id:?}, {secret:?})");
        writeln!(out, "  Config::new(\"127.0.0.1\", {port}, {credentials})")?;
        writeln!(out)?;
    }
    if sandbox.centrifugo().address().is_some() {
        let cent = sandbox.centrifugo();
        writeln!(out, "cent         {}", cent.url())?;
        writeln!(out, "  api key    {}", cent.api_key())?;
        writeln!(out, "  secret     {} (v1, and tokens)", cent.secret())?;
        writeln!(out, "  clients    {}", cent.websocket_url())?;
        writeln!(out, "  Config::v6({:?}, {:?})", cent.url(), cent.api_key())?;
        writeln!(out)?;
    }
    if let Some(address) = sandbox.emitter().address() {
        let broker = sandbox.emitter();
        writeln!(out, "emitter      mqtt://{address} and ws://{address}")?;
        writeln!(out, "  secret key {}", broker.secret_key())?;
        writeln!(out, "  channel    {}, key {}", broker.channel(), broker.channel_key())?;
        writeln!(out, "  Config::new(\"mqtt://{address}\".parse()?)")?;
        writeln!(out)?;
    }
    if sandbox.high_templar().address().is_some() {
        let templar = sandbox.high_templar();
        writeln!(out, "high-templar {}", templar.ws_url())?;
        writeln!(out, "  triggers   {}", templar.trigger_url())?;
        writeln!(out, "  backend    {}", templar.backend_url())?;
        writeln!(out, "  Config::new({:?})", templar.ws_url())?;
        writeln!(out)?;
    }
    writeln!(out, "A development server: in memory, on loopback. Ctrl-C ends it.")?;
    out.flush()
}

/// What a script needs to know of a server, if it was started.
type Keys = Option<(&'static str, serde_json::Value)>;

fn satori_rtm_keys(sandbox: &Sandbox) -> Keys {
    let rtm = sandbox.rtm();
    rtm.address()?;
    let keys = json!({
        "url": rtm.url(),
        "appkey": rtm.appkey(),
        "role": rtm.role(),
        "role_secret": rtm.role_secret(),
        "restricted_channel": rtm.restricted_channel(),
    });
    Some(("satori-rtm", keys))
}

fn stream_sea_keys(sandbox: &Sandbox) -> Keys {
    let sea = sandbox.stream_sea();
    let address = sea.address()?;
    let keys = json!({
        "host": address.ip().to_string(),
        "port": address.port(),
        "client_id": sea.client_id(),
        "client_secret": sea.client_secret(),
    });
    Some(("stream-sea", keys))
}

fn cent_keys(sandbox: &Sandbox) -> Keys {
    let cent = sandbox.centrifugo();
    cent.address()?;
    let keys = json!({
        "url": cent.url(),
        "api_key": cent.api_key(),
        "secret": cent.secret(),
        "ws_url": cent.websocket_url(),
    });
    Some(("cent", keys))
}

fn emitter_keys(sandbox: &Sandbox) -> Keys {
    let broker = sandbox.emitter();
    let address = broker.address()?;
    let keys = json!({
        "host": address.ip().to_string(),
        "port": address.port(),
        "secret_key": broker.secret_key(),
        "channel": broker.channel(),
        "channel_key": broker.channel_key(),
    });
    Some(("emitter", keys))
}

fn high_templar_keys(sandbox: &Sandbox) -> Keys {
    let templar = sandbox.high_templar();
    templar.address()?;
    let keys = json!({
        "ws_url": templar.ws_url(),
        "trigger_url": templar.trigger_url(),
        "backend_url": templar.backend_url(),
    });
    Some(("high-templar", keys))
}

fn fail(reason: &str) -> ExitCode {
    // When not even this can be written, the exit code still says it.
    let _best_effort = writeln!(io::stderr(), "realtime-sandbox: {reason}");
    ExitCode::FAILURE
}

fn parse_port(text: &str) -> Result<(String, u16), String> {
    let (name, port) = text.split_once('=').ok_or("it takes NAME=PORT")?;
    if !NAMES.contains(&name) {
        return Err(format!("no server is called {name:?}; there is {}", NAMES.join(", ")));
    }
    let port = port.parse().map_err(|_| format!("{port:?} is no port from 0 to 65535"))?;
    Ok((name.to_owned(), port))
}

/// What ends the program: SIGINT, SIGTERM, and the end of standard input if
/// that is asked for.
struct Signals {
    #[cfg(unix)]
    interrupt: tokio::signal::unix::Signal,
    #[cfg(unix)]
    terminate: tokio::signal::unix::Signal,
}

impl Signals {
    #[cfg(unix)]
    fn new() -> io::Result<Self> {
        use tokio::signal::unix::{SignalKind, signal};
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
        })
    }

    #[cfg(not(unix))]
    fn new() -> io::Result<Self> {
        Ok(Self {})
    }

    async fn wait(mut self, until_eof: bool) {
        tokio::select! {
            () = self.received() => {}
            () = stdin_ended(), if until_eof => {}
        }
    }

    #[cfg(unix)]
    async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }

    #[cfg(not(unix))]
    async fn received(&mut self) {
        // Without a handler there is only the end of standard input.
        if tokio::signal::ctrl_c().await.is_err() {
            std::future::pending().await
        }
    }
}

/// Reads on a thread of its own, which a signal need not wait for.
async fn stdin_ended() {
    let (ended, end) = tokio::sync::oneshot::channel();
    std::thread::spawn(move || {
        // An input that cannot be read has ended too.
        let _read = io::copy(&mut io::stdin().lock(), &mut io::sink());
        let _gone = ended.send(());
    });
    let _ended = end.await;
}
