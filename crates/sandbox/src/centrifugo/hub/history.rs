//! What channels keep, read and removed.

use super::{
    Hub, Place, State,
    channel::{Channel, Kept},
};
use crate::centrifugo::{
    config::ChannelOptions,
    fault::{Code, Fault},
};

/// Which part of a history.
#[derive(Clone, Debug, Default)]
pub(crate) struct Span {
    /// At most so many; 0 none, below 0 all.
    pub(crate) limit: i32,
    pub(crate) since: Option<Place>,
    /// Newest first.
    pub(crate) reverse: bool,
}

impl Span {
    pub(crate) fn all() -> Self {
        Self { limit: -1, ..Self::default() }
    }
}

impl Hub {
    /// Reads a history, and where it ends.
    pub(crate) fn history(&self, name: &str, span: &Span) -> Result<(Vec<Kept>, Place), Fault> {
        let options = self.options(name)?;
        if !options.keeps_history() {
            return Err(Fault::Error(Code::NotAvailable));
        }
        let mut state = self.lock();
        if !state.channels.contains_key(name) {
            self.make_room(&mut state)?;
        }
        state.history(name, options, span)
    }

    /// Forgets what is kept; offset and epoch go on.
    pub(crate) fn history_remove(&self, name: &str) -> Result<(), Fault> {
        if !self.options(name)?.keeps_history() {
            return Err(Fault::Error(Code::NotAvailable));
        }
        if let Some(channel) = self.lock().channels.get_mut(name) {
            channel.kept.clear();
        }
        Ok(())
    }
}

impl State {
    pub(super) fn history(
        &mut self,
        name: &str,
        options: &ChannelOptions,
        span: &Span,
    ) -> Result<(Vec<Kept>, Place), Fault> {
        let channel = self.channels.entry(name.to_owned()).or_insert_with(Channel::new);
        channel.told = true;
        channel.expire(options);
        let place = Place { offset: channel.top, epoch: channel.epoch.clone() };
        if let Some(since) = &span.since {
            if !since.epoch.is_empty() && since.epoch != place.epoch {
                return Err(Fault::Error(Code::UnrecoverablePosition));
            }
            if span.reverse && since.offset == 0 {
                return Err(Fault::Error(Code::Internal));
            }
        }
        Ok((channel.select(span), place))
    }
}

impl Channel {
    fn select(&self, span: &Span) -> Vec<Kept> {
        let limit = usize::try_from(span.limit).unwrap_or(usize::MAX);
        let since = span.since.as_ref().map(|since| since.offset);
        let all = self.kept.iter();
        match span.reverse {
            true => {
                let before = all.rev().filter(|kept| since.is_none_or(|at| kept.offset < at));
                before.take(limit).cloned().collect()
            }
            false => {
                let after = all.filter(|kept| since.is_none_or(|at| kept.offset > at));
                after.take(limit).cloned().collect()
            }
        }
    }
}
