//! WebSocket rooms for an API that only speaks HTTP.

mod settings;
mod signals;

use std::{
    error::Error,
    io::{self, Write},
    process::ExitCode,
    sync::Arc,
};

use clap::Parser;
use high_templar::{BackendHooks, HttpBackend, Listener, Server};
use tokio::net::TcpListener;

use self::settings::{Options, Settings};

type Failed = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run(Options::parse()).await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // When not even this can be written, the exit code still says it.
            let _best_effort = writeln!(io::stderr(), "high-templar: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run(options: Options) -> Result<(), Failed> {
    let settings = options.settings()?;
    settings.log()?;
    // Before anything listens: who waits for it may end us at once.
    let signals = signals::Signals::new()?;
    let (server, backend) = server(&settings)?;
    #[cfg(feature = "tls")]
    let tls = settings.tls()?;
    #[cfg(not(feature = "tls"))]
    settings.no_tls()?;
    let mut listeners = Vec::new();
    let clients = bind("listen", settings.listen()).await?;
    let address = clients.local_addr()?;
    tracing::info!(target: "high_templar", %address, "clients");
    #[cfg_attr(not(feature = "tls"), expect(unused_mut, reason = "TLS is one more option"))]
    let mut door = Listener::new(clients);
    #[cfg(feature = "tls")]
    if let Some(tls) = tls {
        door = door.tls(tls);
    }
    listeners.push(door);
    if settings.triggers_are_open() && !address.ip().is_loopback() {
        tracing::warn!(
            target: "high_templar",
            "whoever reaches /trigger/ may send to every room: set trigger_token or internal_listen"
        );
    }
    if let Some(address) = &settings.internal_listen {
        let publishers = bind("internal_listen", address).await?;
        tracing::info!(target: "high_templar", address = %publishers.local_addr()?, "triggers");
        listeners.push(Listener::new(publishers).internal());
    }
    tracing::info!(target: "high_templar", backend, "running");
    server.run(listeners, signals.received()).await;
    tracing::info!(target: "high_templar", "ended");
    Ok(())
}

/// The server, and what it asks, as it may be shown.
fn server(settings: &Settings) -> Result<(Server, String), Failed> {
    let url = settings.api_url.as_deref();
    let url =
        url.ok_or("api_url is missing: say --api-url http://host:port/api/, or HT_API_URL")?;
    let mut backend = match &settings.api_socket {
        #[cfg(unix)]
        Some(socket) => HttpBackend::unix(url, socket)?,
        #[cfg(not(unix))]
        Some(_) => return Err("api_socket is for Unix".into()),
        None => HttpBackend::new(url)?,
    };
    backend = backend.timeout(settings.config()?.1);
    for (header, from) in settings.forwards()? {
        backend = backend.forward(header, from)?;
    }
    let backend = Arc::new(backend);
    let mut builder = Server::builder(Arc::clone(&backend)).config(settings.config()?.0);
    let paths = [&settings.on_connect, &settings.on_ping, &settings.on_disconnect];
    if paths.iter().any(|path| path.is_some()) {
        let mut hooks = BackendHooks::new(backend);
        if let Some(path) = &settings.on_connect {
            hooks = hooks.on_connect(path);
        }
        if let Some(path) = &settings.on_ping {
            hooks = hooks.on_ping(path);
        }
        if let Some(path) = &settings.on_disconnect {
            hooks = hooks.on_disconnect(path);
        }
        builder = builder.hooks(hooks);
    }
    Ok((builder.build()?, shown(url)))
}

/// A URL without who asks and what for.
fn shown(url: &str) -> String {
    let url = url.split(['?', '#']).next().unwrap_or_default();
    let Some((scheme, rest)) = url.split_once("://") else { return String::new() };
    let (authority, path) = rest.split_once('/').unwrap_or((rest, ""));
    let host = authority.rsplit_once('@').map_or(authority, |(_secret, host)| host);
    format!("{scheme}://{host}/{path}")
}

async fn bind(option: &str, address: &str) -> Result<TcpListener, Failed> {
    let bound = TcpListener::bind(address).await;
    bound.map_err(|e| format!("{option}: {address} cannot be had: {e}; try another port").into())
}
