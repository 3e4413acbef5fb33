#![doc = include_str!("../README.md")]
#![forbid(unsafe_code)]

mod backend;
mod bus;
mod config;
mod connection;
mod end;
mod frames;
mod hooks;
mod http;
mod hub;
mod listener;
mod log;
mod parts;
mod request;
mod rewind;
mod server;
mod status;

pub use crate::{
    backend::{Backend, BackendError, BoxFuture, Forward, HttpBackend, Verdict, Visitor},
    bus::{Bus, BusError, LocalBus, Node},
    config::{Compat, Config, ConfigError, Overflow},
    hooks::{BackendHooks, HookError, Hooks},
    listener::Listener,
    server::{Builder, Server},
    status::Status,
};
pub use client_core::{ByteStream, Connector, Target};
/// Rooms, permissions and triggers are those of the client.
pub use high_templar_client::{AllowedRooms, Room, Trigger};
