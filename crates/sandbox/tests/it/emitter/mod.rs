//! The emitter broker, as clients without any SDK see it.

mod recorded;
mod rules;
mod support;
