//! publish and broadcast.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::value::RawValue;

use super::{Answer, Api};
use crate::centrifugo::{
    fault::{Code, Fault},
    hub::{Data, Place, Publication},
    json::{Fields, WrongType, write},
};

/// An offset and an epoch, each left out if it is nothing.
#[derive(Debug, Serialize)]
struct Published {
    #[serde(skip_serializing_if = "is_zero")]
    offset: u64,
    #[serde(skip_serializing_if = "String::is_empty")]
    epoch: String,
}

#[derive(Debug, Serialize)]
struct Broadcasted {
    responses: Vec<Response>,
}

#[derive(Debug, Serialize)]
#[serde(rename_all = "snake_case")]
enum Response {
    Result(Published),
    Error { code: u16, message: &'static str },
}

#[expect(clippy::trivially_copy_pass_by_ref, reason = "the attribute's way to ask")]
const fn is_zero(number: &u64) -> bool {
    *number == 0
}

impl From<Place> for Published {
    fn from(place: Place) -> Self {
        Self { offset: place.offset, epoch: place.epoch }
    }
}

impl Api<'_> {
    pub(super) fn publish(&self, params: &Fields) -> Answer {
        let channel = params.text("channel")?;
        let publication = self.publication(params, false)?;
        let place = self.hub.publish(&channel, publication, &self.key(params)?)?;
        // v2 says nothing of where a publication is.
        Ok((self.release().0 > 2).then(|| write(&Published::from(place))))
    }

    pub(super) fn broadcast(&self, params: &Fields) -> Answer {
        let channels: Vec<String> = params.get("channels")?;
        let publication = self.publication(params, true)?;
        if channels.is_empty() {
            return Err(Fault::Error(Code::BadRequest));
        }
        let key = self.key(params)?;
        let publish = |channel: &String| self.hub.publish(channel, publication.clone(), &key);
        if self.release().0 < 3 {
            // It stops at the first channel that it refuses.
            for channel in &channels {
                publish(channel)?;
            }
            return Ok(None);
        }
        let respond = |channel| match publish(channel) {
            Ok(place) => Ok(Response::Result(place.into())),
            Err(Fault::Error(code)) => {
                Ok(Response::Error { code: code.number(), message: code.text(self.release()) })
            }
            Err(fault) => Err(fault),
        };
        let responses = channels.iter().map(respond).collect::<Result<_, _>>()?;
        Ok(Some(write(&Broadcasted { responses })))
    }

    fn publication(&self, params: &Fields, to_many: bool) -> Result<Publication, Fault> {
        let tags = match self.release() >= (3, 2) {
            true => params.get("tags")?,
            false => Default::default(),
        };
        let skip_history = self.release().0 > 2 && params.get("skip_history")?;
        let data = self.data(params, to_many)?;
        Ok(Publication { tags, skip_history, ..Publication::new(data) })
    }

    /// `b64data` wins over `data`; publish of the releases before 4.0.2 forgets it
    /// and publishes what else there is.
    fn data(&self, params: &Fields, to_many: bool) -> Result<Data, Fault> {
        let plain = params.raw("data").map(|raw| Data::Json(raw.to_owned()));
        let encoded = match self.release().0 > 2 {
            true => params.text("b64data")?,
            false => String::new(),
        };
        if encoded.is_empty() {
            return plain.ok_or(Fault::Error(Code::BadRequest));
        }
        let bytes = STANDARD.decode(&encoded).map_err(|_| Fault::Error(Code::BadRequest))?;
        if self.release() < (4, 1) && !to_many {
            return Ok(plain.unwrap_or(Data::Nothing));
        }
        let json = String::from_utf8(bytes).ok().and_then(|text| RawValue::from_string(text).ok());
        Ok(json.map_or(Data::Other, Data::Json))
    }

    /// Releases before 5.2 do not look at the key.
    fn key(&self, params: &Fields) -> Result<String, WrongType> {
        match self.release() >= (5, 2) {
            true => params.text("idempotency_key"),
            false => Ok(String::new()),
        }
    }
}
