//! An HTTP application as the backend (docs/protocols/high-templar.md, 4 and 5).

use std::{
    fmt,
    path::{Path, PathBuf},
    time::Duration,
};

use client_core::{
    Connector, Target,
    http::{Http, HttpError, HttpRequest},
};
use ws_core::Dialer;

use super::{Backend, BackendError, BoxFuture, Verdict, Visitor};
use crate::config::ConfigError;

/// Most of an answer that is read: it lists rooms.
const MAX_BODY: usize = 4 << 20;

const USER_AGENT: &str = concat!("high-templar/", env!("CARGO_PKG_VERSION"));

/// Where the value of a header to the backend comes from.
#[derive(Clone, Debug, Eq, PartialEq)]
#[non_exhaustive]
pub enum Forward {
    /// A header of the user's request.
    Header(String),
    /// A query parameter of the user's request.
    Query(String),
    /// A cookie of the user.
    Cookie(String),
    /// Always the same.
    Fixed(String),
}

/// An HTTP application that knows the users. It is asked `GET {API_URL}bootstrap/` with
/// the user's cookies, user agent, CSRF token, token and address.
///
/// Redirects are not followed: credentials stay with whom they were meant for.
///
/// # Examples
///
/// ```
/// use high_templar::{Forward, HttpBackend};
///
/// let backend = HttpBackend::new("http://127.0.0.1:8001/api/")?
///     .forward("X-Session-Token", Forward::Fixed("s3ss".into()))?;
/// # Ok::<(), high_templar::ConfigError>(())
/// ```
pub struct HttpBackend {
    http: Http,
    url: String,
    timeout: Duration,
    forward: Vec<(String, Forward)>,
}

impl HttpBackend {
    /// Names the application: a prefix that ends in a slash.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with option `api_url` if it is no such URL.
    pub fn new(api_url: &str) -> Result<Self, ConfigError> {
        Self::over(api_url, Dialer::new())
    }

    /// The same through a socket in the file system; host and path of the URL are sent all
    /// the same.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with option `api_url` if it is no `http://` URL.
    #[cfg(unix)]
    pub fn unix(api_url: &str, socket: impl AsRef<Path>) -> Result<Self, ConfigError> {
        let path: PathBuf = socket.as_ref().to_owned();
        if !api_url.starts_with("http://") {
            return Err(ConfigError::new("api_url", "is http:// where api_socket is given"));
        }
        let dialer = Dialer::new().open_with(move |_, _| {
            let path = path.clone();
            async move { tokio::net::UnixStream::connect(path).await }
        });
        Self::over(api_url, dialer)
    }

    /// The same over streams of a connector's.
    ///
    /// # Errors
    ///
    /// As [`new`](Self::new).
    pub fn connected_by(api_url: &str, connector: Connector) -> Result<Self, ConfigError> {
        let dialer = Dialer::new().open_with(move |host, port| {
            let connector = connector.clone();
            let target = Target::new(host, port);
            async move { connector.connect(target).await }
        });
        Self::over(api_url, dialer)
    }

    fn over(api_url: &str, dialer: Dialer) -> Result<Self, ConfigError> {
        let wrong = |why: String| ConfigError::new("api_url", why);
        if !api_url.ends_with('/') {
            return Err(wrong("ends in a slash: bootstrap/ is put behind it".to_owned()));
        }
        #[cfg(feature = "tls")]
        let tls = client_core::http::Tls::default();
        #[cfg(feature = "tls")]
        let http = Http::with_tls(dialer, api_url, USER_AGENT, MAX_BODY, &tls);
        #[cfg(not(feature = "tls"))]
        let http = Http::new(dialer, api_url, USER_AGENT, MAX_BODY);
        let http = http.map_err(|e| wrong(e.reason))?;
        let (url, forward, timeout) = (api_url.to_owned(), Vec::new(), Duration::from_secs(30));
        Ok(Self { http, url, timeout, forward })
    }

    /// Sends one more header with every request; a source without a value leaves it out.
    /// One of the same name as a default takes its place.
    ///
    /// # Errors
    ///
    /// [`ConfigError`] with option `forward` if the name is none of a header, or one that
    /// says where a request ends; or if a fixed value cannot stand in a header.
    pub fn forward(
        mut self,
        header: impl Into<String>,
        from: Forward,
    ) -> Result<Self, ConfigError> {
        let header = header.into();
        let is_token = |b: u8| b.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&b);
        let of_framing = ["connection", "content-length", "host", "te", "trailer", "upgrade"];
        let lower = header.to_ascii_lowercase();
        let is_own = of_framing.contains(&lower.as_str()) || lower == "transfer-encoding";
        if header.is_empty() || is_own || !header.bytes().all(is_token) {
            return Err(ConfigError::new("forward", format!("{header:?} cannot be sent")));
        }
        if matches!(&from, Forward::Fixed(value) if !is_sendable(value)) {
            let reason = format!("the value of {header} cannot be sent");
            return Err(ConfigError::new("forward", reason));
        }
        self.forward.push((header, from));
        Ok(self)
    }

    /// Sets how long one request may take. Default 30 s.
    #[must_use]
    pub const fn timeout(mut self, timeout: Duration) -> Self {
        self.timeout = timeout;
        self
    }

    /// Tells the backend of a user by `POST` to `path` behind the prefix, whatever it
    /// answers.
    pub(crate) async fn tell(&self, path: &str, visitor: &Visitor) -> Result<(), BackendError> {
        let mut headers = self.headers(visitor);
        headers.push(("Content-Type", "application/octet-stream".to_owned()));
        self.send("POST", path, &headers).await.map(drop)
    }

    async fn send(
        &self,
        method: &str,
        path: &str,
        headers: &[(&str, String)],
    ) -> Result<(u16, Vec<u8>), BackendError> {
        let (url, timeout) = (format!("{}{path}", self.url), self.timeout);
        let request = HttpRequest { method, url: &url, headers, body: None, timeout };
        match self.http.send(request).await {
            Ok(answer) => Ok((answer.status, answer.body)),
            Err(HttpError::Timeout { .. }) => Err(BackendError::Timeout),
            Err(HttpError::Network { source, .. }) => {
                Err(BackendError::Unreachable(chain(source.as_ref())))
            }
            Err(HttpError::TooLong) => Err(BackendError::Unusable("it is over 4 MiB".to_owned())),
        }
    }

    /// What the backend is told of a user.
    fn headers(&self, visitor: &Visitor) -> Vec<(&str, String)> {
        let header = |name| visitor.header(name).map(str::to_owned);
        let mut headers: Vec<(&str, Option<String>)> = vec![
            ("Cookie", header("cookie")),
            ("User-Agent", header("user-agent")),
            ("X-CSRFToken", visitor.cookie("csrftoken").map(str::to_owned)),
            ("Authorization", visitor.query("token").map(|token| format!("Token {token}"))),
            ("X-Real-IP", header("x-real-ip")),
            ("Accept", Some("*/*".to_owned())),
        ];
        for (name, from) in &self.forward {
            let value = match from {
                Forward::Header(name) => visitor.header(name).map(str::to_owned),
                Forward::Query(name) => visitor.query(name),
                Forward::Cookie(name) => visitor.cookie(name).map(str::to_owned),
                Forward::Fixed(value) => Some(value.clone()),
            };
            headers.retain(|(known, _)| !known.eq_ignore_ascii_case(name));
            headers.push((name, value));
        }
        // What cannot stand in a header, for it was decoded from a query, is left out.
        let sent = headers.into_iter().filter_map(|(name, value)| Some((name, value?)));
        sent.filter(|(_, value)| is_sendable(value)).collect()
    }
}

fn is_sendable(value: &str) -> bool {
    value.bytes().all(|b| b >= b' ' && b != 0x7f)
}

impl Backend for HttpBackend {
    fn bootstrap<'a>(
        &'a self,
        visitor: &'a Visitor,
    ) -> BoxFuture<'a, Result<Verdict, BackendError>> {
        Box::pin(async move {
            let (status, body) = self.send("GET", "bootstrap/", &self.headers(visitor)).await?;
            Verdict::read(visitor.compat, status, &body)
        })
    }
}

/// An error with what lies below it.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let below = std::iter::successors(Some(error), |error| error.source());
    below.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

impl fmt::Debug for HttpBackend {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpBackend").field("url", &self.url).finish_non_exhaustive()
    }
}
