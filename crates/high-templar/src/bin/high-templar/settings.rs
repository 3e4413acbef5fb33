//! Options of the program: a flag wins over the environment, that over the file.

use std::{path::PathBuf, time::Duration};

use clap::{Args, Parser};
use high_templar::{Compat, Config, Forward, Overflow};
use serde::Deserialize;

use super::Failed;

/// WebSocket rooms for an API that only speaks HTTP.
///
/// Clients open a WebSocket at /ws/; the API says who they are at {API_URL}bootstrap/, and
/// sends data to rooms by POST /trigger/.
#[derive(Parser)]
#[command(name = "high-templar", version)]
pub(crate) struct Options {
    /// A TOML file with any of the options below, dashes written as underscores
    #[arg(long, env = "HT_CONFIG", value_name = "FILE")]
    config: Option<PathBuf>,

    #[command(flatten)]
    settings: Settings,
}

/// Every option; what is not set has the library's default. Not to be shown: there is a
/// secret in it.
#[derive(Args, Clone, Default, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Settings {
    /// Where clients come in, and triggers unless --internal-listen is given
    /// [default: 127.0.0.1:8000]
    #[arg(long, env = "HT_LISTEN", value_name = "ADDRESS:PORT")]
    listen: Option<String>,

    /// Where triggers and status are, away from clients
    #[arg(long, env = "HT_INTERNAL_LISTEN", value_name = "ADDRESS:PORT")]
    pub(crate) internal_listen: Option<String>,

    /// The prefix of the API; ends in a slash
    #[arg(long, env = "HT_API_URL", value_name = "URL")]
    pub(crate) api_url: Option<String>,

    /// A Unix socket by which the API is reached
    #[arg(long, env = "HT_API_SOCKET", value_name = "PATH")]
    pub(crate) api_socket: Option<PathBuf>,

    /// One more header to the API, e.g. "X-Session=cookie:sessionid"; from header:, query:,
    /// cookie: or fixed:
    #[arg(long, env = "HT_FORWARD", value_name = "HEADER=FROM", value_delimiter = ',')]
    forward: Vec<String>,

    /// Whose behaviour clients see: document, or 3.1 for that of the Python server
    #[arg(long, env = "HT_COMPAT", value_name = "WHOSE")]
    compat: Option<String>,

    /// What happens to a client that does not read: disconnect or drop-oldest
    #[arg(long, env = "HT_OVERFLOW", value_name = "POLICY")]
    overflow: Option<String>,

    /// A path behind the API's prefix that is told of users who come
    #[arg(long, env = "HT_ON_CONNECT", value_name = "PATH")]
    pub(crate) on_connect: Option<String>,

    /// A path that is told of pings
    #[arg(long, env = "HT_ON_PING", value_name = "PATH")]
    pub(crate) on_ping: Option<String>,

    /// A path that is told of users who go
    #[arg(long, env = "HT_ON_DISCONNECT", value_name = "PATH")]
    pub(crate) on_disconnect: Option<String>,

    /// What publishers have to send as "Authorization: Bearer .."
    #[arg(long, env = "HT_TRIGGER_TOKEN", value_name = "TOKEN", hide_env_values = true)]
    trigger_token: Option<String>,

    /// A certificate chain in PEM form: clients then come by wss://
    #[arg(long, env = "HT_TLS_CERTIFICATE", value_name = "FILE")]
    tls_certificate: Option<PathBuf>,

    /// Its private key in PEM form
    #[arg(long, env = "HT_TLS_KEY", value_name = "FILE")]
    tls_key: Option<PathBuf>,

    /// Connections at a time [default: 20000]
    #[arg(long, env = "HT_MAX_CONNECTIONS", value_name = "COUNT")]
    max_connections: Option<usize>,

    /// Rooms of one connection [default: 10000]
    #[arg(long, env = "HT_MAX_SUBSCRIPTIONS", value_name = "COUNT")]
    max_subscriptions: Option<usize>,

    /// The largest message of a client [default: 16777216]
    #[arg(long, env = "HT_MAX_MESSAGE", value_name = "BYTES")]
    max_message: Option<usize>,

    /// The largest room [default: 65536]
    #[arg(long, env = "HT_MAX_ROOM", value_name = "BYTES")]
    max_room: Option<usize>,

    /// The largest trigger [default: 1048576]
    #[arg(long, env = "HT_MAX_TRIGGER", value_name = "BYTES")]
    max_trigger: Option<usize>,

    /// The rooms of one trigger [default: 10000]
    #[arg(long, env = "HT_MAX_TRIGGER_ROOMS", value_name = "COUNT")]
    max_trigger_rooms: Option<usize>,

    /// What may wait for one connection [default: 1048576]
    #[arg(long, env = "HT_MAX_QUEUE", value_name = "BYTES")]
    max_queue: Option<usize>,

    /// How long a client may say nothing, the text ping included [default: 300]
    #[arg(long, env = "HT_IDLE_TIMEOUT", value_name = "SECONDS")]
    idle_timeout: Option<f64>,

    /// How long the API may take [default: 30]
    #[arg(long, env = "HT_BOOTSTRAP_TIMEOUT", value_name = "SECONDS")]
    bootstrap_timeout: Option<f64>,

    /// How long connections stay usable when the server stops [default: 3]
    #[arg(long, env = "HT_GRACE", value_name = "SECONDS")]
    grace: Option<f64>,

    /// Answer with the requestId of the request in front, for clients of 2.x
    #[arg(long, env = "HT_ECHO_REQUEST_ID", num_args = 0..=1, default_missing_value = "true")]
    echo_request_id: Option<bool>,

    /// Least level of logs: error, warn, info, debug or trace [default: info]
    #[arg(long, env = "HT_LOG", value_name = "LEVEL")]
    log: Option<String>,
}

/// Takes what is set from the one, else from the other.
macro_rules! merged {
    ($first:expr, $second:expr, $($field:ident),*) => {
        Settings {
            forward: if $first.forward.is_empty() { $second.forward } else { $first.forward },
            $($field: $first.$field.or($second.$field)),*
        }
    };
}

impl Options {
    /// The settings of all three places.
    pub(crate) fn settings(self) -> Result<Settings, Failed> {
        let Some(path) = &self.config else { return Ok(self.settings) };
        let shown = path.display();
        let text = std::fs::read_to_string(path)
            .map_err(|e| format!("the file {shown} cannot be read: {e}"))?;
        let file: Settings = toml::from_str(&text).map_err(|e| format!("{shown}: {e}"))?;
        let given = self.settings;
        Ok(merged!(
            given,
            file,
            listen,
            internal_listen,
            api_url,
            api_socket,
            compat,
            overflow,
            on_connect,
            on_ping,
            on_disconnect,
            trigger_token,
            tls_certificate,
            tls_key,
            max_connections,
            max_subscriptions,
            max_message,
            max_room,
            max_trigger,
            max_trigger_rooms,
            max_queue,
            idle_timeout,
            bootstrap_timeout,
            grace,
            echo_request_id,
            log
        ))
    }
}

impl Settings {
    pub(crate) fn listen(&self) -> &str {
        self.listen.as_deref().unwrap_or("127.0.0.1:8000")
    }

    /// The options of the server, and the deadline of a request to the API.
    pub(crate) fn config(&self) -> Result<(Config, Duration), Failed> {
        let mut config = Config::new();
        match self.compat.as_deref() {
            None | Some("document") => {}
            Some("3.1") => config = config.compat(Compat::V3_1),
            Some(other) => return Err(format!("compat: {other:?} is not document or 3.1").into()),
        }
        match self.overflow.as_deref() {
            None | Some("disconnect") => {}
            Some("drop-oldest") => config = config.overflow(Overflow::DropOldest),
            Some(other) => {
                return Err(format!("overflow: {other:?} is not disconnect or drop-oldest").into());
            }
        }
        type Set<T> = fn(Config, T) -> Config;
        let counts: [(Option<usize>, Set<usize>); 7] = [
            (self.max_connections, Config::max_connections),
            (self.max_subscriptions, Config::max_subscriptions),
            (self.max_message, Config::max_message),
            (self.max_room, Config::max_room),
            (self.max_trigger, Config::max_trigger),
            (self.max_trigger_rooms, Config::max_trigger_rooms),
            (self.max_queue, Config::max_queue),
        ];
        for (count, set) in counts {
            config = count.into_iter().fold(config, set);
        }
        let mut bootstrap = Duration::from_secs(30);
        if let Some(time) = seconds("bootstrap_timeout", self.bootstrap_timeout)? {
            bootstrap = time;
            config = config.bootstrap_timeout(time);
        }
        if let Some(time) = seconds("idle_timeout", self.idle_timeout)? {
            config = config.idle_timeout(time);
        }
        if let Some(time) = seconds("grace", self.grace)? {
            config = config.grace(time);
        }
        if self.echo_request_id == Some(true) {
            config = config.echo_request_id();
        }
        if let Some(token) = &self.trigger_token {
            config = config.trigger_token(token);
        }
        if self.internal_listen.is_some() {
            config = config.internal_triggers();
        }
        Ok((config, bootstrap))
    }

    /// Whether who reaches the clients' address may send triggers.
    pub(crate) const fn triggers_are_open(&self) -> bool {
        self.trigger_token.is_none() && self.internal_listen.is_none()
    }

    /// The headers of `forward`.
    pub(crate) fn forwards(&self) -> Result<Vec<(String, Forward)>, Failed> {
        let parse = |text: &String| {
            let (header, from) = text.split_once('=')?;
            let (kind, value) = from.split_once(':')?;
            let value = value.to_owned();
            let from = match kind {
                "header" => Forward::Header(value),
                "query" => Forward::Query(value),
                "cookie" => Forward::Cookie(value),
                "fixed" => Forward::Fixed(value),
                _ => return None,
            };
            Some((header.to_owned(), from))
        };
        let parsed = self.forward.iter().map(|text| {
            let wrong =
                || format!("forward: {text:?} is not HEADER=header|query|cookie|fixed:VALUE");
            parse(text).ok_or_else(|| wrong().into())
        });
        parsed.collect()
    }

    /// Certificate and key, if there are any.
    #[cfg(feature = "tls")]
    pub(crate) fn tls(&self) -> Result<Option<std::sync::Arc<rustls::ServerConfig>>, Failed> {
        use rustls::pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject};
        let (certificate, key) = match (&self.tls_certificate, &self.tls_key) {
            (Some(certificate), Some(key)) => (certificate, key),
            (None, None) => return Ok(None),
            _ => return Err("tls_certificate and tls_key come together".into()),
        };
        let shown = |path: &PathBuf, e: &dyn std::fmt::Display| format!("{}: {e}", path.display());
        let chain = CertificateDer::pem_file_iter(certificate)
            .and_then(Iterator::collect::<Result<Vec<_>, _>>)
            .map_err(|e| shown(certificate, &e))?;
        let private = PrivateKeyDer::from_pem_file(key).map_err(|e| shown(key, &e))?;
        let provider = std::sync::Arc::new(rustls::crypto::ring::default_provider());
        let config = rustls::ServerConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()
            .map_err(|e| format!("tls: {e}"))?
            .with_no_client_auth()
            .with_single_cert(chain, private)
            .map_err(|e| shown(certificate, &e))?;
        Ok(Some(std::sync::Arc::new(config)))
    }

    /// Without TLS nobody is left to believe that there is.
    #[cfg(not(feature = "tls"))]
    pub(crate) fn no_tls(&self) -> Result<(), Failed> {
        match (&self.tls_certificate, &self.tls_key) {
            (None, None) => Ok(()),
            _ => Err("tls_certificate and tls_key: this program was built without tls".into()),
        }
    }

    /// Logs to standard error, one JSON object a line.
    pub(crate) fn log(&self) -> Result<(), Failed> {
        let level = self.log.as_deref().unwrap_or("info");
        let level: tracing::Level =
            level.parse().map_err(|_| format!("log: {level:?} is not error, .. or trace"))?;
        tracing_subscriber::fmt().json().with_max_level(level).with_writer(std::io::stderr).init();
        Ok(())
    }
}

fn seconds(option: &str, value: Option<f64>) -> Result<Option<Duration>, Failed> {
    let wrong = |_| format!("{option}: takes seconds");
    Ok(value.map(Duration::try_from_secs_f64).transpose().map_err(wrong)?)
}
