//! Several commands in one request, and what came of each.

use std::{
    marker::PhantomData,
    sync::atomic::{AtomicU64, Ordering},
};

use super::{Client, read};
use crate::{
    config::Config,
    error::Error,
    proto::{Command, Outcome, guard},
    requests::{Request, command},
};

/// Commands that are sent in one request. They run in order, and one that fails
/// does not stop the others.
#[derive(Debug)]
#[must_use = "a batch is sent by send()"]
pub struct Batch<'a, C = Client> {
    client: &'a C,
    config: &'a Config,
    commands: Vec<Command>,
    parallel: bool,
    id: u64,
}

/// Stands for one command of a batch, and takes its reply.
#[derive(Debug)]
#[must_use = "the ticket takes the reply"]
pub struct Ticket<R> {
    batch: u64,
    at: usize,
    request: PhantomData<fn() -> R>,
}

/// What came of a batch.
#[derive(Debug)]
pub struct Replies {
    config: Config,
    batch: u64,
    outcomes: Vec<(String, Outcome)>,
}

impl Client {
    /// Begins a batch.
    ///
    /// # Examples
    ///
    /// ```no_run
    /// # fn example(client: &cent::Client) -> Result<(), cent::Error> {
    /// let mut batch = client.batch();
    /// let news = batch.add(cent::Publish::new("news", "zebra"))?;
    /// let who = batch.add(cent::Presence::new("news"))?;
    /// let replies = batch.send()?;
    /// println!("{:?} {:?}", replies.take(news)?, replies.take(who)?);
    /// # Ok(()) }
    /// ```
    pub fn batch(&self) -> Batch<'_> {
        Batch::begin(self, &self.config)
    }
}

impl<'a, C> Batch<'a, C> {
    pub(super) fn begin(client: &'a C, config: &'a Config) -> Self {
        /// Tells the batches of a program apart.
        static IDS: AtomicU64 = AtomicU64::new(0);
        let id = IDS.fetch_add(1, Ordering::Relaxed);
        Self { client, config, commands: Vec::new(), parallel: false, id }
    }

    /// Adds a call.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] and [`Error::Misuse`], as [`Client::call`]; the
    /// batch is as it was.
    pub fn add<R: Request>(&mut self, request: R) -> Result<Ticket<R>, Error> {
        let config = self.config;
        let command = command(request, config.version, config.relaxed)?;
        self.commands.push(command);
        Ok(Ticket { batch: self.id, at: self.commands.len() - 1, request: PhantomData })
    }

    /// Lets the server run the commands side by side, so that what they do may
    /// come in another order. v5.2 and later.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] on a version that would not, unless the
    /// configuration is relaxed.
    pub fn parallel(mut self) -> Result<Self, Error> {
        let config = self.config;
        let known = guard::check(config.version, "batch", ["parallel"]);
        self.parallel = known.is_ok();
        if config.relaxed { Ok(self) } else { known.map(|()| self) }
    }

    /// Pairs the commands with what came of them.
    pub(super) fn replies(self, outcomes: Vec<Outcome>) -> Replies {
        let params = self.commands.into_iter().map(|command| command.params);
        let outcomes = params.zip(outcomes).collect();
        Replies { config: self.config.clone(), batch: self.id, outcomes }
    }
}

#[cfg(feature = "tokio")]
impl<'a, C> Batch<'a, C> {
    pub(super) const fn client(&self) -> &'a C {
        self.client
    }

    pub(super) const fn config(&self) -> &'a Config {
        self.config
    }

    pub(super) fn commands(&self) -> &[Command] {
        &self.commands
    }

    pub(super) const fn is_parallel(&self) -> bool {
        self.parallel
    }
}

impl Batch<'_> {
    /// Sends the commands; an empty batch sends nothing.
    ///
    /// # Errors
    ///
    /// [`Error::Request`] if the request fails as a whole:
    /// [`RequestError::in_doubt`](crate::RequestError::in_doubt) says how many
    /// commands may have been carried out.
    pub fn send(self) -> Result<Replies, Error> {
        let outcomes = match self.commands.as_slice() {
            [] => Vec::new(),
            commands => self.client.exchange(commands, self.parallel, self.config.timeout)?,
        };
        Ok(self.replies(outcomes))
    }
}

impl Replies {
    /// Takes the reply to one command.
    ///
    /// # Errors
    ///
    /// - [`Error::Response`] if the server refused the command.
    /// - [`Error::Request`] if its reply cannot be read.
    /// - [`Error::Misuse`] for a ticket of another batch.
    pub fn take<R: Request>(&self, ticket: Ticket<R>) -> Result<R::Reply, Error> {
        let found = self.outcomes.get(ticket.at).filter(|_| ticket.batch == self.batch);
        let Some((params, outcome)) = found else {
            return Err(Error::misuse("ticket", "the ticket belongs to another batch"));
        };
        read::<R>(&self.config, outcome, params)
    }

    /// Returns how many commands were answered.
    #[must_use]
    pub fn len(&self) -> usize {
        self.outcomes.len()
    }

    /// Returns whether there was no command.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.outcomes.is_empty()
    }
}
