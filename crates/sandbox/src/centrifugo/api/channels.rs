//! presence, history and the list of channels.

use std::collections::{BTreeMap, BTreeSet};

use globset::GlobBuilder;
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Answer, Api};
use crate::centrifugo::{
    fault::{Code, Fault},
    hub::{ClientInfo, Data, Kept, Place, Span},
    json::{Fields, write},
};

#[derive(Debug, Serialize)]
struct Presence {
    presence: BTreeMap<String, ClientInfo>,
}

#[derive(Debug, Serialize)]
struct PresenceStats {
    num_clients: usize,
    num_users: usize,
}

#[derive(Debug, Serialize)]
struct History {
    publications: Vec<Publication>,
    #[serde(skip_serializing_if = "Option::is_none")]
    epoch: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
}

/// One entry of a history.
#[derive(Debug, Serialize)]
pub(in crate::centrifugo) struct Publication {
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Box<RawValue>>,
    #[serde(skip_serializing_if = "Option::is_none")]
    info: Option<ClientInfo>,
    #[serde(skip_serializing_if = "Option::is_none")]
    offset: Option<u64>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    tags: BTreeMap<String, String>,
}

#[derive(Debug, Serialize)]
struct Channels<T> {
    channels: T,
}

#[derive(Debug, Serialize)]
struct Busy {
    num_clients: usize,
}

impl Publication {
    /// What a history says of `kept`; nothing can say bytes that are no JSON.
    pub(in crate::centrifugo) fn new(kept: Kept, with_offset: bool) -> Result<Self, Fault> {
        let publication = kept.publication;
        let data = match publication.data {
            Data::Json(json) => Some(json),
            Data::Nothing => None,
            Data::Other => return Err(Fault::Unsayable),
        };
        let offset = with_offset.then_some(kept.offset);
        Ok(Self { data, info: publication.info, offset, tags: publication.tags })
    }
}

impl Api<'_> {
    pub(super) fn presence(&self, params: &Fields) -> Answer {
        let presence = self.hub.presence(&params.text("channel")?)?;
        Ok(Some(write(&Presence { presence })))
    }

    pub(super) fn presence_stats(&self, params: &Fields) -> Answer {
        let presence = self.hub.presence(&params.text("channel")?)?;
        let users: BTreeSet<&String> = presence.values().map(|info| &info.user).collect();
        Ok(Some(write(&PresenceStats { num_clients: presence.len(), num_users: users.len() })))
    }

    pub(super) fn history(&self, params: &Fields) -> Answer {
        let modern = self.release().0 > 2;
        let span = match modern {
            true => self.span(params)?,
            false => Span { reverse: self.release() < (2, 2), ..Span::all() },
        };
        let (kept, place) = self.hub.history(&params.text("channel")?, &span)?;
        let all = kept.into_iter().map(|kept| Publication::new(kept, modern));
        let publications = all.collect::<Result<_, _>>()?;
        let (epoch, offset) = (modern.then_some(place.epoch), modern.then_some(place.offset));
        Ok(Some(write(&History { publications, epoch, offset })))
    }

    fn span(&self, params: &Fields) -> Result<Span, Fault> {
        let since = params.object("since")?.map(|since| {
            Ok::<_, Fault>(Place { offset: since.get("offset")?, epoch: since.text("epoch")? })
        });
        let (limit, reverse) = (params.get("limit")?, params.get("reverse")?);
        Ok(Span { limit, since: since.transpose()?, reverse })
    }

    pub(super) fn history_remove(&self, params: &Fields) -> Answer {
        self.hub.history_remove(&params.text("channel")?)?;
        Ok(None)
    }

    pub(super) fn channels(&self, params: &Fields) -> Answer {
        let all = self.hub.channels();
        if self.release().0 < 3 {
            let channels: Vec<String> = all.into_keys().collect();
            return Ok(Some(write(&Channels { channels })));
        }
        let pattern = params.text("pattern")?;
        let glob = GlobBuilder::new(if pattern.is_empty() { "*" } else { &pattern }).build();
        let glob = glob.map_err(|_| Fault::Error(Code::Internal))?.compile_matcher();
        let matching = all.into_iter().filter(|(name, _)| glob.is_match(name));
        let channels: BTreeMap<String, Busy> =
            matching.map(|(name, num_clients)| (name, Busy { num_clients })).collect();
        Ok(Some(write(&Channels { channels })))
    }
}
