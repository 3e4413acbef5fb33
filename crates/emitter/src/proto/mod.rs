//! The protocol without a socket, a clock or randomness of its own
//! (docs/protocols/emitter.md).

mod core;
mod packet;

pub use self::core::{
    Answer, Answered, Core, Effect, Handler, Input, Notice, Out, Publish, Subscription, Transmit,
    Watcher,
};
pub use crate::requests::Ask;
