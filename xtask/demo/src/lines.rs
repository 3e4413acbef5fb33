//! The connections of a demo, each with its one cut.

use std::{io, net::SocketAddr};

use realtime_sandbox::{Faults, Proxy, Rule};

/// Two proxies before one server; each cuts by its rule.
pub(crate) struct Lines {
    proxies: [Proxy; 2],
    /// Where each listens.
    pub(crate) addresses: [SocketAddr; 2],
}

impl Lines {
    pub(crate) async fn new(server: SocketAddr, rules: [Rule; 2]) -> io::Result<Self> {
        let [first, second] = rules;
        let proxies = [cutting(server, first).await?, cutting(server, second).await?];
        match proxies.each_ref().map(Proxy::address) {
            [Some(first), Some(second)] => Ok(Self { proxies, addresses: [first, second] }),
            _ => Err(io::ErrorKind::AddrNotAvailable.into()),
        }
    }

    /// How many cuts were made.
    pub(crate) fn cuts(&self) -> u64 {
        self.proxies.iter().map(|proxy| proxy.faults().struck()).sum()
    }

    /// The first, for who has to know when it cuts.
    pub(crate) const fn first(&self) -> &Proxy {
        &self.proxies[0]
    }
}

async fn cutting(server: SocketAddr, rule: Rule) -> io::Result<Proxy> {
    let faults = Faults::default();
    faults.add(rule);
    Proxy::tcp(server, faults).await
}
