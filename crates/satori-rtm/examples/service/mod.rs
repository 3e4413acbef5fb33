//! Where the examples find a service: the one that the environment names, or a local
//! one of their own.

#![allow(dead_code, reason = "each example uses its part")]

use realtime_sandbox::{Engine, RtmConfig, RtmServer};
use satori_rtm::Config;

/// A service, for as long as it is held.
pub(crate) struct Service {
    pub(crate) endpoint: String,
    pub(crate) appkey: String,
    pub(crate) role: String,
    pub(crate) secret: String,
    _local: Option<RtmServer>,
}

impl Service {
    /// The one of `SATORI_ENDPOINT`, `SATORI_APPKEY`, `SATORI_ROLE_NAME` and
    /// `SATORI_ROLE_SECRET`, or a local one.
    pub(crate) async fn find() -> Result<Self, std::io::Error> {
        let var = |name: &str| std::env::var(format!("SATORI_{name}"));
        if let Ok(endpoint) = var("ENDPOINT") {
            let appkey = var("APPKEY").map_err(|_| missing("SATORI_APPKEY"))?;
            let role = var("ROLE_NAME").unwrap_or_default();
            let secret = var("ROLE_SECRET").unwrap_or_default();
            return Ok(Self { endpoint, appkey, role, secret, _local: None });
        }
        let local = RtmServer::new(RtmConfig::default(), Engine::WsCore);
        local.listen(0).await?;
        Ok(Self {
            endpoint: local.url(),
            appkey: local.appkey().to_owned(),
            role: local.role().to_owned(),
            secret: local.role_secret().to_owned(),
            _local: Some(local),
        })
    }

    pub(crate) fn config(&self) -> Config {
        Config::new(&self.endpoint, &self.appkey)
    }
}

fn missing(name: &str) -> std::io::Error {
    std::io::Error::other(format!("SATORI_ENDPOINT is set, and {name} is not"))
}
