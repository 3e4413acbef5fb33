//! Where options come from: the configuration file, the environment, the command line.

use std::{env, fs, io::ErrorKind, path::PathBuf};

use clap::ValueEnum;
use satori_rtm::{Config, Mode, Overflow, Protocol};
use serde::Deserialize;

use crate::{
    Failure,
    interrupt::Interrupt,
    options::{Delivery, Options},
};

/// What every command needs to know.
pub(crate) struct Settings {
    pub(crate) endpoint: String,
    pub(crate) appkey: String,
    role: Option<(String, String)>,
    protocol: Protocol,
    pub(crate) verbosity: u8,
    pub(crate) mode: Mode,
    pub(crate) period: Option<u64>,
    pub(crate) prettify: bool,
    pub(crate) acks: bool,
    pub(crate) json: bool,
    pub(crate) interrupt: Interrupt,
}

/// The options that a file may hold.
#[derive(Default, Deserialize)]
struct Layer {
    endpoint: Option<String>,
    appkey: Option<String>,
    #[serde(alias = "auth_role_name")]
    role_name: Option<String>,
    #[serde(alias = "auth_role_secret_key")]
    role_secret: Option<String>,
    verbosity: Option<u8>,
    delivery: Option<String>,
    protocol: Option<String>,
    period: Option<u64>,
    #[serde(default)]
    prettify_json: bool,
    #[serde(default)]
    disable_acks: bool,
}

impl Settings {
    pub(crate) fn collect(options: &Options) -> Result<Self, Failure> {
        let file = file(options)?;
        let env = |name: &str| env::var(format!("SATORI_{name}")).ok();
        let env = Layer {
            endpoint: env("ENDPOINT"),
            appkey: env("APPKEY"),
            role_name: env("ROLE_NAME"),
            role_secret: env("ROLE_SECRET"),
            ..Layer::default()
        };
        for (place, layer) in [("config file", &file), ("environment", &env)] {
            layer.echo(place);
        }
        let pick = |given: &Option<String>, of: fn(&Layer) -> &Option<String>| {
            given.clone().or_else(|| of(&env).clone()).or_else(|| of(&file).clone())
        };
        let missing = |name: &str| format!("Missing --{name} parameter");
        let role_name = pick(&options.role_name, |layer| &layer.role_name);
        let role_secret = pick(&options.role_secret, |layer| &layer.role_secret);
        let delivery = pick(&options.delivery, |layer| &layer.delivery);
        let protocol = pick(&options.protocol, |layer| &layer.protocol);
        let settings = Self {
            appkey: pick(&options.appkey, |layer| &layer.appkey)
                .ok_or_else(|| missing("appkey"))?,
            endpoint: pick(&options.endpoint, |layer| &layer.endpoint)
                .ok_or_else(|| missing("endpoint"))?,
            role: role_name.zip(role_secret),
            protocol: match protocol.as_deref() {
                None | Some("json") => Protocol::Json,
                Some("cbor") => Protocol::Cbor,
                Some(other) => return Err(format!("--protocol takes json or cbor, not {other}")),
            },
            verbosity: verbosity(options.verbosity.as_deref(), file.verbosity)?,
            mode: match delivery.as_deref() {
                None => Mode::Advanced,
                Some(name) => Delivery::from_str(name, true)
                    .map_err(|_| {
                        format!("--delivery takes simple, reliable or advanced, not {name}")
                    })?
                    .into(),
            },
            period: options.period.or(file.period),
            prettify: options.prettify_json || file.prettify_json,
            acks: !(options.disable_acks || file.disable_acks),
            json: options.json,
            interrupt: Interrupt::listen(),
        };
        Ok(settings)
    }

    pub(crate) fn config(&self) -> Config {
        let config = Config::new(&self.endpoint, &self.appkey).protocol(self.protocol);
        // A pipe that is faster than the service waits for it.
        let config = config.outbox_overflow(Overflow::Block);
        match &self.role {
            Some((name, secret)) => config.role(name, secret.as_str()),
            None => config,
        }
    }
}

impl Layer {
    /// Says what is taken from where, but for the secret.
    fn echo(&self, place: &str) {
        let hidden = self.role_secret.as_ref().map(|_| "[hidden]".to_owned());
        let endpoint = self.endpoint.as_deref().map(without_user);
        for (name, value) in [
            ("endpoint", &endpoint),
            ("appkey", &self.appkey),
            ("role_name", &self.role_name),
            ("role_secret", &hidden),
            ("delivery", &self.delivery),
            ("protocol", &self.protocol),
        ] {
            if let Some(value) = value {
                eprintln!("From {place}: {name} = {value}");
            }
        }
    }
}

/// An address as it may be shown: what stands before an `@` may be a password.
pub(crate) fn without_user(endpoint: &str) -> String {
    let (scheme, rest) = endpoint.split_once("://").unwrap_or(("", endpoint));
    let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
    match host.rfind('@').and_then(|at| rest.get(at + 1..)) {
        Some(shown) => format!("{scheme}://[hidden]@{shown}"),
        None => endpoint.to_owned(),
    }
}

fn verbosity(given: Option<&str>, of_file: Option<u8>) -> Result<u8, Failure> {
    let level = match given {
        Some(text) => text.parse().ok(),
        None => Some(of_file.unwrap_or(1)),
    };
    level.filter(|level| *level <= 3).ok_or_else(|| "--verbosity takes 0, 1, 2 or 3".to_owned())
}

/// Reads the configuration file. One that is not there matters only if it was named.
fn file(options: &Options) -> Result<Layer, Failure> {
    let usual = || {
        let home = env::var_os("XDG_CONFIG_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".config")))?;
        Some(home.join("satori").join("rtm-cli.config"))
    };
    let Some(path) = options.config.clone().or_else(usual) else { return Ok(Layer::default()) };
    let text = match fs::read_to_string(&path) {
        Ok(text) => text,
        Err(error) if options.config.is_none() && error.kind() == ErrorKind::NotFound => {
            return Ok(Layer::default());
        }
        Err(error) => return Err(format!("the config file {}: {error}", path.display())),
    };
    // What a parser says may quote the line, and with it the secret: only where it
    // stumbled is told.
    match (toml::from_str(&text), serde_json::from_str(&text)) {
        (Ok(layer), _) | (_, Ok(layer)) => Ok(layer),
        (Err(error), Err(_)) => {
            let before = error.span().and_then(|span| text.get(..span.start)).unwrap_or_default();
            let line = before.matches('\n').count() + 1;
            Err(format!("the config file {}: line {line} is neither TOML nor JSON", path.display()))
        }
    }
}
