//! The protocol without I/O: commands to HTTP requests, answers to outcomes, and
//! what each version knows.

mod command;
mod decode;
mod encode;
pub(crate) mod guard;
mod params;

pub(crate) use command::{Command, Outcome};
pub(crate) use decode::{HttpAnswer, decode};
pub(crate) use encode::{Credential, HttpRequest, Key, encode};
pub use params::Params;

#[cfg(test)]
mod tests;
