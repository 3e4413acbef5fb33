//! The HTTP calls for programs without an async runtime.

use std::{fmt, sync::Arc};

use client_core::http::BlockingHttp;
use serde::Serialize;

use crate::{
    calls::{self, Call, ClientKey, ClientSecret, Defined, Jail, MAX_BODY, USER_AGENT, refused},
    config::Config,
    error::Error,
    schema::{SchemaDefinition, Version},
};

/// Publishes, defines and administers; each call blocks until the service has
/// answered or [`Config::request_timeout`] is over. A clone is cheap and shares its
/// connections. Subscriptions need the async [`Client`](crate::Client).
///
/// # Examples
///
/// ```no_run
/// use stream_sea::{BlockingClient, Config, Credentials};
///
/// # fn example() -> Result<(), stream_sea::Error> {
/// let config = Config::new("localhost", 3104, Credentials::basic("app123", "secret"));
/// BlockingClient::new(config)?.publish("tides", &serde_json::json!({"level": 1.75}))?;
/// # Ok(()) }
/// ```
#[derive(Clone)]
pub struct BlockingClient {
    config: Arc<Config>,
    http: Arc<BlockingHttp>,
}

impl BlockingClient {
    /// Makes a client; nothing is sent yet. Connectors and proxies of the
    /// configuration do not count here.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] naming an option that cannot be used.
    pub fn new(config: Config) -> Result<Self, Error> {
        config.validate()?;
        #[cfg(feature = "tls")]
        let http = BlockingHttp::with_tls(&config.base(), USER_AGENT, MAX_BODY, &config.tls);
        #[cfg(not(feature = "tls"))]
        let http = BlockingHttp::new(&config.base(), USER_AGENT, MAX_BODY);
        Ok(Self { config: Arc::new(config), http: Arc::new(http.map_err(refused)?) })
    }

    /// Publishes `payload`, an object, or an array of objects as one batch, and
    /// waits for the service to take it.
    ///
    /// # Wire
    ///
    /// `POST /streams/S/publish` (docs/protocols/stream-sea.md, 3.3).
    ///
    /// # Errors
    ///
    /// - [`Error::Refused`] with the service's text and, for a payload that does not
    ///   fit the schema, each of its errors.
    /// - [`Error::Transport`] and [`Error::Timeout`]: ask [`Error::is_in_doubt`]
    ///   before publishing again.
    /// - [`Error::Misuse`] with code `encode` if `payload` is no object or array,
    ///   `name` if `stream` cannot be named in a path, `jwt` if the client has a
    ///   token instead of a secret.
    pub fn publish<T>(&self, stream: &str, payload: &T) -> Result<(), Error>
    where
        T: Serialize + ?Sized,
    {
        self.call(&calls::publish(stream, payload)?)
    }

    /// Stores the definition of a stream, or says that the service has the same.
    ///
    /// # Wire
    ///
    /// `GET /streams/S/schema`, then `POST /streams/S/define`
    /// (docs/protocols/stream-sea.md, 3.3 and 3.4).
    ///
    /// # Errors
    ///
    /// [`Error::Refused`] if the service has another definition of the same version,
    /// or one of a higher version: what is stored stays. As
    /// [`publish`](Self::publish).
    pub fn define_stream(&self, schema: &SchemaDefinition) -> Result<Defined, Error> {
        let call = calls::define(schema)?;
        let before = calls::before(self.describe_stream(&schema.name))?;
        self.call(&call)?;
        calls::defined(schema, before)
    }

    /// Returns the definition of a stream, `None` if there is no such stream.
    ///
    /// # Wire
    ///
    /// `GET /streams/S/schema` (docs/protocols/stream-sea.md, 3.3).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn describe_stream(&self, stream: &str) -> Result<Option<SchemaDefinition>, Error> {
        calls::described(stream, self.call(&calls::describe(stream)?))
    }

    /// Returns the versions of `streams`, each in its place, `None` for a stream
    /// that does not exist.
    ///
    /// # Wire
    ///
    /// `POST /schema-versions-vector` (docs/protocols/stream-sea.md, 3.3).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn get_schema_versions_vector(
        &self,
        streams: &[&str],
    ) -> Result<Vec<Option<Version>>, Error> {
        calls::of_length(streams.len(), self.call(&calls::versions_vector(streams))?)
    }

    /// Makes a client of this client's jail; its secret is told once.
    ///
    /// # Wire
    ///
    /// `POST /client` (docs/protocols/stream-sea.md, 3.3).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn create_client(&self, client_id: &str, description: &str) -> Result<ClientSecret, Error> {
        self.call(&calls::create_client(client_id, description))
    }

    /// Deletes a client of this client's jail.
    ///
    /// # Wire
    ///
    /// `DELETE /client/C` (docs/protocols/stream-sea.md, 3.3).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn delete_client(&self, client_id: &str) -> Result<(), Error> {
        self.call(&calls::delete_client(client_id)?)
    }

    /// Gives a client a new secret, which is told once.
    ///
    /// # Wire
    ///
    /// `PUT /client/C` (docs/protocols/stream-sea.md, 3.3).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn rotate_client_secret(&self, client_id: &str) -> Result<ClientSecret, Error> {
        self.call(&calls::rotate_client_secret(client_id)?)
    }

    /// Stores the public key of a client's tokens, in PEM form, or removes it.
    ///
    /// # Wire
    ///
    /// `PUT /client/C/jwt-public-key` (docs/protocols/stream-sea.md, 3.3).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn rotate_client_jwt_public_key(
        &self,
        client_id: &str,
        jwt_public_key: Option<&str>,
    ) -> Result<ClientKey, Error> {
        self.call(&calls::rotate_client_jwt_public_key(client_id, jwt_public_key)?)
    }

    /// Makes a jail with its first client, whose secret is told once.
    ///
    /// # Wire
    ///
    /// `POST /jails` (docs/protocols/stream-sea.md, 3.3).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn create_jail(
        &self,
        jail_id: &str,
        jail_name: &str,
        client_id: &str,
    ) -> Result<Jail, Error> {
        self.call(&calls::create_jail(jail_id, jail_name, client_id))
    }

    /// Deletes a jail, its clients and its streams.
    ///
    /// # Wire
    ///
    /// `DELETE /jails/J` (docs/protocols/stream-sea.md, 3.3).
    ///
    /// # Errors
    ///
    /// As [`publish`](Self::publish).
    pub fn delete_jail(&self, jail_id: &str) -> Result<(), Error> {
        self.call(&calls::delete_jail(jail_id)?)
    }

    fn call<T>(&self, call: &Call<T>) -> Result<T, Error> {
        let prepared = call.prepare(&self.config, &self.config.credentials)?;
        call.finish(self.http.send(prepared.request()))
    }
}

impl fmt::Debug for BlockingClient {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("BlockingClient").field("config", &self.config).finish_non_exhaustive()
    }
}
