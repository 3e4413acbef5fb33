//! What is done to the connections of a user.

use std::time::{SystemTime, UNIX_EPOCH};

use super::{Answer, Api};
use crate::centrifugo::{
    fault::{Code, Fault},
    hub::Target,
    json::{Fields, WrongType},
};

impl Api<'_> {
    pub(super) fn subscribe(&self, params: &Fields) -> Answer {
        let target = self.target(params)?;
        let channel = params.text("channel")?;
        if target.user.is_empty() && self.release() < (3, 2) {
            return Err(Fault::Error(Code::BadRequest));
        }
        self.hub.options(&channel)?;
        let expire_at: i64 = params.get("expire_at")?;
        if is_past(expire_at) && self.hub.count(&target) > 0 {
            return Err(Fault::Error(Code::Internal));
        }
        let info = params.raw("info").map(ToOwned::to_owned);
        self.hub.subscribe_user(&target, &channel, info, params.raw("data"))?;
        Ok(None)
    }

    pub(super) fn unsubscribe(&self, params: &Fields) -> Answer {
        let target = self.target(params)?;
        self.refuse_nobody(&target)?;
        self.hub.unsubscribe_user(&target, &params.text("channel")?)?;
        Ok(None)
    }

    pub(super) fn disconnect(&self, params: &Fields) -> Answer {
        let target = self.target(params)?;
        self.refuse_nobody(&target)?;
        let whitelist: Vec<String> = params.get("whitelist")?;
        let (code, reason) = match params.object("disconnect")? {
            // A code that no close frame can hold ends the connection without one.
            Some(with) => {
                let code: u32 = with.get("code")?;
                (u16::try_from(code).unwrap_or_default(), with.text("reason")?)
            }
            None => (3503, "force disconnect".to_owned()),
        };
        self.hub.disconnect_user(&target, &whitelist, code, &reason);
        Ok(None)
    }

    pub(super) fn refresh(&self, params: &Fields) -> Answer {
        let target = self.target(params)?;
        if params.get("expired")? || is_past(params.get("expire_at")?) {
            self.hub.disconnect_user(&target, &[], 3005, "connection expired");
        } else if let Some(info) = params.raw("info") {
            self.hub.refresh_user(&target, info);
        }
        Ok(None)
    }

    fn target(&self, params: &Fields) -> Result<Target, WrongType> {
        let user = params.text("user")?;
        if self.release().0 < 3 {
            return Ok(Target { user, ..Target::default() });
        }
        Ok(Target { user, client: params.text("client")?, session: params.text("session")? })
    }

    /// From 3.2 on nobody means the anonymous connections.
    fn refuse_nobody(&self, target: &Target) -> Result<(), Fault> {
        match target.user.is_empty() && self.release() < (3, 2) {
            true => Err(Fault::Error(Code::BadRequest)),
            false => Ok(()),
        }
    }
}

/// Whether a moment, in seconds since 1970 and not 0, is over.
pub(in crate::centrifugo) fn is_past(moment: i64) -> bool {
    moment != 0 && moment < now()
}

fn now() -> i64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    i64::try_from(since.as_secs()).unwrap_or(i64::MAX)
}
